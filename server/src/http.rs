//! Everything that is served: pages, server functions, sign-in forms, assets, the agents' door, own
//! health. Each route says whom it is for; whatever says nothing is for nobody.

mod api;
mod cookie;
mod export;
mod guard;
mod health;
pub mod listen;
mod metrics;
mod origin;
mod pages;
mod reference;
mod repeated;
mod session;
pub mod site;
pub mod tls;

use crate::{
    hub::Hub,
    identity::{Identities, Sender},
    live::Live,
    monitor::Monitor,
};
use app::backend::Backend;
use axum::{
    Extension, Router,
    extract::{ConnectInfo, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::HeaderMap,
    middleware,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use leptos::config::LeptosOptions;
use lockstep_coordinator::Coordinator;
use lockstep_engine::port::{AnswerStore, Clock, LogStore, Store};
use lockstep_model::{
    access::Permission,
    error::{ErrorBody, ErrorKind},
};
use std::{any::Any, net::SocketAddr, sync::Arc};
use tower_http::catch_panic::CatchPanicLayer;

pub use metrics::Counters;
pub use origin::{Origin, OriginError};

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
}

impl std::ops::Deref for Web {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// A route that is not a server function, and whom it is for. The router is made from this list,
/// and so is the test of permissions.
pub struct PlainRoute {
    /// The path as the router writes it.
    pub path: &'static str,
    /// The method.
    pub method: &'static str,
    /// Who may.
    pub permission: Permission,
}

/// All routes that are not server functions; pages are below `GET /`.
pub const PLAIN_ROUTES: &[PlainRoute] = &[
    PlainRoute { path: "/session/sign_in", method: "POST", permission: Permission::Public },
    PlainRoute { path: "/session/set_password", method: "POST", permission: Permission::Public },
    PlainRoute { path: "/session/sign_out", method: "POST", permission: Permission::Public },
    PlainRoute { path: "/enter/{code}", method: "GET", permission: Permission::Public },
    // The door asks for the agent's own token.
    PlainRoute { path: "/agent", method: "GET", permission: Permission::Public },
    PlainRoute { path: "/live", method: "GET", permission: Permission::View },
    PlainRoute { path: "/deployments.csv", method: "GET", permission: Permission::View },
    PlainRoute { path: "/deployments.json", method: "GET", permission: Permission::View },
    PlainRoute { path: "/services.csv", method: "GET", permission: Permission::View },
    PlainRoute { path: "/services.json", method: "GET", permission: Permission::View },
    PlainRoute { path: "/deployments/{id}/log.txt", method: "GET", permission: Permission::View },
    PlainRoute { path: "/health/live", method: "GET", permission: Permission::Public },
    PlainRoute { path: "/health/ready", method: "GET", permission: Permission::Public },
    PlainRoute { path: "/health/detailed", method: "GET", permission: Permission::View },
    PlainRoute { path: "/metrics", method: "GET", permission: Permission::View },
    PlainRoute { path: "/api/openapi.json", method: "GET", permission: Permission::View },
    PlainRoute { path: "/docs/api", method: "GET", permission: Permission::View },
    PlainRoute { path: "/login", method: "GET", permission: Permission::Public },
    PlainRoute { path: "/link/{code}", method: "GET", permission: Permission::Public },
    PlainRoute { path: "/", method: "GET", permission: Permission::View },
    PlainRoute { path: "/deployments", method: "GET", permission: Permission::View },
    PlainRoute { path: "/deployments/new", method: "GET", permission: Permission::View },
    PlainRoute { path: "/deployments/compare", method: "GET", permission: Permission::View },
    PlainRoute { path: "/deployments/{id}", method: "GET", permission: Permission::View },
    PlainRoute { path: "/services", method: "GET", permission: Permission::View },
    PlainRoute { path: "/services/{name}", method: "GET", permission: Permission::View },
    PlainRoute { path: "/restrictions", method: "GET", permission: Permission::View },
    PlainRoute { path: "/settings", method: "GET", permission: Permission::SignedIn },
];

impl Web {
    /// From its parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The router over everything.
    pub fn router(&self) -> Router {
        let routes = Router::new()
            .route("/session/sign_in", post(session::sign_in))
            .route("/session/set_password", post(session::set_password))
            .route("/session/sign_out", post(session::sign_out))
            .route("/enter/{code}", get(session::enter))
            .route("/agent", get(agent))
            .route("/live", get(live))
            .route("/deployments.csv", get(export::deployments_csv))
            .route("/deployments.json", get(export::deployments_json))
            .route("/services.csv", get(export::services_csv))
            .route("/services.json", get(export::services_json))
            .route("/deployments/{id}/log.txt", get(export::log))
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready))
            .route("/health/detailed", get(health::detailed))
            .route("/metrics", get(metrics::metrics))
            .route("/api/openapi.json", get(reference::json))
            .route("/docs/api", get(reference::page))
            .route("/api/{*path}", any(api::handle))
            .with_state(self.clone());
        let pages = pages::router(self);
        Router::new()
            .merge(routes)
            .merge(pages)
            .merge(site::router(&self.options))
            .layer(CatchPanicLayer::custom(faulty))
            .layer(middleware::from_fn_with_state(self.clone(), guard::guard))
    }
}

/// The door for open pages. A page elsewhere could open it with somebody's cookie: the browser must
/// say that it is one of ours.
async fn live(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
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
            web.live.accept(caller.user, &headers, peer.map(|Extension(info)| info.0.ip()), upgrade)
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
fn faulty(_: Box<dyn Any + Send>) -> Response {
    let message = "the server made a fault while it answered, and wrote it to its log; please try again";
    guard::plain(&ErrorBody::new(ErrorKind::Internal, message))
}
