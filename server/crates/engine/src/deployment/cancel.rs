//! Somebody ends a deployment. Reachable from every state that is not final; running steps are
//! told to stop, finished ones are taken back when the manifest says so. Never waits.

use super::{Decision, Refusal};
use lockstep_model::{
    deployment::{Actor, Deployment, Failure, Phase},
    event::Event,
    plan::DeploymentKind,
};

pub(super) fn cancel(state: &Deployment, by: Actor, reason: Option<String>) -> Result<Decision, Refusal> {
    let requested = Event::CancelRequested { by, reason };
    match state.phase {
        Phase::Queued => Ok(Decision { events: vec![requested, Event::Cancelled], effects: Vec::new() }),
        Phase::Running => {
            Ok(Decision { events: vec![requested], effects: super::proceed::stop_running(state) })
        }
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
        Phase::Running => match state.plan.kind {
            DeploymentKind::Restore { .. } => Err(Refusal::IsRestore),
            DeploymentKind::Deploy => {
                let why = reason.map_or_else(String::new, |reason| format!(": {reason}"));
                let reason = format!("taken back by {}{why}", by.user);
                let failure = Failure { step: None, service: None, version: None, reason };
                Ok(Decision {
                    events: vec![Event::FailureDetected { failure }],
                    effects: super::proceed::stop_running(state),
                })
            }
        },
        Phase::RollingBack => Err(Refusal::AlreadyRollingBack),
        Phase::NeedsOperator => Err(Refusal::WaitsForOperator),
        Phase::Succeeded | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
            Err(Refusal::AlreadyFinished { phase: state.phase })
        }
    }
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
        Command::Cancel { by: actor(), reason: None }
    }

    fn take_back() -> Command {
        Command::TakeBack { by: actor(), reason: Some("slow".to_owned()) }
    }

    #[test]
    fn a_queued_deployment_ends_at_once() {
        let requested = Event::CancelRequested { by: actor(), reason: None };
        check(&in_phase(Phase::Queued), cancel(), &[requested, Event::Cancelled], &[]);
        check_refusal(&in_phase(Phase::Queued), take_back(), &Refusal::StillQueued);
    }

    #[test]
    fn running_steps_are_told_to_stop() {
        let story = Story::chain(1).started();
        let stop = Effect::StopStep { step: 0, attempt: Attempt::FIRST };
        let requested = Event::CancelRequested { by: actor(), reason: None };
        check(story.state(), cancel(), &[requested], &[stop]);
        let failure = Failure {
            step: None,
            service: None,
            version: None,
            reason: "taken back by anna: slow".to_owned(),
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
