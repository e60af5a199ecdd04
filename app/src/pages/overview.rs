//! All services at a glance: what fails first, what is being deployed, what was.

use crate::{
    AppError,
    api::deployment_monitor,
    live::{Cell, Live},
    query::Query,
    time::{When, duration},
    ui::{Failure, Glyph, Guarded, Icon, Nothing, PageTitle, Pill, State, phase_look, service_path},
};
use leptos::{either::Either, prelude::*};
use leptos_router::hooks::use_navigate;
use lockstep_model::{
    ProjectName,
    access::Permission,
    api::MonitorView,
    health::Health,
    live::{CHECKS_SHOWN, CellView, DeploymentCard, Topic},
    view::EnvironmentView,
};
use std::fmt::Write;

/// Shows something of the live store as soon as its first frames are there.
#[component]
pub(crate) fn FirstFrames<F, V>(
    /// What is asked for.
    topics: Vec<Topic>,
    /// What is shown then.
    shown: F,
) -> impl IntoView
where
    F: Fn() -> V + Send + Sync + Clone + 'static,
    V: IntoView + 'static,
{
    let live = Live::here();
    let request = Live::request(&topics);
    let first: Resource<Result<MonitorView, AppError>> =
        Resource::new(|| (), move |()| deployment_monitor(request.clone()));
    view! {
        <Suspense fallback=|| view! { <div class="card skeleton" aria-hidden="true"></div> }>
            {move || {
                let shown = shown.clone();
                first.get().map(|answer| match answer {
                    Ok(view) => {
                        live.apply(view.frames);
                        Either::Left(shown())
                    }
                    Err(error) => Either::Right(view! { <Failure error/> }),
                })
            }}
        </Suspense>
    }
}

/// The first page.
#[component]
pub(crate) fn OverviewPage() -> impl IntoView {
    view! {
        <PageTitle text="Overview"/>
        <FirstFrames topics=vec![Topic::Overview] shown=|| view! { <Shown/> }/>
    }
}

#[component]
fn Shown() -> impl IntoView {
    let live = Live::here();
    let navigate = use_navigate();
    let begin = Callback::new(move |()| navigate("/deployments/new", Default::default()));
    let is_empty = Memo::new(move |_| live.overview.cells.with(Vec::is_empty));
    view! {
        <div class="head">
            <h1 class="text-h1 font-semibold">"Overview"</h1>
            <div class="head-actions">
                <Guarded permission=Permission::Deploy class="btn btn-primary" on_click=begin>
                    <Icon glyph=Glyph::Deployments/>"New deployment"
                </Guarded>
            </div>
        </div>
        <Show when=move || !is_empty.get() fallback=|| view! { <Begin/> }>
            <Tiles/>
            <Running/>
            <div class="columns">
                <Matrix/>
                <Recent/>
            </div>
        </Show>
    }
}

#[component]
fn Begin() -> impl IntoView {
    view! {
        <div class="card p-6">
            <Nothing heading="No service yet">
                <p>"Describe your services in a lockstep.yaml, then:"</p>
                <pre class="mono mt-3 overflow-x-auto" tabindex="0">"lockstep check\nlockstep apply\nlockstep deploy --wait"</pre>
            </Nothing>
        </div>
    }
}

