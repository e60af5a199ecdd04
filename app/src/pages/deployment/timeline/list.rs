//! The timeline as a table, for everybody who would rather read.

use super::{
    super::boxed::{Each, part},
    Context,
    rows::Row,
};
use crate::{
    live::Live,
    time::duration,
    ui::{Pill, step_look},
};
use leptos::prelude::*;
use lockstep_model::{Timestamp, view::StepView};

/// All steps that fit the filter.
#[component]
pub(super) fn List(context: Context) -> impl IntoView {
    let steps = Memo::new(move |_| {
        context.rows.with(|rows| {
            let step = |row: &Row| match row {
                Row::Step(step) => Some(u64::from(*step)),
                Row::Queue | Row::Service(_) => None,
            };
            rows.iter().filter_map(step).collect::<Vec<_>>()
        })
    });
    let line = Callback::new(move |step: u64| view! { <Line context step=step as u32/> }.into_any());
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="Steps with their times">
        <table class="table">
            <caption class="sr-only">"Steps with their times"</caption>
            <thead><tr>
                <th scope="col">"Step"</th><th scope="col">"State"</th><th scope="col">"Began"</th><th scope="col">"Waited"</th>
                <th scope="col">"Took"</th><th scope="col">"Usually"</th><th scope="col">"Seen"</th>
            </tr></thead>
            <tbody>
                <Each of=steps show=line/>
            </tbody>
        </table>
        </div>
    }
}

#[component]
fn Line(context: Context, step: u32) -> impl IntoView {
    let live = Live::here();
    let known = context.steps.with_value(|steps| steps.step(step).cloned());
    let known = known.map(RwSignal::from)?;
    let id = known.with_untracked(|step| step.id.to_string());
    let look = Signal::derive(move || known.with(|step| step_look(step.state)));
    let clocks = Memo::new(move |_| context.row.with(|row| (row.clocks, row.phase)));
    let waited = move || {
        let (clocks, phase) = clocks.get();
        known.track();
        let wait = context.steps.with_value(|steps| steps.wait(step, &clocks, phase))?;
        let now = if wait.until.is_none() { live.clock.get() / 1_000 * 1_000 } else { 0 };
        let on = wait.on.as_ref().map(|on| format!(" for {on}")).unwrap_or_default();
        Some(format!("{}{on}", duration(wait.ms(now))))
    };
    let last =
        Memo::new(move |_| known.with(|step| step.last().map(|one| (one.started_at, one.finished_at))));
    let took = move || {
        let (start, end) = last.get()?;
        let end = end.unwrap_or_else(|| Timestamp(live.clock.get().max(start.0)));
        Some(duration(end.since_ms(start)))
    };
    let begun = move || {
        let first = known.with(|step| step.tries.first().map(|one| one.started_at))?;
        Some(format!("+ {}", duration(first.since_ms(Timestamp(context.axis.origin)))))
    };
    let seen = move || {
        known.with(|step: &StepView| {
            let one = step.last()?;
            one.reason.clone().or_else(|| one.evidence.last().map(|seen| seen.reason.clone()))
        })
    };
    let usually = known.with_untracked(|step| step.median_ms.map(duration));
    Some(view! {
        <tr>
            <th scope="row" class="mono">{id}</th>
            <td data-label="State"><Pill look/></td>
            <td data-label="Began" class="mono">{part(begun)}</td>
            <td data-label="Waited" class="mono">{part(waited)}</td>
            <td data-label="Took" class="mono">{part(took)}</td>
            <td data-label="Usually" class="mono">{usually}</td>
            <td data-label="Seen">{part(seen)}</td>
        </tr>
    })
}
