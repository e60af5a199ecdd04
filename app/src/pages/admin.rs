//! People, tokens and sessions: who may what, seen and changed.

use super::{deployment::encoded, overview::FirstFrames};
use crate::{
    live::Live,
    query::Query,
    session::Session,
    ui::{Nothing, PageTitle, PasswordAgain, StepUp},
};
use leptos::prelude::*;
use lockstep_model::{
    access::{Permission, Role, Scope},
    live::Topic,
    view::EnvironmentView,
};

mod links;
mod people;
mod programs;
mod secrets;
mod sessions;
mod sign_in;
mod tokens;

pub(super) use sessions::Sessions;

/// The parts: last part of the address, name.
const PARTS: [(&str, &str); 6] = [
    ("users", "People"),
    ("tokens", "Tokens"),
    ("programs", "Programs"),
    ("secrets", "Secrets"),
    ("sessions", "Sessions"),
    ("sign-in", "Sign-in"),
];

// Each part is a page, all alike but for what is shown below the tabs.
macro_rules! parts {
    ($($page:ident = $part:literal: $shown:expr;)*) => {$(
        #[component]
        pub(crate) fn $page() -> impl IntoView {
            view! { <Frame part=$part shown=|| $shown.into_any()/> }
        }
    )*};
}

parts! {
    UsersPage = "users": people::People();
    TokensPage = "tokens": tokens::Tokens();
    ProgramsPage = "programs": programs::Programs();
    SecretsPage = "secrets": secrets::Secrets();
    SessionsPage = "sessions": view! { <Sessions own=false/> };
    SignInPage = "sign-in": sign_in::SignIn();
    NoPartPage = "": view! { <Nothing heading="There is no such part"><p>"Choose one above."</p></Nothing> };
}

/// What all parts have around them.
#[component]
fn Frame(part: &'static str, shown: fn() -> AnyView) -> impl IntoView {
    StepUp::provide();
    let title = PARTS.iter().find(|(path, _)| *path == part).map_or("Administration", |(_, name)| *name);
    let tabs = PARTS.map(|(path, name)| {
        view! {
            <a class="tab" href=format!("/admin/{path}") aria-current=(part == path).then_some("page")>{name}</a>
        }
    });
    view! {
        <PageTitle text=title/>
        <div class="head"><h1 class="text-h1 font-semibold">{title}</h1></div>
        <nav class="tabs" aria-label="Administration">
            {tabs}
            <a class="tab" href="/audit">"Audit"</a>
        </nav>
        <FirstFrames topics=vec![Topic::Overview] shown/>
        <PasswordAgain/>
    }
}

/// A field that narrows a list down; what is typed stands in the address.
#[component]
fn Search(query: Query, label: &'static str) -> impl IntoView {
    view! {
        <input class="input input-small sm:ml-auto sm:max-w-64" type="search" name="q" aria-label=label placeholder=label data-key="/" autocomplete="off"
            prop:value=move || query.get("q") on:input=move |event| query.set(&[("q", &event_target_value(&event))])/>
    }
}

/// Says that a list ends before what it lists does.
fn cut(more: bool) -> impl IntoView {
    more.then(|| view! { <p class="p-4 text-meta" role="status">"These are the first 1,000; words to look for narrow them down."</p> })
}

/// Downloads of what is listed.
#[component]
fn Downloads(query: Query, name: &'static str) -> impl IntoView {
    let link = move |kind: &'static str, word: &'static str| {
        let href = move || format!("/{name}.{kind}?q={}", encoded(&query.get("q")));
        view! { <a class="link" href=href rel="external" download="">{word}</a> }
    };
    view! { <span class="flex gap-3 text-meta">{link("csv", "CSV")}{link("json", "JSON")}</span> }
}

/// Whether all words that were typed are there.
fn has(words: &str, typed: &str) -> bool {
    let words = words.to_lowercase();
    typed.to_lowercase().split_whitespace().all(|word| words.contains(word))
}

