//! Plans, as they are shown before they are started.

use super::Expected;
use crate::{
    Digest, EnvironmentName, ProjectName, ServiceName, StepId, TeamName, Version,
    plan::{PlanWarning, StepKind, Undo},
};
use serde::{Deserialize, Serialize};

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
    /// How long it takes, going by earlier ones.
    #[serde(default)]
    pub expected: Expected,
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
    /// The share of the traffic, in hundredths, that a canary's step gives the new version or follows;
    /// none = all, or none yet.
    #[serde(default)]
    pub weight: Option<u32>,
    /// Ids of the steps before it.
    pub after: Vec<StepId>,
    /// How it is undone.
    pub undo: Undo,
}
