//! Users and tokens. Nobody gives more than they have, and the last admin stays.

use super::{Services, effective, links, sessions, store};
use crate::identity::Wanted;
use app::{AppError, backend::Caller, backend::People};
use async_trait::async_trait;
use lockstep_engine::port::identity::{GRANTS_MAX, LISTED_MAX, LinkKind, UserChange, UserChanged};
use lockstep_model::{
    EnvironmentName, ProjectName, UserName,
    access::{Grant, Permission, Role, Scope},
    api::{
        AddToken, AddUser, AskEffective, ChangeUser, EffectiveView, GrantRole, NameUser, OneTimeLink,
        RevokeRole, RevokeToken, SessionView, TokenCreated, TokenPage, UserPage,
    },
    error::ErrorKind,
    links::{LinkPage, LinkView},
    session::{
        ChangePassword, ConfirmSession, EndSession, EndSessions, SessionItem, SessionPage, SessionsEnded,
    },
    tokens::{Action, FindCredentials},
    view::{TokenView, UserView},
};

const TOKEN_DAYS: std::ops::RangeInclusive<u32> = 1..=366;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const TOKEN_NAME_CHARS_MAX: usize = 63;
/// GitHub has 39, and `_` and more in those of enterprises.
const LOGIN_CHARS_MAX: usize = 63;

#[async_trait]
impl People for Services {
    async fn user_list(&self) -> Result<UserPage, AppError> {
        let users = self.identities.store().user_list().await.map_err(store)?;
        Ok(UserPage { users })
    }

    async fn user_add(&self, caller: &Caller, req: AddUser) -> Result<OneTimeLink, AppError> {
        let grant = given(caller, req.role, req.project, req.environment)?;
        let audit = self.entry(caller, "/user/add", format!("user {}", req.name));
        let (link, path) = self.identities.link_write(&req.name, LinkKind::SetPassword, Some(&caller.user));
        let invited = self.identities.store().user_invite(&grant, &link, audit).await.map_err(store)?;
        match invited {
            UserChanged::Done(_) => {}
            UserChanged::Provided => return Err(provided(&req.name)),
            UserChanged::NotFound
            | UserChanged::Exists
            | UserChanged::LastAdmin
            | UserChanged::NoGrant
            | UserChanged::TooMany => {
                let message = format!("there is a user '{}' already; see `lockstep user list`", req.name);
                return Err(AppError::new(ErrorKind::Conflict, message));
            }
        }
        Ok(OneTimeLink { user: req.name, path, expires_at: link.expires_at })
    }

    async fn user_link(&self, caller: &Caller, req: NameUser) -> Result<OneTimeLink, AppError> {
        links::make(self, caller, req).await
    }

    async fn link_list(&self) -> Result<LinkPage, AppError> {
        links::list(self).await
    }

    async fn link_revoke(&self, caller: &Caller, req: NameUser) -> Result<LinkView, AppError> {
        links::revoke(self, caller, req).await
    }

    async fn session_confirm(&self, caller: &Caller, req: ConfirmSession) -> Result<SessionView, AppError> {
        sessions::confirm(self, caller, req).await
    }

    async fn session_password(
        &self,
        caller: &Caller,
        req: ChangePassword,
    ) -> Result<SessionsEnded, AppError> {
        sessions::password(self, caller, req).await
    }

    async fn session_list(&self, caller: &Caller, req: FindCredentials) -> Result<SessionPage, AppError> {
        sessions::list(self, caller, req).await
    }

    async fn session_end(&self, caller: &Caller, req: EndSession) -> Result<SessionItem, AppError> {
        sessions::end(self, caller, req).await
    }

    async fn session_end_all(&self, caller: &Caller, req: EndSessions) -> Result<SessionsEnded, AppError> {
        sessions::end_all(self, caller, req).await
    }

    async fn user_change(&self, caller: &Caller, req: ChangeUser) -> Result<UserView, AppError> {
        if let Some(role) = req.role {
            given(caller, role, None, None)?;
        }
        if req.role.is_none() && req.enabled.is_none() && req.github.is_none() {
            let message = "say what is to change: 'role', 'enabled' or 'github'";
            return Err(AppError::new(ErrorKind::Invalid, message));
        }
        let github = req.github.as_deref().map(str::trim);
        check_login(github)?;
        let audit = self.entry(caller, "/user/change", format!("user {}", req.name));
        let users = self.identities.store();
        let change = UserChange { role: req.role, enabled: req.enabled, github };
        let changed = users.user_change(&req.name, change, audit).await.map_err(store)?;
        if changed == UserChanged::Exists {
            let message = "'github' is the login of another user; see `lockstep user list --json`";
            return Err(AppError::new(ErrorKind::Conflict, message));
        }
        self.changed(&req.name, changed)
    }

