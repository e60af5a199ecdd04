//! The identity provider at which people sign in, as admins see it. It is set up by a file of the server;
//! what it shares with the provider is never told.

use crate::access::Grant;
use serde::{Deserialize, Serialize};

/// How people sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProviderPage {
    /// The address to be registered at the provider: people come back there.
    pub redirect: String,
    /// The provider; none = people sign in with passwords alone.
    pub provider: Option<ProviderView>,
}

/// An identity provider, as the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProviderView {
    /// Who says who somebody is.
    pub issuer: String,
    /// How this server is called there.
    pub client_id: String,
    /// Whether this server shares a secret with it.
    pub has_secret: bool,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The claim that lists somebody's groups.
    pub groups_claim: String,
    /// The claim from which a new account gets its name.
    pub name_claim: String,
    /// What follows from groups.
    pub map: Vec<GroupRole>,
}

/// What follows from a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GroupRole {
    /// The group, compared in full.
    pub group: String,
    /// The role that its members have, and where.
    pub grant: Grant,
}

/// What came of asking the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProviderReport {
    /// In the order in which it was looked at; what needs something that failed is left out.
    pub checks: Vec<ProviderCheck>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProviderCheck {
    /// What.
    pub name: String,
    /// Whether people can sign in as far as this goes.
    pub is_well: bool,
    /// What was found; of what is wrong, also what to do.
    pub found: String,
}
