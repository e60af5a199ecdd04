//! An operator leaves a step out or has it tried again. Possible while the deployment goes forward,
//! and where it asks how to go on; a rollback is steered by `undo-retry` and `resolve` alone.

use super::{Decision, Refusal};
use crate::{effect::Effect, plan::nearest};
use lockstep_model::{
    StepId,
    deployment::{Actor, Deployment, Phase, StepState},
    event::Event,
    plan::StepKind,
};

pub(super) fn skip(state: &Deployment, id: StepId, by: Actor, reason: String) -> Result<Decision, Refusal> {
    goes_forward(state)?;
    let step = place(state, &id)?;
    if reason.trim().is_empty() {
        return Err(Refusal::NoReason);
    }
    match state.plan.steps[step as usize].kind {
        StepKind::Precondition | StepKind::Verify | StepKind::Watch => {}
        StepKind::Preflight => {
            return Err(Refusal::StepIsNeeded {
                step: id,
                why: "it records what serves now, and without that nothing can be taken back",
            });
        }
        StepKind::Prepare | StepKind::Shift | StepKind::Replace => {
            return Err(Refusal::StepIsNeeded {
                step: id,
                why: "the new version would not serve; leave the service out of the release instead",
            });
        }
    }
    let status = &state.steps[step as usize];
    let effects = match status.state {
        StepState::Pending | StepState::Failed | StepState::Unknown => Vec::new(),
        StepState::Running => vec![Effect::StopStep { step, attempt: status.running_attempt() }],
        StepState::Succeeded
        | StepState::Skipped
        | StepState::Undoing
        | StepState::Undone
        | StepState::UndoFailed => {
            let what = "only one that waits, runs, failed or is unknown can be skipped";
            return Err(Refusal::StepState { step: id, state: status.state, what });
        }
    };
    Ok(Decision { events: vec![Event::StepSkipped { step, by, reason }], effects })
}

pub(super) fn retry(state: &Deployment, id: StepId, by: Actor) -> Result<Decision, Refusal> {
    goes_forward(state)?;
    let step = place(state, &id)?;
    let status = &state.steps[step as usize];
    let effects = match status.state {
        StepState::Failed | StepState::Unknown => Vec::new(),
        StepState::Running if status.retry_wanted => return Ok(Decision::nothing()),
        StepState::Running => vec![Effect::StopStep { step, attempt: status.running_attempt() }],
        StepState::Pending
        | StepState::Succeeded
        | StepState::Skipped
        | StepState::Undoing
        | StepState::Undone
        | StepState::UndoFailed => {
            let what = "only one that runs, failed or is unknown can be tried again";
            return Err(Refusal::StepState { step: id, state: status.state, what });
        }
    };
    Ok(Decision { events: vec![Event::StepRetried { step, by }], effects })
}

pub(super) fn goes_forward(state: &Deployment) -> Result<(), Refusal> {
    match state.phase {
        Phase::Running | Phase::Paused => Ok(()),
        Phase::NeedsOperator if state.asks_forward() => Ok(()),
        Phase::NeedsOperator => Err(Refusal::WaitsForOperator),
        Phase::Queued => Err(Refusal::StillQueued),
        Phase::RollingBack => Err(Refusal::AlreadyRollingBack),
        Phase::Succeeded | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
            Err(Refusal::AlreadyFinished { phase: state.phase })
        }
    }
}

fn place(state: &Deployment, id: &StepId) -> Result<u32, Refusal> {
    let steps = &state.plan.steps;
    if let Some((step, planned)) = (0u32..).zip(steps).find(|(_, planned)| planned.id == *id) {
        if state.is_in_part(planned.service) {
            let service = state.plan.services[planned.service as usize].service.clone();
            return Err(Refusal::TakenBack { service });
        }
        return Ok(step);
    }
    let hint = nearest(id.as_str(), steps.iter().map(|planned| planned.id.as_str()))
        .map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
    Err(Refusal::NoSuchStep { step: id.clone(), hint })
}

#[cfg(test)]
mod tests;
