//! Every endpoint of the API, once: path, request, response, permission, refusals. The server
//! functions, the authorisation, the CLI's client and the permission matrix test come from here.

use crate::{
    EnvironmentName, ProjectName,
    access::{Object, ObjectKind, Permission},
    approval::{ApproveDeployment, DecideDeployment, RejectDeployment},
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
    tokens::FindCredentials,
    trust::{AddTrust, NamedTrust, TrustPage, TrustView},
    view::{
        AuditReport, DeploymentDetail, DeploymentSummary, EventsView, ForeseenView, ManifestView, PlanView,
        PromotionView, ServiceDetail, TokenView, UserView,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The path before every endpoint.
pub const PREFIX: &str = "/api/v1";
/// The largest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// The most rows that one answer holds.
pub const PAGE_ROWS_MAX: u32 = 200;
/// The most lines of output that one answer holds.
pub const LOG_LINES_MAX: u32 = 5_000;
/// The most deployments that `history/verify` looks at in one request.
pub const VERIFY_DEPLOYMENTS_MAX: u32 = 1_000;
/// The longest that `deployment/wait` holds a request open.
pub const WAIT_MS_MAX: u64 = 25_000;

/// A typed endpoint: `POST {PREFIX}{PATH}` with JSON both ways.
pub trait Endpoint {
    /// Path after [`PREFIX`].
    const PATH: &'static str;
    /// Who may.
    const PERMISSION: Permission;
    /// Body of the request.
    type Request: Serialize + DeserializeOwned + Send;
    /// Body of the answer.
    type Response: Serialize + DeserializeOwned + Send;
    /// What a request is about: there the permission is needed.
    fn object(request: &mut Self::Request) -> Object<'_>;
}

/// What is declared of an endpoint, without its types.
#[derive(Debug, Clone, Copy)]
pub struct Declared {
    /// Path after [`PREFIX`].
    pub path: &'static str,
    /// Who may.
    pub permission: Permission,
    /// What it is about: there the permission is needed.
    pub object: ObjectKind,
    /// Whether it changes something, and so is audited.
    pub mutates: bool,
    /// What it may answer beside success, 401, 403 and what holds for all (400, 408, 413, 415, 422, 503).
    pub refusals: &'static [ErrorKind],
    /// What its documentation is made from.
    #[cfg(feature = "schema")]
    pub described: Described,
}

/// What the documentation of an endpoint is made from.
#[cfg(feature = "schema")]
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// What it does, in a line.
    pub summary: &'static str,
    /// The schema of its body.
    pub request: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
    /// The schema of its answer.
    pub response: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

/// What a request is about, by the kind that its endpoint declares.
macro_rules! object {
    (Oneself $request:ident) => {{
        let _ = $request;
        Object::Oneself
    }};
    (Installation $request:ident) => {{
        let _ = $request;
        Object::Installation
    }};
    (Seen $request:ident) => {{
        let _ = $request;
        Object::Seen
    }};
    (Inside $request:ident) => {{
        let _ = $request;
        Object::Inside
    }};
    (Project $request:ident) => {
        Object::Project(&$request.project)
    };
    (Environment $request:ident) => {
        Object::Environment(&mut $request.project, &mut $request.environment)
    };
    (Deployment $request:ident) => {
        $request.object()
    };
    (Restriction $request:ident) => {
        Object::Restriction($request.id)
    };
}

macro_rules! endpoints {
    ($($(#[doc = $doc:literal])* $name:ident $path:literal $permission:ident $object:ident $mutates:literal
       $request:ty => $response:ty, [$($refusal:ident),*];)*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name;
            impl Endpoint for $name {
                const PATH: &'static str = $path;
                const PERMISSION: Permission = Permission::$permission;
                type Request = $request;
                type Response = $response;
                fn object(request: &mut $request) -> Object<'_> {
                    object!($object request)
                }
            }
        )*
        /// All endpoints.
        pub const ENDPOINTS: &[Declared] = &[
            $(Declared {
                path: $path,
                permission: Permission::$permission,
                object: ObjectKind::$object,
                mutates: $mutates,
                refusals: &[$(ErrorKind::$refusal),*],
                #[cfg(feature = "schema")]
                described: Described {
                    summary: concat!($($doc),*),
                    request: |generator| generator.subschema_for::<$request>(),
                    response: |generator| generator.subschema_for::<$response>(),
                },
            },)*
        ];
    };
}

endpoints! {
    /// Stores an immutable revision of a manifest; applying the same text again changes nothing.
    ManifestApply "/manifest/apply" ApplyManifest Inside true ApplyManifest => ManifestView, [];
    /// The manifest of a project as it was applied last.
    ManifestShow "/manifest/show" View Project false ProjectRequest => ManifestView, [NotFound];
    /// What a deployment would do; changes nothing.
    DeploymentPlan "/deployment/plan" View Environment false StartDeployment => PlanView, [NotFound, Conflict];
    /// Asks for a deployment.
    DeploymentStart "/deployment/start" Deploy Environment true StartDeployment => DeploymentSummary, [NotFound, Conflict, Throttled];
    /// Deployments, found by words, facets and time; the newest first when nothing else is asked.
    DeploymentList "/deployment/list" View Seen false ListDeployments => DeploymentPage, [];
    /// The deployments before and after one in a list.
    DeploymentNeighbours "/deployment/neighbours" View Deployment false NeighboursRequest => Neighbours, [NotFound];
    /// One deployment with everything about it.
    DeploymentShow "/deployment/show" View Deployment false DeploymentRequest => DeploymentDetail, [NotFound];
    /// Events after a sequence number; waits for one when there is none yet.
    DeploymentWait "/deployment/wait" View Deployment false WaitDeployment => EventsView, [NotFound];
    /// What pages are told while they are open, for whom no socket reaches; waits for news.
    DeploymentMonitor "/deployment/monitor" View Seen false MonitorRequest => MonitorView, [];
    /// Who did what to a deployment.
    DeploymentAudit "/deployment/audit" View Deployment false DeploymentRequest => AuditPage, [NotFound];
    /// Whether journals, and what is kept beside them, keep every promise; only looks.
    HistoryVerify "/history/verify" View Deployment false VerifyHistory => HistoryReport, [NotFound];
    /// Who did what in the whole installation, the newest first.
    AuditList "/audit/list" ReadAudit Installation false FindAudit => AuditPage, [];
    /// Whether nothing of the audit was edited, removed, reordered or cut off; only looks.
    AuditVerify "/audit/verify" ReadAudit Installation false VerifyAudit => AuditReport, [];
    /// Notes the end of the audit down anew, after what was found has been looked into.
    AuditAccept "/audit/accept" ManageUsers Installation true AcceptAudit => AuditReport, [];
    /// Closes the server to everybody but commands on its own machine; what it does goes on.
    LockdownBegin "/lockdown/begin" ManageUsers Installation true BeginLockdown => LockdownState, [];
    /// Opens the server again; asked on its own machine, since nobody else is let in.
    LockdownEnd "/lockdown/end" ManageUsers Installation true Empty => LockdownState, [];
    /// Whether the server is closed.
    LockdownShow "/lockdown/show" ManageUsers Installation false Empty => LockdownState, [];
    /// Output of the steps.
    DeploymentLogs "/deployment/logs" View Deployment false ReadLogs => LogPage, [NotFound];
    /// Lets nothing more begin; what runs comes to its end.
    DeploymentPause "/deployment/pause" Operate Deployment true PauseDeployment => DeploymentSummary, [NotFound, Conflict];
    /// Lets a paused deployment go on.
    DeploymentResume "/deployment/resume" Operate Deployment true ResumeDeployment => DeploymentSummary, [NotFound, Conflict];
    /// Leaves a step out that only looks; the reason is recorded.
    DeploymentStepSkip "/deployment/step_skip" Operate Deployment true SkipStep => DeploymentSummary, [NotFound, Conflict];
    /// Tries a step again that failed, or that runs and seems to hang.
    DeploymentStepRetry "/deployment/step_retry" Operate Deployment true RetryStep => DeploymentSummary, [NotFound, Conflict];
    /// Ends a deployment; what it changed is taken back, or kept where that is the wish.
    DeploymentCancel "/deployment/cancel" Operate Deployment true EndDeployment => DeploymentSummary, [NotFound, Conflict];
    /// Takes back: a live deployment at once, an ended one by a deployment of kind restore.
    DeploymentRollback "/deployment/rollback" Operate Deployment true RollbackDeployment => DeploymentSummary, [NotFound, Conflict];
    /// Says that a deployment may begin, as its environment wants; people only, and never whoever asked for it.
    DeploymentApprove "/deployment/approve" Approve Deployment true ApproveDeployment => DeploymentSummary, [NotFound, Conflict];
    /// Says that a deployment that waits for approvals may not begin: it ends.
    DeploymentReject "/deployment/reject" Approve Deployment true RejectDeployment => DeploymentSummary, [NotFound, Conflict];
    /// Approves or rejects from a terminal elsewhere, with the token of `lockstep login` and its owner's password.
    DeploymentDecide "/deployment/decide" Approve Deployment true DecideDeployment => DeploymentSummary, [NotFound, Conflict, Throttled];
    /// What could pass on to an environment, and what stands in its way; changes nothing.
    DeploymentPromotionPlan "/deployment/promotion_plan" View Inside false PromoteDeployment => PromotionView, [NotFound, Conflict];
    /// Deploys what has soaked in one environment to the next; refuses what has not.
    DeploymentPromote "/deployment/promote" Deploy Inside true PromoteDeployment => DeploymentSummary, [NotFound, Conflict, Throttled];
    /// What taking back a deployment that has ended would do, and what stays beside it; changes nothing.
    DeploymentRollbackPlan "/deployment/rollback_plan" View Deployment false RollbackDeployment => PlanView, [NotFound, Conflict];
    /// What something would do to a deployment, and who may; refused as the thing itself. Changes nothing.
    DeploymentForesee "/deployment/foresee" View Deployment false ForeseeDeployment => ForeseenView, [NotFound, Conflict];
    /// Tries every step of a service again that failed or is unknown.
    DeploymentServiceRetry "/deployment/service_retry" Operate Deployment true RetryService => DeploymentSummary, [NotFound, Conflict];
    /// Keeps the new version of a service as it is: leaves out its steps that only look.
    DeploymentServiceKeep "/deployment/service_keep" Operate Deployment true KeepService => DeploymentSummary, [NotFound, Conflict];
    /// Tries again what could not be undone.
    DeploymentUndoRetry "/deployment/undo_retry" Operate Deployment true DeploymentRequest => DeploymentSummary, [NotFound, Conflict];
    /// Declares how a deployment that needs an operator ended.
    DeploymentResolve "/deployment/resolve" Operate Deployment true ResolveDeployment => DeploymentSummary, [NotFound, Conflict];
    /// Gives up a deployment that cannot be read, so that its environment is free; its name is typed.
    DeploymentAbandon "/deployment/abandon" Abandon Deployment true AbandonDeployment => DeploymentSummary, [NotFound, Conflict];
    /// What stands in the way of deployments, now or later: locks, holds, freezes.
    RestrictionList "/restriction/list" View Seen false ListRestrictions => RestrictionPage, [];
    /// Locks or freezes an environment or a service, or holds a version. Taking back stays possible.
    RestrictionAdd "/restriction/add" Operate Environment true AddRestriction => Restriction, [NotFound, Conflict];
    /// Ends a lock, a freeze or a hold; somebody else's lock only with the environment's name typed.
    RestrictionEnd "/restriction/end" Operate Restriction true EndRestriction => Restriction, [NotFound, Conflict];
    /// What served before the deployments of an environment, the newest first.
    CheckpointList "/checkpoint/list" View Environment false EnvironmentRequest => CheckpointPage, [NotFound];
    /// All services as they stand.
    ServiceList "/service/list" View Seen false ListServices => ServicePage, [];
    /// A service in an environment with what is known of its past.
    ServiceShow "/service/show" View Environment false ServiceRequest => ServiceDetail, [NotFound];
    /// How the services of an environment need each other, laid out to be drawn.
    ServiceGraph "/service/graph" View Environment false EnvironmentRequest => GraphView, [NotFound];
    /// What can be deployed in an environment, and what was before.
    VersionList "/service/versions" View Environment false EnvironmentRequest => VersionPage, [NotFound];
    /// Takes in how a script goes on that `lockstep exec` runs elsewhere; the same report twice is one.
    ScriptReport "/script/report" Deploy Inside true ReportScript => ScriptRun, [Conflict];
    /// Scripts that reported, the newest first.
    ScriptList "/script/list" View Seen false ListScripts => ScriptPage, [];
    /// Output of a script.
    ScriptLogs "/script/logs" View Inside false ReadScript => LogPage, [NotFound];
    /// Sets a secret of an environment; no answer ever holds its value.
    SecretSet "/secret/set" ManageSecrets Environment true SetSecret => SecretView, [NotFound, Conflict];
    /// Removes a secret; what runs keeps the value that it was started with.
    SecretRemove "/secret/remove" ManageSecrets Environment true RemoveSecret => SecretView, [NotFound];
    /// Names of secrets, who set them and when; never values.
    SecretList "/secret/list" ManageSecrets Installation false ListSecrets => SecretPage, [];
    /// Makes a new key and seals every secret anew with it.
    SecretRekey "/secret/rekey" ManageSecrets Installation true Empty => RekeyReport, [];
    /// What the gateway does.
    GatewayShow "/gateway/show" View Seen false Empty => GatewayPage, [];
    /// Users.
    UserList "/user/list" ManageUsers Installation false Empty => UserPage, [];
    /// Makes a user and a one-time link with which they set a password.
    UserAdd "/user/add" ManageUsers Installation true AddUser => OneTimeLink, [Conflict];
    /// Changes a user's role, or switches them off; ends their sessions.
    UserChange "/user/change" ManageUsers Installation true ChangeUser => UserView, [NotFound, Conflict];
    /// Gives a user a role on everything, a project or an environment; there it replaces the one before.
    UserGrant "/user/grant" ManageUsers Installation true GrantRole => UserView, [NotFound, Conflict];
    /// Takes such a role away again.
    UserRevoke "/user/revoke" ManageUsers Installation true RevokeRole => UserView, [NotFound, Conflict];
    /// Makes a link with which a user sets their password anew; earlier ones end.
    UserLink "/user/link" ManageUsers Installation true NameUser => OneTimeLink, [NotFound, Conflict];
    /// Links to set a password by that are open: for whom, by whom, until when; never the links themselves.
    LinkList "/link/list" ManageUsers Installation false Empty => LinkPage, [];
    /// Withdraws a user's link before it is used.
    LinkRevoke "/link/revoke" ManageUsers Installation true NameUser => LinkView, [NotFound];
    /// What somebody may, environment by environment, and what they could after a change; changes nothing.
    UserEffective "/user/effective" SignedIn Oneself false AskEffective => EffectiveView, [NotFound];
    /// One's own tokens; for admins, everybody's.
    TokenList "/token/list" SignedIn Oneself false FindCredentials => TokenPage, [];
    /// Makes a token, never wider than its maker.
    TokenAdd "/token/add" SignedIn Oneself true AddToken => TokenCreated, [];
    /// Ends a token.
    TokenRevoke "/token/revoke" SignedIn Oneself true RevokeToken => TokenView, [NotFound];
    /// One's own sessions; for admins, everybody's.
    SessionList "/session/list" SignedIn Oneself false FindCredentials => SessionPage, [];
    /// Ends a session.
    SessionEnd "/session/end" SignedIn Oneself true EndSession => SessionItem, [NotFound];
    /// Ends all of one's other sessions, or as an admin all of a user's.
    SessionEndAll "/session/end_all" SignedIn Oneself true EndSessions => SessionsEnded, [NotFound];
    /// Rules by which jobs elsewhere get tokens without a stored secret.
    TrustList "/trust/list" ManageUsers Installation false Empty => TrustPage, [];
    /// Makes such a rule; every claim is compared in full.
    TrustAdd "/trust/add" ManageUsers Installation true AddTrust => TrustView, [Conflict];
    /// Ends such a rule, and the tokens that were given by it.
    TrustRemove "/trust/remove" ManageUsers Installation true NamedTrust => TrustView, [NotFound];
    /// Takes the password again, for what asks for it; the session goes on under another id.
    SessionConfirm "/session/confirm" SignedIn Oneself true ConfirmSession => SessionView, [Conflict, Throttled];
    /// Changes one's own password: asks for the one of now, and ends one's other sessions.
    SessionPassword "/session/password" SignedIn Oneself true ChangePassword => SessionsEnded, [Conflict, Throttled];
    /// The identity provider at which people sign in, as the server's file names it; never what is shared with it.
    ProviderShow "/provider/show" ManageUsers Installation false Empty => ProviderPage, [];
    /// Asks the identity provider now whether people can sign in there; changes nothing.
    ProviderCheck "/provider/check" ManageUsers Installation false Empty => ProviderReport, [NotFound, Throttled];
    /// Webhooks that come in: who may send what, and what it starts.
    HookList "/hook/list" ManageUsers Installation false Empty => HookPage, [];
    /// Makes a rule for webhooks; its address is `/hooks/NAME`.
    HookAdd "/hook/add" ManageUsers Installation true HookRule => HookView, [NotFound, Conflict];
    /// Ends such a rule.
    HookRemove "/hook/remove" ManageUsers Installation true NamedHook => HookView, [NotFound];
    /// What was delivered to a webhook lately and what came of it; of what anybody could send, how often.
    HookDeliveries "/hook/deliveries" ManageUsers Installation false ListDeliveries => DeliveryPage, [NotFound];
    /// Who one is.
    SessionShow "/session/show" SignedIn Oneself false Empty => SessionView, [];
}

/// What only people do, and only soon after they gave their password: roles, tokens, approvals. Commands on
/// the server's own machine do it, too.
pub const STEP_UP: &[&str] = &[
    "/user/add",
    "/user/change",
    "/user/grant",
    "/user/revoke",
    "/user/link",
    "/token/add",
    "/trust/add",
    "/trust/remove",
    "/hook/add",
    "/hook/remove",
    "/secret/set",
    "/secret/remove",
    "/secret/rekey",
    "/deployment/approve",
    // Whoever found an admin's token would close the server to everybody.
    "/lockdown/begin",
];

macro_rules! body {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident : $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    };
}

