//! What people and programs are shown. Views are made from rows; they never decide anything.

use crate::{
    DeploymentId, Digest, EnvironmentName, ProjectName, RevisionId, Seq, ServiceName, StepId, TeamName,
    Timestamp, UserName, Version,
    access::Role,
    deployment::{Actor, Clocks, Failure, Phase, Source, StepState},
    event::Envelope,
    health::{Evidence, Health},
    plan::{PlanWarning, StepKind, Undo},
};
use serde::{Deserialize, Serialize};

/// A deployment in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeploymentSummary {
    /// Its number.
    pub id: DeploymentId,
    /// Project.
    pub project: ProjectName,
    /// Environment.
    pub environment: EnvironmentName,
    /// Where it stands.
    pub phase: Phase,
    /// For a restore: the deployment before which things stood as they are to stand.
    pub restore_of: Option<DeploymentId>,
    /// What changes.
    pub services: Vec<ServiceChange>,
    /// Who asked.
    pub by: Actor,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Where the release comes from.
    pub source: Source,
    /// Why it did not go on.
    pub failure: Option<Failure>,
    /// What an operator is needed for.
    pub operator_reason: Option<String>,
    /// When things happened.
    pub clocks: Clocks,
    /// Steps that are done, and all steps.
    pub progress: (u32, u32),
    /// The last event.
    pub seq: Seq,
}

/// What a deployment changes of a service, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceChange {
    /// The service.
    pub service: ServiceName,
    /// Before; none = not deployed.
    pub from: Option<Version>,
    /// After; none = not deployed.
    pub to: Option<Version>,
    /// How far it is.
    pub state: ServiceProgress,
}

/// How far a service is in a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ServiceProgress {
    /// Not begun.
    Pending,
    /// Under way.
    Running,
    /// The new version serves and is being watched.
    Watching,
    /// The new version serves and passed.
    Done,
    /// It failed.
    Failed,
    /// It is being taken back.
    TakingBack,
    /// What served before serves again, and that was probed.
    Back,
    /// It could not be taken back.
    Stuck,
    /// It was not touched.
    Untouched,
}

/// A deployment with everything about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeploymentDetail {
    /// The head.
    pub summary: DeploymentSummary,
    /// The manifest it was planned from.
    pub manifest: Digest,
    /// The steps, in the plan's order.
    pub steps: Vec<StepView>,
    /// What served before, per changed service.
    pub checkpoints: Vec<CheckpointView>,
    /// What was said before it started.
    pub warnings: Vec<PlanWarning>,
    /// Services that need one of these and are not part of it: looked at, never changed.
    pub outside: Vec<OutsideView>,
}

/// A service that needs what a deployment changes and is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutsideView {
    /// The service.
    pub service: ServiceName,
    /// How it was seen last; none = not yet.
    pub evidence: Option<Evidence>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepView {
    /// Its id.
    pub id: StepId,
    /// Its service.
    pub service: ServiceName,
    /// What it does.
    pub kind: StepKind,
    /// Ids of the steps before it.
    pub after: Vec<StepId>,
    /// Where it stands.
    pub state: StepState,
    /// Its attempt; 0 = not begun.
    pub attempt: u32,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Why it failed.
    pub reason: Option<String>,
    /// What was seen last.
    pub evidence: Vec<Evidence>,
    /// How it is undone.
    pub undo: Undo,
}

/// What served before a deployment changed a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckpointView {
    /// The deployment before which it was taken; `rollback ID` takes this number.
    pub deployment: DeploymentId,
    /// The service.
    pub service: ServiceName,
    /// What served; none = not deployed.
    pub version: Option<Version>,
    /// In which revision.
    pub revision: Option<RevisionId>,
    /// When it was taken.
    pub at: Timestamp,
}

/// A plan as it is shown before it is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanView {
    /// Project.
    pub project: ProjectName,
    /// Environment.
    pub environment: EnvironmentName,
    /// The manifest.
    pub manifest: Digest,
    /// What changes.
    pub services: Vec<PlannedChange>,
    /// The steps.
    pub steps: Vec<PlannedStepView>,
    /// What should be known before the start.
    pub warnings: Vec<PlanWarning>,
}

/// What a plan changes of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedChange {
    /// The service.
    pub service: ServiceName,
    /// Who answers for it.
    pub team: Option<TeamName>,
    /// Before.
    pub from: Option<Version>,
    /// After; none for a dependency that is only probed.
    pub to: Option<Version>,
    /// Whether it is only probed.
    pub probed_only: bool,
    /// The kind of its target.
    pub target: String,
    /// The artifact's digest.
    pub artifact: Option<Digest>,
    /// What it depends on.
    pub depends_on: Vec<ServiceName>,
    /// Steps away from a service without dependencies, from 0: how plans are drawn.
    pub wave: u32,
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedStepView {
    /// Its id.
    pub id: StepId,
    /// What it does.
    pub kind: StepKind,
    /// Ids of the steps before it.
    pub after: Vec<StepId>,
    /// How it is undone.
    pub undo: Undo,
}

/// A service in an environment, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceView {
    /// Project.
    pub project: ProjectName,
    /// Environment.
    pub environment: EnvironmentName,
    /// The service.
    pub service: ServiceName,
    /// Who answers for it.
    pub team: Option<TeamName>,
    /// What serves; none = not deployed.
    pub version: Option<Version>,
    /// In which revision.
    pub revision: Option<RevisionId>,
    /// The deployment that brought it.
    pub deployment: Option<DeploymentId>,
    /// Since when it serves.
    pub since: Option<Timestamp>,
    /// How it was when it was probed last; none = never probed.
    pub health: Option<Health>,
    /// What that probe saw.
    pub evidence: Option<Evidence>,
    /// Where users reach it.
    pub address: Option<String>,
    /// A live deployment that changes it.
    pub changing: Option<DeploymentId>,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// Its place in the deployment's log; ask again with `after` set to it.
    pub cursor: i64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Which step; `service.kind`.
    pub step: String,
    /// The text without its line end.
    pub text: String,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserView {
    /// Name.
    pub name: UserName,
    /// Role.
    pub role: Role,
    /// Whether they may sign in.
    pub enabled: bool,
    /// Whether a password is set.
    pub has_password: bool,
    /// Since when there is this user.
    pub created_at: Timestamp,
}

/// A token; its secret is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenView {
    /// Its public part.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub user: UserName,
    /// What it may do; never more than its owner.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// When it was used last.
    pub last_used_at: Option<Timestamp>,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// A manifest that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ManifestView {
    /// The project.
    pub project: ProjectName,
    /// Its digest.
    pub digest: Digest,
    /// The text.
    pub source: String,
    /// Who applied it.
    pub applied_by: UserName,
    /// When.
    pub applied_at: Timestamp,
    /// Its environments.
    pub environments: Vec<EnvironmentName>,
    /// Where `deploy` without `--env` goes.
    pub default_environment: Option<EnvironmentName>,
    /// Its services.
    pub services: Vec<ServiceName>,
}

/// Events of a deployment and where it stands after them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsView {
    /// The events, in order.
    pub events: Vec<Envelope>,
    /// Where it stands.
    pub phase: Phase,
    /// The last event there is.
    pub seq: Seq,
}
