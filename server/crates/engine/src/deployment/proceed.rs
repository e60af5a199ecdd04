//! What can go on now. One look at the whole deployment: begin what is ready, notice a failure or
//! a limit that has passed, plan and carry on a rollback, end. It looks at the state only, so it
//! is right after every event, after a lost nudge and after a crash.

use super::{Decision, close, part, unknown};
use crate::{effect::Effect, rollback};
use lockstep_model::{
    Attempt, Timestamp,
    deployment::{Deployment, Ending, Failure, Phase, RollbackPlan, StepState},
    event::Event,
    plan::{DeploymentKind, StepKind, Undo},
};

pub(super) fn proceed(state: &Deployment, now: Timestamp) -> Decision {
    if let Some(closing) = close::proceed(state) {
        return closing;
    }
    match state.phase {
        Phase::Running => held_up(state, now).unwrap_or_else(|| forward(state)),
        Phase::Paused => held_up(state, now).unwrap_or_default(),
        Phase::NeedsOperator if state.asks_about_part() => asked_about_part(state, now),
        Phase::NeedsOperator if state.asks_forward() => part::proceed(state, now).unwrap_or_default(),
        Phase::RollingBack => rolling_back(state, now),
        // Taking back goes on while somebody is asked about it.
        Phase::NeedsOperator => {
            state.rollback.as_ref().map_or_else(Decision::nothing, |plan| undo(state, plan, now))
        }
        Phase::Queued
        | Phase::Succeeded
        | Phase::RolledBack
        | Phase::Failed
        | Phase::Cancelled
        | Phase::Superseded => Decision::nothing(),
    }
}

fn held_up(state: &Deployment, now: Timestamp) -> Option<Decision> {
    failed(state, now).or_else(|| unknown::look(state)).or_else(|| part::proceed(state, now))
}

/// Somebody is asked about services that go back by themselves: the others can still fail.
fn asked_about_part(state: &Deployment, now: Timestamp) -> Decision {
    let whole = failed(state, now)
        .filter(|decision| matches!(decision.events.first(), Some(Event::FailureDetected { .. })));
    whole.or_else(|| part::proceed(state, now)).unwrap_or_default()
}

/// Tells every running step to stop.
pub(super) fn stop_running(state: &Deployment) -> Vec<Effect> {
    numbered(state)
        .filter(|(_, status)| status.state == StepState::Running)
        .map(|(step, status)| Effect::StopStep { step, attempt: status.running_attempt() })
        .collect()
}

fn numbered(state: &Deployment) -> impl Iterator<Item = (u32, &lockstep_model::deployment::StepStatus)> {
    (0u32..).zip(&state.steps)
}

/// A failure ends what runs and takes back what changed; where rollback is switched off and
/// something changed, what runs comes to its end and an operator is asked.
fn failed(state: &Deployment, now: Timestamp) -> Option<Decision> {
    failure(state, now).map(|failure| react(state, failure))
}

/// What follows from a failure.
pub(super) fn react(state: &Deployment, failure: Failure) -> Decision {
    let changed = rollback::changed_steps(state).next().is_some();
    let asks = match state.plan.kind {
        DeploymentKind::Deploy => changed && !rollback::is_wanted(state, &failure),
        DeploymentKind::Restore { .. } => false,
    };
    if asks {
        let what = failure.step.as_ref().map_or_else(String::new, |step| format!("{step}: "));
        let reason =
            format!("{what}{}; rollback is switched off, so nothing goes back by itself", failure.reason);
        // What took too long is ended; what else runs comes to its end.
        let overdue = failure.step.is_none().then_some(failure.service.as_ref()).flatten();
        let is_overdue = |step: u32| {
            let planned = &state.plan.steps[step as usize];
            overdue == Some(&state.plan.services[planned.service as usize].service)
        };
        let mut effects = stop_running(state);
        effects.retain(|effect| matches!(effect, Effect::StopStep { step, .. } if is_overdue(*step)));
        Decision { events: vec![Event::OperatorNeeded { reason, failure: Some(failure) }], effects }
    } else {
        Decision { events: vec![Event::FailureDetected { failure }], effects: stop_running(state) }
    }
}

