//! Seeded simulation: crash, duplicate, reorder, delay, lost acknowledgement, commit unknown, and
//! people who press every button.

use crate::world::{Answer, Slot, World, failed, project};
use lockstep_engine::{
    Command, Effect, StepOutcome, UndoOutcome, replay, rows, testing::actor, verify::verify,
};
use lockstep_model::{
    DeploymentId,
    deployment::{Ending, Phase, Resolution, StepState},
    event::{Event, Finding},
    manifest::{Target, WEIGHT_ALL},
    plan::StepKind,
};

#[test]
fn every_seed_ends_well_and_its_journal_keeps_every_promise() {
    let seeds = crate::count("LOCKSTEP_SEEDS", 500);
    let first = crate::count("LOCKSTEP_FIRST_SEED", 0);
    let mut ends = std::collections::BTreeMap::<Phase, u64>::new();
    let mut writes = 0;
    let mut seen = Seen::default();
    for seed in first..first + seeds {
        let world = run(seed);
        writes += world.writes;
        *ends.entry(world.state().phase).or_default() += 1;
        seen.take(&world);
    }
    println!("{seeds} seeds from {first}, {writes} writes: {ends:?}, {seen:?}");
    if seeds >= 500 {
        for phase in [Phase::Succeeded, Phase::RolledBack, Phase::Failed, Phase::Cancelled] {
            assert!(ends.contains_key(&phase), "no seed ended as {phase}: the faults are too tame");
        }
        let all = [seen.repeated, seen.found, seen.asked, seen.unsure, seen.parts, seen.closed];
        assert!(all.iter().all(|count| *count > 0), "the faults are too tame: {seen:?}");
    }
}

fn run(seed: u64) -> World {
    let mut random = fastrand::Rng::with_seed(seed);
    let manifest = {
        let mut manifest = project(&mut random, 5);
        if random.u8(0..4) == 0 {
            for service in manifest.services.values_mut() {
                for spec in service.environments.values_mut() {
                    spec.rollback.auto = false;
                }
            }
        }
        manifest
    };
    let mut world = World::new(&manifest);
    world.tell(Command::Start).expect("its turn has come");
    world.proceed();
    for _ in 0..random.usize(20..200) {
        if world.state().phase.is_final() {
            break;
        }
        unlucky(&mut world, &mut random);
    }
    quiet(&mut world, &mut random, seed);
    judge(&world, seed);
    world
}

/// One thing happens, and something may go wrong with it.
fn unlucky(world: &mut World, random: &mut fastrand::Rng) {
    world.now = world.now.plus_ms(random.u64(0..3_000));
    // The store says no and has it all the same; the coordinator lives on.
    world.unsure = random.u8(0..100) < 3;
    match random.u8(0..100) {
        0..4 => world.crash(),
        4..10 => press(world, random),
        10..12 => world.now = world.now.plus_ms(random.u64(0..2_000_000)),
        // An answer that was under way for a while, perhaps from before a crash.
        12..18 if !world.delayed.is_empty() => {
            let (effect, answer) = world.delayed.swap_remove(random.usize(0..world.delayed.len()));
            world.deliver(effect, answer, true);
        }
        _ => carry_out(world, random),
    }
    if random.u8(0..10) < 9 {
        world.proceed();
    }
}

fn carry_out(world: &mut World, random: &mut fastrand::Rng) {
    if world.in_flight.is_empty() {
        return;
    }
    let effect = world.in_flight[random.usize(0..world.in_flight.len())];
    let fate = random.u8(0..100);
    // Lost on the way there: nobody did anything.
    let answer = if fate < 3 { unknown(effect) } else { world.perform(effect) };
    let answer = match fate {
        3..7 => broken(effect),
        7..9 => unknown(effect),
        _ => answer,
    };
    match fate {
        // The acknowledgement is lost; it will be asked for again.
        9..13 => {}
        // Delayed, perhaps for ever; the order stands.
        13..18 => world.delayed.push((effect, answer)),
        // Twice.
        18..26 => {
            world.deliver(effect, answer.clone(), true);
            world.deliver(effect, answer, true);
        }
        // It dies before the write, and after it.
        26..29 => {
            world.deliver(effect, answer, false);
            world.crash();
        }
        29..32 => {
            world.deliver(effect, answer, true);
            world.crash();
        }
        _ => world.deliver(effect, answer, true),
    }
}