/// Figures that lead to what they count.
#[component]
fn Tiles() -> impl IntoView {
    let live = Live::here();
    let states = Memo::new(move |_| {
        live.overview.states.track();
        let mut counts = [0usize; State::ALL.len()];
        live.overview.cells.with(|cells| {
            for cell in cells {
                counts[cell.view.with_untracked(|view| State::of(&view.service)) as usize] += 1;
            }
        });
        counts
    });
    let healthy = move || {
        let counts = states.get();
        let all: usize = counts.iter().sum();
        (counts[State::Healthy as usize], all - counts[State::NotDeployed as usize])
    };
    let failing = [State::Unhealthy, State::Degraded, State::Unknown, State::Changing];
    let others = move || {
        let counts = states.get();
        let mut words = String::new();
        for state in failing.into_iter().filter(|state| counts[*state as usize] > 0) {
            let comma = if words.is_empty() { "" } else { ", " };
            let word = state.look().word.to_ascii_lowercase();
            let _ = write!(words, "{comma}{} {word}", counts[state as usize]);
        }
        if words.is_empty() { "all well".to_owned() } else { words }
    };
    let worst = move || {
        let counts = states.get();
        let worst = failing.into_iter().find(|state| counts[*state as usize] > 0);
        worst.map_or_else(|| "/".to_owned(), |state| format!("/?status={}", state.key()))
    };
    let running = move || {
        live.overview.deployments.with(|all| all.iter().filter(|card| !card.summary.phase.is_final()).count())
    };
    let figures = live.overview.figures;
    let success = move || {
        figures.with(|f| match f.ended_30d {
            0 => "–".to_owned(),
            ended => format!("{}.{} %", f.succeeded_30d * 100 / ended, f.succeeded_30d * 1_000 / ended % 10),
        })
    };
    let ended = move || figures.with(|f| format!("of {}, {} taken back", f.ended_30d, f.taken_back_30d));
    let stable = move || figures.with(|f| f.stable_p95_ms.map_or_else(|| "–".to_owned(), duration));
    let took = move || figures.with(|f| f.duration_p50_ms.map_or_else(|| "–".to_owned(), duration));
    let agents = move || match figures.with(|f| f.agents) {
        0 => "no agent is connected".to_owned(),
        1 => "1 agent connected".to_owned(),
        more => format!("{more} agents connected"),
    };
    view! {
        <div class="tiles">
            <a class="tile" href=worst>
                <span class="tile-name">"Services healthy"</span>
                <span class="tile-number">{move || healthy().0}<small>" / "{move || healthy().1}</small></span>
                <span class="tile-more">{others}</span>
            </a>
            <a class="tile" href="/deployments">
                <span class="tile-name">"Running now"</span>
                <span class="tile-number">{running}</span>
                <span class="tile-more">{agents}</span>
            </a>
            <a class="tile" href="/deployments?phase=succeeded">
                <span class="tile-name">"Success, 30 d"</span>
                <span class="tile-number">{success}</span>
                <span class="tile-more">{ended}</span>
            </a>
            <a class="tile" href="/deployments?phase=rolled_back">
                <span class="tile-name">"Detection to stable"</span>
                <span class="tile-number">{stable}</span>
                <span class="tile-more">"p95, budget 120 s"</span>
            </a>
            <a class="tile" href="/deployments?phase=succeeded&sort=longest">
                <span class="tile-name">"A deployment takes"</span>
                <span class="tile-number">{took}</span>
                <span class="tile-more">"median of those that succeeded"</span>
            </a>
        </div>
    }
}

/// Deployments that run, with how far they are.
#[component]
fn Running() -> impl IntoView {
    let live = Live::here();
    let running = Memo::new(move |_| {
        live.overview
            .deployments
            .with(|all| all.iter().filter(|card| !card.summary.phase.is_final()).cloned().collect::<Vec<_>>())
    });
    view! { {move || running.get().into_iter().map(|card| view! { <RunningCard card/> }).collect_view()} }
}

/// What a deployment changes, in a line.
pub(crate) fn changes(card: &DeploymentCard) -> String {
    let named: Vec<String> = card
        .summary
        .services
        .iter()
        .map(|change| match (&change.from, &change.to) {
            (Some(from), Some(to)) if from != to => format!("{} {from} → {to}", change.service),
            (_, Some(to)) => format!("{} {to}", change.service),
            (_, None) => format!("{} ends", change.service),
        })
        .collect();
    let more = (card.services as usize).saturating_sub(named.len());
    let mut text = named.join(", ");
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}

