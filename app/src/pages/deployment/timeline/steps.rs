//! What is known of the steps beside themselves: which come before which, what each waited for, and
//! which decided how long it took. Plain calculation; the views ask it.

use crate::time::duration;
use leptos::prelude::*;
use lockstep_model::{
    ServiceName, StepId, Timestamp,
    deployment::{Clocks, Phase, StepState, Try},
    plan::StepKind,
    view::StepView,
};

pub(super) type StepSignal = ArcRwSignal<StepView>;

/// The steps of a plan with their places; they never change, what is known of each does.
#[derive(Debug)]
pub(super) struct Steps {
    /// All of them, in the plan's order.
    pub(super) all: Vec<StepSignal>,
    /// Services in the order in which they come, each with its steps' places.
    pub(super) services: Vec<(ServiceName, Vec<u32>)>,
    /// For each step the places of those before it, and whether they are of the same service.
    before: Vec<Vec<(u32, bool)>>,
    /// For each step what a text is looked for in, in small letters.
    words: Vec<String>,
}

impl Steps {
    pub(super) fn new(all: Vec<StepSignal>) -> Self {
        let known: Vec<(StepId, ServiceName)> = all
            .iter()
            .map(|step| step.with_untracked(|step| (step.id.clone(), step.service.clone())))
            .collect();
        let mut by_id: Vec<u32> = (0..).zip(&known).map(|(place, _)| place).collect();
        let id = |place: &u32| &known[*place as usize].0;
        by_id.sort_by(|one, two| id(one).cmp(id(two)));
        let mut services: Vec<(ServiceName, Vec<u32>)> = Vec::new();
        for (place, (_, service)) in (0..).zip(&known) {
            // Nearly always it is the last one's.
            match services.iter_mut().rev().find(|(name, _)| name == service) {
                Some((_, places)) => places.push(place),
                None => services.push((service.clone(), vec![place])),
            }
        }
        let before = known.iter().zip(&all).map(|((_, service), step)| {
            step.with_untracked(|step| {
                let find = |before: &StepId| by_id.binary_search_by(|place| id(place).cmp(before)).ok();
                let found = step.after.iter().filter_map(find).map(|found| by_id[found]);
                found.map(|place| (place, known[place as usize].1 == *service)).collect()
            })
        });
        let before = before.collect();
        let words = known.iter().map(|(id, _)| id.to_string().to_ascii_lowercase()).collect();
        Self { all, services, before, words }
    }

    /// The step at a place.
    pub(super) fn step(&self, place: u32) -> Option<&StepSignal> {
        self.all.get(place as usize)
    }

    /// Whether a text in small letters is in a step's name, or in what was said about it.
    pub(super) fn says(&self, place: u32, text: &str) -> bool {
        let has = |words: &str| words.to_ascii_lowercase().contains(text);
        self.words.get(place as usize).is_some_and(|words| words.contains(text))
            || self.step(place).is_some_and(|step| {
                step.with(|step| {
                    step.tries.iter().any(|one| {
                        one.reason.as_deref().is_some_and(has)
                            || one.evidence.iter().any(|seen| has(&seen.reason) || has(&seen.check))
                    })
                })
            })
    }

    /// What a step waits for, or waited.
    pub(super) fn wait(&self, place: u32, clocks: &Clocks, phase: Phase) -> Option<Wait> {
        let step = self.step(place)?;
        let before: Vec<Before> = self
            .before
            .get(place as usize)?
            .iter()
            .filter_map(|(place, is_own)| {
                let is_own = *is_own;
                let known = self.step(*place)?;
                Some(known.with(|step| Before {
                    is_own,
                    ended: step.finished_at(),
                    name: step.id.to_string(),
                }))
            })
            .collect();
        step.with(|step| waited(step, &before, clocks, phase))
    }

    /// Places of the steps that decided how long it took: from the last that ended back to the first.
    pub(super) fn critical(&self) -> Vec<u32> {
        let ended = |place: u32| self.step(place).and_then(|step| step.with(StepView::finished_at));
        let all = (0..).zip(&self.all).map(|(place, _)| place);
        let mut path = Vec::new();
        let mut here = all.filter(|place| ended(*place).is_some()).max_by_key(|place| ended(*place));
        while let Some(place) = here {
            path.push(place);
            let before = self.before.get(place as usize).into_iter().flatten().map(|(place, _)| *place);
            here = before.filter(|place| !path.contains(place)).max_by_key(|place| ended(*place));
        }
        path.sort_unstable();
        path
    }
}