fn forward(state: &Deployment) -> Decision {
    let passed = passed(state);
    if passed.iter().all(|passed| *passed) {
        return Decision::event(Event::ReleaseCommitted);
    }
    let mut decision = Decision::nothing();
    for step in ready(state, &passed) {
        let attempt = Attempt(state.steps[step as usize].attempt + 1);
        decision.events.push(Event::StepStarted { step, attempt });
        decision.effects.push(Effect::RunStep { step, attempt });
    }
    decision
}

/// Which steps have passed: done, or left out by an operator once what they wait for has passed. What
/// can be left out waits for earlier steps of its service only, so one pass finds all.
fn passed(state: &Deployment) -> Vec<bool> {
    let mut passed = vec![false; state.steps.len()];
    let part_is_back = state.part.as_ref().is_some_and(|part| part.is_back);
    for (step, (planned, status)) in state.plan.steps.iter().zip(&state.steps).enumerate() {
        if state.is_in_part(planned.service) {
            // Nobody waits for what was taken back once it is back.
            let is_seen =
                !planned.kind.is_change() && planned.after.is_empty() && status.state == StepState::Succeeded;
            passed[step] = part_is_back || is_seen;
            continue;
        }
        passed[step] = match status.state {
            StepState::Succeeded => true,
            StepState::Skipped => planned.after.iter().all(|before| passed[*before as usize]),
            StepState::Pending
            | StepState::Running
            | StepState::Failed
            | StepState::Unknown
            | StepState::Undoing
            | StepState::Undone
            | StepState::UndoFailed => false,
        };
    }
    passed
}

fn failure(state: &Deployment, now: Timestamp) -> Option<Failure> {
    let failed = numbered(state).find(|(step, status)| {
        let planned = &state.plan.steps[*step as usize];
        (status.state == StepState::Failed || unknown::is_given_up(planned, status))
            && !state.is_in_part(planned.service)
    });
    if let Some((step, status)) = failed {
        let planned = &state.plan.steps[step as usize];
        let service = &state.plan.services[planned.service as usize];
        return Some(Failure {
            step: Some(planned.id.clone()),
            service: Some(service.service.clone()),
            version: service.to_version().cloned(),
            reason: match status.state {
                StepState::Unknown => unknown::given_up(status),
                _ => status
                    .last()
                    .and_then(|last| last.reason.clone())
                    .unwrap_or_else(|| "it failed without a reason".to_owned()),
            },
            by: None,
        });
    }
    if state.pauses.since.is_some() {
        return None;
    }
    let started_at = state.clocks.started_at?;
    let limit_ms = state.plan.deployment_timeout_ms;
    let whole = (now.since_ms(started_at) > limit_ms + state.pauses.total_ms).then(|| Failure {
        step: None,
        service: None,
        version: None,
        reason: format!("the deployment took longer than its limit of {} s", limit_ms / 1000),
        by: None,
    });
    whole.or_else(|| overdue(state, now))
}

/// The first service that took longer than its own limit. What the deployment waited for a person is
/// not counted, nor what the service waited for others before its first change.
fn overdue(state: &Deployment, now: Timestamp) -> Option<Failure> {
    let (place, limit_ms) = state.in_work.iter().find_map(|(place, work)| {
        let limit_ms = state.plan.services[*place as usize].spec.service_timeout_ms?;
        let paused_ms = state.pauses.total_ms.saturating_sub(work.paused_ms);
        let is_over = now.since_ms(work.since) > limit_ms.saturating_add(paused_ms);
        (is_over && is_unfinished(state, *place)).then_some((*place, limit_ms))
    })?;
    let service = &state.plan.services[place as usize];
    Some(Failure {
        step: None,
        service: Some(service.service.clone()),
        version: service.to_version().cloned(),
        reason: format!(
            "{} took longer than its limit of {} s (timeouts.service)",
            service.service,
            limit_ms / 1000
        ),
        by: None,
    })
}

fn is_unfinished(state: &Deployment, place: u32) -> bool {
    let steps = state.plan.steps.iter().zip(&state.steps);
    steps
        .filter(|(planned, _)| planned.service == place)
        .any(|(_, status)| !matches!(status.state, StepState::Succeeded | StepState::Skipped))
}

