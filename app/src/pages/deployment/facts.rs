//! Clocks of a deployment: when something was noticed, decided, back and stable.

use super::boxed::{part, text};
use crate::{
    live::{DeploymentStore, Live},
    time::{As, When, duration},
    ui::AsOf,
};
use leptos::prelude::*;
use lockstep_model::{Timestamp, deployment::StepState, view::StepView};

/// When the traffic of all that goes back was back; none while some of it is not.
fn traffic_back(steps: &[ArcRwSignal<StepView>]) -> Option<Timestamp> {
    let mut last = None;
    for step in steps {
        let (gives, undo) = step.with(|step| {
            let undo = step.tries.iter().rev().find(|one| one.is_undo);
            (step.kind.gives_traffic(), undo.map(|one| (one.finished_at, one.state)))
        });
        match undo.filter(|_| gives) {
            Some((Some(at), StepState::Undone)) => last = last.max(Some(at)),
            Some(_) => return None,
            None => {}
        }
    }
    last
}

/// Clocks: when what was noticed, decided, back, and stable again.
#[component]
pub(super) fn Facts(store: DeploymentStore) -> impl IntoView {
    let live = Live::here();
    let row = RwSignal::from(store.summary);
    let steps = RwSignal::from(store.steps);
    let clocks = Memo::new(move |_| row.with(|row| row.clocks));
    let progress = Memo::new(move |_| row.with(|row| row.progress));
    let is_over = Memo::new(move |_| row.with(|row| row.phase.is_final()));
    // What is not there yet counts with the clock, and stands when nothing is heard.
    let since = move |from: Timestamp, to: Option<Timestamp>| match (to, live.clock.get()) {
        (Some(to), _) => format!("+ {}", duration(to.since_ms(from))),
        (None, now) if now > from.0 && !is_over.get() => {
            format!("+ {} …", duration(Timestamp(now).since_ms(from) / 1_000 * 1_000))
        }
        (None, _) => "–".to_owned(),
    };
    let took = move || {
        let clocks = clocks.get();
        let (Some(start), end) = (clocks.started_at, clocks.finished_at) else {
            return if clocks.finished_at.is_some() { "never began" } else { "waits" }.to_owned();
        };
        match (end, live.clock.get()) {
            (Some(end), _) => duration(end.since_ms(start)),
            (None, 0) => "runs".to_owned(),
            (None, now) => duration(u64::try_from((now - start.0).max(0) / 1_000 * 1_000).unwrap_or(0)),
        }
    };
    let fact = |name: AnyView, number: AnyView, more: AnyView| {
        view! {
            <div class="fact"><span class="tile-name">{name}</span><span class="fact-number">{number}</span><span class="tile-more">{more}</span></div>
        }
    };
    let noticed = Memo::new(move |_| {
        row.with(|row| {
            let failed = row.failure.as_ref().and_then(|failure| {
                failure
                    .step
                    .as_ref()
                    .map(ToString::to_string)
                    .or_else(|| Some(failure.service.as_ref()?.to_string()))
            });
            failed.map_or_else(|| "the wish to end it".to_owned(), |step| format!("in {step}"))
        })
    });
    let back = Memo::new(move |_| steps.with(|steps| traffic_back(steps)));
    let detected = Memo::new(move |_| clocks.get().detected_at);
    let failure = move || {
        detected.get().map(|detected| {
            (
                fact(
                    "Detected".into_any(),
                    view! { <When at=detected shown=As::Absolute/> }.into_any(),
                    text(move || noticed.get()),
                ),
                fact(
                    "Decided".into_any(),
                    text(move || since(detected, clocks.get().decided_at)),
                    "what goes back, in which order".into_any(),
                ),
                fact(
                    "Traffic back".into_any(),
                    text(move || since(detected, back.get().or_else(|| clocks.get().stable_at))),
                    "users meet what served before".into_any(),
                ),
                fact(
                    "Verified stable".into_any(),
                    text(move || since(detected, clocks.get().stable_at)),
                    "all that went back was probed".into_any(),
                ),
            )
        })
    };
    view! {
        <AsOf/>
        <div class="facts">
            {fact("Asked for".into_any(), view! { <When at=Signal::derive(move || clocks.get().requested_at) shown=As::Absolute/> }.into_any(),
                view! { <When at=Signal::derive(move || clocks.get().requested_at)/> }.into_any())}
            {fact(text(move || if is_over.get() { "Took" } else { "Runs for" }), text(took), text(move || { let (done, of) = progress.get(); format!("{done} of {of} steps") }))}
            {part(failure)}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn step(kind: &str, undo: Option<(Option<i64>, &str)>) -> ArcRwSignal<StepView> {
        let tries: Vec<_> = undo
            .into_iter()
            .map(|(end, state)| {
                json!({"is_undo": true, "attempt": 1, "started_at": 1, "finished_at": end, "state": state,
                    "reason": null, "evidence": []})
            })
            .collect();
        let view = json!({"id": format!("a.{kind}"), "service": "a", "kind": kind, "after": [], "state": "undone",
            "tries": tries, "median_ms": null, "undo": {"type": "nothing"}});
        ArcRwSignal::new(from_value(view).expect("a step"))
    }

    #[test]
    fn traffic_is_back_when_the_last_of_it_is() {
        let _owner = Owner::new();
        _owner.set();
        let shifted = || step("shift", Some((Some(70), "undone")));
        assert_eq!(
            traffic_back(&[shifted(), step("prepare", Some((Some(90), "undone")))]),
            Some(Timestamp(70))
        );
        assert_eq!(traffic_back(&[shifted(), step("replace", Some((None, "undoing")))]), None);
        assert_eq!(traffic_back(&[shifted(), step("shift", Some((Some(80), "undo_failed")))]), None);
        assert_eq!(traffic_back(&[step("shift", None)]), None, "nothing went back");
    }
}
