//! What pages are told while they are open: topics, each with a snapshot and then what changed, in
//! order. The same frames come over the socket and as answers of `deployment/monitor`. A frame is an
//! object with one key, its kind: reading such a one needs no copy of it, and little code.

mod changes;

use crate::{
    DeploymentId, Timestamp,
    error::ErrorBody,
    restriction::Restriction,
    view::{
        CheckView, CheckpointView, DeploymentDetail, DeploymentSummary, EnvironmentView, LogLine,
        OutsideView, RollbackView, ServiceView, StepView,
    },
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The most topics of one socket.
pub const TOPICS_MAX: usize = 16;
/// The most services of a deployment that the overview names.
pub const CARD_SERVICES_MAX: usize = 6;
/// How many looks at a service are shown beside it.
pub const CHECKS_SHOWN: usize = 30;
/// Without a frame for this long, the other side is taken for gone.
pub const SILENCE_MAX_MS: u64 = 25_000;
/// How often the server says that it is there.
pub const PING_EVERY_MS: u64 = 10_000;
/// The close code for somebody who is not signed in any more.
pub const CLOSED_SIGNED_OUT: u16 = 4401;

/// What can be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub enum Topic {
    /// All services and the deployments that matter now.
    Overview,
    /// One deployment.
    Deployment(DeploymentId),
    /// The output of its steps.
    Log(DeploymentId),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overview => f.write_str("overview"),
            Self::Deployment(id) => write!(f, "deployment/{id}"),
            Self::Log(id) => write!(f, "log/{id}"),
        }
    }
}

impl From<Topic> for String {
    fn from(topic: Topic) -> Self {
        topic.to_string()
    }
}

impl FromStr for Topic {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = |id: &str| id.parse().map_err(|_| "a topic's number is not a number");
        match text.split_once('/') {
            None if text == "overview" => Ok(Self::Overview),
            Some(("deployment", number)) => id(number).map(Self::Deployment),
            Some(("log", number)) => id(number).map(Self::Log),
            None | Some(_) => Err("topics are overview, deployment/ID and log/ID"),
        }
    }
}

impl TryFrom<String> for Topic {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// How far a listener has come in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Which run of the server counted.
    pub generation: u64,
    /// The last frame.
    pub seq: u64,
}

/// What a page says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientFrame {
    /// It wants to hear of a topic from a place on; without one, or when that is too far back, it
    /// begins with a snapshot.
    Subscribe {
        /// Which topic.
        topic: Topic,
        /// The last place that it knows.
        #[serde(default)]
        from: Option<Place>,
    },
    /// It wants to hear no more of it.
    Unsubscribe {
        /// Which topic.
        topic: Topic,
    },
    /// It is there.
    Ping {
        /// Whether a person did something since the last one.
        #[serde(default)]
        active: bool,
    },
}

/// What the server says.
#[allow(clippy::large_enum_variant, reason = "values of a wire format, one at a time")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ServerFrame {
    /// First of all.
    Hello {
        /// Which build of the pages it serves.
        build: String,
        /// Its clock.
        now: Timestamp,
    },
    /// What comes next follows on the place that was named.
    Resume {
        /// Which topic.
        topic: Topic,
        /// The place.
        place: Place,
    },
    /// Everything anew.
    Snapshot {
        /// Which topic.
        topic: Topic,
        /// The place that it stands for.
        place: Place,
        /// What there is.
        body: Snapshot,
    },
    /// What has changed.
    Patch {
        /// Which topic.
        topic: Topic,
        /// The place after it.
        place: Place,
        /// What.
        body: Patch,
    },
    /// Further lines of a log.
    Log {
        /// Which topic.
        topic: Topic,
        /// The place after them.
        place: Place,
        /// The lines.
        lines: Vec<LogLine>,
    },
    /// It will not tell of this topic.
    Refused {
        /// Which topic.
        topic: Topic,
        /// Why.
        error: ErrorBody,
    },
    /// It is there.
    Ping {
        /// Its clock.
        now: Timestamp,
    },
}

