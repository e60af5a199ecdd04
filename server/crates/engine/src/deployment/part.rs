//! Single services of a release are taken back while the others go on. It is not a phase: the release
//! runs, is paused or asks as before, and beside that a list of undos of its own is carried on. What
//! cannot stay beside them goes back with them; a failure of the others, or a cancel, makes one rollback
//! of all.

use super::{Decision, Refusal, by_service, cancel, proceed, steer};
use crate::{effect::Effect, rollback};
use lockstep_model::{
    ServiceName, Timestamp,
    deployment::{Actor, Deployment, Phase, StepState},
    event::Event,
    part::Part,
    plan::{DeploymentKind, Plan},
};
use std::collections::BTreeSet;

/// These services go back, and what needs them and cannot stay. All that the release changes is the
/// release itself.
pub(super) fn take_back(
    state: &Deployment,
    named: &[ServiceName],
    by: &Actor,
    reason: Option<&str>,
) -> Result<Decision, Refusal> {
    steer::goes_forward(state)?;
    if matches!(state.plan.kind, DeploymentKind::Restore { .. }) {
        return Err(Refusal::IsRestore);
    }
    let mut places = BTreeSet::new();
    for service in named {
        places.insert(by_service::place(state, service)?);
    }
    let mut all = with_dependants(&state.plan, places);
    let is_left = |(place, one): (u32, &lockstep_model::plan::PlannedService)| {
        one.is_changed() && !all.contains(&place) && !state.is_in_part(place)
    };
    if !(0u32..).zip(&state.plan.services).any(is_left) {
        return cancel::take_back(state, by, reason);
    }
    all.retain(|place| !state.is_in_part(*place));
    if all.is_empty() {
        return Err(Refusal::TakenBackAlready);
    }
    let stops = (0u32..).zip(state.plan.steps.iter().zip(&state.steps)).filter(|(_, (planned, status))| {
        status.state == StepState::Running && all.contains(&planned.service)
    });
    let effects =
        stops.map(|(step, (_, status))| Effect::StopStep { step, attempt: status.running_attempt() });
    let effects = effects.collect();
    let requested = Event::TakeBackRequested {
        services: all.iter().copied().collect(),
        by: by.clone(),
        reason: reason.map(str::to_owned),
    };
    Ok(Decision { events: vec![requested], effects })
}

/// These and what stands downstream of them, unless the old version of what it needs works with it.
fn with_dependants(plan: &Plan, mut all: BTreeSet<u32>) -> BTreeSet<u32> {
    // Services stand dependencies first, so one pass finds all that is downstream.
    for (place, service) in (0u32..).zip(&plan.services) {
        let meets_old = |dependency: u32| {
            let spec = &plan.services[dependency as usize].spec;
            all.contains(&dependency) && !spec.rollback.compatible_with_previous
        };
        if service.is_changed() && service.depends_on.iter().any(|(dependency, _)| meets_old(*dependency)) {
            all.insert(place);
        }
    }
    all
}

/// Carries the part on; none = there is nothing new to do or to say of it.
pub(super) fn proceed(state: &Deployment, now: Timestamp) -> Option<Decision> {
    let part = state.part.as_ref().filter(|part| !part.is_back)?;
    let Some(plan) = &part.rollback else {
        let mut steps = state.plan.steps.iter().zip(&state.steps);
        let runs = steps
            .any(|(one, status)| status.state == StepState::Running && part.services.contains(&one.service));
        let planned =
            || Decision::event(Event::TakeBackPlanned { rollback: rollback::of(state, &part.services) });
        return (!runs).then(planned);
    };
    if proceed::is_undone(state, plan) {
        return Some(Decision::event(Event::TakenBack));
    }
    let (decision, is_moving) = proceed::undo_ready(state, plan);
    if !decision.is_nothing() {
        return Some(decision);
    }
    // Said once: whoever answers has it tried again, or has something else happen.
    let asks = match state.phase {
        Phase::Running | Phase::Paused => true,
        Phase::Queued
        | Phase::RollingBack
        | Phase::NeedsOperator
        | Phase::Succeeded
        | Phase::RolledBack
        | Phase::Failed
        | Phase::Cancelled
        | Phase::Superseded => false,
    };
    let is_late = now.since_ms(part.since) > plan.max_duration_ms;
    let reason = match (asks, is_moving) {
        (false, _) => return None,
        (true, false) => proceed::stuck(state, plan),
        (true, true) if is_late => proceed::takes_long(plan),
        (true, true) => return None,
    };
    Some(Decision::event(Event::OperatorNeeded { reason, failure: None }))
}

