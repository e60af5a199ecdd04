//! Targets: the kinds of place to which a service can be deployed. A target turns a step into
//! orders and judges what came back; it decides nothing about the deployment.

use crate::{
    command::{StepOutcome, UndoOutcome},
    port::host::Host,
};
use async_trait::async_trait;
use lockstep_model::{
    Attempt, DeploymentId, Epoch, RevisionId, Timestamp, Version,
    gateway::Slot,
    health::Evidence,
    manifest::ServiceSpec,
    plan::{Checkpoint, Plan, PlannedService, PlannedStep, Serving},
    wire::OrderKey,
};
use std::sync::Arc;

/// A step or an undo to carry out.
#[derive(Debug, Clone)]
pub struct Job {
    /// Of which deployment.
    pub deployment: DeploymentId,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// Which try.
    pub attempt: Attempt,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Place in [`Plan::steps`].
    pub step: u32,
    /// What served before; there once the service's preflight has succeeded.
    pub checkpoint: Option<Checkpoint>,
}

impl Job {
    /// The step.
    pub fn planned_step(&self) -> &PlannedStep {
        &self.plan.steps[self.step as usize]
    }

    /// Its service.
    pub fn service(&self) -> &PlannedService {
        &self.plan.services[self.planned_step().service as usize]
    }

    /// The service in its environment.
    pub fn slot(&self) -> Slot {
        Slot {
            project: self.plan.project.clone(),
            environment: self.plan.environment.clone(),
            service: self.service().service.clone(),
        }
    }

    /// What the step makes serve; none = nothing is to serve. For an unchanged service this is
    /// what serves.
    pub fn wanted(&self) -> Option<Serving> {
        crate::rows::wanted(self.service(), self.deployment)
    }

    /// What every order key of this step's attempt begins with.
    pub fn run_prefix(&self) -> String {
        format!("d{}/{}/{}/", self.deployment, self.planned_step().id, self.attempt)
    }

    /// What every order key of this undo's attempt begins with.
    pub fn undo_prefix(&self) -> String {
        format!("d{}/undo/{}/{}/", self.deployment, self.planned_step().id, self.attempt)
    }

    /// The key of the order `name` below `prefix`.
    pub fn key(prefix: &str, name: &str) -> OrderKey {
        OrderKey(format!("{prefix}{name}"))
    }
}

/// What serves, as far as the target can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// When.
    pub at: Timestamp,
    /// The revision that has the traffic; none = nobody, or the target does not know revisions.
    pub revision: Option<RevisionId>,
    /// The version that serves; none = not deployed.
    pub version: Option<Version>,
    /// What was seen.
    pub evidence: Evidence,
}

/// Carries out steps of one kind of target, or of all by passing them on.
#[async_trait]
pub trait Target: Send + Sync {
    /// Carries out a step. Carrying it out again with the same job, after any interruption,
    /// comes to the same end without doing anything twice.
    async fn run(&self, job: &Job, host: &dyn Host) -> StepOutcome;

    /// Makes the job's checkpoint serve, as far as the step changed it, and probes that. Safe
    /// after any outcome of the step, and safe to repeat.
    async fn undo(&self, job: &Job, host: &dyn Host) -> UndoOutcome;

    /// Asks what serves now. `key` names the question.
    ///
    /// # Errors
    /// One sentence that says why it cannot be told.
    async fn observe(
        &self,
        slot: &Slot,
        spec: &ServiceSpec,
        serving: Option<&Serving>,
        key: &str,
        host: &dyn Host,
    ) -> Result<Observation, String>;

    /// Makes what should serve be there again on a host that knows nothing of it any more, as after
    /// everything was ended. True when something was started; what the host still knows is its own
    /// business and left alone.
    ///
    /// # Errors
    /// One sentence that says why it is not there.
    async fn bring_back(
        &self,
        slot: &Slot,
        serving: &Serving,
        key: &str,
        host: &dyn Host,
    ) -> Result<bool, String>;

    /// Ends what is kept of a revision that no longer serves. Ending it twice is a success.
    ///
    /// # Errors
    /// One sentence that says why it could not be ended.
    async fn retire(&self, slot: &Slot, serving: &Serving, key: &str, host: &dyn Host) -> Result<(), String>;
}
