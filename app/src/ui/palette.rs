//! The palette: everything by its name. What is risky opens its page, where it is asked for; nothing
//! is done from here directly.

use super::{
    dialog::Dialog,
    icon::{Glyph, Icon},
    shell::PAGES,
};
use crate::{
    api::deployment_list,
    live::Live,
    prefs::{Preferences, Theme},
    session::Session,
};
use leptos::{html, prelude::*};
use leptos_router::hooks::{use_location, use_navigate};
use lockstep_model::{
    DeploymentId,
    access::{Permission, Scope},
    api::ListDeployments,
    deployment::Phase,
    live::DeploymentCard,
    view::{Asked, DeploymentSummary},
};
use std::time::Duration;

const SHOWN: usize = 12;
/// Pages that have no place in the navigation, or only for admins: name, address, whether only for admins.
const FURTHER: [(&str, &str, bool); 8] = [
    ("Dependencies", "/graph", false),
    ("Tokens", "/admin/tokens", false),
    ("People", "/admin/users", true),
    ("Programs", "/admin/programs", true),
    ("Secrets", "/admin/secrets", true),
    ("Sessions", "/admin/sessions", true),
    ("Sign-in", "/admin/sign-in", true),
    ("Audit", "/audit", true),
];
const SEARCH_AFTER: Duration = Duration::from_millis(200);
/// What a deployment's page asks about when its address says so: what the address says, words, a sign, and
/// when the page has a button for it.
type Asking = (&'static str, &'static str, Glyph, fn(&DeploymentSummary) -> bool);
const ASKED: [Asking; 6] = [
    ("ask=take_back", "Take back", Glyph::Back, can_go_back),
    ("ask=cancel", "Cancel", Glyph::Close, can_be_cancelled),
    ("ask=pause", "Pause", Glyph::Paused, |row| row.phase == Phase::Running),
    ("ask=retry", "Try again to take back", Glyph::Back, can_be_retried),
    ("ask=resolve", "Resolve", Glyph::Hand, needs_operator),
    ("tab=checkpoints&ask=restore", "Restore what served before", Glyph::Back, can_be_restored),
];

/// Something that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    words: String,
    hint: String,
    glyph: Glyph,
    act: Act,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    Go(String),
    Theme(Theme),
    Density,
    Help,
}

fn entry(words: impl Into<String>, hint: impl Into<String>, glyph: Glyph, act: Act) -> Entry {
    Entry { words: words.into(), hint: hint.into(), glyph, act }
}

fn of_deployment(row: &DeploymentSummary) -> Entry {
    let services: Vec<&str> = row.services.iter().take(3).map(|change| change.service.as_str()).collect();
    let words = format!("#{} {} {}", row.id, row.environment, services.join(", "));
    entry(words, row.phase.word(), Glyph::Deployments, Act::Go(format!("/deployments/{}", row.id)))
}

fn needs_operator(row: &DeploymentSummary) -> bool {
    row.phase == Phase::NeedsOperator
}

/// Whether it waits for a word about what to do next, before anything goes back.
fn waits_for_word(row: &DeploymentSummary) -> bool {
    needs_operator(row) && matches!(row.asked(), Asked::Forward(_))
}

fn can_go_back(row: &DeploymentSummary) -> bool {
    let is_part = row.asked() == Asked::Part;
    match row.phase {
        Phase::Running | Phase::Paused | Phase::Succeeded => true,
        Phase::NeedsOperator => is_part || waits_for_word(row) && row.restore_of.is_none(),
        _ => false,
    }
}

fn can_be_cancelled(row: &DeploymentSummary) -> bool {
    let is_begun = matches!(row.phase, Phase::Queued | Phase::Running | Phase::Paused);
    is_begun || waits_for_word(row) && row.restore_of.is_some()
}

fn can_be_retried(row: &DeploymentSummary) -> bool {
    needs_operator(row) && !waits_for_word(row)
}

fn can_be_restored(row: &DeploymentSummary) -> bool {
    row.phase.is_final() && row.restore_of.is_none()
}

