//! The way to the server functions: one place for 404, 405, 413, 415 and for the status of every
//! error, which follows from its kind.

use super::{Web, cookie, repeated};
use crate::identity::Sender;
use app::backend::{Caller, Credential, Identity};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use leptos::prelude::provide_context;
use lockstep_model::{
    api::{BODY_BYTES_MAX, Declared, ENDPOINTS, PREFIX, STEP_UP},
    error::{ErrorBody, ErrorKind},
};
use server_fn::error::SERVER_FN_ERROR_HEADER;
use std::sync::{Arc, Mutex, PoisonError};

/// An error's body is a few sentences.
const ERROR_BYTES_MAX: usize = 1 << 20;

pub(super) async fn handle(State(web): State<Web>, request: Request) -> Response {
    let sender = request.extensions().get::<Sender>();
    let identity = Identity(sender.and_then(|sender| sender.caller.clone()));
    let is_confirmed = sender.is_some_and(|sender| sender.is_confirmed);
    answer(&web, identity, is_confirmed, request).await.unwrap_or_else(error)
}

/// `/deployment/monitor` without the prefix, as it is named to those who only watch.
pub(super) async fn monitor(web: State<Web>, mut request: Request) -> Response {
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    match format!("{PREFIX}/deployment/monitor{query}").parse() {
        Ok(uri) => *request.uri_mut() = uri,
        Err(_) => return error(ErrorBody::new(ErrorKind::Malformed, "the address cannot be read")),
    }
    handle(web, request).await
}

async fn answer(
    web: &Web,
    identity: Identity,
    is_confirmed: bool,
    request: Request,
) -> Result<Response, ErrorBody> {
    let Admitted { caller, endpoint, mut parts, mut body } = admit(web, &identity, request).await?;
    if let Some(refusal) = step_up(&caller, endpoint, is_confirmed) {
        web.backend.access.denied(&caller, endpoint.path).await;
        return Err(refusal);
    }
    let renewed = Renewed::default();
    let mut key = repeated::key(&parts.headers, endpoint)?;
    if let Some(given) = &key
        && let Some(carrying) = repeated::into_body(given, endpoint, &body)?
    {
        (key, body) = (None, carrying);
    }
    // Answers are JSON, whatever a browser would rather have: no redirects.
    parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let (principal, rights) = (caller.user.to_string(), caller.rights.to_string());
    let known = key.map(|key| repeated::request(principal, &rights, endpoint, key, &body));
    let request = Request::from_parts(parts, Body::from(body));
    let backend = web.backend.clone();
    let path = endpoint.path;
    let (id, origin) = (renewed.clone(), web.origin.clone());
    let wait = Wait::default();
    let known_wait = wait.clone();
    let act = async move {
        let access = backend.access.clone();
        let context = move || {
            provide_context(identity.clone());
            provide_context(backend.clone());
            provide_context(renewed.clone());
            provide_context(known_wait.clone());
        };
        let response = leptos_axum::handle_server_fns_with_context(context, request).await;
        let mut response = with_status(response.into_response()).await;
        if let Some(id) = id.take() {
            response.headers_mut().insert(header::SET_COOKIE, cookie::set(&origin, &id));
        }
        if let Some(wait_ms) = wait.take() {
            response = after(wait_ms, response);
        }
        // Every denial is noted, wherever it was found out.
        if response.status() == StatusCode::FORBIDDEN {
            access.denied(&caller, path).await;
        }
        response
    };
    match known {
        Some(known) => repeated::once(web, known, act).await,
        None => Ok(act.await),
    }
}

/// What only a person does, and soon after they gave their password; none = it may be done now.
fn step_up(caller: &Caller, endpoint: &Declared, is_confirmed: bool) -> Option<ErrorBody> {
    if !STEP_UP.contains(&endpoint.path) {
        return None;
    }
    match caller.credential {
        Credential::Local => None,
        Credential::Token(_) | Credential::Rule => Some(ErrorBody::new(
            ErrorKind::Forbidden,
            "this is for people, not for tokens: sign in in a browser, or use the command on the server's own machine",
        )),
        Credential::Session(_) if is_confirmed => None,
        Credential::Session(_) if !caller.has_password => Some(ErrorBody::new(
            ErrorKind::StepUpRequired,
            "sign in again: you did more than 10 minutes ago; /session/oidc?again=1 leads to the identity provider, a new link serves who has none; then do it once more",
        )),
        Credential::Session(_) => Some(ErrorBody::new(
            ErrorKind::StepUpRequired,
            "give your password again: it was last given more than 10 minutes ago; confirm it with /session/confirm, or sign in anew at /login, then do it once more",
        )),
    }
}

