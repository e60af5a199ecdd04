//! Targets: the kinds of place to which a service can be deployed. A target turns a step into
//! orders and judges what came back; it decides nothing about the deployment.

use crate::{
    command::{StepOutcome, UndoOutcome},
    port::host::Host,
};
use async_trait::async_trait;
use lockstep_model::{
    Attempt, DeploymentId, Epoch, RevisionId, Timestamp, Version,
    closing::CloseTo,
    event::Finding,
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
    /// How long ago this try began: more than a moment only where another coordinator takes it up again.
    pub begun_ms: u64,
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
        self.run_prefix_of(self.attempt)
    }

    /// What every order key of an attempt of the step begins with.
    pub fn run_prefix_of(&self, attempt: Attempt) -> String {
        format!("d{}/{}/{attempt}/", self.deployment, self.planned_step().id)
    }

    /// What every order key of this undo's attempt begins with.
    pub fn undo_prefix(&self) -> String {
        self.undo_prefix_of(self.attempt)
    }

    /// What every order key of an attempt of the undo begins with.
    pub fn undo_prefix_of(&self, attempt: Attempt) -> String {
        format!("d{}/undo/{}/{attempt}/", self.deployment, self.planned_step().id)
    }

    /// What every order key of closing the job's service begins with, in this attempt.
    pub fn close_prefix(&self) -> String {
        self.close_prefix_of(self.attempt)
    }

    /// What every order key of closing the job's service begins with.
    pub fn close_prefix_of(&self, attempt: Attempt) -> String {
        format!("d{}/close/{}/{attempt}/", self.deployment, self.service().service)
    }

    /// What every order key of the question about this step's attempt begins with.
    pub fn probe_prefix(&self) -> String {
        format!("d{}/probe/{}/{}/", self.deployment, self.planned_step().id, self.attempt)
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
    /// Its share of the traffic in percent; none = the target does not tell.
    pub traffic: Option<u8>,
    /// What was seen.
    pub evidence: Evidence,
    /// It ended more often than it is started again: what happened, in one sentence.
    pub given_up: Option<String>,
}

/// Carries out steps of one kind of target, or of all by passing them on.
#[async_trait]
pub trait Target: Send + Sync {
    /// Carries out a step. Carrying it out again with the same job, after any interruption,
    /// comes to the same end without doing anything twice.
    async fn run(&self, job: &Job, host: &dyn Host) -> StepOutcome;

    /// Asks what became of a step that changes something and whose outcome was lost. Only looks; what
    /// cannot be told for sure counts as not told.
    async fn probe(&self, job: &Job, host: &dyn Host) -> Finding;

    /// Makes the job's checkpoint serve, as far as the step changed it, and probes that. Safe
    /// after any outcome of the step, and safe to repeat.
    async fn undo(&self, job: &Job, host: &dyn Host) -> UndoOutcome;

    /// Closes what the job's service has left open, after an operator has said how its deployment ended.
    /// Safe to repeat.
    ///
    /// # Errors
    /// One sentence that says why it stays open.
    async fn close(&self, job: &Job, to: CloseTo, host: &dyn Host) -> Result<(), String>;

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
