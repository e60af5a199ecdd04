//! What may follow what: a journal is read back only as far as it makes sense.

use crate::{
    apply,
    command::Command,
    testing::{Story, actor, in_phase},
};
use lockstep_model::{
    Attempt, DeploymentId, Seq, Timestamp,
    deployment::{Deployment, Failure, Phase, Resolution, RollbackPlan, StepState},
    event::{Envelope, Event, Finding},
};

const STEP: u32 = 0;

fn failure() -> Failure {
    Failure { step: None, service: None, version: None, reason: "test".to_owned(), by: None }
}

/// The plan of a rollback that has nothing to do.
fn nothing() -> RollbackPlan {
    RollbackPlan { services: Vec::new(), outside: Vec::new(), max_duration_ms: 120_000 }
}

fn follows(state: &Deployment, event: Event) -> Result<Deployment, String> {
    let envelope = Envelope { seq: state.seq.next(), at: Timestamp(3_000), event };
    apply(state.clone(), &envelope).map_err(|illegal| illegal.problem)
}

/// One that asks how to go on, before anything was taken back.
fn asking() -> Deployment {
    let asks = Event::OperatorNeeded { reason: "test".to_owned(), failure: Some(failure()) };
    Story::chain(1).event(Event::Started).event(asks).state().clone()
}

/// One whose undo failed, so that somebody is asked while it goes back.
fn stuck() -> Deployment {
    let story = Story::chain(1).event(Event::Started).event(Event::FailureDetected { failure: failure() });
    let story = story.event(Event::RollbackPlanned { rollback: nothing() });
    story.event(Event::OperatorNeeded { reason: "test".to_owned(), failure: None }).state().clone()
}

#[test]
fn an_event_follows_only_in_the_phases_that_have_a_place_for_it() {
    use Phase::{NeedsOperator, Paused, Queued, RollingBack, Running};
    let attempt = Attempt::FIRST;
    let by = actor();
    let reason = || "test".to_owned();
    let asks = |failure| Event::OperatorNeeded { reason: reason(), failure };
    let cases: Vec<(Event, Vec<Phase>)> = vec![
        (Event::Started, vec![Queued]),
        (Event::StepStarted { step: STEP, attempt }, vec![Running]),
        (Event::Paused { by: by.clone(), reason: None }, vec![Running]),
        (Event::Resumed { by: by.clone() }, vec![Paused]),
        (Event::StepSkipped { step: STEP, by: by.clone(), reason: reason() }, vec![Running, Paused]),
        (Event::StepRetried { step: STEP, by: by.clone() }, vec![Running, Paused]),
        (Event::FailureDetected { failure: failure() }, vec![Running, Paused]),
        (Event::CancelRequested { by: by.clone(), reason: None, keep: false }, vec![Queued, Running, Paused]),
        (Event::RollbackPlanned { rollback: nothing() }, vec![RollingBack]),
        (Event::UndoStarted { step: STEP, attempt }, vec![RollingBack]),
        (asks(None), vec![RollingBack]),
        (asks(Some(failure())), vec![Running, Paused]),
        (Event::UndoRetried { by: by.clone() }, vec![NeedsOperator]),
        (
            Event::Resolved { by: by.clone(), outcome: Resolution::Failed, reason: reason(), leaves: false },
            vec![NeedsOperator],
        ),
        (
            Event::ResolveBegun {
                by: by.clone(),
                outcome: Resolution::Failed,
                reason: reason(),
                attempt: Attempt::FIRST,
                open: Vec::new(),
            },
            vec![NeedsOperator],
        ),
        (Event::Closed { service: 0, attempt }, Vec::new()),
        (Event::CloseFailed { service: 0, attempt, reason: reason() }, Vec::new()),
        (Event::ReleaseCommitted, vec![Running]),
        (Event::RolledBack, vec![RollingBack, NeedsOperator]),
        (Event::Failed, vec![RollingBack]),
        (Event::Cancelled, vec![Queued, RollingBack, NeedsOperator]),
        (Event::Superseded { by: DeploymentId(9) }, vec![Queued]),
    ];
    for (event, phases) in cases {
        for phase in Phase::ALL {
            let came = follows(&in_phase(phase), event.clone());
            assert_eq!(came.is_ok(), phases.contains(&phase), "{event:?} when it is {phase}: {came:?}");
        }
    }
}

