//! A world with one slot for each service, and a coordinator whose disk survives while its memory
//! may be lost between any two writes.

use lockstep_engine::{
    Command, Decision, Effect, EffectKey, Refusal, StepOutcome, UndoOutcome, advance, decide,
    plan::{PlanInput, Wish, plan},
    replay,
    testing::{actor, canary_spec, command_spec, digest, manifest, process_spec, serving, staging},
};
use lockstep_model::{
    Seq, Timestamp,
    closing::CloseTo,
    deployment::{Deployment, Request, Source, StepState},
    event::{Envelope, Event, Finding},
    manifest::{Manifest, OnUnknown, Strategy, WEIGHT_ALL},
    plan::{Checkpoint, StepKind, Undo},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Decisions of a whole run, before it is said that it never comes to rest. The longest of 20,000 seeds
/// need a tenth of it.
const DECISIONS_MAX: u32 = 20_000;

/// What a service is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The new one's share of the traffic.
    pub(crate) share: u32,
    pub(crate) candidate: bool,
}

impl Slot {
    /// Whether one of the two has all of the traffic, and nothing else is there.
    pub(crate) fn serves(self, new: bool) -> bool {
        self.share == if new { WEIGHT_ALL } else { 0 } && !self.candidate
    }
}

/// What comes of an effect.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one of them lives a moment at a time")]
pub(crate) enum Answer {
    Step(StepOutcome),
    Undo(UndoOutcome),
    Probe(Finding),
    Close(Result<(), String>),
}

/// A random project of up to `most` services, of every strategy.
pub(crate) fn project(random: &mut fastrand::Rng, most: usize) -> Manifest {
    let count = random.usize(1..=most);
    let mut edges = Vec::new();
    for dependant in 1..count {
        for dependency in 0..dependant {
            if random.u8(0..10) < 4 {
                edges.push((dependant, dependency));
            }
        }
    }
    let mut project = manifest(count, &edges, &process_spec());
    for service in project.services.values_mut() {
        let spec = service.environments.get_mut(&staging()).expect("it is there");
        match random.u8(0..8) {
            0..4 => {}
            4 => *spec = canary_spec(&[10, 100]),
            5 => spec.strategy = Strategy::Recreate,
            _ => *spec = command_spec(),
        }
        spec.rollback.compatible_with_previous = random.bool();
        spec.service_timeout_ms = random.bool().then_some(300_000);
        spec.on_unknown.every = match random.u8(0..4) {
            0 => None,
            1 => Some(OnUnknown::Rerun),
            2 => Some(OnUnknown::Probe),
            _ => Some(OnUnknown::Ask),
        };
    }
    for environment in project.environments.values_mut() {
        environment.max_parallel = random.u32(1..4);
    }
    project
}

pub(crate) fn failed(reason: &str) -> StepOutcome {
    StepOutcome::Failed { reason: reason.to_owned(), evidence: Vec::new() }
}

/// The disk, the memory, the outside.
pub(crate) struct World {
    /// Durable.
    journal: Vec<Envelope>,
    outbox: BTreeMap<EffectKey, Effect>,
    /// In memory; lost by a crash.
    state: Deployment,
    pub(crate) in_flight: Vec<Effect>,
    /// Outside.
    pub(crate) slots: Vec<Slot>,
    pub(crate) delayed: Vec<(Effect, Answer)>,
    performed: BTreeSet<EffectKey>,
    /// Orders that the agent refuses from now on, however late they come.
    refused: BTreeSet<EffectKey>,
    pub(crate) now: Timestamp,
    /// How often something was written.
    pub(crate) writes: u64,
    /// The next write is durable, but whoever writes is told that it is not, and lives on.
    pub(crate) unsure: bool,
    /// What is in memory is behind the disk, and nobody knows that yet.
    stale: bool,
    /// How often that happened.
    pub(crate) unsures: u64,
    decisions: u32,
}

impl World {
    pub(crate) fn new(project: &Manifest) -> Self {
        let plan = plan(&PlanInput {
            manifest: project,
            digest: &digest(),
            environment: &staging(),
            wish: Wish::Release(BTreeMap::new()),
            serving: serving(project),
            artifacts: BTreeMap::new(),
            secrets: Default::default(),
            accept_no_rollback: true,
            skip_verification: false,
        })
        .expect("a plan");
        let request = Request {
            by: actor(),
            reason: None,
            source: Source::default(),
            accept_no_rollback: true,
            asks: None,
            author: None,
        };
        let now = Timestamp(1_000_000);
        let slots = vec![Slot::default(); plan.services.len()];
        let first =
            Envelope { seq: Seq(1), at: now, event: Event::Requested { request, plan: Arc::new(plan) } };
        let state = replay([first.clone()]).expect("a first event");
        Self {
            journal: vec![first],
            outbox: BTreeMap::new(),
            state,
            in_flight: Vec::new(),
            slots,
            delayed: Vec::new(),
            performed: BTreeSet::new(),
            refused: BTreeSet::new(),
            now,
            writes: 0,
            unsure: false,
            stale: false,
            unsures: 0,
            decisions: 0,
        }
    }

