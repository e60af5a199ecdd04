//! What goes on, told as stories; and the three tests that every step must pass: run it twice,
//! fail at each point and unwind, unwind twice.

use crate::{
    Command, Decision, Effect, StepOutcome, UndoOutcome, decide, replay,
    testing::{Story, actor, command_spec, manifest, process_spec, serving},
};
use lockstep_model::{
    Attempt, Timestamp,
    deployment::{Phase, StepState},
    event::Event,
    manifest::{RollbackScope, Strategy},
    plan::StepKind,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn shapes() -> Vec<(&'static str, Story)> {
    let fan: Vec<(usize, usize)> = (1..21).map(|leaf| (leaf, 0)).collect();
    let diamond = [(1, 0), (2, 0), (3, 1), (3, 2)];
    // The demo: frontend depends on backend, web_portal stands alone.
    let demo = [(1, 0)];
    [
        ("chain", 4, vec![(1, 0), (2, 1), (3, 2)]),
        ("diamond", 4, diamond.to_vec()),
        ("fan-out of 20", 21, fan),
        ("demo", 3, demo.to_vec()),
    ]
    .into_iter()
    .map(|(name, count, edges)| {
        let manifest = manifest(count, &edges, &process_spec());
        let story = Story::of(&manifest, serving(&manifest));
        (name, story)
    })
    .collect()
}

/// Every order among what the journal tells: dependencies change first, and go back last.
fn assert_order(story: &Story) {
    let plan = &story.state().plan;
    let mut succeeded = BTreeSet::new();
    let mut undoing = BTreeSet::new();
    let mut undone = BTreeSet::new();
    for envelope in story.journal() {
        match &envelope.event {
            Event::StepStarted { step, .. } => {
                for before in &plan.steps[*step as usize].after {
                    assert!(
                        succeeded.contains(before),
                        "step {step} began before step {before} had succeeded"
                    );
                }
            }
            Event::StepSucceeded { step, .. } => {
                succeeded.insert(*step);
            }
            Event::UndoStarted { step, .. } => {
                undoing.insert(*step);
                let service = plan.steps[*step as usize].service;
                let Some(rollback) = &story.state().rollback else { panic!("an undo without a plan") };
                for entry in rollback.services.iter().filter(|entry| entry.service == service) {
                    for before in &entry.after {
                        for step in &rollback.services[*before as usize].steps {
                            assert!(undone.contains(step), "an undo began before its dependant was back");
                        }
                    }
                }
            }
            Event::UndoSucceeded { step, .. } => {
                undone.insert(*step);
            }
            _ => {}
        }
    }
    assert_eq!(undone, undoing, "every undo that began came to its end");
    let changed: BTreeSet<u32> =
        crate::rollback::changed_steps(story.state()).map(|(step, _)| step).collect();
    if story.state().phase == Phase::RolledBack {
        assert_eq!(changed, undone, "all that changed is back, and nothing else was undone");
    }
}

#[test]
fn a_good_release_ends_as_succeeded_with_every_step_done_once() {
    for (name, story) in shapes() {
        let story = story.started().run_to_the_end();
        assert_eq!(story.state().phase, Phase::Succeeded, "{name}");
        assert!(story.state().steps.iter().all(|status| status.attempt == 1), "{name}");
        assert_eq!(story.journal().last().map(|e| &e.event), Some(&Event::ReleaseCommitted));
        assert_order(&story);
    }
}

#[test]
fn running_every_step_twice_changes_nothing() {
    for (name, story) in shapes() {
        let mut story = story.started();
        while let Some(effect) = story.next_effect() {
            let outcome = story.good(effect);
            story.answer(effect, outcome.clone());
            let after_once = story.state().clone();
            story.answer(effect, outcome);
            assert_eq!(*story.state(), after_once, "{name}");
        }
        assert_eq!(story.state().phase, Phase::Succeeded, "{name}");
    }
}

#[test]
fn a_failure_at_each_step_takes_back_all_that_changed() {
    for (name, story) in shapes() {
        for failing in 0..u32::try_from(story.state().steps.len()).expect("few") {
            let story = story.clone().started().run_failing(failing);
            let state = story.state();
            let changed = crate::rollback::changed_steps(state).next().is_some();
            let expected = if changed { Phase::RolledBack } else { Phase::Failed };
            assert_eq!(state.phase, expected, "{name} failing at {}", state.plan.steps[failing as usize].id);
            assert_eq!(
                state.failure.as_ref().and_then(|f| f.step.as_ref()),
                Some(&state.plan.steps[failing as usize].id)
            );
            assert_order(&story);
        }
    }
}

#[test]
fn unwinding_twice_changes_nothing() {
    for (name, story) in shapes() {
        let watch = story.state().plan.steps.iter().position(|step| step.kind == StepKind::Watch);
        let mut story = story.started();
        let failing = u32::try_from(watch.expect("a watched service")).expect("few");
        while let Some(effect) = story.next_effect() {
            let fails = matches!(effect, Effect::RunStep { step, .. } if step == failing);
            let outcome = if fails {
                StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() }
            } else {
                story.good(effect)
            };
            story.answer(effect, outcome.clone());
            let once = story.state().clone();
            story.answer(effect, outcome);
            assert_eq!(*story.state(), once, "{name}");
        }
        assert_eq!(story.state().phase, Phase::RolledBack, "{name}");
        assert_order(&story);
    }
}

