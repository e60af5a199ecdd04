//! All services, one signal a cell: a look at one service touches that cell only.

use super::set_if_new;
use leptos::prelude::*;
use lockstep_model::{
    live::{CellView, DeploymentCard, Figures, OverviewPatch, OverviewView},
    view::{EnvironmentView, ServiceView},
};

/// A service in an environment.
#[derive(Debug, Clone)]
pub struct Cell {
    /// `project/environment/service`.
    pub key: String,
    /// As it stands.
    pub view: ArcRwSignal<CellView>,
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
        }
    }

    pub(super) fn renew(self, view: OverviewView) {
        let same = self.cells.with_untracked(|known| {
            known.len() == view.cells.len()
                && known.iter().zip(&view.cells).all(|(known, cell)| known.key == key(&cell.service))
        });
        if same {
            self.cells.with_untracked(|known| {
                for (known, cell) in known.iter().zip(view.cells) {
                    set_if_new(&known.view, cell);
                }
            });
        } else {
            let cell = |view: CellView| Cell { key: key(&view.service), view: ArcRwSignal::new(view) };
            self.cells.set(view.cells.into_iter().map(cell).collect());
        }
        if self.environments.with_untracked(|known| *known != view.environments) {
            self.environments.set(view.environments);
        }
        if self.deployments.with_untracked(|known| *known != view.deployments) {
            self.deployments.set(view.deployments);
        }
        if self.figures.with_untracked(|known| *known != view.figures) {
            self.figures.set(view.figures);
        }
        self.states.update(|tick| *tick += 1);
        self.is_known.set(true);
    }

    pub(super) fn patch(self, patch: OverviewPatch) {
        let mut changed = false;
        self.cells.with_untracked(|cells| {
            for change in patch.cells {
                changed |= change.service.is_some();
                if let Some(cell) = cells.get(change.cell as usize) {
                    cell.view.update(|view| view.apply(change));
                }
            }
        });
        if let Some(deployments) = patch.deployments {
            self.deployments.set(deployments);
        }
        if let Some(figures) = patch.figures {
            self.figures.set(figures);
        }
        if changed {
            self.states.update(|tick| *tick += 1);
        }
    }
}
