//! One deployment: what it changes, where it stands, what was seen, and what can be done about it.

mod controls;
mod log;
mod timeline;

use super::overview::FirstFrames;
use crate::{
    AppError,
    api::{deployment_audit, deployment_neighbours},
    live::{DeploymentStore, Live},
    query::Query,
    time::{As, When, duration},
    ui::{
        CopyButton, Failure, Glyph, Icon, Nothing, PageTitle, Pill, health_look, page_address, phase_look,
        progress_look, step_look,
    },
};
pub(crate) use controls::fresh_key;
use controls::{Controls, RestoreButton};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use lockstep_model::{
    DeploymentId, Timestamp,
    api::{DeploymentRequest, ListDeployments, NeighboursRequest},
    deployment::Phase,
    error::ErrorKind,
    health::Evidence,
    live::Topic,
    plan::Undo,
    view::{DeploymentSummary, ServiceChange, StepView},
};
use log::Log;
use timeline::Timeline;

const TABS: [(&str, &str); 5] = [
    ("", "Timeline"),
    ("checks", "Checks"),
    ("plan", "Plan"),
    ("checkpoints", "Checkpoints"),
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
        None => {
            let error = AppError::new(ErrorKind::NotFound, "this is not the number of a deployment");
            view! { <PageTitle text="Deployment"/><Failure error/> }.into_any()
        }
    }
}

#[component]
fn Known(id: DeploymentId) -> impl IntoView {
    let live = Live::here();
    let topics = vec![Topic::Deployment(id), Topic::Log(id)];
    live.listen(Topic::Deployment(id));
    live.listen(Topic::Log(id));
    let shown = move || match live.deployment(id) {
        Some(store) => view! { <Page id store/> }.into_any(),
        None => {
            let refused = live.refused.with(|refused| refused.get(&Topic::Deployment(id)).cloned());
            let missing = || AppError::new(ErrorKind::NotFound, format!("there is no deployment {id}"));
            let error = refused.map_or_else(missing, AppError);
            view! {
                <div class="head"><h1 class="text-h1 font-semibold">{format!("Deployment #{id}")}</h1></div>
                <Failure error/>
                <p class="mt-4"><a class="link" href="/deployments">"All deployments"</a></p>
            }
            .into_any()
        }
    };
    view! {
        <PageTitle text=format!("#{id}")/>
        <FirstFrames topics shown/>
    }
}

#[component]
fn Page(id: DeploymentId, store: DeploymentStore) -> impl IntoView {
    let query = Query::here();
    let tab = query.signal("tab");
    let summary = store.summary.clone();
    let tabs = TABS.map(|(key, name)| view! {
        <a class="tab" href=move || query.with(&[("tab", key), ("stage", ""), ("l", "")]) aria-current=move || (tab.get() == key).then_some("page")>{name}</a>
    });
    let body = move || {
        let store = store.clone();
        match tab.get().as_str() {
            "checks" => view! { <Checks store/> }.into_any(),
            "plan" => view! { <PlanShown store/> }.into_any(),
            "checkpoints" => view! { <Checkpoints store/> }.into_any(),
            "audit" => view! { <Audit id/> }.into_any(),
            _ => view! {
                <Timeline store=store.clone()/>
                <Log id/>
            }
            .into_any(),
        }
    };
    view! {
        <Head id summary=summary.clone()/>
        <Facts summary/>
        <nav class="tabs" aria-label="Parts of this deployment">{tabs}</nav>
        {body}
    }
}

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