/// A step before another one.
struct Before {
    is_own: bool,
    ended: Option<Timestamp>,
    name: String,
}

/// Time in which a step could not begin though its own service had come so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wait {
    /// Since when.
    pub(super) from: Timestamp,
    /// Until when; none = it waits now.
    pub(super) until: Option<Timestamp>,
    /// The step of another service that it waits for.
    pub(super) on: Option<String>,
}

impl Wait {
    /// How long it took, or takes so far.
    pub(super) fn ms(&self, now: i64) -> u64 {
        self.until.unwrap_or(Timestamp(now.max(self.from.0))).since_ms(self.from)
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        match (&self.on, self.until) {
            (Some(on), None) => format!("waits for {on}"),
            (Some(on), Some(_)) => format!("waited for {on}"),
            (None, None) => "waits".to_owned(),
            (None, Some(_)) => "waited".to_owned(),
        }
    }
}

fn waited(step: &StepView, before: &[Before], clocks: &Clocks, phase: Phase) -> Option<Wait> {
    let own = || before.iter().filter(|one| one.is_own);
    let foreign = || before.iter().filter(|one| !one.is_own);
    let begun = step.tries.first().map(|one| one.started_at);
    if begun.is_none() && own().any(|one| one.ended.is_none()) {
        return None;
    }
    let from = own().filter_map(|one| one.ended).max().or(clocks.started_at)?;
    let until = match (begun, phase) {
        (Some(begun), _) => Some(begun),
        (None, Phase::Queued | Phase::Running | Phase::Paused) => None,
        // It never came to it.
        (None, Phase::RollingBack | Phase::NeedsOperator | Phase::Succeeded | Phase::RolledBack) => {
            Some(clocks.detected_at.or(clocks.finished_at)?)
        }
        (None, Phase::Failed | Phase::Cancelled | Phase::Superseded) => {
            Some(clocks.detected_at.or(clocks.finished_at)?)
        }
    };
    if until.is_some_and(|until| until <= from) || (until.is_none() && step.state != StepState::Pending) {
        return None;
    }
    let last = || foreign().filter(|one| one.ended > Some(from)).max_by_key(|one| one.ended);
    let on = foreign().find(|one| one.ended.is_none()).or_else(last).map(|one| one.name.clone());
    Some(Wait { from, until, on })
}

/// The name of a try's look.
pub(super) const fn tone_of(state: StepState) -> &'static str {
    match state {
        StepState::Succeeded => "ok",
        StepState::Running => "run",
        StepState::Failed | StepState::UndoFailed => "bad",
        StepState::Unknown => "warn",
        StepState::Undoing | StepState::Undone => "back",
        StepState::Pending | StepState::Skipped => "idle",
    }
}

/// The class of a filled bar.
pub(super) const fn bar_class(state: StepState) -> &'static str {
    match state {
        StepState::Succeeded => "bar-ok",
        StepState::Running => "bar-run",
        StepState::Failed | StepState::UndoFailed => "bar-bad",
        StepState::Unknown => "bar-warn",
        StepState::Undoing | StepState::Undone => "bar-back",
        StepState::Pending | StepState::Skipped => "bar-idle",
    }
}

/// What came of a try, in a word or two, or in the words of what failed.
pub(super) fn result_of(kind: StepKind, one: &Try) -> String {
    let said = |otherwise: &str| one.reason.clone().unwrap_or_else(|| otherwise.to_owned());
    let word = match one.state {
        StepState::Succeeded => match kind {
            StepKind::Precondition | StepKind::Verify | StepKind::Watch => "passed",
            StepKind::Preflight => "ready",
            StepKind::Prepare => "prepared",
            StepKind::Shift | StepKind::Replace => "serves",
        }
        .to_owned(),
        StepState::Running => "runs".to_owned(),
        StepState::Failed => said("failed"),
        StepState::Unknown => said("not known"),
        StepState::Undoing => "goes back".to_owned(),
        StepState::Undone => "is back".to_owned(),
        StepState::UndoFailed => said("not back"),
        StepState::Pending | StepState::Skipped => one.state.word().to_owned(),
    };
    if one.attempt > 1 { format!("{}: {word}", one.attempt) } else { word }
}

/// Whether a try is a gate: something was looked at, and it passed or not.
pub(super) const fn is_gate(kind: StepKind, one: &Try) -> bool {
    match kind {
        StepKind::Verify | StepKind::Watch | StepKind::Precondition => true,
        StepKind::Preflight | StepKind::Prepare | StepKind::Shift | StepKind::Replace => {
            one.is_undo && !one.evidence.is_empty()
        }
    }
}

