//! The server functions: one an endpoint of `model::api`, each a few lines. Authorise, ask the
//! backend, nothing else.

#![allow(missing_docs, reason = "the macro makes a struct of the arguments, whose one field is the request")]

use crate::{
    AppError,
    codec::{ApiAnswer, ApiJson},
};
use leptos::prelude::*;
use lockstep_model::{
    api::{
        AbandonDeployment, AcceptAudit, AddRestriction, AddToken, AddUser, ApplyManifest, AskEffective,
        AuditPage, BeginLockdown, ChangeUser, CheckpointPage, DeploymentPage, DeploymentRequest,
        EffectiveView, Empty, EndDeployment, EndRestriction, EnvironmentRequest, FindAudit,
        ForeseeDeployment, GatewayPage, GrantRole, HistoryReport, KeepService, ListDeployments,
        ListRestrictions, ListServices, LockdownState, LogPage, MonitorRequest, MonitorView, NameUser,
        Neighbours, NeighboursRequest, OneTimeLink, PauseDeployment, ProjectRequest, PromoteDeployment,
        ReadLogs, ResolveDeployment, RestrictionPage, RetryService, RetryStep, RevokeRole, RevokeToken,
        RollbackDeployment, ServicePage, ServiceRequest, SessionView, SkipStep, StartDeployment,
        TokenCreated, TokenPage, UserPage, VerifyAudit, VerifyHistory, VersionPage, WaitDeployment,
    },
    approval::{ApproveDeployment, RejectDeployment},
    graph::GraphView,
    pause::ResumeDeployment,
    restriction::Restriction,
    script::{ListScripts, ReadScript, ReportScript, ScriptPage, ScriptRun},
    secrets::{ListSecrets, RekeyReport, RemoveSecret, SecretPage, SecretView, SetSecret},
    session::{
        ChangePassword, ConfirmSession, EndSession, EndSessions, SessionItem, SessionPage, SessionsEnded,
    },
    tokens::FindCredentials,
    view::{
        AuditReport, DeploymentDetail, DeploymentSummary, EventsView, ForeseenView, ManifestView, PlanView,
        PromotionView, ServiceDetail, TokenView, UserView,
    },
};

pub mod decide;
pub mod links;
pub mod rules;

#[cfg(feature = "ssr")]
use crate::backend::authorised;
#[cfg(feature = "ssr")]
use lockstep_model::api as endpoint;

/// Stores an immutable revision of a manifest.
#[server(name = ManifestApplyCall, prefix = "/api/v1", endpoint = "/manifest/apply", input = ApiJson, output = ApiAnswer)]
pub async fn manifest_apply(req: ApplyManifest) -> Result<ManifestView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::ManifestApply>(req).await?;
    backend.manifests.manifest_apply(&caller, req).await
}

/// The current manifest of a project.
#[server(name = ManifestShowCall, prefix = "/api/v1", endpoint = "/manifest/show", input = ApiJson, output = ApiAnswer)]
pub async fn manifest_show(req: ProjectRequest) -> Result<ManifestView, AppError> {
    let (backend, _, req) = authorised::<endpoint::ManifestShow>(req).await?;
    backend.manifests.manifest_show(req).await
}

/// What a deployment would do.
#[server(name = DeploymentPlanCall, prefix = "/api/v1", endpoint = "/deployment/plan", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_plan(req: StartDeployment) -> Result<PlanView, AppError> {
    let (backend, _, req) = authorised::<endpoint::DeploymentPlan>(req).await?;
    backend.deployments.deployment_plan(req).await
}

/// Asks for a deployment.
#[server(name = DeploymentStartCall, prefix = "/api/v1", endpoint = "/deployment/start", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_start(req: StartDeployment) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentStart>(req).await?;
    backend.deployments.deployment_start(&caller, req).await
}

