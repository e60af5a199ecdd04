//! Recovery as a repeated task: every deployment that is not finished and has no worker gets one,
//! unless another coordinator holds it and its lease has not run out.
//! One that cannot be read is set aside, told of, and tried again; the others go on.

use crate::{Inner, SetAside, worker};
use lockstep_engine::{
    port::{StoreError, store::Claim},
    replay,
};
use lockstep_model::{DeploymentId, Seq};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// How often it is looked for deployments without a worker.
const EVERY: Duration = Duration::from_secs(5);
/// One that could not be read is tried again at every so many looks.
const QUARANTINE_LOOKS: u32 = 12;

pub(crate) async fn repeatedly(inner: Arc<Inner>) {
    let mut looks = 0u32;
    loop {
        sleep(inner.lease.look_every(EVERY)).await;
        looks = looks.wrapping_add(1);
        if let Err(error) = once(&inner, looks.is_multiple_of(QUARANTINE_LOOKS)).await {
            tracing::warn!("looking for unfinished deployments failed, trying again: {error}");
        }
    }
}

/// Looks once. `again`: those that were set aside are tried again; until one can be read it stays set
/// aside, and what it keeps closed stays closed.
pub(crate) async fn once(inner: &Arc<Inner>, again: bool) -> Result<(), StoreError> {
    if !inner.lease.is_held() {
        return Ok(());
    }
    for unfinished in inner.dependencies.store.deployment_unfinished().await? {
        let id = unfinished.id;
        if inner.worker(id).is_some() || (inner.is_quarantined(id) && !again) {
            continue;
        }
        // A deployment that is just being made has its worker before this lock is free.
        let _making = inner.making.lock().await;
        if inner.worker(id).is_some() {
            continue;
        }
        match take_up(inner, id).await {
            Ok(()) => inner.quarantine_end(id),
            Err(problem) => {
                let row = inner.dependencies.store.deployment_fetch(id).await.ok().flatten();
                let phase = row.map(|row| row.phase);
                tracing::error!(deployment.id = %id, "deployment {id} cannot be recovered and is set aside: {problem}");
                let (project, environment) = (unfinished.project, unfinished.environment);
                inner.quarantine(id, SetAside { project, environment, phase, problem });
            }
        }
    }
    inner.queue_nudge.notify_one();
    Ok(())
}

async fn take_up(inner: &Arc<Inner>, id: DeploymentId) -> Result<(), String> {
    let store = &inner.dependencies.store;
    let text = |error: StoreError| {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
        format!("{error}{cause}")
    };
    // Claimed before it is read: from then on nobody else adds to it.
    let now = inner.dependencies.clock.now();
    let epoch = match store.deployment_claim(id, &inner.dependencies.owner, now).await.map_err(text)? {
        Claim::Owned(epoch) => epoch,
        Claim::Leased { owner } => {
            tracing::debug!(deployment.id = %id, "deployment {id} belongs to {owner}, whose lease has not run out");
            return Ok(());
        }
        Claim::Finished => return Ok(()),
    };
    let events = store.deployment_events(id, Seq(0)).await.map_err(text)?;
    let state = replay(events).map_err(|illegal| illegal.to_string())?;
    let pending = store.effect_pending(id).await.map_err(text)?;
    tracing::info!(
        deployment.id = %id,
        "took up deployment {id} ({}), {} effects to go on with",
        state.phase,
        pending.len()
    );
    worker::spawn(inner, id, epoch, state, pending);
    Ok(())
}