fn unknown(effect: Effect) -> Answer {
    let reason = "lost".to_owned();
    match effect {
        Effect::RunStep { .. } | Effect::StopStep { .. } => Answer::Step(StepOutcome::Unknown { reason }),
        Effect::ProbeStep { .. } => Answer::Probe(Finding::CannotTell { reason }),
        Effect::UndoStep { .. } => Answer::Undo(UndoOutcome::Failed { reason, evidence: Vec::new() }),
        Effect::Close { .. } => Answer::Close(Err(reason)),
    }
}

fn broken(effect: Effect) -> Answer {
    match effect {
        Effect::RunStep { .. } => Answer::Step(failed("broken")),
        Effect::StopStep { .. }
        | Effect::ProbeStep { .. }
        | Effect::UndoStep { .. }
        | Effect::Close { .. } => unknown(effect),
    }
}

/// Somebody presses a button, whether it makes sense or not.
fn press(world: &mut World, random: &mut fastrand::Rng) {
    let by = actor();
    let step = {
        let steps = &world.state().plan.steps;
        steps[random.usize(0..steps.len())].id.clone()
    };
    let service = {
        let services = &world.state().plan.services;
        services[random.usize(0..services.len())].service.clone()
    };
    let command = match random.u8(0..16) {
        0 | 1 => Command::Pause { by, reason: None },
        2 | 3 => Command::Resume { by, pause: None },
        4 => Command::SkipStep { step, by, reason: "seen".to_owned() },
        5 => Command::RetryStep { step, by },
        6 => Command::Cancel { by, reason: None, keep: false },
        7 => Command::Cancel { by, reason: None, keep: true },
        8 => Command::TakeBack { by, reason: None },
        9 => Command::RetryService { service, by },
        10 => Command::KeepService { service, by, reason: "seen".to_owned() },
        11 | 12 => Command::TakeBackServices { services: vec![service], by, reason: None },
        13 | 14 => resolve(random),
        _ => Command::RetryUndo { by },
    };
    let before = world.state().seq;
    if world.tell(command).is_err() {
        assert_eq!(world.state().seq, before, "a refusal changes nothing");
    }
}

/// Somebody says how it ended, whatever is true.
fn resolve(random: &mut fastrand::Rng) -> Command {
    let outcomes = [Resolution::Succeeded, Resolution::RolledBack, Resolution::Failed];
    let outcome = outcomes[random.usize(0..outcomes.len())];
    let leave = random.u8(0..10) == 0;
    Command::Resolve { by: actor(), outcome, reason: "seen".to_owned(), leave }
}

/// What the seeds came to beside their ends, so that a fault that never happens is noticed.
#[derive(Debug, Default)]
struct Seen {
    repeated: u64,
    found: u64,
    asked: u64,
    unsure: u64,
    /// Services that went back by themselves, in releases that succeeded without them.
    parts: u64,
    /// Services that a resolved deployment had left open.
    closed: u64,
}

impl Seen {
    fn take(&mut self, world: &World) {
        self.unsure += world.unsures;
        self.parts += u64::from(world.state().phase == Phase::Succeeded && world.state().part.is_some());
        for envelope in world.journal() {
            match &envelope.event {
                Event::StepStarted { attempt, .. } if attempt.0 > 1 => self.repeated += 1,
                Event::ProbeFinished { finding: Finding::Done { .. }, .. } => self.found += 1,
                Event::OperatorNeeded { failure: Some(_), .. } => self.asked += 1,
                Event::Closed { .. } => self.closed += 1,
                _ => {}
            }
        }
    }
}

