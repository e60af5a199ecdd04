//! Steering a deployment on its way: pause and resume, leave a step out, try one again, end it and
//! keep what serves already.

use super::{
    super::acts::{Act, ActButton, Doing},
    boxed::{click, part},
    controls::ask_when_told,
    focus::keep_focus,
};
use crate::{
    api::{
        deployment_cancel, deployment_pause, deployment_resume, deployment_service_keep,
        deployment_service_retry, deployment_step_retry, deployment_step_skip,
    },
    live::DeploymentStore,
    ui::{Ask, Dialog, Glyph, Pill, Reason, Then, step_look},
};
use leptos::prelude::*;
use lockstep_model::{
    ServiceName, StepId,
    access::Permission,
    api::{EndDeployment, KeepService, PauseDeployment, RetryService, RetryStep, SkipStep},
    deployment::StepState,
    pause::ResumeDeployment,
    view::{DeploymentSummary, ServiceProgress, StepView},
};

fn given(reason: String) -> Option<String> {
    Some(reason).filter(|reason| !reason.trim().is_empty())
}

/// Nothing is lost by it, and it can go on at once: all that is asked is why, which may be left out, and
/// the words about it offer to undo it.
#[component]
pub(super) fn PauseButton(row: RwSignal<DeploymentSummary>) -> impl IntoView {
    let doing = Doing::here();
    let ask = Callback::new(move |()| {
        let id = row.with_untracked(|row| row.id);
        doing.questions.ask(Ask {
            title: format!("Pause #{id}"),
            impact: vec![
                "What runs comes to its end; nothing else begins until somebody resumes it.".to_owned(),
            ],
            must_type: None,
            reason: Reason::Optional,
            verb: "Pause",
            is_risky: false,
            then: Then::new(move |reason| {
                let request = PauseDeployment { id, reason: given(reason) };
                // It is this pause that is taken back; somebody else's, made meanwhile, stays.
                let undo = move |made: &DeploymentSummary| {
                    let pause = made.paused.as_ref().map(|paused| paused.seq);
                    doing.undo("Goes on", deployment_resume(ResumeDeployment { id, pause }));
                };
                doing.run_undoable(Act::of("Pause"), "Paused", deployment_pause(request), undo);
            }),
        });
    });
    ask_when_told("pause", doing, ask);
    view! {
        <ActButton words="Pause" going="Pausing…" permission=Permission::Operate glyph=Glyph::Paused on_click=ask/>
    }
}

/// It can be paused again at once, so nothing is asked before.
#[component]
pub(super) fn ResumeButton(row: RwSignal<DeploymentSummary>) -> impl IntoView {
    let doing = Doing::here();
    let resume = Callback::new(move |()| {
        let (id, stands) = row.with_untracked(|row| (row.id, row.paused.clone()));
        let pause = stands.as_ref().map(|paused| paused.seq);
        let reason = stands.and_then(|paused| paused.reason);
        let undo = move |_: &DeploymentSummary| {
            let request = PauseDeployment { id, reason: reason.clone() };
            doing.undo("Paused again", deployment_pause(request));
        };
        let request = deployment_resume(ResumeDeployment { id, pause });
        doing.run_undoable(Act::of("Resume"), "Goes on", request, undo);
    });
    view! {
        <ActButton words="Resume" going="Resuming…" permission=Permission::Operate class="btn btn-primary" glyph=Glyph::Run on_click=resume/>
    }
}

