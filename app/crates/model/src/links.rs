//! One-time links that are open: who can set a password by one, never the link itself.

use crate::{Timestamp, UserName};
use serde::{Deserialize, Serialize};

/// A link that somebody was sent and has not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LinkView {
    /// Who sets their password by it.
    pub user: UserName,
    /// Whether they have none yet: they are invited.
    pub is_invitation: bool,
    /// Who made it; none = it was made before that was noted.
    #[serde(default)]
    pub made_by: Option<UserName>,
    /// Until when it works.
    pub expires_at: Timestamp,
}

/// Links that are open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LinkPage {
    /// The one that ends first comes first.
    pub links: Vec<LinkView>,
}
