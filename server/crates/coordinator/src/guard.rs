//! The guard over what serves: a process that has used its restart budget up takes its release back
//! while that is young, and later has an operator asked. Acted on once, whoever says it how often.

use crate::{Coordinator, Inner, Refused, request::Making, request::idempotency};
use lockstep_engine::{Command, port::store::AuditEntry, restriction};
use lockstep_model::{
    deployment::{Actor, Failure, Phase},
    gateway::Slot,
    plan::Serving,
    view::{DeploymentSummary, ServiceProgress},
};

const ACTION: &str = "/guard";

impl Coordinator {
    /// A process that serves ended more often than it is started again; `what` says it in a sentence.
    ///
    /// # Errors
    /// [`Refused`] when nothing can be taken back or asked; what serves stays as it is then.
    pub async fn process_gave_up(&self, slot: &Slot, serving: &Serving, what: &str) -> Result<(), Refused> {
        let Some(row) = self.0.dependencies.store.deployment_fetch(serving.deployment).await? else {
            return Ok(());
        };
        let failure = Failure {
            step: None,
            service: Some(slot.service.clone()),
            version: Some(serving.version.clone()),
            reason: what.to_owned(),
            by: None,
        };
        match row.phase {
            // Its watch may be over while the release still waits for others.
            Phase::Running | Phase::Paused => {
                self.deployment_command(row.id, Command::Fail { failure }, ACTION).await
            }
            // It is being taken back, or somebody is asked already.
            Phase::Queued | Phase::RollingBack | Phase::NeedsOperator => Ok(()),
            Phase::Succeeded | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
                self.0.react(slot, serving, &row, failure).await
            }
        }
    }
}

impl Inner {
    async fn react(
        self: &std::sync::Arc<Self>,
        slot: &Slot,
        serving: &Serving,
        row: &DeploymentSummary,
        failure: Failure,
    ) -> Result<(), Refused> {
        let by = Actor {
            user: "system".parse().expect("a plain word is a name"),
            via: "system".to_owned(),
            address: None,
        };
        let key = format!("{}/{}", slot, serving.revision);
        let idempotency = idempotency(&by, ACTION, Some(&key), &key)?;
        if self.answered_before(idempotency.as_ref()).await?.is_some() {
            return Ok(());
        }
        let is_automatic = self.is_guarded(serving, row).await?;
        let making = self.restore(by.clone(), Some(failure.reason.clone()), row, &[]).await?;
        let mut request = making.request;
        request.asks = (!is_automatic).then(|| failure.clone());
        let id = self.make(Making { request, idempotency, ..making }).await?;
        let then = if is_automatic { "takes it back" } else { "asks what is to be done" };
        tracing::warn!(deployment.id = %id, "{}: deployment {id} {then}", failure.reason);
        if is_automatic && serving.spec.rollback.hold_version {
            self.hold(slot, by, &failure).await?;
        }
        Ok(())
    }

    /// Whether the release goes back by itself: it is young, the manifest wants it, and nothing that
    /// it changed was changed again since.
    async fn is_guarded(&self, serving: &Serving, row: &DeploymentSummary) -> Result<bool, Refused> {
        let rollback = &serving.spec.rollback;
        let now = self.dependencies.clock.now();
        let is_young = row.clocks.finished_at.is_some_and(|at| now.since_ms(at) <= rollback.guard_ms);
        // A rollback is never rolled back.
        if row.phase != Phase::Succeeded || row.restore_of.is_some() || !rollback.auto || !is_young {
            return Ok(false);
        }
        let store = &self.dependencies.store;
        let serves = store.serving_list(Some(&row.project), Some(&row.environment)).await?;
        let mut changed = store.checkpoint_of(row.id).await?;
        // What somebody took back while it ran is not what it brought.
        changed.retain(|checkpoint| {
            let of = row.services.iter().find(|one| one.service == checkpoint.slot.service);
            !of.is_some_and(|one| matches!(one.state, ServiceProgress::Back | ServiceProgress::Untouched))
        });
        Ok(changed.iter().all(|checkpoint| {
            serves.iter().any(|one| {
                one.slot == checkpoint.slot
                    && one.serving.as_ref().is_some_and(|serving| serving.deployment == row.id)
            })
        }))
    }

    async fn hold(&self, slot: &Slot, by: Actor, failure: &Failure) -> Result<(), Refused> {
        let now = self.dependencies.clock.now();
        let hold = restriction::hold_of(&slot.project, &slot.environment, failure, now);
        let Some(hold) = hold else { return Ok(()) };
        let audit = AuditEntry {
            at: now,
            actor: by,
            action: ACTION.to_owned(),
            target: format!("{}/{}", slot.project, slot.environment),
            reason: Some(format!("hold of {}: {}", hold.what(), hold.reason)),
            allowed: true,
            right: None,
        };
        // None = it is held already.
        self.dependencies.store.restriction_add(&hold, now, audit).await?;
        Ok(())
    }
}
