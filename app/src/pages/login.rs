//! Signing in: a plain form, so that it works before the WASM is there and without it.

use super::deployment::encoded;
use crate::ui::{Field, Narrow, Notice};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

/// What went wrong at the last try, as the server puts it into the address.
fn message(error: &str) -> &'static str {
    match error {
        "credentials" => "Name or password is wrong. Check both and try again.",
        "throttled" => "Too many tries. Wait a minute, then try again.",
        "link" => {
            "This link was used already or is too old. Ask an admin for a new one, or start the demo again."
        }
        "origin" => "The form came from another site. Open this page directly and try again.",
        "ended" => "You are signed out.",
        "off" => "This server has no identity provider; it is started with --oidc FILE.",
        "no_role" => "You are known there, and none of your groups has a role here. Ask an admin.",
        "foreign" => "This sign-in did not begin in this browser, or too long ago. Begin again.",
        "account" => "Your account here cannot be used. Ask an admin; the server's log says why.",
        "provider" => "The identity provider did not say who you are. Try again; the server's log says more.",
        _ => "That did not work. Try again.",
    }
}

/// The sign-in page.
#[component]
pub(crate) fn LoginPage() -> impl IntoView {
    let query = use_query_map();
    let error = move || query.read().get("error");
    let has_provider = move || query.read().get("sso").is_some();
    let next = move || query.read().get("next").unwrap_or_else(|| "/".to_owned());
    let provider = move || format!("/session/oidc?next={}", encoded(&next()));
    view! {
        <Title text="Sign in"/>
        <Narrow heading="Sign in to Lockstep">
            {move || error().map(|error| view! { <Notice text=message(&error)/> })}
            <form method="post" action="/session/sign_in" class="grid gap-4">
                <input type="hidden" name="next" value=next/>
                <Field name="user" label="Name" kind="text" autocomplete="username"/>
                <Field name="password" label="Password" kind="password" autocomplete="current-password"/>
                <button class="btn btn-primary" type="submit">"Sign in"</button>
            </form>
            {move || has_provider().then(|| view! {
                <p class="mt-4"><a class="btn" rel="external" href=provider>"Sign in with your organisation"</a></p>
            })}
            <p class="text-subtle text-meta mt-6">
                "No account? An admin makes one with "
                <code>"lockstep user add NAME --role viewer"</code>
                " and sends you the link that it prints."
            </p>
        </Narrow>
    }
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn an_unknown_error_still_says_something() {
        assert!(!message("<script>").is_empty());
    }
}
