//! The page on which somebody confirms that a command signs in as them: plain HTML, which runs nothing. For
//! people in browsers alone: a token confirms nothing.

use super::{
    Web,
    guard::plain,
    reference::{self, SIGN_OUT},
    session::query_value,
};
use crate::identity::Sender;
use app::backend::Credential;
use axum::{
    Extension, Form,
    extract::{Query, State, rejection::FormRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lockstep_model::error::{ErrorBody, ErrorKind};
use serde::Deserialize;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
);
const CODE_CHARS_MAX: usize = 20;
const DAYS: u64 = crate::identity::LOGIN_LASTS_MS / (24 * 60 * 60 * 1_000);

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    code: String,
    #[serde(default)]
    done: String,
}

#[derive(Deserialize)]
pub(super) struct Decided {
    code: String,
    decision: String,
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// Who is nobody signed in in a browser.
enum Other {
    /// Nobody is signed in.
    Nobody,
    /// A token.
    Program,
}

impl Other {
    /// A token is refused; whoever is not signed in goes there first and comes back.
    fn answer(&self, back: &str) -> Response {
        match self {
            Self::Nobody => see(&format!("/login?next={}", query_value(back))),
            Self::Program => {
                let message = "this page is for people: sign in in a browser; a token confirms no sign-in";
                plain(&ErrorBody::new(ErrorKind::Forbidden, message))
            }
        }
    }
}

/// Whoever is signed in in a browser.
fn person(sender: &Sender) -> Result<&app::backend::Caller, Other> {
    match &sender.caller {
        Some(caller) if matches!(caller.credential, Credential::Session(_)) => Ok(caller),
        Some(_) => Err(Other::Program),
        None => Err(Other::Nobody),
    }
}

fn see(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/device"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// The page with a code.
fn address(code: &str) -> String {
    let code: String = code.chars().take(CODE_CHARS_MAX).collect();
    format!("/device?code={}", query_value(&code))
}

fn unavailable(error: &dyn std::fmt::Display) -> Response {
    tracing::error!("a sign-in cannot be confirmed: {error}");
    plain(&ErrorBody::new(ErrorKind::Unavailable, "the database does not answer; try again in a moment"))
}

pub(super) async fn page(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let code: String = asked.code.chars().take(CODE_CHARS_MAX).collect();
    let caller = match person(&sender) {
        Ok(caller) => caller,
        Err(other) if code.is_empty() => return other.answer("/device"),
        Err(other) => return other.answer(&address(&code)),
    };
    let waiting = match code.is_empty() {
        true => None,
        false => match web.identities.device_shown(&*web.devices, &code).await {
            Ok(waiting) => waiting,
            Err(error) => return unavailable(&error),
        },
    };
    let body = match (asked.done.as_str(), waiting) {
        ("confirmed", _) => told("It is signed in. You can close this page and go on in the terminal."),
        ("denied", _) => told("It is not signed in. If it was not you who asked, tell an admin."),
        (_, Some(row)) => {
            let again = match sender.is_confirmed {
                true => "",
                false => {
                    r#"<p class="mb-4">You signed in more than ten minutes ago: you will be asked for your password once more.</p>"#
                }
            };
            let name =
                if row.name.is_empty() { "a machine without a name".to_owned() } else { row.name.clone() };
            format!(
                r#"<p class="mb-4">A command on <strong>{}</strong> (it asks from <strong class="mono">{}</strong>) wants to sign in as <strong>{}</strong>.</p>
<p class="mb-4">It shows the code <strong class="mono">{}</strong>. It gets a token that may whatever you may ({}), for {DAYS} days; <code>lockstep logout</code> ends it.</p>
<p class="mb-6"><strong>Confirm only if you typed <code>lockstep login</code> there yourself just now.</strong> Nobody else ever needs you to confirm a code.</p>{again}
<form method="post" action="/session/device" class="grid gap-4"><input type="hidden" name="code" value="{}">
<button class="btn btn-primary" type="submit" name="decision" value="confirm">Sign it in</button>
<button class="btn" type="submit" name="decision" value="deny">It was not me</button></form>"#,
                escape(&name),
                escape(&row.address),
                escape(caller.user.as_str()),
                escape(&code.to_uppercase()),
                escape(&caller.rights.to_string()),
                escape(&code),
            )
        }
        (_, None) => {
            let wrong = if code.is_empty() && asked.done.is_empty() {
                ""
            } else {
                r#"<p class="mb-4" role="alert">Nothing waits under this code: it was mistyped, decided already, or is older than ten minutes.</p>"#
            };
            format!(
                r#"{wrong}<form method="get" action="/device" class="grid gap-4"><label class="grid gap-1" for="code">The code that <code>lockstep login</code> shows
<input class="input mono" id="code" name="code" autocomplete="off" spellcheck="false" maxlength="{CODE_CHARS_MAX}" required></label>
<button class="btn btn-primary" type="submit">Go on</button></form>"#
            )
        }
    };
    html(&web, &headers, &body)
}

fn told(text: &str) -> String {
    format!(r#"<p class="mb-4" role="status">{text}</p><p><a class="link" href="/">Lockstep</a></p>"#)
}

fn html(web: &Web, headers: &HeaderMap, body: &str) -> Response {
    let cookies = headers.get(header::COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or("");
    let theme = app::prefs::Prefs::of_cookies(cookies).theme;
    let [styles, icon] = reference::assets(&web.options);
    let page = format!(
        r#"<!DOCTYPE html>
<html lang="en" data-theme="{}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>Sign a command in – Lockstep</title><link rel="stylesheet" href="{styles}"><link rel="icon" type="image/svg+xml" href="{icon}"></head>
<body><main id="main" class="narrow"><div class="card p-6 sm:p-8">
<h1 class="text-h1 font-semibold mb-4">Sign a command in</h1>
{body}
{SIGN_OUT}
</div></main></body></html>
"#,
        theme.word()
    );
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)], page).into_response()
}

pub(super) async fn decide(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    form: Result<Form<Decided>, FormRejection>,
) -> Response {
    let caller = match person(&sender) {
        Ok(caller) => caller,
        Err(other) => return other.answer("/device"),
    };
    let form = match form {
        Ok(Form(form)) => form,
        Err(rejection) => return rejection.into_response(),
    };
    let is_confirmed = match form.decision.as_str() {
        "confirm" => true,
        "deny" => false,
        _ => return plain(&ErrorBody::new(ErrorKind::Invalid, "'decision' is confirm or deny")),
    };
    // What it gives lasts for weeks: it is asked of whoever gave their password a moment ago, as for other
    // tokens. Signing in once more leads back.
    if is_confirmed && !sender.is_confirmed && !caller.has_password {
        return see(&format!("/session/oidc?again=1&next={}", query_value(&address(&form.code))));
    }
    if is_confirmed && !sender.is_confirmed {
        return Other::Nobody.answer(&address(&form.code));
    }
    match web.identities.device_decide(&*web.devices, caller, &form.code, is_confirmed).await {
        Ok(true) if is_confirmed => see("/device?done=confirmed"),
        Ok(true) => see("/device?done=denied"),
        Ok(false) => see("/device?done=gone"),
        Err(error) => unavailable(&error),
    }
}
