//! A part of a release: single services that an operator takes back while the others go on.

use crate::{
    Timestamp,
    deployment::{Actor, Failure, RollbackPlan},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Services of a release that go back, or are back, while the others go on. One a deployment: who
/// takes back another service adds it here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Part {
    /// Places in [`crate::plan::Plan::services`]; nothing more of them begins.
    pub services: BTreeSet<u32>,
    /// What goes back; none while running steps of them are being stopped.
    pub rollback: Option<RollbackPlan>,
    /// All of it is back.
    pub is_back: bool,
    /// Since when its limit runs; set again when an operator retries.
    pub since: Timestamp,
    /// An operator is asked about it in a deployment that was paused, and is again afterwards.
    pub was_paused: bool,
    /// What had failed of them when somebody took them back: what is held afterwards.
    pub failure: Option<Failure>,
    /// Who took back the last of them.
    pub by: Actor,
    /// Why, in their words.
    pub reason: Option<String>,
    /// When they asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// When it was decided what goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// When all of it was back and probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_at: Option<Timestamp>,
}
