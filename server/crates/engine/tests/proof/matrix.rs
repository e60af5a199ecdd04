//! Fail, hang, repeat and fail-in-undo at every node, and at every pair of nodes, of many graphs.

use crate::world::{Answer, World, failed, project};
use lockstep_engine::{Command, Effect, UndoOutcome, testing::actor, verify::verify};
use lockstep_model::{deployment::Phase, manifest::Manifest};

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It fails.
    Fails,
    /// It never answers; somebody cancels.
    Hangs,
    /// It is done and answered twice.
    Repeats,
    /// Its undo fails once.
    UndoFails,
}

const FAULTS: [Fault; 4] = [Fault::Fails, Fault::Hangs, Fault::Repeats, Fault::UndoFails];

#[test]
fn every_fault_at_every_node_and_at_every_pair_of_nodes_leaves_nothing_behind() {
    let graphs = crate::count("LOCKSTEP_GRAPHS", 40);
    let mut runs = 0u64;
    for graph in 0..graphs {
        let mut random = fastrand::Rng::with_seed(graph);
        let manifest = project(&mut random, 4);
        let steps = u32::try_from(World::new(&manifest).state().plan.steps.len()).expect("few");
        for first in 0..steps {
            for fault in FAULTS {
                run(&manifest, graph, &[(first, fault)]);
                runs += 1;
                for second in first + 1..steps {
                    for other in FAULTS {
                        run(&manifest, graph, &[(first, fault), (second, other)]);
                        runs += 1;
                    }
                }
            }
        }
    }
    println!("{runs} runs over {graphs} graphs");
}

fn run(manifest: &Manifest, graph: u64, faults: &[(u32, Fault)]) {
    let mut world = World::new(manifest);
    let has = |step: u32, fault: Fault| faults.contains(&(step, fault));
    // So that there is something to undo where only an undo is to fail.
    let last = u32::try_from(world.state().plan.steps.len() - 1).expect("few");
    let forward = faults.iter().any(|(_, fault)| matches!(fault, Fault::Fails | Fault::Hangs));
    let undo = faults.iter().any(|(_, fault)| *fault == Fault::UndoFails);
    world.tell(Command::Start).expect("its turn has come");
    world.proceed();
    let mut hung = Vec::new();
    loop {
        let stop = world.in_flight.iter().position(|effect| matches!(effect, Effect::StopStep { .. }));
        let next = stop.map(|place| world.in_flight[place]);
        let next = next.or_else(|| world.in_flight.iter().find(|effect| !hung.contains(*effect)).copied());
        let Some(effect) = next else {
            if world.state().phase == Phase::Running && !hung.is_empty() {
                world.tell(Command::Cancel { by: actor(), reason: None, keep: false }).expect("it runs");
                world.proceed();
                continue;
            }
            break;
        };
        match effect {
            Effect::RunStep { step, .. } if has(step, Fault::Hangs) => {
                hung.push(effect);
                continue;
            }
            Effect::RunStep { step, .. } if has(step, Fault::Fails) || (undo && !forward && step == last) => {
                world.perform(effect);
                world.deliver(effect, Answer::Step(failed("broken")), true);
            }
            Effect::UndoStep { step, attempt } if has(step, Fault::UndoFails) && attempt.0 == 1 => {
                let outcome = UndoOutcome::Failed { reason: "locked".to_owned(), evidence: Vec::new() };
                world.deliver(effect, Answer::Undo(outcome), true);
            }
            Effect::RunStep { .. }
            | Effect::StopStep { .. }
            | Effect::ProbeStep { .. }
            | Effect::UndoStep { .. }
            | Effect::Close { .. } => {
                let answer = world.perform(effect);
                world.deliver(effect, answer.clone(), true);
                let repeats = match effect {
                    Effect::RunStep { step, .. } | Effect::UndoStep { step, .. } => has(step, Fault::Repeats),
                    Effect::StopStep { .. } | Effect::ProbeStep { .. } | Effect::Close { .. } => false,
                };
                if repeats {
                    world.perform(effect);
                    world.deliver(effect, answer, true);
                }
            }
        }
        world.proceed();
        if world.state().phase == Phase::NeedsOperator && world.in_flight.is_empty() {
            world.tell(Command::RetryUndo { by: actor() }).expect("an undo failed");
            world.proceed();
        }
    }
    let state = world.state();
    let context = || format!("graph {graph}, {faults:?}: {:?} {:?}", state.phase, world.slots);
    assert!(state.phase.is_final(), "{}", context());
    let broken = verify(world.journal());
    assert!(broken.is_empty(), "{}: {broken:#?}", context());
    let all = |new: bool| world.slots.iter().all(|slot| slot.serves(new));
    assert!(all(state.phase == Phase::Succeeded), "{}", context());
}
