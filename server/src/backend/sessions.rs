//! Sessions of browsers: seen and ended by their owners, and by admins.

use super::{
    Services,
    people::{owner_filter, unknown},
    store,
};
use crate::{
    http::{Renewed, Wait},
    identity::{ChangeError, SignInError, Within, is_admin, is_over},
};
use app::{
    AppError,
    backend::{Access, Caller, Credential},
};
use leptos::prelude::use_context;
use lockstep_engine::port::identity::{LISTED_MAX, SessionRow};
use lockstep_model::{
    Digest,
    api::SessionView,
    error::{ErrorBody, ErrorKind},
    session::{
        ChangePassword, ConfirmSession, EndSession, EndSessions, SessionItem, SessionPage, SessionsEnded,
    },
    tokens::FindCredentials,
    view::TokenView,
};
use std::collections::BTreeSet;

pub(super) async fn list(
    services: &Services,
    caller: &Caller,
    req: FindCredentials,
) -> Result<SessionPage, AppError> {
    let rows = seen(services, caller).await?;
    let asked = req.q.to_lowercase();
    let fits = |one: &SessionItem| {
        let words = format!("{} {:?} {:?}", one.user, one.device, one.address).to_lowercase();
        (!req.own || one.user == caller.user) && asked.split_whitespace().all(|word| words.contains(word))
    };
    let mut sessions: Vec<_> = rows.iter().map(|row| item(row, caller)).filter(fits).collect();
    let more = sessions.len() > LISTED_MAX;
    sessions.truncate(LISTED_MAX);
    Ok(SessionPage { sessions, more })
}

pub(super) async fn confirm(
    services: &Services,
    caller: &Caller,
    req: ConfirmSession,
) -> Result<SessionView, AppError> {
    let gone =
        || AppError::new(ErrorKind::Conflict, "only who is signed in in a browser gives the password again");
    let session = this(caller).ok_or_else(gone)?;
    let confirmed = services.identities.session_confirm(&caller.actor, session, req.password).await;
    let id = match confirmed {
        Ok(id) => id.ok_or_else(gone)?,
        Err(SignInError::Credentials) => {
            return Err(AppError::new(ErrorKind::Invalid, "that is not your password"));
        }
        Err(SignInError::Throttled { wait_ms }) => return Err(slowed(wait_ms)),
        Err(SignInError::Store(error)) => return Err(store(error)),
    };
    if let Some(renewed) = use_context::<Renewed>() {
        renewed.set(id);
    }
    let Caller { user, rights, actor, has_password, .. } = caller.clone();
    Ok(SessionView { user, rights, via: actor.via, has_password })
}

pub(super) async fn password(
    services: &Services,
    caller: &Caller,
    req: ChangePassword,
) -> Result<SessionsEnded, AppError> {
    const PATH: &str = "/session/password";
    let conflict = |message: &str| AppError::new(ErrorKind::Conflict, message);
    let people = "only who is signed in changes their own password: in a browser, or with `lockstep login`; on the server's own machine `lockstep user link NAME` makes a link for it";
    let within = match &caller.credential {
        Credential::Session(session) => Within::Session(session),
        Credential::Token(token) if services.devices.device_has_token(token).await.map_err(store)? => {
            Within::Token(token)
        }
        // As when a session is confirmed: it is nobody's to do who has no session.
        Credential::Token(_) | Credential::Rule | Credential::Local => return Err(conflict(people)),
    };
    let user = services.identities.store().user_fetch(&caller.user).await.map_err(store)?;
    if !user.is_some_and(|user| user.view.has_password) {
        return Err(conflict(
            "you have no password here, as you sign in at an identity provider: change it there",
        ));
    }
    let audit = services.entry(caller, PATH, format!("user {}", caller.user));
    let changed = services.identities.password_change(within, req.password, req.new_password, audit).await;
    let changed = match changed {
        Ok(changed) => changed,
        Err(ChangeError::Now(SignInError::Credentials)) => {
            Access::denied(services, caller, PATH).await;
            let wrong = ErrorBody::new(ErrorKind::Invalid, "'password' is not your password of now");
            return Err(wrong.of_field("password").into());
        }
        Err(ChangeError::Now(SignInError::Throttled { wait_ms })) => return Err(slowed(wait_ms)),
        Err(ChangeError::Store(error) | ChangeError::Now(SignInError::Store(error))) => {
            return Err(store(error));
        }
        Err(error) => {
            let body = ErrorBody::new(kind_of(&error), error.to_string());
            let is_new = body.kind == ErrorKind::Invalid;
            return Err(if is_new { body.of_field("new_password") } else { body }.into());
        }
    };
    if let (Some(renewed), Some(id)) = (use_context::<Renewed>(), changed.renewed) {
        renewed.set(id);
    }
    Ok(SessionsEnded { ended: changed.ended })
}

