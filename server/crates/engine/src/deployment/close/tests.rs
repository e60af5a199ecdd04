//! Closing, as an operator and a crash meet it.

use super::open;
use crate::{
    Command, Effect, Refusal, StepOutcome, decide,
    testing::{Story, actor, canary_spec, check_refusal, command_spec, manifest, process_spec, serving},
    verify::verify,
};
use lockstep_model::{
    Attempt, Timestamp,
    closing::{CloseTo, Open},
    deployment::{Phase, Resolution, StepState},
    event::Event,
    manifest::{ServiceSpec, Strategy},
    plan::StepKind,
};

const OUTCOMES: [Resolution; 3] = [Resolution::Succeeded, Resolution::RolledBack, Resolution::Failed];

/// One service whose step `kind` failed where nothing goes back by itself.
fn asking(spec: &ServiceSpec, kind: StepKind) -> Story {
    let mut spec = spec.clone();
    spec.rollback.auto = false;
    let manifest = manifest(1, &[], &spec);
    let mut story = Story::of(&manifest, serving(&manifest)).started();
    while let Some(effect) = story.next_effect() {
        let Effect::RunStep { step, .. } = effect else { panic!("{effect:?}") };
        if story.state().plan.steps[step as usize].kind == kind {
            let reason = "broken".to_owned();
            story.answer(effect, StepOutcome::Failed { reason, evidence: Vec::new() });
            assert_eq!(story.state().phase, Phase::NeedsOperator);
            return story;
        }
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    panic!("no step of kind {kind:?}");
}

fn resolve(outcome: Resolution) -> Command {
    Command::Resolve { by: actor(), outcome, reason: "seen".to_owned(), leave: false }
}

fn ends(story: &Story) -> Vec<&Event> {
    let of_the_end = |event: &&Event| {
        matches!(
            event,
            Event::ResolveBegun { .. }
                | Event::Closed { .. }
                | Event::CloseFailed { .. }
                | Event::Resolved { .. }
        )
    };
    story.journal().iter().map(|envelope| &envelope.event).filter(of_the_end).collect()
}

#[test]
fn what_each_verdict_closes_follows_from_what_the_release_began() {
    let recreate = ServiceSpec { strategy: Strategy::Recreate, ..process_spec() };
    // Before it had any traffic, in the middle of a canary, and when it had all; without a gateway.
    let (before, new, as_is) = (Some(CloseTo::Before), Some(CloseTo::New), Some(CloseTo::AsItIs));
    let cases = [
        (canary_spec(&[10, 100]), StepKind::Prepare, [before, before, as_is]),
        (canary_spec(&[10, 100]), StepKind::Watch, [new, before, as_is]),
        (canary_spec(&[100]), StepKind::Watch, [None, before, None]),
        (process_spec(), StepKind::Verify, [before, before, None]),
        (process_spec(), StepKind::Watch, [None, before, None]),
        (recreate, StepKind::Verify, [None, None, None]),
        (command_spec(), StepKind::Replace, [None, None, None]),
    ];
    for (spec, kind, expected) in cases {
        let story = asking(&spec, kind);
        for (outcome, to) in OUTCOMES.into_iter().zip(expected) {
            let expected: Vec<Open> = to.map(|to| Open { service: 0, to }).into_iter().collect();
            assert_eq!(open(story.state(), outcome), expected, "{:?} {kind:?} {outcome:?}", spec.strategy);
        }
    }
}

#[test]
fn a_share_is_closed_before_the_deployment_ends() {
    for outcome in OUTCOMES {
        let mut story = asking(&canary_spec(&[10, 100]), StepKind::Watch);
        story.tell(resolve(outcome));
        let close = Effect::Close { service: 0, attempt: Attempt::FIRST };
        assert_eq!((story.state().phase, story.pending()), (Phase::NeedsOperator, &[close][..]));
        // Looked at again and again, it waits.
        story.tell(Command::Proceed);
        assert_eq!(story.pending(), [close]);
        let story = story.run_to_the_end();
        let Event::Resolved { outcome: told, leaves: false, .. } = ends(&story)[2] else {
            panic!("{:?}", ends(&story))
        };
        assert_eq!((*told, ends(&story).len()), (outcome, 3));
        assert!(story.state().phase.is_final());
        let rows = crate::rows::rows(lockstep_model::DeploymentId(1), story.state(), &story.journal()[1..]);
        let waits = |row: &crate::port::store::StepRow| row.status.state == StepState::Skipped;
        assert!(rows.steps.iter().any(waits), "what never began is written as left out");
        assert_eq!(verify(story.journal()), []);
    }
}

#[test]
fn what_cannot_be_closed_is_asked_about_and_tried_again() {
    let mut story = asking(&canary_spec(&[10, 100]), StepKind::Watch);
    story.tell(resolve(Resolution::RolledBack));
    let fails = |attempt| Command::FinishClose { service: 0, attempt, outcome: Err("no agent".to_owned()) };
    story.tell(fails(Attempt(1)));
    assert_eq!(story.state().phase, Phase::NeedsOperator);
    let said = crate::view::summary(lockstep_model::DeploymentId(1), story.state()).operator_reason;
    let said = said.expect("somebody is asked");
    assert!(said.contains("broken") && said.contains("s0000: no agent"), "{said}");
    // Twice, and late: nobody waits for it.
    let before = story.state().clone();
    story.tell(fails(Attempt(1)));
    assert_eq!(story.state(), &before);

    story.tell(resolve(Resolution::RolledBack));
    let again = Effect::Close { service: 0, attempt: Attempt(2) };
    assert!(story.pending().contains(&again));
    story.answer(again, StepOutcome::Unknown { reason: String::new() });
    assert_eq!(story.state().phase, Phase::RolledBack);
    assert_eq!(verify(story.journal()), []);
}

#[test]
fn while_it_is_closed_people_wait_but_for_whoever_leaves_it_open() {
    let mut story = asking(&canary_spec(&[10, 100]), StepKind::Watch);
    story.tell(resolve(Resolution::Failed));
    let (by, step) = (actor(), story.state().plan.steps[0].id.clone());
    for command in [
        resolve(Resolution::Failed),
        Command::TakeBack { by: by.clone(), reason: None },
        Command::Cancel { by: by.clone(), reason: None, keep: false },
        Command::RetryStep { step, by: by.clone() },
        Command::Resume { by: by.clone() },
        Command::RetryUndo { by: by.clone() },
    ] {
        check_refusal(story.state(), command, &Refusal::IsClosing);
    }
    let leave =
        Command::Resolve { by, outcome: Resolution::Failed, reason: "no host".to_owned(), leave: true };
    story.tell(leave);
    assert_eq!(story.state().phase, Phase::Failed);
    assert!(matches!(ends(&story)[1], Event::Resolved { leaves: true, .. }));
    assert_eq!(verify(story.journal()), []);
    let late = Command::FinishClose { service: 0, attempt: Attempt(1), outcome: Ok(()) };
    assert!(decide(story.state(), late, Timestamp(9_000)).expect("no refusal").is_nothing());
}

#[test]
fn an_end_with_something_open_breaks_a_promise() {
    let mut story = asking(&canary_spec(&[10, 100]), StepKind::Watch);
    story.tell(resolve(Resolution::Failed));
    let (by, reason) = (actor(), "seen".to_owned());
    let resolved = Event::Resolved { by, outcome: Resolution::Failed, reason, leaves: false };
    let story = story.event(resolved);
    let broken = verify(story.journal());
    assert!(matches!(broken.as_slice(), [one] if one.promise == crate::verify::Promise::End), "{broken:?}");
}
