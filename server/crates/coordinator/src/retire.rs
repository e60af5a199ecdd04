//! Retires revisions that no longer serve, after their `keep_old`. A reconciler: a failed retire
//! is drift that is tried again and said in the log, never a failed deployment.

use crate::Inner;
use lockstep_engine::port::StoreError;
use lockstep_model::manifest::Target as TargetSpec;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

const EVERY: Duration = Duration::from_secs(5);

pub(crate) async fn repeatedly(inner: Arc<Inner>) {
    loop {
        sleep(EVERY).await;
        if let Err(error) = once(&inner).await {
            tracing::warn!("looking for revisions to retire failed, trying again: {error}");
        }
    }
}

async fn once(inner: &Arc<Inner>) -> Result<(), StoreError> {
    let dependencies = &inner.dependencies;
    if !inner.lease.is_held() {
        return Ok(());
    }
    let elsewhere = inner.elsewhere().await?;
    for (slot, serving, since) in dependencies.store.retirement_list().await? {
        let now = dependencies.clock.now();
        let keep_ms = match &serving.spec.target {
            TargetSpec::Process(process) => process.keep_old_ms,
            // Nothing is left of it; the store does not ask for it.
            TargetSpec::Command(_) => 0,
        };
        let live = inner
            .workers()
            .iter()
            .any(|(_, handle)| handle.project == slot.project && handle.environment == slot.environment);
        let place = (slot.project.clone(), slot.environment.clone());
        if live || elsewhere.contains(&place) || now.since_ms(since) < keep_ms {
            continue;
        }
        let key = inner.question("retire");
        match dependencies.target.retire(&slot, &serving, &key, &inner.host).await {
            Ok(()) => {
                dependencies.store.retirement_done(&slot, &serving, now).await?;
                tracing::info!(
                    service.name = %slot.service,
                    "retired {} of {slot}, which has not served for {} s",
                    serving.revision,
                    now.since_ms(since) / 1000
                );
            }
            Err(problem) => {
                tracing::warn!(service.name = %slot.service, "{} of {slot} could not be retired, trying again: {problem}", serving.revision);
            }
        }
    }
    Ok(())
}
