//! Whose turn it is: one live deployment per project and environment. A restore goes to the head
//! of the queue, then the oldest. A reconciler: it looks at what there is, on a nudge and on a
//! timer, so a lost nudge costs time only.

use crate::{Inner, WorkerHandle, worker::Message};
use lockstep_engine::Command;
use lockstep_model::{DeploymentId, EnvironmentName, ProjectName, deployment::Phase, plan::DeploymentKind};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::timeout;

const EVERY: Duration = Duration::from_secs(2);

pub(crate) async fn repeatedly(inner: Arc<Inner>) {
    loop {
        let _ = timeout(EVERY, inner.queue_nudge.notified()).await;
        for (id, handle) in next_in_line(inner.workers()) {
            tracing::debug!(deployment.id = %id, "the turn of deployment {id} has come");
            let _ = handle.messages.send(Message::silent(Command::Start)).await;
        }
    }
}

/// The deployments whose turn has come: the first in line of each environment where none is live.
fn next_in_line(workers: Vec<(DeploymentId, WorkerHandle)>) -> Vec<(DeploymentId, WorkerHandle)> {
    let mut environments: BTreeMap<(ProjectName, EnvironmentName), Vec<_>> = BTreeMap::new();
    for (id, handle) in workers {
        environments
            .entry((handle.project.clone(), handle.environment.clone()))
            .or_default()
            .push((id, handle));
    }
    environments.into_values().filter_map(first_in_line).collect()
}

fn first_in_line(deployments: Vec<(DeploymentId, WorkerHandle)>) -> Option<(DeploymentId, WorkerHandle)> {
    let is_live = |(_, handle): &(DeploymentId, WorkerHandle)| match handle.state.borrow().phase {
        Phase::Running | Phase::RollingBack | Phase::NeedsOperator => true,
        Phase::Queued
        | Phase::Succeeded
        | Phase::RolledBack
        | Phase::Failed
        | Phase::Cancelled
        | Phase::Superseded => false,
    };
    if deployments.iter().any(is_live) {
        return None;
    }
    deployments
        .into_iter()
        .filter(|(_, handle)| handle.state.borrow().phase == Phase::Queued)
        .min_by_key(|(id, handle)| (handle.state.borrow().plan.kind == DeploymentKind::Deploy, *id))
}
