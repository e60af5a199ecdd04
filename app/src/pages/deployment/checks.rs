//! What was seen: the evidence of every gate, watch and undo.

use super::{
    Seen,
    boxed::{Each, part},
};
use crate::{
    live::DeploymentStore,
    ui::{AsOf, Nothing, Pill, step_look},
};
use leptos::prelude::*;
use lockstep_model::{deployment::Try, view::StepView};

/// What each gate saw.
#[component]
pub(super) fn Checks(store: DeploymentStore) -> impl IntoView {
    let steps = RwSignal::from(store.steps);
    let outside = RwSignal::from(store.outside);
    // Which steps have seen something; each of them follows itself.
    let gates = Memo::new(move |_| {
        let seen = |step: &StepView| step.tries.iter().any(has_something);
        steps.with(|steps| {
            let all = (0u64..).zip(steps).filter(|(_, step)| step.with(seen));
            all.map(|(place, _)| place).collect::<Vec<_>>()
        })
    });
    let gate = Callback::new(move |place: u64| {
        let step = steps.with_untracked(|steps| steps.get(place as usize).cloned());
        step.map(|step| view! { <Gate step/> }).into_any()
    });
    let none = move || {
        gates.with(Vec::is_empty).then(|| view! {
            <div class="card"><Nothing heading="Nothing was seen yet"><p>"What gates, watches and undos see is listed here as it comes."</p></Nothing></div>
        })
    };
    let beside = move || {
        outside.with(|outside| (!outside.is_empty()).then(|| {
        let all = outside.iter().map(|one| {
            let seen = one.evidence.clone().map(|evidence| view! { <Seen evidence/> });
            view! { <div class="steps-list"><p class="font-medium">{one.service.to_string()}</p>{seen}</div> }
        }).collect_view();
        view! {
            <section class="card mt-4" aria-labelledby="outside">
                <div class="card-head"><h2 id="outside" class="font-semibold">"Need one of these, and are not part of it"</h2></div>
                {all}
            </section>
        }
    }))
    };
    view! {
        <AsOf/>
        {part(none)}
        <div class="halves"><Each of=gates show=gate/></div>
        {part(beside)}
    }
}

fn has_something(one: &Try) -> bool {
    !one.evidence.is_empty() || one.reason.is_some()
}

/// One step, with every try that saw something.
#[component]
fn Gate(step: ArcRwSignal<StepView>) -> impl IntoView {
    let step = RwSignal::from(step);
    let id = step.with_untracked(|step| step.id.to_string());
    let look = Signal::derive(move || step.with(|step| step_look(step.state)));
    let one = |one: &Try| {
        let what = if one.is_undo { "going back" } else { "going forward" };
        view! {
            <div class="steps-list">
                <p class="text-meta text-muted flex items-center gap-2"><Pill look=step_look(one.state)/>{format!("{what}, attempt {}", one.attempt)}</p>
                {one.reason.clone().map(|reason| view! { <p class="break-words">{reason}</p> })}
                {one.evidence.iter().cloned().map(|evidence| view! { <Seen evidence/> }).collect_view()}
            </div>
        }
    };
    let tries =
        move || step.with(|step| step.tries.iter().filter(|one| has_something(one)).map(one).collect_view());
    view! {
        <section class="card" aria-label=id.clone()>
            <div class="card-head"><h2 class="font-semibold mono">{id.clone()}</h2><Pill look/></div>
            {part(tries)}
        </section>
    }
}
