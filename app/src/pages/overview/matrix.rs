//! Services by environment: how each one is, what needs somebody first.

use super::{
    arrange::{Arrange, Arranged, chip},
    order::{follow, kept},
};
use crate::{
    live::{Cell, Live},
    prefs::Preferences,
    query::Query,
    time::{When, clock_time, duration},
    ui::boxed::{flag, part, text, value},
    ui::{AsOf, Nothing, Pill, State, health_look, service_path},
};
use leptos::{either::Either, prelude::*};
use lockstep_model::{
    ProjectName, Timestamp,
    deployment::Phase,
    health::Health,
    live::{CHECKS_SHOWN, CellView},
    view::{EnvironmentView, ServiceView},
};
use std::{fmt::Write, sync::Arc};

/// A service with its cells, one an environment.
pub(super) struct Row {
    pub(super) name: String,
    below: String,
    cells: Vec<Option<Cell>>,
    /// Another one is drawn anew.
    pub(super) key: String,
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

#[cfg(test)]
impl Row {
    /// One without cells.
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), below: String::new(), cells: Vec::new(), key: name.to_owned() }
    }
}

const NO_FILTER: [(&str, &str); 3] = [("q", ""), ("env", ""), ("status", "")];

#[derive(Clone, PartialEq, Eq)]
struct Filter {
    q: String,
    env: String,
    status: String,
    arranged: Arranged,
}