#[test]
fn nothing_changes_before_every_preflight_has_passed() {
    let mut story = Story::chain(3).started();
    let preflights: Vec<Effect> = story.pending().to_vec();
    assert_eq!(preflights.len(), 3, "all preflights begin at once");
    for effect in &preflights[..2] {
        let outcome = story.good(*effect);
        story.answer(*effect, outcome);
        assert_eq!(story.steps_in(StepState::Running).len(), story.pending().len());
        assert!(story.pending().iter().all(|effect| preflights.contains(effect)), "no change began");
    }
    let outcome = StepOutcome::Failed { reason: "missing".to_owned(), evidence: Vec::new() };
    story.answer(preflights[2], outcome);
    assert_eq!(story.state().phase, Phase::Failed, "nothing was changed, so nothing goes back");
}

#[test]
fn max_parallel_of_one_is_sequential() {
    let mut manifest = manifest(4, &[], &process_spec());
    for environment in manifest.environments.values_mut() {
        environment.max_parallel = 1;
    }
    let mut story = Story::of(&manifest, serving(&manifest)).started();
    while let Some(effect) = story.next_effect() {
        let working = story
            .state()
            .plan
            .steps
            .iter()
            .zip(&story.state().steps)
            .filter(|(planned, status)| status.state == StepState::Running && planned.kind != StepKind::Watch)
            .count();
        assert!(working <= 1, "{working} services in work");
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    assert_eq!(story.state().phase, Phase::Succeeded);
}

#[test]
fn a_dependant_does_not_wait_for_the_watch_of_its_dependency() {
    let mut story = Story::chain(2).started();
    loop {
        let effect = *story
            .pending()
            .iter()
            .find(|effect| !matches!(effect, Effect::RunStep { step, .. } if story.state().plan.steps[*step as usize].kind == StepKind::Watch))
            .expect("something beside a watch goes on");
        let outcome = story.good(effect);
        story.answer(effect, outcome);
        let shifted =
            story.state().plan.steps.iter().zip(&story.state().steps).filter(|(planned, status)| {
                planned.kind == StepKind::Shift && status.state == StepState::Succeeded
            });
        if shifted.count() == 2 {
            break;
        }
    }
    assert_eq!(story.pending().len(), 2, "both watches overlap");
}

#[test]
fn a_deployment_that_takes_too_long_is_taken_back() {
    let mut story = Story::chain(1).started();
    let preflight = story.pending()[0];
    let outcome = story.good(preflight);
    story.answer(preflight, outcome);
    let mut story = story.later_ms(900_001);
    story.tell(Command::Proceed);
    assert_eq!(story.state().phase, Phase::RollingBack);
    assert!(story.state().failure.as_ref().is_some_and(|f| f.step.is_none()));
    assert_eq!(story.run_to_the_end().state().phase, Phase::RolledBack);
}

#[test]
fn a_cancelled_deployment_is_taken_back_and_ends_as_cancelled() {
    let mut story = Story::chain(2).started();
    for _ in 0..4 {
        let effect = story.next_effect().expect("work");
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    story.tell(Command::Cancel { by: actor(), reason: None, keep: false });
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Cancelled);
    assert!(story.state().clocks.stable_at.is_some());
    assert_order(&story);
}

#[test]
fn with_rollback_switched_off_a_failure_asks_an_operator_and_leaves_things_as_they_are() {
    let mut spec = process_spec();
    spec.rollback.auto = false;
    let manifest = manifest(2, &[(1, 0)], &spec);
    let unchanged = Story::of(&manifest, serving(&manifest)).started().run_failing(0);
    assert_eq!(unchanged.state().phase, Phase::Failed, "nothing changed: there is nothing to ask");
    let story = Story::of(&manifest, serving(&manifest)).started().run_failing(3);
    assert_eq!(story.state().phase, Phase::NeedsOperator);
    assert!(story.state().asks_forward());
    assert!(story.state().rollback.is_none());
    assert!(story.steps_in(StepState::Running).is_empty(), "what ran came to its end");
    assert!(!story.steps_in(StepState::Pending).is_empty(), "nothing else began");
}

fn failed_undo(reason: &str) -> UndoOutcome {
    UndoOutcome::Failed { reason: reason.to_owned(), evidence: Vec::new() }
}

/// A chain of two whose last watch failed and whose undo of `service` fails.
fn stuck_story() -> Story {
    let mut story = Story::chain(2).started();
    let last = u32::try_from(story.state().steps.len() - 1).expect("few");
    while let Some(effect) = story.next_effect() {
        match effect {
            Effect::UndoStep { step, attempt } => {
                story.tell(Command::FinishUndo { step, attempt, outcome: failed_undo("no way back") });
                break;
            }
            Effect::RunStep { step, .. } if step == last => {
                story.answer(
                    effect,
                    StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() },
                );
            }
            Effect::RunStep { .. }
            | Effect::StopStep { .. }
            | Effect::ProbeStep { .. }
            | Effect::Close { .. } => {
                let outcome = story.good(effect);
                story.answer(effect, outcome);
            }
        }
    }
    story
}

