//! All services in a list, with what serves and where it is reached.

use super::deployment::encoded;
use super::overview::FirstFrames;
use crate::{
    live::Live,
    query::Query,
    time::When,
    ui::{Nothing, PageTitle, Pill, State, service_path},
};
use leptos::prelude::*;
use lockstep_model::{live::Topic, view::ServiceView};

/// The list.
#[component]
pub(crate) fn ServicesPage() -> impl IntoView {
    view! {
        <PageTitle text="Services"/>
        <FirstFrames topics=vec![Topic::Overview] shown=|| view! { <Shown/> }/>
    }
}

#[component]
fn Shown() -> impl IntoView {
    let live = Live::here();
    let query = Query::here();
    let q = query.signal("q");
    let sort = query.signal("sort");
    let is_by_state = move || sort.with(|sort| sort == "state");
    let services = Memo::new(move |_| {
        live.overview.states.track();
        let needle = q.get().to_ascii_lowercase();
        let mut all: Vec<ServiceView> = live
            .overview
            .cells
            .with(|cells| cells.iter().map(|cell| cell.service_now(ServiceView::clone)).collect());
        all.retain(|service| service.words().contains(&needle));
        // What needs somebody comes first, where that is asked for.
        let by_state = is_by_state();
        let first = |one: &ServiceView| by_state.then(|| State::of(one));
        all.sort_by(|a, b| {
            let names =
                (&a.project, &a.service, &a.environment).cmp(&(&b.project, &b.service, &b.environment));
            first(a).cmp(&first(b)).then(names)
        });
        all
    });
    let row = |service: ServiceView| {
        let look = State::of(&service).look();
        let version = service.version.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string);
        let team = service.team.as_ref().map(ToString::to_string);
        let deployment = service
            .deployment
            .map(|id| view! { <a class="link" href=format!("/deployments/{id}")>{format!("#{id}")}</a> });
        let address = service.address.clone().map(|address| {
            let short = address.trim_start_matches("http://").trim_start_matches("https://").to_owned();
            view! { <a class="link" href=address rel="noopener noreferrer external">{short}</a> }
        });
        view! {
            <tr>
                <th scope="row"><a class="link font-medium" href=service_path(&service) data-entry="">{service.service.to_string()}</a></th>
                <td data-label="Environment">{service.environment.to_string()}</td>
                <td data-label="State"><Pill look/></td>
                <td data-label="Version" class="mono">{version}</td>
                <td data-label="Since">{service.since.map(|at| view! { <When at/> })}</td>
                <td data-label="Deployment">{deployment}</td>
                <td data-label="Team">{team}</td>
                <td data-label="Address" class="mono">{address}</td>
            </tr>
        }
    };
    let head = move |word: &'static str, order: &'static str| {
        let is_on = move || sort.with(|sort| sort == order);
        view! {
            <th scope="col" aria-sort=move || is_on().then_some("ascending")>
                <a class="sort" href=move || query.with(&[("sort", order)]) aria-current=move || is_on().then_some("true")>
                    {word}<span aria-hidden="true">{move || is_on().then_some(" ↑")}</span>
                </a>
            </th>
        }
    };
    // What is downloaded is what is listed.
    let export = move |kind: &str| match q.get() {
        q if q.is_empty() => format!("/services.{kind}"),
        q => format!("/services.{kind}?q={}", encoded(&q)),
    };
    view! {
        <div class="head">
            <h1 class="text-h1 font-semibold">"Services"</h1>
            <div class="head-actions">
                <a class="btn" href="/graph">"Dependencies"</a>
                <a class="btn" href=move || export("csv") rel="external" download="">"CSV"</a>
                <a class="btn" href=move || export("json") rel="external" download="">"JSON"</a>
            </div>
        </div>
        <section class="card" aria-label="Services">
            <div class="card-head">
                <form method="get" role="search" aria-label="Filter services" class="filter" on:submit=|event| event.prevent_default()>
                    <input class="input input-small" type="search" name="q" placeholder="Filter" aria-label="Filter services" data-key="/"
                        prop:value=move || q.get() on:input=move |event| query.set(&[("q", &event_target_value(&event))])/>
                </form>
                <span class="text-meta text-muted">{move || services.with(Vec::len)}" shown"</span>
            </div>
            <Show when=move || !services.with(Vec::is_empty) fallback=move || match q.with(String::is_empty) {
                true => view! { <Nothing heading="No service yet"><p>"Describe your services in a lockstep.yaml, then "<code>"lockstep apply"</code></p></Nothing> }.into_any(),
                false => view! { <Nothing heading="No service fits"><a class="link" href="/services">"Clear the filter"</a></Nothing> }.into_any(),
            }>
                <div class="table-scroll">
                <table class="table">
                    <caption class="sr-only">"Services with state and version"</caption>
                    <thead><tr>
                        {head("Service", "")}<th scope="col">"Environment"</th>{head("State", "state")}<th scope="col">"Version"</th>
                        <th scope="col">"Since"</th><th scope="col">"Deployment"</th><th scope="col">"Team"</th><th scope="col">"Address"</th>
                    </tr></thead>
                    <tbody>{move || services.get().into_iter().map(row).collect_view()}</tbody>
                </table>
                </div>
            </Show>
        </section>
    }
}
