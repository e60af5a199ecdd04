//! What follows when nobody knows how a step ended, and when a service takes too long.

use crate::{
    Command, Effect, StepOutcome, UndoOutcome,
    testing::{Story, actor, command_spec, manifest, process_spec, serving},
    verify::verify,
};
use lockstep_model::{
    Attempt,
    deployment::{Phase, StepState},
    event::{Event, Finding},
    manifest::{OnUnknown, OnUnknownSpec, ServiceSpec},
    plan::StepKind,
};

fn lost() -> StepOutcome {
    StepOutcome::Unknown { reason: "the agent was lost".to_owned() }
}

fn saying(spec: ServiceSpec, every: OnUnknown) -> ServiceSpec {
    ServiceSpec { on_unknown: OnUnknownSpec { every: Some(every), ..OnUnknownSpec::default() }, ..spec }
}

/// One service of `spec`, whose step of `kind` is running.
fn running(spec: &ServiceSpec, kind: StepKind) -> (Story, Effect) {
    let manifest = manifest(1, &[], spec);
    let mut story = Story::of(&manifest, serving(&manifest)).started();
    loop {
        let effect = story.next_effect().expect("something runs");
        let Effect::RunStep { step, .. } = effect else { panic!("{effect:?}") };
        if story.state().plan.steps[step as usize].kind == kind {
            return (story, effect);
        }
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
}

fn place(effect: Effect) -> (u32, Attempt) {
    match effect {
        Effect::RunStep { step, attempt }
        | Effect::StopStep { step, attempt }
        | Effect::ProbeStep { step, attempt }
        | Effect::UndoStep { step, attempt } => (step, attempt),
        Effect::Close { .. } => panic!("nobody resolves it"),
    }
}

fn found(story: &mut Story, effect: Effect, finding: Finding) {
    let (step, attempt) = place(effect);
    story.tell(Command::FinishProbe { step, attempt, finding });
}

#[test]
fn what_is_to_be_repeated_is_begun_three_times_and_then_counts_as_failed() {
    let spec = saying(process_spec(), OnUnknown::Rerun);
    let (mut story, mut effect) = running(&spec, StepKind::Shift);
    for attempt in 2..=3 {
        story.answer(effect, lost());
        effect = story.next_effect().expect("it is begun again");
        assert_eq!(effect, Effect::RunStep { step: place(effect).0, attempt: Attempt(attempt) });
        assert_eq!(story.state().phase, Phase::Running);
    }
    story.answer(effect, lost());
    assert_eq!(story.state().phase, Phase::RollingBack);
    let reason = story.state().failure.as_ref().map(|failure| failure.reason.clone()).unwrap_or_default();
    assert!(reason.contains("begun 3 times") && reason.contains("the agent was lost"), "{reason}");
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::RolledBack);
    assert_eq!(verify(story.journal()), []);
}

#[test]
fn what_is_repeated_goes_on_when_it_ends_well() {
    let (mut story, effect) = running(&saying(process_spec(), OnUnknown::Rerun), StepKind::Prepare);
    story.answer(effect, lost());
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Succeeded);
    assert_eq!(verify(story.journal()), []);
}

#[test]
fn a_target_is_asked_and_what_it_found_done_counts_as_done() {
    let (mut story, effect) = running(&command_spec(), StepKind::Replace);
    story.answer(effect, lost());
    let (step, attempt) = place(effect);
    assert_eq!(story.pending(), [Effect::ProbeStep { step, attempt }]);
    assert_eq!(story.state().phase, Phase::Running, "nothing is decided yet");
    found(&mut story, effect, Finding::Done { evidence: Vec::new() });
    assert_eq!(story.state().phase, Phase::Succeeded);
    assert_eq!(story.state().steps[step as usize].attempt, 1, "it was not done twice");
    assert_eq!(verify(story.journal()), []);
}

#[test]
fn what_a_target_found_not_done_is_begun_again_and_at_last_counts_as_failed() {
    let (mut story, mut effect) = running(&command_spec(), StepKind::Replace);
    for _ in 0..2 {
        story.answer(effect, lost());
        found(&mut story, effect, Finding::NotDone { reason: "0.9.0 serves".to_owned() });
        effect = *story.pending().last().expect("it is begun again");
        assert!(matches!(effect, Effect::RunStep { .. }), "{effect:?}");
    }
    story.answer(effect, lost());
    found(&mut story, effect, Finding::NotDone { reason: "0.9.0 serves".to_owned() });
    assert_eq!(story.state().phase, Phase::RollingBack);
    let reason = story.state().failure.as_ref().map(|failure| failure.reason.clone()).unwrap_or_default();
    assert!(reason.contains("0.9.0 serves"), "{reason}");
    assert_eq!(verify(story.journal()), []);
}

