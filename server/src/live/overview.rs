//! The overview, as far as it may be seen: all services, the deployments that matter now, figures.

use super::{Change, Changes, Look, Source};
use crate::{
    backend::Services,
    backend::{refused, store},
    hub::Connected,
};
use app::AppError;
use async_trait::async_trait;
use lockstep_engine::{
    search::{self, Search},
    view,
};
use lockstep_model::{
    DeploymentId, Timestamp,
    access::Sight,
    api::ListServices,
    gateway::Slot,
    health::Health,
    live::{CARD_SERVICES_MAX, CellView, DeploymentCard, Figures, OverviewView, Patch, Snapshot},
    view::{DeploymentSummary, EnvironmentView, ServiceView},
};
use tokio::{
    sync::watch,
    time::{Duration, Instant},
};

/// Deployments that ended, shown.
const ENDED_SHOWN: u32 = 10;
const MONTH_MS: i64 = 30 * 86_400_000;
/// Figures over a month move slowly, unless a deployment ends.
const FIGURES_EVERY: Duration = Duration::from_secs(600);

pub(super) struct Overview {
    services: Services,
    sight: Sight,
    before: Option<OverviewView>,
    figures: Option<(Instant, Option<DeploymentId>, Figures)>,
    changes: watch::Receiver<i64>,
    looks: watch::Receiver<u64>,
    agent: watch::Receiver<Option<Connected>>,
}

impl Overview {
    pub(super) fn new(services: Services, sight: Sight) -> Self {
        let (changes, looks) = (services.coordinator.changes(), services.monitor.looks());
        let agent = services.hub.connected();
        Self { services, sight, before: None, figures: None, changes, looks, agent }
    }

    async fn whole(&mut self) -> Result<OverviewView, AppError> {
        let everything = ListServices { project: None, environment: None };
        let listed = self.services.services_of(&everything, &self.sight).await?;
        let cells = listed.into_iter().map(|service| cell(&self.services, service)).collect();
        let mut deployments = self.live().await?;
        let search = Search { sight: self.sight.clone(), limit: ENDED_SHOWN * 2, ..Search::default() };
        let page = self.services.store.deployment_list(&search).await.map_err(store)?;
        let ended: Vec<DeploymentSummary> = page
            .deployments
            .into_iter()
            .filter(|row| row.phase.is_final())
            .take(ENDED_SHOWN as usize)
            .collect();
        let last = ended.iter().filter_map(|row| row.clocks.finished_at.map(|at| (at, row.id))).max();
        deployments.extend(ended.into_iter().map(|row| card(row, None)));
        let mut restrictions =
            self.services.coordinator.restriction_list(None, None).await.map_err(refused)?;
        restrictions.retain(|one| self.sight.sees(&one.project, &one.environment));
        Ok(OverviewView {
            environments: self.services.environments(&self.sight).await?,
            cells,
            deployments,
            figures: self.figures(last.map(|(_, id)| id)).await?,
            restrictions,
        })
    }

    /// Deployments that run, those that need somebody first.
    async fn live(&self) -> Result<Vec<DeploymentCard>, AppError> {
        let mut live = self.services.coordinator.live();
        live.retain(|(_, state)| self.sight.sees(&state.plan.project, &state.plan.environment));
        live.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        let mut cards = Vec::with_capacity(live.len());
        for (id, state) in live {
            let took = self.services.expectations.of(&self.services, id, &state.plan).await?;
            cards.push(card(view::summary(id, &state), took.expected.duration_ms));
        }
        Ok(cards)
    }

    async fn figures(&mut self, last_ended: Option<DeploymentId>) -> Result<Figures, AppError> {
        let agents = u32::from(self.agent.borrow_and_update().is_some());
        let known =
            self.figures.as_ref().filter(|(at, last, _)| at.elapsed() < FIGURES_EVERY && *last == last_ended);
        let month = match known {
            Some((.., figures)) => figures.clone(),
            None => {
                let since = Timestamp(self.services.clock.now().0 - MONTH_MS);
                let ended = self.services.store.deployment_ended(since, &self.sight).await.map_err(store)?;
                let figures = search::figures(&ended);
                self.figures = Some((Instant::now(), last_ended, figures.clone()));
                figures
            }
        };
        Ok(Figures { agents, ..month })
    }
}

/// A service with its last looks; what was seen of a healthy one is not worth its bytes.
fn cell(services: &Services, mut service: ServiceView) -> CellView {
    let slot = Slot {
        project: service.project.clone(),
        environment: service.environment.clone(),
        service: service.service.clone(),
    };
    if service.health == Some(Health::Healthy) {
        service.evidence = None;
    } else if let Some(evidence) = &mut service.evidence {
        // When and how fast stand in the looks; here they would make every look a change.
        evidence.at = Timestamp(0);
        evidence.latency_ms = 0;
        evidence.answer.clear();
    }
    CellView { checks: services.monitor.checks(&slot), service }
}

fn card(mut summary: DeploymentSummary, expected_ms: Option<u64>) -> DeploymentCard {
    let services = u32::try_from(summary.services.len()).unwrap_or(u32::MAX);
    summary.services.truncate(CARD_SERVICES_MAX);
    DeploymentCard { summary, services, expected_ms }
}

impl Services {
    /// All environments that may be seen, those that can be changed more freely first.
    pub(crate) async fn environments(&self, sight: &Sight) -> Result<Vec<EnvironmentView>, AppError> {
        let mut all = Vec::new();
        for project in self.store.project_list().await.map_err(store)? {
            let Some(manifest) = self.store.manifest_current(&project).await.map_err(store)? else {
                continue;
            };
            let mut environments: Vec<EnvironmentView> = manifest
                .revision
                .manifest
                .environments
                .into_iter()
                .filter(|(name, _)| sight.sees(&project, name))
                .map(|(name, environment)| EnvironmentView {
                    project: project.clone(),
                    name,
                    is_guarded: environment.require_rollback,
                })
                .collect();
            environments.sort_by_key(|environment| environment.is_guarded);
            all.extend(environments);
        }
        Ok(all)
    }
}

#[async_trait]
impl Source for Overview {
    async fn look(&mut self) -> Result<Look, AppError> {
        let now = self.whole().await?;
        let changes = match self.before.as_ref().map(|before| now.since(before)) {
            Some(Some(patch)) if patch.is_empty() => Changes::Since(Vec::new()),
            Some(Some(patch)) => Changes::Since(vec![Change::Patch(Box::new(Patch::Overview(patch)))]),
            Some(None) | None => Changes::Anew,
        };
        self.before = Some(now.clone());
        Ok(Look { whole: Snapshot::Overview(now), changes })
    }

    async fn news(&mut self) {
        // An error means that the server ends.
        tokio::select! {
            _ = self.changes.changed() => {},
            _ = self.looks.changed() => {},
            _ = self.agent.changed() => {},
        }
    }

    fn is_over(&self) -> bool {
        false
    }
}
