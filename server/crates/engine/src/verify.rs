//! Whether a journal keeps the promises, checked from its events alone and not through the machine
//! that wrote them: an error there must not hide itself.

use crate::deployment::replay;
use lockstep_model::{
    Attempt, Seq, UserName,
    deployment::{RollbackPlan, StepState},
    event::{Envelope, Event, Finding},
    manifest::{OnUnknown, RollbackScope},
    plan::{DeploymentKind, Plan, StepKind, Undo},
};
use std::{collections::BTreeSet, fmt};

mod approved;
mod stored;

pub use stored::{Life, Stored, life, live_together, stored};

/// A promise that a journal breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// At which event.
    pub seq: Seq,
    /// Which promise.
    pub promise: Promise,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: {}: {}", self.seq, self.promise.words(), self.found)
    }
}

/// What every journal keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// Events are numbered 1 to n.
    Numbering,
    /// States follow the declared machine, and what ended stays as it is.
    Machine,
    /// It begins after all who have to approve that have done so.
    Approved,
    /// A step begins after all that it waits for has passed.
    Order,
    /// Nothing is changed before every preflight has passed.
    LookFirst,
    /// One attempt of a step at a time, numbered without a gap, and only it is answered.
    OneAttempt,
    /// What nobody knows the end of is begun again only where that is safe, or was said.
    NotTwice,
    /// Only what ran is undone.
    UndoneRan,
    /// A service goes back after those that the rollback has it wait for.
    UndoOrder,
    /// A deployment is taken back once, and everything that it changed is in it.
    OneRollback,
    /// It ends as what happened.
    End,
    /// Nobody writes to it after somebody else has taken over.
    Epochs,
    /// Rows beside the journal are what follows from it.
    Rows,
    /// What is still to be done is in the journal, and nothing of what has ended.
    Outbox,
    /// One deployment at a time is live in an environment.
    OneLive,
}

impl Promise {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Numbering => "events are numbered 1 to n",
            Self::Machine => "states follow the declared machine, and what ended stays as it is",
            Self::Approved => "it begins with the approvals that it needs, none of them its author's",
            Self::Order => "a step begins after all that it waits for",
            Self::LookFirst => "nothing is changed before every preflight has passed",
            Self::OneAttempt => "one attempt of a step at a time, and only it is answered",
            Self::NotTwice => {
                "what nobody knows the end of is begun again only where that is safe, or was said"
            }
            Self::UndoneRan => "only what ran is undone",
            Self::UndoOrder => "a service goes back after those that it waits for",
            Self::OneRollback => "a deployment is taken back once, with everything that it changed",
            Self::End => "it ends as what happened",
            Self::Epochs => "nobody writes to it after somebody else has taken over",
            Self::Rows => "rows beside the journal are what follows from it",
            Self::Outbox => "what is still to be done is in the journal, and nothing of what has ended",
            Self::OneLive => "one deployment at a time is live in an environment",
        }
    }
}

/// What a journal breaks; empty = it keeps every promise.
pub fn verify(journal: &[Envelope]) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (expected, envelope) in (1i64..).zip(journal) {
        if envelope.seq.0 != expected {
            let found = format!("{} stands where {expected} should", envelope.seq);
            broken.push(Broken { seq: envelope.seq, promise: Promise::Numbering, found });
            break;
        }
    }
    if let Err(illegal) = replay(journal.iter().cloned()) {
        let found = illegal.problem.clone();
        broken.push(Broken { seq: illegal.seq, promise: Promise::Machine, found });
    }
    let Some(Event::Requested { plan, request }) = journal.first().map(|first| &first.event) else {
        return broken;
    };
    let seen = vec![Seen::default(); plan.steps.len()];
    let (back, part) = (Back::default(), Part::default());
    let closing = Closing { attempt: Attempt(0), open: BTreeSet::new() };
    let (authors, approved) = (request.authors(), BTreeSet::new());
    let mut reader = Reader { plan, closing, seen, back, part, has_looked: false, authors, approved, broken };
    for envelope in journal {
        reader.read(envelope);
    }
    reader.broken
}

