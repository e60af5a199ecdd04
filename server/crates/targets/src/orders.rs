//! Orders of one step, one undo or one question: the same prefix for all of their keys, and one
//! way to read what comes back.

use lockstep_engine::port::{Host, HostError, HostOrder, Job};
use lockstep_model::{
    DeploymentId, Digest, Epoch, RevisionId, Version,
    gateway::Slot,
    health::Evidence,
    manifest::{GatewaySpec, Sticky, Target},
    secrets::Handed,
    wire::{
        ExecSpec, Exit, Observed, Order, OrderKey, Outcome, ProbeSpec, ProbeTo, ProbeWhat, RevisionSpec,
        Weight,
    },
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

/// Why a step or an undo did not end well.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It was not done.
    Failed { reason: String, evidence: Vec<Evidence> },
    /// Nobody knows how far it came.
    Unknown { reason: String },
}

impl Trouble {
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into(), evidence: Vec::new() }
    }

    /// Failed, after the evidence said so.
    pub(crate) fn seen(what: &str, evidence: Evidence) -> Self {
        Self::Failed {
            reason: format!("{what}; seen last: {}", evidence.sentence()),
            evidence: vec![evidence],
        }
    }

    pub(crate) fn into_reason(self) -> String {
        match self {
            Self::Failed { reason, .. } | Self::Unknown { reason } => reason,
        }
    }
}

/// What a probe found.
#[derive(Debug, Clone)]
pub(crate) struct Probed {
    pub(crate) evidence: Evidence,
    pub(crate) exit: Option<Exit>,
    pub(crate) restarts: u32,
}

/// Who gets the traffic, and who stays with whom.
#[derive(Debug, Default)]
pub(crate) struct Share {
    pub(crate) weights: Vec<Weight>,
    pub(crate) sticky: Option<Sticky>,
}

/// Gives orders below one prefix.
pub(crate) struct Orders<'a> {
    host: &'a dyn Host,
    deployment: Option<DeploymentId>,
    epoch: Epoch,
    prefix: String,
    /// Whose secrets a command gets.
    slot: Option<Slot>,
    /// What a command is told of the step that it belongs to.
    env: BTreeMap<String, String>,
    asked: AtomicU32,
}

impl<'a> Orders<'a> {
    pub(crate) fn of_step(job: &Job, host: &'a dyn Host) -> Self {
        let env = identity(job, "");
        Self { env, ..Self::of_job(job, host, job.run_prefix()) }
    }

    pub(crate) fn of_undo(job: &Job, host: &'a dyn Host) -> Self {
        let env = identity(job, "undo/");
        Self { env, ..Self::of_job(job, host, job.undo_prefix()) }
    }

    pub(crate) fn of_probe(job: &Job, host: &'a dyn Host) -> Self {
        Self::of_job(job, host, job.probe_prefix())
    }

    pub(crate) fn of_close(job: &Job, host: &'a dyn Host) -> Self {
        Self::of_job(job, host, job.close_prefix())
    }

    pub(crate) fn of_question(slot: &Slot, key: &str, host: &'a dyn Host) -> Self {
        let slot = Some(slot.clone());
        let (deployment, epoch, prefix) = (None, Epoch(0), format!("{key}/"));
        Self { host, deployment, epoch, prefix, slot, env: BTreeMap::new(), asked: AtomicU32::new(0) }
    }

    fn of_job(job: &Job, host: &'a dyn Host, prefix: String) -> Self {
        let (deployment, epoch, slot) = (Some(job.deployment), job.epoch, Some(job.slot()));
        Self { host, deployment, epoch, prefix, slot, env: BTreeMap::new(), asked: AtomicU32::new(0) }
    }

    pub(crate) async fn digest(&self, path: &str) -> Result<Option<Digest>, Trouble> {
        match self.give("digest", Order::Digest { path: path.to_owned() }).await? {
            Outcome::Digest { digest, .. } => Ok(digest),
            other => Err(unexpected(other)),
        }
    }

    /// Fails when the secrets of a target cannot be had.
    pub(crate) async fn try_secrets(&self, target: &Target) -> Result<(), Trouble> {
        let (Some(slot), sources) = (&self.slot, target.secrets()) else { return Ok(()) };
        if sources.is_empty() {
            return Ok(());
        }
        let tried = self.host.secrets_try(slot, sources).await;
        tried.map_err(|why| Trouble::failed(format!("a secret could not be had: {why}")))
    }

