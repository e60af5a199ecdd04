//! What needs what: the services of an environment as a drawing and as a table, with what fails first.

use super::{deployment::encoded, overview::FirstFrames};
use crate::{
    api::service_graph,
    codec::load,
    live::Live,
    query::Query,
    ui::boxed::{at_times, part, text, value},
    ui::{Failure, Nothing, PageTitle, State},
};
use drawing::Drawing;
use leptos::prelude::*;
use lockstep_model::{
    EnvironmentName, ProjectName,
    api::EnvironmentRequest,
    graph::GraphView,
    live::Topic,
    view::{EnvironmentView, ServiceView},
};
use std::sync::Arc;
use table::{Focused, Table};

mod drawing;
mod table;

/// The page.
#[component]
pub(crate) fn GraphPage() -> impl IntoView {
    view! {
        <PageTitle text="Dependencies"/>
        <FirstFrames topics=vec![Topic::Overview] shown=|| view! { <Shown/> }/>
    }
}

/// An environment, and how its services need each other as far as that is known here: another one is drawn
/// anew.
type Asked = Option<(ProjectName, EnvironmentName, String)>;

async fn drawn(asked: Asked) -> Result<Option<GraphView>, crate::AppError> {
    let Some((project, environment, _)) = asked else { return Ok(None) };
    service_graph(EnvironmentRequest { project: Some(project), environment: Some(environment) })
        .await
        .map(Some)
}

#[component]
fn Shown() -> impl IntoView {
    let live = Live::here();
    let query = Query::here();
    let (project, environment) = (query.signal("project"), query.signal("env"));
    // What the address names, else the first one.
    let here = Memo::new(move |_| {
        let is_named = |one: &EnvironmentView| {
            project.with(|name| name.is_empty() || one.project.as_str() == name)
                && environment.with(|name| name.is_empty() || one.name.as_str() == name)
        };
        live.overview.environments.with(|all| all.iter().find(|one| is_named(one)).cloned())
    });
    let services = Memo::new(move |_| {
        live.overview.states.track();
        let Some(here) = here.get() else { return Vec::new() };
        let is_here = |one: &ServiceView| one.project == here.project && one.environment == here.name;
        live.overview.cells.with(|cells| {
            let here = cells.iter().filter(|cell| cell.service_now(is_here));
            here.map(|cell| cell.service_now(ServiceView::clone)).collect::<Vec<_>>()
        })
    });
    let asked = Memo::new(move |_| {
        here.get().map(|here| {
            let mut shape = String::new();
            services.with(|all| {
                for one in all {
                    shape.push_str(one.service.as_str());
                    one.needs.iter().for_each(|need| shape.extend([">", need.as_str()]));
                    shape.push(' ');
                }
            });
            (here.project, here.name, shape)
        })
    });
    let begun = load(move || asked.get(), drawn);
    view! {
        <div class="head">
            <h1 class="text-h1 font-semibold">"Dependencies"</h1>
            <div class="head-actions"><a class="btn" href="/services">"All services"</a></div>
        </div>
        <Environments here/>
        <Suspense fallback=|| view! { <div class="card skeleton" aria-hidden="true"></div> }>
            {move || begun.get().map(|answer| match answer {
                Ok(Some(graph)) => view! { <Graph graph services/> }.into_any(),
                Ok(None) => view! { <Nothing heading="No environment here"><a class="link" href="/graph">"Show the first one"</a></Nothing> }.into_any(),
                Err(error) => view! { <Failure error/> }.into_any(),
            })}
        </Suspense>
    }
}

#[component]
fn Environments(here: Memo<Option<EnvironmentView>>) -> impl IntoView {
    let live = Live::here();
    let all = move || {
        let all = live.overview.environments.get();
        let several = all.iter().any(|one| one.project != all[0].project);
        let one = move |one: EnvironmentView| {
            let words = match several {
                true => format!("{} · {}", one.project, one.name),
                false => one.name.to_string(),
            };
            let address = format!(
                "/graph?project={}&env={}",
                encoded(one.project.as_str()),
                encoded(one.name.as_str())
            );
            let is_on = move || {
                here.with(|here| {
                    here.as_ref().is_some_and(|here| here.project == one.project && here.name == one.name)
                })
            };
            view! { <a class="chip" href=address aria-current=at_times("true", is_on)>{words}</a> }
        };
        all.into_iter().map(one).collect_view()
    };
    view! { <nav class="chips mb-4" aria-label="Environments">{part(all)}</nav> }
}

