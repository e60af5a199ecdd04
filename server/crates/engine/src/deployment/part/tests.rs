//! Single services of a release go back.

use crate::{
    apply,
    command::{Command, StepOutcome, UndoOutcome},
    deployment::Refusal,
    effect::Effect,
    restriction::hold_after,
    testing::{
        FINAL_PHASES, Story, actor, check, check_refusal, in_phase, manifest, process_spec, service_name,
        serving,
    },
    verify::verify,
};
use lockstep_model::{
    Timestamp,
    deployment::{Failure, Phase, StepState},
    event::{Envelope, Event},
    manifest::{Manifest, RollbackSpec},
    plan::StepKind,
};

fn take_back(number: usize) -> Command {
    let services = vec![service_name(number)];
    Command::TakeBackServices { services, by: actor(), reason: Some("slow".to_owned()) }
}

/// A chain of three, with rollback as it is said.
fn chain(change: impl Fn(&mut RollbackSpec)) -> Manifest {
    let mut spec = process_spec();
    change(&mut spec.rollback);
    manifest(3, &[(1, 0), (2, 1)], &spec)
}

fn begun(manifest: &Manifest) -> Story {
    Story::of(manifest, serving(manifest)).started()
}

/// Answers well until a step of a service runs.
fn until(mut story: Story, number: usize, kind: StepKind) -> Story {
    let runs = |story: &Story| {
        let plan = &story.state().plan;
        let of = |step: &u32| &plan.steps[*step as usize];
        let name = service_name(number);
        story
            .steps_in(StepState::Running)
            .iter()
            .any(|step| of(step).kind == kind && plan.services[of(step).service as usize].service == name)
    };
    while !runs(&story) {
        // A watch goes on beside the others, and is not answered here.
        let is_watch = |effect: &&Effect| matches!(effect, Effect::RunStep { step, .. } if story.state().plan.steps[*step as usize].kind == StepKind::Watch);
        let effect = story.pending().iter().find(|effect| !is_watch(effect)).copied().expect("it goes on");
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    story
}

fn keeps_its_promises(story: &Story) {
    let broken = verify(story.journal());
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn one_service_and_what_needs_it_goes_back_while_the_others_go_on() {
    let mut story = until(begun(&chain(|_| {})), 2, StepKind::Verify);
    story.tell(take_back(1));
    assert_eq!(story.state().phase, Phase::Running);
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Succeeded);
    let undone: Vec<&str> = story
        .journal()
        .iter()
        .filter_map(|envelope| match &envelope.event {
            Event::UndoStarted { step, .. } => Some(story.state().plan.steps[*step as usize].id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(undone, ["s0002.prepare", "s0001.shift", "s0001.prepare"], "dependants first");
    keeps_its_promises(&story);
}

#[test]
fn what_works_with_the_old_version_stays() {
    let manifest = chain(|rollback| rollback.compatible_with_previous = true);
    let mut story = until(begun(&manifest), 2, StepKind::Verify);
    story.tell(take_back(1));
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Succeeded);
    let undone = story.steps_in(StepState::Undone).len();
    assert_eq!(undone, 2, "prepare and shift of the one");
    keeps_its_promises(&story);
}

#[test]
fn who_needs_it_begins_once_it_is_back_and_not_before() {
    let manifest = chain(|rollback| rollback.compatible_with_previous = true);
    for kind in [StepKind::Verify, StepKind::Watch] {
        let mut story = until(begun(&manifest), 1, kind);
        let has_begun = |story: &Story| {
            let plan = &story.state().plan;
            plan.steps.iter().zip(&story.state().steps).any(|(step, status)| {
                plan.services[step.service as usize].service == service_name(2)
                    && !step.after.is_empty()
                    && status.state != StepState::Pending
            })
        };
        if has_begun(&story) {
            continue;
        }
        story.tell(take_back(1));
        while !story.state().part.as_ref().is_some_and(|part| part.is_back) {
            assert!(!has_begun(&story), "{:?}", story.pending());
            let effect = story.next_effect().expect("it goes on");
            let outcome = story.good(effect);
            story.answer(effect, outcome);
        }
        let story = story.run_to_the_end();
        assert_eq!(story.state().phase, Phase::Succeeded);
        assert!(has_begun(&story));
    }
}

#[test]
fn what_had_not_begun_is_left_out_and_nothing_is_undone() {
    let mut story = begun(&chain(|_| {}));
    story.tell(take_back(2));
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Succeeded);
    let undo = |event: &Event| matches!(event, Event::UndoStarted { .. });
    assert!(!story.journal().iter().any(|envelope| undo(&envelope.event)), "an undo of what never ran");
    keeps_its_promises(&story);
}

#[test]
fn all_of_it_is_the_release_itself() {
    let mut story = until(begun(&chain(|_| {})), 1, StepKind::Verify);
    story.tell(take_back(0));
    assert_eq!(story.state().phase, Phase::RollingBack);
    assert_eq!(story.run_to_the_end().state().phase, Phase::RolledBack);
    let mut story = until(begun(&chain(|_| {})), 1, StepKind::Verify);
    story.tell(take_back(2));
    story.tell(take_back(1));
    story.tell(take_back(0));
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::RolledBack, "one after the other comes to the same");
    keeps_its_promises(&story);
}

#[test]
fn a_paused_release_stays_paused_and_its_service_goes_back() {
    let mut story = until(begun(&chain(|_| {})), 2, StepKind::Verify);
    story.tell(Command::Pause { by: actor(), reason: None });
    story.tell(take_back(2));
    let mut story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Paused);
    assert!(story.state().part.as_ref().is_some_and(|part| part.is_back));
    story.tell(Command::Resume { by: actor(), pause: None });
    assert_eq!(story.run_to_the_end().state().phase, Phase::Succeeded);
}

