//! Webhooks that come in. Nothing of a body is read before it is known that there is a rule, a secret and a
//! signature, and no more than its bound; nothing in it is believed before the signature over its raw bytes is
//! right. The same thing is acted on once, however often and under whatever id it is delivered.

mod act;
mod github;
mod secrets;

use super::{Web, api::error};
use crate::{identity::Door, secret};
use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, Path, Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use lockstep_engine::port::hooks::{Delivered, Delivery};
use lockstep_model::{
    error::{ErrorBody, ErrorKind},
    hooks::{HookAnswer, HookSender, HookView},
};
use std::net::{IpAddr, SocketAddr};

/// The largest body: far above what the events that are acted on have.
const BODY_BYTES_MAX: usize = 1 << 20;
const ID_CHARS_MAX: usize = 100;

pub(super) use secrets::VARIABLES;

/// Whether the secret that a rule names is set.
pub(super) fn has_secret(place: &str) -> bool {
    secrets::secret(place).is_some()
}

type Peer = Option<axum::Extension<ConnectInfo<SocketAddr>>>;

fn refused(kind: ErrorKind, message: impl Into<String>) -> ErrorBody {
    ErrorBody::new(kind, message)
}

pub(super) async fn receive(
    State(web): State<Web>,
    peer: Peer,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let address = peer.map(|axum::Extension(ConnectInfo(address))| address.ip());
    if web.identities.door_closed_ms(Door::Hooks, address) > 0 {
        return error(refused(ErrorKind::Throttled, "too much was refused from this address; wait a minute"));
    }
    match answer(&web, &name, address, request).await {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => {
            // Whose signature is right is no stranger.
            if matches!(refusal.kind, ErrorKind::NotFound | ErrorKind::Unauthenticated) {
                web.identities.door_refused(Door::Hooks, address, &refusal.message).await;
            }
            error(refusal)
        }
    }
}

async fn answer(
    web: &Web,
    name: &str,
    address: Option<IpAddr>,
    request: Request,
) -> Result<HookAnswer, ErrorBody> {
    // A rule without a secret is a route that is off: both are not there.
    let off = || refused(ErrorKind::NotFound, format!("there is no webhook '{name}'"));
    let hook = web.hooks.hook_fetch(name).await.map_err(unavailable)?.ok_or_else(off)?;
    let key = secrets::secret(&hook.rule.secret).ok_or_else(off)?;
    let (parts, body) = request.into_parts();
    let signed = lockstep_signature::shown(&parts.headers, hook.rule.sender, web.clock.now())
        .map_err(|message| refused(ErrorKind::Unauthenticated, message))?;
    let length = header_text(&parts.headers, header::CONTENT_LENGTH.as_str());
    if length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
        Err(error) => {
            return Err(refused(ErrorKind::Malformed, format!("the body could not be read: {error}")));
        }
    };
    if !signed.is_right(&key, &body) {
        return Err(refused(ErrorKind::Unauthenticated, "the signature is not right"));
    }
    let (event, wish) = match hook.rule.sender {
        HookSender::Github => {
            let event = header_text(&parts.headers, "x-github-event").unwrap_or_default().to_owned();
            let wish = github::wish(&hook.rule, &event, &body);
            (event, wish)
        }
        HookSender::Generic => ("generic".to_owned(), act::generic(&body)),
    };
    let wish = wish.map_err(|message| refused(ErrorKind::Invalid, message))?;
    let delivery = Delivery {
        hook: hook.rule.name.clone(),
        id: delivery_id(&parts.headers, hook.rule.sender, &signed)?,
        content: content(&wish, &event, &body),
        at: web.clock.now(),
    };
    once(web, &hook, &delivery, wish, address).await
}

fn too_large() -> ErrorBody {
    refused(ErrorKind::TooLarge, format!("the body is larger than {} MiB", BODY_BYTES_MAX >> 20))
}

fn unavailable(error: impl std::fmt::Display) -> ErrorBody {
    tracing::error!("a webhook was not taken in: {error}");
    refused(ErrorKind::Unavailable, "the database does not answer; try again in a moment")
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The sender's id for what it delivers; without one, what was signed.
fn delivery_id(
    headers: &HeaderMap,
    sender: HookSender,
    signed: &lockstep_signature::Shown,
) -> Result<String, ErrorBody> {
    let name = match sender {
        HookSender::Github => "x-github-delivery",
        HookSender::Generic => "x-lockstep-delivery",
    };
    match (header_text(headers, name), sender) {
        (Some(id), _) if !id.is_empty() && id.len() <= ID_CHARS_MAX => Ok(id.to_owned()),
        (None, HookSender::Generic) => Ok(signed.text()),
        _ => {
            Err(refused(ErrorKind::Invalid, format!("'{name}' is one id of 1 to {ID_CHARS_MAX} characters")))
        }
    }
}

/// What is the same when it is delivered again: GitHub signs no time, so an old body stays right.
fn content(wish: &act::Wish, event: &str, body: &Bytes) -> lockstep_model::Digest {
    let body = secret::digest_of(body);
    secret::digest(&serde_json::json!([wish.repository(), event, wish.commit(), body.as_str()]).to_string())
}

/// Acts on what is new. What was refused is not tried again when it is delivered again; what could not be
/// done because something does not answer is.
async fn once(
    web: &Web,
    hook: &HookView,
    delivery: &Delivery,
    wish: act::Wish,
    address: Option<IpAddr>,
) -> Result<HookAnswer, ErrorBody> {
    if let act::Wish::Nothing { why, .. } = wish {
        return Ok(said("ignored", why, None));
    }
    match web.hooks.hook_begin(delivery).await.map_err(unavailable)? {
        Delivered::New => {}
        Delivered::UnderWay => {
            return Ok(said("duplicate", "this was delivered before and is being acted on".to_owned(), None));
        }
        Delivered::Done(before) => {
            let message = format!("this was delivered before: {}", before.message);
            return Ok(said("duplicate", message, before.deployment));
        }
    }
    let (web, hook, delivery) = (web.clone(), hook.clone(), delivery.clone());
    // On its own: who hangs up does not leave it half done.
    let done = tokio::spawn(async move {
        let done = act::act(&web, &hook, &delivery, wish, address).await;
        let kept = match &done {
            Ok(answer) => web.hooks.hook_finish(&delivery, Some(answer)).await,
            Err(refusal) if refusal.kind.status() >= 500 => web.hooks.hook_finish(&delivery, None).await,
            Err(refusal) => {
                let answer = said("refused", refusal.message.clone(), None);
                web.hooks.hook_finish(&delivery, Some(&answer)).await
            }
        };
        if let Err(error) = kept {
            tracing::error!("the outcome of webhook {} was not kept: {error}", delivery.hook);
        }
        match &done {
            Ok(answer) => {
                tracing::info!("webhook {}: {} ({})", delivery.hook, answer.message, answer.outcome)
            }
            Err(refusal) => tracing::warn!("webhook {}: {}", delivery.hook, refusal.message),
        }
        done
    });
    done.await.map_err(unavailable)?
}

fn said(outcome: &str, message: String, deployment: Option<i64>) -> HookAnswer {
    HookAnswer { outcome: outcome.to_owned(), message, deployment }
}
