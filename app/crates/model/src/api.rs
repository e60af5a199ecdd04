//! Every endpoint of the API, once: path, request, response, permission, refusals. The server
//! functions, the authorisation, the CLI's client and the permission matrix test come from here.

use crate::{
    DeploymentId, EnvironmentName, ProjectName, Seq, ServiceName, StepId, Timestamp, UserName, Version,
    access::{Grant, Object, ObjectKind, Permission, Rights, Role, Scope},
    approval::{ApproveDeployment, DecideDeployment, RejectDeployment},
    deployment::{Phase, ReleaseOrder, Resolution, Source},
    error::ErrorKind,
    graph::GraphView,
    hooks::{DeliveryPage, HookPage, HookRule, HookView, ListDeliveries, NamedHook},
    links::{LinkPage, LinkView},
    live::{Place, ServerFrame, Topic},
    pause::ResumeDeployment,
    provider::{ProviderPage, ProviderReport},
    restriction::{Restriction, RestrictionId, RestrictionKind},
    script::{ListScripts, ReadScript, ReportScript, ScriptPage, ScriptRun},
    secrets::{ListSecrets, RekeyReport, RemoveSecret, SecretPage, SecretView, SetSecret},
    session::{
        ChangePassword, ConfirmSession, EndSession, EndSessions, SessionItem, SessionPage, SessionsEnded,
    },
    tokens::{Action, FindCredentials},
    trust::{AddTrust, NamedTrust, TrustPage, TrustView},
    view::{
        AuditHead, AuditReport, AuditView, CheckpointView, DeploymentDetail, DeploymentSummary, EventsView,
        Facets, ForeseenView, LockdownView, LogLine, ManifestView, PlanView, PromotionView, ServiceDetail,
        ServiceVersions, ServiceView, TokenView, UserView,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

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
body! { /// A manifest to store.
ApplyManifest {
    /// What the sender calls the file, for messages.
    file: String,
    /// The YAML text.
    source: String,
} }
body! { /// A deployment that is wished for.
StartDeployment {
    /// The project; none = the only one.
    #[serde(default)]
    project: Option<ProjectName>,
    /// The environment; none = the project's default.
    #[serde(default)]
    environment: Option<EnvironmentName>,
    /// Services and their versions; none as version = the manifest's. Empty = all services of
    /// the environment.
    #[serde(default)]
    services: BTreeMap<ServiceName, Option<Version>>,
    /// In which order they are changed.
    #[serde(default, skip_serializing_if = "ReleaseOrder::is_usual")]
    order: ReleaseOrder,
    /// Where the release comes from.
    #[serde(default)]
    source: Source,
    /// Why, in one's own words.
    #[serde(default)]
    reason: Option<String>,
    /// Accept that something cannot be taken back.
    #[serde(default)]
    accept_no_rollback: bool,
    /// Leave checks and watches out; for those whom the environment trusts with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    skip_verification: bool,
    /// The same key with the same body starts once.
    #[serde(default)]
    idempotency_key: Option<String>,
} }
body! { /// Which deployments to list.
ListDeployments {
    /// Only of this project.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Only of this environment.
    #[serde(default)]
    environment: Option<EnvironmentName>,
    /// Only in this phase.
    #[serde(default)]
    phase: Option<Phase>,
    /// Only those that change this service.
    #[serde(default)]
    service: Option<ServiceName>,
    /// Only those that this user asked for.
    #[serde(default)]
    by: Option<UserName>,
    /// Only those that deploy this version; with `service`, this version of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<Version>,
    /// Only what was begun so, by the first word of `via`: `browser`, `token`, `local`, `system`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trigger: Option<String>,
    /// Only those that hold all these words: numbers, services, versions, commits, reasons, people. A
    /// word such as `status:failed`, `env:production`, `service:backend`, `version:1.2.0`,
    /// `trigger:token` or `by:anna` stands for the field of that name.
    #[serde(default)]
    q: Option<String>,
    /// Only those that were asked for at this time or later.
    #[serde(default)]
    since: Option<Timestamp>,
    /// Only those that were asked for before this time.
    #[serde(default)]
    until: Option<Timestamp>,
    /// In which order.
    #[serde(default)]
    sort: Sort,
    /// Where to go on; from the last page.
    #[serde(default)]
    cursor: Option<String>,
    /// At most so many, 1 to 200.
    #[serde(default = "page_rows_default")]
    limit: u32,
    /// Whether to count all that was found, and by what it could be filtered next.
    #[serde(default)]
    count: bool,
} }
/// In which order deployments are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Sort {
    /// Those that were asked for last come first.
    #[default]
    Newest,
    /// Those that were asked for first come first.
    Oldest,
    /// Those that took longest come first; those that run still, last.
    Longest,
    /// Those that took shortest come first; those that run still, last.
    Shortest,
    /// By environment, A to Z; in each the newest come first.
    Environment,
    /// By environment, Z to A; in each the newest come first.
    EnvironmentDown,
    /// By the word of their phase, A to Z; in each the newest come first.
    Phase,
    /// By the word of their phase, Z to A; in each the newest come first.
    PhaseDown,
    /// By who asked for them, A to Z; of each the newest come first.
    By,
    /// By who asked for them, Z to A; of each the newest come first.
    ByDown,
    /// Those that change the most services come first.
    Widest,
    /// Those that change the fewest services come first.
    Narrowest,
}
body! { /// Asks what stands beside a deployment in a list.
NeighboursRequest {
    /// The deployment.
    id: DeploymentId,
    /// The list; its cursor and limit play no part.
    list: ListDeployments,
} }
body! { /// What stands beside a deployment in a list.
Neighbours {
    /// The one before it.
    previous: Option<DeploymentId>,
    /// The one after it.
    next: Option<DeploymentId>,
} }
body! { /// What a page wants to hear of.
MonitorRequest {
    /// The topics.
    topics: Vec<Listen>,
    /// Answer after this long even when nothing happened; at most 25,000.
    #[serde(default)]
    wait_ms: u64,
} }
body! { /// A topic, and what is known of it.
Listen {
    /// Which.
    topic: Topic,
    /// The last place that is known; none = begin with a snapshot.
    #[serde(default)]
    from: Option<Place>,
} }
/// What happened, as the socket would have told it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MonitorView {
    /// The server's clock.
    pub now: Timestamp,
    /// Frames, in order.
    pub frames: Vec<ServerFrame>,
}
body! { /// Names a service in an environment.
ServiceRequest {
    /// The project; none = the only one.
    #[serde(default)]
    project: Option<ProjectName>,
    /// The environment; none = the project's default.
    #[serde(default)]
    environment: Option<EnvironmentName>,
    /// The service.
    service: ServiceName,
} }
body! { /// What can be deployed.
VersionPage {
    /// The project.
    project: ProjectName,
    /// The environment.
    environment: EnvironmentName,
    /// Whether it demands a way back for every change.
    is_guarded: bool,
    /// The services that have a target there.
    services: Vec<ServiceVersions>,
    /// What could be promoted to there; none = the manifest names no environment to promote from, or
    /// nothing differs.
    promotion: Option<PromotionView>,
} }
body! { /// Who did what.
AuditPage {
    /// The newest first.
    entries: Vec<AuditView>,
} }
body! { /// Which lines of the audit.
FindAudit {
    /// Only of this user.
    #[serde(default)]
    user: Option<UserName>,
    /// Only actions that begin with this: `/token`, `/deployment/start`, `system`.
    #[serde(default)]
    action: Option<String>,
    /// Only on this: `deployment 12`, `user anna`.
    #[serde(default)]
    target: Option<String>,
    /// Only with these words in what it was done to, how or why.
    #[serde(default)]
    words: Option<String>,
    /// Only what was refused.
    #[serde(default)]
    only_denied: bool,
    /// Not before.
    #[serde(default)]
    since: Option<Timestamp>,
    /// Only before.
    #[serde(default)]
    until: Option<Timestamp>,
    /// Only lines before this one: the last of the page before.
    #[serde(default)]
    before: Option<i64>,
    /// How many, 1 to 200.
    #[serde(default = "page_rows_default")]
    limit: u32,
} }
body! { /// Whether the audit is whole.
VerifyAudit {
    /// A head that was noted down earlier: it must still be there.
    #[serde(default)]
    anchor: Option<AuditHead>,
} }
body! { /// What was found in the audit has been looked into.
AcceptAudit {
    /// What came of it; recorded.
    reason: String,
} }
body! { /// Closes the server.
BeginLockdown {
    /// Why; recorded, and told to whoever comes.
    reason: String,
} }
body! { /// Whether the server is closed.
LockdownState {
    /// Since when, by whom and why; none = it is open.
    lockdown: Option<LockdownView>,
} }
body! { /// Names a deployment.
DeploymentRequest {
    /// Its number.
    id: DeploymentId,
} }
body! { /// Waits for what comes next.
WaitDeployment {
    /// Its number.
    id: DeploymentId,
    /// The last event that is known.
    #[serde(default)]
    after: Seq,
    /// Answer after this long even when nothing happened; at most 25,000.
    #[serde(default)]
    wait_ms: u64,
} }
body! { /// Which journals are looked at.
VerifyHistory {
    /// Only of this deployment.
    #[serde(default)]
    id: Option<DeploymentId>,
    /// Without one: of so many of the newest, 1 to 1,000.
    #[serde(default = "verify_limit_default")]
    limit: u32,
} }
body! { /// What was found in journals and beside them.
HistoryReport {
    /// Deployments that were looked at.
    deployments: u64,
    /// Their events.
    events: u64,
    /// Promises that are broken; none = every one is kept.
    broken: Vec<BrokenPromise>,
    /// Whether the audit is whole; none = one deployment was asked for.
    audit: Option<AuditReport>,
} }
body! { /// A promise that something in the history breaks.
BrokenPromise {
    /// Of which deployment.
    deployment: DeploymentId,
    /// At which event; 0 = the journal as a whole.
    seq: Seq,
    /// What every history keeps.
    promise: String,
    /// What was found instead.
    found: String,
} }
body! { /// Which lines.
ReadLogs {
    /// Its number.
    id: DeploymentId,
    /// Only of this step.
    #[serde(default)]
    step: Option<String>,
    /// Only after this cursor.
    #[serde(default)]
    after: i64,
    /// Only before this cursor, and of those the last; not together with `after`.
    #[serde(default)]
    before: Option<i64>,
    /// At most so many, 1 to 5,000.
    #[serde(default = "page_rows_default")]
    limit: u32,
} }
body! { /// Lets nothing more begin.
PauseDeployment {
    /// Its number.
    id: DeploymentId,
    /// Why, in one's own words.
    #[serde(default)]
    reason: Option<String>,
} }
body! { /// Leaves a step out.
SkipStep {
    /// The deployment.
    id: DeploymentId,
    /// The step, as `backend.watch`.
    step: StepId,
    /// Why; it is recorded.
    reason: String,
} }
body! { /// Tries a step again.
RetryStep {
    /// The deployment.
    id: DeploymentId,
    /// The step, as `backend.verify`.
    step: StepId,
} }
body! { /// Ends a deployment.
EndDeployment {
    /// Its number.
    id: DeploymentId,
    /// Why, in one's own words.
    #[serde(default)]
    reason: Option<String>,
    /// Services whose new version has all the traffic keep it.
    #[serde(default)]
    keep: bool,
} }
body! { /// What to take back.
RollbackDeployment {
    /// The deployment that is taken back; none = the last one of the environment that changed
    /// something.
    #[serde(default)]
    id: Option<DeploymentId>,
    /// The project, when no id is given; none = the only one.
    #[serde(default)]
    project: Option<ProjectName>,
    /// The environment, when no id is given; none = the project's default.
    #[serde(default)]
    environment: Option<EnvironmentName>,
    /// Only these services; of one that is live with what needs them, and the others go on. Empty = all
    /// that it changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    services: Vec<ServiceName>,
    /// Why, in one's own words.
    #[serde(default)]
    reason: Option<String>,
    /// The same key with the same body starts once.
    #[serde(default)]
    idempotency_key: Option<String>,
} }
body! { /// What passes on.
PromoteDeployment {
    /// The project; none = the only one.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Where it serves; none = as the manifest says.
    #[serde(default)]
    from: Option<EnvironmentName>,
    /// Where it goes; none = the only environment that takes promotions.
    #[serde(default)]
    to: Option<EnvironmentName>,
    /// Only these services; empty = all that differ.
    #[serde(default)]
    services: Vec<ServiceName>,
    /// Why, in one's own words.
    #[serde(default)]
    reason: Option<String>,
    /// Accept that something cannot be taken back.
    #[serde(default)]
    accept_no_rollback: bool,
    /// The same key with the same body starts once.
    #[serde(default)]
    idempotency_key: Option<String>,
} }
body! { /// Names a service of a deployment.
RetryService {
    /// The deployment.
    id: DeploymentId,
    /// The service.
    service: ServiceName,
} }
body! { /// A service whose new version is kept as it is.
KeepService {
    /// The deployment.
    id: DeploymentId,
    /// The service.
    service: ServiceName,
    /// Why; it is recorded.
    reason: String,
} }
/// Something that is done to a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Act {
    /// `pause`.
    Pause,
    /// `resume`.
    Resume,
    /// `skip`, of a step.
    Skip,
    /// `retry`, of a step or of a service.
    Retry,
    /// `keep`, of a service.
    Keep,
    /// `cancel`.
    Cancel,
    /// `rollback`, of all or of services.
    Rollback,
    /// `undo-retry`.
    UndoRetry,
    /// `resolve`.
    Resolve,
}
body! { /// What is to be foreseen.
ForeseeDeployment {
    /// The deployment.
    id: DeploymentId,
    /// What would be done to it.
    act: Act,
    /// The step that it would be done to.
    #[serde(default)]
    step: Option<StepId>,
    /// The services that it would be done to; one, but for a rollback.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    services: Vec<ServiceName>,
    /// Of a cancel: services whose new version has all the traffic keep it.
    #[serde(default)]
    keep: bool,
    /// Of a resolve: how it ended.
    #[serde(default)]
    outcome: Option<Resolution>,
    /// Of a resolve: nothing is changed outside.
    #[serde(default)]
    leave: bool,
} }
body! { /// How it ended.
ResolveDeployment {
    /// Its number.
    id: DeploymentId,
    /// How it ended.
    outcome: Resolution,
    /// Why; it is recorded.
    reason: String,
    /// Nothing is changed outside: a share of the traffic, a preview and a candidate stay as they are.
    #[serde(default)]
    leave: bool,
} }
body! { /// A deployment to give up.
AbandonDeployment {
    /// Its number.
    id: DeploymentId,
    /// Why; it is recorded.
    reason: String,
    /// The name of its environment, typed by whoever knows that it may be half done.
    confirm: EnvironmentName,
} }
body! { /// Which restrictions.
ListRestrictions {
    /// Only of this project.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Only in this environment.
    #[serde(default)]
    environment: Option<EnvironmentName>,
} }
body! { /// What stands in the way.
RestrictionPage {
    /// The oldest first.
    restrictions: Vec<Restriction>,
} }
body! { /// A restriction to make.
AddRestriction {
    /// What it is.
    kind: RestrictionKind,
    /// The project; none = the only one.
    #[serde(default)]
    project: Option<ProjectName>,
    /// The environment; none = the project's default.
    #[serde(default)]
    environment: Option<EnvironmentName>,
    /// Only this service; none = the whole environment. A hold names one.
    #[serde(default)]
    service: Option<ServiceName>,
    /// The version that is held.
    #[serde(default)]
    version: Option<Version>,
    /// Why; it is recorded and shown.
    reason: String,
    /// From when on; none = now.
    #[serde(default)]
    since: Option<Timestamp>,
    /// How long; none = until somebody ends it. A lock and a freeze need it.
    #[serde(default)]
    duration_ms: Option<u64>,
} }
body! { /// A restriction to end.
EndRestriction {
    /// Its number.
    id: RestrictionId,
    /// Why; it is recorded.
    reason: String,
    /// To end somebody else's lock: the name of its environment, typed.
    #[serde(default)]
    confirm: Option<EnvironmentName>,
} }
body! { /// Which services.
ListServices {
    /// Only of this project.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Only in this environment.
    #[serde(default)]
    environment: Option<EnvironmentName>,
} }
body! { /// A user to make.
AddUser {
    /// Name.
    name: UserName,
    /// Their first role.
    role: Role,
    /// Where; none = in every project.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Where; none = in every environment.
    #[serde(default)]
    environment: Option<EnvironmentName>,
} }
body! { /// What changes of a user.
ChangeUser {
    /// Name.
    name: UserName,
    /// Their role on everything from now on; roles on parts stay.
    #[serde(default)]
    role: Option<Role>,
    /// Whether they may sign in from now on.
    #[serde(default)]
    enabled: Option<bool>,
    /// Their login at GitHub; empty = none is known. Sessions go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    github: Option<String>,
} }
body! { /// Names a user.
NameUser {
    /// Name.
    name: UserName,
} }
body! { /// A role to give.
GrantRole {
    /// To whom.
    name: UserName,
    /// Which.
    role: Role,
    /// Where; none = in every project.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Where; none = in every environment.
    #[serde(default)]
    environment: Option<EnvironmentName>,
} }
body! { /// A role to take away.
RevokeRole {
    /// From whom.
    name: UserName,
    /// Where it was given; none = in every project.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Where it was given; none = in every environment.
    #[serde(default)]
    environment: Option<EnvironmentName>,
} }
body! { /// Whose rights are asked for.
AskEffective {
    /// Whose; none = one's own. Of others only for admins.
    #[serde(default)]
    name: Option<UserName>,
    /// As if this were given.
    #[serde(default)]
    grant: Option<Grant>,
    /// As if what was given there were taken away.
    #[serde(default)]
    revoke: Option<Scope>,
} }
body! { /// What somebody may.
EffectiveView {
    /// Who.
    user: UserName,
    /// Whether they may sign in.
    enabled: bool,
    /// What was given.
    grants: Rights,
    /// What would be after the change that was asked about; none = none was.
    #[serde(default)]
    then: Option<Rights>,
    /// What follows from it, environment by environment.
    effective: Vec<EffectiveRole>,
} }
body! { /// A role that follows from what was given.
EffectiveRole {
    /// The project.
    project: ProjectName,
    /// The environment.
    environment: EnvironmentName,
    /// The role; none = it may not be seen.
    role: Option<Role>,
    /// The role after the change that was asked about.
    #[serde(default)]
    then: Option<Role>,
} }
body! { /// A token to make.
AddToken {
    /// What it is called.
    name: String,
    /// What it may do; none = what its maker may. Never more than they may when it is used.
    #[serde(default)]
    role: Option<Role>,
    /// Only in this project; none = wherever its maker may.
    #[serde(default)]
    project: Option<ProjectName>,
    /// Only in this environment; none = wherever its maker may.
    #[serde(default)]
    environment: Option<EnvironmentName>,
    /// What it may change there; empty = all that its role has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
    /// Days until it ends, 1 to 366.
    #[serde(default = "token_days_default")]
    days: u32,
} }
body! { /// A token to end.
RevokeToken {
    /// Its public part.
    id: String,
} }
body! { /// A page of deployments.
DeploymentPage {
    /// The newest first.
    deployments: Vec<DeploymentSummary>,
    /// Ask with `cursor` set to this for the next page; none = the end.
    next: Option<String>,
    /// How many were found in all, when that was asked.
    #[serde(default)]
    total: Option<u64>,
    /// By what they could be filtered next, when that was asked.
    #[serde(default)]
    facets: Option<Facets>,
} }
body! { /// A page of output.
LogPage {
    /// In order.
    lines: Vec<LogLine>,
    /// Ask with `after` set to this for what comes next.
    next: i64,
    /// Whether more was there when this was read.
    more: bool,
    /// Said when earlier output of it is not kept any more.
    #[serde(default)]
    removed: Option<String>,
} }
body! { /// Checkpoints.
CheckpointPage {
    /// The newest first.
    checkpoints: Vec<CheckpointView>,
} }
body! { /// Services.
ServicePage {
    /// By project, environment and name.
    services: Vec<ServiceView>,
} }
/// What gateways do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GatewayPage {
    /// The gateway's state; none = none runs.
    pub gateway: Option<crate::gateway::GatewayState>,
}
body! { /// Users.
UserPage {
    /// By name.
    users: Vec<UserView>,
} }
body! { /// A link that works once.
OneTimeLink {
    /// The user.
    user: UserName,
    /// Path and query; put the server's address in front.
    path: String,
    /// Until when it works.
    expires_at: Timestamp,
} }
body! { /// Tokens.
TokenPage {
    /// The newest first.
    tokens: Vec<TokenView>,
    /// Whether there are more than are listed; words to look for narrow them down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    more: bool,
} }
body! { /// A token that was made.
TokenCreated {
    /// What is known of it.
    token: TokenView,
    /// The secret; never shown again.
    secret: String,
} }
body! { /// Who one is.
SessionView {
    /// Name.
    user: UserName,
    /// What one may; of a token what it may.
    rights: Rights,
    /// How one came in: `browser`, `token NAME`.
    via: String,
    /// Whether one has a password here; who has none signs in again at the identity provider.
    #[serde(default)]
    has_password: bool,
} }

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

impl Default for ListDeployments {
    fn default() -> Self {
        Self {
            project: None,
            environment: None,
            phase: None,
            service: None,
            by: None,
            version: None,
            trigger: None,
            q: None,
            since: None,
            until: None,
            sort: Sort::Newest,
            cursor: None,
            limit: page_rows_default(),
            count: false,
        }
    }
}

/// Rows of a page when nobody says how many.
fn page_rows_default() -> u32 {
    50
}

/// Deployments that `history/verify` looks at when nobody says how many.
fn verify_limit_default() -> u32 {
    200
}

/// Days of a token when nobody says how many.
fn token_days_default() -> u32 {
    90
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
