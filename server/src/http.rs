//! Everything that is served: pages, server functions, sign-in forms, assets, the agents' door, own
//! health. Each route says whom it is for; whatever says nothing is for nobody.

mod api;
mod bodies;
mod cookie;
mod crowd;
mod device;
mod downloads;
mod export;
mod guard;
mod health;
mod hooks;
pub mod listen;
mod lists;
mod metrics;
mod oauth;
mod origin;
mod pages;
mod reference;
mod repeated;
mod session;
mod sign_on;
pub mod site;
pub mod slow;
mod stall;
pub mod tls;
mod visits;

use crate::{
    hub::Hub,
    identity::{Identities, Sender},
    live::Live,
    monitor::Monitor,
    oidc::{Issuers, Settings},
    vault::Vault,
};
use app::backend::Backend;
use axum::{
    Extension, Router,
    extract::{
        ConnectInfo, DefaultBodyLimit, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection,
    },
    http::HeaderMap,
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, any, get, post},
};
use leptos::config::LeptosOptions;
use lockstep_coordinator::Coordinator;
use lockstep_engine::port::{
    AnswerStore, Clock, DeviceStore, HookStore, LogStore, OidcStore, Store, TrustStore,
};
use lockstep_model::{
    access::{ObjectKind, Permission},
    api::BODY_BYTES_MAX,
    error::{ErrorBody, ErrorKind},
};
use std::{
    any::Any,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use api::{Renewed, Wait};
pub(crate) use crowd::Seat;
pub use downloads::Downloads;
pub use metrics::Counters;
pub use origin::{Origin, OriginError};
pub use visits::Visits;

/// What requests are answered from. Cheap to clone.
#[derive(Clone)]
pub struct Web(Arc<Parts>);

/// The parts of [`Web`].
pub struct Parts {
    /// Behind the server functions.
    pub backend: Backend,
    /// People and programs.
    pub identities: Arc<Identities>,
    /// Agents.
    pub hub: Hub,
    /// What open pages are told.
    pub live: Live,
    /// Output, for downloads.
    pub logs: Arc<dyn LogStore>,
    /// Deployments.
    pub coordinator: Coordinator,
    /// Answers to requests that carried a key.
    pub answers: Arc<dyn AnswerStore>,
    /// Rules by which jobs elsewhere get tokens.
    pub trust: Arc<dyn TrustStore>,
    /// Rules of webhooks.
    pub hooks: Arc<dyn HookStore>,
    /// What they are signed with.
    pub vault: Vault,
    /// The identity provider at which people sign in, when there is one.
    pub oidc: Option<Settings>,
    /// People who come from there.
    pub people: Arc<dyn OidcStore>,
    /// Commands that want to sign in.
    pub devices: Arc<dyn DeviceStore>,
    /// Whose identity tokens are believed.
    pub issuers: Arc<Issuers>,
    /// The store, for the server's own health.
    pub store: Arc<dyn Store>,
    /// Health of services, for the metrics.
    pub monitor: Monitor,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// How pages name their assets.
    pub options: LeptosOptions,
    /// Where browsers reach this server.
    pub origin: Origin,
    /// What was counted since the start.
    pub counters: Counters,
    /// Downloads under way.
    pub downloads: Downloads,
    /// Requests for pages within this minute.
    pub visits: Visits,
    /// How long a body may take to come.
    pub body_limit: Duration,
    /// Whether a link signs in once: the demo's.
    pub has_sign_in_link: bool,
}

impl std::ops::Deref for Web {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// A route that is not a server function, and whom it is for. The router is made from this list,
/// and so is the test of permissions.
#[derive(Debug, Clone, Copy)]
pub struct PlainRoute {
    /// The path as the router writes it.
    pub path: &'static str,
    /// The method.
    pub method: &'static str,
    /// Who may.
    pub permission: Permission,
    /// What it is about: there the permission is needed.
    pub object: ObjectKind,
}

const fn route(
    path: &'static str,
    method: &'static str,
    permission: Permission,
    object: ObjectKind,
) -> PlainRoute {
    PlainRoute { path, method, permission, object }
}

/// Where a link leads that signs in once.
const ENTER: &str = "/enter/{code}";

/// All routes that are not server functions.
pub static PLAIN_ROUTES: LazyLock<Vec<PlainRoute>> = LazyLock::new(|| {
    let lists = lists::LISTS.iter().flat_map(|list| list.routes);
    FIXED_ROUTES.iter().copied().chain(lists).collect()
});

/// Those that are no lists; pages are below `GET /`.
const FIXED_ROUTES: &[PlainRoute] = &[
    route("/session/sign_in", "POST", Permission::Public, ObjectKind::Oneself),
    route("/session/set_password", "POST", Permission::Public, ObjectKind::Oneself),
    route("/session/sign_out", "POST", Permission::Public, ObjectKind::Oneself),
    route("/session/oidc", "GET", Permission::Public, ObjectKind::Oneself),
    route(sign_on::BACK, "GET", Permission::Public, ObjectKind::Oneself),
    route("/oauth/token", "POST", Permission::Public, ObjectKind::Oneself),
    route("/oauth/device", "POST", Permission::Public, ObjectKind::Oneself),
    // For people in browsers alone.
    route("/device", "GET", Permission::SignedIn, ObjectKind::Oneself),
    route("/session/device", "POST", Permission::SignedIn, ObjectKind::Oneself),
    // Its signature says who sends.
    route("/hooks/{name}", "POST", Permission::Public, ObjectKind::Oneself),
    // In the demo alone.
    route(ENTER, "GET", Permission::Public, ObjectKind::Oneself),
    // The door asks for the agent's own token.
    route("/agent", "GET", Permission::Public, ObjectKind::Oneself),
    route("/live", "GET", Permission::View, ObjectKind::Seen),
    route("/deployments/{id}/log.txt", "GET", Permission::View, ObjectKind::Deployment),
    route("/health/live", "GET", Permission::Public, ObjectKind::Oneself),
    route("/health/ready", "GET", Permission::Public, ObjectKind::Oneself),
    route("/health/detailed", "GET", Permission::View, ObjectKind::Installation),
    route("/deployment/monitor", "POST", Permission::View, ObjectKind::Seen),
    route("/metrics", "GET", Permission::View, ObjectKind::Installation),
    route("/api/openapi.json", "GET", Permission::View, ObjectKind::Seen),
    route("/docs/api", "GET", Permission::View, ObjectKind::Seen),
    route(site::PARTS, "GET", Permission::Public, ObjectKind::Oneself),
    route("/robots.txt", "GET", Permission::Public, ObjectKind::Oneself),
    route("/favicon.ico", "GET", Permission::Public, ObjectKind::Oneself),
    route("/login", "GET", Permission::Public, ObjectKind::Oneself),
    route("/link/{code}", "GET", Permission::Public, ObjectKind::Oneself),
    route("/", "GET", Permission::View, ObjectKind::Seen),
    route("/deployments", "GET", Permission::View, ObjectKind::Seen),
    route("/deployments/new", "GET", Permission::View, ObjectKind::Seen),
    route("/deployments/compare", "GET", Permission::View, ObjectKind::Seen),
    route("/deployments/{id}", "GET", Permission::View, ObjectKind::Deployment),
    route("/services", "GET", Permission::View, ObjectKind::Seen),
    route("/services/{name}", "GET", Permission::View, ObjectKind::Seen),
    route("/restrictions", "GET", Permission::View, ObjectKind::Seen),
    route("/graph", "GET", Permission::View, ObjectKind::Seen),
    route("/admin/users", "GET", Permission::SignedIn, ObjectKind::Oneself),
    route("/admin/tokens", "GET", Permission::SignedIn, ObjectKind::Oneself),
    route("/admin/programs", "GET", Permission::SignedIn, ObjectKind::Oneself),
    route("/admin/secrets", "GET", Permission::SignedIn, ObjectKind::Oneself),
    route("/admin/sessions", "GET", Permission::SignedIn, ObjectKind::Oneself),
    route("/admin/sign-in", "GET", Permission::SignedIn, ObjectKind::Oneself),
    route("/admin/{part}", "GET", Permission::SignedIn, ObjectKind::Oneself),
    route("/audit", "GET", Permission::ReadAudit, ObjectKind::Installation),
    route("/settings", "GET", Permission::SignedIn, ObjectKind::Oneself),
];

impl Web {
    /// From its parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The router over everything.
    pub fn router(&self) -> Router {
        // What stands in the list and has no handler is a page.
        let is_there = |route: &&PlainRoute| self.has_sign_in_link || route.path != ENTER;
        let declared =
            PLAIN_ROUTES.iter().filter(is_there).filter_map(|route| Some((route.path, handler(route.path)?)));
        let routes = declared
            .fold(Router::new(), |router, (path, handler)| router.route(path, handler))
            .route("/api/{*path}", any(api::handle))
            .with_state(self.clone());
        let pages = pages::router(self);
        Router::new()
            .merge(routes)
            .merge(pages)
            .layer(CatchPanicLayer::custom(faulty))
            .layer(middleware::from_fn_with_state(self.clone(), slow::limit))
            .layer(middleware::from_fn(bodies::bounded))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .layer(middleware::from_fn(crowd::seated))
            .layer(middleware::from_fn_with_state(self.clone(), guard::guard))
    }
}

/// A route that takes a form of ours.
fn form(route: MethodRouter<Web>) -> MethodRouter<Web> {
    route.layer(DefaultBodyLimit::max(bodies::FORM_BYTES_MAX))
}

/// What answers a route. Only what is declared is served: this is asked for declared paths alone.
fn handler(path: &str) -> Option<MethodRouter<Web>> {
    Some(match path {
        "/session/sign_in" => form(post(session::sign_in)),
        "/session/set_password" => form(post(session::set_password)),
        "/session/sign_out" => form(post(session::sign_out)),
        "/session/oidc" => get(sign_on::begin),
        sign_on::BACK => get(sign_on::back),
        "/session/device" => form(post(device::decide)),
        "/device" => get(device::page),
        "/oauth/device" => post(oauth::device).layer(DefaultBodyLimit::max(oauth::BODY_BYTES_MAX)),
        "/oauth/token" => post(oauth::token).layer(DefaultBodyLimit::max(oauth::BODY_BYTES_MAX)),
        "/hooks/{name}" => post(hooks::receive),
        ENTER => get(session::enter),
        "/agent" => get(agent),
        "/live" => get(live),
        "/deployments/{id}/log.txt" => get(export::log),
        "/health/live" => get(health::live),
        "/health/ready" => get(health::ready),
        "/health/detailed" => get(health::detailed),
        "/deployment/monitor" => any(api::monitor),
        "/metrics" => get(metrics::metrics),
        "/api/openapi.json" => get(reference::json),
        "/docs/api" => get(reference::page),
        site::PARTS => get(site::part),
        "/robots.txt" => get(site::robots),
        "/favicon.ico" => get(site::no_icon),
        _ => return lists::handler(path),
    })
}

/// Text as a value in a query of somebody else's.
pub(crate) fn query_component(text: &str) -> String {
    session::query_value(text).replace('/', "%2F")
}

/// Where an identity provider sends people back to.
pub(crate) fn sign_on_address(origin: &Origin) -> String {
    format!("{}{}", origin.url(), sign_on::BACK)
}

/// The paths of all pages, as the application knows them.
pub fn page_paths() -> Vec<String> {
    pages::paths()
}

/// The door for open pages. A page elsewhere could open it with somebody's cookie: the browser must
/// say that it is one of ours.
async fn live(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    seat: Option<Extension<Seat>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> axum::response::Response {
    if let Err(refusal) = health::may_view(&sender) {
        return *refusal;
    }
    if sender.session.is_some() && !web.origin.is_our_page(&headers) {
        let message = "this socket is for pages of this server; programs send a token";
        return guard::plain(&ErrorBody::new(ErrorKind::Forbidden, message));
    }
    let Some(caller) = sender.caller else {
        return guard::plain(&ErrorBody::new(ErrorKind::Unauthenticated, "say who you are"));
    };
    match upgrade {
        Ok(upgrade) => {
            let (address, seat) = (peer.map(|Extension(info)| info.0.ip()), seat.map(|Extension(seat)| seat));
            web.live.accept(caller, &headers, address, upgrade, seat)
        }
        Err(rejection) => rejection.into_response(),
    }
}

async fn agent(
    State(web): State<Web>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> axum::response::Response {
    web.hub.accept(&headers, upgrade)
}

/// The answer to a request whose handler panicked; what happened stands in the log.
fn faulty(fault: Box<dyn Any + Send>) -> Response {
    let text = fault.downcast_ref::<String>().map(String::as_str).or(fault.downcast_ref().copied());
    // Whoever reads the log finds by it what somebody was told; nothing else of the fault is told.
    let id = &crate::secret::random()[..8];
    tracing::error!("fault {id}: {}", text.unwrap_or("without a text"));
    let message = format!(
        "the server made a fault while it answered, and wrote it to its log as fault {id}; please try again"
    );
    guard::plain(&ErrorBody::new(ErrorKind::Internal, message))
}

#[cfg(test)]
mod tests {
    use super::faulty;
    use axum::{Router, body::to_bytes, http::Request, routing::get};
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    #[tokio::test]
    async fn g7_a_fault_is_told_by_a_number_and_not_by_what_it_was() {
        async fn fail() -> &'static str {
            panic!("no such table: session of /var/lib/lockstep")
        }
        let app: Router = Router::new().route("/", get(fail)).layer(CatchPanicLayer::custom(faulty));
        let answer = app.oneshot(Request::new(axum::body::Body::empty())).await.expect("an answer");
        assert_eq!(answer.status(), 500);
        let text = to_bytes(answer.into_body(), 10_000).await.expect("a body");
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(" as fault ") && !text.contains("table") && !text.contains("/var"), "{text}");
    }
}
