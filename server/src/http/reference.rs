//! What the server functions are, for programs and for people: OpenAPI 3.1 at `/api/openapi.json` and a
//! page at `/docs/api`, both made from the one declaration of the endpoints.

mod document;
mod page;

use super::{Web, health::may_view};
use crate::identity::Sender;
use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use leptos::config::LeptosOptions;

/// The page loads the styles of all pages, and nothing runs on it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
);

/// Stands on every page that is for those who signed in.
pub(super) const SIGN_OUT: &str = r#"<form method="post" action="/session/sign_out" class="mt-6"><button class="btn btn-small" type="submit">Sign out</button></form>"#;

/// The paths of styles and icon.
pub(super) fn assets(options: &LeptosOptions) -> [String; 2] {
    let pkg = &options.site_pkg_dir;
    [format!("/{pkg}/{}.css", options.output_name), format!("/{pkg}/icon.svg")]
}

pub(super) async fn json(Extension(sender): Extension<Sender>) -> Response {
    match may_view(&sender) {
        Ok(()) => Json(document::document()).into_response(),
        Err(refusal) => *refusal,
    }
}

pub(super) async fn page(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    headers: HeaderMap,
) -> Response {
    if sender.caller.is_none() {
        // As with every other page: back here after signing in.
        return (StatusCode::SEE_OTHER, [(header::LOCATION, "/login?next=%2Fdocs%2Fapi")]).into_response();
    }
    if let Err(refusal) = may_view(&sender) {
        return *refusal;
    }
    let cookies = headers.get(header::COOKIE).and_then(|cookies| cookies.to_str().ok()).unwrap_or("");
    let [styles, icon] = assets(&web.options);
    let html = page::html(document::document(), &styles, &icon, app::prefs::Prefs::of_cookies(cookies).theme);
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)], html).into_response()
}
