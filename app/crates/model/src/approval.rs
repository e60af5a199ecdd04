//! Approvals: an environment may want that people other than its author say so before a release begins
//! there. What is approved is one plan, by its digest; what takes something back is never held up.

use crate::{
    DeploymentId, Digest, Timestamp, UserName,
    access::{Permission, Role},
    deployment::Actor,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whom an environment trusts with something: by their role there, or by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Trusted {
    /// Everybody who is at least this there; none = nobody by their role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// These, whatever their role, as long as they see the environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<UserName>,
}

impl Trusted {
    /// By what somebody with `role` there is trusted: it has to hold as long as their word counts. None
    /// = they are not.
    pub fn permission(&self, user: &UserName, role: Option<Role>) -> Option<Permission> {
        let role = role?;
        if self.names.contains(user) {
            return Some(Permission::Approve);
        }
        let least = self.role.filter(|least| role >= *least)?;
        Some(match least {
            Role::Viewer => Permission::View,
            Role::Operator => Permission::Operate,
            Role::Deployer => Permission::Deploy,
            // Of those that only an admin has; which one does not matter.
            Role::Admin => Permission::ManageUsers,
        })
    }
}

impl fmt::Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names.iter().map(UserName::as_str).collect();
        match (self.role, names.is_empty()) {
            (Some(Role::Admin), true) => f.write_str("an admin"),
            (Some(role), true) => write!(f, "whoever is at least {role} there"),
            (Some(role), false) => {
                write!(f, "whoever is at least {role} there, or {}", names.join(", "))
            }
            (None, false) => f.write_str(&names.join(", ")),
            (None, true) => f.write_str("nobody"),
        }
    }
}

/// What an environment wants before a release begins there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Approvals {
    /// So many people other than whoever asked for it, from 1.
    pub count: u32,
    /// Whose word counts.
    pub by: Trusted,
    /// So long after it was asked for, a deployment without them ends.
    pub timeout_ms: u64,
}

/// Whose work a deployment is that a rule of trust or a webhook asked for. It is done in the name of whoever
/// made the rule, and they are not its author for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Author {
    /// By which rule it came: `webhook shop`, `trust shop-production`.
    pub rule: String,
    /// Who did it, in the words of where it came from: who wrote the commit, who pushed it or began the job.
    pub named: Vec<String>,
    /// The accounts that these have here.
    pub accounts: Vec<UserName>,
}

/// Somebody's approval of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Approval {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The digest of what they approved.
    pub plan: Digest,
}

/// What a deployment that waits for approvals waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApprovalView {
    /// The digest of its plan: what is approved.
    pub plan: Digest,
    /// So many are needed.
    pub count: u32,
    /// Whose word counts.
    pub by: Trusted,
    /// Whose word does not, whatever they are: its authors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<UserName>,
    /// Then it ends without them.
    pub until: Timestamp,
    /// Who approved, in order.
    pub given: Vec<ApprovalGiven>,
}

/// Somebody's approval, and whether it counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApprovalGiven {
    /// Who.
    pub user: UserName,
    /// When.
    pub at: Timestamp,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it counts: not of somebody who may not approve any more.
    pub counts: bool,
}

impl ApprovalView {
    /// How many count.
    pub fn counted(&self) -> usize {
        self.given.iter().filter(|one| one.counts).count()
    }

    /// Why somebody with `role` there may not approve it; none = they may.
    pub fn bar(&self, user: &UserName, role: Option<Role>) -> Option<String> {
        if self.authors.contains(user) {
            return Some("This deployment is your own; somebody else approves it.".to_owned());
        }
        if self.given.iter().any(|one| one.user == *user) {
            return Some("You have approved already.".to_owned());
        }
        match self.by.permission(user, role) {
            Some(_) => None,
            None => Some(format!("This is for {}.", self.by)),
        }
    }
}

/// What somebody says about a deployment that waits for approvals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Word {
    /// It may begin.
    Approve,
    /// It may not.
    Reject,
}

/// Approves or rejects from a terminal elsewhere: the token of `lockstep login` says whose word it is, the
/// password that it is theirs. It counts for this one request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DecideDeployment {
    /// Its number.
    pub id: DeploymentId,
    /// What is said.
    pub word: Word,
    /// To approve: the digest of the plan that is meant.
    #[serde(default)]
    pub plan: Option<Digest>,
    /// Why, in one's own words.
    #[serde(default)]
    pub reason: Option<String>,
    /// One's own password.
    pub password: String,
}

impl fmt::Debug for DecideDeployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecideDeployment({}, {:?})", self.id, self.word)
    }
}

/// Approves that a deployment begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApproveDeployment {
    /// Its number.
    pub id: DeploymentId,
    /// The digest of the plan that was looked at, as `deployment/show` gives it in `approval`.
    pub plan: Digest,
    /// Why, in one's own words.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Rejects that a deployment begins: it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RejectDeployment {
    /// Its number.
    pub id: DeploymentId,
    /// Why, in one's own words.
    #[serde(default)]
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::ROLES;

    fn name(text: &str) -> UserName {
        text.parse().expect("valid")
    }

    #[test]
    fn a_role_or_a_name_is_trusted_and_nobody_who_sees_nothing() {
        let trusted = Trusted { role: Some(Role::Deployer), names: vec![name("carla")] };
        assert_eq!(trusted.permission(&name("Carla"), Some(Role::Viewer)), Some(Permission::Approve));
        assert_eq!(trusted.permission(&name("carla"), None), None, "she does not see it");
        assert_eq!(trusted.permission(&name("bert"), Some(Role::Operator)), None);
        assert_eq!(trusted.permission(&name("bert"), Some(Role::Admin)), Some(Permission::Deploy));
        assert_eq!(Trusted::default().permission(&name("bert"), Some(Role::Admin)), None);
        assert_eq!(trusted.to_string(), "whoever is at least deployer there, or carla");
    }

    #[test]
    fn what_has_to_hold_is_had_by_exactly_those_roles() {
        for least in ROLES {
            let trusted = Trusted { role: Some(least), names: Vec::new() };
            let permission = trusted.permission(&name("bert"), Some(Role::Admin)).expect("an admin is more");
            assert_eq!(permission.least_role(), Some(least));
        }
    }

    #[test]
    fn nobody_approves_their_own_or_twice() {
        let view = ApprovalView {
            plan: format!("sha256:{}", "0".repeat(64)).parse().expect("valid"),
            count: 2,
            by: Trusted { role: Some(Role::Operator), names: Vec::new() },
            authors: vec![name("anna")],
            until: Timestamp(5),
            given: vec![ApprovalGiven { user: name("bert"), at: Timestamp(1), reason: None, counts: true }],
        };
        let bar = |user: &str, role| view.bar(&name(user), role);
        assert!(bar("Anna", Some(Role::Admin)).is_some_and(|why| why.contains("your own")));
        assert!(bar("bert", Some(Role::Admin)).is_some_and(|why| why.contains("already")));
        assert!(bar("dora", Some(Role::Viewer)).is_some_and(|why| why.contains("operator")));
        assert_eq!(bar("dora", Some(Role::Operator)), None);
    }
}
