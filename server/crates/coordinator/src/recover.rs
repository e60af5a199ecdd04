//! Recovery as a repeated task: every deployment that is not finished and has no worker gets one.
//! One that cannot be read is set aside, told of, and tried again; the others go on.

use crate::{Inner, worker};
use lockstep_engine::{port::StoreError, replay};
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
        sleep(EVERY).await;
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(QUARANTINE_LOOKS) {
            for id in inner.quarantined.lock().map(|set| set.clone()).unwrap_or_default() {
                inner.quarantine(id, false);
            }
        }
        if let Err(error) = once(&inner).await {
            tracing::warn!("looking for unfinished deployments failed, trying again: {error}");
        }
    }
}

/// Looks once.
pub(crate) async fn once(inner: &Arc<Inner>) -> Result<(), StoreError> {
    for unfinished in inner.dependencies.store.deployment_unfinished().await? {
        let id = unfinished.id;
        if inner.worker(id).is_some() || inner.is_quarantined(id) {
            continue;
        }
        // A deployment that is just being made has its worker before this lock is free.
        let _making = inner.making.lock().await;
        if inner.worker(id).is_some() {
            continue;
        }
        if let Err(problem) = take_up(inner, id).await {
            inner.quarantine(id, true);
            tracing::error!(deployment.id = %id, "deployment {id} cannot be recovered and is set aside: {problem}");
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
    let events = store.deployment_events(id, Seq(0)).await.map_err(text)?;
    let state = replay(events).map_err(|illegal| illegal.to_string())?;
    let Some(epoch) = store.deployment_claim(id, &inner.dependencies.owner).await.map_err(text)? else {
        return Ok(());
    };
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