/// Ends it where it stands; offered once there is something to keep.
#[component]
pub(super) fn KeepButton(row: RwSignal<DeploymentSummary>) -> impl IntoView {
    let doing = Doing::here();
    let keeps = |state: ServiceProgress| matches!(state, ServiceProgress::Done | ServiceProgress::Watching);
    let is_useful = Memo::new(move |_| row.with(|row| row.services.iter().any(|change| keeps(change.state))));
    let ask = Callback::new(move |()| {
        let now = row.get_untracked();
        let id = now.id;
        let mut impact = vec!["No further step begins; those that run are stopped.".to_owned()];
        impact.extend(now.services.iter().filter_map(|change| match change.state {
            ServiceProgress::Pending | ServiceProgress::Untouched => None,
            state if keeps(state) => Some(match &change.to {
                Some(to) => format!("{} keeps {to}", change.service),
                None => format!("{} stays ended", change.service),
            }),
            _ => Some(format!("{} is in between and goes back", change.service)),
        }));
        impact.push("Versions that were never deployed together may serve side by side.".to_owned());
        doing.questions.ask(Ask {
            title: format!("End #{id} and keep what serves"),
            impact,
            must_type: None,
            reason: Reason::Optional,
            verb: "End and keep",
            is_risky: true,
            then: Then::new(move |reason| {
                let request = EndDeployment { id, reason: given(reason), keep: true };
                doing.run(Act::of("End and keep"), "Asked to end", deployment_cancel(request));
            }),
        });
    });
    view! {
        <Show when=move || is_useful.get()>
            <ActButton words="End and keep" going="Ending…" permission=Permission::Operate glyph=Glyph::Close on_click=ask/>
        </Show>
    }
}

fn may_retry(step: &StepView) -> bool {
    matches!(step.state, StepState::Running | StepState::Failed | StepState::Unknown)
}

fn may_skip(step: &StepView) -> bool {
    step.kind.is_optional() && (may_retry(step) || step.state == StepState::Pending)
}

/// Services of which everything that failed can be tried again (true), or of which only looking is left,
/// so that they can be kept as they are (false).
fn services(steps: &[StepView]) -> Vec<(ServiceName, bool)> {
    let mut found = Vec::new();
    for step in steps {
        if found.iter().any(|(service, _)| *service == step.service) {
            continue;
        }
        let own = || steps.iter().filter(|one| one.service == step.service);
        let failed = own().any(|one| matches!(one.state, StepState::Failed | StepState::Unknown));
        // A canary's share is not kept: it has all the traffic, or it goes back.
        let has_all = |one: &StepView| {
            one.kind.gives_traffic() && one.weight.is_none() && one.state == StepState::Succeeded
        };
        let serves = own().any(has_all);
        let open = own().any(may_skip);
        if failed {
            found.push((step.service.clone(), true));
        }
        if serves && open {
            found.push((step.service.clone(), false));
        }
    }
    found
}

/// What stands before people first: what failed, then what runs, then what waits.
const fn urgency(state: StepState) -> u8 {
    match state {
        StepState::Failed | StepState::Unknown => 0,
        StepState::Running => 1,
        StepState::Pending
        | StepState::Succeeded
        | StepState::Skipped
        | StepState::Undoing
        | StepState::Undone
        | StepState::UndoFailed => 2,
    }
}

/// The button that opens the steps, by which what is chosen there is known.
pub(super) const STEPS: &str = "Steps…";

