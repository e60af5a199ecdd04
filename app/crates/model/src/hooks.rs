//! Webhooks that come in: who may send what, and what it starts. The secret is never here: a rule says where
//! the server finds it.

use crate::{EnvironmentName, ProjectName, ServiceName, Timestamp, UserName};
use serde::{Deserialize, Serialize};

/// Whose webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum HookSender {
    /// GitHub, signed with `X-Hub-Signature-256`.
    Github,
    /// Any other program, signed with `X-Lockstep-Signature` over time and body.
    Generic,
}

/// What of GitHub's a rule acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum HookEvent {
    /// A push starts a deployment.
    Push,
    /// A deployment on GitHub starts one here.
    Deployment,
    /// A watched workflow that failed takes its commit's deployment back.
    WorkflowRun,
}

/// Which version a webhook deploys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum HookVersion {
    /// As the manifest says.
    #[default]
    Manifest,
    /// The commit's id.
    Commit,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HookRule {
    /// What it is called: it stands in the address, `/hooks/NAME`.
    pub name: String,
    /// Who sends.
    pub sender: HookSender,
    /// Where the secret is: `secret:NAME` of the rule's environment, or `env:NAME` or `file:/path` of the
    /// server.
    pub secret: String,
    /// Of GitHub: what is acted on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<HookEvent>,
    /// Of GitHub: the repository's id, a number.
    #[serde(default)]
    pub repository_id: Option<String>,
    /// Of GitHub: the branch or tag in full, as `refs/heads/main`.
    #[serde(default, rename = "ref")]
    pub git_ref: Option<String>,
    /// Of `workflow_run`: the watched workflow's file, as `.github/workflows/smoke.yml`.
    #[serde(default)]
    pub workflow: Option<String>,
    /// Of `deployment`: GitHub's environment.
    #[serde(default)]
    pub job_environment: Option<String>,
    /// Where it deploys and takes back.
    pub project: ProjectName,
    /// Where it deploys and takes back.
    pub environment: EnvironmentName,
    /// What it deploys; empty = all services of the environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceName>,
    /// Which version.
    #[serde(default)]
    pub version: HookVersion,
}

/// A rule and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HookView {
    /// What it says.
    pub rule: HookRule,
    /// Who made it; what it starts is done in their name, and never more than they may.
    pub made_by: UserName,
    /// Since when.
    pub created_at: Timestamp,
    /// When something came last that was signed.
    pub last_used_at: Option<Timestamp>,
    /// Whether the server finds the secret; without one the route is off.
    #[serde(default)]
    pub has_secret: bool,
}

/// Names a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NamedHook {
    /// What it is called.
    pub name: String,
}

/// Rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HookPage {
    /// By name.
    pub hooks: Vec<HookView>,
}

/// The most deliveries of a webhook that are kept, and listed.
pub const DELIVERIES_MAX: u32 = 100;

/// Which deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListDeliveries {
    /// Of which webhook.
    pub name: String,
    /// At most so many, 1 to 100.
    #[serde(default = "deliveries_default")]
    pub limit: u32,
}

/// Deliveries when nobody says how many.
fn deliveries_default() -> u32 {
    DELIVERIES_MAX
}

/// What was delivered to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryPage {
    /// Whose signature was right, the newest first; each body once.
    pub deliveries: Vec<DeliveryView>,
    /// What was turned away, counted by why.
    pub refused: Vec<RefusedView>,
}

/// A delivery whose signature was right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryView {
    /// When it came.
    pub at: Timestamp,
    /// The sender's id for it.
    pub delivery: String,
    /// What happened there, as `push`; of a generic one `generic`.
    pub event: String,
    /// `started`, `taken_back`, `ignored`, `refused`, or `failed`: then it may be delivered again.
    pub outcome: String,
    /// Why, in a sentence.
    pub message: String,
    /// The deployment.
    pub deployment: Option<i64>,
}

/// How often something was turned away that anybody could have sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefusedView {
    /// Why.
    pub reason: RefusedWhy,
    /// How often.
    pub count: u64,
    /// When it was last.
    pub last_at: Timestamp,
}

/// Why a delivery was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RefusedWhy {
    /// The rule's secret is not set.
    NoSecret,
    /// The signature is missing or not right.
    Signature,
    /// The time that was signed is too far away.
    Time,
    /// The body is too large.
    TooLarge,
    /// The body did not come.
    Unread,
    /// The same was delivered before.
    Duplicate,
}

/// What a program asks for by a generic webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GenericHook {
    /// What is to be done.
    pub action: GenericAction,
    /// The commit that is deployed, or whose deployment is taken back.
    #[serde(default)]
    pub commit: Option<String>,
    /// Who wrote it.
    #[serde(default)]
    pub author: Option<String>,
    /// Why; kept with the deployment.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What a generic webhook does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum GenericAction {
    /// Starts a deployment.
    Deploy,
    /// Takes the commit's deployment back.
    Rollback,
}

/// What came of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HookAnswer {
    /// `started`, `taken_back`, `ignored`, `duplicate`.
    pub outcome: String,
    /// Why, in a sentence.
    pub message: String,
    /// The deployment.
    pub deployment: Option<i64>,
}
