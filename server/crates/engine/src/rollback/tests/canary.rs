//! A canary goes back share by share, and a share is not all.

use crate::{
    Command,
    rows::rows,
    testing::{Story, actor, canary_spec, manifest, serving},
    verify::verify,
    view,
};
use lockstep_model::{
    DeploymentId,
    deployment::{Phase, StepState},
    view::ServiceProgress,
};

fn canary() -> Story {
    let manifest = manifest(1, &[], &canary_spec(&[10, 50, 100]));
    Story::of(&manifest, serving(&manifest)).started()
}

fn step(story: &Story, id: &str) -> u32 {
    let place = story.state().plan.steps.iter().position(|step| step.id.as_str() == id);
    u32::try_from(place.expect("the plan has it")).expect("small")
}

/// Goes on until a step has succeeded.
fn until(mut story: Story, id: &str) -> Story {
    let step = step(&story, id);
    while story.state().steps[step as usize].state != StepState::Succeeded {
        let effect = story.next_effect().expect("something runs");
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    story
}

#[test]
fn a_share_serves_nobody_in_the_rows_and_only_the_last_shift_does() {
    let story = canary();
    let story = until(story, "s0000.shift-50");
    assert!(rows(DeploymentId(7), story.state(), story.journal()).serving.is_empty());
    let story = until(story, "s0000.shift");
    let serving = rows(DeploymentId(7), story.state(), story.journal()).serving;
    let versions: Vec<&str> =
        serving.iter().map(|row| row.serving.as_ref().expect("something").version.as_str()).collect();
    assert_eq!(versions, ["1.0.0"]);
}

#[test]
fn a_canary_that_fails_at_any_share_goes_back_from_its_last_share_to_its_start() {
    for (failing, shares) in [("watch-10", 1), ("verify-50", 2), ("watch-50", 2), ("shift", 3), ("watch", 3)]
    {
        let story = canary();
        let failing = step(&story, &format!("s0000.{failing}"));
        let story = story.run_failing(failing);
        assert_eq!(story.state().phase, Phase::RolledBack);
        assert!(verify(story.journal()).is_empty());
        let back = &story.state().rollback.as_ref().expect("a rollback").services[0].steps;
        let back: Vec<&str> =
            back.iter().map(|step| story.state().plan.steps[*step as usize].id.as_str()).collect();
        let all = ["s0000.shift", "s0000.shift-50", "s0000.shift-10", "s0000.prepare"];
        assert_eq!(back, all[3 - shares..]);
        // What serves was never another one before the last shift, so nothing is to be said of it.
        let said = rows(DeploymentId(7), story.state(), story.journal()).serving;
        let last = said.last().map(|row| row.serving.as_ref().expect("something").version.to_string());
        assert_eq!(last.as_deref(), (shares == 3).then_some("0.9.0"));
    }
}

#[test]
fn a_canary_that_is_cancelled_to_be_kept_is_kept_only_when_it_has_everybody() {
    let keep = || Command::Cancel { by: actor(), reason: None, keep: true };
    let mut story = until(canary(), "s0000.shift-50");
    story.tell(keep());
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Cancelled);
    assert!(story.state().rollback.is_some(), "half of the users is no state to leave things in");
    let mut story = until(canary(), "s0000.shift");
    story.tell(keep());
    let story = story.run_to_the_end();
    assert!(story.state().rollback.is_none());
    let summary = view::summary(DeploymentId(7), story.state());
    assert_eq!(summary.services[0].state, ServiceProgress::Kept);
}

#[test]
fn a_plan_of_before_canaries_is_read() {
    let story = Story::chain(1);
    let mut plan = serde_json::to_value(&*story.state().plan).expect("JSON");
    for step in plan["steps"].as_array_mut().expect("a list") {
        step.as_object_mut().expect("an object").remove("weight");
    }
    let read: lockstep_model::plan::Plan = serde_json::from_value(plan).expect("read");
    assert_eq!(read, *story.state().plan);
}
