//! Journals that keep every promise, and those that break one.

use super::{Promise, verify};
use crate::{
    Effect, StepOutcome,
    testing::{Story, command_spec, in_phase, manifest, serving},
};
use lockstep_model::{
    Attempt, Seq,
    deployment::Phase,
    event::{Envelope, Event},
    manifest::OnUnknown,
};

/// A chain of two whose last verify fails, taken back.
fn taken_back() -> Vec<Envelope> {
    let story = Story::chain(2);
    let last = u32::try_from(story.state().steps.len() - 2).expect("few");
    let story = story.started().run_failing(last);
    assert_eq!(story.state().phase, Phase::RolledBack);
    story.journal().to_vec()
}

/// The promises that are broken when events are taken out, or put in after a place.
fn broken(journal: &[Envelope]) -> Vec<Promise> {
    let mut promises: Vec<Promise> = verify(journal).into_iter().map(|broken| broken.promise).collect();
    promises.sort_unstable();
    promises.dedup();
    promises
}

fn numbered(mut journal: Vec<Envelope>) -> Vec<Envelope> {
    for (number, envelope) in (1..).zip(&mut journal) {
        envelope.seq = Seq(number);
    }
    journal
}

fn without(journal: &[Envelope], which: impl Fn(&Event) -> bool) -> Vec<Envelope> {
    let place = journal.iter().rposition(|envelope| which(&envelope.event)).expect("there is one");
    let mut journal = journal.to_vec();
    journal.remove(place);
    numbered(journal)
}

#[test]
fn a_good_journal_breaks_nothing() {
    assert_eq!(verify(&taken_back()), []);
    assert_eq!(verify(Story::chain(3).started().run_to_the_end().journal()), []);
    assert_eq!(verify(Story::restore(3).started().run_to_the_end().journal()), []);
    assert!(!in_phase(Phase::Running).phase.is_final());
}

#[test]
fn what_is_missing_is_found() {
    let journal = taken_back();
    let mut gap = journal.clone();
    gap.remove(3);
    assert!(broken(&gap).contains(&Promise::Numbering));
    for (found, promise) in [
        (without(&journal, |event| matches!(event, Event::RollbackPlanned { .. })), Promise::UndoOrder),
        (without(&journal, |event| matches!(event, Event::UndoStarted { .. })), Promise::OneAttempt),
        (without(&journal, |event| matches!(event, Event::UndoSucceeded { .. })), Promise::End),
        (without(&journal, |event| matches!(event, Event::StepStarted { .. })), Promise::OneAttempt),
    ] {
        assert!(broken(&found).contains(&promise), "{promise:?}: {:?}", verify(&found));
    }
    // The first preflight's answer: all that follows began too early.
    let first = journal.iter().position(|e| matches!(e.event, Event::StepSucceeded { .. })).expect("one");
    let mut early = journal.clone();
    early.remove(first);
    let promises = broken(&numbered(early));
    assert!(promises.contains(&Promise::LookFirst) && promises.contains(&Promise::Order), "{promises:?}");
}

#[test]
fn what_is_too_much_is_found() {
    let journal = taken_back();
    let after = |event: Event| {
        let mut journal = journal.clone();
        let place = journal.len() - 1;
        let envelope = Envelope { event, ..journal[place].clone() };
        journal.insert(place, envelope);
        numbered(journal)
    };
    let again = journal
        .iter()
        .find(|envelope| matches!(envelope.event, Event::RollbackPlanned { .. }))
        .expect("a rollback")
        .event
        .clone();
    assert!(broken(&after(again)).contains(&Promise::OneRollback));
    assert!(broken(&after(Event::ReleaseCommitted)).contains(&Promise::End));
    let never_ran = u32::try_from(Story::chain(2).state().steps.len() - 1).expect("few");
    let undo = Event::UndoStarted { step: never_ran, attempt: Attempt::FIRST };
    assert!(broken(&after(undo)).contains(&Promise::UndoneRan));
    let mut ended = journal.clone();
    ended.push(Envelope { event: Event::Started, ..journal[0].clone() });
    assert!(broken(&numbered(ended)).contains(&Promise::Machine));
}

#[test]
fn what_a_target_says_without_being_asked_is_found() {
    let mut manifest = manifest(1, &[], &command_spec());
    manifest.environments.values_mut().for_each(|one| one.on_unknown = Some(OnUnknown::Probe));
    let mut story = Story::of(&manifest, serving(&manifest)).started();
    let effect = story.next_effect().expect("a preflight");
    let outcome = story.good(effect);
    story.answer(effect, outcome);
    let effect = story.next_effect().expect("a change");
    story.answer(effect, StepOutcome::Unknown { reason: "lost".to_owned() });
    let effect = story.next_effect().expect("a question");
    let outcome = story.good(effect);
    story.answer(effect, outcome);
    assert_eq!(verify(story.journal()), []);
    let unasked = without(story.journal(), |event| matches!(event, Event::ProbeStarted { .. }));
    assert!(broken(&unasked).contains(&Promise::OneAttempt), "{:?}", verify(&unasked));
}

#[test]
fn what_is_begun_again_while_nobody_knows_how_it_ended_is_found() {
    let manifest = manifest(1, &[], &command_spec());
    let journal = |on_unknown| {
        let mut manifest = manifest.clone();
        manifest.environments.values_mut().for_each(|one| one.on_unknown = Some(on_unknown));
        let mut story = Story::of(&manifest, serving(&manifest)).started();
        let effect = story.next_effect().expect("a preflight");
        let outcome = story.good(effect);
        story.answer(effect, outcome);
        let effect = story.next_effect().expect("a change");
        story.answer(effect, StepOutcome::Unknown { reason: "lost".to_owned() });
        let Effect::RunStep { step, .. } = effect else { panic!("{effect:?}") };
        let mut journal = story.journal().to_vec();
        let last = journal.last().expect("some").clone();
        // As if it had been begun again by itself.
        journal.retain(|one| !matches!(one.event, Event::OperatorNeeded { .. } | Event::ProbeStarted { .. }));
        if !matches!(last.event, Event::StepStarted { .. }) {
            journal.push(Envelope { event: Event::StepStarted { step, attempt: Attempt(2) }, ..last });
        }
        broken(&numbered(journal))
    };
    assert_eq!(journal(OnUnknown::Ask), [Promise::NotTwice]);
    assert_eq!(journal(OnUnknown::Probe), [Promise::NotTwice]);
    assert_eq!(journal(OnUnknown::Rerun), []);
}
