//! Closes what a process has left open when an operator says how its deployment ended: the preview, a
//! share of the traffic, a candidate. Gives traffic only to what runs; starts nothing.

use crate::{
    orders::{Orders, Trouble},
    process::{close_preview, stop_wanted},
    traffic,
};
use lockstep_engine::port::Job;
use lockstep_model::{closing::CloseTo, manifest::ProcessTarget, plan::Serving, wire::Observed};

pub(crate) async fn process(
    job: &Job,
    process: &ProcessTarget,
    to: CloseTo,
    orders: &Orders<'_>,
) -> Result<(), Trouble> {
    close_preview(job, "preview", orders).await?;
    let before = job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.serving.clone());
    let observed = orders.observe(&job.slot()).await?;
    match to {
        CloseTo::New => give_all(job, process, job.wanted().as_ref(), &observed, orders).await,
        CloseTo::Before => {
            give_all(job, process, before.as_ref(), &observed, orders).await?;
            stop_wanted(job, before.as_ref(), process.stop_grace_ms, orders).await
        }
        // A canary is no more than tried out, so it does not count as what serves.
        CloseTo::AsItIs if traffic::routed(&observed).len() > 1 => {
            give_all(job, process, before.as_ref(), &observed, orders).await
        }
        CloseTo::AsItIs => Ok(()),
    }
}

async fn give_all(
    job: &Job,
    process: &ProcessTarget,
    serving: Option<&Serving>,
    observed: &Observed,
    orders: &Orders<'_>,
) -> Result<(), Trouble> {
    let revision = serving.map(|serving| &serving.revision);
    let has_gateway = traffic::gateway(process, serving).is_some() || process.gateway.is_some();
    if !has_gateway || traffic::has_all(observed, revision) {
        return Ok(());
    }
    if let Some(revision) = revision
        && !observed.revisions.iter().any(|known| known.running && known.spec.revision == *revision)
    {
        return Err(Trouble::failed(format!(
            "{revision} does not run on its host, so it is not given the traffic"
        )));
    }
    traffic::give_all(job, process, serving, orders).await
}
