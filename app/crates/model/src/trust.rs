//! Rules by which a job elsewhere gets a token without a stored secret: what its identity token must say,
//! each claim in full, and what it may then. Nothing in a rule is a pattern.

use crate::{
    EnvironmentName, ProjectName, Timestamp, UserName,
    access::{Grant, Role},
    tokens::Action,
};
use serde::{Deserialize, Serialize};

/// The issuer of GitHub Actions.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";
/// The longest that an exchanged token lasts.
pub const MINUTES_MAX: u32 = 15;

/// What an identity token must say. All of it is compared in full, and ids rather than names: a name can be
/// given up and taken by somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TrustedJob {
    /// `iss`, as `https://token.actions.githubusercontent.com`.
    pub issuer: String,
    /// `aud`: for whom the token was made out; the only one that it names.
    pub audience: String,
    /// `repository_id`: a number.
    pub repository_id: String,
    /// `repository_owner_id`: a number.
    pub repository_owner_id: String,
    /// `ref`, as `refs/heads/main`.
    #[serde(rename = "ref")]
    pub git_ref: String,
    /// `environment`: the job's, on GitHub.
    pub environment: String,
    /// The workflow's file, as `.github/workflows/deploy.yml`: `workflow_ref` without repository and ref.
    pub workflow: String,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TrustView {
    /// What it is called.
    pub name: String,
    /// Who is trusted.
    pub job: TrustedJob,
    /// What they may, and where; never more than who made the rule may when it is used.
    pub bound: Grant,
    /// What of that they may change; empty = all that the role has.
    pub actions: Vec<Action>,
    /// How long a token lasts, in minutes.
    pub minutes: u32,
    /// Who made the rule; tokens are theirs.
    pub made_by: UserName,
    /// Since when.
    pub created_at: Timestamp,
    /// When a token was given by it last.
    pub last_used_at: Option<Timestamp>,
}

/// A rule to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AddTrust {
    /// What it is called: letters, digits, `-` and `_`.
    pub name: String,
    /// Who is trusted.
    pub job: TrustedJob,
    /// What they may.
    pub role: Role,
    /// Only in this project; none = in every one.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// Only in this environment; none = in every one.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
    /// What of that they may change; empty = all that the role has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// How long a token lasts, 1 to 15 minutes.
    #[serde(default = "minutes_default")]
    pub minutes: u32,
}

/// Names a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NamedTrust {
    /// What it is called.
    pub name: String,
}

/// Rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TrustPage {
    /// By name.
    pub rules: Vec<TrustView>,
}

/// What an exchange answers, as RFC 8693 has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenIssued {
    /// The token.
    pub access_token: String,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    pub issued_token_type: String,
    /// `Bearer`.
    pub token_type: String,
    /// Seconds until it ends.
    pub expires_in: u64,
}

/// A sign-in that waits for somebody to confirm it, as RFC 8628 has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStarted {
    /// What the command asks with; it keeps this to itself.
    pub device_code: String,
    /// What it shows.
    pub user_code: String,
    /// Where somebody confirms it.
    pub verification_uri: String,
    /// The same, with the code.
    pub verification_uri_complete: String,
    /// Seconds until it is too late.
    pub expires_in: u64,
    /// Seconds between questions.
    pub interval: u64,
}

/// Minutes of an exchanged token when nobody says how many.
pub fn minutes_default() -> u32 {
    MINUTES_MAX
}
