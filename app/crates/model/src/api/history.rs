//! Deployments, before and now: lists, journals, output.

use crate::{
    DeploymentId, EnvironmentName, ProjectName, Seq, ServiceName, Timestamp, UserName, Version,
    deployment::Phase,
    view::{AuditReport, CheckpointView, DeploymentSummary, Facets, LogLine},
};
use serde::{Deserialize, Serialize};

body! { /// Which deployments to list.
ListDeployments {
    /// Only of this project.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Only of this environment.
    #[serde(default)]
    environment: Option<EnvironmentName>,
    /// Only in this phase.
    #[serde(default)]
    phase: Option<Phase>,
    /// Only those that change this service.
    #[serde(default)]
    service: Option<ServiceName>,
    /// Only those that this user asked for.
    #[serde(default)]
    by: Option<UserName>,
    /// Only those that deploy this version; with `service`, this version of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<Version>,
    /// Only what was begun so, by the first word of `via`: `browser`, `token`, `local`, `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trigger: Option<String>,
    /// Only those that hold all these words: numbers, services, versions, commits, reasons, people. A
    /// word such as `status:failed`, `env:production`, `service:backend`, `version:1.2.0`,
    /// `trigger:token` or `by:anna` stands for the field of that name.
    #[serde(default)]
    q: Option<String>,
    /// Only those that were asked for at this time or later.
    #[serde(default)]
    since: Option<Timestamp>,
    /// Only those that were asked for before this time.
    #[serde(default)]
    until: Option<Timestamp>,
    /// In which order.
    #[serde(default)]
    sort: Sort,
    /// Where to go on; from the last page.
    #[serde(default)]
    cursor: Option<String>,
    /// At most so many, 1 to 200.
    #[serde(default = "page_rows_default")]
    limit: u32,
    /// Whether to count all that was found, and by what it could be filtered next.
    #[serde(default)]
    count: bool,
} }
/// In which order deployments are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Sort {
    /// Those that were asked for last come first.
    #[default]
    Newest,
    /// Those that were asked for first come first.
    Oldest,
    /// Those that took longest come first; those that run still, last.
    Longest,
    /// Those that took shortest come first; those that run still, last.
    Shortest,
    /// By environment, A to Z; in each the newest come first.
    Environment,
    /// By environment, Z to A; in each the newest come first.
    EnvironmentDown,
    /// By the word of their phase, A to Z; in each the newest come first.
    Phase,
    /// By the word of their phase, Z to A; in each the newest come first.
    PhaseDown,
    /// By who asked for them, A to Z; of each the newest come first.
    By,
    /// By who asked for them, Z to A; of each the newest come first.
    ByDown,
    /// Those that change the most services come first.
    Widest,
    /// Those that change the fewest services come first.
    Narrowest,
}
body! { /// Asks what stands beside a deployment in a list.
NeighboursRequest {
    /// The deployment.
    id: DeploymentId,
    /// The list; its cursor and limit play no part.
    list: ListDeployments,
} }
body! { /// What stands beside a deployment in a list.
Neighbours {
    /// The one before it.
    previous: Option<DeploymentId>,
    /// The one after it.
    next: Option<DeploymentId>,
} }
body! { /// Names a deployment.
DeploymentRequest {
    /// Its number.
    id: DeploymentId,
} }
body! { /// Waits for what comes next.
WaitDeployment {
    /// Its number.
    id: DeploymentId,
    /// The last event that is known.
    #[serde(default)]
    after: Seq,
    /// Answer after this long even when nothing happened; at most 25,000.
    #[serde(default)]
    wait_ms: u64,
} }
body! { /// Which journals are looked at.
VerifyHistory {
    /// Only of this deployment.
    #[serde(default)]
    id: Option<DeploymentId>,
    /// Without one: of so many of the newest, 1 to 1,000.
    #[serde(default = "verify_limit_default")]
    limit: u32,
} }
body! { /// What was found in journals and beside them.
HistoryReport {
    /// Deployments that were looked at.
    deployments: u64,
    /// Their events.
    events: u64,
    /// Promises that are broken; none = every one is kept.
    broken: Vec<BrokenPromise>,
    /// Whether the audit is whole; none = one deployment was asked for.
    audit: Option<AuditReport>,
} }
body! { /// A promise that something in the history breaks.
BrokenPromise {
    /// Of which deployment.
    deployment: DeploymentId,
    /// At which event; 0 = the journal as a whole.
    seq: Seq,
    /// What every history keeps.
    promise: String,
    /// What was found instead.
    found: String,
} }
body! { /// Which lines.
ReadLogs {
    /// Its number.
    id: DeploymentId,
    /// Only of this step.
    #[serde(default)]
    step: Option<String>,
    /// Only after this cursor.
    #[serde(default)]
    after: i64,
    /// Only before this cursor, and of those the last; not together with `after`.
    #[serde(default)]
    before: Option<i64>,
    /// At most so many, 1 to 5,000.
    #[serde(default = "page_rows_default")]
    limit: u32,
} }
body! { /// A page of deployments.
DeploymentPage {
    /// The newest first.
    deployments: Vec<DeploymentSummary>,
    /// Ask with `cursor` set to this for the next page; none = the end.
    next: Option<String>,
    /// How many were found in all, when that was asked.
    #[serde(default)]
    total: Option<u64>,
    /// By what they could be filtered next, when that was asked.
    #[serde(default)]
    facets: Option<Facets>,
} }
body! { /// A page of output.
LogPage {
    /// In order.
    lines: Vec<LogLine>,
    /// Ask with `after` set to this for what comes next.
    next: i64,
    /// Whether more was there when this was read.
    more: bool,
    /// Said when earlier output of it is not kept any more.
    #[serde(default)]
    removed: Option<String>,
} }
body! { /// Checkpoints.
CheckpointPage {
    /// The newest first.
    checkpoints: Vec<CheckpointView>,
} }

impl Default for ListDeployments {
    fn default() -> Self {
        Self {
            project: None,
            environment: None,
            phase: None,
            service: None,
            by: None,
            version: None,
            trigger: None,
            q: None,
            since: None,
            until: None,
            sort: Sort::Newest,
            cursor: None,
            limit: page_rows_default(),
            count: false,
        }
    }
}

/// Rows of a page when nobody says how many.
pub(super) fn page_rows_default() -> u32 {
    50
}

/// Deployments that `history/verify` looks at when nobody says how many.
fn verify_limit_default() -> u32 {
    200
}
