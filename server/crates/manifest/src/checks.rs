//! What must be right between services: names that are meant exist, no circles, no two services
//! that listen at the same place.

use crate::{
    reader::{Problems, did_you_mean, refuse},
    tree::Place,
};
use lockstep_model::{
    ServiceName,
    manifest::{GatewaySpec, Service, Target},
};
use std::collections::{BTreeMap, BTreeSet};

/// Places of what is looked at only when all services are known.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    dependencies: BTreeMap<(ServiceName, ServiceName), Place>,
    ties: Vec<(ServiceName, Place)>,
    listens: BTreeMap<(String, Option<String>), Place>,
}

impl Facts {
    pub(crate) fn dependency(&mut self, of: &ServiceName, on: &ServiceName, place: Place) {
        self.dependencies.insert((of.clone(), on.clone()), place);
    }

    pub(crate) fn tie(&mut self, service: &ServiceName, place: Place) {
        self.ties.push((service.clone(), place));
    }

    pub(crate) fn listen(&mut self, gateway: &GatewaySpec, place: Place) {
        self.listens.insert((gateway.listen.clone(), gateway.host.clone()), place);
        if let Some(preview) = &gateway.preview {
            self.listens.insert((preview.clone(), None), place);
        }
    }
}

pub(crate) fn check(services: &BTreeMap<ServiceName, Service>, facts: &Facts, problems: &mut Problems) {
    let unknown = |name: &ServiceName| {
        let near = did_you_mean(name.as_str(), services.keys().map(ServiceName::as_str));
        format!("there is no service '{name}'{near}")
    };
    for ((of, on), place) in &facts.dependencies {
        if of == on {
            refuse(problems, *place, format!("{of} depends on itself"));
        } else if !services.contains_key(on) {
            refuse(problems, *place, unknown(on));
        }
    }
    for (name, place) in &facts.ties {
        if !services.contains_key(name) {
            refuse(problems, *place, unknown(name));
        }
    }
    circles(services, facts, problems);
    listens(services, facts, problems);
}

/// Refuses one circle, at the edge that closes it.
fn circles(services: &BTreeMap<ServiceName, Service>, facts: &Facts, problems: &mut Problems) {
    let mut done: BTreeSet<&ServiceName> = BTreeSet::new();
    for start in services.keys() {
        // Depth first with a stack of our own: 10,000 services in a row must not overflow.
        let mut path: Vec<(&ServiceName, Vec<&ServiceName>)> = Vec::new();
        let mut on_path: BTreeSet<&ServiceName> = BTreeSet::new();
        let edges = |name: &ServiceName| {
            services.get(name).map(|s| s.depends_on.keys().collect::<Vec<_>>()).unwrap_or_default()
        };
        if done.contains(start) {
            continue;
        }
        path.push((start, edges(start)));
        on_path.insert(start);
        while let Some((name, left)) = path.last_mut() {
            let name = *name;
            match left.pop() {
                Some(next) if next != name && on_path.contains(next) => {
                    let begin = path.iter().position(|(on, _)| *on == next).unwrap_or(0);
                    let mut names: Vec<&str> = path[begin..].iter().map(|(name, _)| name.as_str()).collect();
                    names.push(next.as_str());
                    if let Some(place) = facts.dependencies.get(&(name.clone(), next.clone())) {
                        let circle = names.join(" -> ");
                        refuse(
                            problems,
                            *place,
                            format!("services depend on each other in a circle: {circle}"),
                        );
                    }
                    return;
                }
                Some(next)
                    if !done.contains(next) && !on_path.contains(next) && services.contains_key(next) =>
                {
                    on_path.insert(next);
                    path.push((next, edges(next)));
                }
                Some(_) => {}
                None => {
                    done.insert(name);
                    on_path.remove(name);
                    path.pop();
                }
            }
        }
    }
}

/// Two services at one address need different hosts, in whatever environment: an agent has one
/// gateway.
fn listens(services: &BTreeMap<ServiceName, Service>, facts: &Facts, problems: &mut Problems) {
    let mut taken = BTreeMap::new();
    for (name, service) in services {
        for (environment, spec) in &service.environments {
            let Target::Process(process) = &spec.target else { continue };
            let Some(gateway) = &process.gateway else { continue };
            let preview = gateway.preview.iter().map(|preview| (preview.clone(), None));
            for key in std::iter::once((gateway.listen.clone(), gateway.host.clone())).chain(preview) {
                if let Some((other, in_environment)) = taken.insert(key.clone(), (name, environment)) {
                    let place = facts.listens.get(&key).copied().unwrap_or(Place { line: 1, column: 1 });
                    let message = format!(
                        "{name} in {environment} and {other} in {in_environment} both listen at {}; give them different ports, or different hosts",
                        key.0
                    );
                    refuse(problems, place, message);
                }
            }
        }
    }
}
