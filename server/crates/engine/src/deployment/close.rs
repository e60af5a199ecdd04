//! An operator has said how a deployment ended: what it left open is closed before it ends. A share of
//! the traffic, a preview and a candidate belong to a deployment and do not outlive it. Which revision
//! gets all of the traffic follows from the verdict; commands and what takes the place of what was
//! (`recreate`) leave nothing open, and are the operator's.

use super::{Decision, Refusal};
use crate::{command::Command, effect::Effect};
use lockstep_model::{
    Attempt,
    closing::{CloseTo, Closing, Open},
    deployment::{Actor, Deployment, Resolution, StepState},
    event::Event,
    manifest::Target,
    plan::{DeploymentKind, StepKind},
};

/// What is open, and to what each verdict closes it.
pub(crate) fn open(state: &Deployment, outcome: Resolution) -> Vec<Open> {
    let places = 0..u32::try_from(state.plan.services.len()).unwrap_or(u32::MAX);
    places.filter_map(|service| Some(Open { service, to: to(state, service, outcome)? })).collect()
}

/// To what a service is closed; none = it left nothing open.
fn to(state: &Deployment, service: u32, outcome: Resolution) -> Option<CloseTo> {
    let Target::Process(process) = &state.plan.services[service as usize].spec.target else { return None };
    let of_service = || {
        let steps = state.plan.steps.iter().zip(&state.steps);
        steps.filter(move |(planned, _)| planned.service == service)
    };
    let is_open =
        |state: StepState| !matches!(state, StepState::Pending | StepState::Skipped | StepState::Undone);
    let mut opened =
        of_service().filter(|(planned, _)| matches!(planned.kind, StepKind::Prepare | StepKind::Shift));
    if !opened.any(|(_, status)| is_open(status.state)) {
        return None;
    }
    let has_all = of_service()
        .any(|(planned, status)| planned.gives_all_traffic() && status.state == StepState::Succeeded);
    let has_some =
        of_service().any(|(planned, status)| planned.kind.gives_traffic() && is_open(status.state));
    match outcome {
        Resolution::RolledBack => Some(CloseTo::Before),
        Resolution::Succeeded | Resolution::Failed if has_all => None,
        // It never was to have any: what serves is not what was prepared.
        Resolution::Succeeded if !has_some => Some(CloseTo::Before),
        Resolution::Succeeded => process.gateway.is_some().then_some(CloseTo::New),
        Resolution::Failed => process.gateway.is_some().then_some(CloseTo::AsItIs),
    }
}

/// Begins to close; the deployment ends once that is done.
pub(super) fn begin(
    state: &Deployment,
    by: Actor,
    outcome: Resolution,
    reason: String,
    open: Vec<Open>,
) -> Decision {
    let attempt = Attempt(state.closing.as_ref().map_or(0, |before| before.attempt.0) + 1);
    let effects = open.iter().map(|open| Effect::Close { service: open.service, attempt }).collect();
    Decision { events: vec![Event::ResolveBegun { by, outcome, reason, attempt, open }], effects }
}

/// What came of it is recorded once; an answer that nobody waits for changes nothing.
pub(super) fn finish(
    state: &Deployment,
    service: u32,
    attempt: Attempt,
    outcome: Result<(), String>,
) -> Decision {
    let waited_for = |closing: &&Closing| {
        closing.is_active()
            && closing.attempt == attempt
            && closing.to(service).is_some()
            && !closing.closed.contains(&service)
    };
    if state.phase.is_final() || state.closing.as_ref().filter(waited_for).is_none() {
        return Decision::nothing();
    }
    Decision::event(match outcome {
        Ok(()) => Event::Closed { service, attempt },
        Err(reason) => Event::CloseFailed { service, attempt, reason },
    })
}

/// Once somebody has said how it ended, nothing goes forward, for some of what was open may be closed; none
/// = nobody has. What cannot be closed is said again, or all of it goes back.
pub(super) fn proceed(state: &Deployment) -> Option<Decision> {
    let closing = state.closing.as_ref().filter(|_| !state.phase.is_final())?;
    if !closing.is_active() {
        return state.asks_forward().then(Decision::nothing);
    }
    let Closing { by, outcome, reason, .. } = closing;
    let resolved = || {
        Decision::event(Event::Resolved {
            by: by.clone(),
            outcome: *outcome,
            reason: reason.clone(),
            leaves: false,
        })
    };
    Some(if closing.is_done() { resolved() } else { Decision::nothing() })
}

