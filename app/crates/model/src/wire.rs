//! What coordinator and agent say to each other over `/agent`: JSON text frames, one order or
//! answer each. An order that changes something carries a key and an epoch; the agent carries it
//! out once and answers a repeated key from its ledger.

use crate::{
    AgentName, DeploymentId, Digest, Epoch, RevisionId, Timestamp, Version,
    gateway::{GatewayState, Route, Slot},
    health::Evidence,
    manifest::{CheckKind, HealthCheck, ProcessTarget, Sticky},
    secrets::{Handed, SecretSources},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Version of this protocol. A coordinator replaces an agent of the one before without touching what
/// it keeps, and refuses others.
pub const PROTOCOL: u32 = 3;
/// The largest frame, in bytes.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// What is kept of the output of one step, in bytes; the middle is dropped beyond it.
pub const OUTPUT_BYTES_MAX: u64 = 50 << 20;

/// Names one order for ever: `d12/backend.prepare/1/start`. The same key means the same work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderKey(pub String);

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Frames from the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AgentFrame {
    /// The first frame.
    Hello {
        /// Which installation the agent belongs to; another one is refused.
        installation: String,
        /// Its name.
        agent: AgentName,
        /// The protocol it speaks.
        protocol: u32,
        /// The version of its binary.
        version: String,
        /// Its process id.
        pid: u32,
    },
    /// An order's outcome.
    Outcome {
        /// Which order.
        key: OrderKey,
        /// What came of it.
        outcome: Outcome,
    },
    /// A piece of a command's output. Sent again from the last acknowledged place after a
    /// reconnection, so the receiver goes by `offset`.
    Output {
        /// Which order.
        key: OrderKey,
        /// The place of the first byte in the whole output.
        offset: u64,
        /// The text; bytes that are not UTF-8 are replaced.
        text: String,
    },
    /// Nothing below a prefix is carried out any more, and nothing below it ever will be.
    CancelledBelow {
        /// The prefix.
        prefix: String,
        /// The cancel itself was refused: its epoch is lower than this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stale: Option<Epoch>,
    },
    /// A kept process ended without being told to.
    Exited {
        /// Which revision.
        revision: RevisionId,
        /// How.
        exit: Exit,
        /// When.
        at: Timestamp,
        /// Whether the agent starts it again, within its budget.
        restarts: bool,
    },
    /// Sign of life, every few seconds.
    Alive,
}

/// Frames from the coordinator.
#[allow(
    clippy::large_enum_variant,
    reason = "values of a wire format, one at a time; a box would show in every match"
)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CoordinatorFrame {
    /// The agent is known and may work.
    Welcome {
        /// The protocol that both speak.
        protocol: u32,
    },
    /// The agent may not work here.
    Rejected {
        /// Why, and what to do.
        message: String,
    },
    /// Carry this out.
    Order(OrderFrame),
    /// Stop carrying out every order whose key begins with `prefix`: a running command's tree is
    /// ended, also one that an agent before this one began, a probe is dropped, what cannot be
    /// stopped comes to its end. Answered with [`AgentFrame::CancelledBelow`] when nothing of it is
    /// left; an order below it that comes late is refused, also by the next agent.
    CancelBelow {
        /// What the keys begin with; it ends with a slash.
        prefix: String,
        /// On whose behalf.
        deployment: DeploymentId,
        /// The owner's epoch; a lower one than was seen stops nothing.
        epoch: Epoch,
    },
    /// The outcome of `key` is durable here and need not be kept to be sent again.
    Ack {
        /// Which order.
        key: OrderKey,
    },
    /// End: with `services` also everything that the agent keeps.
    Shutdown {
        /// Whether services and gateway end too.
        services: bool,
    },
}

/// An order with what identifies and fences it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderFrame {
    /// Its key.
    pub key: OrderKey,
    /// The deployment on whose behalf, if any; its epoch never goes down.
    pub deployment: Option<DeploymentId>,
    /// The owner's epoch. An agent refuses one lower than it has seen for the deployment.
    pub epoch: Epoch,
    /// What to do.
    pub order: Order,
}

