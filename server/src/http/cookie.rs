//! The session's cookie as it is set and taken away.

use super::origin::Origin;
use crate::identity::{COOKIE, COOKIE_SECURE};
use axum::http::HeaderValue;

/// Sets the session's id.
pub(super) fn set(origin: &Origin, id: &str) -> HeaderValue {
    value(origin, id, "")
}

/// Takes it away.
pub(super) fn clear(origin: &Origin) -> HeaderValue {
    value(origin, "", "; Max-Age=0")
}

fn value(origin: &Origin, id: &str, more: &str) -> HeaderValue {
    let (name, secure) = if origin.is_https { (COOKIE_SECURE, "; Secure") } else { (COOKIE, "") };
    let text = format!("{name}={id}; Path=/; HttpOnly; SameSite=Lax{secure}{more}");
    HeaderValue::from_str(&text).expect("ids are made of letters, digits, '-' and '_'")
}
