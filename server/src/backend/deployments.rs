//! Deployments: plans, starts, looks, and what people do to them.

use super::{Services, refused, store};
use app::{AppError, backend::Caller, backend::Deployments};
use async_trait::async_trait;
use lockstep_engine::{Command, view};
use lockstep_model::{
    DeploymentId,
    api::{
        CheckpointPage, DeploymentPage, DeploymentRequest, EndDeployment, EnvironmentRequest,
        ListDeployments, LogPage, PAGE_ROWS_MAX, ReadLogs, ResolveDeployment, RollbackDeployment,
        StartDeployment, WAIT_MS_MAX, WaitDeployment,
    },
    error::ErrorKind,
    gateway::Slot,
    view::{DeploymentDetail, DeploymentSummary, EventsView, PlanView},
};
use std::time::Duration;
use tokio::time::timeout_at;

/// Characters of a reason.
const REASON_CHARS_MAX: usize = 1_000;

#[async_trait]
impl Deployments for Services {
    async fn deployment_plan(&self, req: StartDeployment) -> Result<PlanView, AppError> {
        self.agent.want();
        self.coordinator.plan(&req).await.map(|plan| view::plan(&plan)).map_err(refused)
    }

    async fn deployment_start(
        &self,
        caller: &Caller,
        req: StartDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(req.reason.as_deref())?;
        self.agent.want();
        let id = self.coordinator.deployment_start(caller.actor.clone(), req).await.map_err(refused)?;
        self.summary(id).await
    }

    async fn deployment_list(&self, req: ListDeployments) -> Result<DeploymentPage, AppError> {
        check_limit(req.limit)?;
        self.store.deployment_list(&req).await.map_err(store)
    }

    async fn deployment_show(&self, req: DeploymentRequest) -> Result<DeploymentDetail, AppError> {
        let loaded = self.coordinator.deployment_load(req.id).await.map_err(store)?;
        let mut detail = loaded.map(|state| view::detail(req.id, &state)).ok_or_else(|| not_found(req.id))?;
        for outside in &mut detail.outside {
            let slot = Slot {
                project: detail.summary.project.clone(),
                environment: detail.summary.environment.clone(),
                service: outside.service.clone(),
            };
            let serving = self.store.serving_show(&slot).await.map_err(store)?;
            outside.evidence = serving.and_then(|serving| self.monitor.seen(&slot, &serving));
        }
        Ok(detail)
    }

    async fn deployment_wait(&self, req: WaitDeployment) -> Result<EventsView, AppError> {
        let wait = Duration::from_millis(req.wait_ms.min(WAIT_MS_MAX));
        let end = tokio::time::Instant::now() + wait;
        let mut changes = self.coordinator.changes();
        loop {
            changes.mark_unchanged();
            let events = self.store.deployment_events(req.id, req.after).await.map_err(store)?;
            let phase = self.summary(req.id).await?.phase;
            let is_over = phase.is_final() && events.is_empty();
            if !events.is_empty() || is_over || tokio::time::Instant::now() >= end {
                let seq = events.last().map_or(req.after, |last| last.seq);
                return Ok(EventsView { events, phase, seq });
            }
            // Whether something changed or the time is over: look once more.
            let _ = timeout_at(end, changes.changed()).await;
        }
    }

    async fn deployment_logs(&self, req: ReadLogs) -> Result<LogPage, AppError> {
        check_limit(req.limit)?;
        self.summary(req.id).await?;
        self.logs.log_read(req.id, req.step.as_deref(), req.after, req.limit).await.map_err(store)
    }

    async fn deployment_cancel(
        &self,
        caller: &Caller,
        req: EndDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(req.reason.as_deref())?;
        let command = Command::Cancel { by: caller.actor.clone(), reason: req.reason };
        self.command(req.id, command, "/deployment/cancel").await
    }

    async fn deployment_rollback(
        &self,
        caller: &Caller,
        req: RollbackDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(req.reason.as_deref())?;
        let id = self.coordinator.deployment_rollback(caller.actor.clone(), req).await.map_err(refused)?;
        self.summary(id).await
    }

    async fn deployment_undo_retry(
        &self,
        caller: &Caller,
        req: DeploymentRequest,
    ) -> Result<DeploymentSummary, AppError> {
        let command = Command::RetryUndo { by: caller.actor.clone() };
        self.command(req.id, command, "/deployment/undo_retry").await
    }

    async fn deployment_resolve(
        &self,
        caller: &Caller,
        req: ResolveDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(Some(&req.reason))?;
        let command = Command::Resolve { by: caller.actor.clone(), outcome: req.outcome, reason: req.reason };
        self.command(req.id, command, "/deployment/resolve").await
    }

    async fn checkpoint_list(&self, req: EnvironmentRequest) -> Result<CheckpointPage, AppError> {
        let (project, environment) = self
            .coordinator
            .environment_of(req.project.as_ref(), req.environment.as_ref())
            .await
            .map_err(refused)?;
        self.store.checkpoint_list(&project, &environment).await.map_err(store)
    }
}

impl Services {
    async fn summary(&self, id: DeploymentId) -> Result<DeploymentSummary, AppError> {
        self.store.deployment_fetch(id).await.map_err(store)?.ok_or_else(|| not_found(id))
    }

    async fn command(
        &self,
        id: DeploymentId,
        command: Command,
        action: &'static str,
    ) -> Result<DeploymentSummary, AppError> {
        self.coordinator.deployment_command(id, command, action).await.map_err(refused)?;
        self.summary(id).await
    }
}

fn not_found(id: DeploymentId) -> AppError {
    AppError::new(ErrorKind::NotFound, format!("there is no deployment {id}; see `lockstep history`"))
}

fn check_limit(limit: u32) -> Result<(), AppError> {
    if (1..=PAGE_ROWS_MAX).contains(&limit) {
        return Ok(());
    }
    Err(AppError::new(ErrorKind::Invalid, format!("'limit' is {limit}; use 1 to {PAGE_ROWS_MAX}")))
}

fn check_reason(reason: Option<&str>) -> Result<(), AppError> {
    if reason.is_none_or(|reason| reason.chars().count() <= REASON_CHARS_MAX) {
        return Ok(());
    }
    Err(AppError::new(ErrorKind::Invalid, format!("the reason is longer than {REASON_CHARS_MAX} characters")))
}
