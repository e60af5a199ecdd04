//! What is behind the server functions, one trait a feature; the server implements them. Each
//! method is called only after its endpoint's permission was checked.

use crate::AppError;
use async_trait::async_trait;
use leptos::prelude::use_context;
use lockstep_model::{
    Digest, UserName,
    access::{Object, Permission, Right, Rights, Role, Scope},
    api::{
        AbandonDeployment, AcceptAudit, AddRestriction, AddToken, AddUser, ApplyManifest, AskEffective,
        AuditPage, BeginLockdown, ChangeUser, CheckpointPage, Declared, DeploymentPage, DeploymentRequest,
        EffectiveView, Empty, EndDeployment, EndRestriction, Endpoint, EnvironmentRequest, FindAudit,
        ForeseeDeployment, GatewayPage, GrantRole, HistoryReport, KeepService, ListDeployments,
        ListRestrictions, ListServices, LockdownState, LogPage, MonitorRequest, MonitorView, NameUser,
        Neighbours, NeighboursRequest, OneTimeLink, PauseDeployment, ProjectRequest, PromoteDeployment,
        ReadLogs, ResolveDeployment, RestrictionPage, RetryService, RetryStep, RevokeRole, RevokeToken,
        RollbackDeployment, ServicePage, ServiceRequest, SessionView, SkipStep, StartDeployment,
        TokenCreated, TokenPage, UserPage, VerifyAudit, VerifyHistory, VersionPage, WaitDeployment,
    },
    approval::{ApproveDeployment, DecideDeployment, RejectDeployment},
    deployment::Actor,
    error::ErrorKind,
    graph::GraphView,
    hooks::{DeliveryPage, HookPage, HookRule, HookView, ListDeliveries, NamedHook},
    links::{LinkPage, LinkView},
    pause::ResumeDeployment,
    provider::{ProviderPage, ProviderReport},
    restriction::Restriction,
    script::{ListScripts, ReadScript, ReportScript, ScriptPage, ScriptRun},
    secrets::{ListSecrets, RekeyReport, RemoveSecret, SecretPage, SecretView, SetSecret},
    session::{
        ChangePassword, ConfirmSession, EndSession, EndSessions, SessionItem, SessionPage, SessionsEnded,
    },
    tokens::{Action, FindCredentials, words},
    trust::{AddTrust, NamedTrust, TrustPage, TrustView},
    view::{
        AuditReport, DeploymentDetail, DeploymentSummary, EventsView, ForeseenView, ManifestView, PlanView,
        PromotionView, ServiceDetail, TokenView, UserView,
    },
};
use std::sync::Arc;

/// Who asks: found out once, before any server function runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub user: UserName,
    /// What they may; for a token, what it may.
    pub rights: Rights,
    /// With what they came in.
    pub credential: Credential,
    /// What they may change, of a token that was made for that; empty = all that they have a right to.
    pub actions: Vec<Action>,
    /// By what they do what they ask for: looked at again when it is written.
    pub right: Option<Right>,
    /// Whether they have a password to give again.
    pub has_password: bool,
    /// The rule by which they come in, when it is one that somebody made.
    pub rule: Option<ByRule>,
    /// How and from where, for the audit.
    pub actor: Actor,
}

/// A rule of trust or a webhook that acts in the name of whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByRule {
    /// `webhook shop`, `trust shop-production`.
    pub name: String,
    /// Who is behind it, as where it comes from says: who pushed, who began the job.
    pub named: Vec<String>,
}

/// With what somebody comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A command on the server's own machine: nobody can take that right away.
    Local,
    /// A browser's session, by the digest of its id.
    Session(Digest),
    /// A token, by its id.
    Token(String),
    /// A rule that somebody made: what comes in by it is done in their name.
    Rule,
}

impl Caller {
    /// The same, about to do what takes `permission` on `scope`.
    #[must_use]
    pub fn by(&self, permission: Permission, scope: Scope) -> Self {
        let token = match &self.credential {
            Credential::Local => return Self { right: None, ..self.clone() },
            Credential::Session(_) | Credential::Rule => None,
            Credential::Token(id) => Some(id.clone()),
        };
        let right = Right { user: self.user.clone(), token, permission, on: scope };
        Self { right: Some(right), ..self.clone() }
    }

    /// Whether an endpoint is among what they came in for.
    ///
    /// # Errors
    /// Forbidden, with what the token is for.
    pub fn came_for(&self, endpoint: &Declared) -> Result<(), AppError> {
        let action = Action::of(endpoint.path);
        if self.actions.is_empty() || !endpoint.mutates || self.actions.contains(&action) {
            return Ok(());
        }
        let message = format!(
            "this token is for {} and may not {action}; make one with `lockstep token add NAME --action {action}`",
            words(&self.actions)
        );
        Err(AppError::new(ErrorKind::Forbidden, message))
    }

