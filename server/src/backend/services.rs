//! Services as they stand: what serves, how it is, what is about to change it.

use super::{Services, refused, store};
use app::{AppError, backend::Caller, backend::Services as ServicesPort};
use async_trait::async_trait;
use lockstep_engine::port::{Host, HostOrder, store::ServingRow};
use lockstep_model::{
    DeploymentId, Epoch, ServiceName, Timestamp,
    access::Sight,
    api::{EnvironmentRequest, GatewayPage, ListServices, ServicePage, ServiceRequest},
    error::ErrorKind,
    gateway::{RouteState, Slot},
    graph::GraphView,
    manifest::{ServiceSpec, Target},
    view::{ServiceDetail, ServiceView},
    wire::{Order, OrderKey, Outcome},
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::timeout;

const DAY_MS: i64 = 86_400_000;
/// A day in 96 bars.
const BUCKET_MS: u64 = 15 * 60 * 1_000;
const GATEWAY_LIMIT: Duration = Duration::from_secs(5);

#[async_trait]
impl ServicesPort for Services {
    async fn service_list(&self, caller: &Caller, req: ListServices) -> Result<ServicePage, AppError> {
        self.services_of(&req, &caller.rights.sight()).await.map(|services| ServicePage { services })
    }

    async fn service_show(&self, req: ServiceRequest) -> Result<ServiceDetail, AppError> {
        let (project, environment) = self
            .coordinator
            .environment_of(req.project.as_ref(), req.environment.as_ref())
            .await
            .map_err(refused)?;
        let all = ListServices { project: Some(project.clone()), environment: Some(environment.clone()) };
        let listed = self.services_of(&all, &Sight::everything()).await?;
        let service = listed.into_iter().find(|one| one.service == req.service).ok_or_else(|| {
            let message = format!("{} has no target in {environment} of {project}", req.service);
            AppError::new(ErrorKind::NotFound, message)
        })?;
        let manifest = self.store.manifest_current(&project).await.map_err(store)?;
        let guarded = manifest.and_then(|row| {
            row.revision.manifest.environments.get(&environment).map(|one| one.require_rollback)
        });
        let slot = Slot { project, environment, service: req.service };
        let since = Timestamp(self.clock.now().0 - DAY_MS);
        let day = self.logs.check_read(&slot, since, BUCKET_MS).await.map_err(store)?;
        Ok(ServiceDetail {
            service,
            is_guarded: guarded.unwrap_or(false),
            checks: self.monitor.checks(&slot),
            day,
            bucket_ms: BUCKET_MS,
        })
    }

    async fn service_graph(&self, req: EnvironmentRequest) -> Result<GraphView, AppError> {
        let (project, environment) = self
            .coordinator
            .environment_of(req.project.as_ref(), req.environment.as_ref())
            .await
            .map_err(refused)?;
        let all = ListServices { project: Some(project), environment: Some(environment) };
        let services = self.services_of(&all, &Sight::everything()).await?;
        self.graph_of(&EnvironmentRequest { project: all.project, environment: all.environment }, services)
            .await
    }

    async fn gateway_show(&self, caller: &Caller) -> Result<GatewayPage, AppError> {
        if self.hub.connected().borrow().is_none() {
            return Ok(GatewayPage { gateway: None });
        }
        let key = OrderKey(format!("ask/gateway/{}", crate::secret::random()));
        let order = HostOrder { key, deployment: None, epoch: Epoch(0), order: Order::Gateway };
        match timeout(GATEWAY_LIMIT, self.hub.order(order)).await {
            Ok(Ok(Outcome::Gateway { mut state })) => {
                let sight = caller.rights.sight();
                let is_seen =
                    |one: &RouteState| sight.sees(&one.route.slot.project, &one.route.slot.environment);
                state.routes.retain(is_seen);
                state.previews.retain(is_seen);
                Ok(GatewayPage { gateway: Some(state).filter(|state| state.pid != 0) })
            }
            Ok(Ok(Outcome::Failed { message })) => Err(AppError::new(ErrorKind::Unavailable, message)),
            Ok(Ok(_)) | Ok(Err(_)) | Err(_) => {
                Err(AppError::new(ErrorKind::Unavailable, "the agent does not answer; try again in a moment"))
            }
        }
    }
}

impl Services {
    /// Services as they stand, as far as they may be seen.
    pub(crate) async fn services_of(
        &self,
        req: &ListServices,
        sight: &Sight,
    ) -> Result<Vec<ServiceView>, AppError> {
        let rows = self.store.serving_list(req.project.as_ref(), req.environment.as_ref());
        let mut rows: BTreeMap<Slot, ServingRow> =
            rows.await.map_err(store)?.into_iter().map(|row| (row.slot.clone(), row)).collect();
        let changing = self.changing();
        let mut services = Vec::new();
        for project in self.store.project_list().await.map_err(store)? {
            if req.project.as_ref().is_some_and(|wanted| *wanted != project) {
                continue;
            }
            let Some(manifest) = self.store.manifest_current(&project).await.map_err(store)? else {
                continue;
            };
            for (name, service) in &manifest.revision.manifest.services {
                for (environment, spec) in &service.environments {
                    let is_wanted = req.environment.as_ref().is_none_or(|wanted| wanted == environment);
                    if !is_wanted || !sight.sees(&project, environment) {
                        continue;
                    }
                    let slot = Slot {
                        project: project.clone(),
                        environment: environment.clone(),
                        service: name.clone(),
                    };
                    let row = rows.remove(&slot);
                    let mut view = self.view(slot, row, Some(spec), &changing);
                    view.team.clone_from(&service.team);
                    view.needs = service.depends_on.keys().cloned().collect();
                    services.push(view);
                }
            }
        }
        // What serves and is in no manifest any more is not hidden.
        let left = rows
            .into_iter()
            .filter(|(slot, row)| row.serving.is_some() && sight.sees(&slot.project, &slot.environment));
        services.extend(left.map(|(slot, row)| self.view(slot, Some(row), None, &changing)));
        services.sort_by(|a, b| {
            (&a.project, &a.environment, &a.service).cmp(&(&b.project, &b.environment, &b.service))
        });
        Ok(services)
    }

    /// Which live deployment changes which service.
    fn changing(&self) -> BTreeMap<Slot, DeploymentId> {
        let mut changing = BTreeMap::new();
        for (id, state) in self.coordinator.live() {
            let plan = &state.plan;
            for service in plan.services.iter().filter(|service| service.is_changed()) {
                let slot = Slot {
                    project: plan.project.clone(),
                    environment: plan.environment.clone(),
                    service: service.service.clone(),
                };
                // The oldest is the one whose turn it is.
                changing.entry(slot).or_insert(id);
            }
        }
        changing
    }

    fn view(
        &self,
        slot: Slot,
        row: Option<ServingRow>,
        spec: Option<&ServiceSpec>,
        changing: &BTreeMap<Slot, DeploymentId>,
    ) -> ServiceView {
        let serving = row.as_ref().and_then(|row| row.serving.clone());
        let evidence = serving.as_ref().and_then(|serving| self.monitor.seen(&slot, serving));
        let address = serving.as_ref().map(|serving| &serving.spec).or(spec).and_then(address);
        let service: ServiceName = slot.service.clone();
        ServiceView {
            changing: changing.get(&slot).copied(),
            project: slot.project,
            environment: slot.environment,
            service,
            team: None,
            version: serving.as_ref().map(|serving| serving.version.clone()),
            revision: serving.as_ref().map(|serving| serving.revision.clone()),
            deployment: serving.as_ref().map(|serving| serving.deployment),
            since: row.filter(|row| row.serving.is_some()).map(|row| row.since),
            health: evidence.as_ref().map(|evidence| evidence.health),
            evidence,
            address,
            needs: Vec::new(),
        }
    }
}

/// Where users reach it.
fn address(spec: &ServiceSpec) -> Option<String> {
    match &spec.target {
        Target::Process(process) => process.gateway.as_ref().map(|gateway| match &gateway.host {
            Some(host) => {
                let port = gateway.listen.rsplit_once(':').map_or("", |(_, port)| port);
                format!("http://{host}:{port}")
            }
            None => format!("http://{}", gateway.listen),
        }),
        Target::Command(command) => command.address.clone(),
    }
}
