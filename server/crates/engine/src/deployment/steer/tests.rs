//! An operator leaves steps out and has them tried again.

use crate::{
    command::{Command, StepOutcome},
    deployment::Refusal,
    effect::Effect,
    replay, rows,
    testing::{FINAL_PHASES, Story, actor, check, check_refusal, in_phase, manifest, process_spec, serving},
    view,
};
use lockstep_model::{
    Attempt, DeploymentId, StepId,
    deployment::{Phase, Resolution, StepState},
    event::Event,
    plan::StepKind,
    view::ServiceProgress,
};

fn id(text: &str) -> StepId {
    text.parse().expect("a step id")
}

fn skip(step: &str) -> Command {
    Command::SkipStep { step: id(step), by: actor(), reason: "seen by hand".to_owned() }
}

fn retry(step: &str) -> Command {
    Command::RetryStep { step: id(step), by: actor() }
}

/// The steps of a kind, in the plan's order.
fn steps_of(story: &Story, kind: StepKind) -> Vec<u32> {
    (0u32..).zip(&story.state().plan.steps).filter(|(_, s)| s.kind == kind).map(|(n, _)| n).collect()
}

/// A chain of two where rollback is switched off, in which the verify of the second has failed.
fn asking() -> Story {
    let mut spec = process_spec();
    spec.rollback.auto = false;
    let manifest = manifest(2, &[(1, 0)], &spec);
    let story = Story::of(&manifest, serving(&manifest));
    let failing = steps_of(&story, StepKind::Verify)[1];
    let story = story.started().run_failing(failing);
    assert!(story.state().asks_forward());
    story
}

#[test]
fn steering_is_refused_with_the_reason_where_it_makes_no_sense() {
    for command in [skip("s0000.verify"), retry("s0000.verify")] {
        check_refusal(&in_phase(Phase::Queued), command.clone(), &Refusal::StillQueued);
        check_refusal(&in_phase(Phase::RollingBack), command.clone(), &Refusal::AlreadyRollingBack);
        check_refusal(&in_phase(Phase::NeedsOperator), command.clone(), &Refusal::WaitsForOperator);
        for phase in FINAL_PHASES {
            check_refusal(&in_phase(phase), command.clone(), &Refusal::AlreadyFinished { phase });
        }
    }
    let running = in_phase(Phase::Running);
    let hint = "; did you mean 's0000.verify'?".to_owned();
    let unknown = Refusal::NoSuchStep { step: id("s0000.verfy"), hint };
    check_refusal(&running, skip("s0000.verfy"), &unknown);
    let no_reason = Command::SkipStep { step: id("s0000.verify"), by: actor(), reason: " ".to_owned() };
    check_refusal(&running, no_reason, &Refusal::NoReason);
    for needed in ["s0000.preflight", "s0000.prepare", "s0000.shift"] {
        let refusal = crate::decide(&running, skip(needed), lockstep_model::Timestamp(2_000));
        assert!(matches!(refusal, Err(Refusal::StepIsNeeded { .. })), "{needed}: {refusal:?}");
    }
    let what = "only one that runs, failed or is unknown can be tried again";
    let waiting = Refusal::StepState { step: id("s0000.verify"), state: StepState::Pending, what };
    check_refusal(&running, retry("s0000.verify"), &waiting);
}

#[test]
fn a_step_that_waits_can_be_left_out_and_what_follows_begins() {
    let mut story = Story::chain(1).started();
    story.tell(skip("s0000.verify"));
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Succeeded);
    assert_eq!(story.steps_in(StepState::Skipped), steps_of(&story, StepKind::Verify));
    let summary = view::summary(DeploymentId(2), story.state());
    assert_eq!(summary.services[0].state, ServiceProgress::Done);
    assert_eq!(summary.progress.0, summary.progress.1);
}

