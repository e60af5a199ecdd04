//! One-time links to set a password by: made, seen while they are open, withdrawn. Their codes are told
//! once, to whoever makes them.

use super::{
    Services,
    people::{provided, unknown},
    store,
};
use app::{AppError, backend::Caller};
use lockstep_engine::port::identity::{LinkKind, LinkRow, UserChanged};
use lockstep_model::{
    api::{NameUser, OneTimeLink},
    error::ErrorKind,
    links::{LinkPage, LinkView},
};

/// Makes one for somebody who is there already; earlier ones end.
pub(super) async fn make(
    services: &Services,
    caller: &Caller,
    req: NameUser,
) -> Result<OneTimeLink, AppError> {
    let users = services.identities.store();
    let user = users.user_fetch(&req.name).await.map_err(store)?.ok_or_else(|| unknown(&req.name))?;
    if !user.view.enabled {
        let message = format!("'{}' is switched off and could not sign in; switch them on first", req.name);
        return Err(AppError::new(ErrorKind::Conflict, message));
    }
    // Whoever may not have given what the user has would become them by the link.
    if !user.view.grants.0.iter().all(|grant| caller.rights.may_give(grant)) {
        let message = format!("{} has more than {} could give", req.name, caller.user);
        return Err(AppError::new(ErrorKind::Forbidden, message));
    }
    let audit = services.entry(caller, "/user/link", format!("user {}", req.name));
    let kind = LinkKind::SetPassword;
    let (link, path) = services.identities.link_write(&req.name, kind, Some(&caller.user));
    match users.link_add(&link, Some(audit)).await.map_err(store)? {
        UserChanged::Done(_) => Ok(OneTimeLink { user: req.name, path, expires_at: link.expires_at }),
        UserChanged::Provided => Err(provided(&req.name)),
        UserChanged::NotFound
        | UserChanged::Exists
        | UserChanged::LastAdmin
        | UserChanged::NoGrant
        | UserChanged::TooMany => Err(unknown(&req.name)),
    }
}

/// Those that are open.
pub(super) async fn list(services: &Services) -> Result<LinkPage, AppError> {
    let rows = services.identities.store().link_list(services.clock.now()).await.map_err(store)?;
    let mut links = Vec::with_capacity(rows.len());
    for row in rows {
        links.push(view(services, row).await?);
    }
    Ok(LinkPage { links })
}

/// Ends one before it is used.
pub(super) async fn revoke(
    services: &Services,
    caller: &Caller,
    req: NameUser,
) -> Result<LinkView, AppError> {
    let audit = services.entry(caller, "/link/revoke", format!("user {}", req.name));
    let now = services.clock.now();
    let row = services.identities.store().link_revoke(&req.name, now, audit).await.map_err(store)?;
    let message = || format!("no link is open for '{}'; see `lockstep user links`", req.name);
    let row = row.ok_or_else(|| AppError::new(ErrorKind::NotFound, message()))?;
    view(services, row).await
}

async fn view(services: &Services, row: LinkRow) -> Result<LinkView, AppError> {
    let user = services.identities.store().user_fetch(&row.user).await.map_err(store)?;
    let is_invitation = user.is_some_and(|user| !user.view.has_password);
    Ok(LinkView { user: row.user, is_invitation, made_by: row.made_by, expires_at: row.expires_at })
}
