//! Pages: rendered here, taken over by the WASM. Whoever is not signed in is led to the sign-in
//! page and afterwards back to where they wanted to go.

use super::{PLAIN_ROUTES, Web, session::query_value, site};
use crate::identity::Sender;
use app::{App, backend::Identity, shell};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use leptos::{
    config::LeptosOptions,
    prelude::{provide_context, use_context},
};
use leptos_axum::{
    AxumRouteListing, LeptosRoutes, generate_route_list_with_exclusions, render_app_to_stream_with_context,
};
use lockstep_model::{
    ServiceName,
    api::{ENDPOINTS, PREFIX},
};

/// Tells the sign-in page that there is an identity provider.
const SINGLE_SIGN_ON: &str = "sso=1";

pub(super) fn router(web: &Web) -> Router {
    let options = web.options.clone();
    let routes = routes();
    let context = context(web);
    let for_shell = options.clone();
    let unknown = {
        let context = context.clone();
        let options = options.clone();
        move |request: Request| {
            let options = options.clone();
            let render = render_app_to_stream_with_context(context.clone(), move || shell(options.clone()));
            async move { render(request).await.into_response() }
        }
    };
    Router::<LeptosOptions>::new()
        .leptos_routes_with_context(&options, routes, context, move || shell(for_shell.clone()))
        .fallback(unknown)
        .with_state(options)
        .layer(middleware::from_fn_with_state(web.clone(), signed_in))
}

fn routes() -> Vec<AxumRouteListing> {
    // Leptos would add the server functions to the pages; they have a way of their own.
    let functions = ENDPOINTS.iter().map(|endpoint| format!("{PREFIX}{}", endpoint.path)).collect();
    generate_route_list_with_exclusions(App, Some(functions))
}

pub(super) fn paths() -> Vec<String> {
    let is_page = |path: &&str| !path.starts_with(PREFIX);
    routes().iter().map(AxumRouteListing::path).filter(is_page).map(str::to_owned).collect()
}

/// What pages find in their context: who looks at them, and the backend.
fn context(web: &Web) -> impl Fn() + Clone + Send + Sync + 'static {
    let backend = web.backend.clone();
    let pieces = site::pieces(&web.options);
    move || {
        if let Some(pieces) = &pieces {
            provide_context(pieces.clone());
        }
        let parts = use_context::<Parts>();
        let sender = parts.as_ref().and_then(|parts| parts.extensions.get::<Sender>());
        provide_context(Identity(sender.and_then(|sender| sender.caller.clone())));
        provide_context(backend.clone());
    }
}

async fn signed_in(State(web): State<Web>, request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allow = HeaderValue::from_static("GET, HEAD");
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, allow)]).into_response();
    }
    let path = request.uri().path();
    // The page itself knows nothing of how the server was started.
    let query = request.uri().query().unwrap_or("");
    if path == "/login" && web.oidc.is_some() && !query.split('&').any(|pair| pair == SINGLE_SIGN_ON) {
        let join = if query.is_empty() { "" } else { "&" };
        let location = HeaderValue::from_str(&format!("/login?{query}{join}{SINGLE_SIGN_ON}"));
        let location = location.unwrap_or(HeaderValue::from_static("/login?sso=1"));
        return (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
    }
    let is_public = path == "/login" || path.starts_with("/link/");
    let is_signed_in = request.extensions().get::<Sender>().is_some_and(|sender| sender.caller.is_some());
    if is_public || is_signed_in {
        let is_nowhere = leads_nowhere(path);
        let mut response = next.run(request).await;
        if is_nowhere && response.status() == StatusCode::OK {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        return response;
    }
    let wanted = request.uri().path_and_query().map_or("/", |wanted| wanted.as_str());
    let location = match wanted {
        "/" => "/login".to_owned(),
        wanted => format!("/login?next={}", query_value(wanted)),
    };
    let location = HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/login"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// Whether an address names what cannot be: a part of the administration that there is not, a service whose name is
/// none. Its page says so like one of what is not there, and has the same status.
fn leads_nowhere(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    if path.starts_with("/admin/") {
        return PLAIN_ROUTES.iter().all(|known| known.path != path);
    }
    let Some(name) = path.strip_prefix("/services/") else { return false };
    let decoded = reqwest::Url::parse(&format!("http://localhost/?{name}")).ok();
    let name = decoded.and_then(|url| url.query_pairs().next().map(|(name, _)| name.into_owned()));
    name.is_none_or(|name| name.parse::<ServiceName>().is_err())
}

#[cfg(test)]
mod tests {
    use super::leads_nowhere;

    #[test]
    fn what_cannot_be_leads_nowhere() {
        for path in
            ["/", "/services", "/services/web", "/services/w%65b", "/admin/users", "/admin/users/", "/audit"]
        {
            assert!(!leads_nowhere(path), "{path}");
        }
        for path in ["/admin/nothing", "/services/a%20b", "/services/..%2f..%2fetc", "/services/%00"] {
            assert!(leads_nowhere(path), "{path}");
        }
    }
}