/// Deployments, the newest first.
#[server(name = DeploymentListCall, prefix = "/api/v1", endpoint = "/deployment/list", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_list(req: ListDeployments) -> Result<DeploymentPage, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentList>(req).await?;
    backend.deployments.deployment_list(&caller, req).await
}

/// What stands beside a deployment in a list.
#[server(name = DeploymentNeighboursCall, prefix = "/api/v1", endpoint = "/deployment/neighbours", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_neighbours(req: NeighboursRequest) -> Result<Neighbours, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentNeighbours>(req).await?;
    backend.deployments.deployment_neighbours(&caller, req).await
}

/// What open pages are told.
#[server(name = DeploymentMonitorCall, prefix = "/api/v1", endpoint = "/deployment/monitor", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_monitor(req: MonitorRequest) -> Result<MonitorView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentMonitor>(req).await?;
    backend.live.deployment_monitor(&caller, req).await
}

/// Who did what to a deployment.
#[server(name = DeploymentAuditCall, prefix = "/api/v1", endpoint = "/deployment/audit", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_audit(req: DeploymentRequest) -> Result<AuditPage, AppError> {
    let (backend, _, req) = authorised::<endpoint::DeploymentAudit>(req).await?;
    backend.deployments.deployment_audit(req).await
}

/// What can be deployed, and what was before.
#[server(name = VersionListCall, prefix = "/api/v1", endpoint = "/service/versions", input = ApiJson, output = ApiAnswer)]
pub async fn version_list(req: EnvironmentRequest) -> Result<VersionPage, AppError> {
    let (backend, caller, req) = authorised::<endpoint::VersionList>(req).await?;
    backend.deployments.version_list(&caller, req).await
}

/// One deployment with everything about it.
#[server(name = DeploymentShowCall, prefix = "/api/v1", endpoint = "/deployment/show", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_show(req: DeploymentRequest) -> Result<DeploymentDetail, AppError> {
    let (backend, _, req) = authorised::<endpoint::DeploymentShow>(req).await?;
    backend.deployments.deployment_show(req).await
}

/// Events after a sequence number; waits for one.
#[server(name = DeploymentWaitCall, prefix = "/api/v1", endpoint = "/deployment/wait", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_wait(req: WaitDeployment) -> Result<EventsView, AppError> {
    let (backend, _, req) = authorised::<endpoint::DeploymentWait>(req).await?;
    backend.deployments.deployment_wait(req).await
}

/// Whether journals, and what is kept beside them, keep every promise.
#[server(name = HistoryVerifyCall, prefix = "/api/v1", endpoint = "/history/verify", input = ApiJson, output = ApiAnswer)]
pub async fn history_verify(req: VerifyHistory) -> Result<HistoryReport, AppError> {
    let (backend, caller, req) = authorised::<endpoint::HistoryVerify>(req).await?;
    backend.deployments.history_verify(&caller, req).await
}

/// Who did what in the whole installation.
#[server(name = AuditListCall, prefix = "/api/v1", endpoint = "/audit/list", input = ApiJson, output = ApiAnswer)]
pub async fn audit_list(req: FindAudit) -> Result<AuditPage, AppError> {
    let (backend, _, req) = authorised::<endpoint::AuditList>(req).await?;
    backend.audit.audit_list(req).await
}

/// Whether the audit is whole.
#[server(name = AuditVerifyCall, prefix = "/api/v1", endpoint = "/audit/verify", input = ApiJson, output = ApiAnswer)]
pub async fn audit_verify(req: VerifyAudit) -> Result<AuditReport, AppError> {
    let (backend, _, req) = authorised::<endpoint::AuditVerify>(req).await?;
    backend.audit.audit_verify(req).await
}

/// Notes the end of the audit down anew.
#[server(name = AuditAcceptCall, prefix = "/api/v1", endpoint = "/audit/accept", input = ApiJson, output = ApiAnswer)]
pub async fn audit_accept(req: AcceptAudit) -> Result<AuditReport, AppError> {
    let (backend, caller, req) = authorised::<endpoint::AuditAccept>(req).await?;
    backend.audit.audit_accept(&caller, req).await
}

