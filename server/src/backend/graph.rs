//! Where services stand when they are drawn with what they need.

use super::Services;
use app::AppError;
use lockstep_model::{
    ServiceName,
    api::EnvironmentRequest,
    error::ErrorKind,
    graph::{DRAWN_MAX, GraphNode, GraphView, NODE_HEIGHT, NODE_WIDTH},
    view::ServiceView,
};
use rust_sugiyama::{configure::Config, from_vertices_and_edges};
use std::{collections::VecDeque, sync::Mutex};

const BETWEEN_ROWS: u32 = 20;
const BETWEEN_COLUMNS: u32 = 72;
/// Services that nothing joins stand below, in so many columns.
const COLUMNS: u32 = 4;
const KEPT_MAX: usize = 32;

/// Who needs whom, by place in a list of names.
type Edges = Vec<(u32, u32)>;

/// Where each stands, and how much room all take.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Drawing {
    places: Vec<(u32, u32)>,
    width: u32,
    height: u32,
}

/// Drawings that were made. The same services are drawn the same way every time, which whoever looks again
/// relies on, and the library does not do by itself.
#[derive(Debug, Default)]
pub struct Drawings(Mutex<VecDeque<((usize, Edges), Drawing)>>);

impl Drawings {
    fn of(&self, count: usize, edges: &Edges) -> Drawing {
        let kept = |all: &VecDeque<((usize, Edges), Drawing)>| {
            all.iter().find(|((known, of), _)| *known == count && of == edges).map(|(_, one)| one.clone())
        };
        if let Some(found) = kept(&self.lock()) {
            return found;
        }
        let made = draw(count, edges);
        let mut all = self.lock();
        // Whoever came first in the meantime is who all others see.
        if let Some(found) = kept(&all) {
            return found;
        }
        all.truncate(KEPT_MAX - 1);
        all.push_front(((count, edges.clone()), made.clone()));
        made
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<((usize, Edges), Drawing)>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Services {
    /// The services of an environment, laid out.
    pub(super) async fn graph_of(
        &self,
        req: &EnvironmentRequest,
        services: Vec<ServiceView>,
    ) -> Result<GraphView, AppError> {
        let (Some(project), Some(environment)) = (req.project.clone(), req.environment.clone()) else {
            return Err(AppError::new(ErrorKind::Internal, "the environment is not known"));
        };
        let count = u32::try_from(services.len()).unwrap_or(u32::MAX);
        let mut view = GraphView {
            project,
            environment,
            nodes: Vec::new(),
            edges: Vec::new(),
            width: 0,
            height: 0,
            count,
        };
        if services.len() > DRAWN_MAX {
            return Ok(view);
        }
        let names: Vec<ServiceName> = services.iter().map(|one| one.service.clone()).collect();
        view.edges = edges(&services);
        let drawings = self.drawings.clone();
        let wanted = view.edges.clone();
        let drawing = tokio::task::spawn_blocking(move || drawings.of(services.len(), &wanted));
        let drawing = drawing.await.map_err(|error| AppError::new(ErrorKind::Internal, error.to_string()))?;
        view.nodes = names
            .into_iter()
            .zip(drawing.places)
            .map(|(service, (x, y))| GraphNode { service, x, y })
            .collect();
        (view.width, view.height) = (drawing.width, drawing.height);
        Ok(view)
    }
}

/// What is needed and who needs it; a need of what has no target here is none.
fn edges(services: &[ServiceView]) -> Edges {
    let place = |name: &ServiceName| services.iter().position(|one| one.service == *name);
    let mut edges = Edges::new();
    for (to, service) in services.iter().enumerate() {
        for from in service.needs.iter().filter_map(place) {
            if let (Ok(from), Ok(to)) = (u32::try_from(from), u32::try_from(to)) {
                edges.push((from, to));
            }
        }
    }
    edges
}

/// Groups that hang together one below the other, the largest first; below them those that nothing joins.
fn draw(count: usize, edges: &Edges) -> Drawing {
    let mut places = vec![None; count];
    let (mut width, mut height) = (0, 0);
    let mut joined: Vec<u32> = edges.iter().flat_map(|(from, to)| [*from, *to]).collect();
    joined.sort_unstable();
    joined.dedup();
    // The library draws from top to bottom: its rows are our columns.
    let size = (f64::from(NODE_HEIGHT), f64::from(NODE_WIDTH));
    let vertices: Vec<(u32, (f64, f64))> = joined.iter().map(|one| (*one, size)).collect();
    let config = Config { vertex_spacing: f64::from(BETWEEN_ROWS), ..Config::default() };
    let mut groups: Vec<Vec<(usize, (f64, f64))>> =
        from_vertices_and_edges(&vertices, edges, &config).into_iter().map(|(group, ..)| group).collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.len()), group.iter().map(|(place, _)| *place).min()));
    for group in groups {
        let mut columns: Vec<f64> = group.iter().map(|(_, (_, column))| *column).collect();
        columns.sort_by(f64::total_cmp);
        columns.dedup();
        let top = group.iter().map(|(_, (row, _))| *row).fold(f64::INFINITY, f64::min);
        let begin = height;
        for (place, (row, column)) in group {
            let column = columns.partition_point(|known| *known < column);
            let x = u32::try_from(column).unwrap_or(0) * (NODE_WIDTH + BETWEEN_COLUMNS);
            let y = begin + whole(row - top);
            places[place] = Some((x, y));
            width = width.max(x + NODE_WIDTH);
            height = height.max(y + NODE_HEIGHT);
        }
        height += BETWEEN_ROWS;
    }
    let begin = height;
    for (number, place) in (0..).zip(places.iter_mut().filter(|place| place.is_none())) {
        let x = number % COLUMNS * (NODE_WIDTH + BETWEEN_ROWS);
        let y = begin + number / COLUMNS * (NODE_HEIGHT + BETWEEN_ROWS);
        *place = Some((x, y));
        width = width.max(x + NODE_WIDTH);
        height = height.max(y + NODE_HEIGHT + BETWEEN_ROWS);
    }
    Drawing {
        places: places.into_iter().map(Option::unwrap_or_default).collect(),
        width,
        height: height.saturating_sub(BETWEEN_ROWS),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred rows, from 0 on")]
fn whole(value: f64) -> u32 {
    value.round().max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(drawing: &Drawing) -> bool {
        let all = &drawing.places;
        all.iter().enumerate().any(|(at, a)| {
            all[at + 1..].iter().any(|b| a.0.abs_diff(b.0) < NODE_WIDTH && a.1.abs_diff(b.1) < NODE_HEIGHT)
        })
    }

    #[test]
    fn what_is_needed_stands_left_of_what_needs_it() {
        // A diamond, a pair, and one alone.
        let edges = vec![(0, 1), (0, 2), (1, 3), (2, 3), (0, 3), (4, 5)];
        let drawing = draw(7, &edges);
        for (from, to) in &edges {
            assert!(
                drawing.places[*from as usize].0 + NODE_WIDTH < drawing.places[*to as usize].0,
                "{drawing:?}"
            );
        }
        assert!(!overlap(&drawing), "{drawing:?}");
        let below = drawing.places[6].1;
        assert!(drawing.places[..6].iter().all(|(_, y)| *y < below), "{drawing:?}");
        assert_eq!(drawing.height, below + NODE_HEIGHT);
    }

    #[test]
    fn hundreds_do_not_stand_on_each_other() {
        let edges: Edges = (10..250).flat_map(|to| [(to / 2, to), (to / 3, to)]).collect();
        let drawing = draw(300, &edges);
        assert!(!overlap(&drawing));
        assert!(
            drawing
                .places
                .iter()
                .all(|(x, y)| x + NODE_WIDTH <= drawing.width && y + NODE_HEIGHT <= drawing.height)
        );
    }

    #[test]
    fn nothing_takes_no_room() {
        assert_eq!(draw(0, &Edges::new()), Drawing { places: Vec::new(), width: 0, height: 0 });
    }

    #[test]
    fn the_same_services_are_drawn_the_same_way() {
        let drawings = Drawings::default();
        let edges: Edges = (1..40).map(|to| (to / 3, to)).collect();
        let first = drawings.of(40, &edges);
        for count in 41..60 {
            drawings.of(count, &edges);
        }
        assert_eq!(drawings.of(40, &edges), first);
    }
}
