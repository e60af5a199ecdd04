//! What served before a deployment, to serve again: all of it, or some services. Those beside them that
//! stay are not changed, and what they will meet is said.

use super::{PlanInput, PlanRefusal};
use lockstep_model::{
    ServiceName,
    plan::{Checkpoint, Goal, PlanWarning, PlannedService},
};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn services(
    input: &PlanInput<'_>,
    checkpoints: &BTreeMap<ServiceName, Checkpoint>,
) -> Result<Vec<PlannedService>, PlanRefusal> {
    let mut services = Vec::with_capacity(checkpoints.len());
    for (name, checkpoint) in checkpoints {
        let from = input.serving.get(name).cloned();
        let declared = input.manifest.services.get(name);
        let spec = checkpoint
            .serving
            .as_ref()
            .map(|serving| serving.spec.clone())
            .or_else(|| from.as_ref().map(|serving| serving.spec.clone()))
            .or_else(|| declared.and_then(|service| service.environments.get(input.environment)).cloned())
            .ok_or_else(|| PlanRefusal::NoTarget {
                service: name.clone(),
                environment: input.environment.clone(),
            })?;
        services.push(PlannedService {
            service: name.clone(),
            team: declared.and_then(|service| service.team.clone()),
            from,
            artifact: checkpoint.serving.as_ref().and_then(|serving| serving.artifact.clone()),
            goal: Goal::Checkpoint { checkpoint: checkpoint.clone() },
            spec,
            depends_on: Vec::new(),
        });
    }
    Ok(services)
}

/// A warning for every service that needs one of `services`, or that one of them needs, and that keeps
/// its version.
pub(super) fn beside(input: &PlanInput<'_>, services: &[PlannedService]) -> Vec<PlanWarning> {
    let inside: BTreeSet<&ServiceName> = services.iter().map(|service| &service.service).collect();
    let version = |name: &ServiceName| input.serving.get(name).map(|serving| &serving.version);
    let mut warnings = Vec::new();
    for service in services.iter().filter(|service| service.is_changed()) {
        let name = &service.service;
        let after = service.to_version().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let compatible = service.spec.rollback.compatible_with_previous;
        let known = if compatible { " (compatible_with_previous says that it can)" } else { "" };
        for (dependant, declared) in &input.manifest.services {
            if inside.contains(dependant) || !declared.depends_on.contains_key(name) {
                continue;
            }
            if let Some(stays) = version(dependant) {
                let message =
                    format!("{dependant} needs {name}, stays at {stays} and will meet {after}{known}");
                warnings.push(PlanWarning { service: Some(dependant.clone()), message });
            }
        }
        let needs = input.manifest.services.get(name).map(|declared| &declared.depends_on);
        for dependency in needs.into_iter().flat_map(BTreeMap::keys).filter(|one| !inside.contains(one)) {
            if let (Some(stays), true) = (version(dependency), service.to_version().is_some()) {
                let message = format!("{name} {after} will need {dependency}, which stays at {stays}");
                warnings.push(PlanWarning { service: Some(name.clone()), message });
            }
        }
    }
    warnings
}
