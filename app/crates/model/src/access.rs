//! Roles and permissions. Everything that is not allowed here is denied.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What somebody is. Each role but admin contains the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Role {
    /// Sees.
    Viewer,
    /// Also cancels, takes back and resolves.
    Operator,
    /// Also starts deployments.
    Deployer,
    /// Also applies manifests and manages people and tokens.
    Admin,
}

/// All roles, the smallest first.
pub const ROLES: [Role; 4] = [Role::Viewer, Role::Operator, Role::Deployer, Role::Admin];

/// What an endpoint, a page or a socket topic asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Permission {
    /// Anybody, signed in or not.
    Public,
    /// Anybody who is signed in: things about oneself.
    SignedIn,
    /// See services, deployments, plans, logs.
    View,
    /// Cancel, roll back, retry an undo, resolve.
    Operate,
    /// Start deployments.
    Deploy,
    /// Apply a manifest: it holds commands.
    ApplyManifest,
    /// Manage users, roles and tokens of others.
    ManageUsers,
    /// Read who did what in the whole installation.
    ReadAudit,
    /// Give up a deployment that cannot be read: its environment may be half done.
    Abandon,
}

impl Role {
    /// Whether this role has `permission`.
    pub const fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::Public | Permission::SignedIn | Permission::View => true,
            Permission::Operate => matches!(self, Self::Operator | Self::Deployer | Self::Admin),
            Permission::Deploy => matches!(self, Self::Deployer | Self::Admin),
            Permission::ApplyManifest
            | Permission::ManageUsers
            | Permission::ReadAudit
            | Permission::Abandon => matches!(self, Self::Admin),
        }
    }

    /// The word in commands and on pages.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
        }
    }
}

impl Permission {
    /// The least role that has it; none = no role is needed.
    pub fn least_role(self) -> Option<Role> {
        match self {
            Self::Public | Self::SignedIn => None,
            Self::View
            | Self::Operate
            | Self::Deploy
            | Self::ApplyManifest
            | Self::ManageUsers
            | Self::ReadAudit
            | Self::Abandon => ROLES.into_iter().find(|role| role.allows(self)),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = crate::scalar::InvalidText;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ROLES.into_iter().find(|role| role.word() == text).ok_or_else(|| {
            crate::scalar::InvalidText::new("role", text, "use viewer, operator, deployer or admin")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_contains_the_one_before_it() {
        let permissions = [
            Permission::Public,
            Permission::SignedIn,
            Permission::View,
            Permission::Operate,
            Permission::Deploy,
            Permission::ApplyManifest,
            Permission::ManageUsers,
            Permission::ReadAudit,
            Permission::Abandon,
        ];
        for pair in ROLES.windows(2) {
            for permission in permissions {
                assert!(!pair[0].allows(permission) || pair[1].allows(permission), "{permission:?}");
            }
        }
        assert_eq!(Permission::ApplyManifest.least_role(), Some(Role::Admin));
        assert_eq!(Permission::Operate.least_role(), Some(Role::Operator));
    }
}
