//! People, tokens and sessions as lines of a CSV file, for downloads and for commands alike. What lets
//! somebody in is in none of them.

use crate::csv::{file, or_empty};
use lockstep_model::{session::SessionItem, view::TokenView, view::UserView};

/// People.
pub(crate) fn people(rows: &[UserView]) -> String {
    let fields = |user: &UserView| {
        vec![
            user.name.to_string(),
            user.grants.to_string(),
            user.enabled.to_string(),
            user.has_password.to_string(),
            user.created_at.to_string(),
        ]
    };
    file(&["user", "roles", "enabled", "has_password", "created_at_ms"], rows.iter().map(fields))
}

/// Tokens, without what they are used by.
pub(crate) fn tokens(rows: &[TokenView]) -> String {
    let fields = |token: &TokenView| {
        vec![
            token.id.clone(),
            token.name.clone(),
            token.user.to_string(),
            token.may(),
            token.revoked.to_string(),
            token.created_at.to_string(),
            token.expires_at.to_string(),
            or_empty(&token.last_used_at),
        ]
    };
    let head = ["id", "name", "user", "may", "revoked", "created_at_ms", "expires_at_ms", "last_used_at_ms"];
    file(&head, rows.iter().map(fields))
}

/// Sessions, under the names by which they are ended.
pub(crate) fn sessions(rows: &[SessionItem]) -> String {
    let fields = |one: &SessionItem| {
        vec![
            one.id.clone(),
            one.user.to_string(),
            or_empty(&one.device),
            or_empty(&one.address),
            one.created_at.to_string(),
            one.used_at.to_string(),
            one.expires_at.to_string(),
        ]
    };
    let head = ["id", "user", "program", "address", "created_at_ms", "used_at_ms", "expires_at_ms"];
    file(&head, rows.iter().map(fields))
}