#[component]
fn RunningCard(card: DeploymentCard) -> impl IntoView {
    let live = Live::here();
    let row = card.summary.clone();
    let (done, of) = row.progress;
    let percent = (done * 100).checked_div(of).unwrap_or(0);
    let started = row.clocks.started_at;
    let expected = card.expected_ms;
    let time = move || {
        let Some(started) = started else { return "waits for its turn".to_owned() };
        let now = live.clock.get();
        let about = expected.map(|ms| format!(" of about {}", duration(ms))).unwrap_or_default();
        if now == 0 {
            return format!("{done} of {of} steps{about}");
        }
        format!("{}{about}", duration(u64::try_from((now - started.0).max(0) / 1_000 * 1_000).unwrap_or(0)))
    };
    let path = format!("/deployments/{}", row.id);
    let name = format!("#{} {}", row.id, row.environment);
    view! {
        <section class="card running" aria-label=format!("Deployment {}", row.id)>
            <Pill look=phase_look(row.phase)/>
            <a class="running-name" href=path.clone()>{name}</a>
            <span class="running-what">{changes(&card)}</span>
            <progress class="progress" max="100" value=percent aria-label=format!("Deployment {}: {done} of {of} steps", row.id)></progress>
            <span class="mono running-time">{time}</span>
            <a class="btn btn-small" href=path aria-label=format!("Open deployment {}", row.id)>"Open"</a>
        </section>
    }
}

#[component]
fn Recent() -> impl IntoView {
    let live = Live::here();
    let ended = Memo::new(move |_| {
        live.overview
            .deployments
            .with(|all| all.iter().filter(|card| card.summary.phase.is_final()).cloned().collect::<Vec<_>>())
    });
    let one = |card: DeploymentCard| {
        let row = &card.summary;
        let at = row.clocks.finished_at.unwrap_or(row.clocks.requested_at);
        let why = row.failure.as_ref().map(|failure| failure.reason.clone());
        let back = row.clocks.detected_at.zip(row.clocks.stable_at);
        let back = back.map(|(detected, stable)| format!("back in {}", duration(stable.since_ms(detected))));
        let below: Vec<String> = [Some(changes(&card)), why, back].into_iter().flatten().collect();
        view! {
            <li>
                <a class="recent" href=format!("/deployments/{}", row.id) data-entry="">
                    <span class="recent-head">
                        <Pill look=phase_look(row.phase)/>
                        <span class="mono">{format!("#{}", row.id)}</span>
                        <span class="font-medium">{row.environment.to_string()}</span>
                        <span class="ml-auto text-meta text-subtle"><When at/></span>
                    </span>
                    <span class="recent-more">{below.join(" · ")}</span>
                </a>
            </li>
        }
    };
    view! {
        <section class="card self-start" aria-labelledby="recent-title">
            <div class="card-head">
                <h2 id="recent-title" class="font-semibold">"Recent deployments"</h2>
                <a class="link text-meta" href="/deployments">"All"</a>
            </div>
            <Show when=move || !ended.with(Vec::is_empty) fallback=|| view! {
                <Nothing heading="Nothing has ended yet"><p>"What was deployed is listed here."</p></Nothing>
            }>
                <ul class="list">{move || ended.get().into_iter().map(one).collect_view()}</ul>
            </Show>
        </section>
    }
}

/// A service with its cells, one an environment.
#[derive(Clone)]
struct Row {
    key: String,
    name: String,
    below: String,
    cells: Vec<Option<Cell>>,
}

#[derive(Clone, PartialEq, Eq)]
struct Filter {
    q: String,
    env: String,
    status: String,
}

