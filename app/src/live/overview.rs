//! All services, one signal a cell: a look at one service touches that cell only. When hundreds
//! change at once, all are known at once, and what shows them follows some at a frame.

use leptos::prelude::*;
use lockstep_model::{
    live::{CellPatch, CellView, DeploymentCard, Figures, OverviewPatch, OverviewView},
    restriction::Restriction,
    view::{EnvironmentView, ServiceView},
};
use std::{collections::VecDeque, mem::take};

/// Cells that are shown anew in a frame; a screen has room for about as many.
const CELLS_A_FRAME: usize = 20;

/// A service in an environment.
#[derive(Debug, Clone)]
pub struct Cell {
    /// `project/environment/service`.
    pub key: String,
    view: ArcRwSignal<CellView>,
    /// Says that more than the looks has changed.
    state: ArcTrigger,
    /// Whether there are looks, or another state, that are not shown yet.
    due: ArcStoredValue<(bool, bool)>,
    /// Whether it is on the screen or nearly; it is shown anew before the others.
    near: ArcStoredValue<bool>,
}

impl Cell {
    /// A cell that is known.
    pub fn new(view: CellView) -> Self {
        Self {
            key: key(&view.service),
            view: ArcRwSignal::new(view),
            state: ArcTrigger::new(),
            due: ArcStoredValue::default(),
            near: ArcStoredValue::new(true),
        }
    }

    /// The service; whoever asks follows its state, not each look at it.
    pub fn service<T>(&self, take: impl FnOnce(&ServiceView) -> T) -> T {
        self.state.track();
        self.service_now(take)
    }

    /// The service as it stands now.
    pub fn service_now<T>(&self, take: impl FnOnce(&ServiceView) -> T) -> T {
        self.view.with_untracked(|view| take(&view.service))
    }

    /// Everything; whoever asks follows each look.
    pub fn view<T>(&self, take: impl FnOnce(&CellView) -> T) -> T {
        self.view.with(take)
    }

    /// Everything as it stands now.
    pub fn view_now<T>(&self, take: impl FnOnce(&CellView) -> T) -> T {
        self.view.with_untracked(take)
    }

    /// Says whether it is on the screen.
    pub fn set_near(&self, is_near: bool) {
        self.near.set_value(is_near);
    }

    /// Takes over what has changed without showing it. Whether it is the first such change.
    fn change(&self, is_state: bool, change: impl FnOnce(&mut CellView)) -> bool {
        change(&mut self.view.write_untracked());
        let (was_due, state) = self.due.get_value();
        self.due.set_value((true, state || is_state));
        !was_due
    }

    fn show(&self) {
        let mut due = (false, false);
        self.due.update_value(|known| due = take(known));
        if due.1 {
            self.state.notify();
        }
        if due.0 {
            self.view.notify();
        }
    }
}

/// All services and the deployments that matter.
#[derive(Debug, Clone, Copy)]
pub struct OverviewStore {
    /// Whether anything is known yet.
    pub is_known: RwSignal<bool>,
    /// Environments in the order of risk.
    pub environments: RwSignal<Vec<EnvironmentView>>,
    /// All cells; set anew only when there are others.
    pub cells: RwSignal<Vec<Cell>>,
    /// Ticks when the state of any service changed; not with every look.
    pub states: RwSignal<u64>,
    /// Deployments that run, then the last that ended.
    pub deployments: RwSignal<Vec<DeploymentCard>>,
    /// Figures over all.
    pub figures: RwSignal<Figures>,
    /// Locks, holds and freezes, now and to come.
    pub restrictions: RwSignal<Vec<Restriction>>,
    /// Cells that changed and are not shown yet.
    due: StoredValue<VecDeque<Cell>>,
}

fn key(service: &ServiceView) -> String {
    format!("{}/{}/{}", service.project, service.environment, service.service)
}

