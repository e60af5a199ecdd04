//! Taking back by hand: a live deployment at once, an ended one by a deployment of kind restore,
//! which makes its checkpoints serve again.

use crate::{Coordinator, Inner, Refused, request::Making, request::idempotency};
use lockstep_engine::{Command, plan::Wish, search::Search};
use lockstep_model::{
    DeploymentId,
    api::RollbackDeployment,
    deployment::{Actor, Phase, Request, Source},
    view::DeploymentSummary,
};
use std::collections::BTreeSet;

const ACTION: &str = "/deployment/rollback";

impl Coordinator {
    /// Takes back a deployment, or the last one of an environment that changed something.
    ///
    /// # Errors
    /// [`Refused`] when there is nothing to take back, or the state does not allow it.
    pub async fn deployment_rollback(
        &self,
        by: Actor,
        request: RollbackDeployment,
    ) -> Result<DeploymentId, Refused> {
        let key = idempotency(&by, ACTION, request.idempotency_key.as_deref(), &request)?;
        if let Some(made) = self.0.answered_before(key.as_ref()).await? {
            return Ok(made);
        }
        let row = match request.id {
            Some(id) => self.0.dependencies.store.deployment_fetch(id).await?.ok_or_else(|| {
                Refused::NotFound(format!("there is no deployment {id}; see `lockstep history`"))
            })?,
            None => self.0.last_change(&request).await?,
        };
        match row.phase {
            Phase::Queued | Phase::Running | Phase::RollingBack | Phase::NeedsOperator => {
                let command = Command::TakeBack { by, reason: request.reason };
                self.deployment_command(row.id, command, ACTION).await?;
                Ok(row.id)
            }
            Phase::Succeeded | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
                let making = self.0.restore(by, request.reason, &row).await?;
                self.0.make(Making { idempotency: key, ..making }).await
            }
        }
    }
}

impl Inner {
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

    async fn restore(
        &self,
        by: Actor,
        reason: Option<String>,
        row: &DeploymentSummary,
    ) -> Result<Making, Refused> {
        let checkpoints = self.dependencies.store.checkpoint_of(row.id).await?;
        if checkpoints.is_empty() {
            return Err(Refused::Conflict(format!("deployment {} changed nothing", row.id)));
        }
        let checkpoints = checkpoints.into_iter().map(|row| (row.slot.service, row.checkpoint)).collect();
        let manifest = self.project(Some(&row.project)).await?;
        let wish = Wish::Restore { of: row.id, checkpoints };
        let wanted = self.planned(manifest, row.environment.clone(), wish, true).await?;
        let request = Request { by, reason, source: Source::default(), accept_no_rollback: true };
        Ok(Making { request, wanted, action: ACTION, idempotency: None, restores: true })
    }
}
