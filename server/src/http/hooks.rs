//! Webhooks that come in. Nothing of a body is read before it is known that there is a rule, a secret and a
//! signature, and no more than its bound; nothing in it is believed before the signature over its raw bytes is
//! right. The same thing is acted on once, however often and under whatever id it is delivered.

mod act;
mod github;

use super::{
    Web,
    api::{closed, error},
};
use crate::{identity::Door, secret, vault::VaultError};
use axum::{
    Json,
    body::{Body, Bytes},
    extract::{ConnectInfo, Path, Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use lockstep_engine::port::hooks::{Delivered, Delivery, FAILED};
use lockstep_model::{
    Digest,
    error::{ErrorBody, ErrorKind},
    hooks::{HookAnswer, HookSender, HookView, RefusedWhy},
};
use std::net::{IpAddr, SocketAddr};

/// The largest body: far above what the events that are acted on have.
const BODY_BYTES_MAX: usize = 1 << 20;
const ID_CHARS_MAX: usize = 100;

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
    match web.identities.door_closed_ms(Door::Hooks, address) {
        0 => {}
        wait_ms => return closed(wait_ms),
    }
    let answered = match believed(&web, &name, request).await {
        Ok(sent) => answer(&web, sent, address).await,
        Err(Turned { told, why }) => {
            if let Some(why) = why {
                count(&web, &name, why).await;
            }
            if told.kind.status() < 500 {
                web.identities.door_refused(Door::Hooks, address, &told.message).await;
            }
            Err(told)
        }
    };
    answered.map_or_else(error, |answer| Json(answer).into_response())
}

/// Something that was sent by whom the rule is about.
struct Sent {
    hook: HookView,
    headers: HeaderMap,
    body: Bytes,
    signed: lockstep_signature::Shown,
}

/// What anybody could have sent, and for a rule that is there why it counts as that.
struct Turned {
    told: ErrorBody,
    why: Option<RefusedWhy>,
}

impl Turned {
    fn of(why: RefusedWhy, told: ErrorBody) -> Self {
        Self { told, why: Some(why) }
    }
}

impl From<ErrorBody> for Turned {
    fn from(told: ErrorBody) -> Self {
        Self { told, why: None }
    }
}

async fn believed(web: &Web, name: &str, request: Request) -> Result<Sent, Turned> {
    // A rule without a secret is a route that is off: both are not there.
    let off = || refused(ErrorKind::NotFound, format!("there is no webhook '{name}'"));
    let unsigned = |why, message| Turned::of(why, refused(ErrorKind::Unauthenticated, message));
    let hook = web.hooks.hook_fetch(name).await.map_err(unavailable)?;
    if says_too_large(request.headers()) {
        return Err(Turned { told: too_large(), why: hook.map(|_| RefusedWhy::TooLarge) });
    }
    let hook = hook.ok_or_else(off)?;
    let key = web.vault.of_hook(&hook.rule).await.map_err(|error| unopened(name, error))?;
    let key = key.ok_or_else(|| Turned::of(RefusedWhy::NoSecret, off()))?;
    let (parts, body) = request.into_parts();
    let signed = lockstep_signature::shown(&parts.headers, hook.rule.sender, web.clock.now())
        .map_err(|(why, message)| unsigned(why, message))?;
    let body = bounded(body).await?;
    if !signed.is_right(key.reveal().as_bytes(), &body) {
        return Err(unsigned(RefusedWhy::Signature, "the signature is not right".to_owned()));
    }
    Ok(Sent { hook, headers: parts.headers, body, signed })
}

fn says_too_large(headers: &HeaderMap) -> bool {
    let length = header_text(headers, header::CONTENT_LENGTH.as_str());
    length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > BODY_BYTES_MAX)
}

fn too_large() -> ErrorBody {
    refused(ErrorKind::TooLarge, format!("the body is larger than {} MiB", BODY_BYTES_MAX >> 20))
}

async fn bounded(body: Body) -> Result<Bytes, Turned> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Turned::of(RefusedWhy::TooLarge, too_large())),
        Err(error) => {
            let told = refused(ErrorKind::Malformed, format!("the body could not be read: {error}"));
            Err(Turned::of(RefusedWhy::Unread, told))
        }
    }
}

async fn count(web: &Web, name: &str, why: RefusedWhy) {
    if let Err(error) = web.hooks.hook_refused(name, why, web.clock.now()).await {
        tracing::error!("that webhook {name} turned something away was not kept: {error}");
    }
}