#[test]
fn what_a_target_cannot_tell_is_asked_of_an_operator_in_words_that_say_what_is_open() {
    let (mut story, effect) = running(&command_spec(), StepKind::Replace);
    story.answer(effect, lost());
    found(&mut story, effect, Finding::CannotTell { reason: "it has no observe command".to_owned() });
    assert!(story.state().asks_forward());
    let reason = story.state().operator_reason.clone().unwrap_or_default();
    for part in ["s0000.replace", "attempt 1", "the agent was lost", "no observe command", "may serve"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert!(!story.journal().iter().any(|envelope| matches!(envelope.event, Event::FailureDetected { .. })));
}

#[test]
fn an_operator_who_is_asked_may_have_it_repeated_or_taken_back_and_the_version_is_not_held() {
    let spec = saying(process_spec(), OnUnknown::Ask);
    let asked = || {
        let (mut story, effect) = running(&spec, StepKind::Shift);
        story.answer(effect, lost());
        assert!(story.state().asks_forward());
        assert!(story.pending().is_empty(), "nothing is done before the answer");
        story
    };
    let mut story = asked();
    let step = story.state().failure.as_ref().and_then(|failure| failure.step.clone()).expect("said");
    story.tell(Command::RetryStep { step, by: actor() });
    assert_eq!(story.run_to_the_end().state().phase, Phase::Succeeded);
    let mut story = asked();
    story.tell(Command::TakeBack { by: actor(), reason: None });
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::RolledBack);
    let at = lockstep_model::Timestamp(1);
    let held =
        story.journal().iter().find_map(|e| crate::restriction::hold_after(story.state(), &e.event, at));
    assert_eq!(held, None, "nothing is known against it");
    assert_eq!(verify(story.journal()), []);
}

#[test]
fn what_is_paused_is_not_begun_again_before_it_is_resumed() {
    let (mut story, effect) = running(&saying(process_spec(), OnUnknown::Rerun), StepKind::Prepare);
    story.tell(Command::Pause { by: actor(), reason: None });
    story.answer(effect, lost());
    assert_eq!((story.state().phase, story.pending().len()), (Phase::Paused, 0));
    story.tell(Command::Resume { by: actor(), pause: None });
    assert_eq!(story.run_to_the_end().state().phase, Phase::Succeeded);
}

#[test]
fn an_answer_to_a_question_that_is_no_longer_asked_changes_nothing() {
    let (mut story, effect) = running(&command_spec(), StepKind::Replace);
    story.answer(effect, lost());
    story.tell(Command::Cancel { by: actor(), reason: None, keep: false });
    let before = story.state().clone();
    found(&mut story, effect, Finding::Done { evidence: Vec::new() });
    assert_eq!(story.state(), &before);
    assert_eq!(story.run_to_the_end().state().phase, Phase::Cancelled);
}

#[test]
fn production_asks_unless_it_says_otherwise_and_single_steps_may_differ() {
    use crate::plan::{PlanInput, Wish, plan};
    let mut shop = manifest(1, &[], &process_spec());
    let production: lockstep_model::EnvironmentName = "Production".parse().expect("valid");
    let environment = shop.environments.values().next().expect("one").clone();
    shop.environments.insert(production.clone(), environment);
    for service in shop.services.values_mut() {
        let mut spec = process_spec();
        spec.on_unknown.steps.insert(StepKind::Watch, OnUnknown::Probe);
        service.environments.insert(production.clone(), spec);
    }
    let digest = crate::testing::digest();
    let policies = |shop: &lockstep_model::manifest::Manifest| {
        let plan = plan(&PlanInput {
            manifest: shop,
            digest: &digest,
            environment: &production,
            wish: Wish::Release(std::collections::BTreeMap::new()),
            serving: std::collections::BTreeMap::new(),
            artifacts: std::collections::BTreeMap::new(),
            secrets: Default::default(),
            accept_no_rollback: true,
            skip_verification: false,
        })
        .expect("a plan");
        let of = |kind| plan.steps.iter().find(|step| step.kind == kind).map(|step| step.on_unknown);
        (of(StepKind::Shift), of(StepKind::Verify), of(StepKind::Watch))
    };
    // To look again is what asking would be.
    let strict = (Some(OnUnknown::Ask), Some(OnUnknown::Ask), Some(OnUnknown::Rerun));
    assert_eq!(policies(&shop), strict);
    shop.environments.get_mut(&production).expect("there").on_unknown = Some(OnUnknown::Probe);
    assert_eq!(policies(&shop), (Some(OnUnknown::Probe), Some(OnUnknown::Rerun), Some(OnUnknown::Rerun)));
}

