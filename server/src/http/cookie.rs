//! The session's cookie as it is set and taken away.

use super::origin::Origin;
use crate::identity::{COOKIE, COOKIE_SECURE, KNOWN, KNOWN_SECURE};
use axum::http::HeaderValue;

/// Sets the session's id.
pub(super) fn set(origin: &Origin, id: &str) -> HeaderValue {
    value(origin, [COOKIE, COOKIE_SECURE], id, "")
}

/// By what the browser is known that somebody has signed in with; for a year, since it lets nobody in.
pub(super) fn set_known(origin: &Origin, known: &str) -> HeaderValue {
    value(origin, [KNOWN, KNOWN_SECURE], known, "; Max-Age=31536000")
}

/// Takes it away.
pub(super) fn clear(origin: &Origin) -> HeaderValue {
    value(origin, [COOKIE, COOKIE_SECURE], "", "; Max-Age=0")
}

fn value(origin: &Origin, [plain, safe]: [&str; 2], id: &str, more: &str) -> HeaderValue {
    let (name, secure) = if origin.is_https { (safe, "; Secure") } else { (plain, "") };
    let text = format!("{name}={id}; Path=/; HttpOnly; SameSite=Lax{secure}{more}");
    HeaderValue::from_str(&text).expect("ids are made of letters, digits, '-' and '_'")
}
