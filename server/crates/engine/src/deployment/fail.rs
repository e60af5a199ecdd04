//! Something outside the steps shows that the release is broken, as a process that ends again and
//! again after its watch. It counts as the failure of a step does.

use super::{Decision, Refusal, proceed::react};
use lockstep_model::deployment::{Deployment, Failure, Phase};

pub(super) fn fail(state: &Deployment, failure: Failure) -> Result<Decision, Refusal> {
    match state.phase {
        Phase::Running | Phase::Paused if is_taken_back(state, &failure) => Ok(Decision::nothing()),
        Phase::Running | Phase::Paused => Ok(react(state, failure)),
        Phase::Queued => Err(Refusal::StillQueued),
        Phase::RollingBack => Err(Refusal::AlreadyRollingBack),
        Phase::NeedsOperator => Err(Refusal::WaitsForOperator),
        Phase::Succeeded | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
            Err(Refusal::AlreadyFinished { phase: state.phase })
        }
    }
}

/// It is about a version that goes back, or is back: nothing follows for the others.
fn is_taken_back(state: &Deployment, failure: &Failure) -> bool {
    let mut services = (0u32..).zip(&state.plan.services);
    services.any(|(place, one)| failure.service.as_ref() == Some(&one.service) && state.is_in_part(place))
}

#[cfg(test)]
mod tests {
    use crate::{
        command::Command,
        deployment::Refusal,
        effect::Effect,
        testing::{FINAL_PHASES, Story, check, check_refusal, in_phase},
    };
    use lockstep_model::{
        Attempt,
        deployment::{Failure, Phase},
        event::Event,
    };

    fn failure() -> Failure {
        Failure {
            step: None,
            service: None,
            version: None,
            reason: "it ends again and again".to_owned(),
            by: None,
        }
    }

    #[test]
    fn what_breaks_outside_its_steps_takes_a_release_back() {
        let story = Story::chain(1).started();
        let stop = Effect::StopStep { step: 0, attempt: Attempt::FIRST };
        let detected = Event::FailureDetected { failure: failure() };
        check(story.state(), Command::Fail { failure: failure() }, &[detected], &[stop]);
    }

    #[test]
    fn one_that_is_not_on_its_way_does_not_fail() {
        let fail = || Command::Fail { failure: failure() };
        check_refusal(&in_phase(Phase::Queued), fail(), &Refusal::StillQueued);
        check_refusal(&in_phase(Phase::RollingBack), fail(), &Refusal::AlreadyRollingBack);
        check_refusal(&in_phase(Phase::NeedsOperator), fail(), &Refusal::WaitsForOperator);
        for phase in FINAL_PHASES {
            check_refusal(&in_phase(phase), fail(), &Refusal::AlreadyFinished { phase });
        }
    }
}
