//! Somebody has a deployment wait: what runs comes to its end, nothing else begins, and its limit
//! does not run. A failure is still noticed, and acted on.

use super::{Decision, Refusal};
use crate::restriction::span;
use lockstep_model::{
    Seq, Timestamp,
    deployment::{Actor, Deployment, Phase, StepState},
    event::Event,
};

pub(super) fn pause(
    state: &Deployment,
    by: Actor,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    match state.phase {
        Phase::Running => Ok(Decision::event(Event::Paused { by, reason })),
        Phase::Paused => Err(Refusal::AlreadyPaused { said: said(state, now) }),
        Phase::Queued => Err(Refusal::StillQueued),
        Phase::RollingBack => Err(Refusal::AlreadyRollingBack),
        Phase::NeedsOperator => Err(Refusal::WaitsForOperator),
        Phase::Succeeded | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
            Err(Refusal::AlreadyFinished { phase: state.phase })
        }
    }
}

/// Ends the pause that is named, and no other: whoever takes theirs back may be too late for it.
pub(super) fn resume(
    state: &Deployment,
    by: Actor,
    pause: Option<Seq>,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let is_other = pause.is_some() && pause != state.paused.as_ref().map(|paused| paused.seq);
    match state.phase {
        Phase::Paused if is_other => Err(Refusal::PausedAnew { said: said(state, now) }),
        Phase::Paused => Ok(Decision::event(Event::Resumed { by })),
        Phase::NeedsOperator if pause.is_none() && waits_to_begin(state) => {
            Ok(Decision::event(Event::Resumed { by }))
        }
        Phase::NeedsOperator => Err(Refusal::WaitsForOperator),
        Phase::Queued | Phase::Running | Phase::RollingBack => Err(Refusal::NotPaused { phase: state.phase }),
        Phase::Succeeded | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
            Err(Refusal::AlreadyFinished { phase: state.phase })
        }
    }
}

/// By whom it is paused, since when and why.
fn said(state: &Deployment, now: Timestamp) -> String {
    let Some(paused) = &state.paused else { return String::new() };
    let because = paused.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    format!(" by {} {} ago{because}", paused.by.user, span(now.since_ms(paused.at)))
}

/// Somebody is asked, and not because of a step: it only has to be let go.
fn waits_to_begin(state: &Deployment) -> bool {
    state.asks_forward()
        && !state.asks_about_part()
        && !state.steps.iter().any(|status| matches!(status.state, StepState::Failed | StepState::Unknown))
}

#[cfg(test)]
mod tests {
    use crate::{
        command::{Command, StepOutcome},
        deployment::Refusal,
        testing::{FINAL_PHASES, Story, actor, check, check_refusal, in_phase},
    };
    use lockstep_model::{
        Attempt, Seq,
        deployment::{Failure, Phase, StepState},
        event::Event,
    };

    fn pause() -> Command {
        Command::Pause { by: actor(), reason: Some("lunch".to_owned()) }
    }

    fn resume() -> Command {
        Command::Resume { by: actor(), pause: None }
    }

    #[test]
    fn only_a_running_one_is_paused_and_only_a_paused_one_resumed() {
        let paused = Event::Paused { by: actor(), reason: Some("lunch".to_owned()) };
        check(&in_phase(Phase::Running), pause(), &[paused], &[]);
        check(&in_phase(Phase::Paused), resume(), &[Event::Resumed { by: actor() }], &[]);
        let said = " by anna 1 s ago".to_owned();
        check_refusal(&in_phase(Phase::Paused), pause(), &Refusal::AlreadyPaused { said });
        check_refusal(&in_phase(Phase::Queued), pause(), &Refusal::StillQueued);
        check_refusal(&in_phase(Phase::RollingBack), pause(), &Refusal::AlreadyRollingBack);
        for phase in [Phase::Queued, Phase::Running, Phase::RollingBack] {
            check_refusal(&in_phase(phase), resume(), &Refusal::NotPaused { phase });
        }
        for command in [pause(), resume()] {
            check_refusal(&in_phase(Phase::NeedsOperator), command.clone(), &Refusal::WaitsForOperator);
            for phase in FINAL_PHASES {
                check_refusal(&in_phase(phase), command.clone(), &Refusal::AlreadyFinished { phase });
            }
        }
    }

