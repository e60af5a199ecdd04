//! An immutable plan: services, steps as a graph, and for each step how it is undone. Made by
//! `engine::plan`, never changed afterwards.

use crate::{
    DeploymentId, Digest, EnvironmentName, ProjectName, RevisionId, ServiceName, StepId, TeamName, Version,
    approval::Approvals,
    manifest::{Condition, DegradedPolicy, OnUnknown, ServiceSpec},
};
use serde::{Deserialize, Serialize};

/// What serves for a service, with all that is needed to make it serve again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Serving {
    /// The revision.
    pub revision: RevisionId,
    /// Its version.
    pub version: Version,
    /// The deployment that brought it.
    pub deployment: DeploymentId,
    /// How it was deployed.
    pub spec: ServiceSpec,
    /// The artifact's digest at that time.
    pub artifact: Option<Digest>,
}

/// What was serving before a change; `serving: None` is "not deployed". Undoing means making this
/// serve, whatever happened in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Checkpoint {
    /// What served.
    pub serving: Option<Serving>,
}

/// Why there is a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DeploymentKind {
    /// A release: new versions.
    Deploy,
    /// Makes a checkpoint of an ended deployment serve again.
    Restore {
        /// The deployment before which the checkpoint was taken.
        of: DeploymentId,
    },
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// Project.
    pub project: ProjectName,
    /// Environment.
    pub environment: EnvironmentName,
    /// Why.
    pub kind: DeploymentKind,
    /// The manifest it was made from.
    pub manifest: Digest,
    /// What a degraded service means at a gate.
    pub degraded: DegradedPolicy,
    /// How many services may be worked on at a time.
    pub max_parallel: u32,
    /// The whole may take this long.
    pub deployment_timeout_ms: u64,
    /// Services, dependencies first.
    pub services: Vec<PlannedService>,
    /// Steps; a step's number is its place here.
    pub steps: Vec<PlannedStep>,
    /// Services that depend on what changes and are not part of it: probed and reported after a
    /// rollback, never changed.
    pub outside: Vec<ServiceName>,
    /// What somebody should know before it starts.
    pub warnings: Vec<PlanWarning>,
    /// Whose word it needs before it begins; none = nobody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<Approvals>,
    /// Checks and watches are left out; it is only waited until what is new is up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skips_verification: bool,
}

/// A service in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedService {
    /// Its name.
    pub service: ServiceName,
    /// Who answers for it.
    pub team: Option<TeamName>,
    /// What serves now, as far as Lockstep knows.
    pub from: Option<Serving>,
    /// What is to be.
    pub goal: Goal,
    /// How it is deployed.
    pub spec: ServiceSpec,
    /// The artifact's digest when the plan was made.
    pub artifact: Option<Digest>,
    /// Places in [`Plan::services`] of what it depends on, and when that is there.
    pub depends_on: Vec<(u32, Condition)>,
}

/// What a plan wants of a service.
#[allow(
    clippy::large_enum_variant,
    reason = "values of a wire format, one at a time; a box would show in every match"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Goal {
    /// This version, in a new revision.
    Version {
        /// The version.
        version: Version,
    },
    /// This checkpoint, in the revision that it names.
    Checkpoint {
        /// The checkpoint.
        checkpoint: Checkpoint,
    },
    /// Nothing: it stands outside the release, is depended on, and is only probed.
    Unchanged,
}

impl PlannedService {
    /// The version that is to serve; none = nothing is to serve, or nothing changes.
    pub fn to_version(&self) -> Option<&Version> {
        match &self.goal {
            Goal::Version { version } => Some(version),
            Goal::Checkpoint { checkpoint } => checkpoint.serving.as_ref().map(|s| &s.version),
            Goal::Unchanged => None,
        }
    }

    /// Whether the plan changes this service.
    pub const fn is_changed(&self) -> bool {
        match self.goal {
            Goal::Version { .. } | Goal::Checkpoint { .. } => true,
            Goal::Unchanged => false,
        }
    }
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedStep {
    /// Its id: `backend.verify`.
    pub id: StepId,
    /// Place in [`Plan::services`].
    pub service: u32,
    /// What it does.
    pub kind: StepKind,
    /// The new revision's share of the traffic, in hundredths, that a canary gives it in this step or
    /// has given it before; none = all, or none yet.
    #[serde(default)]
    pub weight: Option<u32>,
    /// Steps that must have succeeded before.
    pub after: Vec<u32>,
    /// One attempt may take this long.
    pub timeout_ms: u64,
    /// How it is undone.
    pub undo: Undo,
    /// What follows when nobody knows how it ended. Plans from before this was said ask.
    #[serde(default)]
    pub on_unknown: OnUnknown,
}

impl PlannedStep {
    /// Whether the new version serves everybody once it has succeeded. One that gives a share only
    /// leaves the old version serving.
    pub const fn gives_all_traffic(&self) -> bool {
        self.kind.gives_traffic() && self.weight.is_none()
    }

    /// What people call it: `shift 10 %`.
    pub fn word(&self) -> String {
        self.kind.word_at(self.weight)
    }
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StepKind {
    /// Probes a dependency that stands outside the release.
    Precondition,
    /// Looks whether all that is needed is there, and records what serves.
    Preflight,
    /// Starts the new revision without traffic.
    Prepare,
    /// Waits until it is ready and passes its checks.
    Verify,
    /// Gives it the traffic.
    Shift,
    /// Ends the old revision and starts the new one, or runs the deploy command.
    Replace,
    /// Looks on for a while.
    Watch,
}

impl StepKind {
    /// The word in step ids and messages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Precondition => "precondition",
            Self::Preflight => "preflight",
            Self::Prepare => "prepare",
            Self::Verify => "verify",
            Self::Shift => "shift",
            Self::Replace => "replace",
            Self::Watch => "watch",
        }
    }

    /// The word, with the share of the traffic at which it takes place.
    pub fn word_at(self, weight: Option<u32>) -> String {
        match weight {
            Some(weight) => format!("{} {weight} %", self.word()),
            None => self.word().to_owned(),
        }
    }

    /// Whether it only looks, so that an operator may leave it out.
    pub const fn is_optional(self) -> bool {
        match self {
            Self::Precondition | Self::Verify | Self::Watch => true,
            Self::Preflight | Self::Prepare | Self::Shift | Self::Replace => false,
        }
    }

    /// Whether it changes the outside world.
    pub const fn is_change(self) -> bool {
        match self {
            Self::Prepare | Self::Shift | Self::Replace => true,
            Self::Precondition | Self::Preflight | Self::Verify | Self::Watch => false,
        }
    }

    /// Whether it decides which version users meet, or how many of them.
    pub const fn gives_traffic(self) -> bool {
        match self {
            Self::Shift | Self::Replace => true,
            Self::Precondition | Self::Preflight | Self::Prepare | Self::Verify | Self::Watch => false,
        }
    }
}

/// How a step is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Undo {
    /// It changes nothing.
    Nothing,
    /// The new revision is ended.
    StopCandidate,
    /// The traffic goes back to what served, and that is probed.
    RouteBack,
    /// What served is started again and probed.
    ReplaceBack,
    /// The undo command, or the deploy command with the earlier version, is run and observed.
    RunUndo,
    /// It cannot be undone.
    Impossible {
        /// Why.
        why: String,
    },
}

/// Something that should be known before a plan starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanWarning {
    /// Which service; none = the whole plan.
    pub service: Option<ServiceName>,
    /// What, and what follows from it.
    pub message: String,
}