async fn answer(web: &Web, sent: Sent, address: Option<IpAddr>) -> Result<HookAnswer, ErrorBody> {
    let Sent { hook, headers, body, signed } = sent;
    let (event, wish) = match hook.rule.sender {
        HookSender::Github => {
            let event = header_text(&headers, "x-github-event").unwrap_or_default();
            (event.to_owned(), github::wish(&hook.rule, event, &body))
        }
        HookSender::Generic => ("generic".to_owned(), act::generic(&body)),
    };
    let id = delivery_id(&headers, hook.rule.sender, &signed);
    let digest = secret::digest_of(&body);
    let mut delivery = Delivery {
        hook: hook.rule.name.clone(),
        id: id.as_ref().map_or_else(|_| String::new(), String::clone),
        content: digest.clone(),
        body: digest,
        event: event.chars().take(ID_CHARS_MAX).collect(),
        at: web.clock.now(),
    };
    // What is wrong with a body is told to whoever sent it alone: it may repeat what stands there.
    let wish = match id.and(wish.map_err(|message| refused(ErrorKind::Invalid, message))) {
        Ok(wish) => wish,
        Err(told) => {
            let why = "it could not be understood; the sender was told what is wrong".to_owned();
            note(web, &delivery, &said("refused", why, None)).await;
            return Err(told);
        }
    };
    if let act::Wish::Nothing { why } = wish {
        let answer = said("ignored", why, None);
        note(web, &delivery, &answer).await;
        return Ok(answer);
    }
    delivery.content = content(&wish, &event, &delivery.body);
    once(web, &hook, &delivery, wish, address).await
}

async fn note(web: &Web, delivery: &Delivery, answer: &HookAnswer) {
    if let Err(error) = web.hooks.hook_note(delivery, answer).await {
        tracing::error!("a delivery of webhook {} was not kept: {error}", delivery.hook);
    }
}

fn unavailable(error: impl std::fmt::Display) -> ErrorBody {
    tracing::error!("a webhook was not taken in: {error}");
    refused(ErrorKind::Unavailable, "the database does not answer; try again in a moment")
}

/// Anybody may have sent it: which secret it is, and where its key, is for the log.
fn unopened(name: &str, error: VaultError) -> ErrorBody {
    if let VaultError::Store(error) = error {
        return unavailable(error);
    }
    tracing::error!(hook.name = %name, "webhook {name} took nothing in: {error}");
    let message = "the secret of this webhook cannot be opened, so nothing is believed; whoever looks after the server finds in its log which one it is, and what helps";
    refused(ErrorKind::Unavailable, message)
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
fn content(wish: &act::Wish, event: &str, body: &Digest) -> Digest {
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
    match web.hooks.hook_begin(delivery).await.map_err(unavailable)? {
        Delivered::New => {}
        Delivered::UnderWay => {
            count(web, &delivery.hook, RefusedWhy::Duplicate).await;
            return Ok(said("duplicate", "this was delivered before and is being acted on".to_owned(), None));
        }
        Delivered::Done(before) => {
            count(web, &delivery.hook, RefusedWhy::Duplicate).await;
            let message = format!("this was delivered before: {}", before.message);
            return Ok(said("duplicate", message, before.deployment));
        }
    }
    let (web, hook, delivery) = (web.clone(), hook.clone(), delivery.clone());
    // On its own: who hangs up does not leave it half done.
    let done = tokio::spawn(async move {
        let done = act::act(&web, &hook, &delivery, wish, address).await;
        let answer = match &done {
            Ok(answer) => answer.clone(),
            Err(refusal) => {
                let outcome = if refusal.kind.status() >= 500 { FAILED } else { "refused" };
                said(outcome, refusal.message.clone(), None)
            }
        };
        let kept = web.hooks.hook_finish(&delivery, &answer).await;
        if let Err(error) = kept {
            tracing::error!("the outcome of webhook {} was not kept: {error}", delivery.hook);
        }
        tracing::info!("webhook {}: {} ({})", delivery.hook, answer.message, answer.outcome);
        done
    });
    done.await.map_err(unavailable)?
}

fn said(outcome: &str, message: String, deployment: Option<i64>) -> HookAnswer {
    HookAnswer { outcome: outcome.to_owned(), message, deployment }
}
