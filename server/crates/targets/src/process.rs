//! Processes: started beside the old one on a port of their own, verified, given the traffic,
//! watched; the old one stays until it is retired, so that taking back is a matter of a switch.

use crate::{
    Found, checkpoint,
    gate::{Gate, without_start_period},
    orders::{Orders, Trouble},
};
use lockstep_engine::{
    plan::artifact_path,
    port::{Job, Observation},
};
use lockstep_model::{
    ServiceName,
    gateway::Slot,
    health::{Evidence, Health},
    manifest::{DegradedPolicy, GatewaySpec, ProcessTarget, ServiceSpec, Target},
    plan::{Serving, StepKind, Undo},
    wire::{Observed, RevisionSpec},
};
use std::time::Duration;

pub(crate) async fn run(job: &Job, process: &ProcessTarget, orders: &Orders<'_>) -> Result<Found, Trouble> {
    let found = |evidence| Ok(Found { evidence, checkpoint: None });
    let wanted = job.wanted();
    match (job.planned_step().kind, &wanted) {
        (StepKind::Precondition, Some(serving)) => {
            let spec = without_start_period(&serving.spec);
            let serving = Serving { spec, ..serving.clone() };
            found(Gate::of(job, orders, &serving, false).verify().await?)
        }
        (StepKind::Precondition, None) => Err(Trouble::failed("it is not deployed")),
        (StepKind::Preflight, _) => preflight(job, wanted.as_ref(), orders).await,
        (StepKind::Prepare, Some(serving)) => {
            orders.start("start", revision(job, serving)?).await?;
            found(Vec::new())
        }
        (StepKind::Verify, Some(serving)) => {
            found(Gate::of(job, orders, serving, is_new(job)).verify().await?)
        }
        (StepKind::Shift, _) => {
            route_to(job, process, wanted.as_ref(), orders).await?;
            found(Vec::new())
        }
        (StepKind::Replace, _) => {
            replace(job, process, wanted.as_ref(), orders).await?;
            found(Vec::new())
        }
        (StepKind::Watch, Some(serving)) => {
            let duration = Duration::from_millis(serving.spec.watch_ms);
            found(Gate::of(job, orders, serving, is_new(job)).watch(duration).await?)
        }
        (StepKind::Prepare | StepKind::Verify | StepKind::Watch, None) => found(Vec::new()),
    }
}

pub(crate) async fn undo(
    job: &Job,
    process: &ProcessTarget,
    orders: &Orders<'_>,
) -> Result<Vec<Evidence>, Trouble> {
    let before = job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.serving.as_ref());
    match &job.planned_step().undo {
        Undo::StopCandidate => {
            stop_wanted(job, before, process.stop_grace_ms, orders).await?;
            Ok(Vec::new())
        }
        Undo::RouteBack => {
            let mut evidence = Vec::new();
            if let Some(before) = before {
                orders.start("start-old", revision(job, before)?).await?;
                evidence = Gate::of(job, orders, before, false).verify().await?;
            }
            route_to(job, process, before, orders).await?;
            confirm(job, before, orders, evidence).await
        }
        Undo::ReplaceBack => {
            route_to(job, process, None, orders).await?;
            stop_wanted(job, before, process.stop_grace_ms, orders).await?;
            let mut evidence = Vec::new();
            if let Some(before) = before {
                orders.start("start-old", revision(job, before)?).await?;
                evidence = Gate::of(job, orders, before, false).verify().await?;
                route_to(job, process, Some(before), orders).await?;
            }
            confirm(job, before, orders, evidence).await
        }
        Undo::RunUndo | Undo::Impossible { .. } | Undo::Nothing => {
            Err(Trouble::failed("a process has no such undo"))
        }
    }
}

/// A revision that this deployment started is new; one that a restore brings back is not.
fn is_new(job: &Job) -> bool {
    job.wanted().is_some_and(|serving| serving.deployment == job.deployment)
}

