//! Pauses: each is one of its own, so that whoever ends the one they know ends no other.

use crate::{DeploymentId, Seq, Timestamp, deployment::Actor};
use serde::{Deserialize, Serialize};

/// A pause that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pause {
    /// The event that began it; there is no other pause of its deployment with the same.
    pub seq: Seq,
    /// By whom.
    pub by: Actor,
    /// Since when.
    pub at: Timestamp,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Lets a paused deployment go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResumeDeployment {
    /// Its number.
    pub id: DeploymentId,
    /// Only if it is this pause that stands, as `paused.seq` of the deployment says it; none = whichever
    /// stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Seq>,
}