/// From the first begin to the last end; what runs runs until now.
pub(super) fn span(tries: &[(Timestamp, Option<Timestamp>)], now: i64) -> Option<String> {
    let begin = tries.iter().map(|(start, _)| *start).min()?;
    let end = tries.iter().map(|(start, end)| end.unwrap_or(Timestamp(now.max(start.0)))).max()?;
    Some(duration(end.since_ms(begin)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn step(id: &str, state: StepState, after: &[&str], tries: Vec<Value>) -> StepView {
        let (service, kind) = id.split_once('.').expect("service.kind");
        from_value(json!({
            "id": id, "service": service, "kind": kind, "after": after, "state": state, "tries": tries,
            "median_ms": null, "undo": {"type": "nothing"},
        }))
        .expect("a step")
    }

    fn done(from: i64, to: i64) -> Value {
        json!({"is_undo": false, "attempt": 1, "started_at": from, "finished_at": to, "state": "succeeded",
            "reason": null, "evidence": []})
    }

    fn clocks(detected: Option<i64>) -> Clocks {
        Clocks {
            requested_at: Timestamp(0),
            started_at: Some(Timestamp(100)),
            detected_at: detected.map(Timestamp),
            finished_at: detected.map(|at| Timestamp(at + 900)),
            ..Clocks::default()
        }
    }

    fn steps(all: Vec<StepView>) -> Steps {
        Steps::new(all.into_iter().map(ArcRwSignal::new).collect())
    }

    #[test]
    fn a_step_waits_for_other_services_once_its_own_has_come_so_far() {
        let _owner = Owner::new();
        _owner.set();
        let all = steps(vec![
            step(
                "backend.shift",
                StepState::Running,
                &[],
                vec![json!({
                "is_undo": false, "attempt": 1, "started_at": 150, "finished_at": null, "state": "running",
                "reason": null, "evidence": []})],
            ),
            step("frontend.preflight", StepState::Succeeded, &[], vec![done(100, 200)]),
            step("frontend.prepare", StepState::Pending, &["frontend.preflight", "backend.shift"], vec![]),
            step("frontend.verify", StepState::Pending, &["frontend.prepare"], vec![]),
        ]);
        let now = all.wait(2, &clocks(None), Phase::Running).expect("it waits");
        assert_eq!((now.from, now.until, now.ms(900)), (Timestamp(200), None, 700), "its wait grows");
        assert_eq!(now.words(), "waits for backend.shift");
        assert_eq!(all.wait(3, &clocks(None), Phase::Running), None, "its own service has not come so far");
        assert_eq!(all.wait(1, &clocks(None), Phase::Running), None, "it began at once");
        let never = all.wait(2, &clocks(Some(600)), Phase::RolledBack).expect("it waited in vain");
        assert_eq!((never.until, never.ms(9_000)), (Some(Timestamp(600)), 400));
    }

    #[test]
    fn the_critical_path_goes_back_along_what_ended_last() {
        let _owner = Owner::new();
        _owner.set();
        let all = steps(vec![
            step("a.prepare", StepState::Succeeded, &[], vec![done(0, 50)]),
            step("b.prepare", StepState::Succeeded, &[], vec![done(0, 80)]),
            step("c.prepare", StepState::Succeeded, &["a.prepare", "b.prepare"], vec![done(80, 120)]),
        ]);
        assert_eq!(all.critical(), [1, 2]);
        assert_eq!(all.services.len(), 3);
    }

    #[test]
    fn a_text_is_found_in_names_and_in_what_was_said() {
        let _owner = Owner::new();
        _owner.set();
        let mut failed = done(0, 5);
        failed["reason"] = json!("Pool timed out");
        let all = steps(vec![step("backend.verify", StepState::Failed, &[], vec![failed])]);
        assert!(all.says(0, "backend.ver") && all.says(0, "pool timed"));
        assert!(!all.says(0, "frontend"));
    }

    #[test]
    fn a_group_takes_until_now_while_a_step_runs() {
        assert_eq!(span(&[(Timestamp(1_000), None)], 4_000).as_deref(), Some("3.0 s"));
        assert_eq!(span(&[(Timestamp(1_000), None)], 0).as_deref(), Some("0 ms"), "no clock yet");
        assert_eq!(span(&[], 4_000), None);
    }
}
