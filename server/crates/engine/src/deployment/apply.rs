//! The next state from an event. The same function builds a state while it happens and when it is
//! read back from the journal, so that both are equal.

use super::{approve, close, part};
use lockstep_model::{
    Seq, Timestamp,
    approval::Approval,
    deployment::{
        Clocks, Deployment, Ending, Failure, InWork, Pauses, Phase, Probed, Resolution, StepState, StepStatus,
    },
    event::{Envelope, Event, Finding},
    pause::Pause,
    plan::DeploymentKind,
};

/// An event that cannot follow on this state: the journal is damaged or from a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} cannot follow: {problem}")]
pub struct IllegalEvent {
    /// Its place.
    pub seq: Seq,
    /// What is wrong.
    pub problem: String,
}

/// The state after all of `events`, the first of which must be `Requested`.
///
/// # Errors
/// [`IllegalEvent`] at the first one that cannot follow; [`IllegalEvent`] with number 0 when there
/// is none.
pub fn replay(events: impl IntoIterator<Item = Envelope>) -> Result<Deployment, IllegalEvent> {
    let mut events = events.into_iter();
    let first = events
        .next()
        .ok_or_else(|| IllegalEvent { seq: Seq(0), problem: "the journal is empty".to_owned() })?;
    events.try_fold(requested(&first)?, |state, event| apply(state, &event))
}

fn requested(envelope: &Envelope) -> Result<Deployment, IllegalEvent> {
    let (Event::Requested { request, plan }, Seq(1)) = (&envelope.event, envelope.seq) else {
        return Err(illegal(envelope, "a journal begins with 'requested' as number 1"));
    };
    Ok(Deployment {
        seq: envelope.seq,
        phase: Phase::Queued,
        request: request.clone(),
        steps: vec![StepStatus::default(); plan.steps.len()],
        plan: plan.clone(),
        checkpoints: std::collections::BTreeMap::new(),
        failure: None,
        ending: None,
        rollback: None,
        rollback_since: None,
        operator_reason: None,
        clocks: Clocks { requested_at: envelope.at, ..Clocks::default() },
        pauses: Pauses::default(),
        paused: None,
        in_work: std::collections::BTreeMap::new(),
        part: None,
        closing: None,
        approvals: Vec::new(),
    })
}

/// The state after one more event.
///
/// # Errors
/// [`IllegalEvent`] when it cannot follow: its number is not the next, or the state has no place
/// for it.
pub fn apply(mut state: Deployment, envelope: &Envelope) -> Result<Deployment, IllegalEvent> {
    advance(&mut state, envelope)?;
    Ok(state)
}

