//! What may pass from one environment to the next, for people and programs.

use crate::{DeploymentId, EnvironmentName, ProjectName, ServiceName, Timestamp, Version};
use serde::{Deserialize, Serialize};

/// What a promotion would bring, and what stands in its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromotionView {
    /// The project.
    pub project: ProjectName,
    /// Where the versions serve now.
    pub from: EnvironmentName,
    /// Where they may go.
    pub to: EnvironmentName,
    /// Whether `to` demands a way back for every change.
    pub is_guarded: bool,
    /// How long a version must have served in `from`.
    pub soak_ms: u64,
    /// The services that differ, or that were asked for.
    pub services: Vec<PromotedView>,
}

/// A service in a promotion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromotedView {
    /// The service.
    pub service: ServiceName,
    /// What serves where it would go; none = nothing.
    pub from: Option<Version>,
    /// What serves where it comes from; none = nothing.
    pub to: Option<Version>,
    /// The deployment that brought it there.
    pub deployment: Option<DeploymentId>,
    /// Since when it serves there.
    pub since: Option<Timestamp>,
    /// How long it must still serve there; 0 = it has soaked.
    pub left_ms: u64,
    /// Why it may not go, in one sentence; none = it may.
    pub refusal: Option<String>,
}

impl PromotionView {
    /// Whether something may go and nothing stands in the way.
    pub fn is_ready(&self) -> bool {
        !self.services.is_empty() && self.services.iter().all(|one| one.refusal.is_none())
    }
}