/// A service as it is shown.
#[derive(Clone, PartialEq)]
struct Node {
    state: State,
    version: String,
    needs: Vec<usize>,
    needed_by: Vec<usize>,
    /// It fails, and nothing that it needs does.
    is_cause: bool,
    is_shown: bool,
}

/// What all parts of the page share.
#[derive(Clone, Copy)]
struct Seen {
    graph: StoredValue<Arc<GraphView>>,
    nodes: Memo<Vec<Node>>,
    query: Query,
}

impl Seen {
    fn name(self, place: usize) -> String {
        self.graph.with_value(|graph| graph.nodes[place].service.to_string())
    }

    /// The address that shows what stands around a service, or all when it is shown already.
    fn around(self, place: usize) -> String {
        let name = self.name(place);
        let is_on = self.query.get("focus") == name;
        self.query.with(&[("focus", if is_on { "" } else { &name })])
    }

    fn is_cascade(self, from: usize, to: usize) -> bool {
        self.nodes.with(|all| fails(all[from].state) && fails(all[to].state))
    }
}

const fn fails(state: State) -> bool {
    matches!(state, State::Unhealthy | State::Degraded)
}

/// How each service is, and whether it is shown.
fn nodes(
    graph: &GraphView,
    services: &[ServiceView],
    focus: &str,
    depth: usize,
    only_failing: bool,
) -> Vec<Node> {
    let mut all: Vec<Node> = graph
        .nodes
        .iter()
        .map(|node| {
            let service = services.iter().find(|one| one.service == node.service);
            Node {
                state: service.map_or(State::Unknown, State::of),
                version: service
                    .and_then(|one| one.version.as_ref())
                    .map_or_else(|| "–".to_owned(), ToString::to_string),
                needs: Vec::new(),
                needed_by: Vec::new(),
                is_cause: false,
                is_shown: false,
            }
        })
        .collect();
    for (from, to) in &graph.edges {
        let (from, to) = (*from as usize, *to as usize);
        all[to].needs.push(from);
        all[from].needed_by.push(to);
    }
    let is_failing: Vec<bool> = all.iter().map(|one| fails(one.state)).collect();
    let focused = graph.nodes.iter().position(|node| node.service.as_str() == focus);
    let mut shown: Vec<usize> = match focused {
        Some(place) => vec![place],
        None => (0..all.len()).filter(|place| !only_failing || is_failing[*place]).collect(),
    };
    // What stands around it, step by step.
    let steps = if focused.is_some() { depth } else { usize::from(only_failing) };
    for _ in 0..steps {
        let near: Vec<usize> = shown
            .iter()
            .flat_map(|one| all[*one].needs.iter().chain(&all[*one].needed_by))
            .copied()
            .collect();
        shown.extend(near);
        shown.sort_unstable();
        shown.dedup();
    }
    for (place, node) in all.iter_mut().enumerate() {
        node.is_shown = shown.contains(&place);
        node.is_cause = is_failing[place] && !node.needs.iter().any(|need| is_failing[*need]);
    }
    all
}