/// What an agent can be told to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Order {
    /// Tells whether a path exists and its digest. Changes nothing.
    Digest {
        /// The path.
        path: String,
    },
    /// Starts a process under a hold and keeps it. Answered when it runs; ready or not is
    /// somebody else's question. A revision that runs already is left alone.
    Start {
        /// What.
        revision: RevisionSpec,
        /// The values of its secrets.
        #[serde(default, skip_serializing_if = "Handed::is_empty")]
        secrets: Handed,
    },
    /// Ends a process: the stop signal, the grace time, then the end of its whole tree. It is no
    /// longer wanted afterwards. One that does not run is a success.
    Stop {
        /// Which.
        revision: RevisionId,
        /// How long it may take by itself.
        grace_ms: u64,
    },
    /// Runs a command under a hold to its end.
    Exec {
        /// What.
        spec: ExecSpec,
        /// The values of its secrets.
        #[serde(default, skip_serializing_if = "Handed::is_empty")]
        secrets: Handed,
    },
    /// Asks a revision or an address once. Changes nothing.
    Probe {
        /// What and where.
        spec: ProbeSpec,
    },
    /// Gives a slot's traffic to revisions, by name; the agent knows their addresses. With an
    /// empty list nobody serves.
    Route {
        /// Whose traffic.
        slot: Slot,
        /// Where it comes in, and the drain timeout.
        gateway: crate::manifest::GatewaySpec,
        /// Revisions and weights.
        weights: Vec<Weight>,
        /// Whether to wait until the revisions that lost their traffic are idle.
        drain: bool,
        /// Who stays with the revision that he met, while there are several.
        #[serde(default)]
        sticky: Option<Sticky>,
    },
    /// Lets people look at a revision at an address of its own, before it has traffic; with none the
    /// address is closed.
    Preview {
        /// Of what.
        slot: Slot,
        /// Where the gateway listens for it, as `127.0.0.1:8081`.
        listen: String,
        /// At which revision.
        revision: Option<RevisionId>,
    },
    /// Tells what runs and serves for a slot. Changes nothing.
    Observe {
        /// Which slot.
        slot: Slot,
    },
    /// Tells the gateway's state. Changes nothing.
    Gateway,
}

impl Order {
    /// Whether it changes something and so belongs into the ledger.
    pub const fn is_change(&self) -> bool {
        match self {
            Self::Start { .. }
            | Self::Stop { .. }
            | Self::Exec { .. }
            | Self::Route { .. }
            | Self::Preview { .. } => true,
            Self::Digest { .. } | Self::Probe { .. } | Self::Observe { .. } | Self::Gateway => false,
        }
    }
}

/// A revision's share of the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// Which revision.
    pub revision: RevisionId,
    /// 0 to 100.
    pub weight: u32,
}

/// All that is needed to start a process, now or after a reboot; templates not yet replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionSpec {
    /// Its name.
    pub revision: RevisionId,
    /// Whose it is.
    pub slot: Slot,
    /// Its version.
    pub version: Version,
    /// How it runs.
    pub process: ProcessTarget,
    /// The folder or file it is started from, absolute or relative to `workdir`.
    pub artifact: Option<String>,
}

/// A command to run to its end; templates not yet replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Environment variables beside the short list.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub workdir: Option<String>,
    /// The value of `${VERSION}`.
    pub version: Version,
    /// Whose port `${PORT}` is, when it is a process.
    pub port_of: Option<RevisionId>,
    /// Then its whole tree is ended.
    pub timeout_ms: u64,
    /// Variables whose values are secret, and where these come from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: SecretSources,
    /// On whose behalf, when there are any: they are of its environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
}

/// One question to a running thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSpec {
    /// Whom to ask.
    pub to: ProbeTo,
    /// What.
    pub what: ProbeWhat,
    /// The value of `${VERSION}` in the check.
    pub version: Version,
}