#[test]
fn a_running_step_that_is_left_out_is_stopped_and_its_late_answer_changes_nothing() {
    let mut story = Story::chain(1).started();
    let watch = steps_of(&story, StepKind::Watch)[0];
    while story.steps_in(StepState::Running) != [watch] {
        let effect = story.next_effect().expect("a step runs");
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    let attempt = story.state().steps[watch as usize].running_attempt();
    story.tell(skip("s0000.watch"));
    assert!(story.pending().contains(&Effect::StopStep { step: watch, attempt }));
    assert_eq!(story.state().phase, Phase::Succeeded);
    let late = StepOutcome::Unknown { reason: "stopped".to_owned() };
    check(story.state(), Command::FinishStep { step: watch, attempt, outcome: late }, &[], &[]);
}

#[test]
fn a_running_step_is_stopped_and_tried_again_once() {
    let mut story = Story::chain(1).started();
    let step = story.steps_in(StepState::Running)[0];
    let name = story.state().plan.steps[step as usize].id.clone();
    let attempt = story.state().steps[step as usize].running_attempt();
    let retry = || Command::RetryStep { step: name.clone(), by: actor() };
    let stop = Effect::StopStep { step, attempt };
    check(story.state(), retry(), &[Event::StepRetried { step, by: actor() }], &[stop]);
    story.tell(retry());
    check(story.state(), retry(), &[], &[]);
    story.answer(stop, StepOutcome::Unknown { reason: "stopped".to_owned() });
    let status = &story.state().steps[step as usize];
    assert_eq!((status.state, status.attempt, status.retry_wanted), (StepState::Running, 2, false));
    assert_eq!(story.run_to_the_end().state().phase, Phase::Succeeded);
}

#[test]
fn one_that_was_to_be_tried_again_and_may_have_changed_something_goes_back() {
    let mut story = Story::chain(1).started();
    let shift = steps_of(&story, StepKind::Shift)[0];
    while story.steps_in(StepState::Running) != [shift] {
        let effect = story.next_effect().expect("a step runs");
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    story.tell(Command::Pause { by: actor(), reason: None });
    story.tell(retry("s0000.shift"));
    let attempt = story.state().steps[shift as usize].running_attempt();
    story.answer(Effect::StopStep { step: shift, attempt }, StepOutcome::Unknown { reason: String::new() });
    assert_eq!(story.state().steps[shift as usize].state, StepState::Pending, "paused: it waits");
    story.tell(Command::Cancel { by: actor(), reason: None, keep: false });
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Cancelled);
    assert_eq!(story.state().steps[shift as usize].state, StepState::Undone);
}

#[test]
fn one_that_asks_goes_on_by_a_retry_or_a_skip() {
    for command in [retry("s0001.verify"), skip("s0001.verify")] {
        let mut story = asking();
        story.tell(command);
        assert_eq!(story.state().phase, Phase::Running);
        assert!(story.state().failure.is_none() && story.state().operator_reason.is_none());
        assert_eq!(story.run_to_the_end().state().phase, Phase::Succeeded);
    }
}

#[test]
fn one_that_asks_asks_again_when_it_fails_again() {
    let mut story = asking();
    story.tell(retry("s0001.verify"));
    let failing = steps_of(&story, StepKind::Verify)[1];
    assert!(story.run_failing(failing).state().asks_forward());
}

#[test]
fn one_that_asks_is_taken_back_cancelled_kept_or_resolved() {
    let mut story = asking();
    let failed = story.state().failure.clone().and_then(|failure| failure.version);
    story.tell(Command::TakeBack { by: actor(), reason: None });
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::RolledBack);
    let failure = story.state().failure.clone().expect("a failure");
    assert!(failed.is_some() && failure.version == failed, "the version that failed stays known");
    assert!(failure.reason.starts_with("taken back by anna; broken"), "{}", failure.reason);

    let mut story = asking();
    story.tell(Command::Cancel { by: actor(), reason: None, keep: false });
    assert_eq!(story.run_to_the_end().state().phase, Phase::Cancelled);

    let mut story = asking();
    let (by, reason) = (actor(), "ours".to_owned());
    story.tell(Command::Resolve { by, outcome: Resolution::Failed, reason, leave: false });
    assert_eq!(story.state().phase, Phase::Failed);

    let asks = asking();
    check_refusal(asks.state(), Command::RetryUndo { by: actor() }, &Refusal::NothingWentBack);
    check_refusal(asks.state(), Command::Resume { by: actor(), pause: None }, &Refusal::WaitsForOperator);
}

