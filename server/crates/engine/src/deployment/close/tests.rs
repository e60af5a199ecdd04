//! Closing, as an operator and a crash meet it.

use super::open;
use crate::{
    Command, Effect, Refusal, StepOutcome, UndoOutcome, decide,
    testing::{Story, actor, canary_spec, check_refusal, command_spec, manifest, process_spec, serving},
    verify::verify,
};
use lockstep_model::{
    Attempt, Timestamp,
    closing::{CloseTo, Open},
    deployment::{Deployment, Phase, Resolution, StepState},
    event::{Envelope, Event},
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
        Command::Resume { by: by.clone(), pause: None },
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

/// Two services in the middle of their canary, of which the first failed, and the word that ends them.
fn closing_two() -> Story {
    let mut spec = canary_spec(&[10, 100]);
    spec.rollback.auto = false;
    let manifest = manifest(2, &[], &spec);
    let mut story = Story::of(&manifest, serving(&manifest)).started();
    while let Some(effect) = story.next_effect() {
        let Effect::RunStep { step, .. } = effect else { panic!("{effect:?}") };
        let fails = story.state().plan.steps[step as usize].kind == StepKind::Watch;
        let reason = "broken".to_owned();
        let good = story.good(effect);
        let bad = StepOutcome::Failed { reason, evidence: Vec::new() };
        story.answer(effect, if fails { bad } else { good });
    }
    story.tell(resolve(Resolution::RolledBack));
    assert_eq!(story.pending().len(), 2);
    story
}

fn closed(service: u32, attempt: u32) -> Command {
    Command::FinishClose { service, attempt: Attempt(attempt), outcome: Ok(()) }
}

#[test]
fn each_service_is_closed_once_and_only_the_try_that_is_live_is_answered() {
    let mut story = closing_two();
    for nobody_waits in [closed(0, 2), closed(2, 1)] {
        let before = story.state().clone();
        story.tell(nobody_waits);
        assert_eq!(story.state(), &before);
    }
    story.tell(closed(0, 1));
    assert_eq!(story.state().phase, Phase::NeedsOperator, "the other one is open");
    let before = story.state().clone();
    story.tell(closed(0, 1));
    assert_eq!(story.state(), &before, "twice");
    story.tell(Command::FinishClose { service: 1, attempt: Attempt(1), outcome: Err("no agent".to_owned()) });
    story.tell(resolve(Resolution::RolledBack));
    let before = story.state().clone();
    story.tell(closed(1, 1));
    assert_eq!(story.state(), &before, "of the try before");
    for service in [1, 0] {
        assert_eq!(story.state().phase, Phase::NeedsOperator);
        story.tell(closed(service, 2));
    }
    assert_eq!(story.state().phase, Phase::RolledBack);
    assert_eq!(verify(story.journal()), []);
}

#[test]
fn a_journal_in_which_something_else_follows_is_not_read() {
    let story = closing_two().event(Event::Closed { service: 0, attempt: Attempt(1) });
    let follows = |state: &Deployment, event: Event| {
        let envelope = Envelope { seq: state.seq.next(), at: Timestamp(3_000), event };
        crate::apply(state.clone(), &envelope).is_ok()
    };
    let closed = |service, attempt| Event::Closed { service, attempt: Attempt(attempt) };
    let failed = |service, attempt| Event::CloseFailed {
        service,
        attempt: Attempt(attempt),
        reason: "no agent".to_owned(),
    };
    for (event, can) in [
        (closed(1, 1), true),
        (failed(1, 1), true),
        // Closed already, another try, no such service.
        (closed(0, 1), false),
        (closed(1, 2), false),
        (closed(2, 1), false),
        (failed(1, 2), false),
        (failed(2, 1), false),
        // Nothing else goes on meanwhile.
        (Event::Resumed { by: actor() }, false),
        (Event::FailureDetected { failure: story.state().failure.clone().expect("it failed") }, false),
    ] {
        assert_eq!(follows(story.state(), event.clone()), can, "{event:?}");
    }
    let asked_again = story.event(failed(1, 1));
    for event in [closed(1, 1), failed(1, 1)] {
        assert!(!follows(asked_again.state(), event.clone()), "{event:?}: nobody waits for it");
    }
    let failure = asked_again.state().failure.clone().expect("it failed");
    let (by, step) = (actor(), 0);
    for (event, can) in [
        (Event::FailureDetected { failure }, true),
        (Event::CancelRequested { by: by.clone(), reason: None, keep: false }, true),
        (Event::Resumed { by: by.clone() }, false),
        (Event::StepRetried { step, by: by.clone() }, false),
        (Event::UndoRetried { by }, false),
    ] {
        assert_eq!(follows(asked_again.state(), event.clone()), can, "{event:?} once some may be closed");
    }
}

#[test]
fn what_stays_open_at_their_word_is_in_the_journal() {
    let leave = |outcome| Command::Resolve { by: actor(), outcome, reason: "seen".to_owned(), leave: true };
    let is_left = |story: &Story| matches!(ends(story).last(), Some(Event::Resolved { leaves: true, .. }));
    // Said at once, and while it is closed.
    let mut story = asking(&canary_spec(&[10, 100]), StepKind::Watch);
    story.tell(leave(Resolution::Failed));
    assert!(is_left(&story) && story.state().phase == Phase::Failed);
    let mut story = closing_two();
    story.tell(closed(0, 1));
    story.tell(leave(Resolution::RolledBack));
    assert!(is_left(&story));
    // Where nothing is open, nothing is left.
    let mut story = asking(&command_spec(), StepKind::Replace);
    story.tell(leave(Resolution::Failed));
    assert!(matches!(ends(&story).last(), Some(Event::Resolved { leaves: false, .. })));
    // What has ended says that, and not that it is being closed.
    let mut story = closing_two();
    story.tell(leave(Resolution::RolledBack));
    let refusal = Refusal::AlreadyFinished { phase: Phase::RolledBack };
    check_refusal(story.state(), resolve(Resolution::Failed), &refusal);
}

#[test]
fn what_comes_back_by_itself_meanwhile_is_not_left_open() {
    let mut story = Story::chain(1).started();
    while let Some(effect) = story.next_effect() {
        match effect {
            Effect::UndoStep { .. } => break,
            Effect::RunStep { step, .. } => {
                let fails = story.state().plan.steps[step as usize].kind == StepKind::Verify;
                let bad = StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() };
                let good = story.good(effect);
                story.answer(effect, if fails { bad } else { good });
            }
            Effect::StopStep { .. } | Effect::ProbeStep { .. } | Effect::Close { .. } => panic!("{effect:?}"),
        }
    }
    // The undo takes too long, somebody is asked, and ends it; then it has come back after all.
    let mut story = story.later_ms(600_000);
    story.tell(Command::Proceed);
    assert_eq!(story.state().phase, Phase::NeedsOperator);
    let undo = story.pending()[0];
    story.tell(resolve(Resolution::RolledBack));
    story.answer(undo, StepOutcome::Unknown { reason: String::new() });
    assert_eq!(story.state().phase, Phase::NeedsOperator, "it ends when it is closed");
    let leave = Command::Resolve {
        by: actor(),
        outcome: Resolution::RolledBack,
        reason: "seen".to_owned(),
        leave: true,
    };
    story.tell(leave);
    assert!(matches!(ends(&story).last(), Some(Event::Resolved { leaves: true, .. })));
    assert_eq!(verify(story.journal()), []);
}

