//! Where programs elsewhere get tokens, in the shape of OAuth: a job exchanges its identity token (RFC 8693),
//! a command has somebody confirm it on a page (RFC 8628).

use super::{
    Web,
    api::{after, closed, error},
};
use crate::{
    identity::{CONFIRM_MS, Door, ExchangeError, Polled},
    oidc::Untrusted,
};
use axum::{
    Form, Json,
    extract::{ConnectInfo, State, rejection::FormRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lockstep_model::{
    error::{ErrorBody, ErrorKind},
    trust::{DeviceStarted, TokenIssued},
};
use serde::Deserialize;
use std::net::SocketAddr;

/// An identity token has some thousand bytes.
pub(super) const BODY_BYTES_MAX: usize = 32 << 10;
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// How often a command asks, in seconds.
const ASKS_EVERY_S: u64 = 2;
const ISSUED: &str = "urn:ietf:params:oauth:token-type:access_token";

type Peer = Option<axum::Extension<ConnectInfo<SocketAddr>>>;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    subject_token: String,
    #[serde(default)]
    device_code: String,
}

#[derive(Deserialize)]
pub(super) struct Device {
    /// What the command calls its machine.
    #[serde(default)]
    name: String,
}

fn refused(kind: ErrorKind, message: impl Into<String>) -> Response {
    error(ErrorBody::new(kind, message))
}

pub(super) async fn token(
    State(web): State<Web>,
    peer: Peer,
    form: Result<Form<Asked>, FormRejection>,
) -> Response {
    let asked = match form {
        Ok(Form(asked)) => asked,
        Err(rejection) => return unread(&rejection),
    };
    let address = peer.map(|axum::Extension(ConnectInfo(address))| address.ip());
    match web.identities.door_closed_ms(Door::Token, address) {
        0 => {}
        wait_ms => return closed(wait_ms),
    }
    match asked.grant_type.as_str() {
        EXCHANGE => exchange(&web, &asked.subject_token, address).await,
        DEVICE => poll(&web, &asked.device_code, address).await,
        other => {
            refused(ErrorKind::Invalid, format!("'grant_type' is '{other}'; use {EXCHANGE} or {DEVICE}"))
        }
    }
}

pub(super) async fn device(
    State(web): State<Web>,
    peer: Peer,
    form: Result<Form<Device>, FormRejection>,
) -> Response {
    let asked = match form {
        Ok(Form(asked)) => asked,
        Err(rejection) => return unread(&rejection),
    };
    let address = peer.map(|axum::Extension(ConnectInfo(address))| address.ip());
    let waiting = match web.identities.device_begin(&*web.devices, &asked.name, address).await {
        Ok(Some(waiting)) => waiting,
        Ok(None) => {
            let told = refused(ErrorKind::Throttled, "too many commands want to sign in; wait a minute");
            return after(60_000, told);
        }
        Err(error) => return unavailable(&error),
    };
    let page = format!("{}/device", web.origin.url());
    Json(DeviceStarted {
        verification_uri_complete: format!("{page}?code={}", waiting.code),
        verification_uri: page,
        device_code: waiting.device,
        user_code: waiting.code,
        expires_in: CONFIRM_MS / 1_000,
        interval: ASKS_EVERY_S,
    })
    .into_response()
}

/// The words of RFC 8628, since its clients know them.
async fn poll(web: &Web, device: &str, address: Option<std::net::IpAddr>) -> Response {
    let told = |error: &str, description: &str| {
        let body = serde_json::json!({ "error": error, "error_description": description });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    };
    match web.identities.device_poll(&*web.devices, device, address).await {
        Ok(Polled::Waits) => told("authorization_pending", "nobody has confirmed it yet"),
        Ok(Polled::Denied) => told("access_denied", "somebody said that it was not them"),
        Ok(Polled::Gone) => {
            web.identities.door_refused(Door::Token, address, "no sign-in waits under its code").await;
            told("expired_token", "nobody confirmed it in time, or it was fetched before")
        }
        Ok(Polled::Token(view, access_token)) => Json(TokenIssued {
            access_token,
            issued_token_type: ISSUED.to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: view.expires_at.since_ms(view.created_at) / 1_000,
        })
        .into_response(),
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> Response {
    tracing::error!("a sign-in failed: {error}");
    refused(ErrorKind::Unavailable, "the database does not answer; try again in a moment")
}

/// Why a form cannot be read, as JSON.
pub(super) fn unread(rejection: &FormRejection) -> Response {
    let kind = match rejection.status().as_u16() {
        413 => ErrorKind::TooLarge,
        415 => ErrorKind::UnsupportedMediaType,
        422 => ErrorKind::Invalid,
        _ => ErrorKind::Malformed,
    };
    refused(kind, rejection.body_text())
}

async fn exchange(web: &Web, token: &str, address: Option<std::net::IpAddr>) -> Response {
    let given = web.identities.exchange(&web.issuers, &*web.trust, token, address).await;
    let failed = match given {
        Ok((view, access_token)) => {
            tracing::info!("token {} was given by a rule of trust: {}", view.id, view.name);
            return Json(TokenIssued {
                access_token,
                issued_token_type: ISSUED.to_owned(),
                token_type: "Bearer".to_owned(),
                expires_in: view.expires_at.since_ms(view.created_at) / 1_000,
            })
            .into_response();
        }
        Err(error) => error,
    };
    // Whoever it is, they are nobody here: the audit says it, and is not filled by strangers.
    tracing::warn!("no token was given for an identity token: {failed}");
    if !matches!(&failed, ExchangeError::Store(_) | ExchangeError::Untrusted(Untrusted::Issuer { .. })) {
        web.identities.door_refused(Door::Token, address, &failed.to_string()).await;
    }
    match failed {
        ExchangeError::NoRule(message) => refused(ErrorKind::Forbidden, message),
        ExchangeError::Untrusted(Untrusted::Issuer { issuer, source }) => {
            tracing::warn!("{issuer}: {source}");
            refused(
                ErrorKind::Unavailable,
                format!("the keys of {issuer} cannot be had; try again in a moment"),
            )
        }
        failed @ (ExchangeError::Untrusted(_) | ExchangeError::Replayed) => {
            refused(ErrorKind::Unauthenticated, failed.to_string())
        }
        ExchangeError::Store(_) => {
            refused(ErrorKind::Unavailable, "the database does not answer; try again in a moment")
        }
    }
}
