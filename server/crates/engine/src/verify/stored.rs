//! What is kept beside a journal, held against it: rows, the outbox, and who was live when.

use super::{Broken, Promise};
use crate::{
    Effect,
    deployment::{advance, replay},
    port::store::{CheckpointRow, EventPlace, StepRow},
    rows::rows,
};
use lockstep_model::{
    DeploymentId, EnvironmentName, ProjectName, Seq,
    deployment::{StepState, StepStatus},
    event::{Envelope, Event},
    view::DeploymentSummary,
};
use std::collections::BTreeMap;

/// What a store keeps of a deployment beside its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its row.
    pub summary: DeploymentSummary,
    /// Its steps' rows, by place.
    pub steps: Vec<StepRow>,
    /// Checkpoints that it took.
    pub checkpoints: Vec<CheckpointRow>,
    /// Effects that are not done.
    pub pending: Vec<Effect>,
    /// Where and by whom its events were written.
    pub places: Vec<EventPlace>,
}

/// From when to when a deployment was live, by places in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Which deployment.
    pub id: DeploymentId,
    /// Of which project.
    pub project: ProjectName,
    /// In which environment.
    pub environment: EnvironmentName,
    /// The event that made it live.
    pub seq: Seq,
    /// Where that stands.
    pub from: i64,
    /// Where the event stands that ended it; none = it lives.
    pub to: Option<i64>,
}

/// What of a deployment's rows and outbox does not follow from its journal. Of one that has ended,
/// only what every version of Lockstep writes alike is compared: its rows are never written again.
pub fn stored(id: DeploymentId, journal: &[Envelope], kept: &Stored) -> Vec<Broken> {
    let Ok(state) = replay(journal.iter().cloned()) else { return Vec::new() };
    let mut broken = Vec::new();
    let mut note = |promise, found: String| broken.push(Broken { seq: state.seq, promise, found });
    let rebuilt = rows(id, &state, journal);
    let ended = state.phase.is_final();
    let same_row = if ended {
        let essence = |row: &DeploymentSummary| {
            (row.id, row.project.clone(), row.environment.clone(), row.phase, row.restore_of, row.seq)
        };
        essence(&rebuilt.summary) == essence(&kept.summary)
    } else {
        rebuilt.summary == kept.summary
    };
    if !same_row {
        note(
            Promise::Rows,
            format!(
                "the row is {} at event {}, and the journal {} at event {}",
                kept.summary.phase, kept.summary.seq, state.phase, state.seq
            ),
        );
    }
    for row in &rebuilt.steps {
        let found = kept.steps.iter().find(|other| other.step == row.step);
        // What still waits when all has ended was left out; it was not always written so.
        let stands = |state| if ended && state == StepState::Pending { StepState::Skipped } else { state };
        let essence = |status: &StepStatus| (stands(status.state), status.attempt, status.undo_attempt);
        let same = found.is_some_and(|found| {
            if ended { essence(&found.status) == essence(&row.status) } else { found.status == row.status }
        });
        if !same {
            let said = found.map_or("not there", |found| found.status.state.word());
            let step = &state.plan.steps[row.step as usize].id;
            note(
                Promise::Rows,
                format!("the row of {step} is {said}, and the journal {}", row.status.state.word()),
            );
        }
    }
    for row in &rebuilt.checkpoints {
        // The first that was taken counts, and is kept.
        let first = rebuilt.checkpoints.iter().find(|other| other.slot == row.slot);
        if first == Some(row) && !kept.checkpoints.iter().any(|other| other.slot == row.slot) {
            note(Promise::Rows, format!("the checkpoint of {} is not there", row.slot.service));
        }
    }
    for effect in &kept.pending {
        let is_ordered = journal.iter().any(|envelope| orders(&envelope.event, effect));
        if ended {
            note(Promise::Outbox, format!("{} is still to be done", effect.key()));
        } else if !is_ordered {
            note(
                Promise::Outbox,
                format!("{} is to be done, and nothing in the journal says so", effect.key()),
            );
        }
    }
    let places = &kept.places;
    if places.len() != journal.len() || !places.is_sorted_by(|one, next| one.position < next.position) {
        note(Promise::Numbering, "its events do not stand in their order in the feed".to_owned());
    }
    for (envelope, pair) in journal.iter().skip(1).zip(places.windows(2)) {
        let [before, now] = [pair[0].epoch, pair[1].epoch];
        if now < before {
            let found = format!("written under epoch {now}, and the event before it under {before}");
            broken.push(Broken { seq: envelope.seq, promise: Promise::Epochs, found });
        }
    }
    broken
}