/// What the events say of a step.
#[derive(Debug, Clone, Default)]
struct Seen {
    attempts: u32,
    undos: u32,
    state: StepState,
    /// After an unknown end, somebody or the target said that it may be begun again.
    may_repeat: bool,
    /// Its target is asked what became of this attempt.
    is_asked: Option<Attempt>,
}

#[derive(Debug, Default)]
struct Back {
    plan: Option<RollbackPlan>,
    scope: Scope,
    keeps: bool,
}

/// Services that were taken back by themselves.
#[derive(Debug, Default)]
struct Part {
    services: BTreeSet<u32>,
    plan: Option<RollbackPlan>,
    is_back: bool,
}

/// How much of what changed goes back.
#[derive(Debug, Default)]
enum Scope {
    #[default]
    Everything,
    Tied,
}

/// What an operator's word waits for.
#[derive(Debug)]
struct Closing {
    attempt: Attempt,
    open: BTreeSet<u32>,
}

struct Reader<'j> {
    plan: &'j Plan,
    closing: Closing,
    seen: Vec<Seen>,
    back: Back,
    part: Part,
    /// Every preflight has passed.
    has_looked: bool,
    authors: &'j [UserName],
    approved: BTreeSet<UserName>,
    broken: Vec<Broken>,
}

impl Reader<'_> {
    fn note(&mut self, envelope: &Envelope, promise: Promise, found: String) {
        self.broken.push(Broken { seq: envelope.seq, promise, found });
    }

    fn id(&self, step: u32) -> String {
        self.plan.steps.get(step as usize).map_or_else(|| format!("step {step}"), |one| one.id.to_string())
    }

    fn is_in_part(&self, step: u32) -> bool {
        self.part.services.contains(&self.plan.steps[step as usize].service)
    }

    fn has_passed(&self, step: u32) -> bool {
        if self.is_in_part(step) {
            let looks = matches!(self.plan.steps[step as usize].kind, StepKind::Preflight);
            return self.part.is_back || looks && self.seen[step as usize].state == StepState::Succeeded;
        }
        match self.seen[step as usize].state {
            StepState::Succeeded => true,
            // Left out: what it waits for is waited for all the same.
            StepState::Skipped => {
                self.plan.steps[step as usize].after.iter().all(|before| self.has_passed(*before))
            }
            _ => false,
        }
    }

    fn read(&mut self, envelope: &Envelope) {
        match &envelope.event {
            Event::StepStarted { step, attempt } => self.started(envelope, *step, *attempt),
            Event::StepSucceeded { step, attempt, .. } => {
                self.answered(envelope, *step, *attempt, StepState::Running, StepState::Succeeded);
            }
            Event::StepFailed { step, attempt, .. } => {
                self.answered(envelope, *step, *attempt, StepState::Running, StepState::Failed);
            }
            Event::StepUnknown { step, attempt, .. } => {
                self.answered(envelope, *step, *attempt, StepState::Running, StepState::Unknown);
            }
            Event::ProbeStarted { step, attempt } => self.seen[*step as usize].is_asked = Some(*attempt),
            Event::ProbeFinished { step, attempt, finding } => {
                self.found(envelope, *step, *attempt, finding);
            }
            Event::StepRetried { step, .. } => self.seen[*step as usize].may_repeat = true,
            Event::UndoRetried { .. } => {
                // Of a restore, the steps are tried again.
                for seen in &mut self.seen {
                    seen.may_repeat = true;
                }
            }
            Event::StepSkipped { step, .. } => {
                if self.plan.steps[*step as usize].kind.is_change() {
                    let found = format!("{} changes something and was left out", self.id(*step));
                    self.note(envelope, Promise::Order, found);
                }
                self.seen[*step as usize].state = StepState::Skipped;
            }
            Event::FailureDetected { failure } => {
                let failed = failure.service.as_ref();
                let service = self.plan.services.iter().find(|one| Some(&one.service) == failed);
                if service.is_some_and(|one| one.spec.rollback.scope == RollbackScope::Tied) {
                    self.back.scope = Scope::Tied;
                }
            }
            Event::CancelRequested { keep, .. } => self.back.keeps = *keep,
            Event::TakeBackRequested { services, .. } => {
                self.part.services.extend(services);
                self.part.plan = None;
                self.part.is_back = false;
            }
            Event::TakeBackPlanned { rollback } => self.part_planned(envelope, rollback),
            Event::TakenBack => {
                let steps = self.part.plan.iter().flat_map(|plan| &plan.services).flat_map(|one| &one.steps);
                let open = steps.copied().find(|step| self.seen[*step as usize].state != StepState::Undone);
                match open {
                    Some(open) => {
                        let found = format!("it counts as back while {} is not", self.id(open));
                        self.note(envelope, Promise::End, found);
                    }
                    None => self.part.is_back = true,
                }
            }
            Event::ResolveBegun { attempt, open, .. } => {
                if attempt.0 != self.closing.attempt.0 + 1 {
                    let found = format!("closed {attempt} times after {}", self.closing.attempt);
                    self.note(envelope, Promise::OneAttempt, found);
                }
                let open = open.iter().map(|open| open.service).collect();
                self.closing = Closing { attempt: *attempt, open };
            }
            Event::Closed { service, attempt } | Event::CloseFailed { service, attempt, .. } => {
                let is_closed = matches!(envelope.event, Event::Closed { .. });
                if self.closing.attempt != *attempt || !self.closing.open.contains(service) {
                    let found = format!("service {service} was not being closed, attempt {attempt}");
                    self.note(envelope, Promise::OneAttempt, found);
                }
                if is_closed {
                    self.closing.open.remove(service);
                } else {
                    // It is asked again, and may have come back by itself until it is said again.
                    self.closing.open.clear();
                }
            }
            Event::Resolved { leaves, .. } => {
                if let (Some(service), false) = (self.closing.open.first(), leaves) {
                    let found = format!("it ended with service {service} left open");
                    self.note(envelope, Promise::End, found);
                }
            }
            Event::RollbackPlanned { rollback } => self.planned(envelope, rollback),
            Event::UndoStarted { step, attempt } => self.undo_started(envelope, *step, *attempt),
            Event::UndoSucceeded { step, attempt, .. } => {
                self.undo_answered(envelope, *step, *attempt, StepState::Undone);
            }
            Event::UndoFailed { step, attempt, .. } => {
                // In older journals what cannot be undone failed without having been begun.
                let is_begun = self.seen[*step as usize].state == StepState::Undoing;
                if matches!(self.plan.steps[*step as usize].undo, Undo::Impossible { .. }) && !is_begun {
                    self.seen[*step as usize].undos = attempt.0;
                    self.seen[*step as usize].state = StepState::UndoFailed;
                } else {
                    self.undo_answered(envelope, *step, *attempt, StepState::UndoFailed);
                }
            }
            Event::ReleaseCommitted => {
                let open = (0u32..).zip(&self.seen).find(|(step, _)| !self.has_passed(*step));
                if let Some((step, seen)) = open {
                    let found = format!("it succeeded while {} was {}", self.id(step), seen.state.word());
                    self.note(envelope, Promise::End, found);
                }
            }
            Event::RolledBack => self.all_back(envelope),
            Event::Cancelled if self.back.plan.is_some() => self.all_back(envelope),
            Event::Cancelled | Event::Failed => {
                let changed = self.changed().first().copied();
                if let (Some(step), false) = (changed, self.back.keeps) {
                    let found = format!("nothing went back, but {} had run", self.id(step));
                    self.note(envelope, Promise::End, found);
                }
            }
            Event::Approved { by, .. } => {
                self.approved.insert(by.user.clone());
            }
            Event::Started => self.begun(envelope),
            Event::Requested { .. }
            | Event::Rejected { .. }
            | Event::ApprovalLapsed { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::OperatorNeeded { .. }
            | Event::Superseded { .. } => {}
        }
    }

    fn started(&mut self, envelope: &Envelope, step: u32, attempt: Attempt) {
        let planned = &self.plan.steps[step as usize];
        if self.is_in_part(step) {
            let found = format!("{} began, and its service was taken back", planned.id);
            self.note(envelope, Promise::Order, found);
        }
        let seen = &self.seen[step as usize];
        if seen.state == StepState::Running || attempt.0 != seen.attempts + 1 {
            let found = format!("{} attempt {attempt} after {}", planned.id, seen.attempts);
            self.note(envelope, Promise::OneAttempt, found);
        }
        let seen = &self.seen[step as usize];
        let repeats = seen.state == StepState::Unknown && !seen.may_repeat;
        if repeats && planned.on_unknown != OnUnknown::Rerun {
            let found = format!("{} was begun again, and nobody knows how it ended before", planned.id);
            self.note(envelope, Promise::NotTwice, found);
        }
        if let Some(before) = planned.after.iter().find(|before| !self.has_passed(**before)) {
            let found = format!("{} began before {}", planned.id, self.id(*before));
            self.note(envelope, Promise::Order, found);
        }
        if planned.kind.is_change() && !self.has_looked {
            let looks = |kind| matches!(kind, StepKind::Preflight | StepKind::Precondition);
            let mut steps = (0u32..).zip(&self.plan.steps);
            match steps.find(|(other, one)| looks(one.kind) && !self.has_passed(*other)) {
                Some((unseen, _)) => {
                    let found = format!("{} began before {}", planned.id, self.id(unseen));
                    self.note(envelope, Promise::LookFirst, found);
                }
                None => self.has_looked = true,
            }
        }
        let seen = &mut self.seen[step as usize];
        seen.attempts = attempt.0;
        seen.state = StepState::Running;
        seen.may_repeat = false;
    }

    fn answered(&mut self, envelope: &Envelope, step: u32, attempt: Attempt, from: StepState, to: StepState) {
        let seen = &self.seen[step as usize];
        if seen.state != from || seen.attempts != attempt.0 {
            let found = format!("an answer to attempt {attempt} of {}, which was not live", self.id(step));
            self.note(envelope, Promise::OneAttempt, found);
        }
        self.seen[step as usize].state = to;
    }

    fn found(&mut self, envelope: &Envelope, step: u32, attempt: Attempt, finding: &Finding) {
        if self.seen[step as usize].is_asked.take() != Some(attempt) {
            let found =
                format!("what became of attempt {attempt} of {}, which nobody had asked", self.id(step));
            self.note(envelope, Promise::OneAttempt, found);
        }
        match finding {
            Finding::Done { .. } => {
                self.answered(envelope, step, attempt, StepState::Unknown, StepState::Succeeded);
            }
            Finding::NotDone { .. } => self.seen[step as usize].may_repeat = true,
            Finding::CannotTell { .. } => {}
        }
    }

    fn changed(&self) -> Vec<u32> {
        (0u32..)
            .zip(self.plan.steps.iter().zip(&self.seen))
            .filter(|(_, (planned, seen))| planned.kind.is_change() && seen.attempts > 0)
            .map(|(step, _)| step)
            .collect()
    }

    fn planned(&mut self, envelope: &Envelope, rollback: &RollbackPlan) {
        if self.back.plan.is_some() {
            self.note(envelope, Promise::OneRollback, "a second rollback was planned".to_owned());
        }
        let goes: BTreeSet<u32> = rollback.services.iter().flat_map(|entry| &entry.steps).copied().collect();
        if let Some(running) = self.seen.iter().position(|seen| seen.state == StepState::Running) {
            let found = format!("it was planned while {} ran", self.plan.steps[running].id);
            self.note(envelope, Promise::OneRollback, found);
        }
        let whole = matches!(self.back.scope, Scope::Everything) && !self.back.keeps;
        let left = self.changed().into_iter().find(|step| !goes.contains(step));
        if let (true, Some(left)) = (whole, left) {
            let found = format!("{} had run and is not in it", self.id(left));
            self.note(envelope, Promise::OneRollback, found);
        }
        self.back.plan = Some(rollback.clone());
    }

    /// Of services that go back by themselves, all that changed is in it, and nothing of others.
    fn part_planned(&mut self, envelope: &Envelope, rollback: &RollbackPlan) {
        let goes: BTreeSet<u32> = rollback.services.iter().flat_map(|entry| &entry.steps).copied().collect();
        let steps = 0..u32::try_from(self.seen.len()).unwrap_or(u32::MAX);
        let runs =
            |step: &u32| self.is_in_part(*step) && self.seen[*step as usize].state == StepState::Running;
        let changed = self.changed().into_iter().filter(|step| self.is_in_part(*step)).collect();
        let wrong = steps.clone().find(runs).or_else(|| goes.symmetric_difference(&changed).next().copied());
        if let Some(wrong) = wrong {
            let found = format!("{} ran still, or had run and is not in it, or is not of it", self.id(wrong));
            self.note(envelope, Promise::OneRollback, found);
        }
        self.part.plan = Some(rollback.clone());
    }

    /// Undone, or known to be impossible, which nobody can wait for.
    fn is_back(&self, step: u32) -> bool {
        let impossible = matches!(self.plan.steps[step as usize].undo, Undo::Impossible { .. });
        match self.seen[step as usize].state {
            StepState::Undone => true,
            StepState::UndoFailed => impossible,
            _ => false,
        }
    }

    fn undo_started(&mut self, envelope: &Envelope, step: u32, attempt: Attempt) {
        let seen = &self.seen[step as usize];
        if seen.attempts == 0 {
            self.note(envelope, Promise::UndoneRan, format!("{} never ran", self.id(step)));
        }
        let seen = &self.seen[step as usize];
        if seen.state == StepState::Undoing || attempt.0 != seen.undos + 1 {
            let found = format!("undo {attempt} of {} after {}", self.id(step), seen.undos);
            self.note(envelope, Promise::OneAttempt, found);
        }
        let plan = self.back.plan.clone().or_else(|| self.part.plan.clone());
        let entry = plan.iter().flat_map(|plan| &plan.services).find(|entry| entry.steps.contains(&step));
        match (entry, plan.as_ref()) {
            (Some(entry), Some(plan)) => {
                let others = entry.after.iter().flat_map(|other| &plan.services[*other as usize].steps);
                let earlier = entry.steps.iter().take_while(|other| **other != step);
                if let Some(open) = others.chain(earlier).find(|other| !self.is_back(**other)).copied() {
                    let found = format!("{} began to go back before {}", self.id(step), self.id(open));
                    self.note(envelope, Promise::UndoOrder, found);
                }
            }
            _ => {
                let found = format!("{} goes back without being planned", self.id(step));
                self.note(envelope, Promise::UndoOrder, found);
            }
        }
        let seen = &mut self.seen[step as usize];
        seen.undos = attempt.0;
        seen.state = StepState::Undoing;
    }

    fn undo_answered(&mut self, envelope: &Envelope, step: u32, attempt: Attempt, to: StepState) {
        let seen = &self.seen[step as usize];
        if seen.state != StepState::Undoing || seen.undos != attempt.0 {
            let found = format!("an answer to undo {attempt} of {}, which was not live", self.id(step));
            self.note(envelope, Promise::OneAttempt, found);
        }
        self.seen[step as usize].state = to;
    }

    fn all_back(&mut self, envelope: &Envelope) {
        let planned = self.back.plan.iter().flat_map(|plan| &plan.services).flat_map(|entry| &entry.steps);
        let open = planned.copied().find(|step| self.seen[*step as usize].state != StepState::Undone);
        let none = self.back.plan.is_none() && !self.changed().is_empty();
        if let Some(open) = open {
            let found = format!("it counts as back while {} is not", self.id(open));
            self.note(envelope, Promise::End, found);
        } else if none && matches!(self.plan.kind, DeploymentKind::Deploy) {
            self.note(envelope, Promise::End, "it counts as back, but nothing was planned".to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