#[test]
fn it_answers_an_operators_question_about_that_service_and_holds_its_version_alone() {
    let mut story = until(begun(&chain(|rollback| rollback.auto = false)), 2, StepKind::Verify);
    let failing = story.pending().iter().rposition(|_| true).expect("it runs");
    let effect = story.pending()[failing];
    story.answer(effect, StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() });
    assert!(story.state().asks_forward());
    story.tell(take_back(2));
    assert_eq!(story.state().phase, Phase::Running);
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Succeeded);
    let hold = hold_after(story.state(), &Event::TakenBack, Timestamp(1)).expect("its version failed");
    assert_eq!(hold.service, Some(service_name(2)));
    keeps_its_promises(&story);
}

#[test]
fn a_question_about_another_service_stays_while_one_goes_back() {
    let mut story = until(begun(&chain(|rollback| rollback.auto = false)), 1, StepKind::Verify);
    let effect = story.pending().last().copied().expect("it runs");
    story.answer(effect, StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() });
    story.tell(take_back(2));
    assert!(story.state().part.as_ref().is_some_and(|part| part.failure.is_none()), "it is the other's");
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::NeedsOperator);
    assert!(story.state().part.as_ref().is_some_and(|part| part.is_back));
}

#[test]
fn an_undo_that_fails_asks_and_goes_on_where_it_was() {
    for paused in [false, true] {
        let mut story = until(begun(&chain(|_| {})), 2, StepKind::Verify);
        if paused {
            story.tell(Command::Pause { by: actor(), reason: None });
        }
        story.tell(take_back(2));
        while let Some(effect) = story.next_effect() {
            if let Effect::UndoStep { step, attempt } = effect {
                let reason = "locked".to_owned();
                let outcome = UndoOutcome::Failed { reason, evidence: Vec::new() };
                story.answer_undo(effect, Command::FinishUndo { step, attempt, outcome });
                break;
            }
            let outcome = story.good(effect);
            story.answer(effect, outcome);
        }
        assert!(story.state().asks_about_part(), "{:?}", story.state().phase);
        check_refusal(
            story.state(),
            Command::Resume { by: actor(), pause: None },
            &Refusal::WaitsForOperator,
        );
        story.tell(Command::RetryUndo { by: actor() });
        let expected = if paused { Phase::Paused } else { Phase::Running };
        assert_eq!(story.state().phase, expected);
        let story = story.run_to_the_end();
        assert_eq!(story.state().phase, if paused { Phase::Paused } else { Phase::Succeeded });
        keeps_its_promises(&story);
    }
}