/// As [`apply`], in place: a plan of 10,000 services is not copied for each event. After an error
/// the state must be thrown away.
///
/// # Errors
/// As [`apply`].
pub fn advance(state: &mut Deployment, envelope: &Envelope) -> Result<(), IllegalEvent> {
    let Envelope { seq, at, event } = envelope;
    if *seq != state.seq.next() {
        return Err(illegal(envelope, &format!("the last one is {}", state.seq)));
    }
    if state.phase.is_final() {
        return Err(illegal(envelope, &format!("the deployment has ended as {}", state.phase)));
    }
    if !close::can_follow(state, event) {
        return Err(illegal(envelope, "somebody has said how it ended"));
    }
    state.seq = *seq;
    match event {
        Event::Requested { .. } => return Err(illegal(envelope, "it was requested already")),
        Event::Approved { by, reason, plan } => {
            expect(state, envelope, &[Phase::Queued])?;
            let (by, reason, plan) = (by.clone(), reason.clone(), plan.clone());
            state.approvals.push(Approval { by, at: *at, reason, plan });
        }
        Event::Rejected { by, reason } => {
            expect(state, envelope, &[Phase::Queued])?;
            let why = reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
            state.failure = Some(approve::ended(format!("rejected by {}{why}", by.user), Some(by.clone())));
        }
        Event::ApprovalLapsed { reason } => {
            expect(state, envelope, &[Phase::Queued])?;
            state.failure = Some(approve::ended(reason.clone(), None));
        }
        Event::Started => {
            expect(state, envelope, &[Phase::Queued])?;
            state.phase = Phase::Running;
            state.clocks.started_at = Some(*at);
        }
        Event::StepStarted { step, attempt } => {
            expect(state, envelope, &[Phase::Running])?;
            stays_in(state, *step, envelope)?;
            let status = step_at(state, *step, envelope)?;
            // One that nobody knows the end of may be carried out again.
            if !matches!(status.state, StepState::Pending | StepState::Unknown) {
                let problem = format!("step {step} is {}", status.state.word());
                return Err(illegal(envelope, &problem));
            }
            status.begin(false, *attempt, *at);
            let planned = &state.plan.steps[*step as usize];
            if planned.kind.is_change() {
                let begun = InWork { since: *at, paused_ms: state.pauses.total_ms };
                state.in_work.entry(planned.service).or_insert(begun);
            }
        }
        Event::ProbeStarted { step, .. } => {
            goes_forward(state, envelope)?;
            step_in(state, *step, StepState::Unknown, envelope)?.probed = Probed::Asked;
        }
        Event::ProbeFinished { step, finding, .. } => {
            goes_forward(state, envelope)?;
            let status = step_in(state, *step, StepState::Unknown, envelope)?;
            status.probed = match finding {
                Finding::Done { evidence } => {
                    let lost = status.last().and_then(|last| last.reason.clone());
                    status.end(StepState::Succeeded, *at, lost.as_deref(), evidence);
                    Probed::Not
                }
                Finding::NotDone { reason } => Probed::NotDone { reason: reason.clone() },
                Finding::CannotTell { reason } => Probed::CannotTell { reason: reason.clone() },
            };
        }
        Event::StepSucceeded { step, evidence, checkpoint, .. } => {
            let status = step_in(state, *step, StepState::Running, envelope)?;
            status.end(StepState::Succeeded, *at, None, evidence);
            status.retry_wanted = false;
            if let Some(checkpoint) = checkpoint {
                let service = state.plan.steps[*step as usize].service;
                state.checkpoints.insert(service, checkpoint.clone());
            }
        }
        Event::StepFailed { step, reason, evidence, .. } => {
            let status = step_in(state, *step, StepState::Running, envelope)?;
            status.end(StepState::Failed, *at, Some(reason), evidence);
            again_if_wanted(status);
        }
        Event::StepUnknown { step, reason, may_run, .. } => {
            let status = step_in(state, *step, StepState::Running, envelope)?;
            status.end(StepState::Unknown, *at, Some(reason), &[]);
            if *may_run {
                // A second attempt beside the first would be what nobody asked for.
                status.retry_wanted = false;
                status.may_run = true;
            } else {
                again_if_wanted(status);
            }
        }
        Event::Paused { by, reason } => {
            expect(state, envelope, &[Phase::Running])?;
            state.phase = Phase::Paused;
            let (by, reason) = (by.clone(), reason.clone());
            state.paused = Some(Pause { seq: envelope.seq, by, at: *at, reason });
            state.pauses.begin(*at);
        }
        Event::Resumed { .. } => {
            if state.asks_forward() {
                part::no_longer_asks(state, *at);
            } else {
                expect(state, envelope, &[Phase::Paused])?;
                state.phase = Phase::Running;
                state.pauses.end(*at);
                state.paused = None;
            }
        }
        Event::StepSkipped { step, reason, .. } => {
            goes_forward(state, envelope)?;
            stays_in(state, *step, envelope)?;
            let status = step_at(state, *step, envelope)?;
            if status.state == StepState::Running {
                status.end(StepState::Skipped, *at, Some(reason), &[]);
            }
            status.state = StepState::Skipped;
            status.retry_wanted = false;
            part::no_longer_asks(state, *at);
            begins_anew(state, *step, *at);
        }
        Event::StepRetried { step, .. } => {
            goes_forward(state, envelope)?;
            stays_in(state, *step, envelope)?;
            let status = step_at(state, *step, envelope)?;
            if status.state == StepState::Running {
                status.retry_wanted = true;
            } else {
                status.state = StepState::Pending;
                part::no_longer_asks(state, *at);
            }
            begins_anew(state, *step, *at);
        }
        Event::FailureDetected { failure } => {
            goes_forward(state, envelope)?;
            begin_rollback(state, *at, Ending::RolledBack);
            state.failure = Some(failure.clone());
        }
        Event::CancelRequested { by, reason, keep } => {
            let ending = Ending::Cancelled { by: by.clone(), reason: reason.clone(), keep: *keep };
            if state.phase == Phase::Queued {
                state.ending = Some(ending);
            } else {
                goes_forward(state, envelope)?;
                begin_rollback(state, *at, ending);
            }
            let why = reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
            state.failure = Some(Failure {
                step: None,
                service: None,
                version: None,
                reason: format!("cancelled by {}{why}", by.user),
                by: Some(by.clone()),
            });
        }
        Event::TakeBackRequested { services, by, reason } => {
            goes_forward(state, envelope)?;
            if let Some(place) = services.iter().find(|place| **place as usize >= state.plan.services.len()) {
                return Err(illegal(envelope, &format!("there is no service {place}")));
            }
            part::requested(state, services, (by, reason.as_ref()), *at);
        }
        Event::TakeBackPlanned { rollback } => {
            goes_forward(state, envelope)?;
            let part = part_at(state, envelope)?;
            part.rollback = Some(rollback.clone());
            part.decided_at = Some(*at);
        }
        Event::TakenBack => {
            goes_forward(state, envelope)?;
            part_at(state, envelope)?;
            part::is_back(state, *at);
        }
        Event::RollbackPlanned { rollback } => {
            expect(state, envelope, &[Phase::RollingBack])?;
            state.rollback = Some(rollback.clone());
            // What users notice begins with the failure, not with the plan.
            state.rollback_since = Some(state.clocks.detected_at.unwrap_or(*at));
            state.clocks.decided_at = Some(*at);
        }
        Event::UndoStarted { step, attempt } => {
            let place = state.plan.steps.get(*step as usize).map(|planned| planned.service);
            let is_part = place.is_some_and(|place| state.is_in_part(place));
            if is_part && state.ending.is_none() {
                goes_forward(state, envelope)?;
            } else {
                goes_back(state, envelope)?;
            }
            let status = step_at(state, *step, envelope)?;
            status.begin(true, *attempt, *at);
        }
        Event::UndoSucceeded { step, evidence, .. } => {
            let status = step_in(state, *step, StepState::Undoing, envelope)?;
            status.end(StepState::Undone, *at, None, evidence);
        }
        Event::UndoFailed { step, reason, evidence, .. } => {
            let status = step_at(state, *step, envelope)?;
            status.end(StepState::UndoFailed, *at, Some(reason), evidence);
        }
        Event::OperatorNeeded { reason, failure } => {
            match failure {
                None if matches!(state.phase, Phase::Running | Phase::Paused) => {
                    let was_paused = state.phase == Phase::Paused;
                    part_at(state, envelope)?.was_paused = was_paused;
                    state.failure = None;
                    state.pauses.begin(*at);
                }
                None => goes_back(state, envelope)?,
                Some(failure) => {
                    expect(state, envelope, &[Phase::Running, Phase::Paused])?;
                    state.failure = Some(failure.clone());
                    state.pauses.begin(*at);
                }
            }
            state.phase = Phase::NeedsOperator;
            state.operator_reason = Some(reason.clone());
        }
        Event::UndoRetried { .. } => {
            expect(state, envelope, &[Phase::NeedsOperator])?;
            if state.asks_about_part() {
                part::retried(state, *at);
            } else if state.asks_forward() {
                return Err(illegal(envelope, "nothing was taken back yet"));
            } else {
                retry(state, *at);
            }
        }
        Event::ResolveBegun { .. } | Event::Closed { .. } | Event::CloseFailed { .. } => {
            expect(state, envelope, &[Phase::NeedsOperator])?;
            if !close::advance(state, event) {
                return Err(illegal(envelope, "nobody waits for that to be closed"));
            }
        }
        Event::Resolved { outcome, .. } => {
            expect(state, envelope, &[Phase::NeedsOperator])?;
            let phase = match outcome {
                Resolution::Succeeded => Phase::Succeeded,
                Resolution::RolledBack => Phase::RolledBack,
                Resolution::Failed => Phase::Failed,
            };
            end(state, phase, *at);
        }
        Event::ReleaseCommitted => {
            expect(state, envelope, &[Phase::Running])?;
            end(state, Phase::Succeeded, *at);
        }
        Event::RolledBack => {
            expect(state, envelope, &[Phase::RollingBack, Phase::NeedsOperator])?;
            state.clocks.stable_at = Some(*at);
            end(state, Phase::RolledBack, *at);
        }
        Event::Failed => {
            expect(state, envelope, &[Phase::RollingBack])?;
            end(state, Phase::Failed, *at);
        }
        Event::Cancelled => {
            expect(state, envelope, &[Phase::Queued, Phase::RollingBack, Phase::NeedsOperator])?;
            if state.rollback.is_some() {
                state.clocks.stable_at = Some(*at);
            }
            end(state, Phase::Cancelled, *at);
        }
        Event::Superseded { .. } => {
            expect(state, envelope, &[Phase::Queued])?;
            end(state, Phase::Superseded, *at);
        }
    }
    Ok(())
}

