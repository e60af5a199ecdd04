//! Sessions of browsers, as their owners and admins see them.

use crate::{Timestamp, UserName};
use serde::{Deserialize, Serialize};

/// A session of a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionItem {
    /// What it is ended by; nobody signs in with it.
    pub id: String,
    /// Whose it is.
    pub user: UserName,
    /// Since when.
    pub created_at: Timestamp,
    /// When a person did something in it last.
    pub used_at: Timestamp,
    /// It ends then at the latest.
    pub expires_at: Timestamp,
    /// From where it was begun.
    #[serde(default)]
    pub address: Option<String>,
    /// By which program: `Firefox on Linux`.
    #[serde(default)]
    pub device: Option<String>,
    /// Whether it is the one that asks.
    #[serde(default)]
    pub is_this: bool,
}

/// Sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionPage {
    /// The one used last first.
    pub sessions: Vec<SessionItem>,
    /// Whether there are more than are listed; words to look for narrow them down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A session to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EndSession {
    /// Its id, from the list.
    pub id: String,
}

/// A password that is given again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfirmSession {
    /// One's own.
    pub password: String,
}

impl std::fmt::Debug for ConfirmSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConfirmSession")
    }
}

/// Another password for oneself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The one of now.
    pub password: String,
    /// The one from now on: at least 15 characters, and none of those that are tried first.
    pub new_password: String,
}

impl std::fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChangePassword")
    }
}

/// Sessions to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EndSessions {
    /// All of this user's; only admins end those of others. None = all of one's own but the one that asks.
    #[serde(default)]
    pub user: Option<UserName>,
}

/// How many sessions have ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionsEnded {
    /// How many.
    pub ended: u64,
}
