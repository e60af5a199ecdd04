//! What deployments are expected to take, going by earlier ones of the same environment.

use crate::backend::{Services, store};
use app::AppError;
use lockstep_engine::search::{Cursor, Key, Search};
use lockstep_model::{
    DeploymentId, StepId,
    deployment::{Deployment, Phase, StepState},
    plan::{DeploymentKind, Plan},
    view::Expected,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

/// How many earlier ones are looked at.
const EARLIER: u32 = 10;
/// Deployments whose times are remembered.
const KNOWN_MAX: usize = 256;

/// What the steps of a deployment took.
#[derive(Debug, Default)]
struct Took {
    whole_ms: u64,
    steps: HashMap<StepId, u64>,
}

/// What is expected of a deployment.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// Of the whole.
    pub expected: Expected,
    /// The median of each step that was seen before, in milliseconds.
    pub steps: HashMap<StepId, u64>,
}

/// Remembers what ended deployments took; they never change.
#[derive(Clone, Default)]
pub struct Expectations(Arc<Mutex<BTreeMap<DeploymentId, Arc<Took>>>>);

impl Expectations {
    /// What is expected of a deployment with this plan.
    pub(crate) async fn of(
        &self,
        services: &Services,
        id: DeploymentId,
        plan: &Plan,
    ) -> Result<Expectation, AppError> {
        let search = Search {
            project: Some(plan.project.clone()),
            environment: Some(plan.environment.clone()),
            phase: Some(Phase::Succeeded),
            // Those before this one, however many came since.
            after: Some(Cursor { key: Key::Number(id.0), id }),
            limit: EARLIER * 2,
            ..Search::default()
        };
        let is_restore = |kind: bool| kind == matches!(plan.kind, DeploymentKind::Restore { .. });
        let page = services.store.deployment_list(&search).await.map_err(store)?;
        let mut earlier = Vec::new();
        for row in page.deployments {
            if is_restore(row.restore_of.is_some()) && earlier.len() < EARLIER as usize {
                earlier.extend(self.took(services, row.id).await?);
            }
        }
        let mut steps: HashMap<StepId, Vec<u64>> = HashMap::new();
        for took in &earlier {
            for (step, ms) in &took.steps {
                steps.entry(step.clone()).or_default().push(*ms);
            }
        }
        let steps: HashMap<StepId, u64> =
            steps.into_iter().filter_map(|(step, all)| Some((step, median(all)?))).collect();
        let whole =
            longest_path(plan, &steps).or_else(|| median(earlier.iter().map(|took| took.whole_ms).collect()));
        let deployments = u32::try_from(earlier.len()).unwrap_or(u32::MAX);
        Ok(Expectation { expected: Expected { duration_ms: whole, deployments }, steps })
    }

    async fn took(&self, services: &Services, id: DeploymentId) -> Result<Option<Arc<Took>>, AppError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if known.is_some() {
            return Ok(known);
        }
        // A journal that cannot be read tells nothing of the future.
        let Ok(Some(state)) = services.coordinator.deployment_load(id).await else { return Ok(None) };
        let took = Arc::new(took(&state));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, took.clone());
        while all.len() > KNOWN_MAX {
            all.pop_first();
        }
        Ok(Some(took))
    }
}

fn took(state: &Deployment) -> Took {
    let clocks = &state.clocks;
    let whole = clocks.finished_at.zip(clocks.started_at).map(|(end, start)| end.since_ms(start));
    let steps = state.plan.steps.iter().zip(&state.steps).filter_map(|(planned, status)| {
        let done = status.tries.iter().rev().find(|one| one.state == StepState::Succeeded && !one.is_undo)?;
        Some((planned.id.clone(), done.finished_at?.since_ms(done.started_at)))
    });
    Took { whole_ms: whole.unwrap_or(0), steps: steps.collect() }
}

/// The time of the longest path through the plan; none when a step was never seen.
fn longest_path(plan: &Plan, steps: &HashMap<StepId, u64>) -> Option<u64> {
    let mut ends: Vec<u64> = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        // Steps stand after those that they wait for.
        let begin = step.after.iter().filter_map(|place| ends.get(*place as usize)).max().copied();
        ends.push(begin.unwrap_or(0) + steps.get(&step.id)?);
    }
    ends.into_iter().max()
}

fn median(mut all: Vec<u64>) -> Option<u64> {
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::{longest_path, median, took};
    use lockstep_engine::testing::Story;
    use std::collections::HashMap;

    #[test]
    fn a_chain_takes_as_long_as_its_steps_together() {
        let story = Story::chain(2);
        let plan = &story.state().plan;
        let steps: HashMap<_, _> = plan.steps.iter().map(|step| (step.id.clone(), 10)).collect();
        let longest = longest_path(plan, &steps).expect("all known");
        assert!(longest > 10 && longest <= 10 * plan.steps.len() as u64, "{longest}");
        assert_eq!(longest_path(plan, &HashMap::new()), None, "a step that was never seen");
    }

    #[test]
    fn medians_are_of_what_was_seen() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![9, 1, 5]), Some(5));
        let done = took(Story::chain(1).started().run_to_the_end().state());
        assert!(!done.steps.is_empty());
    }
}
