//! How a deployment goes back, or went: what began it, the clocks against their limit, each service in
//! its order with what was seen afterwards, and what does not go back.

use super::Seen;
use crate::{
    live::{DeploymentStore, Live},
    time::{As, When, duration},
    ui::{AsOf, Nothing, Pill, step_look},
};
use leptos::prelude::*;
use lockstep_model::{
    StepId, Timestamp,
    view::{RollbackServiceView, RollbackTrigger, RollbackView, StepView},
};

/// The tab.
#[component]
pub(super) fn Rollback(store: DeploymentStore) -> impl IntoView {
    let rollback = store.rollback.clone();
    move || {
        match rollback.get() {
        None => view! {
            <div class="card"><Nothing heading="Nothing goes back">
                <p>"When a gate fails, a limit passes or somebody takes this deployment back, each service is shown here in its order, with what was seen."</p>
            </Nothing></div>
        }
        .into_any(),
        Some(shown) => view! { <Shown store=store.clone() shown/> }.into_any(),
    }
    }
}

#[component]
fn Shown(store: DeploymentStore, shown: RollbackView) -> impl IntoView {
    let began = match &shown.trigger {
        RollbackTrigger::Rule { step: Some(step) } => {
            format!("{step} failed, and by the manifest the release goes back")
        }
        RollbackTrigger::Rule { step: None } => "It goes back by a rule of the manifest".to_owned(),
        RollbackTrigger::Person { by } => format!("{} ended it ({})", by.user, by.via),
    };
    let steps = store.steps.clone();
    let services = shown.services.iter().map(|one| service(one, &steps)).collect_view();
    let none = shown.services.is_empty().then(|| view! {
        <Nothing heading=if shown.max_duration_ms.is_some() || !shown.stays.is_empty() { "Nothing had to go back" } else { "Running steps are being stopped" }>
            <p>"What goes back is decided when no step runs any more."</p>
        </Nothing>
    });
    let stays = (!shown.stays.is_empty()).then(|| {
        let lines = shown.stays.iter().map(|one| view! { <li><b>{one.service.to_string()}</b>{format!(": {}", one.why)}</li> });
        view! {
            <section class="card" aria-labelledby="stays"><div class="card-head"><h2 id="stays" class="font-semibold">"Does not go back"</h2></div>
            <ul class="impact p-4">{lines.collect_view()}</ul></section>
        }
    });
    let outside = RwSignal::from(store.outside.clone());
    let outside = move || {
        outside.with(|all| (!all.is_empty()).then(|| {
        let all = all.iter().map(|one| {
            let seen = one.evidence.clone().map_or_else(
                || view! { <p class="text-muted">"not looked at yet"</p> }.into_any(),
                |evidence| view! { <Seen evidence/> }.into_any(),
            );
            view! { <div class="steps-list"><p class="font-medium">{one.service.to_string()}</p>{seen}</div> }
        });
        view! {
            <section class="card" aria-labelledby="beside"><div class="card-head"><h2 id="beside" class="font-semibold">"Needs one of these, and stays"</h2></div>
            {all.collect_view()}</section>
        }
    }))
    };
    view! {
        <p class="why why-back"><b>{began}</b>". "{shown.reason.clone()}</p>
        <Clocks store shown=shown.clone()/>
        <div class="halves">
            <section class="card" aria-labelledby="goes-back">
                <div class="card-head"><h2 id="goes-back" class="font-semibold">"Goes back, in this order"</h2><AsOf/></div>
                {none}<ol>{services}</ol>
            </section>
            <div class="stack">{stays}{outside}</div>
        </div>
    }
}