/// Closes the server.
#[server(name = LockdownBeginCall, prefix = "/api/v1", endpoint = "/lockdown/begin", input = ApiJson, output = ApiAnswer)]
pub async fn lockdown_begin(req: BeginLockdown) -> Result<LockdownState, AppError> {
    let (backend, caller, req) = authorised::<endpoint::LockdownBegin>(req).await?;
    backend.closing.lockdown_begin(&caller, req).await
}

/// Opens the server again.
#[server(name = LockdownEndCall, prefix = "/api/v1", endpoint = "/lockdown/end", input = ApiJson, output = ApiAnswer)]
pub async fn lockdown_end(req: Empty) -> Result<LockdownState, AppError> {
    let (backend, caller, Empty {}) = authorised::<endpoint::LockdownEnd>(req).await?;
    backend.closing.lockdown_end(&caller).await
}

/// Whether the server is closed.
#[server(name = LockdownShowCall, prefix = "/api/v1", endpoint = "/lockdown/show", input = ApiJson, output = ApiAnswer)]
pub async fn lockdown_show(req: Empty) -> Result<LockdownState, AppError> {
    let (backend, _, req) = authorised::<endpoint::LockdownShow>(req).await?;
    backend.closing.lockdown_show(req).await
}

/// Output of the steps.
#[server(name = DeploymentLogsCall, prefix = "/api/v1", endpoint = "/deployment/logs", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_logs(req: ReadLogs) -> Result<LogPage, AppError> {
    let (backend, _, req) = authorised::<endpoint::DeploymentLogs>(req).await?;
    backend.deployments.deployment_logs(req).await
}

/// Lets nothing more begin in a deployment.
#[server(name = DeploymentPauseCall, prefix = "/api/v1", endpoint = "/deployment/pause", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_pause(req: PauseDeployment) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentPause>(req).await?;
    backend.deployments.deployment_pause(&caller, req).await
}

/// Lets a paused deployment go on.
#[server(name = DeploymentResumeCall, prefix = "/api/v1", endpoint = "/deployment/resume", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_resume(req: ResumeDeployment) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentResume>(req).await?;
    backend.deployments.deployment_resume(&caller, req).await
}

/// Leaves a step out.
#[server(name = DeploymentStepSkipCall, prefix = "/api/v1", endpoint = "/deployment/step_skip", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_step_skip(req: SkipStep) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentStepSkip>(req).await?;
    backend.deployments.deployment_step_skip(&caller, req).await
}

/// Tries a step again.
#[server(name = DeploymentStepRetryCall, prefix = "/api/v1", endpoint = "/deployment/step_retry", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_step_retry(req: RetryStep) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentStepRetry>(req).await?;
    backend.deployments.deployment_step_retry(&caller, req).await
}

/// Ends a deployment.
#[server(name = DeploymentCancelCall, prefix = "/api/v1", endpoint = "/deployment/cancel", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_cancel(req: EndDeployment) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentCancel>(req).await?;
    backend.deployments.deployment_cancel(&caller, req).await
}

/// Takes a deployment back.
#[server(name = DeploymentRollbackCall, prefix = "/api/v1", endpoint = "/deployment/rollback", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_rollback(req: RollbackDeployment) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentRollback>(req).await?;
    backend.deployments.deployment_rollback(&caller, req).await
}

/// Says that a deployment may begin.
#[server(name = DeploymentApproveCall, prefix = "/api/v1", endpoint = "/deployment/approve", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_approve(req: ApproveDeployment) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentApprove>(req).await?;
    backend.deployments.deployment_approve(&caller, req).await
}

/// Says that a deployment may not begin.
#[server(name = DeploymentRejectCall, prefix = "/api/v1", endpoint = "/deployment/reject", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_reject(req: RejectDeployment) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentReject>(req).await?;
    backend.deployments.deployment_reject(&caller, req).await
}

