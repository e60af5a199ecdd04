//! How a deployment goes back, for people: what began it, what goes back in which order, and why what
//! does not go back stays.

use crate::rollback;
use lockstep_model::{
    deployment::{Deployment, Ending, RollbackPlan},
    view::{RollbackServiceView, RollbackTrigger, RollbackView, StaysView},
};

/// None while nothing was to go back.
pub(super) fn view(state: &Deployment) -> Option<RollbackView> {
    let Some(ending) = state.ending.as_ref() else { return part(state) };
    let person = match ending {
        Ending::Cancelled { by, .. } => Some(by),
        Ending::RolledBack => state.failure.as_ref().and_then(|failure| failure.by.as_ref()),
    };
    let planned = state.rollback.as_ref();
    Some(RollbackView {
        trigger: match (person, &state.failure) {
            (Some(by), _) => RollbackTrigger::Person { by: by.clone() },
            (None, Some(failure)) => RollbackTrigger::Rule { step: failure.step.clone() },
            (None, None) => RollbackTrigger::Rule { step: None },
        },
        reason: state.failure.as_ref().map(|failure| failure.reason.clone()).unwrap_or_default(),
        max_duration_ms: planned.map(|plan| plan.max_duration_ms),
        detected_at: state.clocks.detected_at,
        decided_at: state.clocks.decided_at,
        stable_at: state.clocks.stable_at,
        services: planned.map(|plan| services(state, plan)).unwrap_or_default(),
        stays: rollback::stays(state)
            .into_iter()
            .map(|(place, why)| StaysView {
                service: state.plan.services[place as usize].service.clone(),
                why,
            })
            .collect(),
    })
}

/// Of services that go back by themselves.
fn part(state: &Deployment) -> Option<RollbackView> {
    let part = state.part.as_ref()?;
    let planned = part.rollback.as_ref();
    let goes =
        |place: &u32| planned.is_some_and(|plan| plan.services.iter().any(|one| one.service == *place));
    let all = (0u32..).zip(&state.plan.services).filter(|(place, one)| one.is_changed() && !goes(place));
    let why = |place: u32| {
        if part.services.contains(&place) {
            "its change had not begun"
        } else {
            "the release goes on with it"
        }
    };
    let stays = |(place, one): (u32, &lockstep_model::plan::PlannedService)| StaysView {
        service: one.service.clone(),
        why: why(place).to_owned(),
    };
    Some(RollbackView {
        trigger: RollbackTrigger::Person { by: part.by.clone() },
        reason: part.reason.clone().unwrap_or_default(),
        max_duration_ms: planned.map(|plan| plan.max_duration_ms),
        detected_at: part.asked_at,
        decided_at: part.decided_at,
        stable_at: part.back_at,
        services: planned.map(|plan| services(state, plan)).unwrap_or_default(),
        stays: planned.map(|_| all.map(stays).collect()).unwrap_or_default(),
    })
}

fn services(state: &Deployment, plan: &RollbackPlan) -> Vec<RollbackServiceView> {
    let service = |place: u32| &state.plan.services[place as usize];
    let entry = |entry: &lockstep_model::deployment::RollbackService| {
        let before = state.checkpoints.get(&entry.service).and_then(|checkpoint| checkpoint.serving.as_ref());
        RollbackServiceView {
            service: service(entry.service).service.clone(),
            from: service(entry.service).to_version().cloned(),
            to: before.map(|serving| serving.version.clone()),
            after: entry
                .after
                .iter()
                .map(|before| service(plan.services[*before as usize].service).service.clone())
                .collect(),
            steps: entry.steps.iter().map(|step| state.plan.steps[*step as usize].id.clone()).collect(),
        }
    };
    plan.services.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::Command,
        testing::{Story, actor, manifest, process_spec, service_name, serving},
    };

    #[test]
    fn a_service_that_goes_back_by_itself_has_clocks_of_its_own() {
        let mut story =
            Story::of(&manifest(2, &[], &process_spec()), serving(&manifest(2, &[], &process_spec())))
                .started();
        let (services, by) = (vec![service_name(0)], actor());
        story.tell(Command::TakeBackServices { services, by, reason: None });
        let shown = view(story.state()).expect("it goes back");
        assert!(shown.detected_at.is_some() && shown.stable_at.is_none(), "{shown:?}");
        assert_eq!(story.state().clocks.detected_at, None, "the release goes on");
        let story = story.run_to_the_end();
        let shown = view(story.state()).expect("it went back");
        assert!(shown.decided_at.is_some() && shown.stable_at.is_some(), "{shown:?}");
    }

    #[test]
    fn nothing_goes_back_before_somebody_or_something_says_so() {
        assert_eq!(view(Story::chain(2).started().state()), None);
    }

    #[test]
    fn a_person_who_takes_back_is_named_and_so_is_what_was_not_begun() {
        let mut story = Story::chain(2).started();
        story.tell(Command::TakeBack { by: actor(), reason: Some("slow".to_owned()) });
        let shown = view(story.state()).expect("it goes back");
        assert_eq!(shown.trigger, RollbackTrigger::Person { by: actor() });
        assert!(shown.reason.contains("slow"), "{}", shown.reason);
        assert_eq!((shown.services.len(), shown.max_duration_ms), (0, None));
    }
}
