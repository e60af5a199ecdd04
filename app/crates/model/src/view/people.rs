//! Users and tokens, without what lets somebody in.

use crate::{
    Timestamp, UserName,
    access::{Grant, Rights},
    tokens::{Action, words},
};
use serde::{Deserialize, Serialize};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UserView {
    /// Name.
    pub name: UserName,
    /// What was given to them.
    pub grants: Rights,
    /// Whether they may sign in.
    pub enabled: bool,
    /// Whether a password is set.
    pub has_password: bool,
    /// Whether an identity provider says who they are: they get no link to set a password by.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_provided: bool,
    /// Their login at GitHub, as an admin said: what they push there is theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github: Option<String>,
    /// Since when there is this user.
    pub created_at: Timestamp,
}

/// A token; its secret is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TokenView {
    /// Its public part.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whose it is.
    pub user: UserName,
    /// What it may do, and where; never more than its owner may when it is used.
    pub bound: Grant,
    /// What of that it may change; empty = all that its role has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// When it was used last.
    pub last_used_at: Option<Timestamp>,
    /// Whether it was revoked.
    pub revoked: bool,
}

impl TokenView {
    /// What it may, in a line.
    pub fn may(&self) -> String {
        let mut may = self.bound.to_string();
        if !self.actions.is_empty() {
            may.push_str(": ");
            may.push_str(&words(&self.actions));
        }
        may
    }
}