#[test]
fn a_failed_undo_stops_and_asks_for_an_operator_and_a_retry_goes_on() {
    let mut story = stuck_story();
    assert_eq!(story.state().phase, Phase::NeedsOperator);
    assert!(story.state().operator_reason.as_ref().is_some_and(|reason| reason.contains("no way back")));
    assert!(!story.state().phase.is_final());
    story.tell(Command::RetryUndo { by: actor() });
    assert_eq!(story.state().phase, Phase::RollingBack);
    let retried = story.pending().iter().any(|e| matches!(e, Effect::UndoStep { attempt: Attempt(2), .. }));
    assert!(retried, "the second try of the undo has a key of its own");
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::RolledBack);
}

#[test]
fn an_undo_that_ends_well_after_the_limit_still_counts() {
    let mut story = Story::chain(1).started();
    while let Some(effect) = story.next_effect() {
        match effect {
            Effect::UndoStep { .. } => break,
            Effect::RunStep { step, .. }
                if story.state().plan.steps[step as usize].kind == StepKind::Prepare =>
            {
                story.answer(effect, StepOutcome::Unknown { reason: "lost".to_owned() });
            }
            Effect::RunStep { .. }
            | Effect::StopStep { .. }
            | Effect::ProbeStep { .. }
            | Effect::Close { .. } => {
                let outcome = story.good(effect);
                story.answer(effect, outcome);
            }
        }
    }
    let mut story = story.later_ms(120_001);
    story.tell(Command::Proceed);
    assert_eq!(story.state().phase, Phase::NeedsOperator);
    assert_eq!(story.run_to_the_end().state().phase, Phase::RolledBack);
}

#[test]
fn a_command_that_cannot_be_undone_is_left_to_an_operator_and_the_others_go_back() {
    let mut spec = command_spec();
    if let lockstep_model::manifest::Target::Command(target) = &mut spec.target {
        target.undo = None;
    }
    let manifest = manifest(2, &[(1, 0)], &spec);
    // A first deployment: nothing served before.
    let story = Story::of(&manifest, std::collections::BTreeMap::new()).started();
    let story = story.run_failing(3);
    assert_eq!(story.state().phase, Phase::NeedsOperator);
    let failed = story.steps_in(StepState::UndoFailed);
    assert_eq!(failed.len(), 2, "one that cannot be undone does not block the others");
    let said = story.journal().iter().filter_map(|envelope| match envelope.event {
        Event::UndoFailed { attempt, .. } => Some(attempt),
        _ => None,
    });
    assert_eq!(said.collect::<Vec<_>>(), [Attempt::FIRST; 2], "each is said once");
}

