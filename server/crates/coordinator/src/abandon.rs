//! An admin gives up a deployment that cannot be read, so that its environment is free again. What it may
//! still be doing on a host is ended, and what serves of its services counts as unknown.

use crate::{By, Coordinator, Inner, Refused, SetAside, lock};
use lockstep_engine::port::{
    Host, HostCancel, Stopped, StoreError,
    store::{Abandoned, AuditEntry, Claim},
};
use lockstep_model::{
    DeploymentId,
    api::AbandonDeployment,
    plan::{Plan, PlanWarning},
};

impl Coordinator {
    /// Gives up a deployment that is set aside.
    ///
    /// # Errors
    /// [`Refused`] when there is none, it can be read, or that was not confirmed; nothing changed then.
    pub async fn deployment_abandon(
        &self,
        by: impl Into<By> + Send,
        wanted: AbandonDeployment,
    ) -> Result<(), Refused> {
        let By { actor: by, right, .. } = by.into();
        let inner = &self.0;
        let AbandonDeployment { id, reason, confirm } = wanted;
        if reason.trim().is_empty() {
            return Err(Refused::Invalid("say why: the reason is recorded".to_owned()));
        }
        // So that it is not taken up, and nothing is made, in between.
        let _making = inner.making.lock().await;
        let set_aside = lock(&inner.quarantined).get(&id).cloned();
        let Some(SetAside { environment, problem, .. }) = set_aside else {
            return Err(inner.is_readable(id).await?);
        };
        if confirm != environment {
            return Err(Refused::Conflict(format!(
                "deployment {id} is of environment {environment}, and '{confirm}' was typed; to give it up, type the name of the environment that it may have left half done"
            )));
        }
        inner.stop_all_of(id).await?;
        let now = inner.dependencies.clock.now();
        let audit = AuditEntry {
            at: now,
            actor: by.clone(),
            action: "/deployment/abandon".to_owned(),
            target: format!("deployment {id}"),
            reason: Some(format!("{reason} (it could not be read: {problem})")),
            allowed: true,
            right,
        };
        let abandoned = Abandoned { id, at: now, by: by.user, reason };
        if !inner.dependencies.store.deployment_abandon(&abandoned, audit).await? {
            return Err(Refused::Conflict(format!("deployment {id} has ended already")));
        }
        tracing::warn!(deployment.id = %id, "{} gave up deployment {id}, which could not be read", abandoned.by);
        inner.quarantine_end(id);
        inner.queue_nudge.notify_one();
        // Whoever watches looks anew.
        inner.changed(0);
        Ok(())
    }

    /// Why a deployment's journal cannot be shown, and what can be done; none = it was never set aside.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer.
    pub async fn unreadable(&self, id: DeploymentId) -> Result<Option<String>, StoreError> {
        if let Some(given_up) = self.0.dependencies.store.deployment_abandoned(id).await? {
            return Ok(Some(format!(
                "deployment {id} could not be read, and {} gave it up: {}. What serves of its services is not known until they are deployed again; `lockstep history verify {id}` says what is wrong with it",
                given_up.by, given_up.reason
            )));
        }
        let set_aside = lock(&self.0.quarantined).get(&id).cloned();
        Ok(set_aside.map(|SetAside { environment, problem, .. }| {
            format!(
                "deployment {id} cannot be read and is set aside: {problem}. Nothing else is deployed to {environment} meanwhile, and it is tried again every minute. {}",
                ways_out(id)
            )
        }))
    }
}

/// What can be done about a deployment that cannot be read.
pub(crate) fn ways_out(id: DeploymentId) -> String {
    format!(
        "`lockstep history verify {id}` and the server's log say what is wrong: a newer version of Lockstep may read it, or an admin gives it up with `lockstep abandon {id} --reason …`"
    )
}

impl Inner {
    /// Why one that is not set aside is not given up.
    async fn is_readable(&self, id: DeploymentId) -> Result<Refused, Refused> {
        let Some(row) = self.dependencies.store.deployment_fetch(id).await? else {
            return Ok(Refused::NotFound(format!("there is no deployment {id}; see `lockstep history`")));
        };
        Ok(Refused::Conflict(if row.phase.is_final() {
            format!("deployment {id} has ended already: it is {}", row.phase)
        } else {
            format!(
                "deployment {id} ({}) can be read; use `lockstep cancel`, `rollback` or `resolve {id}`",
                row.phase
            )
        }))
    }

    /// Whatever of it an agent carries out, or is told later, is ended. An agent that is not there is told
    /// when it is back, before anything else.
    async fn stop_all_of(&self, id: DeploymentId) -> Result<(), Refused> {
        let now = self.dependencies.clock.now();
        let claim = self.dependencies.store.deployment_claim(id, &self.dependencies.owner, now).await?;
        let epoch = match claim {
            Claim::Owned(epoch) => epoch,
            Claim::Leased { owner } => {
                return Err(Refused::Conflict(format!("deployment {id} belongs to {owner} now; ask there")));
            }
            Claim::Finished => return Err(Refused::Conflict(format!("deployment {id} has ended already"))),
        };
        let all = HostCancel { prefix: format!("d{id}/"), deployment: id, epoch };
        if self.host.cancel(all).await == Stopped::Unconfirmed {
            tracing::warn!(deployment.id = %id, "no agent confirmed that nothing of deployment {id} is carried out any more; it is told so when it is back");
        }
        Ok(())
    }

    /// Where nobody knows what serves, that is said before something is deployed there.
    pub(crate) async fn warn_of_unsure(&self, plan: &mut Plan) -> Result<(), Refused> {
        let store = &self.dependencies.store;
        let unsure = store.unsure_list(Some(&plan.project), Some(&plan.environment)).await?;
        let touched = unsure
            .into_iter()
            .filter(|one| plan.services.iter().any(|planned| planned.service == one.slot.service));
        let warnings: Vec<PlanWarning> = touched
            .map(|one| PlanWarning {
                message: format!(
                    "what serves of {} is not known since deployment {} was given up; its preflight looks, and what it finds is what a rollback brings back",
                    one.slot.service, one.since
                ),
                service: Some(one.slot.service),
            })
            .collect();
        plan.warnings.extend(warnings);
        Ok(())
    }
}
