//! One deployment, as its page shows it.

use super::{Change, Changes, Look, Source};
use crate::backend::Services;
use app::{AppError, backend::Deployments as _};
use async_trait::async_trait;
use lockstep_model::{
    DeploymentId,
    api::DeploymentRequest,
    live::{DeploymentPatch, Patch, Snapshot},
    view::DeploymentDetail,
};
use tokio::sync::watch;

pub(super) struct OneDeployment {
    services: Services,
    id: DeploymentId,
    before: Option<DeploymentDetail>,
    changes: watch::Receiver<i64>,
}

impl OneDeployment {
    pub(super) fn new(services: Services, id: DeploymentId) -> Self {
        let changes = services.coordinator.changes();
        Self { services, id, before: None, changes }
    }
}

#[async_trait]
impl Source for OneDeployment {
    async fn look(&mut self) -> Result<Look, AppError> {
        let now = self.services.deployment_show(DeploymentRequest { id: self.id }).await?;
        let changes = match self.before.as_ref().map(|before| DeploymentPatch::between(before, &now)) {
            Some(Some(patch)) if patch.is_empty() => Changes::Since(Vec::new()),
            Some(Some(patch)) => Changes::Since(vec![Change::Patch(Box::new(Patch::Deployment(patch)))]),
            Some(None) | None => Changes::Anew,
        };
        self.before = Some(now.clone());
        Ok(Look { whole: Snapshot::Deployment(now), changes })
    }

    async fn news(&mut self) {
        // An error means that the server ends.
        let _ = self.changes.changed().await;
    }

    fn is_over(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.summary.phase.is_final())
    }
}
