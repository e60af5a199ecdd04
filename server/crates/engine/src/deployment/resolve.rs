//! An operator declares how a deployment that needs one has ended. Recorded with who and why. What it
//! left open is closed before, unless they say that nothing outside is to be changed.

use super::{Decision, Refusal, close};
use lockstep_model::{
    deployment::{Actor, Deployment, Phase, Resolution, StepState},
    event::Event,
};

pub(super) fn resolve(
    state: &Deployment,
    by: Actor,
    outcome: Resolution,
    reason: String,
    leave: bool,
) -> Result<Decision, Refusal> {
    match state.phase {
        Phase::NeedsOperator if reason.trim().is_empty() => Err(Refusal::NoReason),
        Phase::NeedsOperator => match running(state) {
            Some(running) => Err(Refusal::StepsRun { running }),
            None => Ok(match close::open(state, outcome) {
                open if open.is_empty() || leave => {
                    let leaves = !open.is_empty() || state.is_closing();
                    Decision::event(Event::Resolved { by, outcome, reason, leaves })
                }
                open => close::begin(state, by, outcome, reason, open),
            }),
        },
        Phase::Queued | Phase::Running | Phase::Paused | Phase::RollingBack => {
            Err(Refusal::NoOperatorNeeded { phase: state.phase })
        }
        Phase::Succeeded | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
            Err(Refusal::AlreadyFinished { phase: state.phase })
        }
    }
}

/// Steps that run on while an operator is asked. An undo that hangs is not waited for.
fn running(state: &Deployment) -> Option<String> {
    let steps = state.plan.steps.iter().zip(&state.steps);
    let running: Vec<&str> = steps
        .filter(|(_, status)| status.state == StepState::Running)
        .map(|(planned, _)| planned.id.as_str())
        .collect();
    (!running.is_empty()).then(|| running.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::{
        command::Command,
        deployment::Refusal,
        testing::{FINAL_PHASES, Story, actor, check, check_refusal, in_phase},
    };
    use lockstep_model::{
        deployment::{Failure, Phase, Resolution},
        event::Event,
    };

    fn resolve(reason: &str) -> Command {
        Command::Resolve { by: actor(), outcome: Resolution::Failed, reason: reason.to_owned(), leave: false }
    }

    #[test]
    fn only_one_that_needs_an_operator_is_resolved_and_never_without_a_reason() {
        let event = Event::Resolved {
            by: actor(),
            outcome: Resolution::Failed,
            reason: "by hand".to_owned(),
            leaves: false,
        };
        check(&in_phase(Phase::NeedsOperator), resolve("by hand"), &[event], &[]);
        check_refusal(&in_phase(Phase::NeedsOperator), resolve("  "), &Refusal::NoReason);
        for phase in [Phase::Queued, Phase::Running, Phase::Paused, Phase::RollingBack] {
            check_refusal(&in_phase(phase), resolve("x"), &Refusal::NoOperatorNeeded { phase });
        }
        for phase in FINAL_PHASES {
            check_refusal(&in_phase(phase), resolve("x"), &Refusal::AlreadyFinished { phase });
        }
    }

    #[test]
    fn one_is_not_resolved_while_a_step_runs_and_the_steps_are_named() {
        let failure =
            Failure { step: None, service: None, version: None, reason: "test".to_owned(), by: None };
        let asks = Event::OperatorNeeded { reason: "test".to_owned(), failure: Some(failure) };
        let story = Story::chain(2).started().event(asks);
        let running = "s0000.preflight, s0001.preflight".to_owned();
        check_refusal(story.state(), resolve("by hand"), &Refusal::StepsRun { running });
    }
}