/// What could pass on.
#[server(name = DeploymentPromotionPlanCall, prefix = "/api/v1", endpoint = "/deployment/promotion_plan", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_promotion_plan(req: PromoteDeployment) -> Result<PromotionView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentPromotionPlan>(req).await?;
    backend.deployments.deployment_promotion_plan(&caller, req).await
}

/// Passes on what has soaked.
#[server(name = DeploymentPromoteCall, prefix = "/api/v1", endpoint = "/deployment/promote", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_promote(req: PromoteDeployment) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentPromote>(req).await?;
    backend.deployments.deployment_promote(&caller, req).await
}

/// What taking back would do.
#[server(name = DeploymentRollbackPlanCall, prefix = "/api/v1", endpoint = "/deployment/rollback_plan", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_rollback_plan(req: RollbackDeployment) -> Result<PlanView, AppError> {
    let (backend, _, req) = authorised::<endpoint::DeploymentRollbackPlan>(req).await?;
    backend.deployments.deployment_rollback_plan(req).await
}

/// What something would do.
#[server(name = DeploymentForeseeCall, prefix = "/api/v1", endpoint = "/deployment/foresee", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_foresee(req: ForeseeDeployment) -> Result<ForeseenView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentForesee>(req).await?;
    backend.deployments.deployment_foresee(&caller, req).await
}

/// Tries again what failed of a service.
#[server(name = DeploymentServiceRetryCall, prefix = "/api/v1", endpoint = "/deployment/service_retry", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_service_retry(req: RetryService) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentServiceRetry>(req).await?;
    backend.deployments.deployment_service_retry(&caller, req).await
}

/// Keeps a service as it is.
#[server(name = DeploymentServiceKeepCall, prefix = "/api/v1", endpoint = "/deployment/service_keep", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_service_keep(req: KeepService) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentServiceKeep>(req).await?;
    backend.deployments.deployment_service_keep(&caller, req).await
}

/// Tries again what could not be undone.
#[server(name = DeploymentUndoRetryCall, prefix = "/api/v1", endpoint = "/deployment/undo_retry", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_undo_retry(req: DeploymentRequest) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentUndoRetry>(req).await?;
    backend.deployments.deployment_undo_retry(&caller, req).await
}

/// Declares how a deployment ended.
#[server(name = DeploymentResolveCall, prefix = "/api/v1", endpoint = "/deployment/resolve", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_resolve(req: ResolveDeployment) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentResolve>(req).await?;
    backend.deployments.deployment_resolve(&caller, req).await
}

/// See [`endpoint::DeploymentAbandon`].
#[server(name = DeploymentAbandonCall, prefix = "/api/v1", endpoint = "/deployment/abandon", input = ApiJson, output = ApiAnswer)]
pub async fn deployment_abandon(req: AbandonDeployment) -> Result<DeploymentSummary, AppError> {
    let (backend, caller, req) = authorised::<endpoint::DeploymentAbandon>(req).await?;
    backend.deployments.deployment_abandon(&caller, req).await
}

/// What stands in the way of deployments.
#[server(name = RestrictionListCall, prefix = "/api/v1", endpoint = "/restriction/list", input = ApiJson, output = ApiAnswer)]
pub async fn restriction_list(req: ListRestrictions) -> Result<RestrictionPage, AppError> {
    let (backend, caller, req) = authorised::<endpoint::RestrictionList>(req).await?;
    backend.deployments.restriction_list(&caller, req).await
}

/// Locks, freezes, holds.
#[server(name = RestrictionAddCall, prefix = "/api/v1", endpoint = "/restriction/add", input = ApiJson, output = ApiAnswer)]
pub async fn restriction_add(req: AddRestriction) -> Result<Restriction, AppError> {
    let (backend, caller, req) = authorised::<endpoint::RestrictionAdd>(req).await?;
    backend.deployments.restriction_add(&caller, req).await
}