#[test]
fn what_may_be_closed_does_not_go_forward_any_more_but_back() {
    let mut story = closing_two();
    story.tell(closed(0, 1));
    story.tell(Command::FinishClose { service: 1, attempt: Attempt(1), outcome: Err("no agent".to_owned()) });
    let (by, step) = (actor(), story.state().plan.steps[0].id.clone());
    let service = story.state().plan.services[0].service.clone();
    for command in [
        Command::Resume { by: by.clone(), pause: None },
        Command::RetryStep { step, by: by.clone() },
        Command::RetryService { service, by: by.clone() },
        Command::Cancel { by: by.clone(), reason: None, keep: true },
        Command::RetryUndo { by: by.clone() },
    ] {
        check_refusal(story.state(), command, &Refusal::MayBeClosed);
    }
    story.tell(Command::TakeBack { by, reason: None });
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::RolledBack);
    assert_eq!(verify(story.journal()), []);
}

#[test]
fn an_undo_is_tried_again_after_a_word_but_the_steps_of_a_restore_are_not() {
    let stuck = |mut story: Story| {
        while let Some(effect) = story.next_effect() {
            match effect {
                Effect::UndoStep { step, attempt } => {
                    let outcome = UndoOutcome::Failed { reason: "locked".to_owned(), evidence: Vec::new() };
                    story.answer_undo(effect, Command::FinishUndo { step, attempt, outcome });
                }
                Effect::RunStep { step, .. }
                    if story.state().plan.steps[step as usize].kind == StepKind::Verify =>
                {
                    let bad = StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() };
                    story.answer(effect, bad);
                }
                Effect::RunStep { .. } | Effect::StopStep { .. } | Effect::ProbeStep { .. } => {
                    let good = story.good(effect);
                    story.answer(effect, good);
                }
                Effect::Close { service, attempt } => {
                    let event = Event::UndoRetried { by: actor() };
                    let retried = Envelope { seq: story.state().seq.next(), at: Timestamp(3_000), event };
                    assert!(crate::apply(story.state().clone(), &retried).is_err(), "while it is closed");
                    let outcome = Err("no agent".to_owned());
                    story.answer_undo(effect, Command::FinishClose { service, attempt, outcome });
                }
            }
            if story.next_effect().is_none() && story.state().closing.is_none() {
                story.tell(resolve(Resolution::RolledBack));
            }
        }
        assert_eq!(story.state().phase, Phase::NeedsOperator);
        story
    };
    let mut release = stuck(Story::chain(1).started());
    release.tell(Command::RetryUndo { by: actor() });
    assert_eq!(release.run_to_the_end().state().phase, Phase::RolledBack);
    let restore = stuck(Story::restore(1).started());
    check_refusal(restore.state(), Command::RetryUndo { by: actor() }, &Refusal::MayBeClosed);
}
