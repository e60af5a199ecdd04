//! The head of a deployment's page: what it changes, by whom and why, and what can be done about it.

use super::{
    super::acts::Trail,
    approval::Approval,
    boxed::{click, part},
    controls::Controls,
    encoded,
};
use crate::{
    api::deployment_neighbours,
    codec::load,
    live::DeploymentStore,
    query::Query,
    time::When,
    ui::{CopyButton, Glyph, Icon, Pill, page_address, phase_look, progress_look},
};
use leptos::prelude::*;
use lockstep_model::{
    DeploymentId,
    api::{ListDeployments, NeighboursRequest},
    deployment::Phase,
    pause::Pause,
    view::{Answer, DeploymentSummary, ServiceChange, ServiceProgress, answers},
};

/// So much of a commit is shown.
const SHORT_COMMIT: usize = 7;
/// So many services are named in the head.
const NAMED: usize = 16;

fn change(change: &ServiceChange) -> String {
    let version = |version: &Option<lockstep_model::Version>| {
        version.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    if change.from == change.to {
        format!("{} {} again", change.service, version(&change.to))
    } else {
        format!("{} {} → {}", change.service, version(&change.from), version(&change.to))
    }
}

/// The services that the head names, and how many there are beside them.
fn foremost(services: &[ServiceChange]) -> (Vec<ServiceChange>, usize) {
    let rank = |change: &ServiceChange| match change.state {
        ServiceProgress::Failed | ServiceProgress::Stuck => 0,
        ServiceProgress::Running | ServiceProgress::Watching | ServiceProgress::TakingBack => 1,
        ServiceProgress::Done | ServiceProgress::Kept | ServiceProgress::Back => 2,
        ServiceProgress::Pending | ServiceProgress::Untouched => 3,
    };
    if services.len() <= NAMED {
        return (services.to_vec(), 0);
    }
    let mut order: Vec<&ServiceChange> = services.iter().collect();
    order.sort_by_key(|change| rank(change));
    (order.into_iter().take(NAMED).cloned().collect(), services.len() - NAMED)
}

/// What each answer to the question does.
fn answered(row: &DeploymentSummary) -> AnyView {
    let line = |one: Answer| view! { <li><code>{one.command}</code>{format!(" {}", one.does)}</li> };
    let all = answers(row.id, row.asked(), row.restore_of.is_some());
    view! { <ul class="impact mt-2">{all.into_iter().map(line).collect_view()}</ul> }.into_any()
}

/// Who has it wait, since when and why.
fn paused(pause: &Pause) -> AnyView {
    let because = pause.reason.as_ref().map(|reason| format!(": “{reason}”"));
    view! {
        <p class="why why-back">{format!("Paused by {} ", pause.by.user)}<When at=pause.at/>{because}</p>
    }
    .into_any()
}

/// Whether more people have to approve it.
fn lacks_approval(row: &DeploymentSummary) -> bool {
    row.approvals.is_some_and(|(given, needed)| given < needed)
}

/// The head.
#[component]
pub(super) fn Head(id: DeploymentId, store: DeploymentStore) -> impl IntoView {
    let row = RwSignal::from(store.summary.clone());
    let look = Signal::derive(move || row.with(|row| phase_look(row.phase)));
    let environment = row.with_untracked(|row| row.environment.to_string());
    let project = row.with_untracked(|row| row.project.to_string());
    let more = move || {
        row.with(|row| {
            let mut more = vec![format!("by {} ({})", row.by.user, row.by.via)];
            more.extend(row.restore_of.map(|of| format!("takes back #{of}")));
            more.extend(row.source.author.as_ref().map(|author| format!("written by {author}")));
            more.extend(row.source.ci_run.as_ref().map(|run| format!("CI run {run}")));
            more.extend(row.source.labels.iter().map(|(name, value)| format!("{name}: {value}")));
            more.extend(row.reason.as_ref().map(|reason| format!("“{reason}”")));
            let commit = row.source.commit.clone().map(|commit| {
                let short = commit.chars().take(SHORT_COMMIT).collect::<String>();
                view! { <span class="flex items-center gap-1">"commit "<span class="mono" title=commit.clone()>{short}</span><CopyButton text=commit label="Copy the commit"/></span> }
            });
            (more.into_iter().map(|text| view! { <span>{text}</span> }).collect_view(), commit)
        })
    };
    // A release of hundreds names those first that need somebody; the timeline has all of them.
    let services = Memo::new(move |_| row.with(|row| foremost(&row.services)));
    let services = move || {
        services.with(|(shown, more)| {
            let one = |one: &ServiceChange| {
                let look = progress_look(one.state);
                view! { <li class="flex flex-wrap items-center gap-2"><Pill look/><span class="mono">{change(one)}</span></li> }
            };
            let more = (*more > 0).then(|| view! { <li class="text-muted">{format!("and {more} more, in the timeline")}</li> });
            (shown.iter().map(one).collect_view(), more)
        })
    };
    let waits_for = store.waits_for.clone();
    let waits_for_approval = store.approval.clone();
    let approval = store.clone();
    let waits = move || {
        let is_queued = row.with(|row| row.phase == Phase::Queued);
        // Who has to approve is said where that is done.
        let is_said = waits_for_approval.with(Option::is_some) && row.with(lacks_approval);
        let why = (is_queued && !is_said).then(|| waits_for.get()).flatten();
        why.map(|why| view! { <p class="why why-back">{format!("It waits: {why}")}</p> })
    };
    let why = move || {
        row.with(|row| {
        let failure = row.failure.as_ref().map(|failure| {
            let who = failure.service.as_ref().map(|service| format!("{service}: ")).unwrap_or_default();
            view! { <p class="why" class:why-back=row.phase == Phase::Cancelled>{format!("{who}{}", failure.reason)}</p> }
        });
        let operator = row.operator_reason.as_ref().map(|reason| view! {
            <div class="why" role="alert"><p>{format!("An operator has to decide: {reason}")}</p>{answered(row)}</div>
        });
        let partly = row.is_partly_back().then(|| view! {
            <p class="why why-back">"Partly taken back: it succeeded without the services that are marked so."</p>
        });
        let paused = row.paused.as_ref().map(paused);
        (failure, operator, partly, paused)
    })
    };
    view! {
        <p class="text-meta text-muted mb-1"><span class="trail"><a class="link" href="/deployments">"Deployments"</a>" / "</span>{project}</p>
        <div class="head">
            <h1 class="text-h1 font-semibold">{format!("#{id} {environment}")}</h1>
            <CopyButton text=id.to_string() label="Copy the number"/>
            <Pill look/>
            <span class="beside"><Neighbours id/></span>
            <div class="head-actions">
                <CopyLink/>
                <Controls row store/>
            </div>
        </div>
        <Trail row/>
        {part(why)}
        {part(waits)}
        <Approval row store=approval/>
        <ul class="stack mb-3">{part(services)}</ul>
        <div class="meta-list">{part(more)}</div>
    }
}

#[component]
fn CopyLink() -> impl IntoView {
    let toasts = crate::ui::Toasts::here();
    view! {
        <button type="button" class="btn" on:click=click(move || crate::ui::copy_text(toasts, &page_address()))>
            <Icon glyph=Glyph::Link/>"Copy link"
        </button>
    }
}

/// The deployments beside this one in the list that led here.
#[component]
fn Neighbours(id: DeploymentId) -> impl IntoView {
    let query = Query::here();
    let list = Memo::new(move |_| query.get("list"));
    let beside = load(
        move || list.get(),
        move |text| {
            let list = super::super::history::request(&leptos_router::params::ParamsMap::new(), Some(&text));
            deployment_neighbours(NeighboursRequest {
                id,
                list: list.unwrap_or_else(|_| ListDeployments::default()),
            })
        },
    );
    // What each does in words: lists by age go to newer and older ones, others to the next of their order.
    let words = move || {
        let sort = list.with(|list| {
            list.split('&').find_map(|pair| pair.strip_prefix("sort=")).unwrap_or("").to_owned()
        });
        match sort.as_str() {
            "" => ["Newer", "Older"],
            "oldest" => ["Older", "Newer"],
            _ => ["Previous in the list", "Next in the list"],
        }
    };
    let link = move |id: Option<DeploymentId>, key: &'static str, name: &'static str| {
        let list = list.get_untracked();
        let query = if list.is_empty() { String::new() } else { format!("?list={}", encoded(&list)) };
        let word = name.split(' ').next().unwrap_or(name);
        let is_back = key == "[";
        id.map(|id| view! {
            <a href=format!("/deployments/{id}{query}") aria-label=format!("{name}: #{id}") title=format!("{name}: #{id}") data-key=key>
                {is_back.then(|| view! { <Icon glyph=Glyph::Left/> })}{word}{(!is_back).then(|| view! { <Icon glyph=Glyph::Right/> })}
            </a>
        })
    };
    view! {
        <Suspense fallback=|| ()>
            {move || beside.get().and_then(Result::ok).map(|beside| {
                let [before, after] = words();
                (link(beside.previous, "[", before), link(beside.next, "]", after))
            })}
        </Suspense>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_need_somebody_are_named_first() {
        let change = |n: usize, state| ServiceChange {
            service: format!("s{n}").parse().expect("valid"),
            from: None,
            to: None,
            state,
        };
        let mut all: Vec<ServiceChange> = (0..40).map(|n| change(n, ServiceProgress::Pending)).collect();
        all[39].state = ServiceProgress::Failed;
        let (shown, more) = foremost(&all);
        assert_eq!((shown[0].service.as_str(), shown.len(), more), ("s39", NAMED, 40 - NAMED));
        let (few, more) = foremost(&all[..3]);
        assert_eq!((few.len(), few[0].service.as_str(), more), (3, "s0", 0), "a few stay in their order");
    }
}