/// Ends a lock, a freeze or a hold.
#[server(name = RestrictionEndCall, prefix = "/api/v1", endpoint = "/restriction/end", input = ApiJson, output = ApiAnswer)]
pub async fn restriction_end(req: EndRestriction) -> Result<Restriction, AppError> {
    let (backend, caller, req) = authorised::<endpoint::RestrictionEnd>(req).await?;
    backend.deployments.restriction_end(&caller, req).await
}

/// What can be gone back to.
#[server(name = CheckpointListCall, prefix = "/api/v1", endpoint = "/checkpoint/list", input = ApiJson, output = ApiAnswer)]
pub async fn checkpoint_list(req: EnvironmentRequest) -> Result<CheckpointPage, AppError> {
    let (backend, _, req) = authorised::<endpoint::CheckpointList>(req).await?;
    backend.deployments.checkpoint_list(req).await
}

/// All services as they stand.
#[server(name = ServiceListCall, prefix = "/api/v1", endpoint = "/service/list", input = ApiJson, output = ApiAnswer)]
pub async fn service_list(req: ListServices) -> Result<ServicePage, AppError> {
    let (backend, caller, req) = authorised::<endpoint::ServiceList>(req).await?;
    backend.services.service_list(&caller, req).await
}

/// How services need each other.
#[server(name = ServiceGraphCall, prefix = "/api/v1", endpoint = "/service/graph", input = ApiJson, output = ApiAnswer)]
pub async fn service_graph(req: EnvironmentRequest) -> Result<GraphView, AppError> {
    let (backend, _, req) = authorised::<endpoint::ServiceGraph>(req).await?;
    backend.services.service_graph(req).await
}

/// A service with its past.
#[server(name = ServiceShowCall, prefix = "/api/v1", endpoint = "/service/show", input = ApiJson, output = ApiAnswer)]
pub async fn service_show(req: ServiceRequest) -> Result<ServiceDetail, AppError> {
    let (backend, _, req) = authorised::<endpoint::ServiceShow>(req).await?;
    backend.services.service_show(req).await
}

/// Takes in how a script goes on.
#[server(name = ScriptReportCall, prefix = "/api/v1", endpoint = "/script/report", input = ApiJson, output = ApiAnswer)]
pub async fn script_report(req: ReportScript) -> Result<ScriptRun, AppError> {
    let (backend, caller, req) = authorised::<endpoint::ScriptReport>(req).await?;
    backend.scripts.script_report(&caller, req).await
}

/// Scripts that reported.
#[server(name = ScriptListCall, prefix = "/api/v1", endpoint = "/script/list", input = ApiJson, output = ApiAnswer)]
pub async fn script_list(req: ListScripts) -> Result<ScriptPage, AppError> {
    let (backend, caller, req) = authorised::<endpoint::ScriptList>(req).await?;
    backend.scripts.script_list(&caller, req).await
}

/// Output of a script.
#[server(name = ScriptLogsCall, prefix = "/api/v1", endpoint = "/script/logs", input = ApiJson, output = ApiAnswer)]
pub async fn script_logs(req: ReadScript) -> Result<LogPage, AppError> {
    let (backend, caller, req) = authorised::<endpoint::ScriptLogs>(req).await?;
    backend.scripts.script_logs(&caller, req).await
}

/// What the gateway does.
#[server(name = GatewayShowCall, prefix = "/api/v1", endpoint = "/gateway/show", input = ApiJson, output = ApiAnswer)]
pub async fn gateway_show(req: Empty) -> Result<GatewayPage, AppError> {
    let (backend, caller, Empty {}) = authorised::<endpoint::GatewayShow>(req).await?;
    backend.services.gateway_show(&caller).await
}

/// Users.
#[server(name = UserListCall, prefix = "/api/v1", endpoint = "/user/list", input = ApiJson, output = ApiAnswer)]
pub async fn user_list(req: Empty) -> Result<UserPage, AppError> {
    let (backend, _, Empty {}) = authorised::<endpoint::UserList>(req).await?;
    backend.people.user_list().await
}

