//! What is asked of deployments and of what stands in their way.

use crate::{
    DeploymentId, EnvironmentName, ProjectName, ServiceName, StepId, Timestamp, Version,
    deployment::{ReleaseOrder, Resolution, Source},
    restriction::{RestrictionId, RestrictionKind},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

body! { /// A manifest to store.
ApplyManifest {
    /// What the sender calls the file, for messages.
    file: String,
    /// The YAML text.
    source: String,
} }
body! { /// A deployment that is wished for.
StartDeployment {
    /// The project; none = the only one.
    #[serde(default)]
    project: Option<ProjectName>,
    /// The environment; none = the project's default.
    #[serde(default)]
    environment: Option<EnvironmentName>,
    /// Services and their versions; none as version = the manifest's. Empty = all services of
    /// the environment.
    #[serde(default)]
    services: BTreeMap<ServiceName, Option<Version>>,
    /// In which order they are changed.
    #[serde(default, skip_serializing_if = "ReleaseOrder::is_usual")]
    order: ReleaseOrder,
    /// Where the release comes from.
    #[serde(default)]
    source: Source,
    /// Why, in one's own words.
    #[serde(default)]
    reason: Option<String>,
    /// Accept that something cannot be taken back.
    #[serde(default)]
    accept_no_rollback: bool,
    /// Leave checks and watches out; for those whom the environment trusts with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    skip_verification: bool,
    /// The same key with the same body starts once.
    #[serde(default)]
    idempotency_key: Option<String>,
} }
body! { /// Lets nothing more begin.
PauseDeployment {
    /// Its number.
    id: DeploymentId,
    /// Why, in one's own words.
    #[serde(default)]
    reason: Option<String>,
} }
body! { /// Leaves a step out.
SkipStep {
    /// The deployment.
    id: DeploymentId,
    /// The step, as `backend.watch`.
    step: StepId,
    /// Why; it is recorded.
    reason: String,
} }
body! { /// Tries a step again.
RetryStep {
    /// The deployment.
    id: DeploymentId,
    /// The step, as `backend.verify`.
    step: StepId,
} }
body! { /// Ends a deployment.
EndDeployment {
    /// Its number.
    id: DeploymentId,
    /// Why, in one's own words.
    #[serde(default)]
    reason: Option<String>,
    /// Services whose new version has all the traffic keep it.
    #[serde(default)]
    keep: bool,
} }
body! { /// What to take back.
RollbackDeployment {
    /// The deployment that is taken back; none = the last one of the environment that changed
    /// something.
    #[serde(default)]
    id: Option<DeploymentId>,
    /// The project, when no id is given; none = the only one.
    #[serde(default)]
    project: Option<ProjectName>,
    /// The environment, when no id is given; none = the project's default.
    #[serde(default)]
    environment: Option<EnvironmentName>,
    /// Only these services; of one that is live with what needs them, and the others go on. Empty = all
    /// that it changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    services: Vec<ServiceName>,
    /// Why, in one's own words.
    #[serde(default)]
    reason: Option<String>,
    /// The same key with the same body starts once.
    #[serde(default)]
    idempotency_key: Option<String>,
} }
body! { /// What passes on.
PromoteDeployment {
    /// The project; none = the only one.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Where it serves; none = as the manifest says.
    #[serde(default)]
    from: Option<EnvironmentName>,
    /// Where it goes; none = the only environment that takes promotions.
    #[serde(default)]
    to: Option<EnvironmentName>,
    /// Only these services; empty = all that differ.
    #[serde(default)]
    services: Vec<ServiceName>,
    /// Why, in one's own words.
    #[serde(default)]
    reason: Option<String>,
    /// Accept that something cannot be taken back.
    #[serde(default)]
    accept_no_rollback: bool,
    /// The same key with the same body starts once.
    #[serde(default)]
    idempotency_key: Option<String>,
} }
body! { /// Names a service of a deployment.
RetryService {
    /// The deployment.
    id: DeploymentId,
    /// The service.
    service: ServiceName,
} }
body! { /// A service whose new version is kept as it is.
KeepService {
    /// The deployment.
    id: DeploymentId,
    /// The service.
    service: ServiceName,
    /// Why; it is recorded.
    reason: String,
} }
/// Something that is done to a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Act {
    /// `pause`.
    Pause,
    /// `resume`.
    Resume,
    /// `skip`, of a step.
    Skip,
    /// `retry`, of a step or of a service.
    Retry,
    /// `keep`, of a service.
    Keep,
    /// `cancel`.
    Cancel,
    /// `rollback`, of all or of services.
    Rollback,
    /// `undo-retry`.
    UndoRetry,
    /// `resolve`.
    Resolve,
}
body! { /// What is to be foreseen.
ForeseeDeployment {
    /// The deployment.
    id: DeploymentId,
    /// What would be done to it.
    act: Act,
    /// The step that it would be done to.
    #[serde(default)]
    step: Option<StepId>,
    /// The services that it would be done to; one, but for a rollback.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    services: Vec<ServiceName>,
    /// Of a cancel: services whose new version has all the traffic keep it.
    #[serde(default)]
    keep: bool,
    /// Of a resolve: how it ended.
    #[serde(default)]
    outcome: Option<Resolution>,
    /// Of a resolve: nothing is changed outside.
    #[serde(default)]
    leave: bool,
} }
body! { /// How it ended.
ResolveDeployment {
    /// Its number.
    id: DeploymentId,
    /// How it ended.
    outcome: Resolution,
    /// Why; it is recorded.
    reason: String,
    /// Nothing is changed outside: a share of the traffic, a preview and a candidate stay as they are.
    #[serde(default)]
    leave: bool,
} }
body! { /// A deployment to give up.
AbandonDeployment {
    /// Its number.
    id: DeploymentId,
    /// Why; it is recorded.
    reason: String,
    /// The name of its environment, typed by whoever knows that it may be half done.
    confirm: EnvironmentName,
} }
body! { /// A restriction to make.
AddRestriction {
    /// What it is.
    kind: RestrictionKind,
    /// The project; none = the only one.
    #[serde(default)]
    project: Option<ProjectName>,
    /// The environment; none = the project's default.
    #[serde(default)]
    environment: Option<EnvironmentName>,
    /// Only this service; none = the whole environment. A hold names one.
    #[serde(default)]
    service: Option<ServiceName>,
    /// The version that is held.
    #[serde(default)]
    version: Option<Version>,
    /// Why; it is recorded and shown.
    reason: String,
    /// From when on; none = now.
    #[serde(default)]
    since: Option<Timestamp>,
    /// How long; none = until somebody ends it. A lock and a freeze need it.
    #[serde(default)]
    duration_ms: Option<u64>,
} }
body! { /// A restriction to end.
EndRestriction {
    /// Its number.
    id: RestrictionId,
    /// Why; it is recorded.
    reason: String,
    /// To end somebody else's lock: the name of its environment, typed.
    #[serde(default)]
    confirm: Option<EnvironmentName>,
} }