    #[test]
    fn a_pause_that_is_named_is_ended_and_no_other() {
        let mut story = Story::chain(2).started();
        story.tell(pause());
        let first = story.state().paused.clone().expect("it is paused");
        assert_eq!(
            (first.seq, first.by, first.reason.as_deref()),
            (story.state().seq, actor(), Some("lunch"))
        );
        let named = |pause| Command::Resume { by: actor(), pause: Some(pause) };
        story.tell(resume());
        assert_eq!(story.state().paused, None);
        check_refusal(story.state(), named(first.seq), &Refusal::NotPaused { phase: Phase::Running });
        story.tell(pause());
        let second = story.state().paused.clone().expect("it is paused");
        assert_ne!(first.seq, second.seq);
        let said = " by anna 1 s ago: lunch".to_owned();
        check_refusal(story.state(), named(first.seq), &Refusal::PausedAnew { said });
        check(story.state(), named(second.seq), &[Event::Resumed { by: actor() }], &[]);
    }

    #[test]
    fn one_that_only_waits_to_be_let_go_is_resumed_and_one_that_asks_about_a_step_is_not() {
        let failure =
            Failure { step: None, service: None, version: None, reason: "test".to_owned(), by: None };
        let asks = Event::OperatorNeeded { reason: "test".to_owned(), failure: Some(failure) };
        let waiting = Story::chain(1).event(Event::Started).event(asks.clone());
        check(waiting.state(), resume(), &[Event::Resumed { by: actor() }], &[]);
        // It waits for somebody's word, and not because of a pause that could be taken back.
        let named = Command::Resume { by: actor(), pause: Some(Seq(3)) };
        check_refusal(waiting.state(), named, &Refusal::WaitsForOperator);
        let attempt = Attempt::FIRST;
        let begun = Story::chain(1).event(Event::Started).event(Event::StepStarted { step: 0, attempt });
        let reason = "lost".to_owned();
        let lost = begun.event(Event::StepUnknown { step: 0, attempt, reason, may_run: false });
        check_refusal(lost.event(asks).state(), resume(), &Refusal::WaitsForOperator);
    }

    #[test]
    fn while_it_is_paused_what_runs_comes_to_its_end_and_nothing_begins() {
        let mut story = Story::chain(2).started();
        story.tell(pause());
        let story = story.run_to_the_end();
        assert_eq!(story.state().phase, Phase::Paused);
        assert!(story.steps_in(StepState::Running).is_empty());
        assert!(!story.steps_in(StepState::Succeeded).is_empty());
        assert!(!story.steps_in(StepState::Pending).is_empty());
    }

    #[test]
    fn what_was_paused_and_resumed_ends_as_if_it_had_not_been() {
        let mut story = Story::chain(2).started();
        story.tell(pause());
        let mut story = story.run_to_the_end();
        story.tell(resume());
        assert_eq!(story.run_to_the_end().state().phase, Phase::Succeeded);
    }

    #[test]
    fn a_failure_while_it_is_paused_is_acted_on() {
        let mut story = Story::chain(1).started();
        story.tell(pause());
        let effect = story.next_effect().expect("a step runs");
        story.answer(effect, StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() });
        assert_eq!(story.state().phase, Phase::Failed, "nothing was changed yet");
    }

    #[test]
    fn the_limit_does_not_run_while_it_is_paused() {
        let mut story = Story::chain(1).started();
        story.tell(pause());
        let mut story = story.later_ms(2_000_000);
        story.tell(Command::Proceed);
        assert_eq!(story.state().phase, Phase::Paused);
        story.tell(resume());
        assert_eq!(story.state().phase, Phase::Running);
        let mut story = story.later_ms(900_001);
        story.tell(Command::Proceed);
        assert_ne!(story.state().phase, Phase::Running, "the limit is 900 s");
    }

    #[test]
    fn the_release_is_not_committed_while_it_is_paused() {
        let mut story = Story::chain(1).started();
        while story.steps_in(StepState::Pending).len() + story.steps_in(StepState::Running).len() > 1 {
            let effect = story.next_effect().expect("a step runs");
            let outcome = story.good(effect);
            story.answer(effect, outcome);
        }
        story.tell(pause());
        let mut story = story.run_to_the_end();
        assert_eq!(story.steps_in(StepState::Succeeded).len(), story.state().steps.len());
        assert_eq!(story.state().phase, Phase::Paused);
        story.tell(resume());
        assert_eq!(story.state().phase, Phase::Succeeded);
    }
}
