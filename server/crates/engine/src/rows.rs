//! Rows that follow from events: what is asked for often, kept beside the journal in the same
//! transaction. Made only from the state after the events, so they can be rebuilt.

use crate::{
    port::store::{CheckpointRow, Rows, ServingRow, StepRow},
    view,
};
use lockstep_model::{
    Attempt, DeploymentId, RevisionId, Timestamp,
    deployment::{Deployment, Resolution, StepState},
    event::{Envelope, Event},
    gateway::Slot,
    plan::{Goal, PlannedService, Serving, StepKind},
};
use std::collections::BTreeSet;

/// What a service's goal makes serve, when `deployment` reaches it; none = nothing.
pub fn wanted(service: &PlannedService, deployment: DeploymentId) -> Option<Serving> {
    match &service.goal {
        Goal::Version { version } => Some(Serving {
            revision: RevisionId::of(&service.service, deployment, Attempt::FIRST),
            version: version.clone(),
            deployment,
            spec: service.spec.clone(),
            artifact: service.artifact.clone(),
        }),
        Goal::Checkpoint { checkpoint } => checkpoint.serving.clone(),
        Goal::Unchanged => service.from.clone(),
    }
}

/// The rows that follow from `events`, the last of which is in `state`.
pub fn rows(id: DeploymentId, state: &Deployment, events: &[Envelope]) -> Rows {
    let mut steps = BTreeSet::new();
    let mut serving = Vec::new();
    let mut checkpoints = Vec::new();
    for envelope in events {
        match &envelope.event {
            Event::StepStarted { step, .. }
            | Event::StepFailed { step, .. }
            | Event::StepUnknown { step, .. }
            | Event::UndoStarted { step, .. }
            | Event::UndoFailed { step, .. } => {
                steps.insert(*step);
            }
            Event::StepSucceeded { step, checkpoint, .. } => {
                steps.insert(*step);
                if let Some(checkpoint) = checkpoint {
                    let slot = slot(state, *step);
                    checkpoints.push(CheckpointRow { slot, checkpoint: checkpoint.clone(), at: envelope.at });
                }
                if gives_traffic(state, *step) {
                    let service = &state.plan.services[state.plan.steps[*step as usize].service as usize];
                    let slot = slot(state, *step);
                    serving.push(ServingRow { slot, serving: wanted(service, id), since: envelope.at });
                }
            }
            Event::UndoSucceeded { step, .. } => {
                steps.insert(*step);
                if gives_traffic(state, *step) {
                    let service = state.plan.steps[*step as usize].service;
                    let before = state.checkpoints.get(&service).and_then(|c| c.serving.clone());
                    serving.push(ServingRow {
                        slot: slot(state, *step),
                        serving: before,
                        since: envelope.at,
                    });
                }
            }
            Event::Requested { .. } | Event::UndoRetried { .. } => {
                steps.extend(0..u32::try_from(state.steps.len()).unwrap_or(u32::MAX));
            }
            Event::FailureDetected { .. }
            | Event::CancelRequested { .. }
            | Event::Cancelled
            | Event::Superseded { .. }
            | Event::Failed => {
                let skipped = (0u32..).zip(&state.steps).filter(|(_, s)| s.state == StepState::Skipped);
                steps.extend(skipped.map(|(step, _)| step));
            }
            Event::Started
            | Event::RollbackPlanned { .. }
            | Event::OperatorNeeded { .. }
            | Event::ReleaseCommitted
            | Event::RolledBack => {}
            Event::Resolved { outcome, .. } => {
                serving.extend(said_to_serve(id, state, *outcome, envelope.at));
            }
        }
    }
    Rows {
        summary: view::summary(id, state),
        steps: steps
            .into_iter()
            .map(|step| StepRow { step, status: state.steps[step as usize].clone() })
            .collect(),
        serving,
        checkpoints,
    }
}

/// What serves by an operator's word, where Lockstep does not know: the services whose change was
/// begun and neither not needed nor undone.
fn said_to_serve(
    id: DeploymentId,
    state: &Deployment,
    outcome: Resolution,
    since: Timestamp,
) -> impl Iterator<Item = ServingRow> {
    let open = (0u32..).zip(&state.steps).filter(|(step, status)| {
        gives_traffic(state, *step)
            && !matches!(status.state, StepState::Pending | StepState::Skipped | StepState::Undone)
    });
    open.filter_map(move |(step, _)| {
        let place = state.plan.steps[step as usize].service;
        let serving = match outcome {
            Resolution::Succeeded => wanted(&state.plan.services[place as usize], id),
            Resolution::RolledBack => state.checkpoints.get(&place).and_then(|c| c.serving.clone()),
            // Left as it is, and as it was seen last.
            Resolution::Failed => return None,
        };
        Some(ServingRow { slot: slot(state, step), serving, since })
    })
}

fn gives_traffic(state: &Deployment, step: u32) -> bool {
    match state.plan.steps[step as usize].kind {
        StepKind::Shift | StepKind::Replace => true,
        StepKind::Precondition
        | StepKind::Preflight
        | StepKind::Prepare
        | StepKind::Verify
        | StepKind::Watch => false,
    }
}

fn slot(state: &Deployment, step: u32) -> Slot {
    let service = &state.plan.services[state.plan.steps[step as usize].service as usize];
    Slot {
        project: state.plan.project.clone(),
        environment: state.plan.environment.clone(),
        service: service.service.clone(),
    }
}