    /// That they may not do something on a part that they see, and what it takes.
    pub fn forbidden(&self, permission: Permission, scope: &Scope) -> AppError {
        let least = permission.least_role().map_or("another role", Role::word);
        let is = match self.rights.role_on(scope) {
            Some(role) => format!("is {role}"),
            None => "has no role".to_owned(),
        };
        let message =
            format!("{} {is} on {scope} and may not do this; it takes {least}: ask an admin", self.user);
        AppError::new(ErrorKind::Forbidden, message)
    }
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
    async fn deployment_list(
        &self,
        caller: &Caller,
        req: ListDeployments,
    ) -> Result<DeploymentPage, AppError>;
    /// One.
    async fn deployment_show(&self, req: DeploymentRequest) -> Result<DeploymentDetail, AppError>;
    /// Waits for events.
    async fn deployment_wait(&self, req: WaitDeployment) -> Result<EventsView, AppError>;
    /// Whether what is stored keeps every promise.
    async fn history_verify(&self, caller: &Caller, req: VerifyHistory) -> Result<HistoryReport, AppError>;
    /// Output.
    async fn deployment_logs(&self, req: ReadLogs) -> Result<LogPage, AppError>;
    /// Lets nothing more begin.
    async fn deployment_pause(
        &self,
        caller: &Caller,
        req: PauseDeployment,
    ) -> Result<DeploymentSummary, AppError>;
    /// Lets a paused one go on.
    async fn deployment_resume(
        &self,
        caller: &Caller,
        req: ResumeDeployment,
    ) -> Result<DeploymentSummary, AppError>;
    /// Leaves a step out.
    async fn deployment_step_skip(
        &self,
        caller: &Caller,
        req: SkipStep,
    ) -> Result<DeploymentSummary, AppError>;
    /// Tries a step again.
    async fn deployment_step_retry(
        &self,
        caller: &Caller,
        req: RetryStep,
    ) -> Result<DeploymentSummary, AppError>;
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
    /// Says that one may begin.
    async fn deployment_approve(
        &self,
        caller: &Caller,
        req: ApproveDeployment,
    ) -> Result<DeploymentSummary, AppError>;
    /// Either, from a terminal elsewhere.
    async fn deployment_decide(
        &self,
        caller: &Caller,
        req: DecideDeployment,
    ) -> Result<DeploymentSummary, AppError>;
    /// Says that it may not.
    async fn deployment_reject(
        &self,
        caller: &Caller,
        req: RejectDeployment,
    ) -> Result<DeploymentSummary, AppError>;
    /// What could pass on.
    async fn deployment_promotion_plan(
        &self,
        caller: &Caller,
        req: PromoteDeployment,
    ) -> Result<PromotionView, AppError>;
    /// Passes on what has soaked.
    async fn deployment_promote(
        &self,
        caller: &Caller,
        req: PromoteDeployment,
    ) -> Result<DeploymentSummary, AppError>;
    /// What taking back would do.
    async fn deployment_rollback_plan(&self, req: RollbackDeployment) -> Result<PlanView, AppError>;
    /// What something would do.
    async fn deployment_foresee(
        &self,
        caller: &Caller,
        req: ForeseeDeployment,
    ) -> Result<ForeseenView, AppError>;
    /// Tries again what failed of a service.
    async fn deployment_service_retry(
        &self,
        caller: &Caller,
        req: RetryService,
    ) -> Result<DeploymentSummary, AppError>;
    /// Keeps a service as it is.
    async fn deployment_service_keep(
        &self,
        caller: &Caller,
        req: KeepService,
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

    /// Gives up a deployment that cannot be read.
    async fn deployment_abandon(
        &self,
        caller: &Caller,
        req: AbandonDeployment,
    ) -> Result<DeploymentSummary, AppError>;
    /// What stands in the way.
    async fn restriction_list(
        &self,
        caller: &Caller,
        req: ListRestrictions,
    ) -> Result<RestrictionPage, AppError>;
    /// Locks, freezes, holds.
    async fn restriction_add(&self, caller: &Caller, req: AddRestriction) -> Result<Restriction, AppError>;
    /// Ends one.
    async fn restriction_end(&self, caller: &Caller, req: EndRestriction) -> Result<Restriction, AppError>;
    /// What can be gone back to.
    async fn checkpoint_list(&self, req: EnvironmentRequest) -> Result<CheckpointPage, AppError>;
    /// What stands beside one in a list.
    async fn deployment_neighbours(
        &self,
        caller: &Caller,
        req: NeighboursRequest,
    ) -> Result<Neighbours, AppError>;
    /// Who did what to one.
    async fn deployment_audit(&self, req: DeploymentRequest) -> Result<AuditPage, AppError>;
    /// What can be deployed.
    async fn version_list(&self, caller: &Caller, req: EnvironmentRequest) -> Result<VersionPage, AppError>;
}

/// What open pages are told.
#[async_trait]
pub trait Live: Send + Sync {
    /// What the socket would have told.
    async fn deployment_monitor(&self, caller: &Caller, req: MonitorRequest)
    -> Result<MonitorView, AppError>;
}

/// Services.
#[async_trait]
pub trait Services: Send + Sync {
    /// As they stand.
    async fn service_list(&self, caller: &Caller, req: ListServices) -> Result<ServicePage, AppError>;
    /// One with its past.
    async fn service_show(&self, req: ServiceRequest) -> Result<ServiceDetail, AppError>;
    /// How they need each other.
    async fn service_graph(&self, req: EnvironmentRequest) -> Result<GraphView, AppError>;
    /// What the gateway does.
    async fn gateway_show(&self, caller: &Caller) -> Result<GatewayPage, AppError>;
}

/// The audit.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Who did what, the newest first.
    async fn audit_list(&self, req: FindAudit) -> Result<AuditPage, AppError>;
    /// Whether it is whole.
    async fn audit_verify(&self, req: VerifyAudit) -> Result<AuditReport, AppError>;
    /// Notes its end down anew, after what was found has been looked into.
    async fn audit_accept(&self, caller: &Caller, req: AcceptAudit) -> Result<AuditReport, AppError>;
}

