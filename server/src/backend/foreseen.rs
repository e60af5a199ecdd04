//! What something would do to a deployment, before it is done.

use super::{Services, refused, store};
use app::{AppError, backend::Caller};
use lockstep_engine::Command;
use lockstep_model::{
    ServiceName, StepId,
    access::Permission,
    api::{Act, ForeseeDeployment, RollbackDeployment},
    error::ErrorKind,
    view::{DeploymentSummary, ForeseenView},
};

/// Stands for the reason that is given with the act.
const REASON: &str = "as given";

pub(super) async fn foresee(
    services: &Services,
    caller: &Caller,
    req: ForeseeDeployment,
) -> Result<ForeseenView, AppError> {
    let row = services.store.deployment_fetch(req.id).await.map_err(store)?.ok_or_else(|| {
        AppError::new(
            ErrorKind::NotFound,
            format!("there is no deployment {}; see `lockstep history`", req.id),
        )
    })?;
    let does = if row.phase.is_final() && req.act == Act::Rollback {
        restored(services, &req).await?
    } else {
        let command = command(caller, &req)?;
        services.coordinator.deployment_foresee(req.id, &command).await.map_err(refused)?
    };
    let DeploymentSummary { id, phase, .. } = row;
    Ok(ForeseenView { id, phase, permission: Permission::Operate, does })
}

/// What has ended is taken back by a deployment of its own.
async fn restored(services: &Services, req: &ForeseeDeployment) -> Result<Vec<String>, AppError> {
    let request = RollbackDeployment {
        id: Some(req.id),
        project: None,
        environment: None,
        services: req.services.clone(),
        reason: None,
        idempotency_key: None,
    };
    let plan = services.coordinator.rollback_plan(&request).await.map_err(refused)?;
    let mut does =
        vec![format!("A deployment of its own makes serve what served before deployment {}:", req.id)];
    let version = |version: Option<&lockstep_model::Version>| {
        version.map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    does.extend(plan.services.iter().filter(|service| service.is_changed()).map(|service| {
        let from = service.from.as_ref().map(|serving| &serving.version);
        format!("{}: {} → {}", service.service, version(from), version(service.to_version()))
    }));
    does.extend(plan.warnings.into_iter().map(|warning| warning.message));
    Ok(does)
}

fn command(caller: &Caller, req: &ForeseeDeployment) -> Result<Command, AppError> {
    let by = caller.actor.clone();
    let reason = || REASON.to_owned();
    let one_service = || -> Result<ServiceName, AppError> {
        match req.services.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(AppError::new(ErrorKind::Invalid, "name one service in 'services'")),
        }
    };
    let step = || -> Result<StepId, AppError> {
        req.step.clone().ok_or_else(|| AppError::new(ErrorKind::Invalid, "name the step in 'step'"))
    };
    Ok(match req.act {
        Act::Pause => Command::Pause { by, reason: None },
        Act::Resume => Command::Resume { by, pause: None },
        Act::Skip => Command::SkipStep { step: step()?, by, reason: reason() },
        Act::Retry if req.step.is_none() => Command::RetryService { service: one_service()?, by },
        Act::Retry => Command::RetryStep { step: step()?, by },
        Act::Keep => Command::KeepService { service: one_service()?, by, reason: reason() },
        Act::Cancel => Command::Cancel { by, reason: None, keep: req.keep },
        Act::Rollback if req.services.is_empty() => Command::TakeBack { by, reason: None },
        Act::Rollback => Command::TakeBackServices { services: req.services.clone(), by, reason: None },
        Act::UndoRetry => Command::RetryUndo { by },
        Act::Resolve => {
            let outcome = req.outcome.ok_or_else(|| {
                AppError::new(
                    ErrorKind::Invalid,
                    "say in 'outcome' how it ended: succeeded, rolled_back, failed",
                )
            })?;
            Command::Resolve { by, outcome, reason: reason(), leave: req.leave }
        }
    })
}
