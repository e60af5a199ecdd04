//! How a deployment goes back, for people and programs.

use crate::{ServiceName, StepId, Timestamp, Version, deployment::Actor};
use serde::{Deserialize, Serialize};

/// How a deployment goes back, or single services of it. What its steps come to is told by the steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RollbackView {
    /// What began it.
    pub trigger: RollbackTrigger,
    /// Why, in one sentence.
    pub reason: String,
    /// From the verdict to the end it may take this long before an operator is asked; none = it is not
    /// decided yet what goes back, or nothing had to.
    pub max_duration_ms: Option<u64>,
    /// When it was noticed, or somebody asked for it.
    #[serde(default)]
    pub detected_at: Option<Timestamp>,
    /// When it was decided what goes back.
    #[serde(default)]
    pub decided_at: Option<Timestamp>,
    /// When all that goes back was probed and served.
    #[serde(default)]
    pub stable_at: Option<Timestamp>,
    /// What goes back; what waits for others stands after them.
    pub services: Vec<RollbackServiceView>,
    /// What this deployment was to change and does not go back.
    pub stays: Vec<StaysView>,
}

/// What began a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RollbackTrigger {
    /// A gate, a watch or a limit of the manifest.
    Rule {
        /// The step that failed; none = the whole took too long, or a process gave up later.
        step: Option<StepId>,
    },
    /// Somebody.
    Person {
        /// Who.
        by: Actor,
    },
}

/// A service that goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RollbackServiceView {
    /// The service.
    pub service: ServiceName,
    /// What was deployed; none = it was to be ended.
    pub from: Option<Version>,
    /// What serves again; none = nothing served before.
    pub to: Option<Version>,
    /// Services that must be back before.
    pub after: Vec<ServiceName>,
    /// Steps that are undone, in this order.
    pub steps: Vec<StepId>,
}

/// A service that does not go back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StaysView {
    /// The service.
    pub service: ServiceName,
    /// Why.
    pub why: String,
}
