//! The document and the routes.

use crate::{
    pages::{
        Audit, Compare, Deployment, Graph, History, Link, Login, NoPart, NotFound, OverviewPage, Programs,
        Restrictions, Secrets, Service, Services, Sessions, Settings, SignIn, Start, Tokens, Users,
    },
    prefs::{Preferences, Prefs},
    time::WrittenAt,
    ui::Shell,
};
use leptos::prelude::*;
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::{
    Lazy, SsrMode,
    components::{ParentRoute, Route, Router, Routes},
    path,
};

/// The document around the application. Sets the page's Content-Security-Policy, whose nonce is
/// made for this answer.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    #[cfg(feature = "ssr")]
    set_policy();
    let pkg = format!("/{}/{}.css", options.site_pkg_dir, options.output_name);
    let icon = format!("/{}/icon.svg", options.site_pkg_dir);
    let prefs = Prefs::current();
    let written = WrittenAt::here();
    provide_context(written);
    // The last part of the folder names the build.
    let build = options.site_pkg_dir.rsplit('/').next().unwrap_or("").to_owned();
    view! {
        <!DOCTYPE html>
        <html lang="en" translate="no" class="notranslate" data-build=build data-now=written.0.to_string() data-theme=prefs.theme.word() data-density=prefs.density()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="description" content="Lockstep deploys services together and takes them back together."/>
                <link rel="stylesheet" href=pkg/>
                <link rel="icon" type="image/svg+xml" href=icon/>
                <Scripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// Brings the page to life once it can be read: what is painted waits for nothing that is not seen.
#[component]
fn Scripts(options: LeptosOptions) -> impl IntoView {
    const SCRIPT: &str = include_str!("start.js");
    let (pkg, name) = (options.site_pkg_dir, options.output_name);
    // It is part of every page: comments and indentation stay here.
    let script: String = SCRIPT
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let script = script
        .replace("{js}", &format!("/{pkg}/{name}.js"))
        .replace("{wasm}", &format!("/{pkg}/{name}.wasm"));
    #[cfg(feature = "ssr")]
    let nonce = leptos::nonce::use_nonce();
    #[cfg(not(feature = "ssr"))]
    let nonce = None::<String>;
    view! { <script type="module" nonce=nonce>{script}</script> }
}

#[cfg(feature = "ssr")]
fn set_policy() {
    use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};
    let (Some(nonce), Some(response)) =
        (leptos::nonce::use_nonce(), use_context::<leptos_axum::ResponseOptions>())
    else {
        return;
    };
    let policy = format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self' 'nonce-{nonce}'; \
         connect-src 'self'; img-src 'self' data:; font-src 'self'; form-action 'self'; base-uri 'none'; \
         object-src 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.insert_header(CONTENT_SECURITY_POLICY, policy);
    }
}

/// The application.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    Preferences::provide();
    view! {
        <Title formatter=|title: String| format!("{title} – Lockstep")/>
        <Router>
            <Routes fallback=NotFound>
                // Whole at once: what they show is there within milliseconds, also without scripts.
                <ParentRoute path=path!("") view=Shell>
                    <Route path=path!("/") view=OverviewPage ssr=SsrMode::Async/>
                    <Route path=path!("/deployments") view={Lazy::<History>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/deployments/new") view={Lazy::<Start>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/deployments/compare") view={Lazy::<Compare>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/deployments/:id") view={Lazy::<Deployment>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/graph") view={Lazy::<Graph>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/services") view={Lazy::<Services>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/services/:name") view={Lazy::<Service>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/restrictions") view={Lazy::<Restrictions>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/admin/users") view={Lazy::<Users>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/admin/tokens") view={Lazy::<Tokens>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/admin/programs") view={Lazy::<Programs>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/admin/secrets") view={Lazy::<Secrets>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/admin/sessions") view={Lazy::<Sessions>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/admin/sign-in") view={Lazy::<SignIn>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/admin/:part") view={Lazy::<NoPart>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/audit") view={Lazy::<Audit>::new()} ssr=SsrMode::Async/>
                    <Route path=path!("/settings") view={Lazy::<Settings>::new()} ssr=SsrMode::Async/>
                </ParentRoute>
                <Route path=path!("/login") view={Lazy::<Login>::new()}/>
                <Route path=path!("/link/:code") view={Lazy::<Link>::new()}/>
            </Routes>
        </Router>
    }
}