/// The rows of a project in the order of the page: what needs somebody first.
fn rows(
    cells: &[Cell],
    environments: &[EnvironmentView],
    project: &ProjectName,
    filter: &Filter,
) -> Vec<Row> {
    // By name.
    let mut found = Vec::<(State, bool, Row)>::new();
    for cell in cells {
        cell.view.with_untracked(|view| {
            let service = &view.service;
            let Some(column) = environments.iter().position(|one| one.name == service.environment) else {
                return;
            };
            if service.project != *project {
                return;
            }
            let name = service.service.as_str();
            let place =
                found.binary_search_by(|(.., row)| row.name.as_str().cmp(name)).unwrap_or_else(|place| {
                    let needs: Vec<&str> = service.needs.iter().map(|need| need.as_str()).collect();
                    let mut below = if needs.is_empty() {
                        "independent".to_owned()
                    } else {
                        format!("needs {}", needs.join(", "))
                    };
                    if let Some(team) = &service.team {
                        let _ = write!(below, " · {team}");
                    }
                    let row = Row {
                        key: format!("{project}/{name}"),
                        name: name.to_owned(),
                        below,
                        cells: vec![None; environments.len()],
                    };
                    found.insert(place, (State::NotDeployed, false, row));
                    place
                });
            let entry = &mut found[place];
            let state = State::of(service);
            entry.0 = entry.0.min(state);
            entry.1 |= filter.status.is_empty() || state.key() == filter.status;
            entry.2.cells[column] = Some(cell.clone());
        });
    }
    let needle = filter.q.to_ascii_lowercase();
    let mut rows: Vec<(State, Row)> = found
        .into_iter()
        .filter(|(_, fits, row)| {
            *fits
                && (row.name.to_ascii_lowercase().contains(&needle)
                    || row.below.to_ascii_lowercase().contains(&needle))
        })
        .map(|(state, _, row)| (state, row))
        .collect();
    rows.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    rows.into_iter().map(|(_, row)| row).collect()
}

#[component]
fn Matrix() -> impl IntoView {
    let live = Live::here();
    let query = Query::here();
    let filter =
        Memo::new(move |_| Filter { q: query.get("q"), env: query.get("env"), status: query.get("status") });
    let is_filtered = Memo::new(move |_| query.has(&["q", "env", "status"]));
    let projects = Memo::new(move |_| {
        live.overview.environments.with(|all| {
            let mut projects: Vec<ProjectName> = all.iter().map(|one| one.project.clone()).collect();
            projects.dedup();
            projects
        })
    });
    let chip = move |state: State| {
        let is_on = move || filter.with(|filter| filter.status == state.key());
        view! {
            <a class="chip" href=move || query.with(&[("status", if is_on() { "" } else { state.key() })])
                aria-current=move || is_on().then_some("true")>{state.look().word}</a>
        }
    };
    let environments = move || {
        let mut names: Vec<String> =
            live.overview.environments.with(|all| all.iter().map(|one| one.name.to_string()).collect());
        names.sort();
        names.dedup();
        names.into_iter().map(|name| {
            let label = name.clone();
            let is_on = { let name = name.clone(); move || filter.with(|filter| filter.env == name) };
            let toggle = { let is_on = is_on.clone(); move || query.with(&[("env", if is_on() { "" } else { &name })]) };
            view! { <a class="chip" href=toggle aria-current=move || is_on().then_some("true")>{label}</a> }
        }).collect_view()
    };
    view! {
        <section class="card" aria-labelledby="services-title">
            <div class="card-head">
                <h2 id="services-title" class="font-semibold">"Services"</h2>
                <form method="get" role="search" aria-label="Filter services" class="filter" on:submit=|event| event.prevent_default()>
                    <input class="input input-small" type="search" name="q" placeholder="Filter services" aria-label="Filter services" data-key="/"
                        prop:value=move || filter.with(|filter| filter.q.clone())
                        on:input=move |event| query.set(&[("q", &event_target_value(&event))])/>
                </form>
                <div class="chips" role="group" aria-label="Show only">
                    {[State::Unhealthy, State::Degraded, State::Unknown, State::Changing].map(chip)}
                    {environments}
                </div>
                {move || is_filtered.get().then(|| view! { <a class="link text-meta" href="/">"Clear filters"</a> })}
                <span class="ml-auto flex gap-2 text-meta">
                    <a class="link" href="/services.csv" rel="external" download="">"CSV"</a>
                    <a class="link" href="/services.json" rel="external" download="">"JSON"</a>
                </span>
            </div>
            <For each=move || projects.get() key=|project| project.clone() let(project)>
                <ProjectTable project filter several=Signal::derive(move || projects.with(|all| all.len() > 1))/>
            </For>
        </section>
    }
}

