//! What the manifest's `queue` means for a new deployment: it waits or is refused. Whose place it
//! takes, or who takes its own, is looked at by the queue itself.

use crate::{Inner, Refused, abandon};
use lockstep_model::{DeploymentId, EnvironmentName, ProjectName, deployment::Phase, manifest::QueuePolicy};

/// Deployments that may wait for one environment.
const WAITING_MAX: usize = 100;

/// What is there already.
pub(crate) struct Line {
    live: Option<(DeploymentId, Phase)>,
    /// One that cannot be read and may be live.
    set_aside: Option<DeploymentId>,
    waiting: Vec<DeploymentId>,
}

pub(crate) fn look(inner: &Inner, project: &ProjectName, environment: &EnvironmentName) -> Line {
    let set_aside = inner.set_aside_in(project, environment);
    let mut line = Line { live: None, set_aside, waiting: Vec::new() };
    for (id, handle) in inner.workers() {
        if handle.project != *project || handle.environment != *environment {
            continue;
        }
        let phase = handle.state.borrow().phase;
        if phase.is_live() {
            line.live = Some((id, phase));
        } else if phase == Phase::Queued {
            line.waiting.push(id);
        }
    }
    line
}

impl Line {
    /// Whether another deployment may join.
    pub(crate) fn allows(&self, policy: Option<QueuePolicy>) -> Result<(), Refused> {
        if let Some((id, Phase::NeedsOperator)) = self.live {
            return Err(Refused::Conflict(format!(
                "deployment {id} needs an operator, and until then nothing else is deployed here; `lockstep status {id}` says what for; then `lockstep undo-retry`, `retry` or `resolve {id}`"
            )));
        }
        if let Some(id) = self.set_aside {
            return Err(Refused::Conflict(set_aside(id)));
        }
        let first = self.live.map(|(id, _)| id).or_else(|| self.waiting.first().copied());
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
}

/// Why nothing begins beside a deployment that cannot be read.
pub(crate) fn set_aside(id: DeploymentId) -> String {
    format!(
        "deployment {id} cannot be read and may be half done, so nothing else is deployed here; it is tried again every minute. {}",
        abandon::ways_out(id)
    )
}
