//! A deployment: its states, and what is known of it at a sequence number. Changed only by
//! `engine::apply`.

mod step;

pub use step::{Probed, StepState, StepStatus, Try};

use crate::{
    Seq, ServiceName, StepId, Timestamp, UserName, Version,
    approval::{Approval, Author},
    closing::Closing,
    part::Part,
    pause::Pause,
    plan::{Checkpoint, Plan},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Phase {
    /// Waits for another deployment of the environment.
    Queued,
    /// Steps run.
    Running,
    /// Running steps come to their end and nothing else begins until somebody resumes it.
    Paused,
    /// Running steps are being stopped or finished ones taken back.
    RollingBack,
    /// Something could not be taken back, or failed where rollback is switched off; an operator
    /// decides. Not final: the environment stays closed to other deployments.
    NeedsOperator,
    /// All services passed; final.
    Succeeded,
    /// What it changed is taken back and probed; final.
    RolledBack,
    /// It failed before it changed anything, or an operator said so; final.
    Failed,
    /// Somebody ended it; what it changed is taken back, or kept if they said so; final.
    Cancelled,
    /// A newer one took its place in the queue; final.
    Superseded,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::RollingBack,
        Self::NeedsOperator,
        Self::Succeeded,
        Self::RolledBack,
        Self::Failed,
        Self::Cancelled,
        Self::Superseded,
    ];

    /// The word in data, searches and addresses: `rolled_back`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::RollingBack => "rolling_back",
            Self::NeedsOperator => "needs_operator",
            Self::Succeeded => "succeeded",
            Self::RolledBack => "rolled_back",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }

    /// Whether it never changes again.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Paused | Self::RollingBack | Self::NeedsOperator => false,
            Self::Succeeded | Self::RolledBack | Self::Failed | Self::Cancelled | Self::Superseded => true,
        }
    }

    /// Whether it has begun and not ended: of those there is one in an environment.
    pub const fn is_live(self) -> bool {
        match self {
            Self::Running | Self::Paused | Self::RollingBack | Self::NeedsOperator => true,
            Self::Queued
            | Self::Succeeded
            | Self::RolledBack
            | Self::Failed
            | Self::Cancelled
            | Self::Superseded => false,
        }
    }

    /// The words shown to people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::RollingBack => "rolling back",
            Self::NeedsOperator => "needs an operator",
            Self::Succeeded => "succeeded",
            Self::RolledBack => "rolled back",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Who did something, from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Actor {
    /// The user; for a token, its owner.
    pub user: UserName,
    /// How: `browser`, `token NAME`, `local`, `system`.
    pub via: String,
    /// The peer's address, when there is one.
    pub address: Option<String>,
}

/// Where a release comes from; kept with the deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// Commit id.
    pub commit: Option<String>,
    /// When it was committed.
    pub commit_time: Option<Timestamp>,
    /// Who wrote it.
    pub author: Option<String>,
    /// The CI run that asks.
    pub ci_run: Option<String>,
    /// Further facts, by name.
    pub labels: BTreeMap<String, String>,
}

/// In which order the services of a release are changed. Whatever it is, they are one deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ReleaseOrder {
    /// In the order in which they need each other, as many at a time as the manifest says.
    #[default]
    Dependencies,
    /// In none: nothing waits for what it depends on, neither forward nor back.
    Parallel,
    /// In the order in which they need each other, one at a time.
    Sequential,
}

impl ReleaseOrder {
    /// Whether it is what holds when nobody says anything.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What was asked for, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Request {
    /// Who asked.
    pub by: Actor,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Where the release comes from.
    pub source: Source,
    /// They accepted that something cannot be taken back.
    pub accept_no_rollback: bool,
    /// What happened that somebody decides about before anything begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<Failure>,
    /// Whose work it is, when a rule asked for it in the name of whoever made the rule; none = theirs who
    /// asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
}

impl Request {
    /// Those whose own it is: they do not approve it.
    pub fn authors(&self) -> &[UserName] {
        match &self.author {
            Some(author) => &author.accounts,
            None => std::slice::from_ref(&self.by.user),
        }
    }
}

/// Why a deployment did not go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// The step that failed; none = the whole took too long.
    pub step: Option<StepId>,
    /// The service that failed.
    pub service: Option<ServiceName>,
    /// Its version.
    pub version: Option<Version>,
    /// What happened, in one sentence.
    pub reason: String,
    /// Who ended it, when a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
}

