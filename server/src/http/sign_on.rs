//! The way to the identity provider and back. What comes back must have begun in the same browser: it keeps,
//! sealed, what is known of it.

use super::{
    Web,
    session::{self, Peer},
};
use crate::identity::{Door, OidcError, Provided, Sender};
use axum::{
    Extension,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

/// Where the provider sends people back to.
pub(super) const BACK: &str = "/session/oidc/back";
const COOKIE: &str = "lockstep_oidc";
const COOKIE_SECURE: &str = "__Host-lockstep_oidc";
const COOKIE_SECONDS: u32 = 600;
const CODE_BYTES_MAX: usize = 4_096;

#[derive(Deserialize)]
pub(super) struct Begin {
    #[serde(default)]
    next: String,
    /// Whether the provider shall ask again.
    #[serde(default)]
    again: u8,
}

#[derive(Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    iss: Option<String>,
}

fn cookie(web: &Web, kept: &str, seconds: u32) -> HeaderValue {
    // Whole path: a name that begins with __Host- needs it.
    let (name, secure) = if web.origin.is_https { (COOKIE_SECURE, "; Secure") } else { (COOKIE, "") };
    let text = format!("{name}={kept}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("lockstep_oidc=; Path=/; Max-Age=0"))
}

/// What this browser keeps of how it began.
fn begun(web: &Web, headers: &HeaderMap) -> Option<String> {
    let name = if web.origin.is_https { COOKIE_SECURE } else { COOKIE };
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(known, _)| *known == name).map(|(_, kept)| kept.to_owned());
    let only = found.next()?;
    (found.next().is_none() && !only.is_empty()).then_some(only)
}

fn provided(web: &Web) -> Option<Provided<'_>> {
    let settings = web.oidc.as_ref()?;
    let back = super::sign_on_address(&web.origin);
    Some(Provided { settings, issuers: &web.issuers, store: &*web.people, back })
}

fn off() -> Response {
    see("/login?error=off")
}

fn see(address: &str) -> Response {
    let location = HeaderValue::from_str(address).unwrap_or(HeaderValue::from_static("/login"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// Whether the browser says that another site led here. One that was typed, or kept, is nobody else's doing.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    site.is_some_and(|site| !matches!(site, "same-origin" | "none"))
}

pub(super) async fn begin(
    State(web): State<Web>,
    Query(asked): Query<Begin>,
    headers: HeaderMap,
) -> Response {
    let Some(at) = provided(&web) else { return off() };
    let next = session::local_path(&asked.next);
    if is_from_elsewhere(&headers) {
        // Nobody is signed in by following somebody else's link: they press the button themselves.
        return see(&format!("/login?next={}", session::query_value(&next)));
    }
    match web.identities.oidc_begin(&at, &next, asked.again > 0).await {
        Ok(going) => {
            let mut response = see(&going.address);
            response.headers_mut().insert(header::SET_COOKIE, cookie(&web, &going.kept, COOKIE_SECONDS));
            response
        }
        Err(error) => failed(&error),
    }
}

pub(super) async fn back(
    State(web): State<Web>,
    peer: Peer,
    Extension(sender): Extension<Sender>,
    Query(told): Query<Back>,
    headers: HeaderMap,
) -> Response {
    let Some(at) = provided(&web) else { return off() };
    // RFC 9207: another provider's answer is not taken for this one's.
    let is_of_it = told.iss.as_ref().is_none_or(|issuer| *issuer == at.settings.issuer);
    let way = begun(&web, &headers).and_then(|kept| web.identities.oidc_begun(&kept, &told.state));
    let way = way.filter(|_| is_of_it && told.code.len() <= CODE_BYTES_MAX);
    let whence = session::whence(&web, peer, &headers, &sender);
    let address = whence.address;
    if web.identities.door_closed_ms(Door::SignOn, address) > 0 {
        return see("/login?error=throttled");
    }
    let is_ours = way.is_some();
    let mut response = if let Some(way) = way.filter(|_| !told.code.is_empty()) {
        let present = sender.caller.as_ref().zip(sender.session.as_ref());
        let present = present.map(|(caller, session)| (&caller.actor, session));
        match web.identities.oidc_finish(&at, way, &told.code, whence, present).await {
            Ok((started, next)) => session::enter_as(&web, &started, &session::local_path(&next)),
            Err(error) => {
                // Each asks the provider something.
                web.identities.door_refused(Door::SignOn, address, "the provider vouches for nobody").await;
                failed(&error)
            }
        }
    } else if is_ours {
        let word: String = told.error.chars().filter(char::is_ascii_graphic).take(100).collect();
        failed(&OidcError::Provider(word))
    } else {
        failed(&OidcError::Foreign)
    };
    response.headers_mut().append(header::SET_COOKIE, cookie(&web, "", 0));
    response
}

fn failed(error: &OidcError) -> Response {
    tracing::warn!("nobody was signed in through the identity provider: {error}");
    let word = match error {
        OidcError::NoRole(_) => "no_role",
        OidcError::Foreign => "foreign",
        OidcError::Account(_) => "account",
        OidcError::Untrusted(_) | OidcError::Provider(_) => "provider",
        OidcError::Store(_) => "database",
    };
    see(&format!("/login?error={word}"))
}
