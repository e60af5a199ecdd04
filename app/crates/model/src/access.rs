//! Roles, where they hold, and permissions. Everything that is not allowed here is denied.

use crate::{DeploymentId, EnvironmentName, ProjectName, UserName, restriction::RestrictionId};
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
    /// Approve and reject deployments, where the manifest names whoever does.
    Approve,
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
    /// Set, list and remove secrets; nobody reads them.
    ManageSecrets,
}

impl Role {
    /// Whether this role has `permission`.
    pub const fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::Public | Permission::SignedIn | Permission::View | Permission::Approve => true,
            Permission::Operate => matches!(self, Self::Operator | Self::Deployer | Self::Admin),
            Permission::Deploy => matches!(self, Self::Deployer | Self::Admin),
            Permission::ApplyManifest
            | Permission::ManageUsers
            | Permission::ReadAudit
            | Permission::Abandon
            | Permission::ManageSecrets => matches!(self, Self::Admin),
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
            | Self::Approve
            | Self::Operate
            | Self::Deploy
            | Self::ApplyManifest
            | Self::ManageUsers
            | Self::ReadAudit
            | Self::Abandon
            | Self::ManageSecrets => ROLES.into_iter().find(|role| role.allows(self)),
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

/// A part of the installation: everything, a project, an environment of it, or all environments of a
/// name. Names compare ignoring case.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scope {
    /// The project; none = every one, also those to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    /// The environment; none = every one, also those to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
}

impl Scope {
    /// An environment of a project.
    pub const fn of(project: ProjectName, environment: EnvironmentName) -> Self {
        Self { project: Some(project), environment: Some(environment) }
    }

    /// A whole project.
    pub const fn project(project: ProjectName) -> Self {
        Self { project: Some(project), environment: None }
    }

    /// Whether all of `other` is a part of this.
    pub fn covers(&self, other: &Self) -> bool {
        (self.project.is_none() || self.project == other.project)
            && (self.environment.is_none() || self.environment == other.environment)
    }

    /// What is a part of both; none = nothing is.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        fn narrower<T: Clone + PartialEq>(one: &Option<T>, other: &Option<T>) -> Option<Option<T>> {
            match (one, other) {
                (Some(one), Some(other)) if one != other => None,
                (Some(_), _) => Some(one.clone()),
                (None, other) => Some(other.clone()),
            }
        }
        Some(Self {
            project: narrower(&self.project, &other.project)?,
            environment: narrower(&self.environment, &other.environment)?,
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.project, &self.environment) {
            (None, None) => f.write_str("everything"),
            (Some(project), None) => write!(f, "{project}"),
            (Some(project), Some(environment)) => write!(f, "{project}/{environment}"),
            (None, Some(environment)) => write!(f, "{environment} of every project"),
        }
    }
}

/// A role that somebody has on a part of the installation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Grant {
    /// Where.
    pub on: Scope,
    /// The role there; admin only on everything.
    pub role: Role,
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.role, self.on)
    }
}

/// All that somebody may: where several grants hold, the strongest counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rights(pub Vec<Grant>);

impl Rights {
    /// A role on everything.
    pub fn everywhere(role: Role) -> Self {
        Self(vec![Grant { on: Scope::default(), role }])
    }

    /// The role on all of `scope`; none = it may not even be seen.
    pub fn role_on(&self, scope: &Scope) -> Option<Role> {
        self.0.iter().filter(|grant| grant.on.covers(scope)).map(|grant| grant.role).max()
    }

    /// Whether `permission` is had on all of `scope`.
    pub fn allows_on(&self, permission: Permission, scope: &Scope) -> bool {
        permission.least_role().is_none() || self.role_on(scope).is_some_and(|role| role.allows(permission))
    }

    /// Whether `permission` is had anywhere.
    pub fn allows_somewhere(&self, permission: Permission) -> bool {
        permission.least_role().is_none() || self.0.iter().any(|grant| grant.role.allows(permission))
    }

    /// The strongest role that is had anywhere.
    pub fn strongest(&self) -> Option<Role> {
        self.0.iter().map(|grant| grant.role).max()
    }

