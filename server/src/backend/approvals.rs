//! People say whether a deployment begins. Programs do not: whoever has a token of somebody is not them.

use super::{Services, by, deployments::check_reason, refused, store};
use app::{
    AppError,
    backend::{Caller, Credential},
};
use lockstep_model::{
    DeploymentId,
    approval::{ApproveDeployment, RejectDeployment},
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

/// Refuses tokens where there is something to decide; else the deployment says why there is not.
async fn is_person(services: &Services, caller: &Caller, id: DeploymentId) -> Result<(), AppError> {
    let row = services.store.deployment_fetch(id).await.map_err(store)?;
    let waits = row.is_some_and(|row| row.phase == Phase::Queued && row.approvals.is_some());
    match caller.credential {
        Credential::Token(_) | Credential::Rule if waits => {
            let message = format!(
                "a token decides about no deployment: sign in and do it on the page of deployment {id}, or use `lockstep approve {id}` on the server's own machine"
            );
            Err(AppError::new(ErrorKind::Forbidden, message))
        }
        Credential::Token(_) | Credential::Rule | Credential::Session(_) | Credential::Local => Ok(()),
    }
}
