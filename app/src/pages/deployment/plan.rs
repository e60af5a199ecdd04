//! What was to be done, how it would be undone, and what served before.

use super::{boxed::part, takeback::RestoreButton};
use crate::{
    live::DeploymentStore,
    time::{As, When, duration},
    ui::{AsOf, CopyButton, Nothing, Pill, step_look},
};
use leptos::prelude::*;
use lockstep_model::{
    plan::Undo,
    view::{CheckpointView, StepView},
};

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
pub(super) fn PlanShown(store: DeploymentStore) -> impl IntoView {
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
    let row = |step: ArcRwSignal<StepView>| {
        let step = RwSignal::from(step);
        // Only its state changes.
        let look = Signal::derive(move || step.with(|step| step_look(step.state)));
        step.with_untracked(|step| {
            let after: Vec<String> = step.after.iter().map(ToString::to_string).collect();
            view! {
                <tr>
                    <th scope="row" class="mono">{step.id.to_string()}</th>
                    <td data-label="After" class="mono">{(!after.is_empty()).then(|| after.join(", "))}</td>
                    <td data-label="State"><Pill look/></td>
                    <td data-label="Undone by">{undo_words(&step.undo)}</td>
                    <td data-label="Usually" class="mono">{step.median_ms.map(duration)}</td>
                </tr>
            }
        })
    };
    let copied = digest.clone();
    view! {
        {warnings}
        <section class="card" aria-labelledby="plan-title">
            <div class="card-head">
                <h2 id="plan-title" class="font-semibold">"Steps in their order"</h2>
                <span class="text-meta text-muted truncate min-w-0 flex-1">"manifest "<span class="mono">{digest}</span></span>
                <CopyButton text=copied label="Copy the manifest's digest"/>
                <AsOf/>
            </div>
            <div class="table-scroll">
            <table class="table">
                <caption class="sr-only">"Steps of the plan"</caption>
                <thead><tr><th scope="col">"Step"</th><th scope="col">"After"</th><th scope="col">"State"</th><th scope="col">"Undone by"</th><th scope="col">"Usually"</th></tr></thead>
                <tbody>{part(move || steps.get().into_iter().map(row).collect_view())}</tbody>
            </table>
            </div>
        </section>
    }
}

/// What served before, and can serve again.
#[component]
pub(super) fn Checkpoints(store: DeploymentStore) -> impl IntoView {
    let checkpoints = RwSignal::from(store.checkpoints);
    let row = RwSignal::from(store.summary);
    let one = move |one: CheckpointView| {
        let service = one.service.clone();
        view! {
            <tr>
                <th scope="row">{one.service.to_string()}</th>
                <td data-label="Version" class="mono">{one.version.map_or_else(|| "not deployed".to_owned(), |version| version.to_string())}</td>
                <td data-label="Revision" class="mono">{one.revision.map(|revision| revision.to_string())}</td>
                <td data-label="Taken"><When at=one.at shown=As::Absolute/></td>
                <td data-label="Gone back to">{one.back_at.map(|at| view! { <When at shown=As::Absolute/> })}</td>
                <td class="text-right"><RestoreButton row service/></td>
            </tr>
        }
    };
    view! {
        <section class="card" aria-labelledby="checkpoints-title">
            <div class="card-head">
                <h2 id="checkpoints-title" class="font-semibold">"What served before this deployment"</h2>
                <AsOf/>
                <span class="ml-auto"><RestoreButton row/></span>
            </div>
            <Show when=move || !checkpoints.with(Vec::is_empty) fallback=|| view! {
                <Nothing heading="No checkpoint yet"><p>"Each service's is taken in its preflight step, before anything changes."</p></Nothing>
            }>
                <div class="table-scroll">
                <table class="table">
                    <caption class="sr-only">"Checkpoints"</caption>
                    <thead><tr><th scope="col">"Service"</th><th scope="col">"Version"</th><th scope="col">"Revision"</th><th scope="col">"Taken"</th><th scope="col">"Gone back to"</th><th scope="col"><span class="sr-only">"Actions"</span></th></tr></thead>
                    <tbody>{part(move || checkpoints.get().into_iter().map(one).collect_view())}</tbody>
                </table>
                </div>
            </Show>
        </section>
    }
}