/// What can be done about a deployment; each opens what asks before it acts.
fn steering(row: &DeploymentSummary, session: Session) -> Vec<Entry> {
    let at = Scope { project: Some(row.project.clone()), environment: Some(row.environment.clone()) };
    if session.refusal(Permission::Operate, Some(&at)).is_some() {
        return Vec::new();
    }
    ASKED
        .iter()
        .filter(|(.., can)| can(row))
        .map(|(asked, words, glyph, _)| {
            let path = format!("/deployments/{}?{asked}", row.id);
            entry(format!("{words} #{}…", row.id), row.environment.to_string(), *glyph, Act::Go(path))
        })
        .collect()
}

/// The deployment of the page, where that is one which has ended; the others are steered from everywhere.
fn ended_here(live: Live, path: &str) -> Option<DeploymentSummary> {
    let id = DeploymentId(path.strip_prefix("/deployments/")?.parse().ok()?);
    let store = live.knows(id).then(|| live.deployment(id)).flatten()?;
    Some(store.summary.get()).filter(|row| row.phase.is_final())
}

fn all(live: Live, session: Session, path: &str) -> Vec<Entry> {
    let mut all = Vec::new();
    if session.refusal(Permission::Deploy, None).is_none() {
        all.push(entry("New deployment", "c d", Glyph::Plus, Act::Go("/deployments/new".to_owned())));
    }
    for (path, name, glyph, key) in PAGES {
        all.push(entry(name, format!("g {key}"), glyph, Act::Go(path.to_owned())));
    }
    if session.refusal(Permission::Operate, None).is_none() {
        let path = "/restrictions#add".to_owned();
        all.push(entry("Lock, freeze or hold…", "", Glyph::Hand, Act::Go(path)));
    }
    all.extend(ended_here(live, path).into_iter().flat_map(|row| steering(&row, session)));
    live.overview.deployments.with(|cards: &Vec<DeploymentCard>| {
        let rows = cards.iter().map(|card| &card.summary).filter(|row| !row.phase.is_final());
        all.extend(rows.flat_map(|row| steering(row, session)));
        all.extend(cards.iter().map(|card| of_deployment(&card.summary)));
    });
    let mut seen = Vec::new();
    live.overview.cells.with(|cells| {
        for cell in cells {
            cell.service_now(|service| {
                let words = format!("{} {}", service.service, service.environment);
                let path = service_path(service);
                if !seen.contains(&path) {
                    seen.push(path.clone());
                    all.push(entry(words, "service", Glyph::Services, Act::Go(path)));
                }
            });
        }
    });
    for environment in live.overview.environments.get() {
        let path = format!("/deployments?environment={}", environment.name);
        let words = format!("Deployments in {}", environment.name);
        all.push(entry(words, environment.project.to_string(), Glyph::Deployments, Act::Go(path)));
    }
    let is_admin = session.refusal(Permission::ManageUsers, None).is_none();
    for (name, path, _) in FURTHER.into_iter().filter(|(.., for_admins)| is_admin || !for_admins) {
        all.push(entry(name, "", Glyph::Lines, Act::Go(path.to_owned())));
    }
    for theme in Theme::ALL {
        all.push(entry(format!("Theme: {}", theme.word()), "c t", Glyph::Settings, Act::Theme(theme)));
    }
    all.push(entry("Rows closer together or further apart", "", Glyph::Settings, Act::Density));
    all.push(entry("Keys", "?", Glyph::Unknown, Act::Help));
    all
}

/// The address of a service's page.
pub fn service_path(service: &lockstep_model::view::ServiceView) -> String {
    format!("/services/{}?project={}&environment={}", service.service, service.project, service.environment)
}

/// How well an entry fits; none = not at all. All words must be there.
fn rank(entry: &Entry, typed: &str) -> Option<usize> {
    let words = entry.words.to_ascii_lowercase();
    let places: Option<Vec<usize>> =
        typed.split_whitespace().map(|word| words.find(&word.to_ascii_lowercase())).collect();
    places.map(|places| places.into_iter().sum())
}

