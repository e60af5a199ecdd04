//! What became of a step that changes something and whose outcome was lost. Only looks at what is true
//! now; where that does not show whether the step did it, it cannot be told.

use crate::{
    command::{command_of, look},
    gate::now,
    orders::{Orders, Trouble},
    traffic::{self, gateway},
};
use lockstep_engine::port::Job;
use lockstep_model::{
    RevisionId,
    event::Finding,
    health::{Evidence, Health},
    manifest::ProcessTarget,
    plan::{Serving, StepKind},
    wire::Observed,
};

fn cannot_tell(reason: impl Into<String>) -> Finding {
    Finding::CannotTell { reason: reason.into() }
}

/// Asks the host which revisions run, and its gateway who has the traffic.
pub(crate) async fn process(
    job: &Job,
    process: &ProcessTarget,
    orders: &Orders<'_>,
) -> Result<Finding, Trouble> {
    let wanted = job.wanted();
    let wanted = wanted.as_ref();
    let look = |seen: &Observed| match job.planned_step().kind {
        StepKind::Prepare => wanted.is_none_or(|wanted| {
            let shows = process.gateway.as_ref().is_none_or(|gateway| gateway.preview.is_none())
                || seen.preview.is_some();
            shows && runs(seen, &wanted.revision)
        }),
        StepKind::Shift => match (job.planned_step().weight, wanted) {
            (Some(weight), Some(wanted)) => traffic::has_share(seen, &wanted.revision, weight),
            (Some(_), None) | (None, _) => has_traffic(seen, process, wanted),
        },
        StepKind::Replace => {
            let before = job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.serving.as_ref());
            let is_up = match (wanted, before) {
                (Some(wanted), _) => runs(seen, &wanted.revision),
                (None, Some(before)) => !runs(seen, &before.revision),
                (None, None) => true,
            };
            is_up && has_traffic(seen, process, wanted)
        }
        StepKind::Precondition | StepKind::Preflight | StepKind::Verify | StepKind::Watch => false,
    };
    if !job.planned_step().kind.is_change() {
        return Ok(cannot_tell("it only looks, and leaves nothing that could be seen"));
    }
    let seen = orders.observe(&job.slot()).await?;
    let said = said(&seen);
    Ok(if look(&seen) {
        Finding::Done { evidence: vec![evidence(job, said)] }
    } else {
        Finding::NotDone { reason: said }
    })
}

fn runs(seen: &Observed, revision: &RevisionId) -> bool {
    seen.revisions.iter().any(|known| known.spec.revision == *revision && known.running)
}

fn routed(seen: &Observed) -> Vec<&RevisionId> {
    let backends = seen.route.iter().flat_map(|route| &route.backends);
    backends.filter(|backend| backend.weight > 0).map(|backend| &backend.revision).collect()
}

/// Whether what is to serve has all the traffic, where traffic comes in at all.
fn has_traffic(seen: &Observed, process: &ProcessTarget, wanted: Option<&Serving>) -> bool {
    match (gateway(process, wanted), wanted) {
        (Some(_), Some(wanted)) => routed(seen) == [&wanted.revision],
        (Some(_), None) => routed(seen).is_empty(),
        (None, _) => process.gateway.is_none() || routed(seen).is_empty(),
    }
}

fn said(seen: &Observed) -> String {
    let list = |revisions: Vec<&RevisionId>| {
        let names: Vec<&str> = revisions.into_iter().map(RevisionId::as_str).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    let running = seen.revisions.iter().filter(|known| known.running).map(|known| &known.spec.revision);
    let running = list(running.collect());
    let traffic = list(routed(seen));
    format!("on its host runs {running}; {traffic} has the traffic")
}

fn evidence(job: &Job, reason: String) -> Evidence {
    Evidence::new(now(), "probe", job.service().service.to_string(), Health::Healthy, reason)
}

/// Asks the observing command which version serves.
pub(crate) async fn command(job: &Job, orders: &Orders<'_>) -> Result<Finding, Trouble> {
    if job.planned_step().kind != StepKind::Replace {
        return Ok(cannot_tell("it leaves nothing that could be seen"));
    }
    let before = job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.serving.as_ref());
    let wanted = job.wanted();
    let Some(asked) = wanted.as_ref().or(before) else {
        return Ok(cannot_tell("nothing served before and nothing is to serve"));
    };
    let expected = wanted.as_ref().map(|wanted| &wanted.version);
    if before.map(|before| &before.version) == expected {
        let same = expected.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        return Ok(cannot_tell(format!(
            "{same} served before as well, so what serves says nothing about it"
        )));
    }
    let Some(said) = look(command_of(asked)?, &asked.version, orders, "observe").await? else {
        return Ok(cannot_tell("it has no observe command that says what serves"));
    };
    if said.wrong(expected).is_none() {
        return Ok(Finding::Done { evidence: vec![said.evidence] });
    }
    Ok(Finding::NotDone { reason: said.sentence() })
}
