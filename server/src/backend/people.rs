//! Users and tokens. Nobody gives more than they have, and the last admin stays.

use super::{Services, store};
use app::{AppError, backend::Caller, backend::People};
use async_trait::async_trait;
use lockstep_engine::port::{
    identity::{LinkKind, UserChanged},
    store::AuditEntry,
};
use lockstep_model::{
    UserName,
    access::{Permission, Role},
    api::{AddToken, AddUser, ChangeUser, OneTimeLink, RevokeToken, TokenCreated, TokenPage, UserPage},
    error::ErrorKind,
    view::{TokenView, UserView},
};

const TOKEN_DAYS: std::ops::RangeInclusive<u32> = 1..=366;
const TOKEN_NAME_CHARS_MAX: usize = 63;

#[async_trait]
impl People for Services {
    async fn user_list(&self) -> Result<UserPage, AppError> {
        let users = self.identities.store().user_list().await.map_err(store)?;
        Ok(UserPage { users })
    }

    async fn user_add(&self, caller: &Caller, req: AddUser) -> Result<OneTimeLink, AppError> {
        check_rights(caller, req.role)?;
        let users = self.identities.store();
        let audit = self.entry(&caller.actor, "/user/add", format!("user {} as {}", req.name, req.role));
        match users.user_add(&req.name, req.role, self.clock.now(), audit).await.map_err(store)? {
            UserChanged::Done(_) => {}
            UserChanged::NotFound | UserChanged::Exists | UserChanged::LastAdmin => {
                // Somebody whose first link got lost is invited again.
                let known = users.user_fetch(&req.name).await.map_err(store)?;
                let waits = known.is_some_and(|user| !user.view.has_password && user.view.role == req.role);
                if !waits {
                    let message = format!("there is a user '{}' already; see `lockstep user list`", req.name);
                    return Err(AppError::new(ErrorKind::Conflict, message));
                }
            }
        }
        let (path, expires_at) =
            self.identities.link_make(&req.name, LinkKind::SetPassword).await.map_err(store)?;
        Ok(OneTimeLink { user: req.name, path, expires_at })
    }

    async fn user_change(&self, caller: &Caller, req: ChangeUser) -> Result<UserView, AppError> {
        if let Some(role) = req.role {
            check_rights(caller, role)?;
        }
        if req.role.is_none() && req.enabled.is_none() {
            return Err(AppError::new(ErrorKind::Invalid, "say what is to change: 'role' or 'enabled'"));
        }
        let audit = self.entry(&caller.actor, "/user/change", changed(&req));
        let users = self.identities.store();
        let changed = users.user_change(&req.name, req.role, req.enabled, audit).await.map_err(store)?;
        self.identities.withdrawn();
        match changed {
            UserChanged::Done(view) => Ok(view),
            UserChanged::NotFound | UserChanged::Exists => Err(AppError::new(
                ErrorKind::NotFound,
                format!("there is no user '{}'; see `lockstep user list`", req.name),
            )),
            UserChanged::LastAdmin => Err(AppError::new(
                ErrorKind::Conflict,
                format!("'{}' is the last admin who may sign in; make another one first", req.name),
            )),
        }
    }

    async fn token_list(&self, caller: &Caller) -> Result<TokenPage, AppError> {
        let whose = owner_filter(caller);
        let tokens = self.identities.store().token_list(whose).await.map_err(store)?;
        Ok(TokenPage { tokens })
    }

    async fn token_add(&self, caller: &Caller, req: AddToken) -> Result<TokenCreated, AppError> {
        if caller.actor.via.starts_with("token") {
            let message =
                "a token cannot make tokens: sign in, or use the command on the server's own machine";
            return Err(AppError::new(ErrorKind::Forbidden, message));
        }
        let role = req.role.unwrap_or(caller.role);
        check_rights(caller, role)?;
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
        let (token, secret) =
            self.identities.token_make(caller, name, role, req.days).await.map_err(store)?;
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
        let (_, token, _) = tokens.token_fetch(&req.id).await.map_err(store)?.ok_or_else(unknown)?;
        if owner_filter(caller).is_some_and(|own| *own != token.user) {
            return Err(unknown());
        }
        let audit = self.entry(&caller.actor, "/token/revoke", format!("token {}", req.id));
        let revoked = tokens.token_revoke(&req.id, audit).await.map_err(store)?;
        self.identities.withdrawn();
        revoked.ok_or_else(unknown)
    }

    async fn denied(&self, caller: &Caller, path: &'static str) {
        let entry = self.entry(&caller.actor, path, "denied".to_owned());
        let entry = AuditEntry { allowed: false, ..entry };
        if let Err(error) = self.store.audit_append(entry).await {
            tracing::error!("a denial of {path} to {} was not recorded: {error}", caller.user);
        }
    }
}

/// Admins see everybody's, others their own.
fn owner_filter(caller: &Caller) -> Option<&UserName> {
    if caller.role.allows(Permission::ManageUsers) { None } else { Some(&caller.user) }
}

fn check_rights(caller: &Caller, role: Role) -> Result<(), AppError> {
    if role <= caller.role {
        return Ok(());
    }
    let message = format!("{} is {} and cannot give the role {role}", caller.user, caller.role);
    Err(AppError::new(ErrorKind::Forbidden, message))
}

fn changed(req: &ChangeUser) -> String {
    let role = req.role.map(|role| format!(" role {role}")).unwrap_or_default();
    let enabled =
        req.enabled.map(|enabled| if enabled { " enabled" } else { " disabled" }).unwrap_or_default();
    format!("user {}{role}{enabled}", req.name)
}
