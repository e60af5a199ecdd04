//! An operator declares how a deployment that needs one has ended. Recorded with who and why;
//! nothing outside is changed.

use super::{Decision, Refusal};
use lockstep_model::{
    deployment::{Actor, Deployment, Phase, Resolution},
    event::Event,
};

pub(super) fn resolve(
    state: &Deployment,
    by: Actor,
    outcome: Resolution,
    reason: String,
) -> Result<Decision, Refusal> {
    match state.phase {
        Phase::NeedsOperator if reason.trim().is_empty() => Err(Refusal::NoReason),
        Phase::NeedsOperator => Ok(Decision::event(Event::Resolved { by, outcome, reason })),
        Phase::Queued | Phase::Running | Phase::RollingBack => {
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
    use lockstep_model::{
        deployment::{Phase, Resolution},
        event::Event,
    };

    fn resolve(reason: &str) -> Command {
        Command::Resolve { by: actor(), outcome: Resolution::Failed, reason: reason.to_owned() }
    }

    #[test]
    fn only_one_that_needs_an_operator_is_resolved_and_never_without_a_reason() {
        let event =
            Event::Resolved { by: actor(), outcome: Resolution::Failed, reason: "by hand".to_owned() };
        check(&in_phase(Phase::NeedsOperator), resolve("by hand"), &[event], &[]);
        check_refusal(&in_phase(Phase::NeedsOperator), resolve("  "), &Refusal::NoReason);
        for phase in [Phase::Queued, Phase::Running, Phase::RollingBack] {
            check_refusal(&in_phase(phase), resolve("x"), &Refusal::NoOperatorNeeded { phase });
        }
        for phase in FINAL_PHASES {
            check_refusal(&in_phase(phase), resolve("x"), &Refusal::AlreadyFinished { phase });
        }
    }
}
