//! What has changed between two states of what a topic tells, and how it is put into the one before.

use super::{CHECKS_SHOWN, CellPatch, CellView, DeploymentPatch, OverviewPatch, OverviewView};
use crate::{
    Timestamp,
    view::{CheckView, DeploymentDetail},
};

impl OverviewView {
    /// The overview after a patch.
    pub fn apply(&mut self, patch: OverviewPatch) {
        for change in patch.cells {
            if let Some(cell) = self.cells.get_mut(change.cell as usize) {
                cell.apply(change);
            }
        }
        if let Some(deployments) = patch.deployments {
            self.deployments = deployments;
        }
        if let Some(figures) = patch.figures {
            self.figures = figures;
        }
        if let Some(restrictions) = patch.restrictions {
            self.restrictions = restrictions;
        }
    }

    /// What leads from `before` to this; none = only a snapshot does.
    pub fn since(&self, before: &Self) -> Option<OverviewPatch> {
        let same_cells = self.cells.len() == before.cells.len()
            && self.cells.iter().zip(&before.cells).all(|(now, before)| now.is_same_as(before));
        if !same_cells || self.environments != before.environments {
            return None;
        }
        let cells = (0..).zip(self.cells.iter().zip(&before.cells));
        Some(OverviewPatch {
            cells: cells.filter_map(|(place, (now, before))| now.since(before, place)).collect(),
            deployments: (self.deployments != before.deployments).then(|| self.deployments.clone()),
            figures: (self.figures != before.figures).then(|| self.figures.clone()),
            restrictions: (self.restrictions != before.restrictions).then(|| self.restrictions.clone()),
        })
    }
}

impl OverviewPatch {
    /// Whether nothing has changed.
    pub const fn is_empty(&self) -> bool {
        self.cells.is_empty()
            && self.deployments.is_none()
            && self.figures.is_none()
            && self.restrictions.is_none()
    }
}

impl CellView {
    /// The cell after a patch.
    pub fn apply(&mut self, patch: CellPatch) {
        if let Some(service) = patch.service {
            self.service = service;
        }
        self.checks.extend(patch.checks);
        let surplus = self.checks.len().saturating_sub(CHECKS_SHOWN);
        self.checks.drain(..surplus);
    }

    /// The time under which 95 % of the answers shown came; none = none came.
    pub fn p95_ms(&self) -> Option<u64> {
        let answered = self.checks.iter().filter(|check| check.health != crate::health::Health::Unknown);
        let mut all: Vec<u64> = answered.map(|check| check.latency_ms).collect();
        all.sort_unstable();
        // The nearest rank.
        let rank = (all.len() * 95).div_ceil(100);
        rank.checked_sub(1).and_then(|place| all.get(place).copied())
    }

    fn is_same_as(&self, other: &Self) -> bool {
        let (a, b) = (&self.service, &other.service);
        (&a.project, &a.environment, &a.service) == (&b.project, &b.environment, &b.service)
    }

    fn since(&self, before: &Self, cell: u32) -> Option<CellPatch> {
        let last = before.checks.last().map_or(Timestamp(0), |check| check.at);
        let checks: Vec<CheckView> = self.checks.iter().filter(|check| check.at > last).copied().collect();
        let service = (self.service != before.service).then(|| self.service.clone());
        (service.is_some() || !checks.is_empty()).then_some(CellPatch { cell, service, checks })
    }
}

impl DeploymentPatch {
    /// What leads from `before` to `now`; none = only a snapshot does.
    pub fn between(before: &DeploymentDetail, now: &DeploymentDetail) -> Option<Self> {
        let same = before.steps.len() == now.steps.len()
            && before.manifest == now.manifest
            && before.warnings == now.warnings
            && before.waits_for == now.waits_for
            && before.approval == now.approval
            && before.expected == now.expected;
        same.then(|| Self {
            summary: (before.summary != now.summary).then(|| now.summary.clone()),
            steps: (0..)
                .zip(before.steps.iter().zip(&now.steps))
                .filter(|(_, (before, now))| before != now)
                .map(|(place, (_, now))| (place, now.clone()))
                .collect(),
            checkpoints: (before.checkpoints != now.checkpoints).then(|| now.checkpoints.clone()),
            outside: (before.outside != now.outside).then(|| now.outside.clone()),
            rollback: if before.rollback == now.rollback { None } else { now.rollback.clone() },
        })
    }

    /// Whether nothing has changed.
    pub const fn is_empty(&self) -> bool {
        self.summary.is_none()
            && self.steps.is_empty()
            && self.checkpoints.is_none()
            && self.outside.is_none()
            && self.rollback.is_none()
    }
}

impl DeploymentDetail {
    /// The deployment after a patch.
    pub fn apply(&mut self, patch: DeploymentPatch) {
        if let Some(summary) = patch.summary {
            self.summary = summary;
        }
        for (place, step) in patch.steps {
            if let Some(known) = self.steps.get_mut(place as usize) {
                *known = step;
            }
        }
        if let Some(checkpoints) = patch.checkpoints {
            self.checkpoints = checkpoints;
        }
        if let Some(outside) = patch.outside {
            self.outside = outside;
        }
        if patch.rollback.is_some() {
            self.rollback = patch.rollback;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeploymentId, health::Health, view::ServiceView};

    fn cell(name: &str, checks: &[(i64, u64)]) -> CellView {
        CellView {
            service: ServiceView {
                project: "shop".parse().expect("valid"),
                environment: "staging".parse().expect("valid"),
                service: name.parse().expect("valid"),
                team: None,
                version: None,
                revision: None,
                deployment: None,
                since: None,
                health: None,
                evidence: None,
                address: None,
                changing: None,
                needs: Vec::new(),
            },
            checks: checks
                .iter()
                .map(|(at, latency_ms)| CheckView {
                    at: Timestamp(*at),
                    health: Health::Healthy,
                    latency_ms: *latency_ms,
                })
                .collect(),
        }
    }

    #[test]
    fn a_patch_leads_from_one_overview_to_the_next() {
        let before =
            OverviewView { cells: vec![cell("a", &[(1, 5)]), cell("b", &[(1, 5)])], ..Default::default() };
        let mut now = before.clone();
        now.cells[1].service.changing = Some(DeploymentId(3));
        now.cells[1].checks.push(CheckView { at: Timestamp(2), health: Health::Healthy, latency_ms: 9 });
        now.figures.agents = 1;
        let patch = now.since(&before).expect("the same services");
        assert_eq!(patch.cells.len(), 1);
        let mut reached = before.clone();
        reached.apply(patch);
        assert_eq!(reached, now);
        now.cells.pop();
        assert_eq!(now.since(&before), None, "another set of services is a snapshot");
    }

    #[test]
    fn a_cell_keeps_what_is_shown_and_no_more() {
        let mut shown = cell("a", &[(0, 1)]);
        for at in 1..100 {
            let check = CheckView { at: Timestamp(at), health: Health::Healthy, latency_ms: at as u64 };
            shown.apply(CellPatch { cell: 0, service: None, checks: vec![check] });
        }
        assert_eq!(shown.checks.len(), CHECKS_SHOWN);
        assert_eq!(shown.p95_ms(), Some(98), "the 29th of 30 that end with 99");
        assert_eq!(cell("b", &[]).p95_ms(), None);
    }
}