/// Told to who guesses: the password counts again after so long.
pub(super) fn slowed(wait_ms: u64) -> AppError {
    if let Some(wait) = use_context::<Wait>() {
        wait.set(wait_ms);
    }
    AppError::new(ErrorKind::Throttled, SignInError::Throttled { wait_ms }.to_string())
}

const fn kind_of(error: &ChangeError) -> ErrorKind {
    match error {
        ChangeError::Length | ChangeError::Guessable | ChangeError::Same => ErrorKind::Invalid,
        ChangeError::Crossed => ErrorKind::Conflict,
        ChangeError::Busy | ChangeError::Now(_) => ErrorKind::Throttled,
        ChangeError::Store(_) => ErrorKind::Unavailable,
    }
}

pub(super) async fn end(
    services: &Services,
    caller: &Caller,
    req: EndSession,
) -> Result<SessionItem, AppError> {
    let rows = seen(services, caller).await?;
    let gone = || {
        let message = format!("there is no session '{}' any more; see `lockstep session list`", req.id);
        AppError::new(ErrorKind::NotFound, message)
    };
    let row = rows.iter().find(|row| row.line == req.id).ok_or_else(gone)?;
    let mut audit =
        services.entry(caller, "/session/end", format!("session {} of user {}", req.id, row.user));
    let before = serde_json::json!({
        "address": row.address, "device": row.device.as_deref().map(in_words),
        "since": row.created_at, "used": row.used_at,
    });
    audit.reason = Some(format!("before: {before}"));
    if !services.identities.store().session_end_line(&row.line, audit).await.map_err(store)? {
        return Err(gone());
    }
    services.identities.withdrawn();
    Ok(item(row, caller))
}

pub(super) async fn end_all(
    services: &Services,
    caller: &Caller,
    req: EndSessions,
) -> Result<SessionsEnded, AppError> {
    let user = req.user.as_ref().unwrap_or(&caller.user);
    let people = services.identities.store();
    let is_known = people.user_fetch(user).await.map_err(store)?.is_some();
    if owner_filter(caller).is_some_and(|own| own != user) || !is_known {
        return Err(unknown(user));
    }
    // Who ends their own keeps the one that they are in; who names a user means every one.
    let but = this(caller).filter(|_| req.user.is_none());
    let audit = services.entry(caller, "/session/end_all", format!("user {user}"));
    let ended = people.session_end_all(Some(user), but, audit).await.map_err(store)?;
    services.identities.withdrawn();
    Ok(SessionsEnded { ended })
}

/// A token that is ended, for the audit.
pub(super) fn token_sides(token: &TokenView) -> String {
    let TokenView { name, user, bound, actions, expires_at, revoked, .. } = token;
    let side = |revoked: bool| {
        serde_json::json!({
            "name": name, "user": user, "may": bound.to_string(), "actions": actions,
            "expires": expires_at, "revoked": revoked,
        })
    };
    format!("before: {}; after: {}", side(*revoked), side(true))
}

async fn seen(services: &Services, caller: &Caller) -> Result<Vec<SessionRow>, AppError> {
    let now = services.clock.now();
    let people = services.identities.store();
    let rows = people.session_list(owner_filter(caller), now).await.map_err(store)?;
    let users = people.user_list().await.map_err(store)?;
    let admins: BTreeSet<_> = users.iter().filter(|user| is_admin(user)).map(|user| &user.name).collect();
    Ok(rows.into_iter().filter(|row| !is_over(row, admins.contains(&row.user), now)).collect())
}

const fn this(caller: &Caller) -> Option<&Digest> {
    match &caller.credential {
        Credential::Session(digest) => Some(digest),
        Credential::Local | Credential::Token(_) | Credential::Rule => None,
    }
}

fn item(row: &SessionRow, caller: &Caller) -> SessionItem {
    SessionItem {
        id: row.line.clone(),
        user: row.user.clone(),
        created_at: row.created_at,
        used_at: row.used_at,
        expires_at: row.expires_at,
        address: row.address.clone(),
        device: row.device.as_deref().map(in_words),
        is_this: this(caller) == Some(&row.id),
    }
}

/// What a browser calls itself, in the words that people use. The first that fits: browsers name those
/// that they descend from, too.
fn in_words(agent: &str) -> String {
    const PROGRAMS: [(&str, &str); 8] = [
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find = |all: &[(&str, &'static str)]| {
        all.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, word)| *word)
    };
    match (find(&PROGRAMS), find(&SYSTEMS)) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(program), None) => program.to_owned(),
        (None, _) => agent.chars().take(40).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn a_browser_is_named_as_people_name_it() {
        for (agent, expected) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36 Edg/142.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.5.0", "curl/8.5.0"),
        ] {
            assert_eq!(in_words(agent), expected);
        }
    }
}
