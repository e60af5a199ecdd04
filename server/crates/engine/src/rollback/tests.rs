//! The order of a rollback.

mod canary;

use crate::{
    command::Command,
    rollback::{changed_steps, plan, stays},
    testing::{Story, actor, manifest, process_spec, serving},
};
use lockstep_model::{manifest::RollbackScope, plan::StepKind};

#[test]
fn nothing_goes_back_before_something_changed() {
    let story = Story::chain(3).started();
    assert_eq!(changed_steps(story.state()).count(), 0);
    assert!(plan(story.state()).services.is_empty());
}

#[test]
fn a_chain_goes_back_from_its_end_and_each_service_from_its_last_step() {
    let story = Story::chain(3).started().run_to_the_end();
    let rollback = plan(story.state());
    let services: Vec<u32> = rollback.services.iter().map(|entry| entry.service).collect();
    assert_eq!(services, [2, 1, 0]);
    let after: Vec<&[u32]> = rollback.services.iter().map(|entry| entry.after.as_slice()).collect();
    assert_eq!(after, [&[] as &[u32], &[0], &[1]]);
    for entry in &rollback.services {
        let kinds: Vec<&str> =
            entry.steps.iter().map(|step| story.state().plan.steps[*step as usize].kind.word()).collect();
        assert_eq!(kinds, ["shift", "prepare"]);
    }
}

/// The step `kind` of the service at `place`.
fn step(story: &Story, place: u32, kind: StepKind) -> u32 {
    let found =
        |planned: &lockstep_model::plan::PlannedStep| planned.service == place && planned.kind == kind;
    let step = story.state().plan.steps.iter().position(found).expect("the strategy has it");
    u32::try_from(step).expect("small")
}

#[test]
fn what_does_not_go_back_says_why() {
    let whys = |story: &Story| {
        let all = stays(story.state()).into_iter();
        all.map(|(place, why)| format!("{place}: {why}")).collect::<Vec<_>>().join("; ")
    };
    // The last of a chain fails before the others follow: those had not begun.
    let story = Story::chain(2).started();
    assert_eq!(whys(&story), "", "nothing goes back yet");
    let failing = step(&story, 0, StepKind::Verify);
    let story = story.run_failing(failing);
    assert_eq!(whys(&story), "1: its change had not begun");

    // Two that have nothing to do with each other, and only what is tied goes back.
    let mut spec = process_spec();
    spec.rollback.scope = RollbackScope::Tied;
    let two = manifest(2, &[], &spec);
    let story = Story::of(&two, serving(&two)).started();
    let failing = step(&story, 1, StepKind::Watch);
    let story = story.run_failing(failing);
    assert_eq!(whys(&story), "0: it is not tied to s0001: rollback.scope is tied there");

    // What has all the traffic is kept by somebody's wish.
    let mut story = Story::chain(2).started();
    let last = step(&story, 1, StepKind::Shift);
    let is_last = |effect| matches!(effect, crate::Effect::RunStep { step, .. } if step == last);
    while let Some(effect) = story.next_effect().filter(|effect| !is_last(*effect)) {
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    story.tell(Command::Cancel { by: actor(), reason: None, keep: true });
    let story = story.run_to_the_end();
    assert_eq!(whys(&story), "0: its new version had all the traffic, and was to be kept");

    // Where all of it is kept, no rollback is planned, and what stays is said all the same, at the end.
    let mut story = Story::chain(1).started();
    let watch = step(&story, 0, StepKind::Watch);
    let is_watch = |effect| matches!(effect, crate::Effect::RunStep { step, .. } if step == watch);
    while let Some(effect) = story.next_effect().filter(|effect| !is_watch(*effect)) {
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    story.tell(Command::Cancel { by: actor(), reason: None, keep: true });
    assert_eq!(whys(&story), "", "it is not decided while the watch is ended");
    let story = story.run_to_the_end();
    assert_eq!(whys(&story), "0: its new version had all the traffic, and was to be kept");

    let story = Story::chain(1).started().run_to_the_end();
    assert_eq!(whys(&story), "", "nothing goes back of what succeeded");
}
