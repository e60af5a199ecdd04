//! Nobody knows how a step ended: its agent was lost while it ran. It is carried out again, the target
//! is asked, or an operator is; it never passes, and is not simply taken for a failure.

use super::Decision;
use crate::effect::Effect;
use lockstep_model::{
    deployment::{Deployment, Failure, Probed, StepState, StepStatus},
    event::Event,
    manifest::OnUnknown,
    plan::{PlannedStep, StepKind},
};

/// A step that is begun anew by itself is begun this often, all in all.
const ATTEMPTS_MAX: u32 = 3;

enum Course {
    Again,
    GivenUp,
    Probe,
    Wait,
    Ask,
}

fn course(planned: &PlannedStep, status: &StepStatus) -> Option<Course> {
    if status.state != StepState::Unknown {
        return None;
    }
    if status.may_run {
        // Nothing begins beside it by itself, and what is seen now may change.
        return Some(Course::Ask);
    }
    let again = if status.attempt < ATTEMPTS_MAX { Course::Again } else { Course::GivenUp };
    Some(match (planned.on_unknown, &status.probed) {
        (OnUnknown::Ask, _) | (OnUnknown::Probe, Probed::CannotTell { .. }) => Course::Ask,
        (OnUnknown::Rerun, _) | (OnUnknown::Probe, Probed::NotDone { .. }) => again,
        (OnUnknown::Probe, Probed::Not) => Course::Probe,
        (OnUnknown::Probe, Probed::Asked) => Course::Wait,
    })
}

/// Whether it may be begun again by itself.
pub(super) fn is_to_be_repeated(planned: &PlannedStep, status: &StepStatus) -> bool {
    matches!(course(planned, status), Some(Course::Again))
}

/// Whether it counts as failed: it was begun anew often enough.
pub(super) fn is_given_up(planned: &PlannedStep, status: &StepStatus) -> bool {
    matches!(course(planned, status), Some(Course::GivenUp))
}

/// Why it counts as failed.
pub(super) fn given_up(status: &StepStatus) -> String {
    let seen = match &status.probed {
        Probed::NotDone { reason } => format!("; the target was asked: {reason}"),
        Probed::Not | Probed::Asked | Probed::CannotTell { .. } => String::new(),
    };
    format!(
        "it was begun {} times and how it ended is still not known: {}{seen}",
        status.attempt,
        why(status)
    )
}

/// Asks targets, or else an operator; nothing where neither is to be asked.
pub(super) fn look(state: &Deployment) -> Option<Decision> {
    let mut decision = Decision::nothing();
    let mut to_ask = None;
    for (step, (planned, status)) in (0u32..).zip(state.plan.steps.iter().zip(&state.steps)) {
        if state.is_in_part(planned.service) {
            continue;
        }
        match course(planned, status) {
            Some(Course::Probe) => {
                let attempt = status.running_attempt();
                decision.events.push(Event::ProbeStarted { step, attempt });
                decision.effects.push(Effect::ProbeStep { step, attempt });
            }
            Some(Course::Ask) => {
                to_ask.get_or_insert((planned, status));
            }
            Some(Course::Again | Course::GivenUp | Course::Wait) | None => {}
        }
    }
    if !decision.is_nothing() {
        return Some(decision);
    }
    to_ask.map(|(planned, status)| ask(state, planned, status))
}

fn ask(state: &Deployment, planned: &PlannedStep, status: &StepStatus) -> Decision {
    let service = &state.plan.services[planned.service as usize];
    let version = service.to_version().map_or_else(|| "what is to be".to_owned(), ToString::to_string);
    let name = &service.service;
    let open = match planned.kind {
        StepKind::Precondition => format!("whether {name} is well, which others need, was not seen"),
        StepKind::Preflight => format!("nothing of {name} was changed; what serves was not recorded"),
        StepKind::Prepare => format!("{name} {version} may run or not; it has no traffic"),
        StepKind::Verify => format!("whether {name} {version} passes its checks was not seen"),
        StepKind::Shift => format!("{name} {version} may have the traffic or not"),
        StepKind::Replace => format!("{name} {version} may serve, or what was before it, or nothing"),
        StepKind::Watch => {
            format!("{name} {version} has the traffic, and whether it stays well was not seen")
        }
    };
    let told = match &status.probed {
        Probed::CannotTell { reason } => format!("; its target was asked and cannot tell: {reason}"),
        Probed::Not | Probed::Asked | Probed::NotDone { .. } => String::new(),
    };
    let reason = format!(
        "{} was begun (attempt {}) and nobody knows how it ended: {}{told}. {open}",
        planned.id,
        status.attempt,
        why(status)
    );
    let failure = Failure {
        step: Some(planned.id.clone()),
        service: Some(name.clone()),
        // Nothing is known against the version, so it is not held when it is taken back.
        version: None,
        reason: format!("nobody knows how it ended: {}", why(status)),
        by: None,
    };
    Decision::event(Event::OperatorNeeded { reason, failure: Some(failure) })
}

fn why(status: &StepStatus) -> &str {
    status.last().and_then(|last| last.reason.as_deref()).unwrap_or("no reason is known")
}

#[cfg(test)]
mod tests;