/// The rows of a project in the order of the page: what needs somebody first, unless asked otherwise.
fn rows(
    cells: &[Cell],
    environments: &[EnvironmentView],
    project: &ProjectName,
    filter: &Filter,
) -> Vec<Arc<Row>> {
    // By name.
    let arranged = &filter.arranged;
    let mut found = Vec::<(State, Option<Timestamp>, bool, Row)>::new();
    for cell in cells {
        cell.service_now(|service| {
            let Some(column) = environments.iter().position(|one| one.name == service.environment) else {
                return;
            };
            if service.project != *project {
                return;
            }
            let in_list = arranged.is_list.then(|| format!("{} in {}", service.service, service.environment));
            let name = in_list.as_deref().unwrap_or(service.service.as_str());
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
                    let columns = if arranged.is_list { 1 } else { environments.len() };
                    let key = format!("{name} {below} {columns}");
                    let row = Row { name: name.to_owned(), below, cells: vec![None; columns], key };
                    found.insert(place, (State::NotDeployed, None, false, row));
                    place
                });
            let (worst, since, fits, row) = &mut found[place];
            let state = State::of(service);
            *worst = (*worst).min(state);
            *since = (*since).max(service.since);
            *fits |= filter.status.is_empty() || state.key() == filter.status;
            row.key.push(' ');
            row.key.push_str(service.environment.as_str());
            row.cells[if arranged.is_list { 0 } else { column }] = Some(cell.clone());
        });
    }
    let needle = filter.q.to_ascii_lowercase();
    // By name already, and put in one by one: what sorts is kilobytes of code.
    let mut rows = Vec::<(i64, Arc<Row>)>::new();
    for (state, since, is_wanted, row) in found {
        if is_wanted
            && (row.name.to_ascii_lowercase().contains(&needle)
                || row.below.to_ascii_lowercase().contains(&needle))
        {
            let rank = arranged.rank(state, since);
            let at = rows.partition_point(|(known, _)| *known <= rank);
            rows.insert(at, (rank, Arc::new(row)));
        }
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

/// What was told last of a cell: which, the place of the look, and the words.
#[derive(Clone, Copy)]
struct Told(RwSignal<(String, usize, String)>);

#[component]
pub(super) fn Matrix() -> impl IntoView {
    let live = Live::here();
    let query = Query::here();
    let told = RwSignal::new((String::new(), 0, String::new()));
    provide_context(Told(told));
    let filter = Memo::new(move |_| Filter {
        q: query.get("q"),
        env: query.get("env"),
        status: query.get("status"),
        arranged: Arranged::of(query),
    });
    let is_filtered = Memo::new(move |_| query.has(&["q", "env", "status"]));
    let projects = Memo::new(move |_| {
        live.overview.environments.with(|all| {
            let mut projects: Vec<ProjectName> = all.iter().map(|one| one.project.clone()).collect();
            projects.dedup();
            projects
        })
    });
    let of_state = move |state: State| {
        let is_on = move || filter.with(|filter| filter.status == state.key());
        let target = move || query.with(&[("status", if is_on() { "" } else { state.key() })]);
        chip(state.look().word.to_owned(), target, is_on)
    };
    let environments = move || {
        // By name, each once.
        let mut names = Vec::<String>::new();
        live.overview.environments.with(|all| {
            for name in all.iter().map(|one| one.name.as_str()) {
                if let Err(at) = names.binary_search_by(|known| known.as_str().cmp(name)) {
                    names.insert(at, name.to_owned());
                }
            }
        });
        names
            .into_iter()
            .map(|name| {
                let label = name.clone();
                let is_on = {
                    let name = name.clone();
                    move || filter.with(|filter| filter.env == name)
                };
                let toggle = {
                    let is_on = is_on.clone();
                    move || query.with(&[("env", if is_on() { "" } else { &name })])
                };
                chip(label, toggle, is_on)
            })
            .collect_view()
    };
    view! {
        <section class="card" aria-labelledby="services-title">
            <div class="card-head">
                <h2 id="services-title" class="font-semibold">"Services"</h2>
                <AsOf/>
                <form method="get" role="search" aria-label="Filter services" class="filter" on:submit=|event| event.prevent_default()>
                    <input class="input input-small" type="search" name="q" placeholder="Filter services" aria-label="Filter services" data-key="/"
                        prop:value=move || filter.with(|filter| filter.q.clone())
                        on:input=move |event| query.set(&[("q", &event_target_value(&event))])/>
                </form>
                <span class="ml-auto flex gap-2 text-meta">
                    <a class="link" href="/services.csv" rel="external" download="">"CSV"</a>
                    <a class="link" href="/services.json" rel="external" download="">"JSON"</a>
                </span>
                <div class="chips" role="group" aria-label="Show only">
                    {[State::Unhealthy, State::Degraded, State::Unknown, State::Changing, State::Healthy].map(of_state)}
                    {environments}
                </div>
                {part(move || is_filtered.get().then(|| view! { <a class="link text-meta" href=value(move || query.with(&NO_FILTER))>"Clear filters"</a> }))}
                <Arrange query/>
            </div>
            <p role="status" class:cell-told=flag(move || told.with(|(key, ..)| !key.is_empty()))>{text(move || told.with(|(.., words)| words.clone()))}</p>
            <For each=move || projects.get() key=|project| project.clone() let(project)>
                <ProjectTable project filter several=Signal::derive(move || projects.with(|all| all.len() > 1))/>
            </For>
        </section>
    }
}

#[component]
fn ProjectTable(project: ProjectName, filter: Memo<Filter>, several: Signal<bool>) -> impl IntoView {
    let (live, query) = (Live::here(), Query::here());
    let is_list = Memo::new(move |_| filter.with(|filter| filter.arranged.is_list));
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
    let shown = Memo::new(move |_| {
        live.overview.states.track();
        live.overview.cells.with(|cells| {
            columns.with(|columns| filter.with(|filter| rows(cells, columns, &project, filter)))
        })
    });
    // The page moves rows by itself: of another order the list is told nothing.
    let rows = Memo::new(move |was: Option<&Vec<Arc<Row>>>| {
        shown.with(|shown| was.map_or_else(|| shown.clone(), |was| kept(was, shown)))
    });
    let body = NodeRef::new();
    follow(body, shown);
    let row = move |row: Arc<Row>| {
        let is_list = is_list.get_untracked();
        let cells = row
            .cells
            .iter()
            .cloned()
            .zip(columns.get_untracked())
            .map(|(cell, environment)| {
                // A row of the list says the environment in its name.
                let label = (!is_list).then(|| environment.name.to_string());
                match cell {
                    Some(cell) => {
                        Either::Left(view! { <td role="cell" data-label=label><CellShown cell/></td> })
                    }
                    None => Either::Right(
                        view! { <td role="cell" data-label=label class="text-subtle">"no target"</td> },
                    ),
                }
            })
            .collect_view();
        let (name, below) = (row.name.clone(), row.below.clone());
        // Browsers leave out what is far from the screen, and say when that changes.
        let follow = move |event: web_sys::Event| {
            let skipped = js_sys::Reflect::get(&event, &"skipped".into());
            let is_near = !skipped.is_ok_and(|skipped| skipped.is_truthy());
            row.cells.iter().flatten().for_each(|cell| cell.set_near(is_near));
        };
        view! {
            <tr role="row" data-row=name.clone() on:contentvisibilityautostatechange=follow>
                <th role="rowheader" scope="row">
                    <span class="font-semibold">{name.clone()}</span>
                    <span class="block text-meta text-subtle font-normal">{below}</span>
                </th>
                {cells}
            </tr>
        }
    };
    view! {
        {part(move || several.get().then(|| view! { <h3 class="group-title">{name.clone()}</h3> }))}
        <Show when=move || !shown.with(Vec::is_empty) fallback=move || view! {
            <Nothing heading="No service fits the filter"><a class="link" href=value(move || query.with(&NO_FILTER))>"Clear filters"</a></Nothing>
        }>
            <div class="table-scroll matrix-scroll" data-columns=move || if is_list.get() { 1 } else { columns.with(Vec::len).min(8) }>
            <table role="table" class="matrix" class:matrix-list=flag(move || is_list.get())>
                <caption class="sr-only">"Services by environment; those that need somebody first"</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Service"</th>
                        {part(move || match is_list.get() {
                            true => vec!["State".to_owned()],
                            false => columns.with(|all| all.iter().map(|one| one.name.to_string()).collect()),
                        }.into_iter().map(|name| view! { <th role="columnheader" scope="col">{name}</th> }).collect_view())}
                    </tr>
                </thead>
                <tbody role="rowgroup" node_ref=body>
                    <For each=move || rows.get() key=|row| row.key.clone() children=row/>
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
    let service = {
        let cell = cell.clone();
        Memo::new(move |_| cell.service(ServiceView::clone))
    };
    let state = Memo::new(move |_| service.with(State::of));
    let look = Signal::derive(move || state.get().look());
    let version = move || {
        service.with(|service| service.version.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string))
    };
    let is_paused = move |id| {
        live.overview
            .deployments
            .with(|all| all.iter().any(|card| card.summary.id == id && card.summary.phase == Phase::Paused))
    };
    let below = move || {
        service.with(|service| match (service.changing, service.since) {
            (Some(id), _) => {
                let paused = if is_paused(id) { ", paused" } else { "" };
                let words = format!("deployment #{id}{paused}");
                Either::Left(view! { <a class="link" href=format!("/deployments/{id}")>{words}</a> })
            }
            (None, Some(at)) => Either::Right(Either::Left(view! { <span>"deployed "<When at/></span> })),
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
        let cell = cell.clone();
        Memo::new(move |_| cell.view(CellView::p95_ms))
    };
    let p95 = move || {
        p95.get().map(|ms| if ms == 0 { "p95 < 1 ms".to_owned() } else { format!("p95 {}", duration(ms)) })
    };
    let path = service.with_untracked(service_path);
    let name = service.with_untracked(|service| format!("{} in {}", service.service, service.environment));
    // The bars one by one, in words, without a stop of the Tab key for each.
    let Told(told) = expect_context();
    let prefs = Preferences::here();
    let on_key = {
        let (cell, name) = (cell.clone(), name.clone());
        move |event: leptos::ev::KeyboardEvent| {
            let step: isize = match event.key().as_str() {
                "ArrowLeft" => -1,
                "ArrowRight" => 1,
                _ => return,
            };
            event.prevent_default();
            cell.view_now(|view| {
                let count = view.checks.len();
                let place = told.with_untracked(|(key, place, _)| (*key == cell.key).then_some(*place));
                let place = place.map_or(count.saturating_sub(1), |place| place.saturating_add_signed(step));
                let place = place.min(count.saturating_sub(1));
                let words = view.checks.get(place).map_or_else(
                    || format!("{name}: not looked at yet"),
                    |check| {
                        let at = prefs.with(|prefs| clock_time(check.at, &prefs.zone));
                        let (word, took) = (health_look(check.health).word, duration(check.latency_ms));
                        format!("{name}, look {} of {count}: {word} at {at}, {took}", place + 1)
                    },
                );
                told.set((cell.key.clone(), place, words));
            });
        }
    };
    view! {
        <div class="cell" class:is-stale=flag(move || live.is_stale.get())>
            <span class="cell-line">
                <a class="cell-state" href=path aria-label=value(move || format!("{name}: {}", look.get().word)) data-entry="" on:keydown=on_key><Pill look/></a>
                <span class="mono">{text(version)}</span>
            </span>
            <Checks cell/>
            <span class="cell-line text-meta text-subtle">{part(below)}<span class="mono">{text(p95)}</span></span>
            {part(seen)}
        </div>
    }
}

/// The last looks as bars: one path a kind, so that hundreds of them cost little.
#[component]
fn Checks(cell: Cell) -> impl IntoView {
    let paths = Memo::new(move |_| {
        cell.view(|view| {
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
    const FILLS: [&str; 4] = ["fill-ok", "fill-warn", "fill-bad", "fill-idle"];
    // What nobody sees is not in the page: nearly all looks are of one kind.
    let drawn = move || {
        paths.with(|(paths, _)| {
            let all = FILLS.into_iter().zip(paths).filter(|(_, path)| !path.is_empty());
            all.map(|(class, path)| view! { <path class=class d=path.clone()/> }).collect_view()
        })
    };
    view! {
        <svg class="checks" viewBox="0 0 178 14" preserveAspectRatio="none" role="img" aria-label=value(move || paths.with(|(_, words)| words.clone()))>
            {part(drawn)}
        </svg>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leptos::prelude::Owner;
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
        Cell::new(CellView { service, checks: Vec::new() })
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
        let all = Filter {
            q: String::new(),
            env: String::new(),
            status: String::new(),
            arranged: Arranged::default(),
        };
        let names = |filter: &Filter| -> Vec<String> {
            rows(&cells, &environments, &project, filter).iter().map(|row| row.name.clone()).collect()
        };
        assert_eq!(names(&all), ["c", "b", "a"]);
        assert_eq!(names(&Filter { status: "unknown".to_owned(), ..all.clone() }), ["b"]);
        assert_eq!(names(&Filter { q: "C".to_owned(), ..all.clone() }), ["c"]);
        let arranged = Arranged { is_list: true, sort: "name".to_owned() };
        assert_eq!(
            names(&Filter { arranged, ..all }),
            ["a in staging", "b in staging", "c in staging"],
            "the list says where"
        );
    }
}
