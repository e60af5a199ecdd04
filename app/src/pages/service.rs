//! One service: how it is, with the answer it gave; its last day; where else it is; what needs it.

use super::overview::{FirstFrames, changes};
use crate::{
    AppError,
    api::{deployment_list, service_show},
    live::Live,
    query::Query,
    time::{As, When, duration},
    ui::{CopyButton, Failure, Nothing, PageTitle, Pill, State, health_look, phase_look, service_path},
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use lockstep_model::{
    api::{ListDeployments, ServiceRequest},
    error::ErrorKind,
    live::{DeploymentCard, Topic},
    view::{DeploymentSummary, ServiceDetail, ServiceView},
};

/// Bars of a day.
const BARS: i64 = 96;

/// The page.
#[component]
pub(crate) fn ServicePage() -> impl IntoView {
    let live = Live::here();
    let query = Query::here();
    let params = use_params_map();
    let asked = Memo::new(move |_| {
        (
            params.with(|params| params.get("name")).unwrap_or_default(),
            query.get("project"),
            query.get("environment"),
        )
    });
    let detail = Resource::new(
        move || asked.get(),
        |(name, project, environment)| async move {
            let wrong = |error: lockstep_model::scalar::InvalidText| {
                AppError::new(ErrorKind::Invalid, error.to_string())
            };
            let some = |text: String| Some(text).filter(|text| !text.is_empty());
            service_show(ServiceRequest {
                project: some(project).map(|text| text.parse().map_err(wrong)).transpose()?,
                environment: some(environment).map(|text| text.parse().map_err(wrong)).transpose()?,
                service: name.parse().map_err(wrong)?,
            })
            .await
        },
    );
    // A new look at it, or another state: ask again.
    let looks = Memo::new(move |_| {
        let (name, _, environment) = asked.get();
        live.overview.cells.with(|cells| {
            cells.iter().find_map(|cell| {
                cell.view.with(|view| {
                    let is_it = view.service.service.as_str() == name
                        && (environment.is_empty() || view.service.environment.as_str() == environment);
                    is_it.then(|| {
                        (
                            view.checks.last().map(|check| check.at),
                            view.service.version.clone(),
                            view.service.changing,
                        )
                    })
                })
            })
        })
    });
    Effect::new(move |before: Option<bool>| {
        let is_known = looks.with(Option::is_some);
        if before == Some(true) {
            detail.refetch();
        }
        is_known
    });
    let title = Signal::derive(move || asked.get().0);
    view! {
        <PageTitle text=title/>
        <FirstFrames topics=vec![Topic::Overview] shown=move || view! { <Transition fallback=|| view! { <div class="card skeleton" aria-hidden="true"></div> }>
            {move || detail.get().map(|answer| match answer {
                Ok(detail) => view! { <Shown detail/> }.into_any(),
                Err(error) => view! {
                    <div class="head"><h1 class="text-h1 font-semibold">{title.get()}</h1></div>
                    <Failure error/><p class="mt-4"><a class="link" href="/services">"All services"</a></p>
                }.into_any(),
            })}
        </Transition> }/>
    }
}

#[component]
fn Shown(detail: ServiceDetail) -> impl IntoView {
    let service = detail.service.clone();
    let name = service.service.clone();
    let list = ListDeployments {
        project: Some(service.project.clone()),
        environment: Some(service.environment.clone()),
        service: Some(name.clone()),
        limit: 10,
        ..ListDeployments::default()
    };
    let deployments = Resource::new(|| (), move |()| deployment_list(list.clone()));
    let version = service.version.as_ref().map_or_else(|| "nothing serves".to_owned(), ToString::to_string);
    let address = service.address.clone().map(|address| view! { <a class="link mono" href=address.clone() rel="noopener noreferrer external">{address.clone()}</a> });
    let changing = service.changing.map(|id| view! { <a class="link" href=format!("/deployments/{id}")>{format!("deployment #{id} changes it")}</a> });
    let history = format!("/deployments?service={name}&environment={}", service.environment);
    let start = format!(
        "/deployments/new?project={}&environment={}&set={name}@",
        service.project, service.environment
    );
    let rows = move || {
        deployments.get().map(|answer| match answer {
        Ok(page) if page.deployments.is_empty() => view! { <Nothing heading="Not deployed yet"><p>"Deployments that change it are listed here."</p></Nothing> }.into_any(),
        Ok(page) => {
            let rows = page.deployments.into_iter().map(deployment).collect_view();
            view! { <ul class="list">{rows}</ul> }.into_any()
        }
        Err(error) => view! { <Failure error/> }.into_any(),
    })
    };
    view! {
        <p class="text-meta text-muted mb-1"><a class="link" href="/services">"Services"</a>{format!(" / {}", service.project)}</p>
        <div class="head">
            <h1 class="text-h1 font-semibold">{format!("{name} in {}", service.environment)}</h1>
            <Pill look=State::of(&service).look()/>
            <div class="head-actions">
                <a class="btn" href=history.clone()>"History"</a>
                <a class="btn btn-primary" href=start>"Deploy…"</a>
            </div>
        </div>
        <div class="facts">
            <div class="fact"><span class="tile-name">"Version"</span><span class="fact-number">{version}</span><span class="tile-more">{service.revision.as_ref().map(ToString::to_string)}</span></div>
            <div class="fact"><span class="tile-name">"Serves since"</span><span class="fact-number">{service.since.map_or_else(|| "–".into_any(), |at| view! { <When at/> }.into_any())}</span><span class="tile-more">{service.deployment.map(|id| view! { <a class="link" href=format!("/deployments/{id}")>{format!("deployment #{id}")}</a> })}{changing}</span></div>
            <div class="fact"><span class="tile-name">"Team"</span><span class="fact-number">{service.team.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string)}</span><span class="tile-more">{address}</span></div>
        </div>
        <div class="halves">
            <Answer service=service.clone()/>
            <Day detail/>
            <Elsewhere service=service.clone()/>
            <Dependencies service/>
            <section class="card" aria-labelledby="deployments-title">
                <div class="card-head"><h2 id="deployments-title" class="font-semibold">"Deployments"</h2><a class="link text-meta ml-auto" href=history>"All"</a></div>
                <Transition fallback=|| view! { <div class="skeleton" aria-hidden="true"></div> }>{rows}</Transition>
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
fn Answer(service: ServiceView) -> impl IntoView {
    let body = match service.evidence {
        Some(evidence) => {
            let raw = evidence.excerpt.clone();
            let code = evidence.code.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
            view! {
                <div class="p-4 stack">
                    <p class="flex flex-wrap items-center gap-2"><Pill look=health_look(evidence.health)/>{evidence.reason.clone()}</p>
                    <p class="mono text-muted break-words">{format!("{}: {code} from {} in {}", evidence.check, evidence.address, duration(evidence.latency_ms))}" · "<When at=evidence.at shown=As::Absolute/></p>
                    <div class="flex items-start gap-2"><pre class="raw flex-1 min-w-0 rounded bg-surface-2" tabindex="0">{if raw.is_empty() { "(nothing)".to_owned() } else { raw.clone() }}</pre><CopyButton text=raw label="Copy the answer"/></div>
                </div>
            }.into_any()
        }
        None => view! { <Nothing heading="Not asked yet"><p>"What serves is asked every ten seconds how it is."</p></Nothing> }.into_any(),
    };
    view! {
        <section class="card" aria-labelledby="answer-title">
            <div class="card-head"><h2 id="answer-title" class="font-semibold">"What it answered last"</h2></div>
            {body}
        </section>
    }
}

/// The last day as bars: how much of each quarter of an hour it was well.
#[component]
fn Day(detail: ServiceDetail) -> impl IntoView {
    let bucket = i64::try_from(detail.bucket_ms).unwrap_or(i64::MAX).max(1);
    let last = detail.day.last().map_or(0, |one| one.at.0);
    let mut looks = (0u32, 0u32);
    let bars = detail.day.iter().filter_map(|one| {
        let place = BARS - 1 - (last - one.at.0) / bucket;
        let all = one.healthy + one.degraded + one.unhealthy + one.unknown;
        looks = (looks.0 + one.healthy, looks.1 + all);
        let part = |count: u32| f64::from(count) / f64::from(all.max(1)) * 60.0;
        let mut y = 62.0;
        let mut rects = Vec::new();
        for (count, class) in [(one.unhealthy, "fill-bad"), (one.degraded, "fill-warn"), (one.unknown, "fill-idle"), (one.healthy, "fill-ok")] {
            if count > 0 {
                y -= part(count);
                rects.push(view! { <rect class=class x=place * 6 y=format!("{y:.1}") width="5" height=format!("{:.1}", part(count))/> });
            }
        }
        (place >= 0).then_some(rects)
    }).collect_view();
    let longest = detail.day.iter().map(|one| one.latency_max_ms).max();
    let words = match looks {
        (_, 0) => "Looks are counted by the minute; the first bar comes then.".to_owned(),
        (well, all) => {
            format!("{well} of {all} looks healthy, longest answer {}", duration(longest.unwrap_or(0)))
        }
    };
    let rows = detail.day.iter().rev().take(12).map(|one| view! {
        <tr><th scope="row"><When at=one.at shown=As::Absolute/></th><td data-label="Healthy">{one.healthy}</td><td data-label="Degraded">{one.degraded}</td><td data-label="Unhealthy">{one.unhealthy}</td><td data-label="Unknown">{one.unknown}</td><td data-label="Longest" class="mono">{duration(one.latency_max_ms)}</td></tr>
    }).collect_view();
    let label = words.clone();
    view! {
        <section class="card" aria-labelledby="day-title">
            <div class="card-head"><h2 id="day-title" class="font-semibold">"Last 24 hours"</h2></div>
            <div class="p-4 stack">
                <svg class="day" viewBox="0 0 576 64" preserveAspectRatio="none" role="img" aria-label=label>{bars}</svg>
                <p class="text-meta text-muted">{words}</p>
                <details><summary class="link text-meta">"As a table"</summary>
                    <div class="table-scroll"><table class="table"><caption class="sr-only">"Looks by quarter of an hour"</caption><thead><tr><th scope="col">"From"</th><th scope="col">"Healthy"</th><th scope="col">"Degraded"</th><th scope="col">"Unhealthy"</th><th scope="col">"Unknown"</th><th scope="col">"Longest"</th></tr></thead><tbody>{rows}</tbody></table></div>
                </details>
            </div>
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
        let all = cells.iter().map(|cell| cell.view.with_untracked(|view| view.service.clone()));
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
            <div class="card-head"><h2 id="needs-title" class="font-semibold">"Dependencies"</h2></div>
            {list("It needs", "nothing", needs)}
            {list("It is needed by", "nothing", needed)}
        </section>
    }
}