#[component]
fn Head(id: DeploymentId, summary: ArcRwSignal<DeploymentSummary>) -> impl IntoView {
    let row = RwSignal::from(summary);
    let look = Signal::derive(move || row.with(|row| phase_look(row.phase)));
    let environment = row.with_untracked(|row| row.environment.to_string());
    let project = row.with_untracked(|row| row.project.to_string());
    let more = move || {
        row.with(|row| {
            let mut more = vec![format!("by {} ({})", row.by.user, row.by.via)];
            more.extend(row.restore_of.map(|of| format!("takes back #{of}")));
            more.extend(row.source.commit.as_ref().map(|commit| format!("for {commit}")));
            more.extend(row.source.author.as_ref().map(|author| format!("written by {author}")));
            more.extend(row.source.ci_run.as_ref().map(|run| format!("CI run {run}")));
            more.extend(row.source.labels.iter().map(|(name, value)| format!("{name}: {value}")));
            more.extend(row.reason.as_ref().map(|reason| format!("“{reason}”")));
            more.into_iter().map(|text| view! { <span>{text}</span> }).collect_view()
        })
    };
    let services = move || {
        row.with(|row| {
        row.services.iter().map(|one| {
            let look = progress_look(one.state);
            view! { <li class="flex flex-wrap items-center gap-2"><Pill look/><span class="mono">{change(one)}</span></li> }
        }).collect_view()
    })
    };
    let why = move || {
        row.with(|row| {
        let failure = row.failure.as_ref().map(|failure| {
            let who = failure.service.as_ref().map(|service| format!("{service}: ")).unwrap_or_default();
            view! { <p class="why" class:why-back=row.phase == Phase::Cancelled>{format!("{who}{}", failure.reason)}</p> }
        });
        let operator = row.operator_reason.as_ref().map(|reason| view! {
            <p class="why" role="alert">{format!("An operator has to decide: {reason}")}</p>
        });
        (failure, operator)
    })
    };
    view! {
        <p class="text-meta text-muted mb-1"><a class="link" href="/deployments">"Deployments"</a>{format!(" / {project}")}</p>
        <div class="head">
            <h1 class="text-h1 font-semibold">{format!("#{id} {environment}")}</h1>
            <Pill look/>
            <Neighbours id/>
            <div class="head-actions">
                <CopyLink/>
                <Controls row/>
            </div>
        </div>
        {why}
        <ul class="stack mb-3">{services}</ul>
        <div class="meta-list">{more}</div>
    }
}

#[component]
fn CopyLink() -> impl IntoView {
    let toasts = crate::ui::Toasts::here();
    view! {
        <button type="button" class="btn" on:click=move |_| crate::ui::copy_text(toasts, &page_address())>
            <Icon glyph=Glyph::Link/>"Copy link"
        </button>
    }
}

