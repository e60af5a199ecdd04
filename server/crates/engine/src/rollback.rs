//! The order of a rollback, from plan, state and evidence: a list of its own, stored before the
//! first undo. By default dependants go back before what they depend on, so that no new caller
//! meets an old callee.

use lockstep_model::{
    deployment::{Deployment, Ending, Failure, RollbackPlan, RollbackService, StepState},
    manifest::RollbackScope,
    plan::PlannedStep,
};
use std::collections::BTreeSet;

/// Steps that changed something outside, or may have.
pub fn changed_steps(state: &Deployment) -> impl Iterator<Item = (u32, &PlannedStep)> {
    (0u32..)
        .zip(state.plan.steps.iter().zip(&state.steps))
        .filter(|(_, (planned, status))| {
            planned.kind.is_change()
                && match status.state {
                    StepState::Pending | StepState::Skipped => false,
                    StepState::Running
                    | StepState::Succeeded
                    | StepState::Failed
                    | StepState::Unknown
                    | StepState::Undoing
                    | StepState::Undone
                    | StepState::UndoFailed => true,
                }
        })
        .map(|(step, (planned, _))| (step, planned))
}

/// Whether the manifest wants a rollback by itself: the failed service's word, or, when no single
/// service failed, always.
pub fn is_wanted(state: &Deployment, failure: &Failure) -> bool {
    failed_place(state, failure).is_none_or(|place| state.plan.services[place as usize].spec.rollback.auto)
}

fn failed_place(state: &Deployment, failure: &Failure) -> Option<u32> {
    let failed = failure.service.as_ref()?;
    (0u32..).zip(&state.plan.services).find(|(_, service)| service.service == *failed).map(|(place, _)| place)
}

/// What goes back, and what waits for what.
pub fn plan(state: &Deployment) -> RollbackPlan {
    let scope = scope(state);
    let kept = kept(state);
    list(state, |place| {
        let in_scope = scope.as_ref().is_none_or(|scope| scope.contains(&place)) && !kept.contains(&place);
        // What somebody took back before goes back in any case.
        in_scope || state.is_in_part(place)
    })
}

/// What goes back of these services, by place, and what waits for what.
pub fn of(state: &Deployment, services: &BTreeSet<u32>) -> RollbackPlan {
    list(state, |place| services.contains(&place))
}

fn list(state: &Deployment, goes_back: impl Fn(u32) -> bool) -> RollbackPlan {
    let mut steps_of = std::collections::BTreeMap::<u32, Vec<u32>>::new();
    for (step, planned) in changed_steps(state) {
        if goes_back(planned.service) {
            steps_of.entry(planned.service).or_default().push(step);
        }
    }
    let mut services: Vec<RollbackService> = steps_of
        .into_iter()
        .rev()
        .map(|(service, mut steps)| {
            steps.reverse();
            RollbackService { service, steps, after: Vec::new() }
        })
        .collect();
    wait_for_dependants(state, &mut services);
    let max_duration_ms = services
        .iter()
        .map(|entry| state.plan.services[entry.service as usize].spec.rollback.max_duration_ms)
        .max()
        .unwrap_or(0);
    RollbackPlan { services, outside: state.plan.outside.clone(), max_duration_ms }
}

/// An entry waits for the entries of its dependants, unless its old version works with new
/// neighbours.
fn wait_for_dependants(state: &Deployment, services: &mut [RollbackService]) {
    let mut entry_of = vec![None; state.plan.services.len()];
    for (entry, service) in (0u32..).zip(services.iter()) {
        entry_of[service.service as usize] = Some(entry);
    }
    for (place, service) in state.plan.services.iter().enumerate() {
        let Some(dependant) = entry_of[place] else { continue };
        for (dependency, _) in &service.depends_on {
            let compatible = state.plan.services[*dependency as usize].spec.rollback.compatible_with_previous;
            if let (Some(entry), false) = (entry_of[*dependency as usize], compatible) {
                services[entry as usize].after.push(dependant);
            }
        }
    }
}

/// Places of the services that go back; none = all that changed.
fn scope(state: &Deployment) -> Option<BTreeSet<u32>> {
    let failed = failed_place(state, state.failure.as_ref()?)?;
    let rollback = &state.plan.services[failed as usize].spec.rollback;
    match rollback.scope {
        RollbackScope::Release => None,
        RollbackScope::Tied => {
            let mut tied = BTreeSet::from([failed]);
            for (place, service) in (0u32..).zip(&state.plan.services) {
                if rollback.with.contains(&service.service) {
                    tied.insert(place);
                }
            }
            // Services stand dependencies first, so one pass finds all that is downstream.
            for (place, service) in (0u32..).zip(&state.plan.services) {
                if service.depends_on.iter().any(|(dependency, _)| tied.contains(dependency)) {
                    tied.insert(place);
                }
            }
            Some(tied)
        }
    }
}

/// Services that keep their new version because somebody wants that: those that it has all the
/// traffic of. One that is in between goes back: in between is not a state to leave things in.
fn kept(state: &Deployment) -> BTreeSet<u32> {
    if !matches!(state.ending, Some(Ending::Cancelled { keep: true, .. })) {
        return BTreeSet::new();
    }
    let mut kept = BTreeSet::new();
    let mut between = BTreeSet::new();
    for (planned, status) in state.plan.steps.iter().zip(&state.steps) {
        if planned.kind.gives_traffic() {
            let done = status.state == StepState::Succeeded;
            if done { &mut kept } else { &mut between }.insert(planned.service);
        }
    }
    &kept - &between
}

/// What was to be changed and does not go back, and why; empty until that is decided.
pub fn stays(state: &Deployment) -> Vec<(u32, String)> {
    let goes_back = match &state.rollback {
        Some(plan) => plan.services.iter().map(|entry| entry.service).collect(),
        None if state.phase.is_final() && state.ending.is_some() => BTreeSet::new(),
        None => return Vec::new(),
    };
    let changed: BTreeSet<u32> = changed_steps(state).map(|(_, planned)| planned.service).collect();
    let kept = kept(state);
    let failed = state.failure.as_ref().and_then(|failure| failure.service.as_ref());
    (0u32..)
        .zip(&state.plan.services)
        .filter(|(place, service)| service.is_changed() && !goes_back.contains(place))
        .map(|(place, _)| {
            let why = match failed {
                _ if !changed.contains(&place) => "its change had not begun".to_owned(),
                _ if kept.contains(&place) && !state.is_in_part(place) => {
                    "its new version had all the traffic, and was to be kept".to_owned()
                }
                Some(failed) => format!("it is not tied to {failed}: rollback.scope is tied there"),
                None => "it is left as it is".to_owned(),
            };
            (place, why)
        })
        .collect()
}

#[cfg(test)]
mod tests;