/// Steps that may begin: everything before them has succeeded, nothing changes before every
/// preflight has passed, and no more services than `max_parallel` are in work.
fn ready(state: &Deployment, passed: &[bool]) -> Vec<u32> {
    let plan = &state.plan;
    let mut looked_at = true;
    let mut in_work = vec![Work::default(); plan.services.len()];
    let mut looking = 0u32;
    for ((planned, status), passed) in plan.steps.iter().zip(&state.steps).zip(passed) {
        let work = &mut in_work[planned.service as usize];
        match planned.kind {
            StepKind::Precondition | StepKind::Preflight => {
                looked_at &= passed;
                looking += u32::from(status.state == StepState::Running);
            }
            StepKind::Prepare | StepKind::Verify | StepKind::Shift | StepKind::Replace => {
                // One that was left out has not begun: its service may still wait for others.
                work.begun |= !matches!(status.state, StepState::Pending | StepState::Skipped);
                work.unfinished |= !passed;
            }
            StepKind::Watch => {}
        }
    }
    let mut active = u32::try_from(in_work.iter().filter(|work| work.begun && work.unfinished).count())
        .unwrap_or(u32::MAX);
    let mut ready = Vec::new();
    for (step, planned) in (0u32..).zip(&plan.steps) {
        let status = &state.steps[step as usize];
        let pending = status.state == StepState::Pending || unknown::is_to_be_repeated(planned, status);
        let pending = pending && !state.is_in_part(planned.service);
        let after_done = || planned.after.iter().all(|before| passed[*before as usize]);
        if !pending || !after_done() {
            continue;
        }
        let work = &mut in_work[planned.service as usize];
        match planned.kind {
            StepKind::Precondition | StepKind::Preflight => {
                if looking >= plan.max_parallel {
                    continue;
                }
                looking += 1;
            }
            StepKind::Prepare | StepKind::Verify | StepKind::Shift | StepKind::Replace => {
                if !looked_at {
                    continue;
                }
                if !work.begun {
                    if active >= plan.max_parallel {
                        continue;
                    }
                    active += 1;
                    work.begun = true;
                }
            }
            StepKind::Watch => {}
        }
        ready.push(step);
    }
    ready
}

#[derive(Debug, Clone, Copy, Default)]
struct Work {
    begun: bool,
    unfinished: bool,
}

fn rolling_back(state: &Deployment, now: Timestamp) -> Decision {
    match &state.rollback {
        None => stopped(state),
        Some(plan) => undo(state, plan, now),
    }
}

/// Running steps were told to stop; when none runs any more it is decided what goes back.
fn stopped(state: &Deployment) -> Decision {
    if state.steps.iter().any(|status| status.state == StepState::Running) {
        return Decision::nothing();
    }
    let reason = || state.failure.as_ref().map_or_else(String::new, |failure| failure.reason.clone());
    let cancelled = matches!(state.ending, Some(Ending::Cancelled { .. }));
    let changed = rollback::changed_steps(state).next().is_some();
    match state.plan.kind {
        DeploymentKind::Restore { .. } if changed => {
            return Decision::event(Event::OperatorNeeded {
                reason: format!("the restore did not come to its end: {}", reason()),
                failure: None,
            });
        }
        DeploymentKind::Deploy | DeploymentKind::Restore { .. } => {}
    }
    if changed {
        let rollback = rollback::plan(state);
        // All that changed may be what somebody wants to keep.
        if !rollback.services.is_empty() {
            return Decision::event(Event::RollbackPlanned { rollback });
        }
    }
    Decision::event(if cancelled { Event::Cancelled } else { Event::Failed })
}

fn undo(state: &Deployment, plan: &RollbackPlan, now: Timestamp) -> Decision {
    if let Some(end) = ended(state, plan) {
        return end;
    }
    let (decision, is_moving) = undo_ready(state, plan);
    if !is_moving {
        let reason = stuck(state, plan);
        // Said once: it may be asked already, about this or about the time that it takes.
        let is_said = state.operator_reason.as_ref() == Some(&reason);
        if is_said {
            return Decision::nothing();
        }
        return Decision::event(Event::OperatorNeeded { reason, failure: None });
    }
    let since = state.rollback_since.unwrap_or(now);
    if state.phase == Phase::RollingBack
        && decision.is_nothing()
        && now.since_ms(since) > plan.max_duration_ms
    {
        return Decision::event(Event::OperatorNeeded { reason: takes_long(plan), failure: None });
    }
    decision
}

