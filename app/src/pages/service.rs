//! One service: how it is, with the answer it gave; its last day; where else it is; what needs it.

use super::overview::changes;
use crate::{
    AppError,
    api::{deployment_list, deployment_monitor, service_show},
    codec::load,
    live::Live,
    query::Query,
    session::At,
    time::{As, When, duration},
    ui::{
        CopyButton, Failure, Guarded, Nothing, PageTitle, Pill, State, health_look, phase_look, service_path,
    },
};
use day::Day;
use indented::indented;
use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::{use_navigate, use_params_map};
use lockstep_model::{
    DeploymentId, Timestamp,
    access::Permission,
    api::{DeploymentPage, ListDeployments, MonitorView, ServiceRequest},
    error::ErrorKind,
    live::{DeploymentCard, Topic},
    view::{DeploymentSummary, ServiceDetail, ServiceView},
};

mod day;
mod indented;

type Asked = (String, String, String);

/// What serves and what changes it, and when it was looked at last.
type Looks = Option<((Option<DeploymentId>, Option<DeploymentId>), Option<Timestamp>)>;

fn request((name, project, environment): Asked) -> Result<ServiceRequest, AppError> {
    let wrong =
        |error: lockstep_model::scalar::InvalidText| AppError::new(ErrorKind::Invalid, error.to_string());
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(ServiceRequest {
        project: some(project).map(|text| text.parse().map_err(wrong)).transpose()?,
        environment: some(environment).map(|text| text.parse().map_err(wrong)).transpose()?,
        service: name.parse().map_err(wrong)?,
    })
}

/// Everything that the page begins with.
async fn first(asked: Asked) -> Result<(MonitorView, ServiceDetail, DeploymentPage), AppError> {
    let overview = deployment_monitor(Live::request(&[Topic::Overview])).await?;
    let detail = service_show(request(asked)?).await?;
    let deployments = deployments_of(&detail.service).await?;
    Ok((overview, detail, deployments))
}

async fn deployments_of(service: &ServiceView) -> Result<DeploymentPage, AppError> {
    deployment_list(ListDeployments {
        project: Some(service.project.clone()),
        environment: Some(service.environment.clone()),
        service: Some(service.service.clone()),
        limit: 10,
        ..ListDeployments::default()
    })
    .await
}

/// The page.
#[component]
pub(crate) fn ServicePage() -> impl IntoView {
    let live = Live::here();
    let query = Query::here();
    let params = use_params_map();
    let asked = Memo::new(move |_| {
        let name = params.with(|params| params.get("name")).unwrap_or_default();
        (name, query.get("project"), query.get("environment"))
    });
    let begun = load(move || asked.get(), first);
    let title = Signal::derive(move || asked.get().0);
    view! {
        <PageTitle text=title/>
        <Suspense fallback=|| view! { <div class="card skeleton" aria-hidden="true"></div> }>
            {move || begun.get().map(|answer| match answer {
                Ok((overview, detail, deployments)) => {
                    live.apply(overview.frames);
                    view! { <Shown detail deployments asked=asked.get_untracked()/> }.into_any()
                }
                Err(error) => { respond(&error); view! {
                    <div class="head"><h1 class="text-h1 font-semibold">{title.get_untracked()}</h1></div>
                    <Failure error/>
                    <p class="mt-4"><a class="link" href="/services">"All services"</a></p>
                }.into_any() }
            })}
        </Suspense>
    }
}

/// An address of a service that is not there answers so.
fn respond(error: &AppError) {
    #[cfg(feature = "ssr")]
    crate::error::respond(error.0.kind);
    #[cfg(not(feature = "ssr"))]
    let _ = error;
}