#[component]
fn ProjectTable(project: ProjectName, filter: Memo<Filter>, several: Signal<bool>) -> impl IntoView {
    let live = Live::here();
    let name = project.to_string();
    let columns = {
        let project = project.clone();
        Memo::new(move |_| {
            let wanted = filter.with(|filter| filter.env.clone());
            live.overview.environments.with(|all| {
                let ours = all.iter().filter(|one| one.project == project);
                ours.filter(|one| wanted.is_empty() || one.name.as_str() == wanted)
                    .cloned()
                    .collect::<Vec<_>>()
            })
        })
    };
    let shown = Signal::derive(move || {
        live.overview.states.track();
        live.overview.cells.with(|cells| {
            columns.with(|columns| filter.with(|filter| rows(cells, columns, &project, filter)))
        })
    });
    let row = move |row: Row| {
        let cells = row
            .cells
            .into_iter()
            .zip(columns.get_untracked())
            .map(|(cell, environment)| {
                let label = environment.name.to_string();
                match cell {
                    Some(cell) => Either::Left(view! { <td data-label=label><CellShown cell/></td> }),
                    None => {
                        Either::Right(view! { <td data-label=label class="text-subtle">"no target"</td> })
                    }
                }
            })
            .collect_view();
        view! {
            <tr>
                <th scope="row">
                    <span class="font-semibold">{row.name}</span>
                    <span class="block text-meta text-subtle font-normal">{row.below}</span>
                </th>
                {cells}
            </tr>
        }
    };
    view! {
        {move || several.get().then(|| view! { <h3 class="group-title">{name.clone()}</h3> })}
        <Show when=move || !shown.with(Vec::is_empty) fallback=|| view! {
            <Nothing heading="No service fits the filter"><a class="link" href="/">"Clear filters"</a></Nothing>
        }>
            <div class="table-scroll">
            <table class="matrix">
                <caption class="sr-only">"Services by environment; those that need somebody first"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Service"</th>
                        {move || columns.get().into_iter().map(|one| view! { <th scope="col">{one.name.to_string()}</th> }).collect_view()}
                    </tr>
                </thead>
                <tbody>
                    <For each=move || shown.get() key=move |row| (row.key.clone(), columns.with_untracked(|c| c.len()), filter.with_untracked(|f| f.env.clone())) children=row/>
                </tbody>
            </table>
            </div>
        </Show>
    }
}

/// One service in one environment.
#[component]
fn CellShown(cell: Cell) -> impl IntoView {
    let live = Live::here();
    let view = cell.view;
    let service = {
        let view = view.clone();
        Memo::new(move |_| view.with(|view| view.service.clone()))
    };
    let state = Memo::new(move |_| service.with(State::of));
    let look = Signal::derive(move || state.get().look());
    let version = move || {
        service.with(|service| service.version.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string))
    };
    let below = move || {
        service.with(|service| match (service.changing, service.since) {
            (Some(id), _) => Either::Left(
                view! { <a class="link" href=format!("/deployments/{id}")>{format!("deployment #{id}")}</a> },
            ),
            (None, Some(at)) => Either::Right(Either::Left(view! { <span>"since "<When at/></span> })),
            (None, None) => Either::Right(Either::Right(())),
        })
    };
    let seen = move || {
        let is_well = matches!(state.get(), State::Healthy | State::Changing | State::NotDeployed);
        service.with(|service| {
            service.evidence.as_ref().filter(|_| !is_well).map(|evidence| {
                view! { <span class="cell-seen">{format!("{}: {}", evidence.check, evidence.reason)}</span> }
            })
        })
    };
    let p95 = {
        let view = view.clone();
        Memo::new(move |_| view.with(CellView::p95_ms))
    };
    let p95 = move || {
        p95.get().map(|ms| if ms == 0 { "p95 < 1 ms".to_owned() } else { format!("p95 {}", duration(ms)) })
    };
    let path = service.with_untracked(service_path);
    let name = service.with_untracked(|service| format!("{} in {}", service.service, service.environment));
    view! {
        <div class="cell" class:is-stale=move || live.is_stale.get()>
            <span class="cell-line">
                <a class="cell-state" href=path aria-label=move || format!("{name}: {}", look.get().word) data-entry=""><Pill look/></a>
                <span class="mono">{version}</span>
            </span>
            <Checks view=view/>
            <span class="cell-line text-meta text-subtle">{below}<span class="mono">{p95}</span></span>
            {seen}
        </div>
    }
}

