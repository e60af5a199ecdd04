//! Processes: started beside the old one on a port of their own, verified, given the traffic,
//! watched; the old one stays until it is retired, so that taking back is a matter of a switch.

use crate::{
    Found, checkpoint,
    gate::{Gate, without_start_period},
    orders::{Orders, Share, Trouble},
    traffic,
};
use lockstep_engine::{
    plan::{artifact_path, canary_step, watch_ms},
    port::{Job, Observation},
};
use lockstep_model::{
    ServiceName,
    gateway::Slot,
    health::{Evidence, Health},
    manifest::{DegradedPolicy, ProcessTarget, RestartBudget, ServiceSpec, Strategy, Target},
    plan::{DeploymentKind, Serving, StepKind, Undo},
    wire::{ObservedRevision, RevisionSpec},
};
use std::time::Duration;

pub(crate) async fn run(job: &Job, process: &ProcessTarget, orders: &Orders<'_>) -> Result<Found, Trouble> {
    let found = |evidence| Ok(Found { evidence, checkpoint: None });
    let wanted = job.wanted();
    let weight = job.planned_step().weight;
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
            if let Some(listen) = preview(serving) {
                orders.preview("preview", &job.slot(), listen, Some(&serving.revision)).await?;
            }
            found(Vec::new())
        }
        (StepKind::Verify, Some(serving)) => {
            let gate = Gate::of(job, orders, serving, is_new(job));
            found(match canary_step(&serving.spec, weight).filter(|_| weight.is_some()) {
                Some(step) => gate.verify_only(&step.verify).await?,
                None => {
                    let mut seen = gate.verify_planned(job).await?;
                    // It has the traffic already where it took the place of the other.
                    if serving.spec.strategy == Strategy::Recreate {
                        seen.extend(brought_back(job, Some(serving), orders).await?);
                    }
                    seen
                }
            })
        }
        (StepKind::Shift, Some(serving)) if let Some(weight) = weight => {
            traffic::give_share(job, (serving, weight), orders).await?;
            found(Vec::new())
        }
        (StepKind::Shift, _) => {
            traffic::give_all(job, process, wanted.as_ref(), orders).await?;
            // What has the traffic is seen where the users come in.
            close_preview(job, "preview", orders).await?;
            found(brought_back(job, wanted.as_ref(), orders).await?)
        }
        (StepKind::Replace, _) => {
            replace(job, process, wanted.as_ref(), orders).await?;
            has_traffic(job, wanted.as_ref(), orders).await?;
            found(Vec::new())
        }
        (StepKind::Watch, Some(serving)) => {
            let duration = Duration::from_millis(watch_ms(job.service(), weight));
            found(
                Gate::of(job, orders, serving, is_new(job))
                    .watch(duration, Duration::from_millis(job.begun_ms))
                    .await?,
            )
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
            close_preview(job, "preview", orders).await?;
            stop_wanted(job, before, process.stop_grace_ms, orders).await?;
            Ok(Vec::new())
        }
        Undo::RouteBack => {
            let mut evidence = Vec::new();
            if let Some(before) = before
                && !has_all_again(job, before, orders).await?
            {
                orders.start("start-old", revision(job, before)?).await?;
                evidence = Gate::of(job, orders, before, false).verify().await?;
            }
            traffic::give_all(job, process, before, orders).await?;
            confirm(job, before, orders, evidence).await
        }
        Undo::ReplaceBack => {
            traffic::give_all(job, process, None, orders).await?;
            stop_wanted(job, before, process.stop_grace_ms, orders).await?;
            let mut evidence = Vec::new();
            if let Some(before) = before {
                orders.start("start-old", revision(job, before)?).await?;
                evidence = Gate::of(job, orders, before, false).verify().await?;
                traffic::give_all(job, process, Some(before), orders).await?;
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
    if let Some(serving) = wanted {
        orders.try_secrets(&serving.spec.target).await?;
    }
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
    let checkpoint = checkpoint::of_process(job, &observed);
    let evidence = checkpoint::mixture(&observed, &checkpoint).into_iter().collect();
    Ok(Found { evidence, checkpoint: Some(checkpoint) })
}

/// Where the new revision can be looked at before it has all the traffic.
fn preview(serving: &Serving) -> Option<&str> {
    match &serving.spec.target {
        Target::Process(process) => process.gateway.as_ref()?.preview.as_deref(),
        Target::Command(_) => None,
    }
}

/// Closes the preview of the job's service, when it may have one.
pub(crate) async fn close_preview(job: &Job, name: &str, orders: &Orders<'_>) -> Result<(), Trouble> {
    let before = job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.serving.as_ref());
    let wanted = job.wanted();
    match wanted.as_ref().and_then(preview).or_else(|| before.and_then(preview)) {
        Some(listen) => orders.preview(name, &job.slot(), listen, None).await,
        None => Ok(()),
    }
}