#[test]
fn what_takes_too_long_is_told_and_goes_on_by_itself() {
    let mut story = until(begun(&chain(|_| {})), 2, StepKind::Verify);
    story.tell(take_back(2));
    let stop = story.next_effect().expect("its verify is stopped");
    let outcome = story.good(stop);
    story.answer(stop, outcome);
    let mut story = story.later_ms(120_000);
    story.tell(Command::Proceed);
    assert!(!story.state().asks_about_part(), "its limit is not over");
    let mut story = story.later_ms(1);
    story.tell(Command::Proceed);
    assert!(story.state().asks_about_part());
    let said = story.state().operator_reason.clone().expect("it says why");
    assert!(said.contains("took longer than its limit of 120 s"), "{said}");
    // Nothing failed that could be tried again.
    check_refusal(story.state(), Command::RetryUndo { by: actor() }, &Refusal::NothingWentBack);
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Succeeded);
}

#[test]
fn a_failure_of_the_others_makes_one_rollback_of_all() {
    let mut story = until(begun(&chain(|_| {})), 2, StepKind::Verify);
    story.tell(take_back(2));
    let watch = story.pending().iter().find(|effect| {
        matches!(effect, Effect::RunStep { step, .. } if story.state().plan.steps[*step as usize].kind == StepKind::Watch)
    });
    let watch = watch.copied().expect("the first is watched");
    story.answer(watch, StepOutcome::Failed { reason: "errors".to_owned(), evidence: Vec::new() });
    assert_eq!(story.state().phase, Phase::RollingBack);
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::RolledBack);
    assert!(
        story
            .steps_in(StepState::Succeeded)
            .iter()
            .all(|step| { !story.state().plan.steps[*step as usize].kind.is_change() })
    );
    keeps_its_promises(&story);
}

#[test]
fn the_others_can_still_fail_while_somebody_is_asked_about_one() {
    let mut story = until(begun(&chain(|_| {})), 2, StepKind::Verify);
    story.tell(take_back(2));
    let stop = story.next_effect().expect("its verify is stopped");
    let outcome = story.good(stop);
    story.answer(stop, outcome);
    let mut story = story.later_ms(120_001);
    story.tell(Command::Proceed);
    assert!(story.state().asks_about_part());
    let watch = story.pending().iter().find(|effect| {
        matches!(effect, Effect::RunStep { step, .. } if story.state().plan.steps[*step as usize].kind == StepKind::Watch)
    });
    let watch = watch.copied().expect("the first is watched");
    story.answer(watch, StepOutcome::Failed { reason: "errors".to_owned(), evidence: Vec::new() });
    story.tell(Command::Proceed);
    assert_eq!(story.state().phase, Phase::RollingBack);
}

#[test]
fn what_breaks_of_a_version_that_goes_back_takes_nobody_else_along() {
    let mut story = begun(&chain(|_| {}));
    story.tell(take_back(2));
    let broken = |number: usize| Failure {
        step: None,
        service: Some(service_name(number)),
        version: None,
        reason: "it ends again and again".to_owned(),
        by: None,
    };
    check(story.state(), Command::Fail { failure: broken(2) }, &[], &[]);
    story.tell(Command::Fail { failure: broken(0) });
    assert_eq!(story.state().phase, Phase::RollingBack);
}

#[test]
fn nothing_of_it_is_steered_any_more() {
    let mut story = begun(&chain(|_| {}));
    story.tell(take_back(2));
    let taken = Refusal::TakenBack { service: service_name(2) };
    let skip = Command::SkipStep {
        step: "s0002.watch".parse().expect("valid"),
        by: actor(),
        reason: "x".to_owned(),
    };
    check_refusal(story.state(), skip, &taken);
    let retry = Command::RetryService { service: service_name(2), by: actor() };
    check_refusal(story.state(), retry, &taken);
    check_refusal(story.state(), take_back(2), &Refusal::TakenBackAlready);
}