/// Whether it waits for an operator because something of it could not be undone.
pub(super) fn is_stuck(state: &Deployment) -> bool {
    let mut steps = state.plan.steps.iter().zip(&state.steps);
    state.asks_about_part()
        && steps.any(|(one, status)| status.state == StepState::UndoFailed && state.is_in_part(one.service))
}

/// The state after it was asked for.
pub(super) fn requested(
    state: &mut Deployment,
    services: &[u32],
    (by, reason): (&Actor, Option<&String>),
    at: Timestamp,
) {
    let mut part = state.part.take().unwrap_or_else(|| Part {
        services: BTreeSet::new(),
        rollback: None,
        is_back: false,
        since: at,
        was_paused: false,
        failure: None,
        by: by.clone(),
        reason: None,
        asked_at: None,
        decided_at: None,
        back_at: None,
    });
    part.services.extend(services);
    part.rollback = None;
    part.is_back = false;
    part.since = at;
    (part.asked_at, part.decided_at, part.back_at) = (Some(at), None, None);
    part.by = by.clone();
    part.reason = reason.cloned();
    for (planned, status) in state.plan.steps.iter().zip(&mut state.steps) {
        if services.contains(&planned.service) {
            status.leave_out();
        }
    }
    for place in services {
        state.in_work.remove(place);
    }
    let is_about_it = match state.failure.as_ref().map(|failure| &failure.service) {
        // It asks about what was taken back before: it will again, if that is still so.
        None => true,
        Some(None) => false,
        Some(Some(failed)) => {
            part.services.iter().any(|place| state.plan.services[*place as usize].service == *failed)
        }
    };
    if is_about_it && state.failure.is_some() {
        part.failure = state.failure.clone();
    }
    state.part = Some(part);
    if is_about_it {
        no_longer_asks(state, at);
    }
}

/// The state after all of it is back.
pub(super) fn is_back(state: &mut Deployment, at: Timestamp) {
    if let Some(part) = &mut state.part {
        part.is_back = true;
        part.back_at = Some(at);
    }
    if state.asks_about_part() {
        no_longer_asks(state, at);
    }
}

/// The state after an operator had it tried again.
pub(super) fn retried(state: &mut Deployment, at: Timestamp) {
    no_longer_asks(state, at);
    try_undo_again(state);
    if let Some(part) = &mut state.part {
        part.since = at;
    }
}

/// What could not be undone is tried again.
pub(super) fn try_undo_again(state: &mut Deployment) {
    for status in &mut state.steps {
        if status.state == StepState::UndoFailed {
            status.state = StepState::Unknown;
        }
    }
}

/// An operator has decided how it goes on; if something else asks, it will ask again.
pub(super) fn no_longer_asks(state: &mut Deployment, at: Timestamp) {
    if !state.asks_forward() {
        return;
    }
    let was_paused = state.asks_about_part() && state.part.as_ref().is_some_and(|part| part.was_paused);
    state.failure = None;
    state.operator_reason = None;
    if was_paused {
        state.phase = Phase::Paused;
    } else {
        state.phase = Phase::Running;
        state.pauses.end(at);
        state.paused = None;
    }
}

#[cfg(test)]
mod tests;
