//! The manifest after it was read and checked: every default filled in, every environment's
//! overrides applied. The crate `manifest` makes it from YAML; nothing else does.

use crate::{
    Digest, EnvironmentName, ProjectName, ServiceName, TeamName, Version,
    approval::{Approvals, Trusted},
    plan::StepKind,
    secrets::SecretSources,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most services a manifest may have: most services have five steps, and a graph has at
/// most 10,000 nodes counted in services.
pub const SERVICES_MAX: usize = 10_000;

/// The default of [`RollbackSpec::guard_ms`]: as long as an old revision is kept running.
pub const GUARD_MS: u64 = 600_000;

/// A checked manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Manifest {
    /// The project it describes.
    pub project: ProjectName,
    /// Where `deploy` without `--env` goes.
    pub default_environment: Option<EnvironmentName>,
    /// The environments, with what holds for each whole deployment there.
    pub environments: BTreeMap<EnvironmentName, Environment>,
    /// The services.
    pub services: BTreeMap<ServiceName, Service>,
}

/// One environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Environment {
    /// What a degraded service means at a gate.
    pub degraded: DegradedPolicy,
    /// What happens to a second deployment while one is live.
    pub queue: QueuePolicy,
    /// How many services may be worked on at a time, from 1; watches do not count.
    pub max_parallel: u32,
    /// A whole deployment may take this long before it is taken back.
    pub deployment_timeout_ms: u64,
    /// Whether this environment demands a rollback point for every service: a step that cannot be
    /// undone is then refused without `--accept-no-rollback`. True for `production`.
    pub require_rollback: bool,
    /// When nobody deploys here; what serves can always be taken back.
    #[serde(default)]
    pub freeze: Vec<FreezeWindow>,
    /// What may be promoted here; none = nothing, it is deployed to.
    #[serde(default)]
    pub promotion: Option<Promotion>,
    /// What follows here when nobody knows how a step ended, where a service does not say; none =
    /// [`PRODUCTION`] asks, elsewhere what is safe to repeat is repeated.
    #[serde(default)]
    pub on_unknown: Option<OnUnknown>,
    /// Whose word a release needs before it begins here; none = nobody's.
    #[serde(default)]
    pub approvals: Option<Approvals>,
    /// Who may deploy here without verification; none = nobody.
    #[serde(default)]
    pub skip_verification: Option<Trusted>,
}

/// The environment with the stricter defaults, whatever its case.
pub const PRODUCTION: &str = "production";

/// What follows when nobody knows how a step ended, because its agent was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum OnUnknown {
    /// It is carried out again, so it has to bear that.
    Rerun,
    /// The target is asked what is true: done, or carried out again; an operator is asked where it
    /// cannot tell.
    Probe,
    /// An operator is asked.
    #[default]
    Ask,
}

/// What a service says of its steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OnUnknownSpec {
    /// For every step.
    pub every: Option<OnUnknown>,
    /// For single kinds of steps; goes before `every`.
    pub steps: BTreeMap<StepKind, OnUnknown>,
}

/// What may pass on to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Promotion {
    /// Where it must have served.
    pub from: EnvironmentName,
    /// For how long.
    pub soak_ms: u64,
}

/// A time that comes again and again, in which nobody deploys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FreezeWindow {
    /// What people call it.
    pub name: String,
    /// When it opens: a cron pattern of five fields.
    pub cron: String,
    /// How long it stays open.
    pub duration_ms: u64,
    /// The time zone of the pattern.
    pub timezone: String,
}

/// What a degraded answer means to a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DegradedPolicy {
    /// It passes.
    Pass,
    /// It passes and is reported.
    Warn,
    /// It does not pass.
    Block,
}

/// What happens to a deployment that is asked for while another one is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum QueuePolicy {
    /// It waits its turn.
    Fifo,
    /// It waits, and takes the place of those that wait already.
    Supersede,
    /// It is refused.
    Reject,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Service {
    /// Who answers for it.
    pub team: Option<TeamName>,
    /// What must be there before it changes.
    pub depends_on: BTreeMap<ServiceName, Condition>,
    /// How it is deployed, per environment that has a target for it.
    pub environments: BTreeMap<EnvironmentName, ServiceSpec>,
}

/// When a dependency is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Condition {
    /// Its new revision runs.
    Started,
    /// Its new revision is verified and has the traffic.
    Healthy,
}

