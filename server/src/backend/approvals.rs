//! People say whether a deployment begins. Programs do not: whoever has a token of somebody is not them.

use super::{Services, by, deployments::check_reason, refused, sessions::slowed, store};
use crate::identity::SignInError;
use app::{
    AppError,
    backend::{Access, Caller, Credential},
};
use lockstep_engine::port::store::AuditEntry;
use lockstep_model::{
    DeploymentId,
    approval::{ApproveDeployment, DecideDeployment, RejectDeployment, Word},
    deployment::Phase,
    error::ErrorKind,
    view::DeploymentSummary,
};

pub(super) async fn approve(
    services: &Services,
    caller: &Caller,
    req: ApproveDeployment,
) -> Result<DeploymentSummary, AppError> {
    check_reason(req.reason.as_deref())?;
    let ApproveDeployment { id, plan, reason } = req;
    is_person(services, caller, id).await?;
    let done = services.coordinator.deployment_approve(by(caller), id, plan, reason).await;
    done.map_err(refused)?;
    services.summary(id).await
}

pub(super) async fn reject(
    services: &Services,
    caller: &Caller,
    req: RejectDeployment,
) -> Result<DeploymentSummary, AppError> {
    check_reason(req.reason.as_deref())?;
    let RejectDeployment { id, reason } = req;
    is_person(services, caller, id).await?;
    let done = services.coordinator.deployment_reject(by(caller), id, reason).await;
    done.map_err(refused)?;
    services.summary(id).await
}

/// From a terminal elsewhere: the token of `lockstep login` with the password of its owner, for this once.
pub(super) async fn decide(
    services: &Services,
    caller: &Caller,
    req: DecideDeployment,
) -> Result<DeploymentSummary, AppError> {
    check_reason(req.reason.as_deref())?;
    let DecideDeployment { id, word, plan, reason, password } = req;
    let row = services.store.deployment_fetch(id).await.map_err(store)?;
    let row =
        row.ok_or_else(|| AppError::new(ErrorKind::NotFound, format!("there is no deployment {id}")))?;
    if row.phase != Phase::Queued || row.approvals.is_none() {
        let message =
            format!("deployment {id} waits for nobody's word; `lockstep status {id}` says how it stands");
        return Err(AppError::new(ErrorKind::Conflict, message));
    }
    let plan = match (word, plan) {
        (Word::Approve, None) => {
            let message = "'plan' is missing: the digest of what is approved, as /deployment/show has it";
            return Err(AppError::new(ErrorKind::Invalid, message));
        }
        (_, plan) => plan,
    };
    confirm(services, caller, password).await?;
    let done = match plan {
        Some(plan) if word == Word::Approve => {
            services.coordinator.deployment_approve(by(caller), id, plan, reason).await
        }
        _ => services.coordinator.deployment_reject(by(caller), id, reason).await,
    };
    done.map_err(refused)?;
    services.summary(id).await
}

/// Why, as they typed it: of a word about what waits the audit holds before and after as well, which its own
/// page tells field by field.
pub(super) fn typed(entry: &AuditEntry) -> Option<String> {
    let noted = entry.reason.as_deref()?;
    let after = noted.strip_prefix("before: ").and_then(|sides| sides.split_once("; after: {"));
    let Some((_, after)) =
        after.filter(|_| matches!(entry.action.as_str(), "/deployment/approve" | "/deployment/reject"))
    else {
        return entry.reason.clone();
    };
    let after: serde_json::Value = serde_json::from_str(&format!("{{{after}")).ok()?;
    after["reason"].as_str().map(str::to_owned)
}

/// Whether whoever asks is the person whose token it is.
async fn confirm(services: &Services, caller: &Caller, password: String) -> Result<(), AppError> {
    let for_login = |kind| {
        let message = "this is for whoever signed in with `lockstep login`: a token of a program decides about nothing, and browsers use /deployment/approve and /deployment/reject";
        AppError::new(kind, message)
    };
    let token = match &caller.credential {
        Credential::Token(token) => token,
        Credential::Rule => return Err(for_login(ErrorKind::Forbidden)),
        Credential::Session(_) | Credential::Local => return Err(for_login(ErrorKind::Conflict)),
    };
    if !services.devices.device_has_token(token).await.map_err(store)? {
        return Err(for_login(ErrorKind::Forbidden));
    }
    let user = services.identities.store().user_fetch(&caller.user).await.map_err(store)?;
    if !user.is_some_and(|user| user.view.has_password) {
        let message = "you have no password here, as you sign in at an identity provider: decide on the deployment's page";
        return Err(AppError::new(ErrorKind::Conflict, message));
    }
    match services.identities.token_confirm(&caller.actor, token, password).await {
        Ok(()) => Ok(()),
        Err(SignInError::Credentials) => {
            Access::denied(services, caller, "/deployment/decide").await;
            Err(AppError::new(ErrorKind::Invalid, "that is not your password"))
        }
        Err(SignInError::Throttled { wait_ms }) => Err(slowed(wait_ms)),
        Err(SignInError::Store(error)) => Err(store(error)),
    }
}

/// Refuses tokens where there is something to decide; else the deployment says why there is not.
async fn is_person(services: &Services, caller: &Caller, id: DeploymentId) -> Result<(), AppError> {
    let row = services.store.deployment_fetch(id).await.map_err(store)?;
    let waits = row.is_some_and(|row| row.phase == Phase::Queued && row.approvals.is_some());
    match caller.credential {
        Credential::Token(_) | Credential::Rule if waits => {
            let message = format!(
                "a token decides about no deployment: sign in and do it on the page of deployment {id}, or with `lockstep approve {id}` after `lockstep login`, or on the server's own machine"
            );
            Err(AppError::new(ErrorKind::Forbidden, message))
        }
        Credential::Token(_) | Credential::Rule | Credential::Session(_) | Credential::Local => Ok(()),
    }
}
