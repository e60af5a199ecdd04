//! Deployments: plans, starts, looks, and what people do to them.

use super::{
    Services, approvals, audit::view as audit_view, by, foreseen, promotion::PROMOTED_FROM, refused, store,
};
use app::{AppError, backend::Access as _, backend::Caller, backend::Deployments};
use async_trait::async_trait;
use lockstep_engine::{
    Command,
    port::store::{AuditEntry, AuditQuery},
    port::{LogPart, StoreError},
    search::Search,
    view,
};
use lockstep_model::{
    DeploymentId, ServiceName,
    access::{Object, Permission},
    api::{
        AbandonDeployment, AddRestriction, AuditPage, CheckpointPage, DeploymentPage, DeploymentRequest,
        EndDeployment, EndRestriction, EnvironmentRequest, ForeseeDeployment, HistoryReport, KeepService,
        LOG_LINES_MAX, ListDeployments, ListRestrictions, LogPage, Neighbours, NeighboursRequest,
        PAGE_ROWS_MAX, PauseDeployment, PromoteDeployment, ReadLogs, ResolveDeployment, RestrictionPage,
        RetryService, RetryStep, RollbackDeployment, SkipStep, StartDeployment, VerifyHistory, VersionPage,
        WAIT_MS_MAX, WaitDeployment,
    },
    approval::{ApproveDeployment, DecideDeployment, RejectDeployment},
    error::{ErrorBody, ErrorKind},
    gateway::Slot,
    pause::ResumeDeployment,
    restriction::Restriction,
    view::{
        DeploymentDetail, DeploymentSummary, EventsView, ForeseenView, KnownVersion, PlanView, PromotionView,
        ServiceVersions,
    },
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::timeout_at;

/// Characters of a reason.
const REASON_CHARS_MAX: usize = 1_000;

#[async_trait]
impl Deployments for Services {
    async fn deployment_plan(&self, req: StartDeployment) -> Result<PlanView, AppError> {
        self.agent.want();
        let plan = self.coordinator.plan(&req).await.map_err(refused)?;
        // Going by all that ended until now.
        let expectation = self.expectations.of(self, DeploymentId(i64::MAX), &plan).await?;
        Ok(PlanView { expected: expectation.expected, ..view::plan(&plan) })
    }

    async fn deployment_start(
        &self,
        caller: &Caller,
        req: StartDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(req.reason.as_deref())?;
        self.agent.want();
        let by = self.by_author(caller, &req.source).await?;
        let id = self.coordinator.deployment_start(by, req).await.map_err(refused)?;
        self.summary(id).await
    }

    async fn deployment_list(
        &self,
        caller: &Caller,
        req: ListDeployments,
    ) -> Result<DeploymentPage, AppError> {
        let search = search(&req, caller)?;
        self.store.deployment_list(&search).await.map_err(store)
    }

    async fn deployment_show(&self, req: DeploymentRequest) -> Result<DeploymentDetail, AppError> {
        let loaded = match self.coordinator.deployment_load(req.id).await {
            Err(error @ StoreError::Unreadable { .. }) => return Err(self.unreadable(req.id, error).await),
            loaded => loaded.map_err(store)?,
        };
        let state = loaded.ok_or_else(|| not_found(req.id))?;
        let mut detail = view::detail(req.id, &state);
        if self.store.deployment_abandoned(req.id).await.map_err(store)?.is_some() {
            // Its journal may be readable by now, but does not say how it ended.
            detail.summary = self.summary(req.id).await?;
        }
        detail.waits_for = self.coordinator.waits_for(req.id).await;
        detail.approval = self.coordinator.approval(&state).await.map_err(store)?;
        let expectation = self.expectations.of(self, req.id, &state.plan).await?;
        detail.expected = expectation.expected;
        for step in &mut detail.steps {
            step.median_ms = expectation.steps.get(&step.id).copied();
        }
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
        let mut withdrawals = self.identities.withdrawals();
        loop {
            changes.mark_unchanged();
            // First the phase: of one that has ended, the events that follow are then all there are.
            let phase = self.summary(req.id).await?.phase;
            let events = self.store.deployment_events(req.id, req.after).await.map_err(store)?;
            let is_over = phase.is_final() && events.is_empty();
            if !events.is_empty() || is_over || tokio::time::Instant::now() >= end {
                let seq = events.last().map_or(req.after, |last| last.seq);
                return Ok(EventsView { events, phase, seq });
            }
            let is_withdrawn = tokio::select! {
                // Whether something changed or the time is over: look once more.
                _ = timeout_at(end, changes.changed()) => false,
                _ = withdrawals.changed() => true,
            };
            if is_withdrawn {
                // Somebody may do less now: whoever waits asks anew, and is looked at anew.
                return Ok(EventsView { events: Vec::new(), phase, seq: req.after });
            }
        }
    }

    async fn history_verify(&self, caller: &Caller, req: VerifyHistory) -> Result<HistoryReport, AppError> {
        self.report(caller, &req).await
    }

    async fn deployment_logs(&self, req: ReadLogs) -> Result<LogPage, AppError> {
        if !(1..=LOG_LINES_MAX).contains(&req.limit) {
            let message = format!("'limit' is {}; use 1 to {LOG_LINES_MAX}", req.limit);
            return Err(AppError::new(ErrorKind::Invalid, message));
        }
        let part = match req.before {
            Some(_) if req.after != 0 => {
                let message = "'after' and 'before' exclude each other; send one of them";
                return Err(AppError::new(ErrorKind::Invalid, message));
            }
            Some(before) => LogPart::Before(before),
            None => LogPart::After(req.after),
        };
        self.summary(req.id).await?;
        self.logs.log_read(req.id, req.step.as_deref(), part, req.limit).await.map_err(store)
    }

    async fn deployment_pause(
        &self,
        caller: &Caller,
        req: PauseDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(req.reason.as_deref())?;
        let command = Command::Pause { by: caller.actor.clone(), reason: req.reason };
        self.command(caller, req.id, command, "/deployment/pause").await
    }

    async fn deployment_resume(
        &self,
        caller: &Caller,
        req: ResumeDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        let command = Command::Resume { by: caller.actor.clone(), pause: req.pause };
        self.command(caller, req.id, command, "/deployment/resume").await
    }

    async fn deployment_step_skip(
        &self,
        caller: &Caller,
        req: SkipStep,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(Some(&req.reason))?;
        let command = Command::SkipStep { step: req.step, by: caller.actor.clone(), reason: req.reason };
        self.command(caller, req.id, command, "/deployment/step_skip").await
    }

    async fn deployment_step_retry(
        &self,
        caller: &Caller,
        req: RetryStep,
    ) -> Result<DeploymentSummary, AppError> {
        let command = Command::RetryStep { step: req.step, by: caller.actor.clone() };
        self.command(caller, req.id, command, "/deployment/step_retry").await
    }

    async fn deployment_cancel(
        &self,
        caller: &Caller,
        req: EndDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(req.reason.as_deref())?;
        let command = Command::Cancel { by: caller.actor.clone(), reason: req.reason, keep: req.keep };
        self.command(caller, req.id, command, "/deployment/cancel").await
    }

    async fn deployment_rollback(
        &self,
        caller: &Caller,
        req: RollbackDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(req.reason.as_deref())?;
        let id = self.coordinator.deployment_rollback(by(caller), req).await.map_err(refused)?;
        self.summary(id).await
    }

    async fn deployment_decide(
        &self,
        caller: &Caller,
        req: DecideDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        approvals::decide(self, caller, req).await
    }

    async fn deployment_approve(
        &self,
        caller: &Caller,
        req: ApproveDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        approvals::approve(self, caller, req).await
    }

    async fn deployment_reject(
        &self,
        caller: &Caller,
        req: RejectDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        approvals::reject(self, caller, req).await
    }

    async fn deployment_promotion_plan(
        &self,
        caller: &Caller,
        req: PromoteDeployment,
    ) -> Result<PromotionView, AppError> {
        self.promotion(caller, &req).await
    }

    async fn deployment_promote(
        &self,
        caller: &Caller,
        req: PromoteDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(req.reason.as_deref())?;
        let made = self.coordinator.promoted_before(&caller.actor, &req).await.map_err(refused)?;
        if let Some(made) = made {
            // What was made before may be where they see nothing any more.
            self.admit(caller, Permission::View, Object::Deployment(made)).await?;
            return self.summary(made).await;
        }
        let (caller, found) = self.promoted(caller, &req).await?;
        self.agent.want();
        let by = self.by_author(&caller, &found.source).await?;
        let made = self.coordinator.deployment_promote(by, &req, found).await.map_err(refused)?;
        self.summary(made).await
    }

    async fn deployment_rollback_plan(&self, req: RollbackDeployment) -> Result<PlanView, AppError> {
        self.coordinator.rollback_plan(&req).await.map(|plan| view::plan(&plan)).map_err(refused)
    }

    async fn deployment_foresee(
        &self,
        caller: &Caller,
        req: ForeseeDeployment,
    ) -> Result<ForeseenView, AppError> {
        foreseen::foresee(self, caller, req).await
    }

    async fn deployment_service_retry(
        &self,
        caller: &Caller,
        req: RetryService,
    ) -> Result<DeploymentSummary, AppError> {
        let command = Command::RetryService { service: req.service, by: caller.actor.clone() };
        self.command(caller, req.id, command, "/deployment/service_retry").await
    }

    async fn deployment_service_keep(
        &self,
        caller: &Caller,
        req: KeepService,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(Some(&req.reason))?;
        let command =
            Command::KeepService { service: req.service, by: caller.actor.clone(), reason: req.reason };
        self.command(caller, req.id, command, "/deployment/service_keep").await
    }

    async fn deployment_undo_retry(
        &self,
        caller: &Caller,
        req: DeploymentRequest,
    ) -> Result<DeploymentSummary, AppError> {
        let command = Command::RetryUndo { by: caller.actor.clone() };
        self.command(caller, req.id, command, "/deployment/undo_retry").await
    }

    async fn deployment_resolve(
        &self,
        caller: &Caller,
        req: ResolveDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(Some(&req.reason))?;
        let by = caller.actor.clone();
        let command = Command::Resolve { by, outcome: req.outcome, reason: req.reason, leave: req.leave };
        self.command(caller, req.id, command, "/deployment/resolve").await
    }

    async fn deployment_abandon(
        &self,
        caller: &Caller,
        req: AbandonDeployment,
    ) -> Result<DeploymentSummary, AppError> {
        check_reason(Some(&req.reason))?;
        let id = req.id;
        self.coordinator.deployment_abandon(by(caller), req).await.map_err(refused)?;
        self.summary(id).await
    }

    async fn restriction_list(
        &self,
        caller: &Caller,
        req: ListRestrictions,
    ) -> Result<RestrictionPage, AppError> {
        let all = self.coordinator.restriction_list(req.project.as_ref(), req.environment.as_ref()).await;
        let mut restrictions = all.map_err(refused)?;
        let sight = caller.rights.sight();
        restrictions.retain(|one| sight.sees(&one.project, &one.environment));
        Ok(RestrictionPage { restrictions })
    }

    async fn restriction_add(&self, caller: &Caller, req: AddRestriction) -> Result<Restriction, AppError> {
        check_reason(Some(&req.reason))?;
        self.coordinator.restriction_add(by(caller), req).await.map_err(refused)
    }

    async fn restriction_end(&self, caller: &Caller, req: EndRestriction) -> Result<Restriction, AppError> {
        check_reason(Some(&req.reason))?;
        self.coordinator.restriction_end(by(caller), req).await.map_err(refused)
    }

    async fn checkpoint_list(&self, req: EnvironmentRequest) -> Result<CheckpointPage, AppError> {
        let (project, environment) = self
            .coordinator
            .environment_of(req.project.as_ref(), req.environment.as_ref())
            .await
            .map_err(refused)?;
        self.store.checkpoint_list(&project, &environment).await.map_err(store)
    }

    async fn deployment_neighbours(
        &self,
        caller: &Caller,
        req: NeighboursRequest,
    ) -> Result<Neighbours, AppError> {
        let search = search(&req.list, caller)?;
        let summary = self.summary(req.id).await?;
        self.store.deployment_neighbours(&search, &summary).await.map_err(store)
    }

    async fn deployment_audit(&self, req: DeploymentRequest) -> Result<AuditPage, AppError> {
        let asked_for = asked_for(self.summary(req.id).await?);
        let wanted = AuditQuery {
            target: Some(format!("deployment {}", req.id)),
            limit: PAGE_ROWS_MAX,
            ..AuditQuery::default()
        };
        let mut entries = self.store.audit_find(&wanted).await.map_err(store)?;
        // Whoever asked for it did so before it had a number; that is what its journal begins with.
        entries.push((0, asked_for));
        let shown = |(id, entry): (i64, AuditEntry)| {
            audit_view(id, AuditEntry { reason: approvals::typed(&entry), ..entry })
        };
        Ok(AuditPage { entries: entries.into_iter().map(shown).collect() })
    }

    async fn version_list(&self, caller: &Caller, req: EnvironmentRequest) -> Result<VersionPage, AppError> {
        let (project, environment) = self
            .coordinator
            .environment_of(req.project.as_ref(), req.environment.as_ref())
            .await
            .map_err(refused)?;
        let manifest = self.store.manifest_current(&project).await.map_err(store)?.ok_or_else(|| {
            AppError::new(ErrorKind::NotFound, format!("there is no project {project}; see `lockstep apply`"))
        })?;
        let manifest = manifest.revision.manifest;
        let rows = self.store.serving_list(Some(&project), Some(&environment)).await.map_err(store)?;
        let mut known: BTreeMap<ServiceName, Vec<KnownVersion>> = BTreeMap::new();
        for (service, version) in
            self.store.version_list(&project, &caller.rights.sight()).await.map_err(store)?
        {
            known.entry(service).or_default().push(version);
        }
        let services = manifest.services.iter().filter_map(|(name, service)| {
            let spec = service.environments.get(&environment)?;
            let row = rows.iter().find(|row| row.slot.service == *name);
            Some(ServiceVersions {
                service: name.clone(),
                serving: row.and_then(|row| row.serving.as_ref()).map(|serving| serving.version.clone()),
                manifest: spec.version.clone(),
                needs: service.depends_on.keys().cloned().collect(),
                known: known.remove(name).unwrap_or_default(),
            })
        });
        let services = services.collect();
        let is_guarded = manifest.environments.get(&environment).is_some_and(|one| one.require_rollback);
        let asked = PromoteDeployment {
            project: Some(project.clone()),
            from: None,
            to: Some(environment.clone()),
            services: Vec::new(),
            reason: None,
            accept_no_rollback: false,
            idempotency_key: None,
        };
        let promotion = match self.promotion(caller, &asked).await {
            Ok(promotion) => Some(promotion),
            // None is declared, or from where whoever asks sees nothing.
            Err(error) if matches!(error.0.kind, ErrorKind::Conflict | ErrorKind::NotFound) => None,
            Err(error) => return Err(error),
        };
        Ok(VersionPage { project, environment, is_guarded, services, promotion })
    }
}

impl Services {
    /// What happened to a deployment whose journal cannot be read, and what can be done.
    async fn unreadable(&self, id: DeploymentId, error: StoreError) -> AppError {
        let said = self.coordinator.unreadable(id).await;
        let AppError(body) = store(error);
        AppError(match said {
            Ok(Some(message)) => ErrorBody { message, ..body },
            Ok(None) | Err(_) => body,
        })
    }

    pub(super) async fn summary(&self, id: DeploymentId) -> Result<DeploymentSummary, AppError> {
        self.store.deployment_fetch(id).await.map_err(store)?.ok_or_else(|| not_found(id))
    }

    async fn command(
        &self,
        caller: &Caller,
        id: DeploymentId,
        command: Command,
        action: &'static str,
    ) -> Result<DeploymentSummary, AppError> {
        self.coordinator
            .deployment_command_by(id, command, action, caller.right.clone())
            .await
            .map_err(refused)?;
        self.summary(id).await
    }
}

/// Who asked for a deployment, as an entry of its audit.
fn asked_for(row: DeploymentSummary) -> AuditEntry {
    let action = match (row.restore_of, row.source.labels.contains_key(PROMOTED_FROM)) {
        (Some(_), _) if row.by.via == "system" => "/guard",
        (Some(_), _) => "/deployment/rollback",
        (None, true) => "/deployment/promote",
        (None, false) => "/deployment/start",
    };
    AuditEntry {
        at: row.clocks.requested_at,
        actor: row.by,
        action: action.to_owned(),
        target: format!("deployment {}", row.id),
        reason: row.reason,
        allowed: true,
        right: None,
    }
}

pub(super) fn not_found(id: DeploymentId) -> AppError {
    AppError::new(ErrorKind::NotFound, format!("there is no deployment {id}; see `lockstep history`"))
}

/// What a request for a list asks for.
pub(crate) fn search(request: &ListDeployments, caller: &Caller) -> Result<Search, AppError> {
    Search::of(request, caller.rights.sight()).map_err(|message| AppError::new(ErrorKind::Invalid, message))
}

pub(super) fn check_reason(reason: Option<&str>) -> Result<(), AppError> {
    if reason.is_none_or(|reason| reason.chars().count() <= REASON_CHARS_MAX) {
        return Ok(());
    }
    Err(AppError::new(ErrorKind::Invalid, format!("the reason is longer than {REASON_CHARS_MAX} characters")))
}