#[component]
fn Graph(graph: GraphView, services: Memo<Vec<ServiceView>>) -> impl IntoView {
    let query = Query::here();
    let (focus, depth, show, view) =
        (query.signal("focus"), query.signal("depth"), query.signal("show"), query.signal("view"));
    let count = graph.count;
    let is_drawn = !graph.nodes.is_empty();
    let graph = Arc::new(graph);
    let kept = graph.clone();
    let nodes = Memo::new(move |_| {
        let depth = depth.with(|depth| depth.parse().unwrap_or(1)).clamp(1, 3);
        services.with(|all| nodes(&kept, all, &focus.get(), depth, show.with(|show| show == "failing")))
    });
    let seen = Seen { graph: StoredValue::new(graph), nodes, query };
    if !is_drawn {
        return if count == 0 {
            view! { <Nothing heading="No service yet"><p>"Describe your services in a lockstep.yaml, then "<code>"lockstep apply"</code></p></Nothing> }.into_any()
        } else {
            view! { <Nothing heading="Too many to draw"><p>{format!("{count} services are here. What one of them needs stands on its own page: ")}<a class="link" href="/services">"all services"</a></p></Nothing> }.into_any()
        };
    }
    let is_focused = Memo::new(move |_| {
        focus.with(|focus| {
            seen.graph.with_value(|graph| graph.nodes.iter().position(|node| node.service.as_str() == *focus))
        })
    });
    let told = move || {
        let (shown, failing) = nodes.with(|all| {
            (all.iter().filter(|one| one.is_shown).count(), all.iter().filter(|one| fails(one.state)).count())
        });
        let failing = match failing {
            0 => String::new(),
            1 => ", one fails".to_owned(),
            more => format!(", {more} fail"),
        };
        match shown == count as usize {
            true => format!("{count} services{failing}"),
            false => format!("{shown} of {count} services{failing}"),
        }
    };
    let is_filtered = move || is_focused.get().is_some() || show.with(|show| show == "failing");
    let chip = move |name: &'static str, key: &'static str, word: &'static str, usual: bool| {
        let is_on = move || query.get(name) == key || usual && query.get(name).is_empty();
        let href = value(move || query.with(&[(name, if usual { "" } else { key })]));
        view! { <a class="chip" href=href aria-current=at_times("true", is_on)>{word}</a> }
    };
    view! {
        <section class="card mb-4" aria-label="Services and what they need" data-view=value(move || view.get())>
            <div class="card-head">
                <div class="chips" role="group" aria-label="Which">
                    {part(move || is_filtered().then(|| view! {
                        <a class="chip" href=query.with(&[("focus", ""), ("depth", ""), ("show", "")])>"Show all"</a>
                    }))}
                    {chip("show", "failing", "Failing and around", false)}
                    {part(move || is_focused.get().map(|_| view! {
                        {chip("depth", "1", "1 step around", true)}{chip("depth", "2", "2 steps", false)}{chip("depth", "3", "3 steps", false)}
                    }))}
                </div>
                <p class="text-meta text-muted" role="status">{text(told)}</p>
                <div class="chips ml-auto" role="group" aria-label="How">
                    {chip("view", "graph", "Drawing", false)}
                    {chip("view", "table", "Table", false)}
                </div>
            </div>
            <Drawing seen/>
            {part(move || is_focused.get().map(|place| view! { <Focused seen place/> }))}
            <Table seen/>
        </section>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::graph::GraphNode;

    /// a <- b <- c <- d, and e alone.
    fn graph() -> GraphView {
        let node = |name: &str| GraphNode { service: name.parse().unwrap(), x: 0, y: 0 };
        GraphView {
            project: "shop".parse().unwrap(),
            environment: "prod".parse().unwrap(),
            nodes: ["a", "b", "c", "d", "e"].map(node).to_vec(),
            edges: vec![(0, 1), (1, 2), (2, 3)],
            width: 0,
            height: 0,
            count: 5,
        }
    }

    fn shown(focus: &str, depth: usize, only_failing: bool) -> Vec<usize> {
        let all = nodes(&graph(), &[], focus, depth, only_failing);
        (0..all.len()).filter(|place| all[*place].is_shown).collect()
    }

    #[test]
    fn what_is_shown_stands_around_what_was_chosen() {
        assert_eq!(shown("", 1, false), [0, 1, 2, 3, 4]);
        assert_eq!(shown("b", 1, false), [0, 1, 2]);
        assert_eq!(shown("a", 3, false), [0, 1, 2, 3]);
        assert_eq!(shown("e", 3, false), [4]);
        // A service that is not there filters nothing; nothing fails.
        assert_eq!(shown("x", 1, false).len(), 5);
        assert_eq!(shown("", 1, true), [] as [usize; 0]);
    }
}
