//! Taking back by hand: a live deployment at once, an ended one by a deployment of kind restore,
//! which makes its checkpoints serve again.

use crate::{
    By, Coordinator, Inner, Refused,
    request::{Making, Wanted, Wants, idempotency},
};
use lockstep_engine::{
    Command, foresee,
    plan::{Wish, nearest},
    search::Search,
};
use lockstep_model::{
    DeploymentId, ServiceName,
    api::RollbackDeployment,
    deployment::{Phase, Request, Source},
    plan::{Checkpoint, Plan},
    view::DeploymentSummary,
};
use std::collections::{BTreeMap, BTreeSet};

const ACTION: &str = "/deployment/rollback";

impl Coordinator {
    /// Takes back a deployment, or the last one of an environment that changed something.
    ///
    /// # Errors
    /// [`Refused`] when there is nothing to take back, or the state does not allow it.
    pub async fn deployment_rollback(
        &self,
        by: impl Into<By> + Send,
        request: RollbackDeployment,
    ) -> Result<DeploymentId, Refused> {
        let by = by.into();
        let key = idempotency(&by.actor, ACTION, request.idempotency_key.as_deref(), &request)?;
        if let Some(made) = self.0.answered_before(key.as_ref()).await? {
            return Ok(made);
        }
        let row = self.0.meant(&request).await?;
        match row.phase {
            Phase::Queued | Phase::Running | Phase::Paused | Phase::RollingBack | Phase::NeedsOperator => {
                let (services, reason) = (request.services, request.reason);
                let By { actor: by, right, .. } = by;
                let command = if services.is_empty() {
                    Command::TakeBack { by, reason }
                } else {
                    Command::TakeBackServices { services, by, reason }
                };
                self.deployment_command_by(row.id, command, ACTION, right).await?;
                Ok(row.id)
            }
            Phase::Succeeded | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
                let making = self.0.restore(by, request.reason, &row, &request.services).await?;
                self.0.make(Making { idempotency: key, ..making }).await
            }
        }
    }

    /// What [`Coordinator::deployment_rollback`] would do with a deployment that has ended. Changes
    /// nothing.
    ///
    /// # Errors
    /// As there; [`Refused::Conflict`] for one that has not ended.
    pub async fn rollback_plan(&self, request: &RollbackDeployment) -> Result<Plan, Refused> {
        let row = self.0.meant(request).await?;
        if !row.phase.is_final() {
            return Err(Refused::Conflict(format!(
                "deployment {} is {}, and is taken back at once and not by a plan of its own; \
                 `lockstep rollback {} --dry-run` says what that does",
                row.id, row.phase, row.id
            )));
        }
        Ok(self.0.restored(&row, &request.services).await?.plan)
    }
}

impl Coordinator {
    /// What a command would do to a deployment, a sentence each. Changes nothing.
    ///
    /// # Errors
    /// As the command itself.
    pub async fn deployment_foresee(
        &self,
        id: DeploymentId,
        command: &Command,
    ) -> Result<Vec<String>, Refused> {
        let handle = self.0.worker_soon(id).await?;
        let state = handle.state.borrow().clone();
        Ok(foresee(&state, command, self.0.dependencies.clock.now())?)
    }
}

impl Inner {
    /// The deployment that is meant.
    async fn meant(&self, request: &RollbackDeployment) -> Result<DeploymentSummary, Refused> {
        match request.id {
            Some(id) => self.dependencies.store.deployment_fetch(id).await?.ok_or_else(|| {
                Refused::NotFound(format!("there is no deployment {id}; see `lockstep history`"))
            }),
            None => self.last_change(request).await,
        }
    }

    /// The deployment that a rollback without a number means: the live one, else the last release
    /// that succeeded and was not restored away since.
    async fn last_change(&self, request: &RollbackDeployment) -> Result<DeploymentSummary, Refused> {
        let manifest = self.project(request.project.as_ref()).await?;
        let environment = Self::environment(&manifest, request.environment.as_ref())?;
        let filter = Search {
            project: Some(manifest.revision.manifest.project.clone()),
            environment: Some(environment.clone()),
            ..Search::default()
        };
        let page = self.dependencies.store.deployment_list(&filter).await?;
        let restored: BTreeSet<DeploymentId> = page
            .deployments
            .iter()
            .filter(|row| row.phase == Phase::Succeeded)
            .filter_map(|row| row.restore_of)
            .collect();
        let live = page.deployments.iter().find(|row| !row.phase.is_final() && row.phase != Phase::Queued);
        let last = || {
            page.deployments.iter().find(|row| {
                row.phase == Phase::Succeeded && row.restore_of.is_none() && !restored.contains(&row.id)
            })
        };
        live.or_else(last).cloned().ok_or_else(|| {
            Refused::Conflict(format!(
                "there is nothing to take back in {environment}; see `lockstep history`"
            ))
        })
    }

    pub(crate) async fn restore(
        &self,
        by: impl Into<By> + Send,
        reason: Option<String>,
        row: &DeploymentSummary,
        services: &[ServiceName],
    ) -> Result<Making, Refused> {
        let By { actor: by, right, .. } = by.into();
        let wanted = self.restored(row, services).await?;
        let request = Request {
            by,
            reason,
            source: Source::default(),
            accept_no_rollback: true,
            asks: None,
            author: None,
        };
        Ok(Making {
            request,
            right,
            rights: Vec::new(),
            wanted,
            action: ACTION,
            idempotency: None,
            restores: true,
        })
    }

    /// What served before `row` changed `services`, to serve again; all of them when none is named.
    async fn restored(&self, row: &DeploymentSummary, services: &[ServiceName]) -> Result<Wanted, Refused> {
        let taken = self.dependencies.store.checkpoint_of(row.id).await?;
        let mut taken: BTreeMap<ServiceName, Checkpoint> =
            taken.into_iter().map(|row| (row.slot.service, row.checkpoint)).collect();
        if taken.is_empty() {
            return Err(Refused::Conflict(format!("deployment {} changed nothing", row.id)));
        }
        for wanted in services {
            if !taken.contains_key(wanted) {
                let near = nearest(wanted.as_str(), taken.keys().map(ServiceName::as_str))
                    .map_or_else(String::new, |near| format!("; did you mean '{near}'"));
                let known: Vec<&str> = taken.keys().map(ServiceName::as_str).collect();
                return Err(Refused::NotFound(format!(
                    "deployment {} took no checkpoint of '{wanted}'{near}; it has: {}",
                    row.id,
                    known.join(", ")
                )));
            }
        }
        taken.retain(|service, _| services.is_empty() || services.contains(service));
        let manifest = self.project(Some(&row.project)).await?;
        let wish = Wish::Restore { of: row.id, checkpoints: taken };
        let wants = Wants { accept_no_rollback: true, skip_verification: false };
        self.planned(manifest, row.environment.clone(), wish, wants).await
    }
}