fn begin_rollback(state: &mut Deployment, at: Timestamp, ending: Ending) {
    state.phase = Phase::RollingBack;
    state.ending = Some(ending);
    state.operator_reason = None;
    state.pauses.end(at);
    state.clocks.detected_at = Some(at);
    // Of services that went back before, too.
    part::try_undo_again(state);
    for status in &mut state.steps {
        status.leave_out();
    }
}

/// An attempt that was stopped to be tried again leaves its step waiting.
fn again_if_wanted(status: &mut StepStatus) {
    if std::mem::take(&mut status.retry_wanted) {
        status.state = StepState::Pending;
    }
}

/// Somebody decided about a step of a service: its limit runs from then.
fn begins_anew(state: &mut Deployment, step: u32, at: Timestamp) {
    let paused_ms = state.pauses.total_ms;
    if let Some(work) = state.in_work.get_mut(&state.plan.steps[step as usize].service) {
        *work = InWork { since: at, paused_ms };
    }
}

/// Nothing more begins forward of a service that was taken back by itself.
fn stays_in(state: &Deployment, step: u32, envelope: &Envelope) -> Result<(), IllegalEvent> {
    let planned = state.plan.steps.get(step as usize);
    match planned {
        Some(planned) if state.is_in_part(planned.service) => {
            Err(illegal(envelope, &format!("{} was taken back", planned.id)))
        }
        Some(_) | None => Ok(()),
    }
}

