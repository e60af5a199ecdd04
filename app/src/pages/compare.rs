//! Two deployments side by side.

use crate::{
    AppError,
    api::deployment_show,
    codec::load,
    query::Query,
    time::{As, When, duration},
    ui::{Failure, PageTitle, Pill, phase_look},
};
use leptos::prelude::*;
use lockstep_model::{
    DeploymentId,
    api::DeploymentRequest,
    error::ErrorKind,
    view::{DeploymentDetail, comparison},
};

async fn one(text: String) -> Result<DeploymentDetail, AppError> {
    let id = text.parse().map(DeploymentId);
    let id = id.map_err(|_| {
        AppError::new(ErrorKind::Invalid, "choose two deployments: /deployments/compare?a=12&b=15")
    })?;
    deployment_show(DeploymentRequest { id }).await
}

/// The comparison.
#[component]
pub(crate) fn ComparePage() -> impl IntoView {
    let query = Query::here();
    let asked = Memo::new(move |_| (query.get("a"), query.get("b")));
    let both =
        load(move || asked.get(), |(a, b)| async move { Ok::<_, AppError>((one(a).await?, one(b).await?)) });
    view! {
        <PageTitle text="Compare"/>
        <div class="head"><h1 class="text-h1 font-semibold">"Compare two deployments"</h1></div>
        <Transition fallback=|| view! { <div class="card skeleton" aria-hidden="true"></div> }>
            {move || both.get().map(|answer| match answer {
                Ok((a, b)) => view! { <Both a b query/> }.into_any(),
                Err(error) => { respond(&error); view! { <Failure error/><p class="mt-4"><a class="link" href="/deployments">"Choose two deployments"</a></p> }.into_any() }
            })}
        </Transition>
    }
}

/// One that is not there is said so by the page's status, too.
fn respond(error: &AppError) {
    #[cfg(feature = "ssr")]
    crate::error::respond(error.0.kind);
    let _ = error;
}

#[component]
fn Both(a: DeploymentDetail, b: DeploymentDetail, query: Query) -> impl IntoView {
    let only_changed = query.get("only") == "changed";
    let head = |detail: &DeploymentDetail| {
        let row = &detail.summary;
        view! {
            <a class="link font-medium" href=format!("/deployments/{}", row.id)>{format!("#{} {}", row.id, row.environment)}</a>
            <span class="block"><Pill look=phase_look(row.phase)/></span>
            <span class="block text-meta text-muted">{format!("by {} · ", row.by.user)}<When at=row.clocks.requested_at shown=As::Absolute/></span>
        }
    };
    let took = |detail: &DeploymentDetail| {
        let clocks = &detail.summary.clocks;
        clocks
            .finished_at
            .zip(clocks.started_at)
            .map_or_else(|| "–".to_owned(), |(end, start)| duration(end.since_ms(start)))
    };
    let (versions, times) = (comparison::versions(&a, &b), comparison::times(&a, &b));
    let words = |version: Option<String>| match version {
        None => "not part of it".to_owned(),
        Some(version) if version.is_empty() => "–".to_owned(),
        Some(version) => version,
    };
    let versions = versions
        .into_iter()
        .filter(|(_, (a, b))| !only_changed || a != b)
        .map(|(service, (a, b))| {
            let differs = a != b;
            view! {
                <tr>
                    <th scope="row">{service.to_string()}</th>
                    <td data-label="A" class="mono" class:font-semibold=differs>{words(a)}</td>
                    <td data-label="B" class="mono" class:font-semibold=differs>{words(b)}</td>
                    <td data-label="Difference">{if differs { "differs" } else { "same" }}</td>
                </tr>
            }
        })
        .collect_view();
    let none = || "–".to_owned();
    let times = times
        .into_iter()
        .filter(|(_, (a, b))| !only_changed || a != b)
        .map(|(step, (a, b))| {
            let difference = a.zip(b).map(|(a, b)| {
                if b >= a {
                    format!("▲ + {}", duration(b - a))
                } else {
                    format!("▼ − {}", duration(a - b))
                }
            });
            view! {
                <tr>
                    <th scope="row" class="mono">{step}</th>
                    <td data-label="A" class="mono">{a.map_or_else(none, duration)}</td>
                    <td data-label="B" class="mono">{b.map_or_else(none, duration)}</td>
                    <td data-label="Difference" class="mono">{difference.unwrap_or_else(none)}</td>
                </tr>
            }
        })
        .collect_view();
    let (id_a, id_b) = (a.summary.id.to_string(), b.summary.id.to_string());
    let download = |kind: &str| {
        let only = if only_changed { "&only=changed" } else { "" };
        format!("/compare.{kind}?a={id_a}&b={id_b}{only}")
    };
    view! {
        <div class="facts">
            <div class="fact"><span class="tile-name">"A"</span>{head(&a)}<span class="mono">{took(&a)}</span></div>
            <div class="fact"><span class="tile-name">"B"</span>{head(&b)}<span class="mono">{took(&b)}</span></div>
        </div>
        <div class="chips mb-3">
            <a class="chip" href=query.with(&[("only", if only_changed { "" } else { "changed" })]) aria-current=only_changed.then_some("true")>"only what differs"</a>
            <a class="chip" href=query.with(&[("a", &id_b), ("b", &id_a)])>"the other way around"</a>
            <span class="ml-auto flex items-center gap-2 text-meta">
                <a class="link" href=download("csv") rel="external" download="">"CSV"</a>
                <a class="link" href=download("json") rel="external" download="">"JSON"</a>
            </span>
        </div>
        <div class="halves">
            <section class="card" aria-labelledby="versions"><div class="card-head"><h2 id="versions" class="font-semibold">"Versions"</h2></div>
                <div class="table-scroll"><table class="table"><caption class="sr-only">"Versions of both"</caption><thead><tr><th scope="col">"Service"</th><th scope="col">"A"</th><th scope="col">"B"</th><th scope="col">"Difference"</th></tr></thead><tbody>{versions}</tbody></table></div>
            </section>
            <section class="card" aria-labelledby="times"><div class="card-head"><h2 id="times" class="font-semibold">"Times"</h2></div>
                <div class="table-scroll"><table class="table"><caption class="sr-only">"Times of both"</caption><thead><tr><th scope="col">"Step"</th><th scope="col">"A"</th><th scope="col">"B"</th><th scope="col">"Difference"</th></tr></thead><tbody>{times}</tbody></table></div>
            </section>
        </div>
    }
}