fn revision(job: &Job, serving: &Serving) -> Result<RevisionSpec, Trouble> {
    let Target::Process(process) = &serving.spec.target else {
        return Err(Trouble::failed(format!(
            "what served before was deployed by target '{}'; deploy that by hand, then use `lockstep resolve`",
            serving.spec.target.kind()
        )));
    };
    Ok(RevisionSpec {
        revision: serving.revision.clone(),
        slot: job.slot(),
        version: serving.version.clone(),
        process: process.clone(),
        artifact: artifact(&job.service().service, serving)?,
    })
}

fn artifact(service: &ServiceName, serving: &Serving) -> Result<Option<String>, Trouble> {
    artifact_path(service, &serving.spec, &serving.version)
        .map_err(|error| Trouble::failed(error.to_string()))
}

async fn preflight(job: &Job, wanted: Option<&Serving>, orders: &Orders<'_>) -> Result<Found, Trouble> {
    if let Some(serving) = wanted
        && let Some(path) = artifact(&job.service().service, serving)?
    {
        let digest = orders.digest(&path).await?;
        if digest.is_none() {
            return Err(Trouble::failed(format!(
                "the artifact {path} does not exist any more; build it again"
            )));
        }
        if is_new(job) && digest != job.service().artifact {
            return Err(Trouble::failed(format!(
                "the artifact {path} has changed since the plan was made; start the deployment anew"
            )));
        }
    }
    let observed = orders.observe(&job.slot()).await?;
    Ok(Found { evidence: Vec::new(), checkpoint: Some(checkpoint::of_process(job, &observed)) })
}

/// Where the traffic comes in when `serving` has it; of what served before, when that says it.
fn gateway<'a>(process: &'a ProcessTarget, serving: Option<&'a Serving>) -> Option<&'a GatewaySpec> {
    match serving.map(|serving| &serving.spec.target) {
        Some(Target::Process(of_serving)) => of_serving.gateway.as_ref(),
        Some(Target::Command(_)) => None,
        None => process.gateway.as_ref(),
    }
}

async fn route_to(
    job: &Job,
    process: &ProcessTarget,
    serving: Option<&Serving>,
    orders: &Orders<'_>,
) -> Result<(), Trouble> {
    let slot = job.slot();
    match (gateway(process, serving), &process.gateway) {
        (Some(gateway), _) => {
            orders.route("route", &slot, gateway, serving.map(|serving| &serving.revision)).await
        }
        // What served before had no gateway: nobody is to come in that way any more.
        (None, Some(gateway)) => orders.route("route", &slot, gateway, None).await,
        (None, None) => Ok(()),
    }
}

async fn replace(
    job: &Job,
    process: &ProcessTarget,
    wanted: Option<&Serving>,
    orders: &Orders<'_>,
) -> Result<(), Trouble> {
    let before = job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.serving.as_ref());
    if let Some(gateway) = gateway(process, before) {
        orders.route("close", &job.slot(), gateway, None).await?;
    }
    if let Some(before) = before
        && wanted.is_none_or(|wanted| wanted.revision != before.revision)
    {
        orders.stop("stop-old", &before.revision, grace_ms(before)).await?;
    }
    if let Some(wanted) = wanted {
        orders.start("start", revision(job, wanted)?).await?;
        route_to(job, process, Some(wanted), orders).await?;
    }
    Ok(())
}

/// Ends what this deployment started, unless that is what is to serve again.
async fn stop_wanted(
    job: &Job,
    before: Option<&Serving>,
    grace_ms: u64,
    orders: &Orders<'_>,
) -> Result<(), Trouble> {
    match job.wanted() {
        Some(wanted) if before.is_none_or(|before| before.revision != wanted.revision) => {
            orders.stop("stop", &wanted.revision, grace_ms).await
        }
        Some(_) | None => Ok(()),
    }
}