#[test]
fn it_is_refused_with_the_reason_where_it_makes_no_sense() {
    let one = || take_back(0);
    check_refusal(&in_phase(Phase::Queued), one(), &Refusal::StillQueued);
    check_refusal(&in_phase(Phase::RollingBack), one(), &Refusal::AlreadyRollingBack);
    check_refusal(&in_phase(Phase::NeedsOperator), one(), &Refusal::WaitsForOperator);
    for phase in FINAL_PHASES {
        check_refusal(&in_phase(phase), one(), &Refusal::AlreadyFinished { phase });
    }
    check_refusal(Story::restore(2).started().state(), one(), &Refusal::IsRestore);
    let hint = "; did you mean 's0000'?".to_owned();
    let unknown = "s000".parse().expect("valid");
    let command = Command::TakeBackServices {
        services: vec!["s000".parse().expect("valid")],
        by: actor(),
        reason: None,
    };
    check_refusal(begun(&chain(|_| {})).state(), command, &Refusal::NoSuchService { service: unknown, hint });
}

#[test]
fn nothing_of_it_begins_forward_in_a_journal() {
    let mut story = begun(&chain(|_| {}));
    story.tell(take_back(2));
    let state = story.state();
    let place = |number: usize| {
        let name = service_name(number);
        let of = |step: &u32| &state.plan.services[state.plan.steps[*step as usize].service as usize].service;
        (0u32..).take(state.plan.steps.len()).find(|step| *of(step) == name).expect("it has steps")
    };
    let follows = |event: Event| {
        let envelope = Envelope { seq: state.seq.next(), at: Timestamp(3_000), event };
        apply(state.clone(), &envelope).map_err(|illegal| illegal.problem)
    };
    let skipped = |step: u32| Event::StepSkipped { step, by: actor(), reason: "seen".to_owned() };
    let refused = follows(skipped(place(2))).expect_err("it was taken back");
    assert!(refused.contains("was taken back"), "{refused}");
    assert!(follows(skipped(place(0))).is_ok());
}

/// Steps of the others that have begun to change something.
fn changing(story: &Story) -> Vec<u32> {
    let running = story.steps_in(StepState::Running);
    running.into_iter().filter(|step| story.state().plan.steps[*step as usize].kind.is_change()).collect()
}

#[test]
fn nothing_is_changed_before_every_first_look_is_over() {
    let mut story = begun(&chain(|_| {}));
    story.tell(take_back(2));
    let looks = |effect: &&Effect| matches!(effect, Effect::RunStep { step: 0 | 5, .. });
    while let Some(effect) = story.pending().iter().find(looks).copied() {
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    assert!(story.state().part.as_ref().is_some_and(|part| !part.is_back), "its first look is being ended");
    assert_eq!(changing(&story), [0; 0]);
}

#[test]
fn what_serves_still_is_not_waited_for_once_it_is_to_go_back() {
    let manifest = chain(|rollback| rollback.compatible_with_previous = true);
    let mut story = until(begun(&manifest), 1, StepKind::Shift);
    story.tell(Command::Pause { by: actor(), reason: None });
    let shift = story.pending().last().copied().expect("the traffic moves");
    let outcome = story.good(shift);
    story.answer(shift, outcome);
    story.tell(take_back(1));
    story.tell(Command::Resume { by: actor(), pause: None });
    let of_the_last = |step: &u32| *step > 10;
    while !story.state().part.as_ref().is_some_and(|part| part.is_back) {
        assert!(!changing(&story).iter().any(of_the_last), "{:?}", story.pending());
        let effect = story.next_effect().expect("it goes on");
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    assert_eq!(story.run_to_the_end().state().phase, Phase::Succeeded);
}

#[test]
fn the_others_go_on_while_one_is_on_its_way_back() {
    let mut story = until(begun(&manifest(2, &[], &process_spec())), 1, StepKind::Verify);
    story.tell(take_back(1));
    let kind = |story: &Story, step: u32| story.state().plan.steps[step as usize].kind;
    let is_other = |step: u32| step < 5;
    while let Some(effect) = story.pending().iter().copied().find(
        |effect| matches!(effect, Effect::RunStep { step, .. } if is_other(*step) && kind(&story, *step) != StepKind::Shift),
    ) {
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    assert!(story.state().part.as_ref().is_some_and(|part| !part.is_back));
    let shifts =
        story.steps_in(StepState::Running).into_iter().any(|step| kind(&story, step) == StepKind::Shift);
    assert!(shifts, "{:?}", story.pending());
}
