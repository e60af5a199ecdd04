//! Where people sign in beside by password: what the server's file says of the identity provider, and whether
//! it can be reached. It is changed in the file alone; what is shared with the provider is shown nowhere.

use crate::{
    api::rules::{provider_check, provider_show},
    codec::load,
    ui::{CopyButton, Failure, Nothing, StepUp},
};
use leptos::prelude::*;
use lockstep_model::{
    api::Empty,
    provider::{GroupRole, ProviderCheck, ProviderPage, ProviderView},
};

/// A file to begin with.
const EXAMPLE: &str = r#"issuer = "https://id.example.com"
client_id = "lockstep"
client_secret_file = "/etc/lockstep/oidc.secret"  # leave out for a public client

[[map]]
group = "platform"
role = "admin"

[[map]]
group = "shop-developers"
role = "deployer"
project = "shop"
environment = "staging"
"#;

/// The part.
#[component]
pub(super) fn SignIn() -> impl IntoView {
    let page = load(|| (), |()| provider_show(Empty {}));
    let shown = |ProviderPage { redirect, provider }: ProviderPage| {
        let is_missing = provider.is_none();
        let body = match provider {
            Some(one) => view! { <Provider one redirect/> }.into_any(),
            None => view! {
                <Nothing heading="None is set up"><p>"People sign in with passwords. Register this server at your provider under the address below, write a file, and start the server with it."</p></Nothing>
                <ul class="lines"><Redirect redirect/></ul>
            }
            .into_any(),
        };
        view! {
            <section class="card mb-4" aria-labelledby="provider">
                <div class="card-head"><h2 id="provider" class="font-semibold">"Identity provider"</h2></div>
                {body}
            </section>
            <Example is_missing/>
        }
        .into_any()
    };
    view! {
        <Transition fallback=|| view! { <div class="card skeleton h-24" aria-hidden="true"></div> }>
            {move || page.get().map(|answer| match answer {
                Ok(page) => shown(page),
                Err(error) => view! { <Failure error/> }.into_any(),
            })}
        </Transition>
    }
}

/// A line of what is known.
fn fact(name: &'static str, value: impl IntoView + 'static) -> AnyView {
    view! { <li class="px-4 py-2"><span class="block text-meta text-muted">{name}</span><span class="break-words">{value}</span></li> }
        .into_any()
}

/// What the provider has to know of this server.
#[component]
fn Redirect(redirect: String) -> impl IntoView {
    let shown = redirect.clone();
    fact(
        "Redirect address, to be registered there",
        view! { <span class="mono">{shown}</span><CopyButton text=redirect label="Copy the redirect address"/> },
    )
}

#[component]
fn Provider(one: ProviderView, redirect: String) -> impl IntoView {
    let secret = if one.has_secret {
        "shared with the provider; it stands in a file of the server and is shown nowhere"
    } else {
        "none: this server is a public client there"
    };
    let rows = one.map.into_iter().map(|GroupRole { group, grant }| {
        view! { <tr><th scope="row" class="break-all">{group}</th><td data-label="Its members are">{grant.to_string()}</td></tr> }
    });
    view! {
        <ul class="lines">
            {fact("Issuer", view! { <span class="mono">{one.issuer}</span> })}
            {fact("Client id", view! { <span class="mono">{one.client_id}</span> })}
            {fact("Client secret", secret)}
            {fact("Scopes", view! { <span class="mono">{one.scopes.join(" ")}</span> })}
            {fact("Claims", format!("groups in '{}', the name of a new account from '{}'", one.groups_claim, one.name_claim))}
            <Redirect redirect/>
        </ul>
        <Check/>
        <div class="table-scroll"><table class="table">
            <thead><tr><th scope="col">"Group there"</th><th scope="col">"Its members are"</th></tr></thead>
            <tbody>{rows.collect_view()}</tbody>
        </table></div>
        <p class="p-4 text-meta text-muted">"Roles follow from groups at each sign-in; who is in none of them is let in nowhere. All of it stands in the file of "<code>"serve --oidc FILE"</code>": change it there, and start the server anew."</p>
    }
}

/// Asks the provider now, from the server.
#[component]
fn Check() -> impl IntoView {
    let step_up = StepUp::here();
    let is_asking = RwSignal::new(false);
    let found = RwSignal::new(None::<Result<Vec<ProviderCheck>, String>>);
    let ask = move |_| {
        is_asking.set(true);
        step_up.run(
            || provider_check(Empty {}),
            move |report| {
                is_asking.set(false);
                found.set(Some(Ok(report.checks)));
            },
            move |error| {
                is_asking.set(false);
                found.set(Some(Err(error)));
            },
        );
    };
    let line = |one: ProviderCheck| {
        let (sign, word) = if one.is_well { ("✓", "well") } else { ("✗", "wrong") };
        view! {
            <li><span class="mono" aria-hidden="true">{sign}" "</span><span class="sr-only">{word}": "</span><span class="font-medium">{one.name}</span>": "<span class="break-words">{one.found}</span></li>
        }
    };
    let shown = move || match found.get() {
        None => ().into_any(),
        Some(Err(error)) => view! { <p>{error}</p> }.into_any(),
        Some(Ok(checks)) => {
            let is_well = checks.iter().all(|one| one.is_well);
            let verdict = if is_well { "People can sign in there." } else { "People cannot sign in there:" };
            view! { <p class="font-medium">{verdict}</p><ul class="stack mt-2">{checks.into_iter().map(line).collect_view()}</ul> }.into_any()
        }
    };
    view! {
        <div class="p-4">
            <button type="button" class="btn" disabled=move || is_asking.get() on:click=ask>{move || if is_asking.get() { "Asking it…" } else { "Check now" }}</button>
            <div role="status" class="mt-2">{shown}</div>
        </div>
    }
}

#[component]
fn Example(is_missing: bool) -> impl IntoView {
    view! {
        <details class="card" open=is_missing>
            <summary class="card-head font-semibold">"The file"</summary>
            <div class="stack p-4">
                <p class="text-meta text-muted">"Start with "<code>"lockstep serve --oidc /etc/lockstep/oidc.toml"</code>" (or "<code>"LOCKSTEP_OIDC"</code>"). A file that is wrong keeps the server from starting, and says why."</p>
                <pre class="mono overflow-x-auto" tabindex="0" role="region" aria-label="Example of the file">{EXAMPLE}</pre>
                <div><CopyButton text=EXAMPLE.to_owned() label="Copy the example" wide=true/></div>
            </div>
        </details>
    }
}