/// From what was noticed to what is stable, against the limit.
#[component]
fn Clocks(store: DeploymentStore, shown: RollbackView) -> impl IntoView {
    let live = Live::here();
    let summary = store.summary;
    let RollbackView { max_duration_ms: limit, detected_at, decided_at, stable_at, .. } = shown;
    let finished_at = Memo::new(move |_| summary.with(|row| row.clocks.finished_at));
    let since = |from: Option<Timestamp>, to: Option<Timestamp>| {
        from.zip(to).map_or_else(|| "–".to_owned(), |(from, to)| format!("+ {}", duration(to.since_ms(from))))
    };
    // From the verdict to the end, or to this moment.
    let taken = move || {
        let now = Some(live.clock.get()).filter(|now| *now != 0).map(Timestamp);
        let end = stable_at.or(finished_at.get()).or(now)?;
        Some(end.since_ms(detected_at?))
    };
    let share = move || {
        let percent = |taken: u64, limit: u64| (taken * 100 / limit.max(1)).min(100);
        taken().zip(limit).map_or(0, |(taken, limit)| percent(taken, limit))
    };
    let words = move || {
        let taken = taken().map_or_else(|| "–".to_owned(), duration);
        limit.map_or_else(|| taken.clone(), |limit| format!("{taken} of {} allowed", duration(limit)))
    };
    let fill = move || match (taken(), limit) {
        (Some(taken), Some(limit)) if taken > limit => "fill-bad",
        _ => "fill-back",
    };
    let fact = |name: &'static str, value: AnyView| {
        view! {
            <div class="fact"><span class="tile-name">{name}</span><span class="fact-number">{value}</span></div>
        }
    };
    view! {
        <div class="facts" role="group" aria-label="Clocks of the rollback">
            {fact("Noticed", detected_at.map(|at| view! { <When at shown=As::Absolute/> }).into_any())}
            {fact("Decided", since(detected_at, decided_at).into_any())}
            {fact("Verified stable", since(detected_at, stable_at).into_any())}
            <div class="fact">
                <span class="tile-name">"Used"</span><span class="fact-number">{words}</span>
                <svg class="w-full" height="6" aria-hidden="true"><rect width="100%" height="6" rx="3" class="fill-idle" opacity="0.25"/><rect width=move || format!("{}%", share()) height="6" rx="3" class=fill/></svg>
            </div>
        </div>
    }
}

type Steps = ArcRwSignal<Vec<ArcRwSignal<StepView>>>;

fn service(one: &RollbackServiceView, steps: &Steps) -> impl IntoView + use<> {
    let word = |version: &Option<lockstep_model::Version>| {
        version.as_ref().map_or_else(|| "not deployed".to_owned(), ToString::to_string)
    };
    let names: Vec<String> = one.after.iter().map(ToString::to_string).collect();
    let after = (!names.is_empty())
        .then(|| view! { <p class="text-meta text-muted">{format!("after {}", names.join(", "))}</p> });
    let undone = one.steps.iter().map(|id| step(id.clone(), steps.clone())).collect_view();
    view! {
        <li class="steps-list">
            <p class="flex flex-wrap gap-2"><span class="font-medium">{one.service.to_string()}</span><span class="mono">{format!("{} → {}", word(&one.from), word(&one.to))}</span></p>
            {after}{undone}
        </li>
    }
}

/// A step that is undone, with what was seen when that had ended.
fn step(id: StepId, steps: Steps) -> impl IntoView {
    move || {
        let found =
            steps.with(|all| all.iter().find(|step| step.with_untracked(|step| step.id == id)).cloned());
        let step = found?.get();
        let last = step.last().filter(|last| last.is_undo).cloned();
        let took = last.as_ref().and_then(|last| Some(duration(last.finished_at?.since_ms(last.started_at))));
        let (reason, evidence) = last.map(|last| (last.reason, last.evidence)).unwrap_or_default();
        Some(view! {
            <p class="flex flex-wrap items-center gap-2"><Pill look=step_look(step.state)/><span class="mono">{step.id.to_string()}</span><span class="text-meta text-muted">{took}</span></p>
            {reason.map(|reason| view! { <p class="break-words">{reason}</p> })}
            {evidence.into_iter().map(|evidence| view! { <Seen evidence/> }).collect_view()}
        })
    }
}