#[component]
fn Shown(detail: ServiceDetail, deployments: DeploymentPage, asked: Asked) -> impl IntoView {
    let live = Live::here();
    let name = detail.service.service.clone();
    let environment = detail.service.environment.clone();
    let project = detail.service.project.clone();
    At::provide(&project, &environment);
    let detail = RwSignal::new(detail);
    let deployments = RwSignal::new(deployments.deployments);
    let service = Memo::new(move |_| detail.with(|detail| detail.service.clone()));
    // A new look at it, or another state: ask again, and change what has changed.
    let looks = {
        let (name, environment, project) = (name.clone(), environment.clone(), project.clone());
        Memo::new(move |_| {
            live.overview.cells.with(|cells| {
                let is_it = |one: &ServiceView| {
                    one.service == name && one.environment == environment && one.project == project
                };
                let cell = cells.iter().find(|cell| cell.service_now(is_it))?;
                Some(cell.view(|view| {
                    let service = &view.service;
                    ((service.deployment, service.changing), view.checks.last().map(|check| check.at))
                }))
            })
        })
    };
    Effect::new(move |before: Option<Looks>| {
        let now = looks.get();
        if let Some(before) = before {
            // The list of deployments changes with what serves, not with each look.
            let is_same = before.map(|(state, _)| state) == now.map(|(state, _)| state);
            let asked = asked.clone();
            spawn_local(async move {
                // What was seen last stays while the server does not answer.
                let Ok(request) = request(asked) else { return };
                let Ok(seen) = service_show(request).await else { return };
                if !is_same && let Ok(list) = deployments_of(&seen.service).await {
                    let _ = deployments.try_set(list.deployments);
                }
                let _ = detail.try_set(seen);
            });
        }
        now
    });
    let look = Signal::derive(move || service.with(State::of).look());
    let version = move || {
        service
            .with(|one| one.version.as_ref().map_or_else(|| "nothing serves".to_owned(), ToString::to_string))
    };
    let revision = move || service.with(|one| one.revision.as_ref().map(ToString::to_string));
    let team =
        service.with_untracked(|one| one.team.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string));
    let address = service.with_untracked(|one| one.address.clone()).map(|address| {
        view! {
            <a class="link mono" href=address.clone() rel="noopener noreferrer external">{address.clone()}</a>
        }
    });
    let since = move || {
        service.with(|one| one.since.map_or_else(|| "–".into_any(), |at| view! { <When at/> }.into_any()))
    };
    let by = move || {
        service.with(|one| {
        let link = |id: lockstep_model::DeploymentId, words: &str| view! { <a class="link" href=format!("/deployments/{id}")>{format!("{words} #{id}")}</a> };
        (one.deployment.map(|id| link(id, "deployment")), one.changing.map(|id| view! { " · "{link(id, "changed by")} }))
    })
    };
    let history = format!("/deployments?service={name}&environment={environment}");
    let start = format!("/deployments/new?project={project}&environment={environment}&set={name}@");
    let navigate = use_navigate();
    let begin = Callback::new(move |()| navigate(&start, Default::default()));
    let rows = move || {
        let all = deployments.get();
        if all.is_empty() {
            return view! { <Nothing heading="Not deployed yet"><p>"Deployments that change it are listed here."</p></Nothing> }.into_any();
        }
        view! { <ul class="list">{all.into_iter().map(deployment).collect_view()}</ul> }.into_any()
    };
    view! {
        <p class="text-meta text-muted mb-1">{format!("Project {project}")}</p>
        <div class="head">
            <h1 class="text-h1 font-semibold">{format!("{name} in {environment}")}</h1>
            <Pill look/>
            <div class="head-actions">
                <a class="btn" href=history.clone()>"History"</a>
                <Guarded permission=Permission::Deploy class="btn btn-primary" on_click=begin>"Deploy…"</Guarded>
            </div>
        </div>
        <div class="facts">
            <div class="fact"><span class="tile-name">"Version"</span><span class="fact-number">{version}</span><span class="tile-more">{revision}</span></div>
            <div class="fact"><span class="tile-name">"Serves since"</span><span class="fact-number">{since}</span><span class="tile-more">{by}</span></div>
            <div class="fact"><span class="tile-name">"Team"</span><span class="fact-number">{team}</span><span class="tile-more">{address}</span></div>
        </div>
        <div class="halves">
            <Answer service/>
            <Day detail/>
            <Elsewhere service=service.get_untracked()/>
            <Dependencies service=service.get_untracked()/>
            <section class="card" aria-labelledby="deployments-title">
                <div class="card-head"><h2 id="deployments-title" class="font-semibold">"Deployments"</h2><a class="link text-meta ml-auto" href=history>"All"</a></div>
                {rows}
            </section>
        </div>
    }
}

fn deployment(row: DeploymentSummary) -> impl IntoView {
    let services = u32::try_from(row.services.len()).unwrap_or(0);
    let id = row.id;
    let card = DeploymentCard { summary: row, services, expected_ms: None };
    view! {
        <li><a class="recent" href=format!("/deployments/{id}") data-entry="">
            <span class="recent-head"><Pill look=phase_look(card.summary.phase)/><span class="mono">{format!("#{id}")}</span><span class="ml-auto text-meta text-subtle"><When at=card.summary.clocks.requested_at/></span></span>
            <span class="recent-more">{changes(&card)}</span>
        </a></li>
    }
}

