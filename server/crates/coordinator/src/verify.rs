//! Whether what is stored keeps every promise: each journal alone, the rows and the outbox beside it,
//! and the deployments of an environment beside each other. Only looks.

use lockstep_engine::{
    port::{Store, StoreError},
    search::Search,
    verify::{Broken, Promise, Stored, life, live_together, stored, verify},
};
use lockstep_model::{DeploymentId, Seq, access::Sight, api::PAGE_ROWS_MAX, event::Envelope};

/// How often rows of a deployment under way are read until none changed in between.
const READS_MAX: usize = 5;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Deployments that were looked at.
    pub deployments: u64,
    /// Their events.
    pub events: u64,
    /// Promises that are broken, and by which deployment.
    pub broken: Vec<(DeploymentId, Broken)>,
}

/// The newest deployments, at most so many.
///
/// # Errors
/// [`StoreError`] when the store does not answer.
pub async fn newest(store: &dyn Store, sight: &Sight, limit: u32) -> Result<Vec<DeploymentId>, StoreError> {
    let mut found: Vec<DeploymentId> = Vec::new();
    let mut after = None;
    while let Some(left) = limit.checked_sub(u32::try_from(found.len()).unwrap_or(u32::MAX))
        && left > 0
    {
        let search =
            Search { sight: sight.clone(), after, limit: left.min(PAGE_ROWS_MAX), ..Search::default() };
        let page = store.deployment_list(&search).await?;
        found.extend(page.deployments.iter().map(|row| row.id));
        match page.deployments.last() {
            Some(last) if page.next.is_some() => after = Some(search.place(last)),
            Some(_) | None => break,
        }
    }
    Ok(found)
}

/// Looks at all deployments that are named.
///
/// # Errors
/// [`StoreError`] when the store does not answer. A journal that cannot be read is in the report.
pub async fn check(store: &dyn Store, ids: &[DeploymentId]) -> Result<Report, StoreError> {
    let mut report = Report::default();
    let mut lives = Vec::new();
    for id in ids {
        report.deployments += 1;
        let (journal, beside) = match read(store, *id).await {
            Ok(read) => read,
            Err(error @ StoreError::Unreadable { .. }) => {
                let broken = Broken { seq: Seq(0), promise: Promise::Machine, found: error.to_string() };
                report.broken.push((*id, broken));
                continue;
            }
            Err(error) => return Err(error),
        };
        report.events += u64::try_from(journal.len()).unwrap_or(0);
        let mut broken = verify(&journal);
        // Of one that was given up the row says so, and the journal does not.
        let is_given_up = store.deployment_abandoned(*id).await?.is_some();
        if let Some(beside) = beside.filter(|_| !is_given_up) {
            broken.extend(stored(*id, &journal, &beside));
            lives.extend(life(*id, &journal, &beside.places));
        }
        report.broken.extend(broken.into_iter().map(|one| (*id, one)));
    }
    report.broken.extend(live_together(lives));
    Ok(report)
}

/// A journal and what stands beside it at the same moment; nothing beside it when it changes faster
/// than it can be read.
async fn read(store: &dyn Store, id: DeploymentId) -> Result<(Vec<Envelope>, Option<Stored>), StoreError> {
    let mut journal = Vec::new();
    for _ in 0..READS_MAX {
        let before = store.deployment_fetch(id).await?;
        journal = store.deployment_events(id, Seq(0)).await?;
        let steps = store.step_list(id).await?;
        let checkpoints = store.checkpoint_of(id).await?;
        let pending = store.effect_pending(id).await?;
        let places = store.event_places(id).await?;
        let after = store.deployment_fetch(id).await?;
        if let (Some(before), Some(after)) = (before, after)
            && before.seq == after.seq
        {
            return Ok((journal, Some(Stored { summary: after, steps, checkpoints, pending, places })));
        }
    }
    Ok((journal, None))
}