fn orders(event: &Event, effect: &Effect) -> bool {
    match (event, effect) {
        (Event::StepStarted { step, attempt }, Effect::RunStep { step: run, attempt: of }) => {
            (step, attempt) == (run, of)
        }
        (Event::StepStarted { step, attempt }, Effect::StopStep { step: stop, attempt: of }) => {
            (step, attempt) == (stop, of)
        }
        (Event::ProbeStarted { step, attempt }, Effect::ProbeStep { step: probe, attempt: of }) => {
            (step, attempt) == (probe, of)
        }
        (Event::ResolveBegun { attempt, open, .. }, Effect::Close { service, attempt: of }) => {
            attempt == of && open.iter().any(|open| open.service == *service)
        }
        (Event::UndoStarted { step, attempt }, Effect::UndoStep { step: undo, attempt: of }) => {
            (step, attempt) == (undo, of)
        }
        _ => false,
    }
}

/// When a deployment was live; none = it never was, or its journal or feed is damaged, which others
/// tell of.
pub fn life(id: DeploymentId, journal: &[Envelope], places: &[EventPlace]) -> Option<Life> {
    let mut places = journal.iter().zip(places);
    let (first, _) = places.next()?;
    let mut state = replay([first.clone()]).ok()?;
    let mut life: Option<Life> = None;
    for (envelope, place) in places {
        advance(&mut state, envelope).ok()?;
        match &mut life {
            None if state.phase.is_live() => {
                life = Some(Life {
                    id,
                    project: state.plan.project.clone(),
                    environment: state.plan.environment.clone(),
                    seq: envelope.seq,
                    from: place.position,
                    to: None,
                });
            }
            Some(life) if life.to.is_none() && state.phase.is_final() => life.to = Some(place.position),
            None | Some(_) => {}
        }
    }
    life
}

