//! Somebody ends a deployment. Reachable from every state that is not final; running steps are
//! told to stop, finished ones are taken back, or kept where all the traffic is on the new version
//! and that is the wish. Never waits.

use super::{Decision, Refusal};
use lockstep_model::{
    deployment::{Actor, Deployment, Failure, Phase},
    event::Event,
    plan::DeploymentKind,
};

pub(super) fn cancel(
    state: &Deployment,
    by: Actor,
    reason: Option<String>,
    keep: bool,
) -> Result<Decision, Refusal> {
    let requested = Event::CancelRequested { by, reason, keep };
    match state.phase {
        Phase::Queued => Ok(Decision { events: vec![requested, Event::Cancelled], effects: Vec::new() }),
        Phase::Running | Phase::Paused => Ok(stopping(state, requested)),
        Phase::NeedsOperator if state.asks_forward() => Ok(stopping(state, requested)),
        Phase::RollingBack => Err(Refusal::AlreadyRollingBack),
        Phase::NeedsOperator => Err(Refusal::WaitsForOperator),
        Phase::Succeeded | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
            Err(Refusal::AlreadyFinished { phase: state.phase })
        }
    }
}

/// As [`cancel`], but it counts as rolled back: the wish is a verdict on the release.
pub(super) fn take_back(state: &Deployment, by: &Actor, reason: Option<&str>) -> Result<Decision, Refusal> {
    match state.phase {
        Phase::Queued => Err(Refusal::StillQueued),
        Phase::Running | Phase::Paused => back(state, by, reason),
        Phase::NeedsOperator if state.asks_forward() => back(state, by, reason),
        Phase::RollingBack => Err(Refusal::AlreadyRollingBack),
        Phase::NeedsOperator => Err(Refusal::WaitsForOperator),
        Phase::Succeeded | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
            Err(Refusal::AlreadyFinished { phase: state.phase })
        }
    }
}

fn back(state: &Deployment, by: &Actor, reason: Option<&str>) -> Result<Decision, Refusal> {
    match state.plan.kind {
        DeploymentKind::Restore { .. } => Err(Refusal::IsRestore),
        DeploymentKind::Deploy => {
            let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            let said = format!("taken back by {}{why}", by.user);
            // What failed first stays what it is about: its version, and what is tied to it.
            let by = Some(by.clone());
            let failure = match &state.failure {
                Some(first) => Failure { reason: format!("{said}; {}", first.reason), by, ..first.clone() },
                None => Failure { step: None, service: None, version: None, reason: said, by },
            };
            Ok(stopping(state, Event::FailureDetected { failure }))
        }
    }
}

fn stopping(state: &Deployment, event: Event) -> Decision {
    Decision { events: vec![event], effects: super::proceed::stop_running(state) }
}

#[cfg(test)]
mod tests {
    use crate::{
        command::Command,
        deployment::Refusal,
        effect::Effect,
        testing::{FINAL_PHASES, Story, actor, check, check_refusal, in_phase},
    };
    use lockstep_model::{
        Attempt,
        deployment::{Failure, Phase},
        event::Event,
    };

    fn cancel() -> Command {
        Command::Cancel { by: actor(), reason: None, keep: false }
    }

    fn take_back() -> Command {
        Command::TakeBack { by: actor(), reason: Some("slow".to_owned()) }
    }

    #[test]
    fn a_queued_deployment_ends_at_once() {
        let requested = Event::CancelRequested { by: actor(), reason: None, keep: false };
        check(&in_phase(Phase::Queued), cancel(), &[requested, Event::Cancelled], &[]);
        check_refusal(&in_phase(Phase::Queued), take_back(), &Refusal::StillQueued);
    }

    #[test]
    fn running_steps_are_told_to_stop() {
        let story = Story::chain(1).started();
        let stop = Effect::StopStep { step: 0, attempt: Attempt::FIRST };
        let requested = Event::CancelRequested { by: actor(), reason: None, keep: false };
        check(story.state(), cancel(), &[requested], &[stop]);
        let failure = Failure {
            step: None,
            service: None,
            version: None,
            reason: "taken back by anna: slow".to_owned(),
            by: Some(actor()),
        };
        check(story.state(), take_back(), &[Event::FailureDetected { failure }], &[stop]);
    }

    #[test]
    fn a_rollback_is_never_ended_or_rolled_back() {
        for command in [cancel(), take_back()] {
            check_refusal(&in_phase(Phase::RollingBack), command.clone(), &Refusal::AlreadyRollingBack);
            check_refusal(&in_phase(Phase::NeedsOperator), command, &Refusal::WaitsForOperator);
        }
        let restore = Story::restore(2).started();
        check_refusal(restore.state(), take_back(), &Refusal::IsRestore);
    }

    #[test]
    fn one_that_ended_stays_as_it_is() {
        for phase in FINAL_PHASES {
            for command in [cancel(), take_back()] {
                check_refusal(&in_phase(phase), command, &Refusal::AlreadyFinished { phase });
            }
        }
    }
}