    /// These rights as far as `bound` reaches: never a larger role, and nowhere else.
    #[must_use]
    pub fn within(&self, bound: &Grant) -> Self {
        let meet = |grant: &Grant| {
            let role = grant.role.min(bound.role);
            grant.on.meet(&bound.on).map(|on| Grant { on, role })
        };
        Self(self.0.iter().filter_map(meet).collect())
    }

    /// Whether whoever has these may give `grant` away: nobody gives what they lack.
    pub fn may_give(&self, grant: &Grant) -> bool {
        self.role_on(&grant.on).is_some_and(|role| role >= grant.role)
    }

    /// What may be seen.
    pub fn sight(&self) -> Sight {
        let mut scopes: Vec<Scope> = self.0.iter().map(|grant| grant.on.clone()).collect();
        scopes.sort();
        scopes.dedup();
        let all = scopes.clone();
        scopes.retain(|scope| !all.iter().any(|other| other != scope && other.covers(scope)));
        Sight(scopes)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no role");
        }
        for (place, grant) in self.0.iter().enumerate() {
            write!(f, "{}{grant}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// What somebody may see: these parts and nothing else. Equal for whoever sees the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sight(Vec<Scope>);

impl Sight {
    /// Of all there is.
    pub fn everything() -> Self {
        Self(vec![Scope::default()])
    }

    /// The parts; none of them is a part of another.
    pub fn scopes(&self) -> &[Scope] {
        &self.0
    }

    /// Whether nothing is hidden.
    pub fn is_everything(&self) -> bool {
        self.covers(&Scope::default())
    }

    /// Whether all of a part may be seen.
    pub fn covers(&self, scope: &Scope) -> bool {
        self.0.iter().any(|seen| seen.covers(scope))
    }

    /// Whether an environment of a project may be seen.
    pub fn sees(&self, project: &ProjectName, environment: &EnvironmentName) -> bool {
        self.0.iter().any(|seen| {
            seen.project.as_ref().is_none_or(|one| one == project)
                && seen.environment.as_ref().is_none_or(|one| one == environment)
        })
    }
}

/// What a request is about. Names that were left out are filled in with those that are meant.
#[derive(Debug)]
pub enum Object<'a> {
    /// Whoever asks.
    Oneself,
    /// The installation as a whole.
    Installation,
    /// Whatever whoever asks may see: the rest is left out.
    Seen,
    /// What stands inside of what is sent; it is checked where that is read.
    Inside,
    /// A whole project.
    Project(&'a ProjectName),
    /// An environment.
    Environment(&'a mut Option<ProjectName>, &'a mut Option<EnvironmentName>),
    /// A deployment, and so its environment.
    Deployment(DeploymentId),
    /// A lock, hold or freeze, and so its environment.
    Restriction(RestrictionId),
}

/// The kinds of [`Object`], as endpoints and routes declare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// [`Object::Oneself`].
    Oneself,
    /// [`Object::Installation`].
    Installation,
    /// [`Object::Seen`].
    Seen,
    /// [`Object::Inside`].
    Inside,
    /// [`Object::Project`].
    Project,
    /// [`Object::Environment`].
    Environment,
    /// [`Object::Deployment`]; of a rollback and a look at the history without a number
    /// [`Object::Environment`] and [`Object::Seen`].
    Deployment,
    /// [`Object::Restriction`].
    Restriction,
}

/// By what somebody does something: it must still hold in the transaction in which that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// Who.
    pub user: UserName,
    /// The token by which they came in.
    pub token: Option<String>,
    /// What it takes.
    pub permission: Permission,
    /// Where.
    pub on: Scope,
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
            Permission::Approve,
            Permission::Operate,
            Permission::Deploy,
            Permission::ApplyManifest,
            Permission::ManageUsers,
            Permission::ReadAudit,
            Permission::Abandon,
            Permission::ManageSecrets,
        ];
        for pair in ROLES.windows(2) {
            for permission in permissions {
                assert!(!pair[0].allows(permission) || pair[1].allows(permission), "{permission:?}");
            }
        }
        assert_eq!(Permission::ApplyManifest.least_role(), Some(Role::Admin));
        assert_eq!(Permission::Operate.least_role(), Some(Role::Operator));
    }

    fn scope(project: Option<&str>, environment: Option<&str>) -> Scope {
        Scope {
            project: project.map(|name| name.parse().expect("valid")),
            environment: environment.map(|name| name.parse().expect("valid")),
        }
    }

    fn rights(grants: &[(Option<&str>, Option<&str>, Role)]) -> Rights {
        let grants = grants.iter();
        Rights(grants.map(|(project, env, role)| Grant { on: scope(*project, *env), role: *role }).collect())
    }

    #[test]
    fn the_strongest_grant_that_covers_all_of_a_part_counts_there() {
        let rights = rights(&[
            (Some("shop"), None, Role::Viewer),
            (Some("shop"), Some("staging"), Role::Deployer),
            (None, Some("staging"), Role::Operator),
        ]);
        for (place, expected) in [
            (scope(Some("shop"), Some("production")), Some(Role::Viewer)),
            (scope(Some("SHOP"), Some("Staging")), Some(Role::Deployer)),
            (scope(Some("other"), Some("staging")), Some(Role::Operator)),
            (scope(Some("other"), Some("production")), None),
            (scope(Some("shop"), None), Some(Role::Viewer)),
            (scope(Some("other"), None), None),
            (scope(None, None), None),
        ] {
            assert_eq!(rights.role_on(&place), expected, "{place}");
        }
        assert!(
            rights.allows_somewhere(Permission::Deploy) && !rights.allows_somewhere(Permission::ManageUsers)
        );
        assert!(rights.allows_on(Permission::SignedIn, &scope(None, None)));
        assert!(Rights::default().allows_on(Permission::SignedIn, &scope(None, None)));
        assert!(!Rights::default().allows_somewhere(Permission::View));
    }

    #[test]
    fn a_bound_takes_away_and_never_adds() {
        let owner = rights(&[(None, None, Role::Admin)]);
        let staging = Grant { on: scope(Some("shop"), Some("staging")), role: Role::Deployer };
        assert_eq!(owner.within(&staging), rights(&[(Some("shop"), Some("staging"), Role::Deployer)]));
        let narrow =
            rights(&[(Some("shop"), Some("production"), Role::Deployer), (Some("shop"), None, Role::Viewer)]);
        assert_eq!(narrow.within(&staging), rights(&[(Some("shop"), Some("staging"), Role::Viewer)]));
        let elsewhere = Grant { on: scope(Some("other"), None), role: Role::Admin };
        assert_eq!(narrow.within(&elsewhere), Rights::default());
    }

    #[test]
    fn nobody_gives_what_they_lack() {
        let deployer = rights(&[(Some("shop"), None, Role::Deployer)]);
        let give =
            |project, environment, role| deployer.may_give(&Grant { on: scope(project, environment), role });
        assert!(
            give(Some("shop"), None, Role::Deployer) && give(Some("shop"), Some("staging"), Role::Viewer)
        );
        assert!(!give(Some("shop"), None, Role::Admin));
        assert!(!give(None, None, Role::Viewer) && !give(None, Some("staging"), Role::Viewer));
        assert!(!give(Some("other"), Some("staging"), Role::Viewer));
    }

    #[test]
    fn sight_is_what_the_grants_cover_said_once() {
        let wide =
            rights(&[(Some("shop"), Some("staging"), Role::Viewer), (Some("shop"), None, Role::Deployer)]);
        assert_eq!(wide.sight().scopes(), [scope(Some("shop"), None)]);
        assert_eq!(wide.sight(), rights(&[(Some("shop"), None, Role::Viewer)]).sight());
        let name = |text: &str| text.parse().expect("valid");
        let staging = rights(&[(None, Some("staging"), Role::Viewer)]).sight();
        assert!(staging.sees(&name("shop"), &"staging".parse().expect("valid")));
        assert!(!staging.sees(&name("shop"), &"production".parse().expect("valid")));
        assert!(rights(&[(None, None, Role::Viewer)]).sight().is_everything() && !staging.is_everything());
        assert!(!Rights::default().sight().covers(&scope(Some("shop"), Some("staging"))));
    }
}
