//! Orders of one step, one undo or one question: the same prefix for all of their keys, and one
//! way to read what comes back.

use lockstep_engine::port::{Host, HostError, HostOrder, Job};
use lockstep_model::{
    DeploymentId, Digest, Epoch, RevisionId, Version,
    gateway::Slot,
    health::Evidence,
    manifest::GatewaySpec,
    wire::{
        ExecSpec, Exit, Observed, Order, OrderKey, Outcome, ProbeSpec, ProbeTo, ProbeWhat, RevisionSpec,
        Weight,
    },
};
use std::sync::atomic::{AtomicU32, Ordering};

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

/// Gives orders below one prefix.
pub(crate) struct Orders<'a> {
    host: &'a dyn Host,
    deployment: Option<DeploymentId>,
    epoch: Epoch,
    prefix: String,
    asked: AtomicU32,
}

impl<'a> Orders<'a> {
    pub(crate) fn of_step(job: &Job, host: &'a dyn Host) -> Self {
        Self::new(host, Some(job.deployment), job.epoch, job.run_prefix())
    }

    pub(crate) fn of_undo(job: &Job, host: &'a dyn Host) -> Self {
        Self::new(host, Some(job.deployment), job.epoch, job.undo_prefix())
    }

    pub(crate) fn of_question(key: &str, host: &'a dyn Host) -> Self {
        Self::new(host, None, Epoch(0), format!("{key}/"))
    }

    fn new(host: &'a dyn Host, deployment: Option<DeploymentId>, epoch: Epoch, prefix: String) -> Self {
        Self { host, deployment, epoch, prefix, asked: AtomicU32::new(0) }
    }

    pub(crate) async fn digest(&self, path: &str) -> Result<Option<Digest>, Trouble> {
        match self.give("digest", Order::Digest { path: path.to_owned() }).await? {
            Outcome::Digest { digest, .. } => Ok(digest),
            other => Err(unexpected(other)),
        }
    }

    /// Starts a revision, or finds that it runs.
    pub(crate) async fn start(&self, name: &str, revision: RevisionSpec) -> Result<(), Trouble> {
        match self.give(name, Order::Start { revision }).await? {
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
    pub(crate) async fn exec(&self, name: &str, spec: ExecSpec) -> Result<(Exit, String), Trouble> {
        match self.give(name, Order::Exec { spec }).await? {
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

    /// Gives the traffic of a slot to a revision, or to nobody, and waits for the drain.
    pub(crate) async fn route(
        &self,
        name: &str,
        slot: &Slot,
        gateway: &GatewaySpec,
        revision: Option<&RevisionId>,
    ) -> Result<(), Trouble> {
        let weights = revision.map(|revision| Weight { revision: revision.clone(), weight: 100 });
        let order = Order::Route {
            slot: slot.clone(),
            gateway: gateway.clone(),
            weights: weights.into_iter().collect(),
            drain: true,
        };
        match self.give(name, order).await? {
            // Requests that outlive the drain timeout are cut off when their revision is stopped;
            // that is what the timeout is for.
            Outcome::Routed { .. } => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn observe(&self, slot: &Slot) -> Result<Observed, Trouble> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        match self.give(&format!("observe-{number}"), Order::Observe { slot: slot.clone() }).await? {
            Outcome::Observed { observed } => Ok(observed),
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

fn unexpected(outcome: Outcome) -> Trouble {
    Trouble::failed(format!("the agent answered something else than what was asked: {outcome:?}"))
}