#[test]
fn a_service_that_takes_longer_than_its_limit_fails_and_waiting_for_a_person_does_not_count() {
    let spec = ServiceSpec { service_timeout_ms: Some(20_000), ..process_spec() };
    let (story, _) = running(&spec, StepKind::Verify);
    let mut story = story.later_ms(15_000);
    story.tell(Command::Pause { by: actor(), reason: None });
    let mut story = story.later_ms(100_000);
    story.tell(Command::Resume { by: actor(), pause: None });
    let mut story = story.later_ms(4_000);
    story.tell(Command::Proceed);
    assert_eq!(story.state().phase, Phase::Running, "19 s");
    let mut story = story.later_ms(2_000);
    story.tell(Command::Proceed);
    assert_eq!(story.state().phase, Phase::RollingBack);
    let failure = story.state().failure.clone().expect("said");
    assert!(failure.reason.contains("longer than its limit of 20 s (timeouts.service)"), "{failure:?}");
    assert!(failure.service.is_some() && failure.version.is_some());
    assert_eq!(story.run_to_the_end().state().phase, Phase::RolledBack);
}

#[test]
fn a_service_does_not_pay_for_the_time_that_it_waits_for_others() {
    let spec = ServiceSpec { service_timeout_ms: Some(20_000), ..process_spec() };
    let manifest = manifest(2, &[(1, 0)], &spec);
    let mut story = Story::of(&manifest, serving(&manifest)).started();
    while story.steps_in(StepState::Pending).len() + story.steps_in(StepState::Running).len() > 0 {
        // Each service takes 16 s, the dependant ends after 32.
        let effect = story.next_effect().expect("something runs");
        let outcome = story.good(effect);
        story = story.later_ms(3_900);
        story.answer(effect, outcome);
    }
    assert_eq!(story.state().phase, Phase::Succeeded);
}

#[test]
fn a_service_that_took_too_long_where_rollback_is_off_is_stopped_and_asked_about() {
    let mut spec = ServiceSpec { service_timeout_ms: Some(20_000), ..process_spec() };
    spec.rollback.auto = false;
    let (story, effect) = running(&spec, StepKind::Verify);
    let mut story = story.later_ms(20_001);
    story.tell(Command::Proceed);
    assert!(story.state().asks_forward());
    let (step, attempt) = place(effect);
    assert!(story.pending().contains(&Effect::StopStep { step, attempt }), "it is ended on time");
    let mut story = story.run_to_the_end();
    assert!(story.state().asks_forward());
    let step = story.state().plan.steps[step as usize].id.clone();
    story.tell(Command::RetryStep { step, by: actor() });
    assert_eq!(story.state().phase, Phase::Running, "the limit runs anew");
    assert_eq!(story.run_to_the_end().state().phase, Phase::Succeeded);
}

#[test]
fn taking_back_goes_on_while_an_operator_is_asked_because_it_takes_long() {
    let story = Story::chain(3).started();
    let last = u32::try_from(story.state().steps.len() - 1).expect("few");
    let mut story = story;
    while !story.pending().iter().any(|effect| matches!(effect, Effect::UndoStep { .. })) {
        let effect = story.next_effect().expect("something runs");
        let fails = matches!(effect, Effect::RunStep { step, .. } if step == last);
        let outcome = if fails {
            StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() }
        } else {
            story.good(effect)
        };
        story.answer(effect, outcome);
    }
    let mut story = story.later_ms(120_001);
    story.tell(Command::Proceed);
    assert_eq!(story.state().phase, Phase::NeedsOperator);
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::RolledBack, "all of it went back, not only what was under way");
    assert_eq!(verify(story.journal()), []);
}

#[test]
fn the_limit_of_a_rollback_runs_from_the_failure_and_anew_after_a_retry() {
    let (mut story, effect) = running(&process_spec(), StepKind::Shift);
    story.tell(Command::TakeBack { by: actor(), reason: None });
    let detected_at = story.state().clocks.detected_at;
    // It takes a minute to stop what runs.
    let (step, attempt) = place(effect);
    let mut story = story.later_ms(60_000);
    story.answer(Effect::StopStep { step, attempt }, lost());
    assert_eq!(story.state().rollback_since, detected_at);
    let mut story = story.later_ms(60_001);
    story.tell(Command::Proceed);
    assert_eq!(story.state().phase, Phase::NeedsOperator);
    story.tell(Command::RetryUndo { by: actor() });
    assert_eq!(story.state().phase, Phase::RollingBack);
    let undo = story.next_effect().expect("an undo is under way");
    let (step, attempt) = place(undo);
    let outcome = UndoOutcome::Failed { reason: "no way back".to_owned(), evidence: Vec::new() };
    story.tell(Command::FinishUndo { step, attempt, outcome });
    assert_eq!(story.state().phase, Phase::NeedsOperator);
}