    async fn user_grant(&self, caller: &Caller, req: GrantRole) -> Result<UserView, AppError> {
        let grant = given(caller, req.role, req.project, req.environment)?;
        let audit = self.entry(caller, "/user/grant", format!("user {}", req.name));
        let changed = self.identities.store().user_grant(&req.name, &grant, audit).await.map_err(store)?;
        self.changed(&req.name, changed)
    }

    async fn user_revoke(&self, caller: &Caller, req: RevokeRole) -> Result<UserView, AppError> {
        let on = Scope { project: req.project, environment: req.environment };
        let audit = self.entry(caller, "/user/revoke", format!("user {}", req.name));
        let changed = self.identities.store().user_revoke(&req.name, &on, audit).await.map_err(store)?;
        if changed == UserChanged::NoGrant {
            let message = format!(
                "nothing was given to '{}' on {on} itself; `lockstep user show {}` says what was given and where",
                req.name, req.name
            );
            return Err(AppError::new(ErrorKind::NotFound, message));
        }
        self.changed(&req.name, changed)
    }

    async fn user_effective(&self, caller: &Caller, req: AskEffective) -> Result<EffectiveView, AppError> {
        effective::effective(self, caller, req).await
    }

    async fn token_list(&self, caller: &Caller, req: FindCredentials) -> Result<TokenPage, AppError> {
        let whose = if req.own { Some(&caller.user) } else { owner_filter(caller) };
        let words = req.q.to_lowercase();
        let mut tokens = self.identities.store().token_list(whose, &words).await.map_err(store)?;
        let more = tokens.len() > LISTED_MAX;
        tokens.truncate(LISTED_MAX);
        Ok(TokenPage { tokens, more })
    }

    async fn token_add(&self, caller: &Caller, req: AddToken) -> Result<TokenCreated, AppError> {
        if caller.actor.via.starts_with("token") {
            let message =
                "a token cannot make tokens: sign in, or use the command on the server's own machine";
            return Err(AppError::new(ErrorKind::Forbidden, message));
        }
        let on = Scope { project: req.project.clone(), environment: req.environment.clone() };
        let actions = actions(&req.actions, req.role)?;
        let least = actions.iter().map(|action| action.least_role()).max();
        let bound = bound(caller, req.role.or(least), on)?;
        if !TOKEN_DAYS.contains(&req.days) {
            let message =
                format!("'days' is {}; use {} to {}", req.days, TOKEN_DAYS.start(), TOKEN_DAYS.end());
            return Err(AppError::new(ErrorKind::Invalid, message));
        }
        let name = req.name.trim();
        if name.is_empty() || name.chars().count() > TOKEN_NAME_CHARS_MAX || name.contains(char::is_control) {
            let message = format!("a token's name has 1 to {TOKEN_NAME_CHARS_MAX} printable characters");
            return Err(AppError::new(ErrorKind::Invalid, message));
        }
        let lasts_ms = u64::from(req.days) * DAY_MS;
        let wanted = Wanted { name: name.to_owned(), bound, actions, lasts_ms };
        let (token, secret) = self.identities.token_make(caller, wanted).await.map_err(store)?;
        Ok(TokenCreated { token, secret })
    }

    async fn token_revoke(&self, caller: &Caller, req: RevokeToken) -> Result<TokenView, AppError> {
        let tokens = self.identities.store();
        let unknown = || {
            AppError::new(
                ErrorKind::NotFound,
                format!("there is no token '{}'; see `lockstep token list`", req.id),
            )
        };
        // Somebody else's token is one that may not be seen.
        let token = tokens.token_fetch(&req.id).await.map_err(store)?.ok_or_else(unknown)?.view;
        if owner_filter(caller).is_some_and(|own| *own != token.user) {
            return Err(unknown());
        }
        let mut audit = self.entry(caller, "/token/revoke", format!("token {}", req.id));
        audit.reason = Some(sessions::token_sides(&token));
        let revoked = tokens.token_revoke(&req.id, audit).await.map_err(store)?;
        self.identities.withdrawn();
        revoked.ok_or_else(unknown)
    }
}

