//! What holds for every request: our own host name only, the sender found out once, changes by
//! cookie from our own pages only, and the final security headers on every answer.

use super::{Web, api, cookie, site::Part};
use crate::identity::{COOKIE, COOKIE_SECURE, Sender, Shown};
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use lockstep_model::error::{ErrorBody, ErrorKind};
use std::net::SocketAddr;

/// For answers that are not pages; pages set their own with a nonce.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const HEADERS: [(HeaderName, &str); 7] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), compute-pressure=(), cross-origin-isolated=(), display-capture=(), \
         encrypted-media=(), fullscreen=(), gamepad=(), geolocation=(), gyroscope=(), hid=(), \
         identity-credentials-get=(), idle-detection=(), interest-cohort=(), keyboard-map=(), local-fonts=(), \
         magnetometer=(), microphone=(), midi=(), otp-credentials=(), payment=(), picture-in-picture=(), \
         publickey-credentials-create=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), \
         storage-access=(), usb=(), window-management=(), xr-spatial-tracking=()",
    ),
    (HeaderName::from_static("x-permitted-cross-domain-policies"), "none"),
];
/// Those that say something of a part of a page; the rest is about what is shown as a page. A page has
/// more than a hundred parts, and each header comes with every one of them.
const OF_PARTS: [HeaderName; 2] =
    [header::X_CONTENT_TYPE_OPTIONS, HeaderName::from_static("cross-origin-resource-policy")];
/// What answers while the server is closed: monitoring, and the door that agents have a key for.
const OPEN: [&str; 2] = ["/health/live", "/agent"];
/// What open pages ask by themselves when no socket reaches them.
const MONITOR: &str = "/deployment/monitor";
/// The socket of open pages.
const LIVE: &str = "/live";
/// What an open page adds to what it asks for while nobody has touched it for a minute.
const UNATTENDED: &str = "x-lockstep-unattended";
/// As what tokens are put into addresses elsewhere.
const TOKEN_NAMES: [&str; 6] = ["token", "access_token", "api_key", "apikey", "auth", "authorization"];
/// Two years, as browsers' lists of such servers want it.
const TRANSPORT: &str = "max-age=63072000; includeSubDomains";
/// Characters of a path that are noted down.
const PATH_CHARS_MAX: usize = 200;

pub(super) async fn guard(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    let mut renewed = None;
    let mut response = match look(&web, &mut request, &mut renewed).await {
        Ok(()) => noted(&web, request, next).await,
        Err(refusal) => *refusal,
    };
    if let Some(id) = renewed {
        hand_over(&web, &mut response, &id);
    }
    let is_part = response.extensions().get::<Part>().is_some();
    let headers = response.headers_mut();
    for (name, value) in HEADERS.iter().filter(|(name, _)| !is_part || OF_PARTS.contains(name)) {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !is_part {
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if web.origin.is_https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT));
    }
    let status = response.status();
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("5"));
    }
    web.counters.answered(status);
    response
}

/// Answers, and notes it down when somebody who is known is denied something: here, so that no route can
/// forget it. What other sites send with somebody's cookie came no further than [`look`]: nobody asked for
/// it. Server functions note their own.
async fn noted(web: &Web, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Sender>().and_then(|sender| sender.caller.clone());
    let path: String = request.uri().path().chars().take(PATH_CHARS_MAX).collect();
    let is_function = path.starts_with("/api/v1/") || path == MONITOR;
    let response = next.run(request).await;
    if let (StatusCode::FORBIDDEN, Some(caller), false) = (response.status(), &caller, is_function) {
        web.backend.access.denied(caller, &path).await;
    }
    response
}

/// Tells the browser the id under which its session goes on, unless the answer itself began or ended one.
fn hand_over(web: &Web, response: &mut Response, id: &str) {
    let set = values(response.headers(), &header::SET_COOKIE);
    let names = [COOKIE, COOKIE_SECURE].map(|name| format!("{name}="));
    if !set.iter().any(|set| names.iter().any(|name| set.starts_with(name.as_bytes()))) {
        response.headers_mut().append(header::SET_COOKIE, cookie::set(&web.origin, id));
    }
}