/// Everything of a topic.
#[allow(clippy::large_enum_variant, reason = "values of a wire format, one at a time")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Snapshot {
    /// Of the overview.
    Overview(OverviewView),
    /// Of a deployment.
    Deployment(DeploymentDetail),
    /// Of a log: its end.
    Log(LogTail),
}

/// What has changed of a topic.
#[allow(clippy::large_enum_variant, reason = "values of a wire format, one at a time")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Patch {
    /// Of the overview.
    Overview(OverviewPatch),
    /// Of a deployment.
    Deployment(DeploymentPatch),
}

/// All services and the deployments that matter now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OverviewView {
    /// Environments in the order of risk.
    pub environments: Vec<EnvironmentView>,
    /// A service in an environment each; patches name them by their place.
    pub cells: Vec<CellView>,
    /// Deployments that run, then the last that ended.
    pub deployments: Vec<DeploymentCard>,
    /// Figures over all.
    pub figures: Figures,
    /// Locks, holds and freezes, now and to come.
    #[serde(default)]
    pub restrictions: Vec<Restriction>,
}

/// A service in an environment, with its last looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CellView {
    /// As it stands; what was seen is left out while it is healthy.
    pub service: ServiceView,
    /// The last looks, the newest last.
    pub checks: Vec<CheckView>,
}

/// What has changed of the overview. Another set of services or environments is a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OverviewPatch {
    /// Cells that changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<CellPatch>,
    /// All deployments, when one of them changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployments: Option<Vec<DeploymentCard>>,
    /// Figures, when they changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// All restrictions, when one of them changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restrictions: Option<Vec<Restriction>>,
}

/// What has changed of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CellPatch {
    /// Its place.
    pub cell: u32,
    /// As it stands, when that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceView>,
    /// Looks since then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckView>,
}

/// A deployment as the overview shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeploymentCard {
    /// The deployment, with its first services only.
    pub summary: DeploymentSummary,
    /// How many services it changes.
    pub services: u32,
    /// How long it takes, going by earlier ones.
    pub expected_ms: Option<u64>,
}

/// Figures over all deployments and agents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Figures {
    /// Deployments of the last 30 days that ended.
    pub ended_30d: u32,
    /// Those that succeeded.
    pub succeeded_30d: u32,
    /// Those that were taken back.
    pub taken_back_30d: u32,
    /// 95 % of those were stable within this time after the failure was noticed.
    pub stable_p95_ms: Option<u64>,
    /// The median from the wish to the end of those that succeeded.
    pub duration_p50_ms: Option<u64>,
    /// Agents that are connected.
    pub agents: u32,
}

/// What has changed of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeploymentPatch {
    /// The head, when it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<DeploymentSummary>,
    /// Steps that changed, by their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<(u32, StepView)>,
    /// All checkpoints, when they changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoints: Option<Vec<CheckpointView>>,
    /// All services outside, when they changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Vec<OutsideView>>,
    /// How it goes back, when that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackView>,
}

/// The end of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogTail {
    /// The last lines, in order.
    pub lines: Vec<LogLine>,
    /// How many there are before the first of them.
    pub before: u64,
    /// Said when earlier output is not kept any more.
    #[serde(default)]
    pub removed: Option<String>,
}

impl ServerFrame {
    /// The topic that it belongs to.
    pub const fn topic(&self) -> Option<Topic> {
        match self {
            Self::Resume { topic, .. }
            | Self::Snapshot { topic, .. }
            | Self::Patch { topic, .. }
            | Self::Log { topic, .. }
            | Self::Refused { topic, .. } => Some(*topic),
            Self::Hello { .. } | Self::Ping { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Topic;
    use crate::DeploymentId;

    #[test]
    fn topics_are_words_and_numbers() {
        for topic in [Topic::Overview, Topic::Deployment(DeploymentId(7)), Topic::Log(DeploymentId(12))] {
            assert_eq!(topic.to_string().parse(), Ok(topic));
        }
        for wrong in ["", "overview/1", "deployment", "deployment/x", "log/", "users"] {
            assert!(wrong.parse::<Topic>().is_err(), "{wrong}");
        }
    }
}
