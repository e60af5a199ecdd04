//! A deployment leaves the queue: because its turn has come, or because a newer one takes its
//! place. Possible only while it waits.

use super::{Decision, Refusal, approve};
use lockstep_model::{
    DeploymentId,
    deployment::{Deployment, Phase},
    event::Event,
};

pub(super) fn start(state: &Deployment) -> Result<Decision, Refusal> {
    let mut decision = leave_queue(state, Event::Started)?;
    approve::is_enough(state)?;
    if let Some(failure) = &state.request.asks {
        let reason = format!(
            "{}; nothing begins before somebody decides: `resume` takes it back, `cancel` leaves it as it is",
            failure.reason
        );
        decision.events.push(Event::OperatorNeeded { reason, failure: Some(failure.clone()) });
    }
    Ok(decision)
}

pub(super) fn supersede(state: &Deployment, by: DeploymentId) -> Result<Decision, Refusal> {
    leave_queue(state, Event::Superseded { by })
}

pub(super) fn leave_queue(state: &Deployment, event: Event) -> Result<Decision, Refusal> {
    match state.phase {
        Phase::Queued => Ok(Decision::event(event)),
        Phase::Running | Phase::Paused | Phase::RollingBack | Phase::NeedsOperator => {
            Err(Refusal::AlreadyStarted { phase: state.phase })
        }
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
        testing::{check, check_refusal, in_phase},
    };
    use lockstep_model::{DeploymentId, deployment::Phase, event::Event};

    #[test]
    fn a_queued_deployment_starts_or_is_superseded() {
        check(&in_phase(Phase::Queued), Command::Start, &[Event::Started], &[]);
        let by = DeploymentId(9);
        check(&in_phase(Phase::Queued), Command::Supersede { by }, &[Event::Superseded { by }], &[]);
    }

    #[test]
    fn one_that_began_neither_starts_nor_is_superseded() {
        for phase in [Phase::Running, Phase::Paused, Phase::RollingBack, Phase::NeedsOperator] {
            for command in [Command::Start, Command::Supersede { by: DeploymentId(9) }] {
                check_refusal(&in_phase(phase), command, &Refusal::AlreadyStarted { phase });
            }
        }
    }

    #[test]
    fn one_that_ended_neither_starts_nor_is_superseded() {
        for phase in crate::testing::FINAL_PHASES {
            for command in [Command::Start, Command::Supersede { by: DeploymentId(9) }] {
                check_refusal(&in_phase(phase), command, &Refusal::AlreadyFinished { phase });
            }
        }
    }
}
