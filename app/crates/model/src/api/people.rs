//! People, what they may, and their tokens.

use crate::{
    EnvironmentName, ProjectName, Timestamp, UserName,
    access::{Grant, Rights, Role, Scope},
    tokens::Action,
    view::{TokenView, UserView},
};
use serde::{Deserialize, Serialize};

body! { /// A user to make.
AddUser {
    /// Name.
    name: UserName,
    /// Their first role.
    role: Role,
    /// Where; none = in every project.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Where; none = in every environment.
    #[serde(default)]
    environment: Option<EnvironmentName>,
} }
body! { /// What changes of a user.
ChangeUser {
    /// Name.
    name: UserName,
    /// Their role on everything from now on; roles on parts stay.
    #[serde(default)]
    role: Option<Role>,
    /// Whether they may sign in from now on.
    #[serde(default)]
    enabled: Option<bool>,
    /// Their login at GitHub; empty = none is known. Sessions go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    github: Option<String>,
} }
body! { /// Names a user.
NameUser {
    /// Name.
    name: UserName,
} }
body! { /// A role to give.
GrantRole {
    /// To whom.
    name: UserName,
    /// Which.
    role: Role,
    /// Where; none = in every project.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Where; none = in every environment.
    #[serde(default)]
    environment: Option<EnvironmentName>,
} }
body! { /// A role to take away.
RevokeRole {
    /// From whom.
    name: UserName,
    /// Where it was given; none = in every project.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Where it was given; none = in every environment.
    #[serde(default)]
    environment: Option<EnvironmentName>,
} }
body! { /// Whose rights are asked for.
AskEffective {
    /// Whose; none = one's own. Of others only for admins.
    #[serde(default)]
    name: Option<UserName>,
    /// As if this were given.
    #[serde(default)]
    grant: Option<Grant>,
    /// As if what was given there were taken away.
    #[serde(default)]
    revoke: Option<Scope>,
} }
body! { /// What somebody may.
EffectiveView {
    /// Who.
    user: UserName,
    /// Whether they may sign in.
    enabled: bool,
    /// What was given.
    grants: Rights,
    /// What would be after the change that was asked about; none = none was.
    #[serde(default)]
    then: Option<Rights>,
    /// What follows from it, environment by environment.
    effective: Vec<EffectiveRole>,
} }
body! { /// A role that follows from what was given.
EffectiveRole {
    /// The project.
    project: ProjectName,
    /// The environment.
    environment: EnvironmentName,
    /// The role; none = it may not be seen.
    role: Option<Role>,
    /// The role after the change that was asked about.
    #[serde(default)]
    then: Option<Role>,
} }
body! { /// A token to make.
AddToken {
    /// What it is called.
    name: String,
    /// What it may do; none = what its maker may. Never more than they may when it is used.
    #[serde(default)]
    role: Option<Role>,
    /// Only in this project; none = wherever its maker may.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Only in this environment; none = wherever its maker may.
    #[serde(default)]
    environment: Option<EnvironmentName>,
    /// What it may change there; empty = all that its role has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
    /// Days until it ends, 1 to 366.
    #[serde(default = "token_days_default")]
    days: u32,
} }
body! { /// A token to end.
RevokeToken {
    /// Its public part.
    id: String,
} }
body! { /// Users.
UserPage {
    /// By name.
    users: Vec<UserView>,
} }
body! { /// A link that works once.
OneTimeLink {
    /// The user.
    user: UserName,
    /// Path and query; put the server's address in front.
    path: String,
    /// Until when it works.
    expires_at: Timestamp,
} }
body! { /// Tokens.
TokenPage {
    /// The newest first.
    tokens: Vec<TokenView>,
    /// Whether there are more than are listed; words to look for narrow them down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    more: bool,
} }
body! { /// A token that was made.
TokenCreated {
    /// What is known of it.
    token: TokenView,
    /// The secret; never shown again.
    secret: String,
} }
body! { /// Who one is.
SessionView {
    /// Name.
    user: UserName,
    /// What one may; of a token what it may.
    rights: Rights,
    /// How one came in: `browser`, `token NAME`.
    via: String,
    /// Whether one has a password here; who has none signs in again at the identity provider.
    #[serde(default)]
    has_password: bool,
} }

/// Days of a token when nobody says how many.
fn token_days_default() -> u32 {
    90
}