/// Makes a user and a one-time link.
#[server(name = UserAddCall, prefix = "/api/v1", endpoint = "/user/add", input = ApiJson, output = ApiAnswer)]
pub async fn user_add(req: AddUser) -> Result<OneTimeLink, AppError> {
    let (backend, caller, req) = authorised::<endpoint::UserAdd>(req).await?;
    backend.people.user_add(&caller, req).await
}

/// Changes a user.
#[server(name = UserChangeCall, prefix = "/api/v1", endpoint = "/user/change", input = ApiJson, output = ApiAnswer)]
pub async fn user_change(req: ChangeUser) -> Result<UserView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::UserChange>(req).await?;
    backend.people.user_change(&caller, req).await
}

/// Gives a role.
#[server(name = UserGrantCall, prefix = "/api/v1", endpoint = "/user/grant", input = ApiJson, output = ApiAnswer)]
pub async fn user_grant(req: GrantRole) -> Result<UserView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::UserGrant>(req).await?;
    backend.people.user_grant(&caller, req).await
}

/// Takes a role away.
#[server(name = UserRevokeCall, prefix = "/api/v1", endpoint = "/user/revoke", input = ApiJson, output = ApiAnswer)]
pub async fn user_revoke(req: RevokeRole) -> Result<UserView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::UserRevoke>(req).await?;
    backend.people.user_revoke(&caller, req).await
}

/// What somebody may, environment by environment.
#[server(name = UserEffectiveCall, prefix = "/api/v1", endpoint = "/user/effective", input = ApiJson, output = ApiAnswer)]
pub async fn user_effective(req: AskEffective) -> Result<EffectiveView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::UserEffective>(req).await?;
    backend.people.user_effective(&caller, req).await
}

/// A link to set a password anew.
#[server(name = UserLinkCall, prefix = "/api/v1", endpoint = "/user/link", input = ApiJson, output = ApiAnswer)]
pub async fn user_link(req: NameUser) -> Result<OneTimeLink, AppError> {
    let (backend, caller, req) = authorised::<endpoint::UserLink>(req).await?;
    backend.people.user_link(&caller, req).await
}

/// Tokens.
#[server(name = TokenListCall, prefix = "/api/v1", endpoint = "/token/list", input = ApiJson, output = ApiAnswer)]
pub async fn token_list(req: FindCredentials) -> Result<TokenPage, AppError> {
    let (backend, caller, req) = authorised::<endpoint::TokenList>(req).await?;
    backend.people.token_list(&caller, req).await
}

/// Makes a token.
#[server(name = TokenAddCall, prefix = "/api/v1", endpoint = "/token/add", input = ApiJson, output = ApiAnswer)]
pub async fn token_add(req: AddToken) -> Result<TokenCreated, AppError> {
    let (backend, caller, req) = authorised::<endpoint::TokenAdd>(req).await?;
    backend.people.token_add(&caller, req).await
}

/// Ends a token.
#[server(name = TokenRevokeCall, prefix = "/api/v1", endpoint = "/token/revoke", input = ApiJson, output = ApiAnswer)]
pub async fn token_revoke(req: RevokeToken) -> Result<TokenView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::TokenRevoke>(req).await?;
    backend.people.token_revoke(&caller, req).await
}

/// One's own sessions; for admins, everybody's.
#[server(name = SessionListCall, prefix = "/api/v1", endpoint = "/session/list", input = ApiJson, output = ApiAnswer)]
pub async fn session_list(req: FindCredentials) -> Result<SessionPage, AppError> {
    let (backend, caller, req) = authorised::<endpoint::SessionList>(req).await?;
    backend.people.session_list(&caller, req).await
}

/// Ends a session.
#[server(name = SessionEndCall, prefix = "/api/v1", endpoint = "/session/end", input = ApiJson, output = ApiAnswer)]
pub async fn session_end(req: EndSession) -> Result<SessionItem, AppError> {
    let (backend, caller, req) = authorised::<endpoint::SessionEnd>(req).await?;
    backend.people.session_end(&caller, req).await
}

