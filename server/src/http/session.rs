//! Sign-in and sign-out: plain forms that answer with a redirect, so that they work before the WASM
//! is there and without it.

use super::{
    Web, cookie,
    guard::{plain, values},
};
use crate::identity::{LinkError, Sender, SignInError, Started, Whence, known_device};
use axum::{
    Extension, Form,
    extract::{ConnectInfo, Path, State, rejection::FormRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lockstep_model::error::{ErrorBody, ErrorKind};
use serde::Deserialize;
use std::net::SocketAddr;

/// 1,024 characters, whatever they are; what is longer is not even looked at.
const PASSWORD_BYTES_MAX: usize = 4 * 1_024;

pub(super) type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

#[derive(Deserialize)]
pub(super) struct SignIn {
    user: String,
    password: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct SetPassword {
    code: String,
    password: String,
    again: String,
}

pub(super) async fn sign_in(
    State(web): State<Web>,
    peer: Peer,
    Extension(sender): Extension<Sender>,
    headers: HeaderMap,
    form: Result<Form<SignIn>, FormRejection>,
) -> Response {
    let Form(form) = match form {
        Ok(form) => form,
        Err(rejection) => return rejection.into_response(),
    };
    if form.password.len() > PASSWORD_BYTES_MAX {
        return plain(&ErrorBody::new(ErrorKind::Invalid, "a password has 1,024 characters at most"));
    }
    let next = local_path(&form.next);
    let signed_in =
        web.identities.sign_in(&form.user, form.password, whence(&web, peer, &headers, &sender)).await;
    let login = |error: &str| format!("/login?error={error}&next={}", query_value(&next));
    match signed_in {
        Ok(started) => enter_as(&web, &started, &next),
        Err(SignInError::Credentials) => see(&login("credentials")),
        Err(SignInError::Throttled { wait_ms }) => {
            let mut response = see(&login("throttled"));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1_000)));
            response
        }
        Err(SignInError::Store(error)) => unavailable(&error),
    }
}

pub(super) async fn set_password(
    State(web): State<Web>,
    peer: Peer,
    Extension(sender): Extension<Sender>,
    headers: HeaderMap,
    form: Result<Form<SetPassword>, FormRejection>,
) -> Response {
    let Form(form) = match form {
        Ok(form) => form,
        Err(rejection) => return rejection.into_response(),
    };
    let back = |error: &str| see(&format!("/link/{}?error={error}", query_value(&form.code)));
    if form.password != form.again {
        return back("again");
    }
    match web
        .identities
        .link_set_password(&form.code, form.password, whence(&web, peer, &headers, &sender))
        .await
    {
        Ok(started) => enter_as(&web, &started, "/"),
        Err(LinkError::Password) => back("password"),
        Err(LinkError::Guessable) => back("guessable"),
        Err(LinkError::Busy) => see("/login?error=throttled"),
        Err(LinkError::Spent) => see("/login?error=link"),
        Err(LinkError::Store(error)) => unavailable(&error),
    }
}

pub(super) async fn enter(
    State(web): State<Web>,
    peer: Peer,
    Extension(sender): Extension<Sender>,
    headers: HeaderMap,
    Path(code): Path<String>,
) -> Response {
    match web.identities.link_enter(&code, whence(&web, peer, &headers, &sender)).await {
        Ok(started) => enter_as(&web, &started, "/"),
        Err(LinkError::Spent | LinkError::Password | LinkError::Guessable | LinkError::Busy) => {
            see("/login?error=link")
        }
        Err(LinkError::Store(error)) => unavailable(&error),
    }
}

pub(super) async fn sign_out(State(web): State<Web>, Extension(sender): Extension<Sender>) -> Response {
    if let (Some(caller), Some(session)) = (&sender.caller, &sender.session)
        && let Err(error) = web.identities.sign_out(&caller.actor, session).await
    {
        return unavailable(&error);
    }
    let mut response = see("/login?error=ended");
    response.headers_mut().insert(header::SET_COOKIE, cookie::clear(&web.origin));
    response
}

pub(super) fn enter_as(web: &Web, started: &Started, next: &str) -> Response {
    tracing::info!(user.name = %started.user, "{} signed in", started.user);
    let mut response = see(next);
    response.headers_mut().insert(header::SET_COOKIE, cookie::set(&web.origin, &started.id));
    if let Some(known) = &started.known {
        response.headers_mut().append(header::SET_COOKIE, cookie::set_known(&web.origin, known));
    }
    response
}

fn see(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

fn unavailable(error: &dyn std::error::Error) -> Response {
    tracing::error!("signing in or out failed: {error}");
    plain(&ErrorBody::new(ErrorKind::Unavailable, "the database does not answer; try again in a moment"))
}

pub(super) fn whence(web: &Web, peer: Peer, headers: &HeaderMap, sender: &Sender) -> Whence {
    let device = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let cookies = values(headers, &header::COOKIE);
    Whence {
        address: peer.map(|Extension(ConnectInfo(address))| address.ip()),
        device: device.map(str::to_owned),
        known: known_device(&cookies, web.origin.is_https).map(str::to_owned),
        present: sender.session.clone(),
    }
}

/// A path of this server; everything else becomes the first page.
pub(super) fn local_path(next: &str) -> String {
    let is_local = next.starts_with('/')
        && !next.starts_with("//")
        && next.len() <= 2_000
        && !next.contains('\\')
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    let decoded_is_local =
        !next.to_ascii_lowercase().starts_with("/%2f") && !next.to_ascii_lowercase().starts_with("/%5c");
    if is_local && decoded_is_local { next.to_owned() } else { "/".to_owned() }
}

/// Text as a value in an address: everything that could mean something there is escaped.
pub(super) fn query_value(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            value.push(char::from(byte));
        } else {
            value.push_str(&format!("%{byte:02X}"));
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::{local_path, query_value};

    #[test]
    fn only_paths_of_this_server_are_followed() {
        for good in ["/", "/deployments/12?tab=log", "/a/../b"] {
            assert_eq!(local_path(good), good);
        }
        for bad in [
            "",
            "//evil",
            "/\\evil",
            "\\\\evil",
            "/%2f%2fevil",
            "javascript:alert(1)",
            "/a\r\nb",
            "https://e",
        ] {
            assert_eq!(local_path(bad), "/", "{bad:?}");
        }
    }

    #[test]
    fn values_in_addresses_are_escaped() {
        assert_eq!(query_value("/a?b=c&d"), "/a%3Fb%3Dc%26d");
    }
}