#[test]
fn kept_is_what_has_all_the_traffic_and_the_rest_goes_back() {
    let mut story = asking();
    story.tell(Command::Cancel { by: actor(), reason: None, keep: true });
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Cancelled);
    let back: Vec<u32> = story.state().rollback.iter().flat_map(|r| &r.services).map(|e| e.service).collect();
    assert_eq!(back, [1], "the second had a candidate without traffic; the first serves");
    let summary = view::summary(DeploymentId(2), story.state());
    assert_eq!(summary.services[0].state, ServiceProgress::Done);
    assert_eq!(summary.services[1].state, ServiceProgress::Back);
}

#[test]
fn when_all_that_changed_is_kept_nothing_goes_back() {
    let mut story = Story::chain(1).started();
    let watch = steps_of(&story, StepKind::Watch)[0];
    while story.steps_in(StepState::Running) != [watch] {
        let effect = story.next_effect().expect("a step runs");
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    story.tell(Command::Cancel { by: actor(), reason: None, keep: true });
    let story = story.run_to_the_end();
    assert_eq!(story.state().phase, Phase::Cancelled);
    assert!(story.state().rollback.is_none());
    let summary = view::summary(DeploymentId(2), story.state());
    assert_eq!(summary.services[0].state, ServiceProgress::Kept);
}

#[test]
fn what_was_steered_is_read_back_from_its_journal_and_its_rows_are_the_same() {
    let mut story = asking();
    story.tell(retry("s0001.verify"));
    story.tell(Command::Pause { by: actor(), reason: Some("wait".to_owned()) });
    story.tell(retry("s0001.verify"));
    story.tell(Command::Cancel { by: actor(), reason: None, keep: true });
    let story = story.run_to_the_end();
    let again = replay(story.journal().to_vec()).expect("a journal");
    assert_eq!(&again, story.state());

    // Row by row as it happened, and all at once at the end.
    let number = DeploymentId(2);
    let mut written = std::collections::BTreeMap::new();
    for end in 1..=story.journal().len() {
        let state = replay(story.journal()[..end].to_vec()).expect("a journal");
        for row in rows::rows(number, &state, &story.journal()[end - 1..end]).steps {
            written.insert(row.step, row.status);
        }
    }
    let rebuilt = rows::rows(number, &again, story.journal()).steps;
    assert!(rebuilt.iter().all(|row| written.get(&row.step) == Some(&row.status)));
}

#[test]
fn what_is_left_out_early_lets_nothing_begin_before_what_it_waited_for() {
    let mut story = Story::chain(2).started();
    story.tell(skip("s0000.verify"));
    let prepare = steps_of(&story, StepKind::Prepare)[0];
    let shift = steps_of(&story, StepKind::Shift)[0];
    while story.steps_in(StepState::Running).first() != Some(&prepare) {
        assert!(!story.steps_in(StepState::Running).contains(&shift));
        let effect = story.next_effect().expect("a step runs");
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    assert_eq!(story.run_to_the_end().state().phase, Phase::Succeeded);
}

#[test]
fn one_whose_stop_nobody_confirms_is_not_tried_again_beside_itself() {
    let mut story = Story::chain(1).started();
    let step = story.steps_in(StepState::Running)[0];
    let name = story.state().plan.steps[step as usize].id.clone();
    let attempt = story.state().steps[step as usize].running_attempt();
    story.tell(Command::RetryStep { step: name, by: actor() });
    let outcome = StepOutcome::NotStopped { reason: "no agent answers".to_owned() };
    story.tell(Command::FinishStep { step, attempt, outcome });
    let status = &story.state().steps[step as usize];
    assert_eq!((status.state, status.attempt, status.retry_wanted), (StepState::Unknown, 1, false));
    assert!(!story.pending().contains(&Effect::RunStep { step, attempt: Attempt(2) }));
}
