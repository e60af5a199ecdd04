//! What somebody may, environment by environment: as it is, and as it would be after a change.

use super::{
    Services,
    people::{given, unknown},
    store,
};
use app::{AppError, backend::Caller};
use lockstep_model::{
    access::{Permission, Rights, Scope},
    api::{AskEffective, EffectiveRole, EffectiveView},
    error::ErrorKind,
};

pub(super) async fn effective(
    services: &Services,
    caller: &Caller,
    req: AskEffective,
) -> Result<EffectiveView, AppError> {
    let is_admin = caller.rights.allows_on(Permission::ManageUsers, &Scope::default());
    let name = req.name.unwrap_or_else(|| caller.user.clone());
    let is_own = name == caller.user;
    // Others are not there for whom they are hidden from.
    if !is_own && !is_admin {
        return Err(unknown(&name));
    }
    let user = services.identities.store().user_fetch(&name).await.map_err(store)?;
    let user = user.ok_or_else(|| unknown(&name))?.view;
    // Of oneself: what one may now, which for a token is less than what was given.
    let grants = if is_own && !is_admin { caller.rights.clone() } else { user.grants };
    let mut then = grants.clone();
    if let Some(on) = &req.revoke {
        then.0.retain(|grant| grant.on != *on);
    }
    if let Some(grant) = &req.grant {
        if !is_admin {
            let message = format!("{} gives no roles and so sees no preview of one", caller.user);
            return Err(AppError::new(ErrorKind::Forbidden, message));
        }
        let grant = given(caller, grant.role, grant.on.project.clone(), grant.on.environment.clone())?;
        then.0.retain(|one| one.on != grant.on);
        then.0.push(grant);
    }
    let then = (req.revoke.is_some() || req.grant.is_some()).then_some(then);
    let effective = roles(services, caller, &grants, then.as_ref()).await?;
    Ok(EffectiveView { user: user.name, enabled: user.enabled, grants, then, effective })
}

async fn roles(
    services: &Services,
    caller: &Caller,
    grants: &Rights,
    then: Option<&Rights>,
) -> Result<Vec<EffectiveRole>, AppError> {
    let all = services.environments(&caller.rights.sight()).await?.into_iter();
    Ok(all
        .map(|environment| {
            let scope = Scope::of(environment.project.clone(), environment.name.clone());
            EffectiveRole {
                project: environment.project,
                environment: environment.name,
                role: grants.role_on(&scope),
                then: then.and_then(|then| then.role_on(&scope)),
            }
        })
        .collect())
}