#[test]
fn tied_scope_takes_back_the_failed_service_its_list_and_what_stands_downstream() {
    let mut manifest = manifest(5, &[(1, 0), (2, 1)], &process_spec());
    // s0 <- s1 <- s2, s3 alone, s4 alone; s1 fails and names s3.
    for (name, service) in &mut manifest.services {
        for spec in service.environments.values_mut() {
            spec.rollback.scope = RollbackScope::Tied;
            if name.as_str() == "s0001" {
                spec.rollback.with = vec![crate::testing::service_name(3)];
            }
        }
    }
    let story = Story::of(&manifest, serving(&manifest)).started();
    let watch =
        story.state().plan.steps.iter().position(|step| step.id.as_str() == "s0001.watch").expect("a watch");
    let mut story = story;
    // Everything else first, so that all services have changed.
    while let Some(effect) = story
        .pending()
        .iter()
        .copied()
        .find(|effect| !matches!(effect, Effect::RunStep { step, .. } if *step as usize == watch))
    {
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    let effect = story.next_effect().expect("the watch");
    story.answer(effect, StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() });
    let story = story.run_to_the_end();
    let back: BTreeSet<&str> = story
        .state()
        .rollback
        .as_ref()
        .expect("a rollback")
        .services
        .iter()
        .map(|entry| story.state().plan.services[entry.service as usize].service.as_str())
        .collect();
    assert_eq!(back, BTreeSet::from(["s0001", "s0002", "s0003"]));
}

#[test]
fn compatible_services_go_back_at_once() {
    let mut spec = process_spec();
    spec.rollback.compatible_with_previous = true;
    let manifest = manifest(3, &[(1, 0), (2, 1)], &spec);
    let mut story = Story::of(&manifest, serving(&manifest)).started();
    let last = u32::try_from(story.state().steps.len() - 1).expect("few");
    while let Some(effect) = story.next_effect() {
        if matches!(effect, Effect::UndoStep { .. }) {
            break;
        }
        let fails = matches!(effect, Effect::RunStep { step, .. } if step == last);
        let outcome = if fails {
            StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() }
        } else {
            story.good(effect)
        };
        story.answer(effect, outcome);
    }
    assert_eq!(story.steps_in(StepState::Undoing).len(), 3);
}

#[test]
fn a_restore_goes_dependants_first_and_a_failed_one_asks_for_an_operator() {
    let story = Story::restore(3).started().run_to_the_end();
    assert_eq!(story.state().phase, Phase::Succeeded);
    let shifted: Vec<&str> = story
        .journal()
        .iter()
        .filter_map(|envelope| match envelope.event {
            Event::StepSucceeded { step, .. } => Some(&story.state().plan.steps[step as usize]),
            _ => None,
        })
        .filter(|step| step.kind == StepKind::Shift)
        .map(|step| step.id.as_str())
        .collect();
    assert_eq!(shifted, ["s0002.shift", "s0001.shift", "s0000.shift"]);

    let failing = Story::restore(1);
    let prepare = failing.state().plan.steps.iter().position(|step| step.kind == StepKind::Prepare);
    let prepare = u32::try_from(prepare.expect("a prepare")).expect("few");
    let mut story = failing.started().run_failing(prepare);
    assert_eq!(story.state().phase, Phase::NeedsOperator);
    story.tell(Command::RetryUndo { by: actor() });
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Succeeded);
}

#[test]
fn a_restore_that_fails_before_it_changed_something_has_failed_and_asks_nobody() {
    let story = Story::restore(1).started().run_failing(0);
    assert_eq!(story.state().phase, Phase::Failed);
}

#[test]
fn a_limit_has_passed_after_it_and_not_at_it() {
    let limited =
        lockstep_model::manifest::ServiceSpec { service_timeout_ms: Some(20_000), ..process_spec() };
    let of_service = manifest(1, &[], &limited);
    let mut of_service = Story::of(&of_service, serving(&of_service)).started();
    let preflight = of_service.next_effect().expect("a preflight");
    let outcome = of_service.good(preflight);
    // The limit of a service runs from its first change.
    of_service.answer(preflight, outcome);
    let whole = Story::chain(1).started();
    let whole_ms = whole.state().plan.deployment_timeout_ms;
    for (story, limit_ms) in [(of_service, 20_000), (whole, whole_ms)] {
        let mut story = story.later_ms(limit_ms);
        story.tell(Command::Proceed);
        assert_eq!(story.state().phase, Phase::Running, "at {limit_ms} ms");
        let mut story = story.later_ms(1);
        story.tell(Command::Proceed);
        assert_eq!(story.state().phase, Phase::RollingBack, "after {limit_ms} ms");
    }
}