/// Looks what has the traffic after an undo, and whether it is well: not what was answered counts,
/// but what serves.
async fn confirm(
    job: &Job,
    before: Option<&Serving>,
    orders: &Orders<'_>,
    evidence: Vec<Evidence>,
) -> Result<Vec<Evidence>, Trouble> {
    let observed = orders.observe(&job.slot()).await?;
    let expected = before.filter(|before| has_gateway(before)).map(|before| &before.revision);
    let routed = routed(&observed);
    if routed != expected {
        let name = |revision: Option<&lockstep_model::RevisionId>| {
            revision.map_or_else(|| "nobody".to_owned(), ToString::to_string)
        };
        let (routed, expected) = (name(routed), name(expected));
        return Err(Trouble::failed(format!("{routed} has the traffic, and {expected} should")));
    }
    let Some(before) = before else { return Ok(evidence) };
    let seen = Gate::of(job, orders, before, false).look().await?;
    match seen.health {
        Health::Healthy | Health::Degraded => Ok(vec![seen]),
        Health::Unhealthy | Health::Unknown => Err(Trouble::seen("it serves again and is not well", seen)),
    }
}

fn has_gateway(serving: &Serving) -> bool {
    matches!(&serving.spec.target, Target::Process(process) if process.gateway.is_some())
}

fn grace_ms(serving: &Serving) -> u64 {
    match &serving.spec.target {
        Target::Process(process) => process.stop_grace_ms,
        Target::Command(_) => 0,
    }
}

fn routed(observed: &Observed) -> Option<&lockstep_model::RevisionId> {
    let backends = observed.route.as_ref().map(|route| route.backends.as_slice()).unwrap_or_default();
    backends.iter().max_by_key(|backend| backend.weight).map(|backend| &backend.revision)
}

pub(crate) async fn observe(
    slot: &Slot,
    spec: &ServiceSpec,
    process: &ProcessTarget,
    serving: Option<&Serving>,
    orders: &Orders<'_>,
) -> Result<Observation, Trouble> {
    let observed = orders.observe(slot).await?;
    let revision = match &process.gateway {
        Some(_) => routed(&observed).cloned(),
        None => serving.map(|serving| serving.revision.clone()),
    };
    let known = revision
        .as_ref()
        .and_then(|revision| observed.revisions.iter().find(|known| known.spec.revision == *revision));
    let Some(known) = known else {
        return Err(Trouble::failed(format!("no revision of {slot} has the traffic on its host")));
    };
    let spec = without_start_period(serving.map_or(spec, |serving| &serving.spec));
    let gate = Gate {
        orders,
        spec: &spec,
        version: &known.spec.version,
        revision: Some(&known.spec.revision),
        degraded: DegradedPolicy::Warn,
        is_new: false,
    };
    let evidence = gate.look().await?;
    let version = Some(known.spec.version.clone());
    Ok(Observation { at: evidence.at, revision, version, evidence })
}

/// Starts what should serve on a host that does not know it, and gives it the traffic once it is
/// well.
pub(crate) async fn bring_back(
    slot: &Slot,
    serving: &Serving,
    process: &ProcessTarget,
    orders: &Orders<'_>,
) -> Result<bool, Trouble> {
    let observed = orders.observe(slot).await?;
    if observed.revisions.iter().any(|known| known.spec.revision == serving.revision) {
        return Ok(false);
    }
    let revision = RevisionSpec {
        revision: serving.revision.clone(),
        slot: slot.clone(),
        version: serving.version.clone(),
        process: process.clone(),
        artifact: artifact(&slot.service, serving)?,
    };
    orders.start("start", revision).await?;
    let gate = Gate {
        orders,
        spec: &serving.spec,
        version: &serving.version,
        revision: Some(&serving.revision),
        degraded: DegradedPolicy::Warn,
        is_new: false,
    };
    gate.verify().await?;
    if let Some(gateway) = &process.gateway {
        orders.route("route", slot, gateway, Some(&serving.revision)).await?;
    }
    Ok(true)
}

/// Ends a revision that no longer serves; one that has the traffic, whatever anybody believes, is
/// left alone.
pub(crate) async fn retire(
    slot: &Slot,
    serving: &Serving,
    process: &ProcessTarget,
    orders: &Orders<'_>,
) -> Result<(), Trouble> {
    let observed = orders.observe(slot).await?;
    let backends = observed.route.map(|route| route.backends).unwrap_or_default();
    if backends.iter().any(|backend| backend.revision == serving.revision) {
        return Err(Trouble::failed("it has the traffic"));
    }
    orders.stop("stop", &serving.revision, process.stop_grace_ms).await
}
