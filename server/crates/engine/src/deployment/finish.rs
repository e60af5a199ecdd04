//! What came of a step or an undo is recorded. An answer that is not waited for any more (a repeat,
//! an earlier attempt) changes nothing: outcomes may arrive twice. What follows from it is
//! `proceed`'s question.

use super::Decision;
use crate::command::{StepOutcome, UndoOutcome};
use lockstep_model::{
    Attempt,
    deployment::{Deployment, Probed, StepState},
    event::{Event, Finding},
};

pub(super) fn step(state: &Deployment, step: u32, attempt: Attempt, outcome: StepOutcome) -> Decision {
    let waited_for = state
        .steps
        .get(step as usize)
        .is_some_and(|status| status.state == StepState::Running && status.attempt == attempt.0);
    if !waited_for || state.phase.is_final() {
        return Decision::nothing();
    }
    Decision::event(match outcome {
        StepOutcome::Succeeded { evidence, checkpoint } => {
            Event::StepSucceeded { step, attempt, evidence, checkpoint }
        }
        StepOutcome::Failed { reason, evidence } => Event::StepFailed { step, attempt, reason, evidence },
        StepOutcome::Unknown { reason } => Event::StepUnknown { step, attempt, reason, may_run: false },
        StepOutcome::NotStopped { reason } => Event::StepUnknown { step, attempt, reason, may_run: true },
    })
}

pub(super) fn probe(state: &Deployment, step: u32, attempt: Attempt, finding: Finding) -> Decision {
    let waited_for = state.steps.get(step as usize).is_some_and(|status| {
        status.state == StepState::Unknown && status.probed == Probed::Asked && status.attempt == attempt.0
    });
    if !waited_for || state.phase.is_final() {
        return Decision::nothing();
    }
    Decision::event(Event::ProbeFinished { step, attempt, finding })
}

pub(super) fn undo(state: &Deployment, step: u32, attempt: Attempt, outcome: UndoOutcome) -> Decision {
    let waited_for = state
        .steps
        .get(step as usize)
        .is_some_and(|status| status.state == StepState::Undoing && status.undo_attempt == attempt.0);
    if !waited_for || state.phase.is_final() {
        return Decision::nothing();
    }
    Decision::event(match outcome {
        UndoOutcome::Undone { evidence } => Event::UndoSucceeded { step, attempt, evidence },
        UndoOutcome::Failed { reason, evidence } => Event::UndoFailed { step, attempt, reason, evidence },
    })
}

#[cfg(test)]
mod tests {
    use crate::{
        command::{Command, StepOutcome, UndoOutcome},
        testing::{Story, check, in_phase},
    };
    use lockstep_model::{
        Attempt,
        deployment::Phase,
        event::{Event, Finding},
    };

    fn done(step: u32, attempt: u32) -> Command {
        let outcome = StepOutcome::Succeeded { evidence: Vec::new(), checkpoint: None };
        Command::FinishStep { step, attempt: Attempt(attempt), outcome }
    }

    #[test]
    fn the_outcome_of_a_running_step_is_recorded_as_it_is() {
        let story = Story::chain(1).started();
        let attempt = Attempt::FIRST;
        check(
            story.state(),
            done(0, 1),
            &[Event::StepSucceeded { step: 0, attempt, evidence: Vec::new(), checkpoint: None }],
            &[],
        );
        let reason = "no".to_owned();
        check(
            story.state(),
            Command::FinishStep {
                step: 0,
                attempt,
                outcome: StepOutcome::Failed { reason: reason.clone(), evidence: Vec::new() },
            },
            &[Event::StepFailed { step: 0, attempt, reason: reason.clone(), evidence: Vec::new() }],
            &[],
        );
        check(
            story.state(),
            Command::FinishStep {
                step: 0,
                attempt,
                outcome: StepOutcome::Unknown { reason: reason.clone() },
            },
            &[Event::StepUnknown { step: 0, attempt, reason, may_run: false }],
            &[],
        );
    }

    #[test]
    fn an_outcome_that_nobody_waits_for_changes_nothing() {
        let story = Story::chain(1).started();
        check(story.state(), done(0, 2), &[], &[]);
        check(story.state(), done(1, 1), &[], &[]);
        check(story.state(), done(999, 1), &[], &[]);
        let finished = Story::chain(1).started().run_to_the_end();
        assert_eq!(finished.state().phase, Phase::Succeeded);
        check(finished.state(), done(0, 1), &[], &[]);
        // Nobody knows how it ended, and nobody has asked its target.
        let lost = Event::StepUnknown {
            step: 0,
            attempt: Attempt::FIRST,
            reason: "lost".to_owned(),
            may_run: false,
        };
        let lost = Story::chain(1).started().event(lost);
        let unasked = Finding::Done { evidence: Vec::new() };
        let unasked = Command::FinishProbe { step: 0, attempt: Attempt::FIRST, finding: unasked };
        check(lost.state(), unasked, &[], &[]);
        let outcome = UndoOutcome::Undone { evidence: Vec::new() };
        let undone = Command::FinishUndo { step: 0, attempt: Attempt::FIRST, outcome };
        check(&in_phase(Phase::RollingBack), undone, &[], &[]);
    }
}
