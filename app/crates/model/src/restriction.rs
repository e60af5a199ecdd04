//! What stands in the way of a deployment: locks, holds, freezes. None of them ever stands in the way
//! of taking something back.

use crate::{DeploymentId, EnvironmentName, ProjectName, ServiceName, Timestamp, UserName, Version};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a restriction. It rises with each one, so it is also the epoch of a lock: ending one
/// by its number never ends the one that came after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RestrictionId(pub i64);

impl fmt::Display for RestrictionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for RestrictionId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.trim_start_matches('#').parse().map(Self)
    }
}

/// What kind of restriction it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RestrictionKind {
    /// Only its owner deploys.
    Lock,
    /// A version is not deployed again.
    Hold,
    /// Nobody deploys.
    Freeze,
}

impl RestrictionKind {
    /// The word in data and in sentences.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Hold => "hold",
            Self::Freeze => "freeze",
        }
    }
}

impl fmt::Display for RestrictionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A lock, a hold or a freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Restriction {
    /// Its number; none = it is a window of the manifest, which is ended there.
    pub id: Option<RestrictionId>,
    /// What it is.
    pub kind: RestrictionKind,
    /// In which project.
    pub project: ProjectName,
    /// In which environment.
    pub environment: EnvironmentName,
    /// Only for this service; none = for the whole environment.
    pub service: Option<ServiceName>,
    /// The version that is held.
    pub version: Option<Version>,
    /// The deployment whose rollback made it.
    pub deployment: Option<DeploymentId>,
    /// Who made it; none = Lockstep itself.
    pub owner: Option<UserName>,
    /// Why.
    pub reason: String,
    /// From when on it holds.
    pub since: Timestamp,
    /// Until when; none = until somebody ends it.
    pub until: Option<Timestamp>,
}

impl Restriction {
    /// Whether it holds now.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.since <= now && self.until.is_none_or(|until| now < until)
    }

    /// What it restricts, as `shop/production`, `shop/production frontend 2.1.0`.
    pub fn what(&self) -> String {
        let mut what = format!("{}/{}", self.project, self.environment);
        for part in
            [self.service.as_ref().map(ToString::to_string), self.version.as_ref().map(ToString::to_string)]
                .into_iter()
                .flatten()
        {
            what.push(' ');
            what.push_str(&part);
        }
        what
    }
}
