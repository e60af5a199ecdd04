//! A deployment's events as plain lines for people and build logs. The lines say what happened and
//! how long it took, nothing else; every event is looked at once, in order.

use lockstep_model::{
    DeploymentId, Timestamp,
    deployment::{Actor, RollbackPlan},
    event::{Envelope, Event, Finding},
    plan::{DeploymentKind, Plan, PlannedService, StepKind},
    view::{Asked, answers},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Services that are named one by one; of more only the number is said.
const NAMED_MAX: usize = 8;

/// What has to be remembered of earlier events to tell about later ones.
pub struct Progress {
    id: DeploymentId,
    plan: Option<Arc<Plan>>,
    /// When work on a service began, and when its steps did.
    services_began: BTreeMap<u32, Timestamp>,
    steps_began: BTreeMap<u32, Timestamp>,
    requested_at: Timestamp,
    started_at: Option<Timestamp>,
    detected_at: Option<Timestamp>,
    rollback: Option<RollbackPlan>,
    undone: BTreeSet<u32>,
    /// Services that were taken back by themselves.
    left_out: BTreeSet<u32>,
    /// All of it is taken back.
    goes_back: bool,
    /// Steps that are done, and all.
    pub done: (u64, u64),
}

impl Progress {
    /// Nothing has happened yet.
    pub fn new(id: DeploymentId) -> Self {
        Self {
            id,
            plan: None,
            services_began: BTreeMap::new(),
            steps_began: BTreeMap::new(),
            requested_at: Timestamp(0),
            started_at: None,
            detected_at: None,
            rollback: None,
            undone: BTreeSet::new(),
            left_out: BTreeSet::new(),
            goes_back: false,
            done: (0, 0),
        }
    }

    /// What the next event means, in zero or one line.
    pub fn line(&mut self, envelope: &Envelope) -> Option<String> {
        let at = envelope.at;
        match &envelope.event {
            Event::Requested { request, plan } => {
                self.requested_at = at;
                self.done = (0, plan.steps.len() as u64);
                self.plan = Some(plan.clone());
                let changes = changes(plan);
                let waits = plan.approvals.as_ref().map_or_else(String::new, |rule| {
                    let (id, within) = (self.id, seconds(rule.timeout_ms));
                    format!(
                        "; it waits for {} within {within}, by {}: `lockstep approve {id}`, or its page",
                        counted(u64::from(rule.count), "approval"),
                        rule.by
                    )
                });
                Some(format!("{} asked for by {}: {changes}{waits}", self.name(), who(&request.by)))
            }
            Event::Approved { by, reason, .. } => {
                Some(format!("{} approved by {}{}", self.name(), who(by), because(reason.as_deref())))
            }
            Event::Rejected { by, reason } => {
                Some(format!("{} rejected by {}{}", self.name(), who(by), because(reason.as_deref())))
            }
            Event::ApprovalLapsed { reason } => Some(format!("{} ends: {reason}", self.name())),
            Event::Started => {
                self.started_at = Some(at);
                let waited = at.since_ms(self.requested_at);
                (waited >= 1_000).then(|| format!("{} started after {}", self.name(), seconds(waited)))
            }
            Event::StepStarted { step, .. } => {
                self.steps_began.insert(*step, at);
                let (service, kind) = (self.place(*step)?, self.kind(*step)?);
                if matches!(kind, StepKind::Prepare | StepKind::Replace) {
                    self.services_began.insert(service, at);
                    return Some(format!("{} starting", self.service(service)));
                }
                None
            }
            Event::StepSucceeded { step, .. } => {
                self.done.0 += 1;
                self.succeeded(*step, at)
            }
            Event::StepFailed { step, reason, .. } => {
                let kind = self.word(*step)?;
                Some(format!("{} failed at {kind}: {reason}", self.service(self.place(*step)?)))
            }
            Event::StepUnknown { step, reason, .. } => {
                let kind = self.word(*step)?;
                Some(format!("{}: how {kind} ended is not known: {reason}", self.service(self.place(*step)?)))
            }
            Event::ProbeStarted { step, .. } => {
                Some(format!("{}: its target is asked what became of it", self.service(self.place(*step)?)))
            }
            Event::ProbeFinished { step, finding, .. } => {
                let service = self.service(self.place(*step)?);
                match finding {
                    Finding::Done { .. } => {
                        self.done.0 += 1;
                        let kind = self.kind(*step)?.word();
                        Some(format!("{service}: {kind} was done, says its target"))
                    }
                    Finding::NotDone { reason } => {
                        let kind = self.kind(*step)?.word();
                        Some(format!("{service}: {kind} was not done, says its target: {reason}"))
                    }
                    Finding::CannotTell { reason } => {
                        Some(format!("{service}: its target cannot tell: {reason}"))
                    }
                }
            }
            Event::FailureDetected { failure } => {
                self.goes_back = true;
                self.detected_at = Some(at);
                // A step's failure was said with the step.
                failure.step.is_none().then(|| format!("{} does not go on: {}", self.name(), failure.reason))
            }
            Event::Paused { by, reason } => Some(format!(
                "{} paused by {}{}; what runs comes to its end, `lockstep resume {}` lets it go on",
                self.name(),
                who(by),
                because(reason.as_deref()),
                self.id
            )),
            Event::Resumed { by } => Some(format!("{} goes on, says {}", self.name(), who(by))),
            Event::StepSkipped { step, by, reason } => {
                let kind = self.word(*step)?;
                Some(format!(
                    "{}: {kind} left out by {}: {reason}",
                    self.service(self.place(*step)?),
                    who(by)
                ))
            }
            Event::StepRetried { step, by } => {
                let kind = self.word(*step)?;
                Some(format!("{}: {kind} is tried again, says {}", self.service(self.place(*step)?), who(by)))
            }
            Event::CancelRequested { by, reason, keep } => {
                self.goes_back = true;
                self.detected_at = Some(at);
                let kept = if *keep { "; what serves already stays" } else { "" };
                Some(format!("{} is ended by {}{}{kept}", self.name(), who(by), because(reason.as_deref())))
            }
            Event::TakeBackRequested { services, by, reason } => {
                self.detected_at = Some(at);
                self.left_out.extend(services);
                let names = list(&self.names(services));
                let because = because(reason.as_deref());
                Some(format!("{} has {names} taken back{because}; the others go on", who(by)))
            }
            Event::TakeBackPlanned { rollback } => {
                self.rollback = Some(rollback.clone());
                None
            }
            Event::TakenBack => {
                let all: Vec<u32> = self.left_out.iter().copied().collect();
                Some(format!("out of the release, and as before: {}", list(&self.names(&all))))
            }
            Event::RollbackPlanned { rollback } => {
                let names: Vec<String> = rollback
                    .services
                    .iter()
                    .filter_map(|back| self.planned(back.service).map(|planned| planned.service.to_string()))
                    .collect();
                self.rollback = Some(rollback.clone());
                (!names.is_empty()).then(|| format!("taking back {}", list(&names)))
            }
            Event::UndoStarted { .. } => None,
            Event::UndoSucceeded { step, .. } => {
                self.undone.insert(*step);
                self.back(*step, at)
            }
            Event::UndoFailed { step, reason, .. } => {
                let kind = self.word(*step)?;
                Some(format!("{}: {kind} could not be undone: {reason}", self.service(self.place(*step)?)))
            }
            Event::OperatorNeeded { reason, failure } => {
                let asked = match failure {
                    Some(failure) => Asked::Forward(failure),
                    None if self.goes_back => Asked::Back,
                    None => Asked::Part,
                };
                let is_restore = self.plan.as_ref().is_some_and(|plan| plan.kind != DeploymentKind::Deploy);
                let answers: Vec<String> = answers(self.id, asked, is_restore)
                    .into_iter()
                    .map(|answer| format!("\n  {}  {}", answer.command, answer.does))
                    .collect();
                Some(format!(
                    "{} needs an operator: {reason}; what you can answer:{}",
                    self.name(),
                    answers.concat()
                ))
            }
            Event::UndoRetried { by } => Some(format!("{} has the undo tried again", who(by))),
            Event::ResolveBegun { by, outcome, open, .. } => {
                let places: Vec<u32> = open.iter().map(|open| open.service).collect();
                let names = list(&self.names(&places));
                Some(format!(
                    "{} ends {} as {outcome:?}; what is open is closed before: {names}",
                    who(by),
                    self.name()
                ))
            }
            Event::Closed { service, .. } => {
                Some(format!("{}: nothing is left open", list(&self.names(&[*service]))))
            }
            Event::CloseFailed { service, reason, .. } => Some(format!(
                "{}: what is open could not be closed: {reason}; resolve it again, or with --leave-traffic",
                list(&self.names(&[*service]))
            )),
            Event::Resolved { by, outcome, reason, leaves } => {
                let left = if *leaves { "; what is open stays so" } else { "" };
                Some(format!("{} resolved {} as {outcome:?}: {reason}{left}", who(by), self.name()))
            }
            Event::ReleaseCommitted if self.left_out.is_empty() => {
                Some(format!("{} succeeded in {}", self.name(), self.took(at)))
            }
            Event::ReleaseCommitted => {
                let all: Vec<u32> = self.left_out.iter().copied().collect();
                let without = list(&self.names(&all));
                Some(format!(
                    "{} succeeded in {}, partly taken back: without {without}",
                    self.name(),
                    self.took(at)
                ))
            }
            Event::RolledBack => {
                let since = self.detected_at.map(|detected| at.since_ms(detected)).unwrap_or_default();
                Some(format!(
                    "{} rolled back: all is as before, {} after the verdict",
                    self.name(),
                    seconds(since)
                ))
            }
            Event::Failed => {
                Some(format!("{} failed after {}; nothing was taken back", self.name(), self.took(at)))
            }
            Event::Cancelled => Some(format!("{} cancelled after {}", self.name(), self.took(at))),
            Event::Superseded { by } => Some(format!(
                "{} gave its place in the queue to deployment {by}, which is newer",
                self.name()
            )),
        }
    }

    fn succeeded(&self, step: u32, at: Timestamp) -> Option<String> {
        let service = self.place(step)?;
        let name = self.service(service);
        let of_step = at.since_ms(self.steps_began.get(&step).copied().unwrap_or(at));
        let of_service = at.since_ms(self.services_began.get(&service).copied().unwrap_or(at));
        let weight = self.weight(step);
        match self.kind(step)? {
            StepKind::Precondition => Some(format!("{name} is there and well, as others need it")),
            StepKind::Preflight | StepKind::Prepare => None,
            StepKind::Verify if let Some(weight) = weight => {
                Some(format!("{name} passed its checks at {weight} %"))
            }
            StepKind::Shift if let Some(weight) = weight => {
                Some(format!("{name} has {weight} % of the traffic"))
            }
            StepKind::Watch if let Some(weight) = weight => {
                Some(format!("{name} stayed well at {weight} % for {}", seconds(of_step)))
            }
            StepKind::Verify => Some(format!("{name} healthy in {}", seconds(of_service))),
            StepKind::Shift => Some(format!("{name} has the traffic")),
            StepKind::Replace => Some(format!("{name} in place after {}", seconds(of_step))),
            StepKind::Watch => Some(format!("{name} stayed well for {}", seconds(of_step))),
        }
    }

    /// Said once for a service: when its last step is undone.
    fn back(&self, step: u32, at: Timestamp) -> Option<String> {
        let place = self.place(step)?;
        let back = self.rollback.as_ref()?.services.iter().find(|back| back.service == place)?;
        if !back.steps.iter().all(|step| self.undone.contains(step)) {
            return None;
        }
        let planned = self.planned(place)?;
        let to = match &planned.from {
            Some(serving) => format!("back at {}, and that was probed", serving.version),
            None => "not deployed, as before".to_owned(),
        };
        let since = self.detected_at.map(|detected| at.since_ms(detected)).unwrap_or_default();
        Some(format!("{} {to}, {} after the verdict", planned.service, seconds(since)))
    }

    fn name(&self) -> String {
        match &self.plan {
            Some(plan) => format!("deployment {} ({})", self.id, plan.environment),
            None => format!("deployment {}", self.id),
        }
    }

    fn took(&self, at: Timestamp) -> String {
        seconds(at.since_ms(self.started_at.unwrap_or(self.requested_at)))
    }

    fn place(&self, step: u32) -> Option<u32> {
        Some(self.plan.as_ref()?.steps.get(step as usize)?.service)
    }

    fn kind(&self, step: u32) -> Option<StepKind> {
        Some(self.plan.as_ref()?.steps.get(step as usize)?.kind)
    }

    /// `shift 10 %`
    fn word(&self, step: u32) -> Option<String> {
        Some(self.plan.as_ref()?.steps.get(step as usize)?.word())
    }

    fn weight(&self, step: u32) -> Option<u32> {
        self.plan.as_ref()?.steps.get(step as usize)?.weight
    }

    fn names(&self, places: &[u32]) -> Vec<String> {
        places.iter().filter_map(|place| Some(self.planned(*place)?.service.to_string())).collect()
    }

    fn planned(&self, service: u32) -> Option<&PlannedService> {
        self.plan.as_ref()?.services.get(service as usize)
    }

    /// `backend 1.1.0`
    fn service(&self, place: u32) -> String {
        let Some(planned) = self.planned(place) else { return String::new() };
        let version = planned.to_version().or_else(|| planned.from.as_ref().map(|serving| &serving.version));
        match version {
            Some(version) => format!("{} {version}", planned.service),
            None => planned.service.to_string(),
        }
    }
}

/// A duration as people say it.
pub fn seconds(duration_ms: u64) -> String {
    match duration_ms {
        0..1_000 => format!("{duration_ms} ms"),
        1_000..120_000 => format!("{}.{} s", duration_ms / 1_000, duration_ms % 1_000 / 100),
        _ => format!("{} min {} s", duration_ms / 60_000, duration_ms % 60_000 / 1_000),
    }
}

/// One of something, or several.
pub fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn changes(plan: &Plan) -> String {
    let changed = plan.services.iter().filter(|service| service.is_changed());
    let texts: Vec<String> = changed
        .map(|service| {
            let to = service.to_version().map_or_else(|| "not deployed".to_owned(), ToString::to_string);
            match &service.from {
                Some(from) if from.version.to_string() != to => {
                    format!("{} {} → {to}", service.service, from.version)
                }
                Some(_) | None => format!("{} {to}", service.service),
            }
        })
        .collect();
    list(&texts)
}

fn list(texts: &[String]) -> String {
    if texts.len() <= NAMED_MAX {
        return texts.join(", ");
    }
    format!("{} and {} more", texts[..NAMED_MAX].join(", "), texts.len() - NAMED_MAX)
}

fn who(actor: &Actor) -> String {
    format!("{} ({})", actor.user, actor.via)
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations_are_said_in_the_unit_that_fits() {
        assert_eq!(seconds(12), "12 ms");
        assert_eq!(seconds(1_250), "1.2 s");
        assert_eq!(seconds(150_000), "2 min 30 s");
    }
}