/// Whether an answer is one to a page or to what it asks: what browsers keep for ever carries no session.
fn may_renew(request: &Request) -> bool {
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    request.uri().path().starts_with("/api/") || accepts.is_some_and(|kinds| kinds.contains("text/html"))
}

/// Whether somebody is at work: a page that asks by itself what is new, or for its socket again, is nobody.
fn is_person(request: &Request) -> bool {
    let path = request.uri().path();
    !path.ends_with(MONITOR) && path != LIVE && !request.headers().contains_key(UNATTENDED)
}

async fn look(web: &Web, request: &mut Request, renewed: &mut Option<String>) -> Result<(), Box<Response>> {
    let is_api = request.uri().path().starts_with("/api/");
    let refuse = |kind: ErrorKind, message: &str| {
        let body = ErrorBody::new(kind, message);
        Box::new(if is_api { api::error(body) } else { plain(&body) })
    };
    if !web.origin.is_our_host(request.headers(), request.uri()) {
        let message = "this server does not answer under that name; start it with --public-url if it should";
        return Err(Box::new((StatusCode::MISDIRECTED_REQUEST, message).into_response()));
    }
    if request.uri().query().is_some_and(has_token) {
        return Err(refuse(
            ErrorKind::Malformed,
            "a token in an address is read by whoever sees the address; send it as 'Authorization: Bearer ls_…', and end this one with `lockstep token revoke`",
        ));
    }
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    super::visits::pass(web, request.uri().path(), address, request.headers())?;
    // The agents' door has a key of its own.
    let mut sender = if request.uri().path() == "/agent" {
        Sender::default()
    } else {
        let shown = Shown {
            authorization: values(request.headers(), &header::AUTHORIZATION),
            cookies: values(request.headers(), &header::COOKIE),
            address,
            is_person: is_person(request),
            is_open: false,
            may_renew: may_renew(request),
        };
        web.identities.sender(shown).await.map_err(|error| {
            tracing::error!("nobody can be identified: {error}");
            refuse(ErrorKind::Unavailable, "the database does not answer; try again in a moment")
        })?
    };
    *renewed = sender.renewed.take();
    let is_closed = web.identities.lockdown().now().is_some();
    if is_closed && sender.caller.is_none() && !OPEN.contains(&request.uri().path()) {
        return Err(refuse(ErrorKind::Unavailable, "this server is closed; ask who looks after it"));
    }
    let is_change = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let is_form = request.uri().path().starts_with("/session/");
    if is_change && (sender.session.is_some() || is_form) && !web.origin.is_our_page(request.headers()) {
        return Err(refuse(
            ErrorKind::Forbidden,
            "this request did not come from a page of this server; programs send a token: 'Authorization: Bearer ls_…'",
        ));
    }
    request.extensions_mut().insert(sender);
    Ok(())
}

/// Whether a query holds a token: by its name, or by the look of a value.
fn has_token(query: &str) -> bool {
    query.split('&').any(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_named = TOKEN_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known));
        is_named || value.starts_with("ls_") || name.starts_with("ls_")
    })
}

pub(super) fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

/// An error as text, where no page and no API is.
pub(super) fn plain(body: &ErrorBody) -> Response {
    let status = StatusCode::from_u16(body.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, format!("{}\n", body.message)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a10_what_a_page_asks_while_nobody_is_at_it_keeps_no_session_alive() {
        let of = |path: &str, header: Option<&str>| {
            let request = Request::builder().uri(path);
            let request = header.into_iter().fold(request, |request, name| request.header(name, "1"));
            is_person(&request.body(axum::body::Body::empty()).expect("a request"))
        };
        assert!(of("/deployments", None) && of("/api/v1/deployment/list", None));
        assert!(!of("/api/v1/deployment/list", Some(UNATTENDED)));
        assert!(!of("/api/v1/deployment/monitor", None) && !of("/live", None));
        // The page says it by the same name.
        assert!(include_str!("../../../app/src/start.js").contains(&format!("\"{UNATTENDED}\"")));
    }
}
