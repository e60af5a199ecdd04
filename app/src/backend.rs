//! What is behind the server functions, one trait a feature; the server implements them. Each
//! method is called only after its endpoint's permission was checked.

use crate::AppError;
use async_trait::async_trait;
use leptos::prelude::use_context;
use lockstep_model::{
    UserName,
    access::{Permission, Role},
    api::{
        AddToken, AddUser, ApplyManifest, AuditPage, ChangeUser, CheckpointPage, DeploymentPage,
        DeploymentRequest, EndDeployment, Endpoint, EnvironmentRequest, GatewayPage, ListDeployments,
        ListServices, LogPage, MonitorRequest, MonitorView, Neighbours, NeighboursRequest, OneTimeLink,
        ProjectRequest, ReadLogs, ResolveDeployment, RevokeToken, RollbackDeployment, ServicePage,
        ServiceRequest, StartDeployment, TokenCreated, TokenPage, UserPage, VersionPage, WaitDeployment,
    },
    deployment::Actor,
    error::ErrorKind,
    view::{
        DeploymentDetail, DeploymentSummary, EventsView, ManifestView, PlanView, ServiceDetail, TokenView,
        UserView,
    },
};
use std::sync::Arc;

/// Who asks: found out once, before any server function runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub user: UserName,
    /// What they may do here: for a token, its own role.
    pub role: Role,
    /// How and from where, for the audit.
    pub actor: Actor,
}

/// Who asks, if anybody is signed in; put into the context of every request.
#[derive(Debug, Clone)]
pub struct Identity(pub Option<Caller>);

/// Manifests.
#[async_trait]
pub trait Manifests: Send + Sync {
    /// Stores a revision.
    async fn manifest_apply(&self, caller: &Caller, req: ApplyManifest) -> Result<ManifestView, AppError>;
    /// The current one of a project.
    async fn manifest_show(&self, req: ProjectRequest) -> Result<ManifestView, AppError>;
}

/// Deployments.
#[async_trait]
pub trait Deployments: Send + Sync {
    /// A dry run.
    async fn deployment_plan(&self, req: StartDeployment) -> Result<PlanView, AppError>;
    /// Asks for one.
    async fn deployment_start(
        &self,
        caller: &Caller,
        req: StartDeployment,
    ) -> Result<DeploymentSummary, AppError>;
    /// The newest first.
    async fn deployment_list(&self, req: ListDeployments) -> Result<DeploymentPage, AppError>;
    /// One.
    async fn deployment_show(&self, req: DeploymentRequest) -> Result<DeploymentDetail, AppError>;
    /// Waits for events.
    async fn deployment_wait(&self, req: WaitDeployment) -> Result<EventsView, AppError>;
    /// Output.
    async fn deployment_logs(&self, req: ReadLogs) -> Result<LogPage, AppError>;
    /// Ends one.
    async fn deployment_cancel(
        &self,
        caller: &Caller,
        req: EndDeployment,
    ) -> Result<DeploymentSummary, AppError>;
    /// Takes one back.
    async fn deployment_rollback(
        &self,
        caller: &Caller,
        req: RollbackDeployment,
    ) -> Result<DeploymentSummary, AppError>;
    /// Tries an undo again.
    async fn deployment_undo_retry(
        &self,
        caller: &Caller,
        req: DeploymentRequest,
    ) -> Result<DeploymentSummary, AppError>;
    /// Declares how one ended.
    async fn deployment_resolve(
        &self,
        caller: &Caller,
        req: ResolveDeployment,
    ) -> Result<DeploymentSummary, AppError>;
    /// What can be gone back to.
    async fn checkpoint_list(&self, req: EnvironmentRequest) -> Result<CheckpointPage, AppError>;
    /// What stands beside one in a list.
    async fn deployment_neighbours(&self, req: NeighboursRequest) -> Result<Neighbours, AppError>;
    /// Who did what to one.
    async fn deployment_audit(&self, req: DeploymentRequest) -> Result<AuditPage, AppError>;
    /// What can be deployed.
    async fn version_list(&self, req: EnvironmentRequest) -> Result<VersionPage, AppError>;
}

/// What open pages are told.
#[async_trait]
pub trait Live: Send + Sync {
    /// What the socket would have told.
    async fn deployment_monitor(&self, req: MonitorRequest) -> Result<MonitorView, AppError>;
}

/// Services.
#[async_trait]
pub trait Services: Send + Sync {
    /// As they stand.
    async fn service_list(&self, req: ListServices) -> Result<ServicePage, AppError>;
    /// One with its past.
    async fn service_show(&self, req: ServiceRequest) -> Result<ServiceDetail, AppError>;
    /// What the gateway does.
    async fn gateway_show(&self) -> Result<GatewayPage, AppError>;
}

/// Users and tokens.
#[async_trait]
pub trait People: Send + Sync {
    /// All users.
    async fn user_list(&self) -> Result<UserPage, AppError>;
    /// A new user.
    async fn user_add(&self, caller: &Caller, req: AddUser) -> Result<OneTimeLink, AppError>;
    /// Changes one.
    async fn user_change(&self, caller: &Caller, req: ChangeUser) -> Result<UserView, AppError>;
    /// Tokens.
    async fn token_list(&self, caller: &Caller) -> Result<TokenPage, AppError>;
    /// A new token.
    async fn token_add(&self, caller: &Caller, req: AddToken) -> Result<TokenCreated, AppError>;
    /// Ends one.
    async fn token_revoke(&self, caller: &Caller, req: RevokeToken) -> Result<TokenView, AppError>;
    /// Notes that a caller was refused something.
    async fn denied(&self, caller: &Caller, path: &'static str);
}

/// Everything behind the server functions; in the context of every request.
#[derive(Clone)]
pub struct Backend {
    /// Manifests.
    pub manifests: Arc<dyn Manifests>,
    /// Deployments.
    pub deployments: Arc<dyn Deployments>,
    /// Services.
    pub services: Arc<dyn Services>,
    /// What open pages are told.
    pub live: Arc<dyn Live>,
    /// Users and tokens.
    pub people: Arc<dyn People>,
}

impl Identity {
    /// Who asks, when they have `permission`. Everything else is denied.
    ///
    /// # Errors
    /// Unauthenticated or forbidden, with what to do.
    pub fn with(&self, permission: Permission) -> Result<&Caller, AppError> {
        let Some(caller) = &self.0 else {
            return Err(AppError::new(
                ErrorKind::Unauthenticated,
                "nobody is signed in; sign in at /login, or send a token: 'Authorization: Bearer ls_…'",
            ));
        };
        if caller.role.allows(permission) {
            return Ok(caller);
        }
        let least = permission.least_role().map_or("another role", Role::word);
        let message =
            format!("{} is {} and may not do this; it takes {least}: ask an admin", caller.user, caller.role);
        Err(AppError::new(ErrorKind::Forbidden, message))
    }
}

/// The backend and who asks, when they may use the endpoint `E`. A request over HTTP was checked
/// before its body was read; this is the check of a call from a page that is rendered here.
///
/// # Errors
/// Unauthenticated or forbidden, with what to do.
pub async fn authorised<E: Endpoint>() -> Result<(Backend, Caller), AppError> {
    let backend = use_context::<Backend>().ok_or_else(|| {
        AppError::new(ErrorKind::Internal, "the server function was called outside a request")
    })?;
    let identity = use_context::<Identity>().unwrap_or(Identity(None));
    let caller = identity.with(E::PERMISSION)?.clone();
    Ok((backend, caller))
}