    pub(crate) fn state(&self) -> &Deployment {
        &self.state
    }

    pub(crate) fn journal(&self) -> &[Envelope] {
        &self.journal
    }

    /// The coordinator dies and comes back: what was in memory is read from the disk, and what
    /// nobody is known to have answered is ordered again under the same key.
    pub(crate) fn crash(&mut self) {
        self.state = replay(self.journal.iter().cloned()).expect("a legal journal");
        self.in_flight = self.outbox.values().copied().collect();
        self.stale = false;
    }

    /// Decides and writes, as one transaction. A refusal changes nothing.
    pub(crate) fn tell(&mut self, command: Command) -> Result<(), Refusal> {
        self.write(command, &[], true)
    }

    /// Notes the answer to an effect; the effects in `done` are finished with it.
    fn write(&mut self, command: Command, done: &[EffectKey], survives: bool) -> Result<(), Refusal> {
        self.decisions += 1;
        assert!(self.decisions < DECISIONS_MAX, "it never comes to rest: {:?}", self.journal.last());
        let decision = decide(&self.state, command, self.now)?;
        if !survives {
            return Ok(());
        }
        let writes = !decision.is_nothing() || !done.is_empty();
        if self.stale && writes {
            // The store refuses: there is more than the writer knows of. What it was told is dropped,
            // and the deployment is taken up anew from the disk.
            self.crash();
            return Ok(());
        }
        self.writes += u64::from(!decision.is_nothing());
        if std::mem::take(&mut self.unsure) && !decision.is_nothing() {
            self.unsures += 1;
            self.stale = true;
            let (known, under_way) = (self.state.clone(), self.in_flight.clone());
            self.store(decision, done);
            (self.state, self.in_flight) = (known, under_way);
            return Ok(());
        }
        self.store(decision, done);
        Ok(())
    }

    fn store(&mut self, decision: Decision, done: &[EffectKey]) {
        for event in decision.events {
            let envelope = Envelope { seq: self.state.seq.next(), at: self.now, event };
            advance(&mut self.state, &envelope).expect("what is decided can follow");
            self.journal.push(envelope);
        }
        for key in done {
            self.outbox.remove(key);
        }
        for effect in decision.effects {
            self.outbox.insert(effect.key(), effect);
            self.in_flight.push(effect);
        }
    }

    /// Looks what can go on, until nothing more can.
    pub(crate) fn proceed(&mut self) {
        loop {
            let before = (self.state.seq, self.stale);
            self.tell(Command::Proceed).expect("looking is never refused");
            if (self.state.seq, self.stale) == before {
                return;
            }
        }
    }

