//! Brings back what should serve and is not known on its host any more, as after everything there
//! was ended on purpose. A reconciler: it works only where no deployment is under way, and keeps new
//! ones from being made for the moment in which it acts.

use crate::Inner;
use lockstep_engine::port::StoreError;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

const EVERY: Duration = Duration::from_secs(30);

pub(crate) async fn repeatedly(inner: Arc<Inner>) {
    loop {
        if let Err(error) = once(&inner).await {
            tracing::warn!("looking for what should serve failed, trying again: {error}");
        }
        sleep(EVERY).await;
    }
}

async fn once(inner: &Arc<Inner>) -> Result<(), StoreError> {
    let dependencies = &inner.dependencies;
    if !inner.lease.is_held() {
        return Ok(());
    }
    let elsewhere = inner.elsewhere().await?;
    // Nothing is started by what was recorded where nobody knows what serves.
    let unsure = dependencies.store.unsure_list(None, None).await?;
    for row in dependencies.store.serving_list(None, None).await? {
        let (slot, Some(serving)) = (row.slot, row.serving) else { continue };
        if unsure.iter().any(|one| one.slot == slot) {
            continue;
        }
        let _no_new_deployment = inner.making.lock().await;
        let is_changing = inner
            .workers()
            .iter()
            .any(|(_, handle)| handle.project == slot.project && handle.environment == slot.environment);
        let is_changing =
            is_changing || elsewhere.contains(&(slot.project.clone(), slot.environment.clone()));
        // What served may have changed since the list was read.
        if is_changing || dependencies.store.serving_show(&slot).await?.as_ref() != Some(&serving) {
            continue;
        }
        let key = inner.question("bring-back");
        let version = &serving.version;
        match dependencies.target.bring_back(&slot, &serving, &key, &inner.host).await {
            Ok(true) => {
                tracing::info!(service.name = %slot.service, "started {version} of {slot} again: it should serve and was not there");
            }
            Ok(false) => {}
            Err(problem) => {
                tracing::warn!(service.name = %slot.service, "{version} of {slot} should serve and is not there, trying again: {problem}");
            }
        }
    }
    Ok(())
}