/// Deployments that became live while another one of their environment was.
pub fn live_together(mut lives: Vec<Life>) -> Vec<(DeploymentId, Broken)> {
    lives.sort_by_key(|life| life.from);
    let mut last = BTreeMap::<(String, String), Life>::new();
    let mut broken = Vec::new();
    for life in lives {
        let place = (life.project.as_str().to_lowercase(), life.environment.as_str().to_lowercase());
        if let Some(before) = last.get(&place)
            && before.to.is_none_or(|to| to > life.from)
        {
            let found =
                format!("it began in {} while deployment {} was live there", life.environment, before.id);
            broken.push((life.id, Broken { seq: life.seq, promise: Promise::OneLive, found }));
        }
        // Whoever lives longest is whom the next one may meet.
        let is_longer = last.get(&place).is_none_or(|before| match (before.to, life.to) {
            (Some(before), Some(to)) => to > before,
            (Some(_), None) => true,
            (None, _) => false,
        });
        if is_longer {
            last.insert(place, life);
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Story, staging};
    use lockstep_model::{Attempt, Epoch, deployment::Phase};

    const ID: DeploymentId = DeploymentId(7);

    fn places(first: i64, story: &Story) -> Vec<EventPlace> {
        let all = (first..).map(|position| EventPlace { position, epoch: Epoch(1) });
        all.take(story.journal().len()).collect()
    }

    fn kept(story: &Story) -> Stored {
        let rows = rows(ID, story.state(), story.journal());
        let checkpoints = rows.checkpoints;
        Stored {
            summary: rows.summary,
            steps: rows.steps,
            checkpoints,
            pending: story.pending().to_vec(),
            places: places(1, story),
        }
    }

    fn promises(story: &Story, kept: &Stored) -> Vec<Promise> {
        stored(ID, story.journal(), kept).into_iter().map(|broken| broken.promise).collect()
    }

    #[test]
    fn what_follows_from_a_journal_is_accepted_on_the_way_and_at_the_end() {
        let under_way = Story::chain(2).started();
        assert_eq!(promises(&under_way, &kept(&under_way)), []);
        let ended = Story::chain(2).started().run_failing(4);
        assert_eq!(promises(&ended, &kept(&ended)), []);
    }

    #[test]
    fn rows_that_say_something_else_are_told_of() {
        let story = Story::chain(2).started().run_to_the_end();
        let good = kept(&story);
        let mut wrong = good.clone();
        wrong.summary.phase = Phase::RolledBack;
        assert_eq!(promises(&story, &wrong), [Promise::Rows]);
        let mut wrong = good.clone();
        wrong.steps[1].status.attempt += 1;
        assert_eq!(promises(&story, &wrong), [Promise::Rows]);
        let mut wrong = good.clone();
        wrong.steps.remove(0);
        assert_eq!(promises(&story, &wrong), [Promise::Rows]);
        let mut wrong = good.clone();
        wrong.checkpoints.clear();
        assert_eq!(promises(&story, &wrong), [Promise::Rows; 2]);
        let mut wrong = good;
        wrong.places.swap(0, 1);
        assert_eq!(promises(&story, &wrong), [Promise::Numbering]);
    }

    #[test]
    fn who_writes_after_somebody_else_has_taken_over_is_told_of() {
        let story = Story::chain(1).started().run_to_the_end();
        let mut kept = kept(&story);
        // Written before epochs were kept, then under one owner and the next one.
        kept.places[0].epoch = Epoch(0);
        for place in &mut kept.places[3..] {
            place.epoch = Epoch(2);
        }
        assert_eq!(promises(&story, &kept), []);
        kept.places[5].epoch = Epoch(1);
        let found = stored(ID, story.journal(), &kept);
        let at: Vec<(Promise, Seq)> = found.iter().map(|broken| (broken.promise, broken.seq)).collect();
        assert_eq!(at, [(Promise::Epochs, story.journal()[5].seq)]);
    }

    #[test]
    fn an_outbox_holds_only_what_the_journal_ordered_and_nothing_of_the_dead() {
        let effect = Effect::UndoStep { step: 0, attempt: Attempt(1) };
        for story in [Story::chain(1).started(), Story::chain(1).started().run_to_the_end()] {
            let mut wrong = kept(&story);
            wrong.pending.push(effect);
            assert_eq!(promises(&story, &wrong), [Promise::Outbox]);
        }
    }

    #[test]
    fn two_that_are_live_at_once_in_an_environment_are_told_of() {
        let live = |id: i64, environment: &str, from, to| Life {
            id: DeploymentId(id),
            project: "shop".parse().expect("valid"),
            environment: environment.parse().expect("valid"),
            seq: Seq(2),
            from,
            to,
        };
        let good = vec![
            live(3, "staging", 8, None),
            live(1, "staging", 2, Some(7)),
            live(2, "production", 4, Some(20)),
        ];
        assert_eq!(live_together(good.clone()), []);
        // Behind a short one the long one still counts.
        let mut wrong = good;
        wrong.push(live(4, "Production", 5, Some(6)));
        wrong.push(live(5, "production", 9, None));
        wrong.push(live(6, "staging", 9, Some(10)));
        let found: Vec<i64> = live_together(wrong).into_iter().map(|(id, _)| id.0).collect();
        assert_eq!(found, [4, 5, 6]);
        let story = Story::chain(1).started().run_to_the_end();
        let places = places(10, &story);
        let last = places.last().map(|place| place.position);
        let life = life(ID, story.journal(), &places).expect("it was live");
        assert_eq!((life.from, life.to, life.environment), (11, last, staging()));
    }
}
