//! What a deployment leaves open when an operator declares how it ended, and how that is closed: a
//! share of the traffic, a preview, a candidate that nobody needs. Closed before the deployment ends.

use crate::{
    Attempt,
    deployment::{Actor, Resolution},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Which revision of a service is to have all of the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CloseTo {
    /// The new one.
    New,
    /// The one that served before; the new one is ended.
    Before,
    /// The one that has all of it; where several share it, the one that served before. Nothing is ended.
    AsItIs,
}

/// A service that is left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Open {
    /// Place in [`crate::plan::Plan::services`].
    pub service: u32,
    /// To what it is closed.
    pub to: CloseTo,
}

/// An operator's word that waits until what is open is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Closing {
    /// Who.
    pub by: Actor,
    /// How it ended.
    pub outcome: Resolution,
    /// Why, in their words.
    pub reason: String,
    /// Which try.
    pub attempt: Attempt,
    /// What was open.
    pub open: Vec<Open>,
    /// Services that are closed.
    pub closed: BTreeSet<u32>,
    /// What could not be closed, and why: the operator is asked again.
    pub problem: Option<String>,
}

impl Closing {
    /// Whether it is under way.
    pub const fn is_active(&self) -> bool {
        self.problem.is_none()
    }

    /// Whether all is closed.
    pub fn is_done(&self) -> bool {
        self.open.iter().all(|open| self.closed.contains(&open.service))
    }

    /// To what a service is closed; none = it is not open.
    pub fn to(&self, service: u32) -> Option<CloseTo> {
        self.open.iter().find(|open| open.service == service).map(|open| open.to)
    }
}