body! { /// A request without fields.
Empty {} }
body! { /// Names a project.
ProjectRequest {
    /// The project.
    project: ProjectName,
} }
body! { /// Names a project's environment.
EnvironmentRequest {
    /// The project; none = the only one.
    #[serde(default)]
    project: Option<ProjectName>,
    /// The environment; none = the project's default.
    #[serde(default)]
    environment: Option<EnvironmentName>,
} }

mod acts;
mod history;
mod people;
mod state;

pub use acts::{
    AbandonDeployment, Act, AddRestriction, ApplyManifest, EndDeployment, EndRestriction, ForeseeDeployment,
    KeepService, PauseDeployment, PromoteDeployment, ResolveDeployment, RetryService, RetryStep,
    RollbackDeployment, SkipStep, StartDeployment,
};
pub use history::{
    BrokenPromise, CheckpointPage, DeploymentPage, DeploymentRequest, HistoryReport, ListDeployments,
    LogPage, Neighbours, NeighboursRequest, ReadLogs, Sort, VerifyHistory, WaitDeployment,
};
pub use people::{
    AddToken, AddUser, AskEffective, ChangeUser, EffectiveRole, EffectiveView, GrantRole, NameUser,
    OneTimeLink, RevokeRole, RevokeToken, SessionView, TokenCreated, TokenPage, UserPage,
};
pub use state::{
    AcceptAudit, AuditPage, BeginLockdown, FindAudit, GatewayPage, ListRestrictions, ListServices, Listen,
    LockdownState, MonitorRequest, MonitorView, RestrictionPage, ServicePage, ServiceRequest, VerifyAudit,
    VersionPage,
};

