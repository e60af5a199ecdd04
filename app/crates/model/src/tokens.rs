//! What tokens may be bound to beside a role and a part of the installation: what is done there. Reading
//! follows the role alone.

use crate::access::Role;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a token may do; each endpoint that changes something belongs to exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Action {
    /// Start deployments and promote.
    Deploy,
    /// Take back: cancel, roll back, try an undo again.
    Rollback,
    /// Pause and resume, leave out and retry, keep, resolve.
    Steer,
    /// Lock, hold, freeze, and end that again.
    Restrict,
    /// Report how a script goes on that `lockstep exec` runs.
    Report,
    /// Apply manifests.
    Apply,
    /// Everything else: people, tokens, rules, closing the server.
    Manage,
}

/// All actions.
pub const ACTIONS: [Action; 7] = [
    Action::Deploy,
    Action::Rollback,
    Action::Steer,
    Action::Restrict,
    Action::Report,
    Action::Apply,
    Action::Manage,
];

impl Action {
    /// The action to which an endpoint belongs that changes something. What is not named here manages, so
    /// that an endpoint to come is closed to tokens that were made for something else.
    pub fn of(path: &str) -> Self {
        match path {
            "/deployment/start" | "/deployment/promote" => Self::Deploy,
            "/deployment/cancel" | "/deployment/rollback" | "/deployment/undo_retry" => Self::Rollback,
            "/deployment/pause"
            | "/deployment/resume"
            | "/deployment/step_skip"
            | "/deployment/step_retry"
            | "/deployment/service_retry"
            | "/deployment/service_keep"
            | "/deployment/resolve" => Self::Steer,
            "/restriction/add" | "/restriction/end" => Self::Restrict,
            "/script/report" => Self::Report,
            "/manifest/apply" => Self::Apply,
            _ => Self::Manage,
        }
    }

    /// The least role without which it can never be done.
    pub const fn least_role(self) -> Role {
        match self {
            Self::Deploy | Self::Report => Role::Deployer,
            Self::Rollback | Self::Steer | Self::Restrict => Role::Operator,
            Self::Apply | Self::Manage => Role::Admin,
        }
    }

    /// The word in commands and in the store.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Steer => "steer",
            Self::Restrict => "restrict",
            Self::Report => "report",
            Self::Apply => "apply",
            Self::Manage => "manage",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Action {
    type Err = crate::scalar::InvalidText;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ACTIONS.into_iter().find(|action| action.word() == text).ok_or_else(|| {
            let advice = "use deploy, rollback, steer, restrict, report, apply or manage";
            crate::scalar::InvalidText::new("action", text, advice)
        })
    }
}

/// Which tokens or sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FindCredentials {
    /// Only those with all of these words.
    #[serde(default)]
    pub q: String,
    /// Only one's own, also for admins.
    #[serde(default)]
    pub own: bool,
}

/// The actions of a token in words; none = all that its role has.
pub fn words(actions: &[Action]) -> String {
    actions.iter().map(|action| action.word()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ENDPOINTS;

    #[test]
    fn an_action_asks_for_the_role_of_its_endpoints() {
        for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.mutates) {
            let action = Action::of(endpoint.path);
            let Some(role) = endpoint.permission.least_role() else {
                assert_eq!(action, Action::Manage, "{}", endpoint.path);
                continue;
            };
            assert!(action.least_role() >= role, "{} takes {role}", endpoint.path);
        }
        for action in ACTIONS {
            assert!(ENDPOINTS.iter().any(|endpoint| endpoint.mutates && Action::of(endpoint.path) == action));
            assert_eq!(action.word().parse(), Ok(action));
        }
    }
}
