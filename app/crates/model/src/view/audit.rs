//! Who did what, and whether the record of it is whole.

use crate::{Digest, Timestamp, UserName};
use serde::{Deserialize, Serialize};

/// Who did what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditView {
    /// Its number; 0 = not a line of its own.
    #[serde(default)]
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub user: UserName,
    /// How: `browser`, `token NAME`, `local`, `system`.
    pub via: String,
    /// From where.
    #[serde(default)]
    pub address: Option<String>,
    /// What: the endpoint's path.
    pub action: String,
    /// On what: `deployment 12`, `user anna`.
    #[serde(default)]
    pub target: String,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Whether it was done.
    pub allowed: bool,
}

/// The last line of the audit, and the hash over it and all before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditHead {
    /// Its number.
    pub id: i64,
    /// The hash.
    pub hash: Digest,
}

/// Where the audit is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditFault {
    /// At which line.
    pub id: i64,
    /// What is wrong.
    pub found: String,
}

/// The server is closed to everybody but commands on its own machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockdownView {
    /// Since when.
    pub since: Timestamp,
    /// Who closed it.
    pub by: UserName,
    /// Why.
    pub reason: String,
}

/// Whether the audit is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditReport {
    /// Lines that were looked at.
    pub lines: u64,
    /// The last one; none = there is none.
    pub head: Option<AuditHead>,
    /// What is wrong; none = nothing was edited, removed, reordered or cut off.
    pub faults: Vec<AuditFault>,
}