#[test]
fn the_limit_of_a_rollback_has_passed_after_it_and_not_at_it() {
    let mut story = Story::chain(1).started();
    while !story.pending().iter().any(|effect| matches!(effect, Effect::UndoStep { .. })) {
        let effect = story.next_effect().expect("something runs");
        let is_watch = matches!(effect, Effect::RunStep { step, .. }
            if story.state().plan.steps[step as usize].kind == StepKind::Watch);
        let outcome = if is_watch {
            StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() }
        } else {
            story.good(effect)
        };
        story.answer(effect, outcome);
    }
    let limit_ms = story.state().rollback.as_ref().expect("it goes back").max_duration_ms;
    let mut story = story.later_ms(limit_ms);
    story.tell(Command::Proceed);
    assert_eq!(story.state().phase, Phase::RollingBack);
    let mut story = story.later_ms(1);
    story.tell(Command::Proceed);
    assert_eq!(story.state().phase, Phase::NeedsOperator);
}

#[test]
fn recreate_has_its_own_steps() {
    let mut spec = process_spec();
    spec.strategy = Strategy::Recreate;
    let manifest = manifest(2, &[(1, 0)], &spec);
    let story = Story::of(&manifest, serving(&manifest));
    let ids: Vec<&str> = story.state().plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "s0000.preflight",
            "s0000.replace",
            "s0000.verify",
            "s0000.watch",
            "s0001.preflight",
            "s0001.replace",
            "s0001.verify",
            "s0001.watch",
        ]
    );
    assert_eq!(story.state().plan.steps[5].after, [4, 2], "it waits for the verify of what it depends on");
    assert_eq!(story.started().run_to_the_end().state().phase, Phase::Succeeded);
}

/// What happens to the next effect.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Good,
    Fails,
    Lost,
    Repeated,
    Cancelled,
}

fn fate() -> impl Strategy2<Value = Fate> {
    prop_oneof![
        20 => Just(Fate::Good),
        1 => Just(Fate::Fails),
        1 => Just(Fate::Lost),
        4 => Just(Fate::Repeated),
        1 => Just(Fate::Cancelled),
    ]
}

use proptest::strategy::Strategy as Strategy2;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Random graphs, random fates in random order: a deployment always comes to an end, takes
    /// back exactly what it changed, in order, and its journal replays to the same state.
    #[test]
    fn random_graphs_come_to_an_end(
        count in 1usize..9,
        edges in proptest::collection::vec((0usize..9, 0usize..9), 0..16),
        fates in proptest::collection::vec((fate(), any::<prop::sample::Index>()), 0..120),
        parallel in 1u32..5,
    ) {
        let edges: Vec<(usize, usize)> =
            edges.into_iter().filter(|(a, b)| a > b && *a < count).collect();
        let mut manifest = manifest(count, &edges, &process_spec());
        for environment in manifest.environments.values_mut() {
            environment.max_parallel = parallel;
        }
        let mut story = Story::of(&manifest, serving(&manifest)).started();
        for (fate, index) in fates {
            if story.pending().is_empty() {
                break;
            }
            let effect = story.pending()[index.index(story.pending().len())];
            let outcome = match fate {
                Fate::Good | Fate::Repeated => story.good(effect),
                Fate::Fails => StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() },
                Fate::Lost => StepOutcome::Unknown { reason: "lost".to_owned() },
                Fate::Cancelled => {
                    if story.state().phase == Phase::Running {
                        story.tell(Command::Cancel { by: actor(), reason: None, keep: false });
                    }
                    continue;
                }
            };
            story.answer(effect, outcome.clone());
            if matches!(fate, Fate::Repeated) {
                story.answer(effect, outcome);
            }
        }
        let story = story.run_to_the_end();
        prop_assert!(story.state().phase.is_final(), "{:?}", story.state().phase);
        assert_order(&story);
        let replayed = replay(story.journal().to_vec()).expect("a legal journal");
        prop_assert_eq!(&replayed, story.state());
        let quiet = decide(story.state(), Command::Proceed, Timestamp(9_999_999)).expect("no refusal");
        prop_assert_eq!(quiet, Decision::default());
    }
}
