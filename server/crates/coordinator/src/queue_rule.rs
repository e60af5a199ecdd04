//! What the manifest's `queue` means for a new deployment: it waits, takes the place of those that
//! wait, or is refused.

use crate::{Inner, Refused, WorkerHandle};
use lockstep_model::{
    DeploymentId, EnvironmentName, ProjectName, deployment::Phase, manifest::QueuePolicy,
    plan::DeploymentKind,
};

/// Deployments that may wait for one environment.
const WAITING_MAX: usize = 100;

/// What is there already.
pub(crate) struct Line {
    live: Option<(DeploymentId, Phase)>,
    waiting: Vec<(DeploymentId, WorkerHandle)>,
}

pub(crate) fn look(inner: &Inner, project: &ProjectName, environment: &EnvironmentName) -> Line {
    let mut line = Line { live: None, waiting: Vec::new() };
    for (id, handle) in inner.workers() {
        if handle.project != *project || handle.environment != *environment {
            continue;
        }
        let phase = handle.state.borrow().phase;
        match phase {
            Phase::Running | Phase::RollingBack | Phase::NeedsOperator => line.live = Some((id, phase)),
            Phase::Queued => line.waiting.push((id, handle)),
            Phase::Succeeded | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {}
        }
    }
    line
}

impl Line {
    /// Whether another deployment may join.
    pub(crate) fn allows(&self, policy: Option<QueuePolicy>) -> Result<(), Refused> {
        if let Some((id, Phase::NeedsOperator)) = self.live {
            return Err(Refused::Conflict(format!(
                "deployment {id} needs an operator, and until then nothing else is deployed here; see `lockstep status`, then `lockstep undo-retry {id}` or `lockstep resolve {id}`"
            )));
        }
        let first = self.live.map(|(id, _)| id).or_else(|| self.waiting.first().map(|(id, _)| *id));
        match (policy, first) {
            (Some(QueuePolicy::Reject), Some(id)) => Err(Refused::Conflict(format!(
                "deployment {id} is live here and the manifest refuses a second one (queue: reject); wait for it with `lockstep watch {id}`"
            ))),
            _ if self.waiting.len() >= WAITING_MAX => Err(Refused::Throttled(format!(
                "{WAITING_MAX} deployments wait for this environment already; wait, or end some with `lockstep cancel`"
            ))),
            _ => Ok(()),
        }
    }

    /// Those whose place the new one takes.
    pub(crate) fn superseded_by(self, policy: Option<QueuePolicy>) -> impl Iterator<Item = WorkerHandle> {
        let supersedes = policy == Some(QueuePolicy::Supersede);
        self.waiting
            .into_iter()
            .filter(move |(_, handle)| {
                supersedes && handle.state.borrow().plan.kind == DeploymentKind::Deploy
            })
            .map(|(_, handle)| handle)
    }
}