/// Where something holds, as it stands in the list to choose from.
fn scope_of(text: &str) -> Scope {
    match text.split_once('/') {
        Some((project, environment)) => {
            Scope { project: project.parse().ok(), environment: environment.parse().ok() }
        }
        None => Scope { project: text.parse().ok(), environment: None },
    }
}

/// Everything, each project, each environment.
#[component]
fn Where(name: &'static str, value: RwSignal<String>) -> impl IntoView {
    let live = Live::here();
    let options = move || {
        let mut all = vec![(String::new(), "everything".to_owned())];
        for one in live.overview.environments.get() {
            let project = one.project.to_string();
            if !all.iter().any(|(key, _)| *key == project) {
                all.push((project.clone(), format!("all of {project}")));
            }
            let place = format!("{project}/{}", one.name);
            all.push((place.clone(), place));
        }
        all.into_iter().map(|(key, word)| choice(key, word, value)).collect_view()
    };
    view! {
        <label class="field"><span>"Where"</span>
            <select class="input" name=name on:change=move |event| value.set(event_target_value(&event))>{options}</select>
        </label>
    }
}

/// One of several to choose from. Each says by itself whether it is chosen: a list that is told so as a whole
/// forgets it when it is told before its choices are there, and shows none when nothing is chosen yet.
fn choice(key: String, word: String, chosen: RwSignal<String>) -> impl IntoView {
    let value = key.clone();
    view! { <option value=value prop:selected=move || chosen.with(|chosen| *chosen == key)>{word}</option> }
}

/// A box to tick, for one of several.
fn tick<T>(one: T, word: &'static str, chosen: RwSignal<Vec<T>>) -> impl IntoView
where
    T: Copy + PartialEq + Send + Sync + 'static,
{
    let change = move |event: leptos::ev::Event| {
        let is_on = event_target_checked(&event);
        chosen.update(|all| {
            all.retain(|other| *other != one);
            if is_on {
                all.push(one);
            }
        });
    };
    view! {
        <label class="check"><input type="checkbox" prop:checked=move || chosen.with(|all| all.contains(&one)) on:change=change/><span>{word}</span></label>
    }
}

/// The environments, to choose one of them; the first is meant until somebody does.
fn places(chosen: RwSignal<String>) -> impl Fn() -> AnyView + Clone {
    let live = Live::here();
    move || {
        let all = live.overview.environments.get().into_iter();
        let keys = all.map(|one| format!("{}/{}", one.project, one.name));
        keys.map(|key| choice(key.clone(), key, chosen)).collect_view().into_any()
    }
}

/// The environment that is chosen until somebody chooses; empty = there is none.
fn first_place(live: Live) -> String {
    let first =
        |all: &Vec<_>| all.first().map(|one: &EnvironmentView| format!("{}/{}", one.project, one.name));
    live.overview.environments.with_untracked(first).unwrap_or_default()
}

/// The roles that can be given there; an admin is one of everything.
#[component]
fn Roles(
    name: &'static str,
    value: RwSignal<String>,
    at: RwSignal<String>,
    #[prop(optional)] empty: &'static str,
) -> impl IntoView {
    const ROLES: [(Role, &str); 4] = [
        (Role::Viewer, "viewer: sees"),
        (Role::Operator, "operator: takes back, pauses, cancels, locks"),
        (Role::Deployer, "deployer: starts and promotes"),
        (Role::Admin, "admin: people, tokens, manifests"),
    ];
    let options = move || {
        let is_part = !at.get().is_empty();
        let empty = (!empty.is_empty()).then(|| choice(String::new(), empty.to_owned(), value));
        let fits = ROLES.into_iter().filter(move |(role, _)| !is_part || *role != Role::Admin);
        let all =
            fits.map(|(role, words)| choice(role.word().to_owned(), words.to_owned(), value)).collect_view();
        view! { {empty}{all} }
    };
    view! {
        <label class="field"><span>"Role"</span>
            <select class="input" name=name on:change=move |event| value.set(event_target_value(&event))>{options}</select>
        </label>
    }
}

/// Whether whoever looks manages people.
fn is_admin(session: Session) -> bool {
    session.refusal(Permission::ManageUsers, Some(&Scope::default())).is_none()
}