/// Nothing goes wrong any more and somebody answers what is asked: it must come to its end.
fn quiet(world: &mut World, random: &mut fastrand::Rng, seed: u64) {
    world.crash();
    for _ in 0..10_000 {
        world.proceed();
        while world.serve_next() {}
        let by = actor();
        let command = match world.state().phase {
            phase if phase.is_final() => return,
            Phase::Paused => Command::Resume { by, pause: None },
            Phase::NeedsOperator if world.state().closing.is_some() => resolve(random),
            Phase::NeedsOperator if random.u8(0..8) == 0 => resolve(random),
            Phase::NeedsOperator if world.state().asks_about_part() => {
                let again = random.bool() && !world.steps_in(&[StepState::UndoFailed]).is_empty();
                if again { Command::RetryUndo { by } } else { Command::TakeBack { by, reason: None } }
            }
            Phase::NeedsOperator if world.state().asks_forward() => {
                let mut open = world.steps_in(&[StepState::Failed, StepState::Unknown]);
                let plan = &world.state().plan;
                open.retain(|step| !world.state().is_in_part(plan.steps[*step as usize].service));
                match open.first() {
                    Some(step) if random.bool() => {
                        let step = world.state().plan.steps[*step as usize].id.clone();
                        Command::RetryStep { step, by }
                    }
                    _ => Command::TakeBack { by, reason: None },
                }
            }
            Phase::NeedsOperator => Command::RetryUndo { by },
            phase => panic!(
                "seed {seed}: nothing runs, nobody is asked, and it is {phase}: {:?}",
                world.journal().iter().map(|envelope| &envelope.event).skip(1).collect::<Vec<_>>()
            ),
        };
        world.tell(command).unwrap_or_else(|refusal| panic!("seed {seed}: {refusal}"));
    }
    panic!("seed {seed}: it does not come to its end: {:?}", world.state().phase);
}

fn judge(world: &World, seed: u64) {
    let state = world.state();
    let broken = verify(world.journal());
    assert!(broken.is_empty(), "seed {seed}: {broken:#?}");
    let again = replay(world.journal().iter().cloned()).expect("a legal journal");
    assert_eq!(&again, state, "seed {seed}: what is read back is not what was");
    let all: Vec<_> = rows::rows(DeploymentId(1), &again, world.journal()).steps;
    for row in &all {
        assert_eq!(row.status, state.steps[row.step as usize], "seed {seed}");
    }
    let planned = |event: &Event| matches!(event, Event::RollbackPlanned { .. });
    let rollbacks = world.journal().iter().filter(|envelope| planned(&envelope.event)).count();
    assert!(rollbacks <= 1, "seed {seed}: two rollbacks");
    let slots = &world.slots;
    if let Some(Event::Resolved { outcome, leaves, .. }) = world.journal().last().map(|last| &last.event) {
        return resolved(world, seed, *outcome, *leaves);
    }
    match state.phase {
        Phase::Succeeded => {
            let as_wanted = |(place, slot): (u32, &Slot)| slot.serves(!state.is_in_part(place));
            assert!((0u32..).zip(slots).all(as_wanted), "seed {seed}: {slots:?}");
        }
        Phase::Cancelled if matches!(state.ending, Some(Ending::Cancelled { keep: true, .. })) => {
            let settled = slots.iter().all(|slot| slot.serves(true) || slot.serves(false));
            assert!(settled, "seed {seed}: {slots:?}");
        }
        Phase::RolledBack | Phase::Cancelled | Phase::Failed => {
            let as_before = slots.iter().all(|slot| slot.serves(false));
            assert!(as_before, "seed {seed}: it is {} and {slots:?}", state.phase);
        }
        phase => panic!("seed {seed}: ended as {phase}"),
    }
}

/// Somebody said how it ended: whatever is true of the rest, nothing that can be closed is left open.
fn resolved(world: &World, seed: u64, outcome: Resolution, leaves: bool) {
    let state = world.state();
    let may_be_open = |place: usize| {
        let steps = state.plan.steps.iter().zip(&state.steps);
        let mut kinds = steps.filter(|(planned, _)| planned.service as usize == place);
        kinds.any(|(planned, status)| planned.kind == StepKind::Prepare && status.attempt > 0)
    };
    let has_gateway = |place: usize| matches!(&state.plan.services[place].spec.target, Target::Process(one) if one.gateway.is_some());
    for (place, slot) in world.slots.iter().enumerate().filter(|(place, _)| !leaves && may_be_open(*place)) {
        let is_closed = match outcome {
            Resolution::RolledBack => slot.serves(false),
            // Without a gateway there is no traffic to give.
            Resolution::Succeeded if !has_gateway(place) => true,
            Resolution::Succeeded => slot.serves(true) || slot.serves(false),
            Resolution::Failed => slot.share == 0 || slot.share == WEIGHT_ALL,
        };
        assert!(is_closed, "seed {seed}: resolved as {outcome:?}, and service {place} is {slot:?}");
    }
}