/// Closing the server and opening it again.
#[async_trait]
pub trait Closing: Send + Sync {
    /// Closes it to everybody but commands on its own machine.
    async fn lockdown_begin(&self, caller: &Caller, req: BeginLockdown) -> Result<LockdownState, AppError>;
    /// Opens it again.
    async fn lockdown_end(&self, caller: &Caller) -> Result<LockdownState, AppError>;
    /// Whether it is closed.
    async fn lockdown_show(&self, req: Empty) -> Result<LockdownState, AppError>;
}

/// Scripts that run elsewhere and report.
#[async_trait]
pub trait Scripts: Send + Sync {
    /// Takes in how one goes on.
    async fn script_report(&self, caller: &Caller, req: ReportScript) -> Result<ScriptRun, AppError>;
    /// The newest first.
    async fn script_list(&self, caller: &Caller, req: ListScripts) -> Result<ScriptPage, AppError>;
    /// What one printed.
    async fn script_logs(&self, caller: &Caller, req: ReadScript) -> Result<LogPage, AppError>;
}

/// Secrets.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Sets one.
    async fn secret_set(&self, caller: &Caller, req: SetSecret) -> Result<SecretView, AppError>;
    /// Removes one.
    async fn secret_remove(&self, caller: &Caller, req: RemoveSecret) -> Result<SecretView, AppError>;
    /// Their names, who set them and when.
    async fn secret_list(&self, req: ListSecrets) -> Result<SecretPage, AppError>;
    /// Seals all with a new key.
    async fn secret_rekey(&self, caller: &Caller) -> Result<RekeyReport, AppError>;
}

/// Who may what.
#[async_trait]
pub trait Access: Send + Sync {
    /// Finds out what a request is about, filling in the names that were left out, and whether `caller`
    /// may. Comes back with the right by which they do it.
    async fn admit(
        &self,
        caller: &Caller,
        permission: Permission,
        object: Object<'_>,
    ) -> Result<Caller, AppError>;
    /// Notes that a caller was refused something.
    async fn denied(&self, caller: &Caller, path: &str);
}

