//! The order in which we undo beside steno's: the same random graphs, the same node failing at the
//! same moment. `LOCKSTEP_UNDO_GRAPHS` says how many graphs.

use lockstep_engine::{
    Effect, StepOutcome,
    testing::{Story, serving},
    verify::verify,
};
use lockstep_model::{deployment::Phase, event::Event, plan::Plan};
use lockstep_proof::{
    project,
    saga::{Did, Steno, ancestors, ready},
};
use std::collections::BTreeSet;

/// Up to so many services, of up to five steps.
const SERVICES_MAX: usize = 8;

#[tokio::test]
async fn the_same_nodes_go_back_as_with_steno_and_in_an_order_that_steno_could_have_taken() {
    let graphs = std::env::var("LOCKSTEP_UNDO_GRAPHS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let mut steno = Steno::start();
    let (mut nodes, mut undone) = (0, 0);
    for seed in 0..graphs {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.usize(1..=SERVICES_MAX);
        let manifest = project::random(&mut random, count);
        let story = Story::of(&manifest, serving(&manifest));
        let plan = story.state().plan.clone();
        let after = project::waits(&plan);
        let failing = random.u32(0..u32::try_from(plan.steps.len()).expect("few"));
        let first = order(&mut random, &after, failing);

        let theirs = steno.fail(&after, &first, failing).await;
        let ours = fail(story, &after, &first, failing);

        let is_change = |node: &u32| plan.steps[*node as usize].kind.is_change();
        let their_undone: BTreeSet<u32> = undone_by_steno(&theirs).into_iter().filter(is_change).collect();
        // We also take back what the failing step may have changed; steno trusts a failed node to have
        // left nothing.
        let our_undone: BTreeSet<u32> =
            ours.iter().map(|(node, _)| *node).filter(|node| *node != failing).collect();
        assert_eq!(our_undone, their_undone, "seed {seed}: {failing} failed after {first:?} of {after:?}");
        let failing_goes_back = ours.iter().any(|(node, _)| *node == failing);
        assert_eq!(failing_goes_back, is_change(&failing), "seed {seed}");

        is_reverse(&plan, &after, &ours, seed);
        let their_order: Vec<(u32, Step)> = undone_by_steno(&theirs)
            .into_iter()
            .flat_map(|node| [(node, Step::Begins), (node, Step::Ends)])
            .collect();
        is_reverse(&plan, &after, &their_order, seed);
        nodes += plan.steps.len();
        undone += their_undone.len();
    }
    steno.end().await;
    println!("{graphs} graphs of {nodes} nodes, {undone} undone by both alike");
    assert!(undone > nodes / 10, "there was something to undo: {undone} of {nodes}");
}

fn undone_by_steno(log: &[Did]) -> Vec<u32> {
    let undone = log.iter().filter_map(|did| match did {
        Did::Undone(node) => Some(*node),
        Did::Began(_) | Did::Ended(_) | Did::Failed(_) => None,
    });
    undone.collect()
}

/// Nodes that end well before the failure, in an order in which the graph can run: all that the
/// failing one waits for, and some others.
fn order(random: &mut fastrand::Rng, after: &[Vec<u32>], failing: u32) -> Vec<u32> {
    let mut first = Vec::new();
    loop {
        let can_begin = ready(after, &first);
        let others: Vec<u32> = can_begin.iter().copied().filter(|node| *node != failing).collect();
        let can_fail = can_begin.contains(&failing);
        if others.is_empty() || (can_fail && random.u8(0..6) == 0) {
            assert!(can_fail, "what the failing one waits for can run without it");
            return first;
        }
        first.push(others[random.usize(0..others.len())]);
    }
}

/// A moment of an undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begins,
    Ends,
}

/// Our undos, in the order of the journal.
fn fail(story: Story, after: &[Vec<u32>], first: &[u32], failing: u32) -> Vec<(u32, Step)> {
    let mut story = story.started();
    let run = |story: &Story, wanted: u32| {
        let found = story
            .pending()
            .iter()
            .find(|effect| matches!(effect, Effect::RunStep { step, .. } if *step == wanted));
        *found.unwrap_or_else(|| {
            panic!("step {wanted} waits for {:?} and was not begun", after[wanted as usize])
        })
    };
    for node in first {
        let effect = run(&story, *node);
        let outcome = story.good(effect);
        story.answer(effect, outcome);
    }
    let begun: BTreeSet<u32> = story
        .pending()
        .iter()
        .filter_map(|effect| match effect {
            Effect::RunStep { step, .. } => Some(*step),
            Effect::StopStep { .. }
            | Effect::ProbeStep { .. }
            | Effect::UndoStep { .. }
            | Effect::Close { .. } => None,
        })
        .collect();
    assert_eq!(begun, ready(after, first).into_iter().collect(), "both begin the same");
    let effect = run(&story, failing);
    story.answer(effect, StepOutcome::Failed { reason: "as the test says".to_owned(), evidence: Vec::new() });
    let story = story.run_to_the_end();
    assert!(matches!(story.state().phase, Phase::RolledBack | Phase::Failed), "{}", story.state().phase);
    assert_eq!(verify(story.journal()), []);
    let undos = story.journal().iter().filter_map(|envelope| match &envelope.event {
        Event::UndoStarted { step, .. } => Some((*step, Step::Begins)),
        Event::UndoSucceeded { step, .. } => Some((*step, Step::Ends)),
        _ => None,
    });
    undos.collect()
}

/// Whatever waited for a node has gone back before the node begins to.
fn is_reverse(plan: &Plan, after: &[Vec<u32>], undos: &[(u32, Step)], seed: u64) {
    let place = |wanted: (u32, Step)| undos.iter().position(|undo| *undo == wanted);
    for later in 0..u32::try_from(after.len()).expect("few") {
        let Some(ends) = place((later, Step::Ends)) else { continue };
        for earlier in ancestors(after, later) {
            if let Some(begins) = place((earlier, Step::Begins)) {
                let name = |node: u32| &plan.steps[node as usize].id;
                assert!(ends < begins, "seed {seed}: {} went back after {}", name(later), name(earlier));
            }
        }
    }
}