/// Ends all of one's other sessions, or as an admin all of a user's.
#[server(name = SessionEndAllCall, prefix = "/api/v1", endpoint = "/session/end_all", input = ApiJson, output = ApiAnswer)]
pub async fn session_end_all(req: EndSessions) -> Result<SessionsEnded, AppError> {
    let (backend, caller, req) = authorised::<endpoint::SessionEndAll>(req).await?;
    backend.people.session_end_all(&caller, req).await
}

/// Takes the password again.
#[server(name = SessionConfirmCall, prefix = "/api/v1", endpoint = "/session/confirm", input = ApiJson, output = ApiAnswer)]
pub async fn session_confirm(req: ConfirmSession) -> Result<SessionView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::SessionConfirm>(req).await?;
    backend.people.session_confirm(&caller, req).await
}

/// Changes one's own password.
#[server(name = SessionPasswordCall, prefix = "/api/v1", endpoint = "/session/password", input = ApiJson, output = ApiAnswer)]
pub async fn session_password(req: ChangePassword) -> Result<SessionsEnded, AppError> {
    let (backend, caller, req) = authorised::<endpoint::SessionPassword>(req).await?;
    backend.people.session_password(&caller, req).await
}

/// Who one is.
#[server(name = SessionShowCall, prefix = "/api/v1", endpoint = "/session/show", input = ApiJson, output = ApiAnswer)]
pub async fn session_show(req: Empty) -> Result<SessionView, AppError> {
    let (_, caller, Empty {}) = authorised::<endpoint::SessionShow>(req).await?;
    Ok(crate::session::of_caller(&caller))
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use lockstep_model::api::{ENDPOINTS, PREFIX};
    use std::collections::BTreeSet;

    #[test]
    fn the_server_functions_are_the_endpoints_that_are_declared() {
        let registered: BTreeSet<String> =
            server_fn::axum::server_fn_paths().map(|(path, _)| path.to_owned()).collect();
        let declared: BTreeSet<String> =
            ENDPOINTS.iter().map(|endpoint| format!("{PREFIX}{}", endpoint.path)).collect();
        assert_eq!(registered, declared);
    }
}

/// Sets a secret.
#[server(name = SecretSetCall, prefix = "/api/v1", endpoint = "/secret/set", input = ApiJson, output = ApiAnswer)]
pub async fn secret_set(req: SetSecret) -> Result<SecretView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::SecretSet>(req).await?;
    backend.secrets.secret_set(&caller, req).await
}

/// Removes a secret.
#[server(name = SecretRemoveCall, prefix = "/api/v1", endpoint = "/secret/remove", input = ApiJson, output = ApiAnswer)]
pub async fn secret_remove(req: RemoveSecret) -> Result<SecretView, AppError> {
    let (backend, caller, req) = authorised::<endpoint::SecretRemove>(req).await?;
    backend.secrets.secret_remove(&caller, req).await
}

/// Names of secrets, who set them and when.
#[server(name = SecretListCall, prefix = "/api/v1", endpoint = "/secret/list", input = ApiJson, output = ApiAnswer)]
pub async fn secret_list(req: ListSecrets) -> Result<SecretPage, AppError> {
    let (backend, _, req) = authorised::<endpoint::SecretList>(req).await?;
    backend.secrets.secret_list(req).await
}

/// Seals every secret with a new key.
#[server(name = SecretRekeyCall, prefix = "/api/v1", endpoint = "/secret/rekey", input = ApiJson, output = ApiAnswer)]
pub async fn secret_rekey(req: Empty) -> Result<RekeyReport, AppError> {
    let (backend, caller, Empty {}) = authorised::<endpoint::SecretRekey>(req).await?;
    backend.secrets.secret_rekey(&caller).await
}