/// What is asked when the limit has passed.
pub(super) fn takes_long(plan: &RollbackPlan) -> String {
    format!(
        "taking back took longer than its limit of {} s; it goes on, and ends by itself if it can",
        plan.max_duration_ms / 1000
    )
}

/// Begins the undos whose turn it is, and says whether any is under way.
pub(super) fn undo_ready(state: &Deployment, plan: &RollbackPlan) -> (Decision, bool) {
    let mut decision = Decision::nothing();
    let mut moving = false;
    let done: Vec<bool> = plan.services.iter().map(|entry| is_back(state, &entry.steps)).collect();
    for entry in &plan.services {
        if !entry.after.iter().all(|before| done[*before as usize]) {
            continue;
        }
        // The first step of the service that is not back yet.
        let next = entry.steps.iter().find(|step| !is_step_back(state, **step));
        let Some(step) = next.copied() else { continue };
        let status = &state.steps[step as usize];
        match (&state.plan.steps[step as usize].undo, status.state) {
            (_, StepState::Undoing) => moving = true,
            (_, StepState::UndoFailed) => {}
            (Undo::Impossible { why }, _) => {
                let attempt = Attempt(status.undo_attempt + 1);
                let reason = format!("it cannot be undone: {why}");
                moving = true;
                // A try of its own, that nothing outside hears of: how the step went stays as it is.
                decision.events.push(Event::UndoStarted { step, attempt });
                decision.events.push(Event::UndoFailed { step, attempt, reason, evidence: Vec::new() });
            }
            (
                Undo::Nothing | Undo::StopCandidate | Undo::RouteBack | Undo::ReplaceBack | Undo::RunUndo,
                _,
            ) => {
                let attempt = Attempt(status.undo_attempt + 1);
                moving = true;
                decision.events.push(Event::UndoStarted { step, attempt });
                decision.effects.push(Effect::UndoStep { step, attempt });
            }
        }
    }
    (decision, moving)
}

/// Everything is back: the end.
fn ended(state: &Deployment, plan: &RollbackPlan) -> Option<Decision> {
    is_undone(state, plan).then(|| {
        Decision::event(match state.ending {
            Some(Ending::Cancelled { .. }) => Event::Cancelled,
            Some(Ending::RolledBack) | None => Event::RolledBack,
        })
    })
}

/// Whether every step of a list is undone.
pub(super) fn is_undone(state: &Deployment, plan: &RollbackPlan) -> bool {
    let mut steps = plan.services.iter().flat_map(|entry| &entry.steps);
    steps.all(|step| state.steps[*step as usize].state == StepState::Undone)
}

/// Whether others may follow: undone, or known to be impossible, which nobody can wait for.
fn is_step_back(state: &Deployment, step: u32) -> bool {
    let impossible = matches!(state.plan.steps[step as usize].undo, Undo::Impossible { .. });
    match state.steps[step as usize].state {
        StepState::Undone => true,
        StepState::UndoFailed => impossible,
        StepState::Pending
        | StepState::Running
        | StepState::Succeeded
        | StepState::Failed
        | StepState::Skipped
        | StepState::Unknown
        | StepState::Undoing => false,
    }
}

fn is_back(state: &Deployment, steps: &[u32]) -> bool {
    steps.iter().all(|step| is_step_back(state, *step))
}

pub(super) fn stuck(state: &Deployment, plan: &RollbackPlan) -> String {
    let failed: Vec<String> = plan
        .services
        .iter()
        .flat_map(|entry| &entry.steps)
        .filter(|step| state.steps[**step as usize].state == StepState::UndoFailed)
        .map(|step| {
            let reason = state.steps[*step as usize].last().and_then(|last| last.reason.as_deref());
            let reason = reason.unwrap_or("no reason is known");
            format!("{}: {reason}", state.plan.steps[*step as usize].id)
        })
        .collect();
    format!("could not be taken back: {}", failed.join("; "))
}

#[cfg(test)]
mod tests;