/// When things happened. Durations for people; order comes from sequence numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Clocks {
    /// It was asked for.
    pub requested_at: Timestamp,
    /// The first step could begin.
    pub started_at: Option<Timestamp>,
    /// A failure or a wish to end was noticed.
    pub detected_at: Option<Timestamp>,
    /// It was decided what goes back.
    pub decided_at: Option<Timestamp>,
    /// All that went back was probed and serves.
    pub stable_at: Option<Timestamp>,
    /// It ended.
    pub finished_at: Option<Timestamp>,
}

/// What goes back, in which order; stored before the first undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RollbackPlan {
    /// What goes back. `after` of an entry names places in this list.
    pub services: Vec<RollbackService>,
    /// Dependants outside the release, which are reported and never changed.
    pub outside: Vec<ServiceName>,
    /// It may take this long before an operator is asked.
    pub max_duration_ms: u64,
}

/// A service that goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RollbackService {
    /// Place in [`Plan::services`].
    pub service: u32,
    /// Steps to undo, the first to be undone first.
    pub steps: Vec<u32>,
    /// Entries that must be back before.
    pub after: Vec<u32>,
}

/// What follows when everything that should go back is back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Ending {
    /// It ends as failed and taken back.
    RolledBack,
    /// It ends as cancelled.
    Cancelled {
        /// By whom.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
        /// Services whose new version has all the traffic keep it.
        #[serde(default)]
        keep: bool,
    },
}

/// Time in which the deployment waits for a person and its limit does not run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pauses {
    /// Since when it waits; none = it does not.
    pub since: Option<Timestamp>,
    /// How long it waited before.
    pub total_ms: u64,
}

impl Pauses {
    /// It waits from now on.
    pub fn begin(&mut self, at: Timestamp) {
        self.since.get_or_insert(at);
    }

    /// It waits no longer.
    pub fn end(&mut self, at: Timestamp) {
        if let Some(since) = self.since.take() {
            self.total_ms += at.since_ms(since);
        }
    }
}

/// A deployment as its journal tells it up to `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Deployment {
    /// The last event that is in here.
    pub seq: Seq,
    /// Where it stands.
    pub phase: Phase,
    /// What was asked for.
    pub request: Request,
    /// What is to be done.
    pub plan: Arc<Plan>,
    /// One entry a step of the plan.
    pub steps: Vec<StepStatus>,
    /// What served before, by place in [`Plan::services`].
    pub checkpoints: BTreeMap<u32, Checkpoint>,
    /// Why it did not go on.
    pub failure: Option<Failure>,
    /// What follows the rollback; set when one begins.
    pub ending: Option<Ending>,
    /// What goes back; none while running steps are still being stopped.
    pub rollback: Option<RollbackPlan>,
    /// Since when the rollback's limit runs; set again when an operator retries.
    pub rollback_since: Option<Timestamp>,
    /// What an operator is needed for.
    pub operator_reason: Option<String>,
    /// When things happened.
    pub clocks: Clocks,
    /// How long it waited for a person.
    #[serde(default)]
    pub pauses: Pauses,
    /// The pause that stands, or stood when it stopped going forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// Since when a service is in work, by place in [`Plan::services`].
    #[serde(default)]
    pub in_work: BTreeMap<u32, InWork>,
    /// Services that somebody took back while the others go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// An operator's word how it ended, while what is left open is closed, or could not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<Closing>,
    /// Who approved that it begins, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
}

/// Since when a service is in work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InWork {
    /// Its first change began.
    pub since: Timestamp,
    /// How long the deployment had waited for a person by then.
    pub paused_ms: u64,
}

impl Deployment {
    /// An operator is asked how to go on, before anything goes back.
    pub const fn asks_forward(&self) -> bool {
        matches!(self.phase, Phase::NeedsOperator) && self.ending.is_none()
    }

    /// An operator is asked about services that are taken back by themselves, and not about the release.
    pub const fn asks_about_part(&self) -> bool {
        self.asks_forward() && self.failure.is_none()
    }

    /// An operator has said how it ended, and what it left open is being closed.
    pub fn is_closing(&self) -> bool {
        self.closing.as_ref().is_some_and(Closing::is_active)
    }

    /// Whether a service, by place in [`Plan::services`], was taken back by itself: nothing more of it
    /// begins.
    pub fn is_in_part(&self, place: u32) -> bool {
        self.part.as_ref().is_some_and(|part| part.services.contains(&place))
    }
}

/// How an operator ends a deployment that needs one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Resolution {
    /// The new state is right and stays.
    Succeeded,
    /// The operator took it back by hand.
    RolledBack,
    /// It is left as it is.
    Failed,
}