/// How a service is deployed, checked and taken back in one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceSpec {
    /// Where and how it runs.
    pub target: Target,
    /// What must exist before anything changes; its digest is kept with the plan.
    pub artifact: Option<Artifact>,
    /// The version that is deployed when the request names none.
    pub version: Option<Version>,
    /// How its health is asked for.
    pub healthcheck: Option<HealthCheck>,
    /// Further checks that must pass before it gets traffic.
    pub verify: Vec<Check>,
    /// How the new version takes over.
    pub strategy: Strategy,
    /// A step may take this long, each attempt.
    pub step_timeout_ms: u64,
    /// How long it is watched after it took over; 0 = not at all.
    pub watch_ms: u64,
    /// How it is taken back.
    pub rollback: RollbackSpec,
    /// From its first change on, the service may take this long; none = no limit of its own.
    #[serde(default)]
    pub service_timeout_ms: Option<u64>,
    /// What follows when nobody knows how a step ended.
    #[serde(default)]
    pub on_unknown: OnUnknownSpec,
}

/// What is deployed: a file or folder on the agent's host. `${VERSION}` may stand in the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Artifact {
    /// Absolute, or relative to the target's `workdir`.
    pub path: String,
}

/// How the new version takes over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The new revision starts beside the old one, is verified, then gets the traffic.
    BlueGreen,
    /// The old one stops before the new one starts.
    Recreate,
    /// As blue-green, but the traffic moves in steps, and each is watched before the next.
    Canary(Canary),
}

/// The steps of a canary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Canary {
    /// What happens one after the other; weights rise, and the last is [`WEIGHT_ALL`].
    pub steps: Vec<CanaryStep>,
    /// Who stays with the version that he met; none = every request is drawn anew.
    pub sticky: Option<Sticky>,
}

/// All of the traffic, in hundredths.
pub const WEIGHT_ALL: u32 = 100;

/// One step of a canary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CanaryStep {
    /// The new version's share of the traffic in hundredths; 0 = none yet.
    pub weight: u32,
    /// How long it is watched with that share; 0 = not at all.
    pub bake_ms: u64,
    /// Names of checks in `verify` that must pass with that share.
    pub verify: Vec<String>,
}

/// By what users of a canary are told apart, so that each stays with the version that he met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// A cookie of this name, which the gateway sets and keeps from the service.
    Cookie(String),
    /// The value of this request header; requests without it are drawn anew.
    Header(String),
}

/// Where a service runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Target {
    /// A process that an agent keeps.
    Process(ProcessTarget),
    /// Commands of the user's that deploy, tell what serves, and take back.
    Command(CommandTarget),
}

impl Target {
    /// Variables whose values are secret.
    pub const fn secrets(&self) -> &SecretSources {
        match self {
            Self::Process(process) => &process.secrets,
            Self::Command(command) => &command.secrets,
        }
    }

    /// The word in the manifest.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
            Self::Command(_) => "command",
        }
    }

    /// Whether a revision that no longer serves leaves something that Lockstep could end.
    pub const fn leaves_something(&self) -> bool {
        match self {
            Self::Process(_) => true,
            Self::Command(_) => false,
        }
    }
}

/// A process that an agent starts, keeps and gives traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProcessTarget {
    /// Program and arguments; `${VERSION}` and `${PORT}` are replaced.
    pub command: Vec<String>,
    /// Environment variables beside the short list that every process gets.
    pub env: BTreeMap<String, String>,
    /// Further ones whose values are secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: SecretSources,
    /// Where it runs; absolute. None = the artifact's folder, or a folder of its own.
    pub workdir: Option<String>,
    /// Where users reach it: the gateway listens here and passes on. None = nobody calls it
    /// through the gateway.
    pub gateway: Option<GatewaySpec>,
    /// After the stop signal it has this long before it is killed.
    pub stop_grace_ms: u64,
    /// The old revision is kept running this long after a release has committed.
    pub keep_old_ms: u64,
    /// How often it may be started again by itself.
    pub restart: RestartBudget,
}

