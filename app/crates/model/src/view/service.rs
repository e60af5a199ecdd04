//! Services as they stand, how they were, and which versions of them are known.

use crate::{
    DeploymentId, EnvironmentName, ProjectName, RevisionId, ServiceName, TeamName, Timestamp, Version,
    deployment::Phase,
    health::{Evidence, Health},
};
use serde::{Deserialize, Serialize};

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
    /// What it needs.
    #[serde(default)]
    pub needs: Vec<ServiceName>,
}

impl ServiceView {
    /// What lists of services are filtered by, in lower case: project, environment, name, team.
    pub fn words(&self) -> String {
        let team = self.team.as_ref().map_or("", |team| team.as_str());
        format!("{} {} {} {team}", self.project, self.environment, self.service).to_ascii_lowercase()
    }
}

/// An environment of a project, in the order in which releases pass through them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnvironmentView {
    /// Project.
    pub project: ProjectName,
    /// The environment.
    pub name: EnvironmentName,
    /// Whether it demands a way back for every change, as production does: what changes it is
    /// confirmed by typing its name.
    pub is_guarded: bool,
}

/// One look at a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckView {
    /// When.
    pub at: Timestamp,
    /// How it was.
    pub health: Health,
    /// How long the answer took.
    pub latency_ms: u64,
}

/// Looks at a service that fell into the same minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckBucket {
    /// When these minutes begin.
    pub at: Timestamp,
    /// How often it was healthy.
    pub healthy: u32,
    /// How often it was degraded.
    pub degraded: u32,
    /// How often it was unhealthy.
    pub unhealthy: u32,
    /// How often nobody knew.
    pub unknown: u32,
    /// The longest answer.
    pub latency_max_ms: u64,
}

/// A service in an environment with what is known of its past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceDetail {
    /// As it stands.
    pub service: ServiceView,
    /// Whether its environment demands a way back.
    pub is_guarded: bool,
    /// The last looks, the newest last.
    pub checks: Vec<CheckView>,
    /// The last 24 hours in buckets of equal length, the newest last; hours without looks are left out.
    pub day: Vec<CheckBucket>,
    /// How long a bucket is.
    pub bucket_ms: u64,
}

/// What is known of a service before a deployment is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceVersions {
    /// The service.
    pub service: ServiceName,
    /// What serves.
    pub serving: Option<Version>,
    /// What the manifest names.
    pub manifest: Option<Version>,
    /// What it needs.
    pub needs: Vec<ServiceName>,
    /// Versions that were deployed somewhere, the newest first.
    pub known: Vec<KnownVersion>,
}

/// A version that was deployed before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KnownVersion {
    /// The version.
    pub version: Version,
    /// The last deployment with it.
    pub deployment: DeploymentId,
    /// Where that was.
    pub environment: EnvironmentName,
    /// How that ended.
    pub phase: Phase,
}