/// The deployments beside this one in the list that led here.
#[component]
fn Neighbours(id: DeploymentId) -> impl IntoView {
    let query = Query::here();
    let list = Memo::new(move |_| query.get("list"));
    let beside = Resource::new(
        move || list.get(),
        move |text| {
            let list = super::history::request(&leptos_router::params::ParamsMap::new(), Some(&text));
            deployment_neighbours(NeighboursRequest {
                id,
                list: list.unwrap_or_else(|_| ListDeployments::default()),
            })
        },
    );
    let link = move |id: Option<DeploymentId>, key: &'static str, name: &'static str, glyph: Glyph| {
        let list = list.get_untracked();
        let query = if list.is_empty() { String::new() } else { format!("?list={}", encoded(&list)) };
        id.map(|id| view! {
            <a class="btn-icon" href=format!("/deployments/{id}{query}") aria-label=format!("{name}: #{id}") title=format!("{name}: #{id}") data-key=key>
                <Icon glyph/>
            </a>
        })
    };
    view! {
        <Suspense fallback=|| ()>
            {move || beside.get().and_then(Result::ok).map(|beside| (
                link(beside.previous, "[", "Previous in the list", Glyph::Left),
                link(beside.next, "]", "Next in the list", Glyph::Right),
            ))}
        </Suspense>
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

/// Clocks: when what was noticed, decided, and stable again.
#[component]
fn Facts(summary: ArcRwSignal<DeploymentSummary>) -> impl IntoView {
    let live = Live::here();
    let row = RwSignal::from(summary);
    let clocks = Memo::new(move |_| row.with(|row| row.clocks));
    let progress = Memo::new(move |_| row.with(|row| row.progress));
    let since = |from: Timestamp, to: Option<Timestamp>| {
        to.map_or_else(|| "–".to_owned(), |to| format!("+ {}", duration(to.since_ms(from))))
    };
    let took = move || {
        let clocks = clocks.get();
        let (Some(start), end) = (clocks.started_at, clocks.finished_at) else { return "waits".to_owned() };
        match (end, live.clock.get()) {
            (Some(end), _) => duration(end.since_ms(start)),
            (None, 0) => "runs".to_owned(),
            (None, now) => duration(u64::try_from((now - start.0).max(0) / 1_000 * 1_000).unwrap_or(0)),
        }
    };
    let fact = |name: &'static str, number: AnyView, more: AnyView| {
        view! {
            <div class="fact"><span class="tile-name">{name}</span><span class="fact-number">{number}</span><span class="tile-more">{more}</span></div>
        }
    };
    let failure = move || {
        clocks.get().detected_at.map(|detected| {
            (
                fact(
                    "Detected",
                    view! { <When at=detected shown=As::Absolute/> }.into_any(),
                    "a failure, or the wish to end".into_any(),
                ),
                fact(
                    "Decided",
                    (move || since(detected, clocks.get().decided_at)).into_any(),
                    "what goes back, in which order".into_any(),
                ),
                fact(
                    "Verified stable",
                    (move || since(detected, clocks.get().stable_at)).into_any(),
                    "of 120 s allowed".into_any(),
                ),
            )
        })
    };
    view! {
        <div class="facts">
            {fact("Asked for", view! { <When at=Signal::derive(move || clocks.get().requested_at) shown=As::Absolute/> }.into_any(),
                view! { <When at=Signal::derive(move || clocks.get().requested_at)/> }.into_any())}
            {fact("Took", took.into_any(), (move || { let (done, of) = progress.get(); format!("{done} of {of} steps") }).into_any())}
            {failure}
        </div>
    }
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

/// What each gate saw.
#[component]
fn Checks(store: DeploymentStore) -> impl IntoView {
    let steps = RwSignal::from(store.steps);
    let outside = RwSignal::from(store.outside);
    let gate = |step: StepView| {
        let tries: Vec<_> =
            step.tries.into_iter().filter(|one| !one.evidence.is_empty() || one.reason.is_some()).collect();
        (!tries.is_empty()).then(|| {
            let tries = tries.into_iter().map(|one| {
                let what = if one.is_undo { "going back" } else { "going forward" };
                view! {
                    <div class="steps-list">
                        <p class="text-meta text-muted flex items-center gap-2"><Pill look=step_look(one.state)/>{format!("{what}, attempt {}", one.attempt)}</p>
                        {one.reason.map(|reason| view! { <p class="break-words">{reason}</p> })}
                        {one.evidence.into_iter().map(|evidence| view! { <Seen evidence/> }).collect_view()}
                    </div>
                }
            }).collect_view();
            view! {
                <section class="card" aria-label=step.id.to_string()>
                    <div class="card-head"><h2 class="font-semibold mono">{step.id.to_string()}</h2><Pill look=step_look(step.state)/></div>
                    {tries}
                </section>
            }
        })
    };
    let shown = move || {
        let gates: Vec<_> = steps.get().into_iter().filter_map(|step| gate(step.get())).collect();
        if gates.is_empty() {
            return view! { <div class="card"><Nothing heading="Nothing was seen yet"><p>"What gates, watches and undos see is listed here as it comes."</p></Nothing></div> }.into_any();
        }
        view! { <div class="halves">{gates}</div> }.into_any()
    };
    let beside = move || {
        outside.with(|outside| (!outside.is_empty()).then(|| {
        let all = outside.iter().map(|one| {
            let seen = one.evidence.clone().map(|evidence| view! { <Seen evidence/> });
            view! { <div class="steps-list"><p class="font-medium">{one.service.to_string()}</p>{seen}</div> }
        }).collect_view();
        view! {
            <section class="card mt-4" aria-labelledby="outside">
                <div class="card-head"><h2 id="outside" class="font-semibold">"Need one of these, and are not part of it"</h2></div>
                {all}
            </section>
        }
    }))
    };
    view! { {shown}{beside} }
}

fn undo_words(undo: &Undo) -> String {
    match undo {
        Undo::Nothing => "changes nothing".to_owned(),
        Undo::StopCandidate => "the new revision is ended".to_owned(),
        Undo::RouteBack => "the traffic goes back, and that is probed".to_owned(),
        Undo::ReplaceBack => "what served is started again, and that is probed".to_owned(),
        Undo::RunUndo => "the undo command is run, and that is observed".to_owned(),
        Undo::Impossible { why } => format!("cannot be undone: {why}"),
    }
}

/// What was to be done, and how each step would be undone.
#[component]
fn PlanShown(store: DeploymentStore) -> impl IntoView {
    let steps = RwSignal::from(store.steps);
    let warnings = store.rest.warnings.clone();
    let digest = store.rest.manifest.to_string();
    let warnings = (!warnings.is_empty()).then(|| {
        let lines = warnings.iter().map(|warning| {
            let who = warning.service.as_ref().map(|service| format!("{service}: ")).unwrap_or_default();
            view! { <li>{format!("{who}{}", warning.message)}</li> }
        }).collect_view();
        view! { <section class="card mb-4 p-4" aria-label="Warnings"><ul class="impact">{lines}</ul></section> }
    });
    let row = |step: StepView| {
        let after: Vec<String> = step.after.iter().map(ToString::to_string).collect();
        view! {
            <tr>
                <th scope="row" class="mono">{step.id.to_string()}</th>
                <td data-label="After" class="mono">{after.join(", ")}</td>
                <td data-label="State"><Pill look=step_look(step.state)/></td>
                <td data-label="Undone by">{undo_words(&step.undo)}</td>
                <td data-label="Usually" class="mono">{step.median_ms.map(duration)}</td>
            </tr>
        }
    };
    let copied = digest.clone();
    view! {
        {warnings}
        <section class="card" aria-labelledby="plan-title">
            <div class="card-head">
                <h2 id="plan-title" class="font-semibold">"Steps in their order"</h2>
                <span class="text-meta text-muted truncate min-w-0 flex-1">"manifest "<span class="mono">{digest}</span></span>
                <CopyButton text=copied label="Copy the manifest's digest"/>
            </div>
            <div class="table-scroll">
            <table class="table">
                <caption class="sr-only">"Steps of the plan"</caption>
                <thead><tr><th scope="col">"Step"</th><th scope="col">"After"</th><th scope="col">"State"</th><th scope="col">"Undone by"</th><th scope="col">"Usually"</th></tr></thead>
                <tbody>{move || steps.get().into_iter().map(|step| row(step.get())).collect_view()}</tbody>
            </table>
            </div>
        </section>
    }
}

/// What served before, and can serve again.
#[component]
fn Checkpoints(store: DeploymentStore) -> impl IntoView {
    let checkpoints = RwSignal::from(store.checkpoints);
    let row = RwSignal::from(store.summary);
    let one = |one: lockstep_model::view::CheckpointView| {
        view! {
            <tr>
                <th scope="row">{one.service.to_string()}</th>
                <td data-label="Version" class="mono">{one.version.map_or_else(|| "not deployed".to_owned(), |version| version.to_string())}</td>
                <td data-label="Revision" class="mono">{one.revision.map(|revision| revision.to_string())}</td>
                <td data-label="Taken"><When at=one.at shown=As::Absolute/></td>
            </tr>
        }
    };
    view! {
        <section class="card" aria-labelledby="checkpoints-title">
            <div class="card-head">
                <h2 id="checkpoints-title" class="font-semibold">"What served before this deployment"</h2>
                <span class="ml-auto"><RestoreButton row/></span>
            </div>
            <Show when=move || !checkpoints.with(Vec::is_empty) fallback=|| view! {
                <Nothing heading="No checkpoint yet"><p>"Each service's is taken in its preflight step, before anything changes."</p></Nothing>
            }>
                <div class="table-scroll">
                <table class="table">
                    <caption class="sr-only">"Checkpoints"</caption>
                    <thead><tr><th scope="col">"Service"</th><th scope="col">"Version"</th><th scope="col">"Revision"</th><th scope="col">"Taken"</th></tr></thead>
                    <tbody>{move || checkpoints.get().into_iter().map(one).collect_view()}</tbody>
                </table>
                </div>
            </Show>
        </section>
    }
}

/// Who did what.
#[component]
fn Audit(id: DeploymentId) -> impl IntoView {
    let live = Live::here();
    // Asked again whenever the deployment has moved on.
    let seq = Memo::new(move |_| live.deployment(id).map(|store| store.summary.with(|row| row.phase)));
    let entries = Resource::new(move || seq.get(), move |_| deployment_audit(DeploymentRequest { id }));
    let shown = move || {
        entries.get().map(|answer| match answer {
        Ok(page) if page.entries.is_empty() => view! {
            <Nothing heading="Nobody did anything"><p>"What people and programs do to this deployment is recorded here."</p></Nothing>
        }.into_any(),
        Ok(page) => {
            let rows = page.entries.into_iter().map(|entry| view! {
                <tr>
                    <td data-label="When"><When at=entry.at shown=As::Absolute/></td>
                    <th scope="row">{format!("{} ({})", entry.user, entry.via)}</th>
                    <td data-label="What" class="mono">{entry.action}</td>
                    <td data-label="Why">{entry.reason}</td>
                    <td data-label="Result">{if entry.allowed { "done" } else { "refused" }}</td>
                </tr>
            }).collect_view();
            view! {
                <div class="table-scroll">
                <table class="table">
                    <caption class="sr-only">"Who did what"</caption>
                    <thead><tr><th scope="col">"When"</th><th scope="col">"Who"</th><th scope="col">"What"</th><th scope="col">"Why"</th><th scope="col">"Result"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table>
                </div>
            }.into_any()
        }
        Err(error) => view! { <Failure error/> }.into_any(),
    })
    };
    view! {
        <section class="card" aria-labelledby="audit-title">
            <div class="card-head"><h2 id="audit-title" class="font-semibold">"Who did what"</h2></div>
            <Transition fallback=|| view! { <div class="skeleton" aria-hidden="true"></div> }>{shown}</Transition>
        </section>
    }
}
