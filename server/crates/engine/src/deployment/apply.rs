//! The next state from an event. The same function builds a state while it happens and when it is
//! read back from the journal, so that both are equal.

use lockstep_model::{
    Seq, Timestamp,
    deployment::{Clocks, Deployment, Ending, Failure, Phase, Resolution, StepState, StepStatus},
    event::{Envelope, Event},
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
    state.seq = *seq;
    match event {
        Event::Requested { .. } => return Err(illegal(envelope, "it was requested already")),
        Event::Started => {
            expect(state, envelope, &[Phase::Queued])?;
            state.phase = Phase::Running;
            state.clocks.started_at = Some(*at);
        }
        Event::StepStarted { step, attempt } => {
            expect(state, envelope, &[Phase::Running])?;
            let status = step_in(state, *step, StepState::Pending, envelope)?;
            status.begin(false, *attempt, *at);
        }
        Event::StepSucceeded { step, evidence, checkpoint, .. } => {
            let status = step_in(state, *step, StepState::Running, envelope)?;
            status.end(StepState::Succeeded, *at, None, evidence);
            if let Some(checkpoint) = checkpoint {
                let service = state.plan.steps[*step as usize].service;
                state.checkpoints.insert(service, checkpoint.clone());
            }
        }
        Event::StepFailed { step, reason, evidence, .. } => {
            let status = step_in(state, *step, StepState::Running, envelope)?;
            status.end(StepState::Failed, *at, Some(reason), evidence);
        }
        Event::StepUnknown { step, reason, .. } => {
            let status = step_in(state, *step, StepState::Running, envelope)?;
            status.end(StepState::Unknown, *at, Some(reason), &[]);
        }
        Event::FailureDetected { failure } => {
            expect(state, envelope, &[Phase::Running])?;
            begin_rollback(state, *at, Ending::RolledBack);
            state.failure = Some(failure.clone());
        }
        Event::CancelRequested { by, reason } => {
            expect(state, envelope, &[Phase::Queued, Phase::Running])?;
            let ending = Ending::Cancelled { by: by.clone(), reason: reason.clone() };
            if state.phase == Phase::Running {
                begin_rollback(state, *at, ending);
            } else {
                state.ending = Some(ending);
            }
            let why = reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
            state.failure = Some(Failure {
                step: None,
                service: None,
                version: None,
                reason: format!("cancelled by {}{why}", by.user),
            });
        }
        Event::RollbackPlanned { rollback } => {
            expect(state, envelope, &[Phase::RollingBack])?;
            state.rollback = Some(rollback.clone());
            state.rollback_since = Some(*at);
            state.clocks.decided_at = Some(*at);
        }
        Event::UndoStarted { step, attempt } => {
            expect(state, envelope, &[Phase::RollingBack])?;
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
        Event::OperatorNeeded { reason } => {
            expect(state, envelope, &[Phase::RollingBack])?;
            state.phase = Phase::NeedsOperator;
            state.operator_reason = Some(reason.clone());
        }
        Event::UndoRetried { .. } => {
            expect(state, envelope, &[Phase::NeedsOperator])?;
            retry(state, *at);
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
    state.clocks.detected_at = Some(at);
    for status in &mut state.steps {
        if status.state == StepState::Pending {
            status.state = StepState::Skipped;
        }
    }
}

/// What failed may be tried again: undos of a release, steps of a restore.
fn retry(state: &mut Deployment, at: Timestamp) {
    state.operator_reason = None;
    match state.plan.kind {
        DeploymentKind::Deploy => {
            state.phase = Phase::RollingBack;
            state.rollback_since = Some(at);
            for status in &mut state.steps {
                if status.state == StepState::UndoFailed {
                    status.state = StepState::Unknown;
                }
            }
        }
        DeploymentKind::Restore { .. } => {
            state.phase = Phase::Running;
            state.failure = None;
            state.ending = None;
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
