//! `Idempotency-Key`: a request that changes something and is sent again, because its answer was lost, is
//! not done again. What makes a deployment keeps its key in the same transaction; for everything else the
//! answer is kept beside it.

use super::Web;
use crate::secret;
use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use lockstep_engine::port::{Asked, store::Idempotency};
use lockstep_model::{
    api::Declared,
    error::{ErrorBody, ErrorKind},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_CHARS_MAX: usize = 200;
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Their bodies carry the key; a header goes there.
const IN_THE_BODY: [&str; 3] = ["/deployment/start", "/deployment/rollback", "/deployment/promote"];
/// Their answers hold what is shown once and not kept.
const SECRET: [&str; 5] = ["/session/confirm", "/user/add", "/user/link", "/token/add", "/script/report"];
/// Their bodies hold a secret. A digest of it alone could be guessed at by whoever has the database or a copy,
/// so it is made with what only this process knows; after a restart such a request counts as another one.
const SECRET_WITHIN: [&str; 4] =
    ["/secret/set", "/session/confirm", "/session/password", "/deployment/decide"];
/// It is in no file, also not in those of which copies are made.
static SALT: LazyLock<String> = LazyLock::new(secret::random);

fn refused(kind: ErrorKind, message: impl Into<String>) -> ErrorBody {
    ErrorBody::new(kind, message)
}

/// The key of a request; none = it has none, or only looks.
pub(super) fn key(headers: &HeaderMap, endpoint: &Declared) -> Result<Option<String>, ErrorBody> {
    let mut all = headers.get_all(KEY).iter();
    let Some(first) = all.next().filter(|_| endpoint.mutates) else { return Ok(None) };
    let text = first.to_str().unwrap_or("").trim();
    let is_right = (1..=KEY_CHARS_MAX).contains(&text.len()) && all.next().is_none();
    if !is_right {
        let message = format!("'Idempotency-Key' is one header of 1 to {KEY_CHARS_MAX} printable characters");
        return Err(refused(ErrorKind::Invalid, message));
    }
    Ok(Some(text.to_owned()))
}

/// Whether the body carries the key, and the body with it.
pub(super) fn into_body(key: &str, endpoint: &Declared, body: &Bytes) -> Result<Option<Bytes>, ErrorBody> {
    const FIELD: &str = "idempotency_key";
    if !IN_THE_BODY.contains(&endpoint.path) {
        return Ok(None);
    }
    // What is not an object is refused where bodies are read.
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else { return Ok(Some(body.clone())) };
    match fields.get(FIELD) {
        Some(Value::String(known)) if known != key => {
            let message = format!("'{FIELD}' and the header 'Idempotency-Key' differ; send one of them");
            return Err(refused(ErrorKind::Invalid, message));
        }
        Some(Value::Null) | None => fields.insert(FIELD.to_owned(), Value::String(key.to_owned())),
        Some(_) => None,
    };
    let body =
        serde_json::to_vec(&fields).map_err(|error| refused(ErrorKind::Malformed, error.to_string()))?;
    Ok(Some(body.into()))
}

/// What a request is known by. An answer is given again to whoever may the same as when it was given: with
/// other rights it is another request, which is refused and neither done nor told.
pub(super) fn request(
    principal: String,
    rights: &str,
    endpoint: &Declared,
    key: String,
    body: &Bytes,
) -> Idempotency {
    // Always as long, and never told: what follows it cannot be taken for a part of it.
    let salt = if SECRET_WITHIN.contains(&endpoint.path) { SALT.as_str() } else { "" };
    let digest = Sha256::new_with_prefix(salt).chain_update(body).chain_update([0]).chain_update(rights);
    let digest = digest.finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let body = format!("sha256:{hex}").parse().expect("64 hexadecimal digits after the prefix are a digest");
    Idempotency { principal, route: endpoint.path.to_owned(), key, body }
}

/// Does a request once.
pub(super) async fn once<F>(web: &Web, request: Idempotency, act: F) -> Result<Response, ErrorBody>
where
    F: Future<Output = Response> + Send + 'static,
{
    let unavailable = |error: &dyn std::fmt::Display| refused(ErrorKind::Unavailable, error.to_string());
    match web.answers.answer_begin(&request, web.clock.now()).await.map_err(|error| unavailable(&error))? {
        Asked::New => {}
        Asked::Other => {
            let message = "this 'Idempotency-Key' was used for another request, or your roles have changed since; use a new one for each";
            return Err(refused(ErrorKind::Conflict, message));
        }
        Asked::UnderWay => {
            let message = "a request with this 'Idempotency-Key' is under way, or the server ended in the middle of it; look what is there now, and use a new key";
            return Err(refused(ErrorKind::Conflict, message));
        }
        Asked::Done(None) => {
            let message = "this was done; its answer holds a secret and was shown once";
            return Err(refused(ErrorKind::Conflict, message));
        }
        Asked::Done(Some(text)) => {
            let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let again = (REPLAYED, HeaderValue::from_static("true"));
            return Ok(([kind, again], text).into_response());
        }
    }
    let web = web.clone();
    // On its own: who hangs up does not leave it half known.
    let done = tokio::spawn(async move {
        let response = act.await;
        let is_done = response.status().is_success();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
        let kept = if is_done {
            let is_kept = !SECRET.contains(&request.route.as_str());
            let text = is_kept.then(|| String::from_utf8_lossy(&bytes));
            web.answers.answer_finish(&request, text.as_deref()).await
        } else {
            web.answers.answer_forget(&request).await
        };
        if let Err(error) = kept {
            tracing::error!("the answer to {} was not kept: {error}", request.route);
        }
        Response::from_parts(parts, Body::from(bytes))
    });
    done.await.map_err(|fault| {
        tracing::error!("a request with a key was not answered: {fault}");
        refused(ErrorKind::Internal, "the server made a fault while it answered; the log says more")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::api::ENDPOINTS;

    /// As whoever has the database would compute it.
    fn guessed(body: &str, rights: &str) -> String {
        let digest = Sha256::digest([body.as_bytes(), &[0], rights.as_bytes()].concat());
        format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    #[test]
    fn the_digest_of_a_body_that_holds_a_password_cannot_be_guessed_at() {
        const BODY: &str = r#"{"password":"correct-horse-battery"}"#;
        let known = |path: &str| {
            let endpoint = ENDPOINTS.iter().find(|known| known.path == path).expect("declared");
            let body = Bytes::from_static(BODY.as_bytes());
            request("anna".to_owned(), "viewer", endpoint, "key".to_owned(), &body).body.to_string()
        };
        assert_eq!(known("/token/revoke"), guessed(BODY, "viewer"), "the same after a restart");
        for path in SECRET_WITHIN {
            assert_ne!(known(path), guessed(BODY, "viewer"), "{path}");
            assert_eq!(known(path), known(path), "the same while the server runs: {path}");
        }
    }

    #[test]
    fn what_takes_a_password_or_a_secrets_value_is_among_those() {
        for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.mutates) {
            let mut generator = schemars::SchemaGenerator::default();
            let body = (endpoint.described.request)(&mut generator).to_value();
            let body = serde_json::json!([body, generator.take_definitions(true)]).to_string();
            let is_secret = body.contains("\"password\":{") || body.contains("SecretText");
            assert_eq!(is_secret, SECRET_WITHIN.contains(&endpoint.path), "{}: {body}", endpoint.path);
        }
    }
}