/// What it answered when it was asked last, as it came.
#[component]
fn Answer(service: Memo<ServiceView>) -> impl IntoView {
    let body = move || {
        match service.with(|one| one.evidence.clone()) {
        Some(evidence) => {
            let raw = evidence.answer.clone();
            let code = evidence.code.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
            view! {
                <div class="p-4 stack">
                    <p class="flex flex-wrap items-center gap-2"><Pill look=health_look(evidence.health)/>{evidence.reason.clone()}</p>
                    <p class="mono text-muted break-words">{format!("{}: {code} from {} in {}", evidence.check, evidence.address, duration(evidence.latency_ms))}" · "<When at=evidence.at shown=As::Absolute/></p>
                    <div class="flex items-start gap-2"><pre class="raw flex-1 min-w-0 rounded bg-surface-2" tabindex="0">{if raw.is_empty() { "(nothing)".to_owned() } else { indented(&raw) }}</pre><CopyButton text=raw label="Copy the answer"/></div>
                </div>
            }.into_any()
        }
        None => view! { <Nothing heading="Not asked yet"><p>"What serves is asked every ten seconds how it is."</p></Nothing> }.into_any(),
    }
    };
    view! {
        <section class="card" aria-labelledby="answer-title">
            <div class="card-head"><h2 id="answer-title" class="font-semibold">"What it answered last"</h2></div>
            {body}
        </section>
    }
}

fn line(service: &ServiceView, name: String) -> impl IntoView + use<> {
    let version = service.version.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string);
    view! {
        <li><a class="recent" href=service_path(service)><span class="recent-head"><Pill look=State::of(service).look()/><span class="font-medium">{name}</span><span class="mono ml-auto">{version}</span></span></a></li>
    }
}

fn others(live: Live, wanted: impl Fn(&ServiceView) -> bool) -> Vec<ServiceView> {
    live.overview.states.track();
    live.overview.cells.with(|cells| {
        let all = cells.iter().map(|cell| cell.service_now(ServiceView::clone));
        all.filter(|service| wanted(service)).collect()
    })
}

/// The same service in other environments.
#[component]
fn Elsewhere(service: ServiceView) -> impl IntoView {
    let live = Live::here();
    let found = Memo::new(move |_| {
        others(live, |other| other.project == service.project && other.service == service.service)
    });
    view! {
        <section class="card" aria-labelledby="elsewhere-title">
            <div class="card-head"><h2 id="elsewhere-title" class="font-semibold">"Environments"</h2></div>
            <ul class="list">{move || found.get().iter().map(|one| line(one, one.environment.to_string())).collect_view()}</ul>
        </section>
    }
}

/// What it needs, and what needs it.
#[component]
fn Dependencies(service: ServiceView) -> impl IntoView {
    let live = Live::here();
    let drawn =
        format!("/graph?project={}&env={}&focus={}", service.project, service.environment, service.service);
    let same = {
        let service = service.clone();
        move |other: &ServiceView| {
            other.project == service.project && other.environment == service.environment
        }
    };
    let needs = {
        let (same, service) = (same.clone(), service.clone());
        Memo::new(move |_| others(live, |other| same(other) && service.needs.contains(&other.service)))
    };
    let needed =
        Memo::new(move |_| others(live, |other| same(other) && other.needs.contains(&service.service)));
    let list = |title: &'static str, none: &'static str, all: Memo<Vec<ServiceView>>| {
        view! {
            <h3 class="group-title">{title}</h3>
            {move || if all.with(Vec::is_empty) {
                view! { <p class="px-4 py-2 text-muted">{none}</p> }.into_any()
            } else {
                view! { <ul class="list">{move || all.get().iter().map(|one| line(one, one.service.to_string())).collect_view()}</ul> }.into_any()
            }}
        }
    };
    view! {
        <section class="card" aria-labelledby="needs-title">
            <div class="card-head"><h2 id="needs-title" class="font-semibold">"Dependencies"</h2><a class="link text-meta ml-auto" href=drawn>"Drawing"</a></div>
            {list("It needs", "nothing", needs)}
            {list("It is needed by", "nothing", needed)}
        </section>
    }
}
