//! The services as they stand: state, version, since when. Rendered by the server, kept fresh by
//! the client.

use crate::{
    AppError,
    api::{service_list, session_show},
    ui::{Frame, State, StateMark},
};
use leptos::prelude::*;
use leptos_meta::Title;
use lockstep_model::{
    api::{Empty, ListServices},
    view::ServiceView,
};
use std::time::Duration;

/// How often the client asks again.
const FRESH_EVERY: Duration = Duration::from_secs(5);

/// Services in the order of the page: what is not well first, then by name.
fn sorted(mut services: Vec<ServiceView>) -> Vec<ServiceView> {
    services.sort_by(|a, b| {
        let key = |service: &ServiceView| {
            (
                State::of(service),
                service.project.clone(),
                service.environment.clone(),
                service.service.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    services
}

/// The first page.
#[component]
pub(crate) fn Home() -> impl IntoView {
    let services = Resource::new(|| (), |()| service_list(ListServices { project: None, environment: None }));
    let session = Resource::new(|| (), |()| session_show(Empty {}));
    let shown = RwSignal::new(None::<Vec<ServiceView>>);
    let problem = RwSignal::new(None::<AppError>);
    Effect::new(move |_| {
        let timer = set_interval_with_handle(move || services.refetch(), FRESH_EVERY);
        if let Ok(timer) = timer {
            on_cleanup(move || timer.clear());
        }
    });
    Effect::new(move |_| match services.get() {
        // What was seen last stays while the server does not answer.
        Some(Ok(page)) => {
            shown.set(Some(sorted(page.services)));
            problem.set(None);
        }
        Some(Err(error)) => problem.set(Some(error)),
        None => {}
    });
    let user = Signal::derive(move || {
        session.get().and_then(Result::ok).map(|session| format!("{} · {}", session.user, session.role))
    });
    view! {
        <Title text="Services"/>
        <Suspense fallback=|| ()>
            {move || session.get().map(drop)}
        </Suspense>
        <Frame user>
            <div class="flex items-baseline gap-3 mb-4">
                <h1 class="text-h1 font-semibold">"Services"</h1>
                <p class="text-meta text-subtle" role="status">{move || {
                    problem.get().map(|error| format!("As it was seen last. {error}"))
                }}</p>
            </div>
            <Transition fallback=|| view! { <div class="card skeleton" aria-hidden="true"></div> }>
                {move || {
                    let answered = services.get();
                    match (shown.get(), answered) {
                        (Some(services), _) => view! { <Table services/> }.into_any(),
                        (None, Some(Ok(page))) => view! { <Table services=sorted(page.services)/> }.into_any(),
                        (None, Some(Err(error))) => view! {
                            <p role="alert" class="notice">{error.to_string()}</p>
                        }.into_any(),
                        (None, None) => ().into_any(),
                    }
                }}
            </Transition>
        </Frame>
    }
}

#[component]
fn Table(services: Vec<ServiceView>) -> impl IntoView {
    if services.is_empty() {
        return view! { <Empties/> }.into_any();
    }
    let rows = services.into_iter().map(|service| view! { <Row service/> }).collect_view();
    view! {
        <div class="card overflow-hidden">
            <table class="services">
                <caption class="sr-only">"All services with their state and version"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Service"</th>
                        <th scope="col">"Environment"</th>
                        <th scope="col">"State"</th>
                        <th scope="col">"Version"</th>
                        <th scope="col">"Deployment"</th>
                        <th scope="col">"Address"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

#[component]
fn Row(service: ServiceView) -> impl IntoView {
    let state = State::of(&service);
    let team = service.team.as_ref().map(|team| format!("{} · {team}", service.project));
    let below = team.unwrap_or_else(|| service.project.to_string());
    let seen = match state {
        State::Healthy | State::NotDeployed | State::Changing => None,
        State::Unhealthy | State::Degraded | State::Unknown => {
            service.evidence.as_ref().map(|evidence| evidence.sentence())
        }
    };
    let version = service.version.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string);
    let deployment = service.changing.or(service.deployment);
    let address = service.address.map(|address| {
        let short = address.trim_start_matches("http://").to_owned();
        view! { <a class="link" href=address rel="noopener noreferrer external">{short}</a> }
    });
    view! {
        <tr>
            <th scope="row">
                <span class="font-semibold">{service.service.to_string()}</span>
                <span class="block text-meta text-subtle font-normal">{below}</span>
            </th>
            <td data-label="Environment">{service.environment.to_string()}</td>
            <td data-label="State">
                <StateMark state/>
                {seen.map(|seen| view! { <span class="block text-meta text-muted mt-1 break-words">{seen}</span> })}
            </td>
            <td data-label="Version" class="mono">{version}</td>
            <td data-label="Deployment" class="mono">
                {deployment.map_or_else(|| "–".to_owned(), |deployment| format!("#{deployment}"))}
            </td>
            <td data-label="Address" class="mono">{address}</td>
        </tr>
    }
}

#[component]
fn Empties() -> impl IntoView {
    view! {
        <div class="card p-6">
            <h2 class="font-semibold">"No service yet"</h2>
            <p class="text-muted mt-1">"Describe your services in a lockstep.yaml, then:"</p>
            <pre class="mono mt-3 overflow-x-auto">"lockstep check -f lockstep.yaml\nlockstep apply -f lockstep.yaml\nlockstep deploy --wait"</pre>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::health::Health;

    fn service(name: &str, health: Option<Health>) -> ServiceView {
        ServiceView {
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
        }
    }

    #[test]
    fn what_is_not_well_comes_first_and_unknown_is_not_healthy() {
        let services = vec![
            service("a", Some(Health::Healthy)),
            service("b", None),
            service("c", Some(Health::Unhealthy)),
        ];
        let names: Vec<String> = sorted(services).iter().map(|s| s.service.to_string()).collect();
        assert_eq!(names, ["c", "b", "a"]);
        assert_eq!(State::of(&service("x", None)), State::Unknown);
    }
}