/// Whom a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ProbeTo {
    /// A process of the agent's, at its own port.
    Revision {
        /// Which.
        revision: RevisionId,
    },
    /// An address as `http://127.0.0.1:8080`.
    Address {
        /// The address.
        address: String,
    },
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ProbeWhat {
    /// All paths of a health check; the worst answer counts.
    Health {
        /// The health check.
        healthcheck: HealthCheck,
    },
    /// A check of `verify:` of kind http.
    Check {
        /// Its name.
        name: String,
        /// What it does.
        kind: CheckKind,
        /// An answer may take this long.
        timeout_ms: u64,
    },
    /// Only whether the process runs.
    Process,
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Outcome {
    /// The path's digest; none = it does not exist.
    Digest {
        /// The digest.
        digest: Option<Digest>,
        /// The path that was looked at, absolute.
        path: String,
    },
    /// The process runs.
    Started {
        /// The port it was given.
        port: u16,
        /// Its process id.
        pid: u32,
    },
    /// The process does not run.
    Stopped {
        /// How it ended; none = it was not running.
        exit: Option<Exit>,
        /// Whether the grace time passed and it was killed.
        killed: bool,
    },
    /// The command ended.
    Exited {
        /// How.
        exit: Exit,
        /// The last of its output.
        tail: String,
    },
    /// A probe's answer; `exit` when the process that was asked has ended.
    Probed {
        /// What was seen.
        evidence: Evidence,
        /// How the process ended, if it did.
        exit: Option<Exit>,
        /// How often the process was started again by itself since it was ordered.
        #[serde(default)]
        restarts: u32,
    },
    /// The traffic goes as told.
    Routed {
        /// False when requests were still running at the drain timeout.
        drained: bool,
    },
    /// What runs and serves.
    Observed {
        /// The observation.
        observed: Box<Observed>,
    },
    /// The gateway's state.
    Gateway {
        /// The state.
        state: GatewayState,
    },
    /// It was not done; nothing changed, as far as is known.
    Failed {
        /// What happened, why, and what to do.
        message: String,
    },
    /// The epoch is lower than one seen before; nothing was done.
    StaleEpoch {
        /// The highest epoch that was seen.
        seen: Epoch,
    },
    /// The order was cancelled before it ended; a command's tree is ended.
    Cancelled,
}

/// How a process or a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Exit {
    /// By itself, with a code.
    Code {
        /// The code.
        code: i32,
    },
    /// By a signal.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// It took too long and its tree was ended.
    TimedOut {
        /// The limit.
        timeout_ms: u64,
    },
    /// It could not be started.
    NotStarted {
        /// Why, and what to do.
        message: String,
    },
    /// It is gone and nobody knows how it ended.
    Lost,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code { code } => write!(f, "exit code {code}"),
            Self::Signal { signal } => write!(f, "ended by signal {signal}"),
            Self::TimedOut { timeout_ms } => write!(f, "ended after the limit of {timeout_ms} ms"),
            Self::NotStarted { message } => write!(f, "could not be started: {message}"),
            Self::Lost => f.write_str("gone, and nobody knows how it ended"),
        }
    }
}

/// What an agent sees of a slot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The revisions it keeps for the slot.
    pub revisions: Vec<ObservedRevision>,
    /// The route in the gateway; none = no route.
    pub route: Option<Route>,
    /// The second way in, where people look at what has no traffic; none = there is none.
    #[serde(default)]
    pub preview: Option<Route>,
}

/// A revision on a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservedRevision {
    /// What it is.
    pub spec: RevisionSpec,
    /// Whether it runs now.
    pub running: bool,
    /// Its port.
    pub port: u16,
    /// Its process id, when it runs.
    pub pid: Option<u32>,
    /// How it ended last, when it does not run.
    pub exit: Option<Exit>,
    /// How often it was started again by itself.
    #[serde(default)]
    pub restarts: u32,
    /// It ended more often than its restart budget allows, and is not started again.
    #[serde(default)]
    pub given_up: bool,
}
