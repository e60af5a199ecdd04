//! An operator has what failed tried again: the undo of a release, or the steps of a restore.
//! Possible only while an operator is needed.

use super::{Decision, Refusal, part};
use lockstep_model::{
    deployment::{Actor, Deployment, Phase},
    event::Event,
};

pub(super) fn retry_undo(state: &Deployment, by: Actor) -> Result<Decision, Refusal> {
    match state.phase {
        Phase::NeedsOperator if part::is_stuck(state) => Ok(Decision::event(Event::UndoRetried { by })),
        Phase::NeedsOperator if state.asks_forward() => Err(Refusal::NothingWentBack),
        Phase::NeedsOperator => Ok(Decision::event(Event::UndoRetried { by })),
        Phase::Queued | Phase::Running | Phase::Paused | Phase::RollingBack => {
            Err(Refusal::NoOperatorNeeded { phase: state.phase })
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
        testing::{FINAL_PHASES, actor, check, check_refusal, in_phase},
    };
    use lockstep_model::{deployment::Phase, event::Event};

    fn retry() -> Command {
        Command::RetryUndo { by: actor() }
    }

    #[test]
    fn only_one_that_needs_an_operator_is_retried() {
        check(&in_phase(Phase::NeedsOperator), retry(), &[Event::UndoRetried { by: actor() }], &[]);
        for phase in [Phase::Queued, Phase::Running, Phase::Paused, Phase::RollingBack] {
            check_refusal(&in_phase(phase), retry(), &Refusal::NoOperatorNeeded { phase });
        }
        for phase in FINAL_PHASES {
            check_refusal(&in_phase(phase), retry(), &Refusal::AlreadyFinished { phase });
        }
    }
}