#[test]
fn while_somebody_is_asked_only_what_goes_their_way_follows() {
    let undo = Event::UndoStarted { step: STEP, attempt: Attempt::FIRST };
    let retried = Event::UndoRetried { by: actor() };
    let skipped = Event::StepSkipped { step: STEP, by: actor(), reason: "test".to_owned() };
    let resumed = Event::Resumed { by: actor() };
    for (event, goes_on, goes_back) in
        [(undo, false, true), (retried, false, true), (skipped, true, false), (resumed, true, false)]
    {
        assert_eq!(follows(&asking(), event.clone()).is_ok(), goes_on, "{event:?} of one that asks");
        assert_eq!(follows(&stuck(), event.clone()).is_ok(), goes_back, "{event:?} of one that is stuck");
    }
}

#[test]
fn an_answer_follows_only_what_it_answers() {
    let attempt = Attempt::FIRST;
    let evidence = Vec::new;
    let reason = || "test".to_owned();
    let done = Event::StepSucceeded { step: STEP, attempt, evidence: evidence(), checkpoint: None };
    let failed = Event::StepFailed { step: STEP, attempt, reason: reason(), evidence: evidence() };
    let unknown = Event::StepUnknown { step: STEP, attempt, reason: reason(), may_run: false };
    let finding = || Finding::CannotTell { reason: reason() };
    let found = Event::ProbeFinished { step: STEP, attempt, finding: finding() };
    let asked = Event::ProbeStarted { step: STEP, attempt };
    let undone = Event::UndoSucceeded { step: STEP, attempt, evidence: evidence() };
    let started = || Story::chain(1).event(Event::Started);
    let begun = || started().event(Event::StepStarted { step: STEP, attempt });
    let lost = || begun().event(unknown.clone());
    let answers = [&done, &failed, &unknown, &found, &asked, &undone];
    for (given, which, may_follow) in [
        (started(), "one that waits", Vec::new()),
        (begun(), "one that runs", vec![&done, &failed, &unknown]),
        (lost(), "one that nobody knows the end of", vec![&found, &asked]),
    ] {
        for event in answers {
            let came = follows(given.state(), event.clone());
            assert_eq!(came.is_ok(), may_follow.contains(&event), "{event:?} after {which}: {came:?}");
        }
    }
    let beside = Event::StepStarted { step: STEP, attempt: Attempt(2) };
    assert!(follows(begun().state(), beside.clone()).is_err(), "one attempt at a time");
    assert!(follows(lost().state(), beside).is_ok());
    let nowhere = Event::StepStarted { step: 99, attempt };
    assert_eq!(follows(started().state(), nowhere).map(|_| ()), Err("there is no step 99".to_owned()));
}

#[test]
fn an_event_follows_the_one_before_it_and_none_follows_the_last() {
    let state = in_phase(Phase::Queued);
    for (seq, fits) in [(state.seq, false), (state.seq.next(), true), (Seq(state.seq.0 + 2), false)] {
        let came = apply(state.clone(), &Envelope { seq, at: Timestamp(3_000), event: Event::Started });
        assert_eq!(came.is_ok(), fits, "{seq}");
    }
    let ended = in_phase(Phase::Succeeded);
    assert!(follows(&ended, Event::OperatorNeeded { reason: "test".to_owned(), failure: None }).is_err());
    let again = Story::chain(1).journal()[0].event.clone();
    assert!(follows(&in_phase(Phase::Running), again).is_err(), "it is requested once");
}

#[test]
fn a_step_that_is_left_out_while_it_runs_has_ended_and_one_that_ended_keeps_how() {
    let mut story = Story::chain(1).started();
    let tries = |story: &Story| story.state().steps[STEP as usize].tries.clone();
    assert_eq!(tries(&story).last().map(|one| one.finished_at), Some(None));
    let skipped = Event::StepSkipped { step: STEP, by: actor(), reason: "seen".to_owned() };
    let left_out = story.clone().event(skipped.clone());
    let last = tries(&left_out).pop().expect("it was begun");
    assert_eq!((last.state, last.reason.as_deref()), (StepState::Skipped, Some("seen")));
    assert!(last.finished_at.is_some());

    story.tell(Command::Pause { by: actor(), reason: None });
    let unknown =
        Event::StepUnknown { step: STEP, attempt: Attempt::FIRST, reason: "lost".to_owned(), may_run: false };
    let left_out = story.event(unknown).event(skipped);
    let last = tries(&left_out).pop().expect("it was begun");
    assert_eq!((last.state, last.reason.as_deref()), (StepState::Unknown, Some("lost")));
    assert_eq!(left_out.state().steps[STEP as usize].state, StepState::Skipped);
}