/// The last looks as bars: one path a kind, so that hundreds of them cost little.
#[component]
fn Checks(view: ArcRwSignal<CellView>) -> impl IntoView {
    let paths = Memo::new(move |_| {
        view.with(|view| {
            let mut paths = [String::new(), String::new(), String::new(), String::new()];
            let empty = CHECKS_SHOWN - view.checks.len().min(CHECKS_SHOWN);
            for (place, check) in view.checks.iter().enumerate() {
                let (kind, top) = match check.health {
                    Health::Healthy => (0, 0),
                    Health::Degraded => (1, 5),
                    Health::Unhealthy => (2, 0),
                    Health::Unknown => (3, 9),
                };
                let _ = write!(paths[kind], "M{} {top}h4v{}h-4Z", (empty + place) * 6, 14 - top);
            }
            let well = view.checks.iter().filter(|check| check.health == Health::Healthy).count();
            let words = match view.checks.len() {
                0 => "not looked at yet".to_owned(),
                all => format!("{well} of the last {all} checks healthy"),
            };
            (paths, words)
        })
    });
    let path = move |kind: usize, class: &'static str| {
        view! {
            <path class=class d=move || paths.with(|(paths, _)| paths[kind].clone())/>
        }
    };
    view! {
        <svg class="checks" viewBox="0 0 178 14" preserveAspectRatio="none" role="img" aria-label=move || paths.with(|(_, words)| words.clone())>
            {path(0, "fill-ok")}{path(1, "fill-warn")}{path(2, "fill-bad")}{path(3, "fill-idle")}
        </svg>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leptos::prelude::{ArcRwSignal, Owner};
    use lockstep_model::{health::Health, view::ServiceView};

    fn cell(name: &str, health: Option<Health>) -> Cell {
        let service = ServiceView {
            project: "shop".parse().expect("valid"),
            environment: "staging".parse().expect("valid"),
            service: name.parse().expect("valid"),
            team: None,
            version: Some("1.0.0".parse().expect("valid")),
            revision: None,
            deployment: None,
            since: None,
            health,
            evidence: None,
            address: None,
            changing: None,
            needs: Vec::new(),
        };
        Cell { key: name.to_owned(), view: ArcRwSignal::new(CellView { service, checks: Vec::new() }) }
    }

    #[test]
    fn what_is_not_well_comes_first_and_unknown_is_not_healthy() {
        let _owner = Owner::new();
        _owner.set();
        let cells = [cell("a", Some(Health::Healthy)), cell("b", None), cell("c", Some(Health::Unhealthy))];
        let environments = [EnvironmentView {
            project: "shop".parse().expect("valid"),
            name: "staging".parse().expect("valid"),
            is_guarded: false,
        }];
        let project = "shop".parse().expect("valid");
        let all = Filter { q: String::new(), env: String::new(), status: String::new() };
        let names = |filter: &Filter| -> Vec<String> {
            rows(&cells, &environments, &project, filter).into_iter().map(|row| row.name).collect()
        };
        assert_eq!(names(&all), ["c", "b", "a"]);
        assert_eq!(names(&Filter { status: "unknown".to_owned(), ..all.clone() }), ["b"]);
        assert_eq!(names(&Filter { q: "C".to_owned(), ..all }), ["c"]);
    }
}