impl Services {
    /// What came of a change, for people; whoever listens is looked up again.
    fn changed(&self, name: &UserName, changed: UserChanged) -> Result<UserView, AppError> {
        self.identities.withdrawn();
        let conflict = |message: String| Err(AppError::new(ErrorKind::Conflict, message));
        match changed {
            UserChanged::Done(view) => Ok(view),
            UserChanged::NotFound | UserChanged::Exists | UserChanged::NoGrant => Err(unknown(name)),
            UserChanged::Provided => Err(provided(name)),
            UserChanged::LastAdmin => conflict(format!(
                "'{name}' is the last admin who can sign in; make another one first, who has set their password"
            )),
            UserChanged::TooMany => conflict(format!(
                "'{name}' has {GRANTS_MAX} roles already; give one on a whole project or on everything instead"
            )),
        }
    }
}

pub(super) fn unknown(name: &UserName) -> AppError {
    AppError::new(ErrorKind::NotFound, format!("there is no user '{name}'; see `lockstep user list`"))
}

/// A login at GitHub: letters, digits and single hyphens, or of a bot with `[bot]` after it.
fn check_login(login: Option<&str>) -> Result<(), AppError> {
    let Some(login) = login.filter(|login| !login.is_empty()) else { return Ok(()) };
    let plain = login.strip_suffix("[bot]").unwrap_or(login);
    let is_login = (1..=LOGIN_CHARS_MAX).contains(&plain.len())
        && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if is_login {
        return Ok(());
    }
    let message = format!("'github' is '{login}'; write the login as GitHub shows it, without '@'");
    Err(AppError::new(ErrorKind::Invalid, message))
}

/// A password of their own would let somebody in whose groups do not any more.
pub(super) fn provided(name: &UserName) -> AppError {
    let message = format!(
        "'{name}' signs in at the identity provider and gets no password here: what they may follows from their groups there"
    );
    AppError::new(ErrorKind::Conflict, message)
}

/// Admins see everybody's, others their own.
pub(super) fn owner_filter(caller: &Caller) -> Option<&UserName> {
    let is_admin = caller.rights.allows_on(Permission::ManageUsers, &Scope::default());
    if is_admin { None } else { Some(&caller.user) }
}

/// A role that somebody wants to give, when they have it themselves and it can be given there.
pub(super) fn given(
    caller: &Caller,
    role: Role,
    project: Option<ProjectName>,
    environment: Option<EnvironmentName>,
) -> Result<Grant, AppError> {
    let grant = Grant { on: Scope { project, environment }, role };
    if role == Role::Admin && grant.on != Scope::default() {
        let message = format!(
            "there is no admin of {} alone: an admin manages people, tokens and manifests, which hold \
             commands of every project; give deployer there, or admin on everything",
            grant.on
        );
        return Err(AppError::new(ErrorKind::Invalid, message));
    }
    if caller.rights.may_give(&grant) {
        return Ok(grant);
    }
    let message = format!("{} is {} and cannot give {grant}", caller.user, caller.rights);
    Err(AppError::new(ErrorKind::Forbidden, message))
}

/// What a token is wished for, each once; all of it within the role that is named.
pub(super) fn actions(wanted: &[Action], role: Option<Role>) -> Result<Vec<Action>, AppError> {
    let mut actions = wanted.to_vec();
    actions.sort();
    actions.dedup();
    let beyond = actions.iter().find(|action| role.is_some_and(|role| role < action.least_role()));
    if let (Some(action), Some(role)) = (beyond, role) {
        let message =
            format!("'actions' has {action}, which takes {}, and 'role' is {role}", action.least_role());
        return Err(AppError::new(ErrorKind::Invalid, message));
    }
    Ok(actions)
}

/// How far a token reaches. Nothing of what its maker lacks: it is looked at again whenever it is used.
fn bound(caller: &Caller, role: Option<Role>, on: Scope) -> Result<Grant, AppError> {
    // What they have in any part of it: outside of what they have, the token may nothing either.
    let widest = Grant { on: on.clone(), role: Role::Admin };
    let Some(most) = caller.rights.within(&widest).strongest() else {
        let message = format!("{} has no role on {on} and so makes no token for it", caller.user);
        return Err(AppError::new(ErrorKind::Forbidden, message));
    };
    let role = role.unwrap_or(most);
    if role > most {
        let message = format!("{} is {most} at most on {on} and makes no token that is {role}", caller.user);
        return Err(AppError::new(ErrorKind::Forbidden, message));
    }
    Ok(Grant { on, role })
}
