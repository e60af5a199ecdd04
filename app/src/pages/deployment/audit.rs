//! Who did what to a deployment.

use crate::{
    api::deployment_audit,
    codec::load,
    live::Live,
    time::{As, When},
    ui::{AsOf, Failure, Nothing},
};
use leptos::prelude::*;
use lockstep_model::{DeploymentId, api::DeploymentRequest};

/// Who did what.
#[component]
pub(super) fn Audit(id: DeploymentId) -> impl IntoView {
    let live = Live::here();
    // Asked again whenever the deployment has moved on.
    let seq = Memo::new(move |_| live.deployment(id).map(|store| store.summary.with(|row| row.seq)));
    let entries = load(move || seq.get(), move |_| deployment_audit(DeploymentRequest { id }));
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
            <div class="card-head"><h2 id="audit-title" class="font-semibold">"Who did what"</h2><AsOf/></div>
            <Transition fallback=|| view! { <div class="skeleton" aria-hidden="true"></div> }>{shown}</Transition>
        </section>
    }
}
