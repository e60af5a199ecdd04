//! The server's own health. Live and ready tell a stranger nothing but that; detailed says what is
//! wrong, to those who may see it.

use super::{Web, guard::plain};
use crate::identity::Sender;
use axum::{
    Extension, Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lockstep_model::{
    access::{Permission, Scope},
    error::{ErrorBody, ErrorKind},
};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

const STORE_LIMIT: Duration = Duration::from_secs(2);

pub(super) async fn live() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

pub(super) async fn ready(State(web): State<Web>) -> Response {
    let is_ready = web.coordinator.is_alive() && store_problem(&web).await.is_none();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": is_ready }))).into_response()
}

pub(super) async fn detailed(State(web): State<Web>, Extension(sender): Extension<Sender>) -> Response {
    if let Err(refusal) = may_view_all(&sender) {
        return *refusal;
    }
    let store = store_problem(&web).await;
    let agent = web.hub.connected().borrow().clone();
    let quarantined = web.coordinator.quarantined();
    let is_alive = web.coordinator.is_alive();
    let is_well = store.is_none() && is_alive && quarantined.is_empty();
    let status = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({
        "status": if is_well { "healthy" } else { "unhealthy" },
        "version": env!("CARGO_PKG_VERSION"),
        "components": {
            "store": { "healthy": store.is_none(), "problem": store },
            "coordinator": {
                "healthy": is_alive && quarantined.is_empty(),
                "live_deployments": web.coordinator.live().len(),
                "unreadable_deployments": quarantined,
            },
            "agent": {
                // None is needed until something is deployed.
                "connected": agent.is_some(),
                "pid": agent.as_ref().map(|agent| agent.pid),
                "version": agent.as_ref().map(|agent| agent.version.clone()),
                "pending_orders": web.hub.pending(),
            },
        },
    });
    (status, Json(body)).into_response()
}

/// Refuses who may not see the installation as a whole.
pub(super) fn may_view_all(sender: &Sender) -> Result<(), Box<Response>> {
    may_view(sender)?;
    match &sender.caller {
        Some(caller) if !caller.rights.sight().is_everything() => {
            Err(Box::new(plain(&caller.forbidden(Permission::View, &Scope::default()).0)))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses who may see nothing at all.
pub(super) fn may_view(sender: &Sender) -> Result<(), Box<Response>> {
    match &sender.caller {
        None => Err(Box::new(plain(&ErrorBody::new(
            ErrorKind::Unauthenticated,
            "sign in, or send a token: 'Authorization: Bearer ls_…'",
        )))),
        Some(caller) if caller.rights.allows_somewhere(Permission::View) => Ok(()),
        Some(caller) => {
            let message = format!("{} may not see this", caller.user);
            Err(Box::new(plain(&ErrorBody::new(ErrorKind::Forbidden, message))))
        }
    }
}

async fn store_problem(web: &Web) -> Option<String> {
    match timeout(STORE_LIMIT, web.store.ping()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("the database did not answer within {} s", STORE_LIMIT.as_secs())),
    }
}
