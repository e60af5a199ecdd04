//! Rows that follow from events: what is asked for often, kept beside the journal in the same
//! transaction. Made only from the state after the events, so they can be rebuilt.

use crate::{
    port::store::{CheckpointRow, Rows, ServingRow, StepRow},
    restriction, view,
};
use lockstep_model::{
    Attempt, DeploymentId, RevisionId, Timestamp,
    deployment::{Deployment, Resolution, StepState},
    event::{Envelope, Event, Finding},
    gateway::Slot,
    plan::{Goal, PlannedService, Serving},
    restriction::Restriction,
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
    let mut holds = Vec::new();
    for envelope in events {
        let hold = restriction::hold_after(state, &envelope.event, envelope.at);
        holds.extend(hold.map(|hold| Restriction { deployment: Some(id), ..hold }));
        match &envelope.event {
            Event::StepStarted { step, .. }
            | Event::StepFailed { step, .. }
            | Event::StepUnknown { step, .. }
            | Event::ProbeStarted { step, .. }
            | Event::ProbeFinished {
                step,
                finding: Finding::NotDone { .. } | Finding::CannotTell { .. },
                ..
            }
            | Event::StepSkipped { step, .. }
            | Event::StepRetried { step, .. }
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
                serving.extend(now_serves(id, state, *step, envelope.at));
            }
            Event::ProbeFinished { step, finding: Finding::Done { .. }, .. } => {
                steps.insert(*step);
                serving.extend(now_serves(id, state, *step, envelope.at));
            }
            Event::UndoSucceeded { step, .. } => {
                steps.insert(*step);
                if takes_back_serving(state, *step) {
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
            | Event::Rejected { .. }
            | Event::ApprovalLapsed { .. }
            | Event::Cancelled
            | Event::Superseded { .. }
            | Event::Failed => steps.extend(left_out(state)),
            Event::TakeBackRequested { services, .. } => {
                let planned = (0u32..).zip(&state.plan.steps);
                steps
                    .extend(planned.filter(|(_, one)| services.contains(&one.service)).map(|(step, _)| step));
            }
            Event::Started
            | Event::Approved { .. }
            | Event::ResolveBegun { .. }
            | Event::Closed { .. }
            | Event::CloseFailed { .. }
            | Event::TakeBackPlanned { .. }
            | Event::TakenBack
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::RollbackPlanned { .. }
            | Event::OperatorNeeded { .. }
            | Event::ReleaseCommitted
            | Event::RolledBack => {}
            Event::Resolved { outcome, .. } => {
                steps.extend(left_out(state));
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
        holds,
    }
}

/// Steps that waited, and those that were to be tried again, when nothing more begins.
fn left_out(state: &Deployment) -> impl Iterator<Item = u32> {
    let left = (0u32..).zip(&state.steps).filter(|(_, status)| {
        matches!(status.state, StepState::Skipped | StepState::Unknown | StepState::Running)
    });
    left.map(|(step, _)| step)
}

/// What serves once a step is done.
fn now_serves(id: DeploymentId, state: &Deployment, step: u32, since: Timestamp) -> Option<ServingRow> {
    let service = &state.plan.services[state.plan.steps[step as usize].service as usize];
    let row = || ServingRow { slot: slot(state, step), serving: wanted(service, id), since };
    state.plan.steps[step as usize].gives_all_traffic().then(row)
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
    state.plan.steps[step as usize].kind.gives_traffic()
}

/// Whether its undo changes what is known to serve. A canary's share was never all, so its undo only
/// tells something new where another revision had the traffic than was known.
fn takes_back_serving(state: &Deployment, step: u32) -> bool {
    let planned = &state.plan.steps[step as usize];
    let known = state.plan.services[planned.service as usize].from.as_ref().map(|from| &from.revision);
    let seen = state.checkpoints.get(&planned.service).map(|seen| seen.serving.as_ref().map(|s| &s.revision));
    planned.gives_all_traffic() || planned.kind.gives_traffic() && seen.is_some_and(|seen| seen != known)
}

fn slot(state: &Deployment, step: u32) -> Slot {
    let service = &state.plan.services[state.plan.steps[step as usize].service as usize];
    Slot {
        project: state.plan.project.clone(),
        environment: state.plan.environment.clone(),
        service: service.service.clone(),
    }
}