impl OverviewStore {
    pub(super) fn new() -> Self {
        Self {
            is_known: RwSignal::new(false),
            environments: RwSignal::new(Vec::new()),
            cells: RwSignal::new(Vec::new()),
            states: RwSignal::new(0),
            deployments: RwSignal::new(Vec::new()),
            figures: RwSignal::new(Figures::default()),
            restrictions: RwSignal::new(Vec::new()),
            due: StoredValue::default(),
        }
    }

    pub(super) fn renew(self, view: OverviewView) {
        let known = self.cells.get_untracked();
        let mut is_other = known.len() != view.cells.len();
        let mut due = Vec::new();
        let cells = (0..).zip(view.cells).map(|(place, now)| {
            // Nearly always all are where they were.
            let key = key(&now.service);
            let at = |place: usize| known.get(place).filter(|cell: &&Cell| cell.key == key);
            if let Some(cell) = at(place) {
                if cell.view.with_untracked(|known| *known != now) && cell.change(true, |known| *known = now)
                {
                    due.push(cell.clone());
                }
                return cell.clone();
            }
            is_other = true;
            let Some(cell) = known.iter().find(|cell| cell.key == key) else { return Cell::new(now) };
            if cell.change(true, |known| *known = now) {
                due.push(cell.clone());
            }
            cell.clone()
        });
        let cells: Vec<Cell> = cells.collect();
        if is_other {
            self.cells.set(cells);
        }
        self.show(due);
        if self.environments.with_untracked(|known| *known != view.environments) {
            self.environments.set(view.environments);
        }
        if self.deployments.with_untracked(|known| *known != view.deployments) {
            self.deployments.set(view.deployments);
        }
        if self.figures.with_untracked(|known| *known != view.figures) {
            self.figures.set(view.figures);
        }
        if self.restrictions.with_untracked(|known| *known != view.restrictions) {
            self.restrictions.set(view.restrictions);
        }
        self.states.update(|tick| *tick += 1);
        self.is_known.set(true);
    }

    pub(super) fn patch(self, patch: OverviewPatch) {
        let mut changed = false;
        let mut due = Vec::new();
        self.cells.with_untracked(|cells| {
            let known = |change: CellPatch| Some((cells.get(change.cell as usize)?, change));
            for (cell, change) in patch.cells.into_iter().filter_map(known) {
                let is_state = change.service.is_some();
                changed |= is_state;
                if cell.change(is_state, |view| view.apply(change)) {
                    due.push(cell.clone());
                }
            }
        });
        let is_many = due.len() > CELLS_A_FRAME;
        self.show(due);
        if let Some(deployments) = patch.deployments {
            self.deployments.set(deployments);
        }
        if let Some(figures) = patch.figures {
            self.figures.set(figures);
        }
        if let Some(restrictions) = patch.restrictions {
            self.restrictions.set(restrictions);
        }
        if changed {
            in_frame(is_many, move || self.states.update(|tick| *tick += 1));
        }
    }

    fn show(self, more: Vec<Cell>) {
        let mut was_empty = true;
        self.due.update_value(|due| {
            was_empty = due.is_empty();
            let (near, far): (Vec<_>, Vec<_>) = more.into_iter().partition(|cell| cell.near.get_value());
            near.into_iter().rev().for_each(|cell| due.push_front(cell));
            due.extend(far);
        });
        // Otherwise the next frame is asked for already.
        if was_empty {
            self.show_some();
        }
    }

    /// Shows the first of the cells that changed, and the others in the frames after this.
    fn show_some(self) {
        let mut now = Vec::new();
        let mut is_more = false;
        let known = self.due.try_update_value(|due| {
            now.extend(due.drain(..due.len().min(CELLS_A_FRAME)));
            is_more = !due.is_empty();
        });
        if known.is_none() {
            return;
        }
        for cell in now {
            cell.show();
        }
        if is_more {
            in_frame(true, move || self.show_some());
        }
    }
}

/// Does something at once, or in the next frame where there are frames.
fn in_frame(next: bool, act: impl FnOnce() + 'static) {
    if next && cfg!(feature = "hydrate") {
        request_animation_frame(act);
    } else {
        act();
    }
}