/// What is taken back by itself and is not back yet.
fn part_at<'s>(
    state: &'s mut Deployment,
    envelope: &Envelope,
) -> Result<&'s mut lockstep_model::part::Part, IllegalEvent> {
    let part = state.part.as_mut().filter(|part| !part.is_back);
    part.ok_or_else(|| illegal(envelope, "no service is taken back by itself"))
}

/// It is being taken back, also while an operator is asked about that.
fn goes_back(state: &Deployment, envelope: &Envelope) -> Result<(), IllegalEvent> {
    if state.phase == Phase::NeedsOperator && state.rollback.is_some() {
        return Ok(());
    }
    expect(state, envelope, &[Phase::RollingBack])
}

fn goes_forward(state: &Deployment, envelope: &Envelope) -> Result<(), IllegalEvent> {
    if state.asks_forward() {
        return Ok(());
    }
    expect(state, envelope, &[Phase::Running, Phase::Paused])
}

/// What failed may be tried again: undos of a release, steps of a restore.
fn retry(state: &mut Deployment, at: Timestamp) {
    state.operator_reason = None;
    match state.plan.kind {
        DeploymentKind::Deploy => {
            state.phase = Phase::RollingBack;
            state.rollback_since = Some(at);
            part::try_undo_again(state);
        }
        DeploymentKind::Restore { .. } => {
            state.phase = Phase::Running;
            state.failure = None;
            state.ending = None;
            state.pauses = Pauses::default();
            state.paused = None;
            state.in_work.clear();
            state.clocks.started_at = Some(at);
            for status in &mut state.steps {
                match status.state {
                    StepState::Failed | StepState::Unknown | StepState::Skipped => {
                        status.state = StepState::Pending;
                    }
                    StepState::Pending
                    | StepState::Running
                    | StepState::Succeeded
                    | StepState::Undoing
                    | StepState::Undone
                    | StepState::UndoFailed => {}
                }
            }
        }
    }
}

fn end(state: &mut Deployment, phase: Phase, at: Timestamp) {
    state.phase = phase;
    state.operator_reason = None;
    state.clocks.finished_at = Some(at);
    for status in &mut state.steps {
        if status.state == StepState::Pending {
            status.state = StepState::Skipped;
        }
    }
}

fn expect(state: &Deployment, envelope: &Envelope, phases: &[Phase]) -> Result<(), IllegalEvent> {
    if phases.contains(&state.phase) {
        return Ok(());
    }
    Err(illegal(envelope, &format!("the deployment is {}", state.phase)))
}

fn step_at<'s>(
    state: &'s mut Deployment,
    step: u32,
    envelope: &Envelope,
) -> Result<&'s mut StepStatus, IllegalEvent> {
    state.steps.get_mut(step as usize).ok_or_else(|| illegal(envelope, &format!("there is no step {step}")))
}

fn step_in<'s>(
    state: &'s mut Deployment,
    step: u32,
    expected: StepState,
    envelope: &Envelope,
) -> Result<&'s mut StepStatus, IllegalEvent> {
    let status = step_at(state, step, envelope)?;
    if status.state == expected {
        Ok(status)
    } else {
        let problem = format!("step {step} is {}, not {}", status.state.word(), expected.word());
        Err(illegal(envelope, &problem))
    }
}

fn illegal(envelope: &Envelope, problem: &str) -> IllegalEvent {
    IllegalEvent { seq: envelope.seq, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests;
