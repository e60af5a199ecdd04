//! The order of services: dependencies first, ties by name, so that equal input gives an equal
//! plan.

use super::PlanRefusal;
use lockstep_model::plan::PlannedService;
use std::{cmp::Reverse, collections::BinaryHeap};

/// `services` with dependencies first, their `depends_on` renumbered.
///
/// # Errors
/// [`PlanRefusal::Cycle`] with the circle.
pub(super) fn order(services: Vec<PlannedService>) -> Result<Vec<PlannedService>, PlanRefusal> {
    let count = services.len();
    let mut dependants: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut missing: Vec<usize> = vec![0; count];
    for (place, service) in services.iter().enumerate() {
        missing[place] = service.depends_on.len();
        for (dependency, _) in &service.depends_on {
            dependants[*dependency as usize].push(place);
        }
    }
    let mut by_name: Vec<usize> = (0..count).collect();
    by_name.sort_by(|a, b| services[*a].service.cmp(&services[*b].service));
    let mut rank = vec![0; count];
    for (position, place) in by_name.iter().enumerate() {
        rank[*place] = position;
    }
    let mut ready: BinaryHeap<Reverse<(usize, usize)>> =
        (0..count).filter(|place| missing[*place] == 0).map(|place| Reverse((rank[place], place))).collect();
    let mut ordered = Vec::with_capacity(count);
    while let Some(Reverse((_, place))) = ready.pop() {
        ordered.push(place);
        for dependant in &dependants[place] {
            missing[*dependant] -= 1;
            if missing[*dependant] == 0 {
                ready.push(Reverse((rank[*dependant], *dependant)));
            }
        }
    }
    if ordered.len() < count {
        return Err(PlanRefusal::Cycle { path: circle(&services, &missing) });
    }
    let mut new_place = vec![0u32; count];
    for (place, old) in (0u32..).zip(&ordered) {
        new_place[*old] = place;
    }
    let mut slots: Vec<Option<PlannedService>> = services.into_iter().map(Some).collect();
    Ok(ordered
        .into_iter()
        .filter_map(|old| slots[old].take())
        .map(|mut service| {
            for (dependency, _) in &mut service.depends_on {
                *dependency = new_place[*dependency as usize];
            }
            service
        })
        .collect())
}

/// One circle among the services that could not be ordered.
fn circle(services: &[PlannedService], missing: &[usize]) -> String {
    let Some(start) = (0..services.len()).find(|place| missing[*place] > 0) else { return String::new() };
    let mut path = vec![start];
    loop {
        let last = path[path.len() - 1];
        let next = services[last].depends_on.iter().map(|(d, _)| *d as usize).find(|d| missing[*d] > 0);
        let Some(next) = next else { break };
        if let Some(begin) = path.iter().position(|place| *place == next) {
            path.drain(..begin);
            path.push(next);
            break;
        }
        path.push(next);
    }
    let names: Vec<&str> = path.iter().map(|place| services[*place].service.as_str()).collect();
    names.join(" -> ")
}
