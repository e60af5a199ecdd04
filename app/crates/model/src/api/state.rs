//! How things stand: services, the audit, what is closed.

use super::history::page_rows_default;
use crate::{
    EnvironmentName, ProjectName, ServiceName, Timestamp, UserName,
    live::{Place, ServerFrame, Topic},
    restriction::Restriction,
    view::{AuditHead, AuditView, LockdownView, PromotionView, ServiceVersions, ServiceView},
};
use serde::{Deserialize, Serialize};

body! { /// What a page wants to hear of.
MonitorRequest {
    /// The topics.
    topics: Vec<Listen>,
    /// Answer after this long even when nothing happened; at most 25,000.
    #[serde(default)]
    wait_ms: u64,
} }
body! { /// A topic, and what is known of it.
Listen {
    /// Which.
    topic: Topic,
    /// The last place that is known; none = begin with a snapshot.
    #[serde(default)]
    from: Option<Place>,
} }
/// What happened, as the socket would have told it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MonitorView {
    /// The server's clock.
    pub now: Timestamp,
    /// Frames, in order.
    pub frames: Vec<ServerFrame>,
}
body! { /// Names a service in an environment.
ServiceRequest {
    /// The project; none = the only one.
    #[serde(default)]
    project: Option<ProjectName>,
    /// The environment; none = the project's default.
    #[serde(default)]
    environment: Option<EnvironmentName>,
    /// The service.
    service: ServiceName,
} }
body! { /// What can be deployed.
VersionPage {
    /// The project.
    project: ProjectName,
    /// The environment.
    environment: EnvironmentName,
    /// Whether it demands a way back for every change.
    is_guarded: bool,
    /// The services that have a target there.
    services: Vec<ServiceVersions>,
    /// What could be promoted to there; none = the manifest names no environment to promote from, or
    /// nothing differs.
    promotion: Option<PromotionView>,
} }
body! { /// Who did what.
AuditPage {
    /// The newest first.
    entries: Vec<AuditView>,
} }
body! { /// Which lines of the audit.
FindAudit {
    /// Only of this user.
    #[serde(default)]
    user: Option<UserName>,
    /// Only actions that begin with this: `/token`, `/deployment/start`, `system`.
    #[serde(default)]
    action: Option<String>,
    /// Only on this: `deployment 12`, `user anna`.
    #[serde(default)]
    target: Option<String>,
    /// Only with these words in what it was done to, how or why.
    #[serde(default)]
    words: Option<String>,
    /// Only what was refused.
    #[serde(default)]
    only_denied: bool,
    /// Not before.
    #[serde(default)]
    since: Option<Timestamp>,
    /// Only before.
    #[serde(default)]
    until: Option<Timestamp>,
    /// Only lines before this one: the last of the page before.
    #[serde(default)]
    before: Option<i64>,
    /// How many, 1 to 200.
    #[serde(default = "page_rows_default")]
    limit: u32,
} }
body! { /// Whether the audit is whole.
VerifyAudit {
    /// A head that was noted down earlier: it must still be there.
    #[serde(default)]
    anchor: Option<AuditHead>,
} }
body! { /// What was found in the audit has been looked into.
AcceptAudit {
    /// What came of it; recorded.
    reason: String,
} }
body! { /// Closes the server.
BeginLockdown {
    /// Why; recorded, and told to whoever comes.
    reason: String,
} }
body! { /// Whether the server is closed.
LockdownState {
    /// Since when, by whom and why; none = it is open.
    lockdown: Option<LockdownView>,
} }
body! { /// Which restrictions.
ListRestrictions {
    /// Only of this project.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Only in this environment.
    #[serde(default)]
    environment: Option<EnvironmentName>,
} }
body! { /// What stands in the way.
RestrictionPage {
    /// The oldest first.
    restrictions: Vec<Restriction>,
} }
body! { /// Which services.
ListServices {
    /// Only of this project.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Only in this environment.
    #[serde(default)]
    environment: Option<EnvironmentName>,
} }
body! { /// Services.
ServicePage {
    /// By project, environment and name.
    services: Vec<ServiceView>,
} }
/// What gateways do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GatewayPage {
    /// The gateway's state; none = none runs.
    pub gateway: Option<crate::gateway::GatewayState>,
}