/// Requests that name a deployment by its number.
macro_rules! about_deployment {
    ($($name:ident),* $(,)?) => {
        $(impl $name {
            fn object(&self) -> Object<'_> {
                Object::Deployment(self.id)
            }
        })*
    };
}

about_deployment!(
    AbandonDeployment,
    ApproveDeployment,
    DecideDeployment,
    DeploymentRequest,
    EndDeployment,
    ForeseeDeployment,
    KeepService,
    NeighboursRequest,
    PauseDeployment,
    ReadLogs,
    RejectDeployment,
    ResolveDeployment,
    ResumeDeployment,
    RetryService,
    RetryStep,
    SkipStep,
    WaitDeployment,
);

impl RollbackDeployment {
    fn object(&mut self) -> Object<'_> {
        match self.id {
            Some(id) => Object::Deployment(id),
            None => Object::Environment(&mut self.project, &mut self.environment),
        }
    }
}

impl VerifyHistory {
    fn object(&self) -> Object<'_> {
        self.id.map_or(Object::Seen, Object::Deployment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unique_nouns_and_verbs() {
        let mut seen = std::collections::HashSet::new();
        for endpoint in ENDPOINTS {
            assert!(seen.insert(endpoint.path), "{}", endpoint.path);
            let parts: Vec<&str> = endpoint.path.split('/').collect();
            assert!(matches!(parts[..], ["", noun, verb] if !noun.is_empty() && !verb.is_empty()));
        }
    }

    #[test]
    fn no_endpoint_is_public() {
        assert!(ENDPOINTS.iter().all(|endpoint| endpoint.permission != Permission::Public));
    }
}