/// The palette.
#[component]
pub fn Palette(
    /// Whether it is open.
    open: RwSignal<bool>,
    /// Whether the help is open.
    help: RwSignal<bool>,
) -> impl IntoView {
    let live = Live::here();
    let session = Session::here();
    let prefs = Preferences::here();
    let navigate = use_navigate();
    let here = use_location().pathname;
    let typed = RwSignal::new(String::new());
    let chosen = RwSignal::new(0usize);
    let found = RwSignal::new(Vec::<Entry>::new());
    let input = NodeRef::<html::Input>::new();
    Effect::new(move |_| {
        if open.get() {
            typed.set(String::new());
            chosen.set(0);
            found.set(Vec::new());
            if let Some(input) = input.get_untracked() {
                let _ = input.focus();
            }
        }
    });
    // Deployments that are not on the page are looked for on the server.
    Effect::new(move |before: Option<Option<TimeoutHandle>>| {
        if let Some(Some(timer)) = before {
            timer.clear();
        }
        let text = typed.get();
        if text.trim().len() < 2 {
            return None;
        }
        let look = move || {
            leptos::task::spawn_local(async move {
                let request =
                    ListDeployments { q: Some(text.clone()), limit: 8, ..ListDeployments::default() };
                if let Ok(page) = deployment_list(request).await
                    && typed.try_get_untracked().is_some_and(|now| now == text)
                {
                    found.set(page.deployments.iter().map(of_deployment).collect());
                }
            });
        };
        set_timeout_with_handle(look, SEARCH_AFTER).ok()
    });
    let shown = Memo::new(move |_| {
        if !open.get() {
            return Vec::new();
        }
        let text = typed.get();
        let mut ranked: Vec<(usize, Entry)> = all(live, session, &here.get())
            .into_iter()
            .filter_map(|entry| Some((rank(&entry, &text)?, entry)))
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        let mut shown: Vec<Entry> = ranked.into_iter().map(|(_, entry)| entry).collect();
        for entry in found.get() {
            if !shown.contains(&entry) {
                shown.push(entry);
            }
        }
        shown.truncate(SHOWN);
        shown
    });
    let act = Callback::new(move |entry: Entry| {
        open.set(false);
        match entry.act {
            Act::Go(path) => navigate(&path, Default::default()),
            Act::Theme(theme) => prefs.change(|prefs| prefs.theme = theme),
            Act::Density => prefs.change(|prefs| prefs.compact = !prefs.compact),
            Act::Help => help.set(true),
        }
    });
    let on_key = move |event: leptos::ev::KeyboardEvent| {
        let count = shown.with_untracked(Vec::len);
        match event.key().as_str() {
            "ArrowDown" if count > 0 => chosen.update(|place| *place = (*place + 1) % count),
            "ArrowUp" if count > 0 => chosen.update(|place| *place = (*place + count - 1) % count),
            "Enter" => {
                let entry = shown.with_untracked(|shown| shown.get(chosen.get_untracked()).cloned());
                if let Some(entry) = entry {
                    act.run(entry);
                }
            }
            // A search field would only empty itself at first.
            "Escape" => open.set(false),
            _ => return,
        }
        event.prevent_default();
    };
    let option = move |(place, entry): (usize, Entry)| {
        let pick = entry.clone();
        view! {
            <li id=format!("palette-{place}") role="option" class="option" aria-selected=move || (chosen.get() == place).to_string()
                on:click=move |_| act.run(pick.clone())>
                <Icon glyph=entry.glyph/>
                <span class="grow truncate">{entry.words}</span>
                <span class="text-meta text-subtle">{entry.hint}</span>
            </li>
        }
    };
    view! {
        <Dialog open title="Search or run a command" class="palette">
            <input node_ref=input class="input" type="search" autofocus=true placeholder="Service, deployment, page, command" autocomplete="off"
                role="combobox" aria-expanded="true" aria-controls="palette-list" aria-label="Search or run a command"
                aria-activedescendant=move || format!("palette-{}", chosen.get())
                prop:value=move || typed.get() on:keydown=on_key
                on:input=move |event| { typed.set(event_target_value(&event)); chosen.set(0); }/>
            <ul id="palette-list" role="listbox" aria-label="Found" class="options">
                {move || shown.get().into_iter().enumerate().map(option).collect_view()}
            </ul>
            {move || (open.get() && shown.with(Vec::is_empty)).then(|| view! {
                <p class="text-muted p-3">"Nothing has this name."</p>
            })}
        </Dialog>
    }
}