/// The id under which a session goes on after this request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Renewed(Arc<Mutex<Option<String>>>);

impl Renewed {
    /// It goes on under this one.
    pub(crate) fn set(&self, id: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How long whoever is told to wait has to, where it is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wait(Arc<Mutex<Option<u64>>>);

impl Wait {
    /// The next try counts after so many milliseconds.
    pub(crate) fn set(&self, wait_ms: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(wait_ms);
    }

    fn take(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A request that may be looked at further, by somebody: no endpoint is for nobody.
struct Admitted {
    caller: Caller,
    endpoint: &'static Declared,
    parts: Parts,
    body: Bytes,
}

async fn admit(web: &Web, identity: &Identity, request: Request) -> Result<Admitted, ErrorBody> {
    let path = request.uri().path();
    let known = path.strip_prefix(PREFIX).and_then(|path| ENDPOINTS.iter().find(|known| known.path == path));
    let Some(endpoint) = known else {
        return Err(ErrorBody::new(ErrorKind::NotFound, format!("there is no endpoint {path}")));
    };
    if request.method() != Method::POST {
        let message = format!("{path} is called with POST and a JSON body");
        return Err(ErrorBody::new(ErrorKind::MethodNotAllowed, message));
    }
    if request.uri().query().is_some() {
        return Err(ErrorBody::new(
            ErrorKind::Malformed,
            "arguments go into the JSON body, not into the address",
        ));
    }
    // Before a byte of the body is read.
    let admitted = identity.with(endpoint.permission);
    let caller = match admitted.and_then(|caller| caller.came_for(endpoint).map(|()| caller.clone())) {
        Ok(caller) => caller,
        Err(refusal) => {
            if let Some(caller) = &identity.0 {
                web.backend.access.denied(caller, endpoint.path).await;
            }
            return Err(refusal.0);
        }
    };
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(ErrorBody::new(
            ErrorKind::UnsupportedMediaType,
            "the body is JSON: send 'Content-Type: application/json'",
        ));
    }
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(ErrorBody::new(ErrorKind::UnsupportedMediaType, "send the body without compression"));
    }
    let (parts, body) = request.into_parts();
    let body = read(body).await?;
    Ok(Admitted { caller, endpoint, parts, body })
}

async fn read(body: Body) -> Result<Bytes, ErrorBody> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the body is larger than {} MiB", BODY_BYTES_MAX >> 20);
            Err(ErrorBody::new(ErrorKind::TooLarge, message))
        }
        Err(error) => {
            Err(ErrorBody::new(ErrorKind::Malformed, format!("the body could not be read: {error}")))
        }
    }
}

/// Server functions answer every error with 500; the status that belongs to it is set here.
async fn with_status(response: Response) -> Response {
    if !response.headers().contains_key(SERVER_FN_ERROR_HEADER) {
        return response;
    }
    let (_, body) = response.into_parts();
    let body = to_bytes(body, ERROR_BYTES_MAX).await.unwrap_or_default();
    error(serde_json::from_slice(&body).unwrap_or_else(|_| {
        tracing::error!("a server function failed with {}", String::from_utf8_lossy(&body));
        ErrorBody::new(ErrorKind::Internal, "the server function failed; the log says more")
    }))
}

/// Says when to try again.
pub(super) fn after(wait_ms: u64, mut response: Response) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1_000)));
    response
}

/// A door that is closed to an address for so long.
pub(super) fn closed(wait_ms: u64) -> Response {
    let seconds = wait_ms.div_ceil(1_000);
    let message = format!("too much was refused from this address; try again in {seconds} s");
    after(wait_ms, error(ErrorBody::new(ErrorKind::Throttled, message)))
}

/// An error as JSON, under its status.
pub(super) fn error(body: ErrorBody) -> Response {
    let status = StatusCode::from_u16(body.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, axum::Json(&body)).into_response();
    match body.kind {
        ErrorKind::Unauthenticated => {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        ErrorKind::MethodNotAllowed => {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        ErrorKind::Malformed
        | ErrorKind::Forbidden
        | ErrorKind::StepUpRequired
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::TooSlow
        | ErrorKind::TooLarge
        | ErrorKind::UnsupportedMediaType
        | ErrorKind::Invalid
        | ErrorKind::Throttled
        | ErrorKind::Unavailable
        | ErrorKind::Internal
        | ErrorKind::Unreachable => {}
    }
    response
}