    /// Starts a revision, or finds that it runs.
    pub(crate) async fn start(&self, name: &str, revision: RevisionSpec) -> Result<(), Trouble> {
        match self.give(name, Order::Start { revision, secrets: Handed::default() }).await? {
            Outcome::Started { .. } => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn stop(&self, name: &str, revision: &RevisionId, grace_ms: u64) -> Result<(), Trouble> {
        match self.give(name, Order::Stop { revision: revision.clone(), grace_ms }).await? {
            Outcome::Stopped { .. } => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Runs a command to its end.
    pub(crate) async fn exec(&self, name: &str, mut spec: ExecSpec) -> Result<(Exit, String), Trouble> {
        spec.env.extend(self.env.clone());
        if !spec.secrets.is_empty() {
            spec.slot.clone_from(&self.slot);
        }
        match self.give(name, Order::Exec { spec, secrets: Handed::default() }).await? {
            Outcome::Exited { exit, tail } => Ok((exit, tail)),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn probe(
        &self,
        to: ProbeTo,
        what: ProbeWhat,
        version: &Version,
    ) -> Result<Probed, Trouble> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let spec = ProbeSpec { to, what, version: version.clone() };
        match self.give(&format!("probe-{number}"), Order::Probe { spec }).await? {
            Outcome::Probed { evidence, exit, restarts } => Ok(Probed { evidence, exit, restarts }),
            other => Err(unexpected(other)),
        }
    }

    /// Shares the traffic of a slot, and waits for the drain.
    pub(crate) async fn route(
        &self,
        name: &str,
        slot: &Slot,
        gateway: &GatewaySpec,
        Share { weights, sticky }: Share,
    ) -> Result<(), Trouble> {
        let order =
            Order::Route { slot: slot.clone(), gateway: gateway.clone(), weights, drain: true, sticky };
        match self.give(name, order).await? {
            // Requests that outlive the drain timeout are cut off when their revision is stopped;
            // that is what the timeout is for.
            Outcome::Routed { .. } => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Lets people look at a revision at an address of its own, or closes that.
    pub(crate) async fn preview(
        &self,
        name: &str,
        slot: &Slot,
        listen: &str,
        revision: Option<&RevisionId>,
    ) -> Result<(), Trouble> {
        let order =
            Order::Preview { slot: slot.clone(), listen: listen.to_owned(), revision: revision.cloned() };
        match self.give(name, order).await? {
            Outcome::Routed { .. } => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn observe(&self, slot: &Slot) -> Result<Observed, Trouble> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        match self.give(&format!("observe-{number}"), Order::Observe { slot: slot.clone() }).await? {
            Outcome::Observed { observed } => Ok(*observed),
            other => Err(unexpected(other)),
        }
    }

    async fn give(&self, name: &str, order: Order) -> Result<Outcome, Trouble> {
        let key = OrderKey(format!("{}{name}", self.prefix));
        let order = HostOrder { key, deployment: self.deployment, epoch: self.epoch, order };
        match self.host.order(order).await {
            Ok(Outcome::Failed { message }) => Err(Trouble::failed(message)),
            Ok(Outcome::StaleEpoch { .. }) => {
                Err(Trouble::Unknown { reason: "another coordinator owns this deployment".to_owned() })
            }
            Ok(Outcome::Cancelled) => Err(Trouble::Unknown { reason: "it was told to stop".to_owned() }),
            Ok(outcome) => Ok(outcome),
            Err(error @ (HostError::Lost { .. } | HostError::Cancelled { .. })) => {
                Err(Trouble::Unknown { reason: error.to_string() })
            }
        }
    }
}

/// So that whoever is called by a command can tell a repetition: the key stays the same whatever
/// happens to the coordinator, the agent or the attempt; the attempt says which try it is.
fn identity(job: &Job, undo: &str) -> BTreeMap<String, String> {
    let (deployment, step) = (job.deployment, &job.planned_step().id);
    BTreeMap::from([
        ("LOCKSTEP_DEPLOYMENT".to_owned(), deployment.to_string()),
        ("LOCKSTEP_STEP".to_owned(), step.to_string()),
        ("LOCKSTEP_ATTEMPT".to_owned(), job.attempt.to_string()),
        ("LOCKSTEP_IDEMPOTENCY_KEY".to_owned(), format!("d{deployment}/{undo}{step}")),
    ])
}

fn unexpected(outcome: Outcome) -> Trouble {
    Trouble::failed(format!("the agent answered something else than what was asked: {outcome:?}"))
}
