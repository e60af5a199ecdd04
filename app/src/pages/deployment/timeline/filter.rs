//! Which steps are shown: of one service, in some state, with some word. All of it stands in the address.

use super::{
    super::boxed::{at_times, flag, value},
    Context,
    steps::Steps,
};
use crate::query::Query;
use leptos::prelude::*;
use lockstep_model::{deployment::StepState, view::StepView};

/// What takes every filter away.
pub(super) const CLEARED: [(&str, &str); 3] = [("status", ""), ("service", ""), ("q", "")];

/// What is asked for.
#[derive(Clone, Copy)]
pub(super) struct Filter {
    pub(super) service: Memo<String>,
    status: Memo<String>,
    text: Memo<String>,
}

fn fits(status: &str, step: &StepView) -> bool {
    match status {
        "failed" => step
            .tries
            .iter()
            .any(|one| matches!(one.state, StepState::Failed | StepState::Unknown | StepState::UndoFailed)),
        "changed" => step.tries.iter().any(|one| one.is_undo),
        "running" => matches!(step.state, StepState::Running | StepState::Undoing),
        _ => true,
    }
}

impl Filter {
    pub(super) fn new(query: Query) -> Self {
        let text = query.signal("q");
        Self {
            service: query.signal("service"),
            status: query.signal("status"),
            text: Memo::new(move |_| text.get().trim().to_ascii_lowercase()),
        }
    }

    /// Whether steps are left out by what they are, not only by their service. Tracked.
    pub(super) fn is_close(self) -> bool {
        self.status.with(|status| !status.is_empty()) || self.text.with(|text| !text.is_empty())
    }

    /// Whether a step's own look fits. Tracked.
    pub(super) fn shows(self, steps: &Steps, place: u32) -> bool {
        let is_in_state = self.status.with(|status| {
            status.is_empty() || steps.step(place).is_some_and(|step| step.with(|step| fits(status, step)))
        });
        is_in_state && self.text.with(|text| text.is_empty() || steps.says(place, text))
    }
}

/// What the filter is chosen with.
#[component]
pub(super) fn Tools(context: Context) -> impl IntoView {
    let Context { query, filter, .. } = context;
    let chips = [("", "all statuses"), ("failed", "failed"), ("changed", "back"), ("running", "running")].map(|(key, word)| view! {
        <a class="chip" href=value(move || query.with(&[("status", key)])) aria-current=at_times("true", move || filter.status.get() == key)>{word}</a>
    });
    let typed = query.signal("q");
    let names: Vec<String> =
        context.steps.with_value(|steps| steps.services.iter().map(|(name, _)| name.to_string()).collect());
    let services = (names.len() > 1).then(|| {
        let all = format!("{} services", names.len());
        let option = |name: String| {
            let known = name.clone();
            view! { <option value=name.clone() selected=flag(move || filter.service.with(|one| *one == known))>{name.clone()}</option> }
        };
        view! {
            <select class="input input-small gantt-services" name="service" aria-label="Show the steps of"
                on:change=move |event| query.set(&[("service", &event_target_value(&event))])>
                <option value="" selected=flag(move || filter.service.with(String::is_empty))>{all}</option>
                {names.into_iter().map(option).collect_view()}
            </select>
        }
    });
    view! {
        <div class="chips" role="group" aria-label="Show only">{chips}</div>
        {services}
        <form method="get" role="search" aria-label="Filter the timeline" class="filter" on:submit=|event| event.prevent_default()>
            <input class="input input-small" type="search" name="q" placeholder="Step, service, reason" aria-label="Filter the timeline" data-key="/"
                prop:value=value(move || typed.get()) on:input=move |event| query.set(&[("q", &event_target_value(&event))])/>
        </form>
    }
}
