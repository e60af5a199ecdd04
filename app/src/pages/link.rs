//! A one-time link with which somebody sets their password.

use crate::ui::{Field, Narrow, Notice};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};

/// Why the password was not set, as the server puts it into the address.
fn message(error: &str) -> &'static str {
    match error {
        "again" => "The password was not set: the two are not the same.",
        "guessable" => {
            "The password was not set: it is among those that are tried first. Four or five words that have nothing to do with each other are good."
        }
        _ => "The password was not set: it needs 15 to 1,024 characters.",
    }
}

/// The page behind `/link/CODE`. The code is used up by the form, not by looking at the page: mail
/// programs look at links, too.
#[component]
pub(crate) fn LinkPage() -> impl IntoView {
    let params = use_params_map();
    let query = use_query_map();
    let code = move || params.read().get("code").unwrap_or_default();
    let error = move || query.read().get("error");
    view! {
        <Title text="Set your password"/>
        <Narrow heading="Set your password">
            {move || error().map(|error| view! { <Notice text=message(&error)/> })}
            <form method="post" action="/session/set_password" class="grid gap-4">
                <input type="hidden" name="code" value=code/>
                <Field name="password" label="Password, 15 characters or more" kind="password" autocomplete="new-password"/>
                <Field name="again" label="The same again" kind="password" autocomplete="new-password"/>
                <button class="btn btn-primary" type="submit">"Set and sign in"</button>
            </form>
        </Narrow>
    }
}