/// Opens the steps that can be left out or tried again.
#[component]
pub(super) fn StepsButton(
    row: RwSignal<DeploymentSummary>,
    store: DeploymentStore,
    /// It is what the deployment waits for.
    #[prop(optional)]
    is_first: bool,
) -> impl IntoView {
    let doing = Doing::here();
    let open = RwSignal::new(false);
    let id = row.with_untracked(|row| row.id);
    let skip = move |step: StepId| {
        open.set(false);
        doing.questions.ask(Ask {
            title: format!("Skip {step}"),
            impact: vec![
                format!(
                    "{step} counts as passed without having been looked at; a running attempt is stopped."
                ),
                "What waits for it begins.".to_owned(),
            ],
            must_type: None,
            reason: Reason::Needed,
            verb: "Skip the step",
            is_risky: true,
            then: Then::new(move |reason| {
                let act = Act::under(STEPS, format!("Skip {step}"));
                let request = SkipStep { id, step: step.clone(), reason };
                doing.run(act, "Step skipped", deployment_step_skip(request));
            }),
        });
    };
    let retry = move |step: StepId| {
        open.set(false);
        let act = Act::under(STEPS, format!("Retry {step}"));
        doing.run(act, "Step is tried again", deployment_step_retry(RetryStep { id, step }));
    };
    let whole = move |service: ServiceName, failed: bool| {
        open.set(false);
        if failed {
            let act = Act::under(STEPS, format!("Retry {service}"));
            doing.run(act, "Tried again", deployment_service_retry(RetryService { id, service }));
            return;
        }
        doing.questions.ask(Ask {
            title: format!("Keep {service} as it is"),
            impact: vec![
                format!("The new version of {service} serves already; what was still to be looked at counts as passed."),
                "What waits for it begins.".to_owned(),
            ],
            must_type: None,
            reason: Reason::Needed,
            verb: "Keep",
            is_risky: true,
            then: Then::new(move |reason| {
                let act = Act::under(STEPS, format!("Keep {service}"));
                let request = KeepService { id, service: service.clone(), reason };
                doing.run(act, "Kept", deployment_service_keep(request));
            }),
        });
    };
    let shown = move || {
        if !open.get() {
            return None;
        }
        let mut steps: Vec<StepView> =
            store.steps.with(|steps| steps.iter().map(|step| step.get()).collect());
        let gone = row.with(|row| {
            let is_gone = |state| matches!(state, ServiceProgress::TakingBack | ServiceProgress::Back);
            let gone = row.services.iter().filter(|one| is_gone(one.state)).map(|one| one.service.clone());
            gone.collect::<Vec<_>>()
        });
        steps.retain(|step| (may_retry(step) || may_skip(step)) && !gone.contains(&step.service));
        steps.sort_by_key(|step| urgency(step.state));
        if steps.is_empty() && row.with_untracked(super::part::offered).is_empty() {
            return Some(
                view! { <p class="text-muted">"No step can be left out or tried again now."</p> }.into_any(),
            );
        }
        let line = move |step: StepView| {
            let (again, out) = (step.id.clone(), step.id.clone());
            let why = step.last().and_then(|one| one.reason.clone());
            view! {
                <li class="steer-step">
                    <span class="mono">{step.id.to_string()}</span>
                    <Pill look=step_look(step.state)/>
                    {why.map(|why| view! { <span class="text-meta text-muted w-full">{why}</span> })}
                    <span class="steer-actions">
                        {may_retry(&step).then(|| view! {
                            <button type="button" class="btn" aria-label=format!("Retry {again}") on:click=click(move || retry(again.clone()))>"Retry"</button>
                        })}
                        {may_skip(&step).then(|| view! {
                            <button type="button" class="btn" aria-label=format!("Skip {out}") on:click=click(move || skip(out.clone()))>"Skip…"</button>
                        })}
                    </span>
                </li>
            }
        };
        let services = services(
            &store.steps.with_untracked(|all| all.iter().map(|one| one.get_untracked()).collect::<Vec<_>>()),
        );
        let services = services.into_iter().filter(move |(service, _)| !gone.contains(service));
        let back = row.with_untracked(super::part::offered).into_iter().map(|service| {
            let name = service.clone();
            let ask = click(move || {
                open.set(false);
                super::part::ask(id, name.clone(), doing);
            });
            view! { <button type="button" class="btn btn-risky" on:click=ask>{format!("Take {service} back…")}</button> }
        });
        let services = services.map(|(service, failed)| {
            let name = service.clone();
            let words = if failed { format!("Retry all of {service} that failed") } else { format!("Keep {service} as it is…") };
            view! { <button type="button" class="btn" on:click=click(move || whole(name.clone(), failed))>{words}</button> }
        });
        Some(
            view! {
                <ul class="stack">{steps.into_iter().map(line).collect_view()}</ul>
                <div class="flex flex-wrap gap-2 mt-3">{services.collect_view()}{back.collect_view()}</div>
            }
            .into_any(),
        )
    };
    let node = NodeRef::new();
    let shown = move || {
        let shown = shown();
        keep_focus(node);
        shown
    };
    let class = if is_first { "btn btn-primary" } else { "btn" };
    view! {
        <ActButton words=STEPS going="Asking…" permission=Permission::Operate class glyph=Glyph::Hand on_click=Callback::new(move |()| open.set(true))/>
        <Dialog open title="Steps that can be steered">
            <p class="text-meta text-muted mb-2">
                "Retry makes a new attempt, and stops a running one first. Only steps that look, not those that change something, can be skipped."
            </p>
            <div node_ref=node>{part(shown)}</div>
        </Dialog>
    }
}
