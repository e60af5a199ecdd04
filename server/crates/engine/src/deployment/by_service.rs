//! An operator steers one service of a release: has all of it tried again that failed, or keeps its new
//! version as it is. Made of the same events as steering single steps, so nothing new can follow.

use super::{Decision, Refusal, steer};
use crate::plan::nearest;
use lockstep_model::{
    ServiceName,
    deployment::{Actor, Deployment, StepState},
    plan::PlannedStep,
};

/// Every step of the service that failed or is unknown is tried again.
pub(super) fn retry(state: &Deployment, service: &ServiceName, by: &Actor) -> Result<Decision, Refusal> {
    steer::goes_forward(state)?;
    let failed = |step: StepState| matches!(step, StepState::Failed | StepState::Unknown);
    let what = "none of its steps failed; `lockstep retry ID STEP` tries one again that runs";
    let mut decision = Decision::nothing();
    for planned in steps(state, service, failed)? {
        let one = steer::retry(state, planned.id.clone(), by.clone())?;
        decision.events.extend(one.events);
        decision.effects.extend(one.effects);
    }
    something(decision, service, what)
}

/// Every step of the service that only looks and has not passed is left out. One that changes something
/// and failed cannot be kept: it is not known what would be.
pub(super) fn keep(
    state: &Deployment,
    service: &ServiceName,
    by: &Actor,
    reason: &str,
) -> Result<Decision, Refusal> {
    steer::goes_forward(state)?;
    if reason.trim().is_empty() {
        return Err(Refusal::NoReason);
    }
    let open = |step: StepState| {
        matches!(step, StepState::Pending | StepState::Running | StepState::Failed | StepState::Unknown)
    };
    let mut decision = Decision::nothing();
    for planned in steps(state, service, open)? {
        if planned.kind.is_optional() {
            let one = steer::skip(state, planned.id.clone(), by.clone(), reason.to_owned())?;
            decision.events.extend(one.events);
            decision.effects.extend(one.effects);
        } else {
            let why = "it changes the service and has not succeeded; try it again, or take the release back";
            return Err(Refusal::StepIsNeeded { step: planned.id.clone(), why });
        }
    }
    something(decision, service, "all of its steps have passed already")
}

fn something(decision: Decision, service: &ServiceName, what: &'static str) -> Result<Decision, Refusal> {
    if decision.is_nothing() {
        return Err(Refusal::NothingOfService { service: service.clone(), what });
    }
    Ok(decision)
}

/// Steps of a changed service in a state, in the plan's order.
fn steps<'s>(
    state: &'s Deployment,
    service: &ServiceName,
    is_meant: impl Fn(StepState) -> bool + 's,
) -> Result<impl Iterator<Item = &'s PlannedStep>, Refusal> {
    let place = place(state, service)?;
    if state.is_in_part(place) {
        return Err(Refusal::TakenBack { service: service.clone() });
    }
    let all = state.plan.steps.iter().zip(&state.steps);
    Ok(all
        .filter(move |(planned, status)| planned.service == place && is_meant(status.state))
        .map(|(planned, _)| planned))
}

/// The place of a changed service.
pub(super) fn place(state: &Deployment, service: &ServiceName) -> Result<u32, Refusal> {
    let changed = || (0u32..).zip(&state.plan.services).filter(|(_, planned)| planned.is_changed());
    if let Some((place, _)) = changed().find(|(_, planned)| planned.service == *service) {
        return Ok(place);
    }
    let hint = nearest(service.as_str(), changed().map(|(_, planned)| planned.service.as_str()))
        .map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
    Err(Refusal::NoSuchService { service: service.clone(), hint })
}

#[cfg(test)]
mod tests {
    use crate::{
        command::Command,
        deployment::Refusal,
        testing::{
            FINAL_PHASES, Story, actor, check_refusal, in_phase, manifest, process_spec, service_name,
            serving,
        },
    };
    use lockstep_model::{
        ServiceName,
        deployment::{Phase, StepState},
        plan::StepKind,
    };

    fn retry(service: ServiceName) -> Command {
        Command::RetryService { service, by: actor() }
    }

    fn keep(service: ServiceName) -> Command {
        Command::KeepService { service, by: actor(), reason: "seen by hand".to_owned() }
    }

    /// A chain of two where rollback is switched off, in which a step of the second has failed.
    fn asking(kind: StepKind) -> Story {
        let mut spec = process_spec();
        spec.rollback.auto = false;
        let manifest = manifest(2, &[(1, 0)], &spec);
        let story = Story::of(&manifest, serving(&manifest)).started();
        let failing = story.state().plan.steps.iter().rposition(|step| step.kind == kind).expect("one");
        let story = story.run_failing(u32::try_from(failing).expect("small"));
        assert!(story.state().asks_forward());
        story
    }

    #[test]
    fn what_failed_of_a_service_is_tried_again_and_the_release_goes_on() {
        let mut story = asking(StepKind::Shift);
        story.tell(retry(service_name(1)));
        assert_eq!(story.state().phase, Phase::Running);
        assert_eq!(story.run_to_the_end().state().phase, Phase::Succeeded);
    }

    #[test]
    fn a_service_that_is_kept_is_not_looked_at_any_longer() {
        let mut story = asking(StepKind::Watch);
        story.tell(keep(service_name(1)));
        let watch = story.steps_in(StepState::Skipped);
        assert_eq!(watch.len(), 1);
        let story = story.run_to_the_end();
        assert_eq!(story.state().phase, Phase::Succeeded);
    }

    #[test]
    fn it_is_refused_with_the_reason_where_it_makes_no_sense() {
        for command in [retry(service_name(0)), keep(service_name(0))] {
            check_refusal(&in_phase(Phase::Queued), command.clone(), &Refusal::StillQueued);
            check_refusal(&in_phase(Phase::RollingBack), command.clone(), &Refusal::AlreadyRollingBack);
            for phase in FINAL_PHASES {
                check_refusal(&in_phase(phase), command.clone(), &Refusal::AlreadyFinished { phase });
            }
        }
        let story = asking(StepKind::Shift);
        let unknown: ServiceName = "s001".parse().expect("valid");
        let hint = "; did you mean 's0001'?".to_owned();
        check_refusal(
            story.state(),
            retry(unknown.clone()),
            &Refusal::NoSuchService { service: unknown, hint },
        );
        for (command, part) in [
            (keep(service_name(1)), "has not succeeded"),
            (retry(service_name(0)), "none of its steps failed"),
        ] {
            let refusal = crate::decide(story.state(), command, lockstep_model::Timestamp(2_000));
            let said = refusal.expect_err("refused").to_string();
            assert!(said.contains(part), "{said}");
        }
        let no_reason =
            Command::KeepService { service: service_name(1), by: actor(), reason: " ".to_owned() };
        check_refusal(story.state(), no_reason, &Refusal::NoReason);
    }
}
