//! What can go on now. One look at the whole deployment: begin what is ready, notice a failure or
//! a limit that has passed, plan and carry on a rollback, end. It looks at the state only, so it
//! is right after every event, after a lost nudge and after a crash.

use super::Decision;
use crate::{effect::Effect, rollback};
use lockstep_model::{
    Attempt, Timestamp,
    deployment::{Deployment, Ending, Failure, Phase, RollbackPlan, StepState},
    event::Event,
    plan::{DeploymentKind, StepKind, Undo},
};

pub(super) fn proceed(state: &Deployment, now: Timestamp) -> Decision {
    match state.phase {
        Phase::Running => running(state, now),
        Phase::RollingBack => rolling_back(state, now),
        Phase::NeedsOperator => late_success(state),
        Phase::Queued
        | Phase::Succeeded
        | Phase::RolledBack
        | Phase::Failed
        | Phase::Cancelled
        | Phase::Superseded => Decision::nothing(),
    }
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

fn running(state: &Deployment, now: Timestamp) -> Decision {
    if let Some(failure) = failure(state, now) {
        return Decision { events: vec![Event::FailureDetected { failure }], effects: stop_running(state) };
    }
    if state.steps.iter().all(|status| status.state == StepState::Succeeded) {
        return Decision::event(Event::ReleaseCommitted);
    }
    let mut decision = Decision::nothing();
    for step in ready(state) {
        let attempt = Attempt(state.steps[step as usize].attempt + 1);
        decision.events.push(Event::StepStarted { step, attempt });
        decision.effects.push(Effect::RunStep { step, attempt });
    }
    decision
}

fn failure(state: &Deployment, now: Timestamp) -> Option<Failure> {
    let failed =
        numbered(state).find(|(_, status)| matches!(status.state, StepState::Failed | StepState::Unknown));
    if let Some((step, status)) = failed {
        let planned = &state.plan.steps[step as usize];
        let service = &state.plan.services[planned.service as usize];
        return Some(Failure {
            step: Some(planned.id.clone()),
            service: Some(service.service.clone()),
            version: service.to_version().cloned(),
            reason: status
                .last()
                .and_then(|last| last.reason.clone())
                .unwrap_or_else(|| "it failed without a reason".to_owned()),
        });
    }
    let started_at = state.clocks.started_at?;
    let limit_ms = state.plan.deployment_timeout_ms;
    (now.since_ms(started_at) > limit_ms).then(|| Failure {
        step: None,
        service: None,
        version: None,
        reason: format!("the deployment took longer than its limit of {} s", limit_ms / 1000),
    })
}

/// Steps that may begin: everything before them has succeeded, nothing changes before every
/// preflight has passed, and no more services than `max_parallel` are in work.
fn ready(state: &Deployment) -> Vec<u32> {
    let plan = &state.plan;
    let mut looked_at = true;
    let mut in_work = vec![Work::default(); plan.services.len()];
    let mut looking = 0u32;
    for (planned, status) in plan.steps.iter().zip(&state.steps) {
        let work = &mut in_work[planned.service as usize];
        match planned.kind {
            StepKind::Precondition | StepKind::Preflight => {
                looked_at &= status.state == StepState::Succeeded;
                looking += u32::from(status.state == StepState::Running);
            }
            StepKind::Prepare | StepKind::Verify | StepKind::Shift | StepKind::Replace => {
                work.begun |= status.state != StepState::Pending;
                work.unfinished |= status.state != StepState::Succeeded;
            }
            StepKind::Watch => {}
        }
    }
    let mut active = u32::try_from(in_work.iter().filter(|work| work.begun && work.unfinished).count())
        .unwrap_or(u32::MAX);
    let mut ready = Vec::new();
    for (step, planned) in (0u32..).zip(&plan.steps) {
        let pending = state.steps[step as usize].state == StepState::Pending;
        let after_done =
            || planned.after.iter().all(|before| state.steps[*before as usize].state == StepState::Succeeded);
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
            });
        }
        DeploymentKind::Deploy | DeploymentKind::Restore { .. } => {}
    }
    if changed && rollback::is_wanted(state) {
        return Decision::event(Event::RollbackPlanned { rollback: rollback::plan(state) });
    }
    Decision::event(if cancelled { Event::Cancelled } else { Event::Failed })
}

fn undo(state: &Deployment, plan: &RollbackPlan, now: Timestamp) -> Decision {
    if let Some(end) = ended(state, plan) {
        return end;
    }
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
    if !moving {
        return Decision::event(Event::OperatorNeeded { reason: stuck(state, plan) });
    }
    let since = state.rollback_since.unwrap_or(now);
    if decision.is_nothing() && now.since_ms(since) > plan.max_duration_ms {
        let reason = format!(
            "taking back took longer than its limit of {} s; it goes on, and ends by itself if it can",
            plan.max_duration_ms / 1000
        );
        return Decision::event(Event::OperatorNeeded { reason });
    }
    decision
}

/// Everything is back: the end.
fn ended(state: &Deployment, plan: &RollbackPlan) -> Option<Decision> {
    let all_undone = plan
        .services
        .iter()
        .flat_map(|entry| &entry.steps)
        .all(|step| state.steps[*step as usize].state == StepState::Undone);
    all_undone.then(|| {
        Decision::event(match state.ending {
            Some(Ending::Cancelled { .. }) => Event::Cancelled,
            Some(Ending::RolledBack) | None => Event::RolledBack,
        })
    })
}

/// An undo that was under way when the limit passed may still come to a good end.
fn late_success(state: &Deployment) -> Decision {
    state.rollback.as_ref().and_then(|plan| ended(state, plan)).unwrap_or_default()
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

fn stuck(state: &Deployment, plan: &RollbackPlan) -> String {
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