/// Users and tokens.
#[async_trait]
pub trait People: Send + Sync {
    /// All users.
    async fn user_list(&self) -> Result<UserPage, AppError>;
    /// A new user.
    async fn user_add(&self, caller: &Caller, req: AddUser) -> Result<OneTimeLink, AppError>;
    /// A link to set a password anew.
    async fn user_link(&self, caller: &Caller, req: NameUser) -> Result<OneTimeLink, AppError>;
    /// Links that are open.
    async fn link_list(&self) -> Result<LinkPage, AppError>;
    /// Withdraws one.
    async fn link_revoke(&self, caller: &Caller, req: NameUser) -> Result<LinkView, AppError>;
    /// Changes one.
    async fn user_change(&self, caller: &Caller, req: ChangeUser) -> Result<UserView, AppError>;
    /// Tokens.
    async fn token_list(&self, caller: &Caller, req: FindCredentials) -> Result<TokenPage, AppError>;
    /// A new token.
    async fn token_add(&self, caller: &Caller, req: AddToken) -> Result<TokenCreated, AppError>;
    /// Ends one.
    async fn token_revoke(&self, caller: &Caller, req: RevokeToken) -> Result<TokenView, AppError>;
    /// Takes the password again.
    async fn session_confirm(&self, caller: &Caller, req: ConfirmSession) -> Result<SessionView, AppError>;
    /// Changes one's own password.
    async fn session_password(&self, caller: &Caller, req: ChangePassword)
    -> Result<SessionsEnded, AppError>;
    /// Sessions.
    async fn session_list(&self, caller: &Caller, req: FindCredentials) -> Result<SessionPage, AppError>;
    /// Ends one.
    async fn session_end(&self, caller: &Caller, req: EndSession) -> Result<SessionItem, AppError>;
    /// Ends all of somebody's.
    async fn session_end_all(&self, caller: &Caller, req: EndSessions) -> Result<SessionsEnded, AppError>;
    /// Gives a role.
    async fn user_grant(&self, caller: &Caller, req: GrantRole) -> Result<UserView, AppError>;
    /// Takes one away.
    async fn user_revoke(&self, caller: &Caller, req: RevokeRole) -> Result<UserView, AppError>;
    /// What somebody may.
    async fn user_effective(&self, caller: &Caller, req: AskEffective) -> Result<EffectiveView, AppError>;
}

/// Rules by which jobs elsewhere get tokens.
#[async_trait]
pub trait Trust: Send + Sync {
    /// All.
    async fn trust_list(&self) -> Result<TrustPage, AppError>;
    /// A new one.
    async fn trust_add(&self, caller: &Caller, req: AddTrust) -> Result<TrustView, AppError>;
    /// Ends one.
    async fn trust_remove(&self, caller: &Caller, req: NamedTrust) -> Result<TrustView, AppError>;
    /// The identity provider.
    async fn provider_show(&self) -> Result<ProviderPage, AppError>;
    /// Asks it.
    async fn provider_check(&self) -> Result<ProviderReport, AppError>;
}

/// Rules of webhooks.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// All.
    async fn hook_list(&self) -> Result<HookPage, AppError>;
    /// A new one.
    async fn hook_add(&self, caller: &Caller, req: HookRule) -> Result<HookView, AppError>;
    /// Ends one.
    async fn hook_remove(&self, caller: &Caller, req: NamedHook) -> Result<HookView, AppError>;
    /// What was delivered.
    async fn hook_deliveries(&self, req: ListDeliveries) -> Result<DeliveryPage, AppError>;
}

/// Everything behind the server functions; in the context of every request.
#[derive(Clone)]
pub struct Backend {
    /// Who may what.
    pub access: Arc<dyn Access>,
    /// Manifests.
    pub manifests: Arc<dyn Manifests>,
    /// Deployments.
    pub deployments: Arc<dyn Deployments>,
    /// Services.
    pub services: Arc<dyn Services>,
    /// What open pages are told.
    pub live: Arc<dyn Live>,
    /// Scripts that run elsewhere and report.
    pub scripts: Arc<dyn Scripts>,
    /// Users and tokens.
    pub people: Arc<dyn People>,
    /// The audit.
    pub audit: Arc<dyn Audit>,
    /// Secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Closing the server.
    pub closing: Arc<dyn Closing>,
    /// Rules by which jobs elsewhere get tokens.
    pub trust: Arc<dyn Trust>,
    /// Rules of webhooks.
    pub hooks: Arc<dyn Hooks>,
}

impl Identity {
    /// Who asks, when they have `permission` somewhere; where it counts is looked at once it is known what
    /// they ask for. Everything else is denied.
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
        if caller.rights.allows_somewhere(permission) {
            return Ok(caller);
        }
        let is = caller
            .rights
            .strongest()
            .map_or_else(|| "has no role".to_owned(), |role| format!("is {} at most", role.word()));
        let least = permission.least_role().map_or("another role", Role::word);
        let message = format!("{} {is} and may not do this; it takes {least}: ask an admin", caller.user);
        Err(AppError::new(ErrorKind::Forbidden, message))
    }
}

/// The backend, who asks, and the request with its names filled in, when they may use the endpoint `E` on
/// what the request is about.
///
/// # Errors
/// Unauthenticated; `NotFound` when it may not be seen; forbidden, with what to do.
pub async fn authorised<E: Endpoint>(mut req: E::Request) -> Result<(Backend, Caller, E::Request), AppError> {
    let backend = use_context::<Backend>().ok_or_else(|| {
        AppError::new(ErrorKind::Internal, "the server function was called outside a request")
    })?;
    let identity = use_context::<Identity>().unwrap_or(Identity(None));
    let caller = identity.with(E::PERMISSION)?;
    let caller = backend.access.admit(caller, E::PERMISSION, E::object(&mut req)).await?;
    Ok((backend, caller, req))
}
