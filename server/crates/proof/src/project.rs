//! Random projects, each made from a seed and repeatable from it.

use lockstep_engine::testing::{command_spec, manifest, process_spec, staging};
use lockstep_model::{
    manifest::{Manifest, Strategy},
    plan::{Plan, StepKind},
};

/// A project of `count` services of every strategy, any of which may depend on earlier ones.
///
/// # Panics
/// Never.
pub fn random(random: &mut fastrand::Rng, count: usize) -> Manifest {
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
        match random.u8(0..4) {
            0 | 1 => {}
            2 => spec.strategy = Strategy::Recreate,
            _ => *spec = command_spec(),
        }
    }
    project
}

/// What each step of a plan waits for, by place: what stands in the plan, and, for a change, every
/// look that comes before the first change.
pub fn waits(plan: &Plan) -> Vec<Vec<u32>> {
    let looks = |kind| matches!(kind, StepKind::Preflight | StepKind::Precondition);
    let first: Vec<u32> =
        (0u32..).zip(&plan.steps).filter(|(_, step)| looks(step.kind)).map(|(place, _)| place).collect();
    plan.steps
        .iter()
        .map(|step| {
            let mut after = step.after.clone();
            if step.kind.is_change() {
                after.extend(&first);
            }
            after.sort_unstable();
            after.dedup();
            after
        })
        .collect()
}