/// The place where users reach a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GatewaySpec {
    /// Address and port, as `127.0.0.1:8080`.
    pub listen: String,
    /// Only requests for this host name, when several services share one address.
    pub host: Option<String>,
    /// Where the new revision can be looked at before it has all the traffic, as `127.0.0.1:8081`.
    #[serde(default)]
    pub preview: Option<String>,
    /// Requests to the old revision that are under way may take this long to finish.
    pub drain_timeout_ms: u64,
}

/// How often a process that ended by itself is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RestartBudget {
    /// At most this often within `window_ms`.
    pub max: u32,
    /// The window.
    pub window_ms: u64,
    /// Wait this long before each start.
    pub backoff_ms: u64,
}

/// Commands of the user's. Each is an argument list, never a shell text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandTarget {
    /// Makes the version serve. Exit code 0 = done.
    pub deploy: Vec<String>,
    /// Prints the version that serves on its last line (nothing = not deployed), alone or with its
    /// share of the traffic: `VERSION` or `VERSION PERCENT%`.
    pub observe: Option<Vec<String>>,
    /// Makes the checkpoint serve again; `LOCKSTEP_CHECKPOINT_VERSION` names it, empty for "not
    /// deployed". None = `deploy` with the old version, or nothing that can be undone.
    pub undo: Option<Vec<String>>,
    /// Environment variables beside the short list that every command gets.
    pub env: BTreeMap<String, String>,
    /// Further ones whose values are secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: SecretSources,
    /// Where the commands run; absolute.
    pub workdir: Option<String>,
    /// A command may take this long; then its whole tree is ended.
    pub timeout_ms: u64,
    /// Where `healthcheck` and `verify` paths are asked, as `http://127.0.0.1:8080`.
    pub address: Option<String>,
}

/// How health is asked for. Paths are asked of the revision itself, not through the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HealthCheck {
    /// Path that tells whether it lives.
    pub live: Option<String>,
    /// Path that tells whether it can serve.
    pub ready: Option<String>,
    /// Path that tells more; degraded is read from it.
    pub detail: Option<String>,
    /// Time between two probes.
    pub interval_ms: u64,
    /// An answer may take this long.
    pub timeout_ms: u64,
    /// Probes that must fail in a row before the service counts as failed.
    pub retries: u32,
    /// It may take this long to get ready; failures before do not count.
    pub start_period_ms: u64,
}

/// A check of `verify:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// Its name in evidence and messages.
    pub name: String,
    /// What it does.
    pub kind: CheckKind,
    /// An answer may take this long.
    pub timeout_ms: u64,
}

/// What a check does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CheckKind {
    /// Asks an address and compares the answer.
    Http {
        /// Path on the revision, or a whole `http://` address.
        get: String,
        /// The status that is expected.
        status: u16,
        /// Text that the body must hold.
        contains: Option<String>,
        /// Top-level JSON fields and their expected text; `${VERSION}` is replaced.
        json: BTreeMap<String, String>,
        /// What the content type must begin with.
        content_type: Option<String>,
    },
    /// Runs a command; exit code 0 passes.
    Command {
        /// Program and arguments; `${VERSION}` and `${PORT}` are replaced.
        run: Vec<String>,
    },
}

/// How a service is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RollbackSpec {
    /// Whether a failure takes back by itself.
    pub auto: bool,
    /// How much of the release goes back with it.
    pub scope: RollbackScope,
    /// With scope `tied`: services that go back beside it.
    pub with: Vec<ServiceName>,
    /// The old version works with new neighbours, so order does not matter.
    pub compatible_with_previous: bool,
    /// Whether a version whose failure took a release back is held until somebody releases it.
    #[serde(default = "yes")]
    pub hold_version: bool,
    /// Taking back may take this long before an operator is asked.
    pub max_duration_ms: u64,
    /// So long after a release has committed, a process of it that used its restart budget up takes
    /// it back; later an operator is asked.
    #[serde(default = "guard_ms")]
    pub guard_ms: u64,
}

/// How much of a release goes back when one service fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RollbackScope {
    /// Every service that this release changed.
    Release,
    /// The failed service, its `with` list and what stands downstream of it.
    Tied,
}

/// A stored, immutable revision of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ManifestRevision {
    /// SHA-256 over the text as it was applied.
    pub digest: Digest,
    /// The text as it was applied.
    pub source: String,
    /// What was read from it.
    pub manifest: Manifest,
}

const fn yes() -> bool {
    true
}

const fn guard_ms() -> u64 {
    GUARD_MS
}