/// Why people have to wait until it is closed, or to say again how it ended; none = they need not.
pub(super) fn refusal(state: &Deployment, command: &Command) -> Option<Refusal> {
    let closing = state.closing.as_ref().filter(|_| !state.phase.is_final())?;
    let goes_forward = match command {
        Command::Pause { .. }
        | Command::Resume { .. }
        | Command::SkipStep { .. }
        | Command::RetryStep { .. }
        | Command::RetryService { .. }
        | Command::KeepService { .. }
        | Command::Cancel { keep: true, .. }
        | Command::TakeBackServices { .. } => true,
        Command::RetryUndo { .. } => may_go_forward(state),
        Command::Cancel { keep: false, .. }
        | Command::TakeBack { .. }
        | Command::Fail { .. }
        | Command::Resolve { leave: false, .. } => false,
        // Whoever cannot wait ends it with what is open.
        Command::Resolve { leave: true, .. }
        | Command::Start
        | Command::Supersede { .. }
        | Command::Approve { .. }
        | Command::Reject { .. }
        | Command::Lapse { .. }
        | Command::FinishStep { .. }
        | Command::FinishUndo { .. }
        | Command::FinishProbe { .. }
        | Command::FinishClose { .. }
        | Command::Proceed => return None,
    };
    match (closing.is_active(), goes_forward) {
        (true, _) => Some(Refusal::IsClosing),
        (false, true) => Some(Refusal::MayBeClosed),
        (false, false) => None,
    }
}

/// Whether an undo that is tried again lets steps begin: of a restore, and of services beside others.
fn may_go_forward(state: &Deployment) -> bool {
    state.asks_forward() || matches!(state.plan.kind, DeploymentKind::Restore { .. })
}

/// Whether an event can follow once somebody has said how it ended: while it is closed its own and late
/// answers, and afterwards all that does not go forward.
pub(super) fn can_follow(state: &Deployment, event: &Event) -> bool {
    let Some(closing) = &state.closing else { return true };
    match event {
        Event::Closed { .. }
        | Event::CloseFailed { .. }
        | Event::Resolved { .. }
        | Event::UndoSucceeded { .. }
        | Event::UndoFailed { .. }
        | Event::ProbeFinished { .. } => true,
        Event::ResolveBegun { .. }
        | Event::FailureDetected { .. }
        | Event::CancelRequested { .. }
        | Event::RollbackPlanned { .. }
        | Event::UndoStarted { .. }
        | Event::OperatorNeeded { .. }
        | Event::RolledBack
        | Event::Failed
        | Event::Cancelled => !closing.is_active(),
        Event::UndoRetried { .. } => !closing.is_active() && !may_go_forward(state),
        Event::Requested { .. }
        | Event::Approved { .. }
        | Event::Rejected { .. }
        | Event::ApprovalLapsed { .. }
        | Event::Started
        | Event::StepStarted { .. }
        | Event::StepSucceeded { .. }
        | Event::StepFailed { .. }
        | Event::StepUnknown { .. }
        | Event::ProbeStarted { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::StepSkipped { .. }
        | Event::StepRetried { .. }
        | Event::TakeBackRequested { .. }
        | Event::TakeBackPlanned { .. }
        | Event::TakenBack
        | Event::ReleaseCommitted
        | Event::Superseded { .. } => false,
    }
}

/// The state after a word that waits, and after an answer; false = nobody waits for that.
pub(super) fn advance(state: &mut Deployment, event: &Event) -> bool {
    match event {
        Event::ResolveBegun { by, outcome, reason, attempt, open } => {
            state.closing = Some(Closing {
                by: by.clone(),
                outcome: *outcome,
                reason: reason.clone(),
                attempt: *attempt,
                open: open.clone(),
                closed: std::collections::BTreeSet::new(),
                problem: None,
            });
            true
        }
        Event::Closed { service, attempt } => match &mut state.closing {
            Some(closing) if closing.is_active() && closing.attempt == *attempt => {
                closing.to(*service).is_some() && closing.closed.insert(*service)
            }
            Some(_) | None => false,
        },
        Event::CloseFailed { service, attempt, reason } => {
            let name = state.plan.services.get(*service as usize).map(|one| one.service.to_string());
            match (&mut state.closing, name) {
                (Some(closing), Some(name)) if closing.is_active() && closing.attempt == *attempt => {
                    closing.problem = Some(format!("{name}: {reason}"));
                    true
                }
                _ => false,
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
