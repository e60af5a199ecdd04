//! One deployment: what it changes, where it stands, what was seen, and what can be done about it.

mod approval;
mod audit;
use crate::ui::boxed;
mod checks;
mod controls;
mod facts;
mod focus;
mod head;
mod log;
mod missing;
mod part;
mod plan;
mod rollback;
mod steer;
mod tab;
mod takeback;
mod timeline;

use super::{acts::Doing, overview::FirstFrames};
use crate::{
    live::{DeploymentStore, Live},
    query::Query,
    session::At,
    time::{As, When, duration},
    ui::{PageTitle, Pill, health_look},
};
use boxed::{at_times, part, value};
pub(crate) use controls::fresh_key;
use facts::Facts;
use head::Head;
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use lockstep_model::{DeploymentId, deployment::Phase, health::Evidence, live::Topic};
use missing::{Missing, NoNumber};
use tab::Tab;
#[cfg(feature = "hydrate")]
pub(super) use tab::load as load_tab;

const TABS: [(&str, &str); 6] = [
    ("", "Timeline"),
    ("checks", "Checks"),
    ("plan", "Plan"),
    ("checkpoints", "Checkpoints"),
    ("rollback", "Rollback"),
    ("audit", "Audit"),
];

/// The page of a deployment.
#[component]
pub(crate) fn DeploymentPage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| {
        params.with(|params| params.get("id")).and_then(|id| id.parse().ok()).map(DeploymentId)
    });
    move || match id.get() {
        Some(id) => view! { <Known id/> }.into_any(),
        None => view! { <PageTitle text="Deployment"/><NoNumber/> }.into_any(),
    }
}

#[component]
fn Known(id: DeploymentId) -> impl IntoView {
    let live = Live::here();
    let topics = vec![Topic::Deployment(id), Topic::Log(id)];
    live.listen(Topic::Deployment(id));
    live.listen(Topic::Log(id));
    let is_known = Memo::new(move |_| live.knows(id));
    // It may also come later, when the first answer did not have it.
    let shown = move || {
        move || match is_known.get().then(|| live.deployment(id)).flatten() {
            Some(store) => view! { <Page id store/> }.into_any(),
            None => view! { <Missing id/> }.into_any(),
        }
    };
    // A tab in the background tells how it ended.
    let title = move || {
        let store = is_known.get().then(|| live.deployment(id)).flatten();
        let end = store.map(|store| store.summary.with(|row| row.phase)).filter(|phase| phase.is_final());
        end.map_or_else(|| format!("#{id}"), |end| format!("{} #{id} {end}", mark(end)))
    };
    view! {
        <PageTitle text=Signal::derive(title)/>
        <FirstFrames topics shown/>
    }
}

const fn mark(end: Phase) -> char {
    match end {
        Phase::Succeeded => '✓',
        Phase::RolledBack => '↺',
        Phase::Failed => '✕',
        _ => '⊘',
    }
}

#[component]
fn Page(id: DeploymentId, store: DeploymentStore) -> impl IntoView {
    Doing::provide();
    let query = Query::here();
    let tab = query.signal("tab");
    let (head, facts) = (store.clone(), store.clone());
    store.summary.with_untracked(|row| At::provide(&row.project, &row.environment));
    let tabs = TABS.map(|(key, name)| view! {
        <a class="tab" href=value(move || query.with(&[("tab", key), ("stage", ""), ("l", "")])) aria-current=at_times("page", move || tab.get() == key)>{name}</a>
    });
    let body = move || view! { <Tab tab=tab.get() id store=store.clone()/> };
    view! {
        <Head id store=head/>
        <Facts store=facts/>
        <nav class="tabs" aria-label="Parts of this deployment">{tabs}</nav>
        {part(body)}
    }
}

/// A text as a value in an address.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// One thing that was seen.
#[component]
pub(crate) fn Seen(evidence: Evidence) -> impl IntoView {
    let look = health_look(evidence.health);
    let code = evidence.code.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
    let excerpt = (!evidence.excerpt.is_empty())
        .then(|| view! { <code class="block">{evidence.excerpt.clone()}</code> });
    view! {
        <div class="evidence">
            <span class="flex flex-wrap items-center gap-2">
                <Pill look/><span class="font-medium">{evidence.check.clone()}</span>
                <span class="mono text-muted">{format!("{code} from {} in {}", evidence.address, duration(evidence.latency_ms))}</span>
                <span class="ml-auto text-meta text-subtle"><When at=evidence.at shown=As::Absolute/></span>
            </span>
            <span>{evidence.reason.clone()}</span>
            {excerpt}
        </div>
    }
}