/// Whether a later share was taken back already, and with it this one: then what served is known to
/// be well. The traffic is told all the same, for an earlier order may still be under way.
async fn has_all_again(job: &Job, before: &Serving, orders: &Orders<'_>) -> Result<bool, Trouble> {
    if job.planned_step().weight.is_none() || !has_gateway(before) {
        return Ok(false);
    }
    let observed = orders.observe(&job.slot()).await?;
    let runs = observed.revisions.iter().any(|one| one.running && one.spec.revision == before.revision);
    Ok(runs && traffic::has_all(&observed, Some(&before.revision)))
}

async fn replace(
    job: &Job,
    process: &ProcessTarget,
    wanted: Option<&Serving>,
    orders: &Orders<'_>,
) -> Result<(), Trouble> {
    let before = job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.serving.as_ref());
    if let Some(gateway) = traffic::gateway(process, before) {
        orders.route("close", &job.slot(), gateway, Share::default()).await?;
    }
    if let Some(before) = before
        && wanted.is_none_or(|wanted| wanted.revision != before.revision)
    {
        orders.stop("stop-old", &before.revision, grace_ms(before)).await?;
    }
    if let Some(wanted) = wanted {
        orders.start("start", revision(job, wanted)?).await?;
        traffic::give_all(job, process, Some(wanted), orders).await?;
    }
    Ok(())
}

/// Ends what this deployment started, unless that is what is to serve again.
pub(crate) async fn stop_wanted(
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
    has_traffic(job, before, orders).await?;
    let Some(before) = before else { return Ok(evidence) };
    let gate = Gate::of(job, orders, before, false);
    if ends_here(job) {
        return gate.settled().await;
    }
    let seen = gate.look().await?;
    match seen.health {
        Health::Healthy | Health::Degraded => Ok(vec![seen]),
        Health::Unhealthy | Health::Unknown => Err(Trouble::seen("it serves again and is not well", seen)),
    }
}

/// Whether the job's step was the first that gave its service's new version traffic: it is undone last,
/// and what serves then is what will.
fn ends_here(job: &Job) -> bool {
    let service = job.planned_step().service;
    let first = job.plan.steps.iter().position(|step| step.service == service && step.kind.gives_traffic());
    first == Some(job.step as usize)
}

/// What a restore brought back is looked at as often as what a rollback did; of a release, its watch does.
async fn brought_back(
    job: &Job,
    wanted: Option<&Serving>,
    orders: &Orders<'_>,
) -> Result<Vec<Evidence>, Trouble> {
    match (&job.plan.kind, wanted) {
        (DeploymentKind::Restore { .. }, Some(serving)) => {
            Gate::of(job, orders, serving, is_new(job)).settled().await
        }
        (DeploymentKind::Restore { .. } | DeploymentKind::Deploy, _) => Ok(Vec::new()),
    }
}

/// Looks whether `serving` has the traffic, where it comes in through the gateway; none = nobody has.
async fn has_traffic(job: &Job, serving: Option<&Serving>, orders: &Orders<'_>) -> Result<(), Trouble> {
    let observed = orders.observe(&job.slot()).await?;
    let expected = serving.filter(|before| has_gateway(before)).map(|before| &before.revision);
    traffic::confirm(&observed, expected)
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

pub(crate) async fn observe(
    slot: &Slot,
    spec: &ServiceSpec,
    process: &ProcessTarget,
    serving: Option<&Serving>,
    orders: &Orders<'_>,
) -> Result<Observation, Trouble> {
    let observed = orders.observe(slot).await?;
    let recorded = serving.map(|serving| &serving.revision);
    let shares = traffic::routed(&observed);
    let revision = match &process.gateway {
        Some(_) => traffic::serves(&shares, recorded).cloned(),
        None => recorded.cloned(),
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
    let mut evidence = gate.look().await?;
    if shares.len() > 1 {
        evidence.reason = format!("{}; {}", evidence.reason, traffic::words(&shares));
    }
    let version = Some(known.spec.version.clone());
    let given_up = known.given_up.then(|| given_up(&slot.service, known));
    Ok(Observation { at: evidence.at, revision, version, traffic: None, evidence, given_up })
}

fn given_up(service: &ServiceName, known: &ObservedRevision) -> String {
    let RestartBudget { max, window_ms, .. } = known.spec.process.restart;
    let exit = known.exit.as_ref().map_or_else(|| "it ended".to_owned(), ToString::to_string);
    format!(
        "{service} {} ended by itself ({exit}) and is not started again: its restart budget of {max} in {} s is used up",
        known.spec.version,
        window_ms / 1_000
    )
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
        let share = traffic::all(Some(&serving.revision), traffic::sticky(&serving.spec));
        orders.route("route", slot, gateway, share).await?;
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
    if let Some(preview) = observed.preview
        && preview.backends.iter().any(|backend| backend.revision == serving.revision)
    {
        orders.preview("preview", slot, &preview.listen, None).await?;
    }
    let backends = observed.route.map(|route| route.backends).unwrap_or_default();
    if backends.iter().any(|backend| backend.revision == serving.revision) {
        return Err(Trouble::failed("it has the traffic"));
    }
    orders.stop("stop", &serving.revision, process.stop_grace_ms).await
}