    /// Carries out an effect outside. Doing it again changes nothing more.
    pub(crate) fn perform(&mut self, effect: Effect) -> Answer {
        let is_first = self.performed.insert(effect.key());
        if let (Effect::UndoStep { .. }, true) = (effect, self.refused.contains(&effect.key())) {
            let reason = "it was told to stop".to_owned();
            return Answer::Undo(UndoOutcome::Failed { reason, evidence: Vec::new() });
        }
        match effect {
            Effect::RunStep { step, attempt } => {
                let promised = |envelope: &Envelope| matches!(envelope.event, Event::StepStarted { step: s, attempt: a } if s == step && a == attempt);
                assert!(!is_first || self.journal.iter().any(promised), "done before it was written down");
                let planned = &self.state.plan.steps[step as usize];
                let slot = &mut self.slots[planned.service as usize];
                let checkpoint = (planned.kind == StepKind::Preflight).then(|| Checkpoint {
                    serving: self.state.plan.services[planned.service as usize].from.clone(),
                });
                match planned.kind {
                    StepKind::Prepare => slot.candidate = true,
                    StepKind::Shift | StepKind::Replace => {
                        let is_ready = planned.kind == StepKind::Replace || slot.candidate || slot.share > 0;
                        assert!(is_ready, "traffic was given to what was never started");
                        // An order that comes again is answered without being carried out again.
                        if is_first {
                            slot.share = planned.weight.unwrap_or(WEIGHT_ALL);
                            slot.candidate = !planned.gives_all_traffic();
                        }
                    }
                    StepKind::Precondition | StepKind::Preflight | StepKind::Verify | StepKind::Watch => {}
                }
                Answer::Step(StepOutcome::Succeeded { evidence: Vec::new(), checkpoint })
            }
            Effect::StopStep { .. } => Answer::Step(StepOutcome::Unknown { reason: "stopped".to_owned() }),
            Effect::ProbeStep { step, .. } => {
                let planned = &self.state.plan.steps[step as usize];
                let slot = self.slots[planned.service as usize];
                let is_done = match planned.kind {
                    StepKind::Prepare => slot.candidate || slot.share > 0,
                    StepKind::Shift | StepKind::Replace => slot.share == planned.weight.unwrap_or(WEIGHT_ALL),
                    kind => panic!("a {} is not asked about, it is carried out again", kind.word()),
                };
                Answer::Probe(if is_done {
                    Finding::Done { evidence: Vec::new() }
                } else {
                    Finding::NotDone { reason: "seen".to_owned() }
                })
            }
            Effect::Close { service, .. } => {
                let steps = &self.state.plan.steps;
                let of_service = |effect: &&Effect| matches!(effect, Effect::UndoStep { step, .. } if steps[*step as usize].service == service);
                self.refused.extend(self.in_flight.iter().filter(of_service).map(Effect::key));
                let to = self.state.closing.as_ref().and_then(|closing| closing.to(service));
                let slot = &mut self.slots[service as usize];
                match to.expect("it is being closed") {
                    _ if !is_first => {}
                    CloseTo::New => *slot = Slot { share: WEIGHT_ALL, candidate: false },
                    CloseTo::Before => *slot = Slot::default(),
                    CloseTo::AsItIs if slot.share < WEIGHT_ALL => slot.share = 0,
                    CloseTo::AsItIs => {}
                }
                Answer::Close(Ok(()))
            }
            Effect::UndoStep { step, .. } => {
                let status = &self.state.steps[step as usize];
                assert!(status.attempt > 0, "an undo of what never ran");
                let planned = &self.state.plan.steps[step as usize];
                let slot = &mut self.slots[planned.service as usize];
                match planned.undo {
                    Undo::StopCandidate => slot.candidate = false,
                    Undo::RouteBack | Undo::ReplaceBack | Undo::RunUndo => slot.share = 0,
                    Undo::Nothing | Undo::Impossible { .. } => {}
                }
                Answer::Undo(UndoOutcome::Undone { evidence: Vec::new() })
            }
        }
    }

    /// The answer reaches the coordinator. `survives` false = it dies before it is written down.
    pub(crate) fn deliver(&mut self, effect: Effect, answer: Answer, survives: bool) {
        let mut done = vec![effect.key()];
        let command = match (effect, answer) {
            (Effect::RunStep { step, attempt }, Answer::Step(outcome)) => {
                Command::FinishStep { step, attempt, outcome }
            }
            (Effect::StopStep { step, attempt }, Answer::Step(outcome)) => {
                let run = Effect::RunStep { step, attempt };
                self.in_flight.retain(|other| *other != run);
                done.push(run.key());
                Command::FinishStep { step, attempt, outcome }
            }
            (Effect::UndoStep { step, attempt }, Answer::Undo(outcome)) => {
                Command::FinishUndo { step, attempt, outcome }
            }
            (Effect::ProbeStep { step, attempt }, Answer::Probe(finding)) => {
                Command::FinishProbe { step, attempt, finding }
            }
            (Effect::Close { service, attempt }, Answer::Close(outcome)) => {
                Command::FinishClose { service, attempt, outcome }
            }
            (effect, answer) => panic!("{answer:?} is no answer to {effect:?}"),
        };
        self.in_flight.retain(|other| *other != effect);
        self.write(command, &done, survives).expect("an answer is never refused");
    }

    /// Does the next thing that is ordered, stops first, and answers well.
    pub(crate) fn serve_next(&mut self) -> bool {
        let stop = self.in_flight.iter().position(|effect| matches!(effect, Effect::StopStep { .. }));
        let Some(effect) = self.in_flight.get(stop.unwrap_or(0)).copied() else { return false };
        let answer = self.perform(effect);
        self.deliver(effect, answer, true);
        self.proceed();
        true
    }

    pub(crate) fn steps_in(&self, wanted: &[StepState]) -> Vec<u32> {
        let steps = (0u32..).zip(&self.state.steps);
        steps.filter(|(_, status)| wanted.contains(&status.state)).map(|(step, _)| step).collect()
    }
}
