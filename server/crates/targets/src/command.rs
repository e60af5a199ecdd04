//! Commands of the user's: one that deploys, one that tells what serves, one that takes back. What
//! they print is streamed and kept; their exit code and what the observing one says count.

mod observed;

use crate::{
    Found, checkpoint,
    gate::{Gate, now, without_start_period},
    orders::{Orders, Trouble},
};
use lockstep_engine::{
    plan::artifact_path,
    port::{Job, Observation},
};
use lockstep_model::{
    Version,
    health::{Evidence, Health, excerpt},
    manifest::{CommandTarget, DegradedPolicy, ServiceSpec, Target},
    plan::{DeploymentKind, Serving, StepKind, Undo},
    wire::{ExecSpec, Exit},
};
pub(crate) use observed::look;
use observed::{after_failure, serves, serves_after, unobserved};
use std::time::Duration;

/// Tells an undo command what is to serve.
const CHECKPOINT_VERSION: &str = "LOCKSTEP_CHECKPOINT_VERSION";

pub(crate) async fn run(job: &Job, command: &CommandTarget, orders: &Orders<'_>) -> Result<Found, Trouble> {
    let found = |evidence| Ok(Found { evidence, checkpoint: None });
    let wanted = job.wanted();
    match (job.planned_step().kind, &wanted) {
        (StepKind::Precondition, Some(serving)) => {
            let mut evidence = serves(command, Some(&serving.version), orders).await?;
            let spec = without_start_period(&serving.spec);
            let serving = Serving { spec, ..serving.clone() };
            evidence.extend(Gate::of(job, orders, &serving, false).verify().await?);
            found(evidence)
        }
        (StepKind::Precondition, None) => Err(Trouble::failed("it is not deployed")),
        (StepKind::Preflight, _) => preflight(job, command, wanted.as_ref(), orders).await,
        (StepKind::Replace, Some(serving)) => {
            let target = command_of(serving)?;
            let version = &serving.version;
            if let Err(trouble) = exec(orders, "deploy", &target.deploy, target, version, None).await {
                let before = before(job).map(|before| &before.version);
                return Err(after_failure(trouble, target, Some(version), before, orders).await);
            }
            let mut evidence = serves_after(&target.deploy, target, Some(version), orders).await?;
            if evidence.is_empty() && serving.spec.healthcheck.is_none() {
                evidence.push(unobserved());
            }
            found(evidence)
        }
        (StepKind::Replace, None) => found(take_back(job, command, None, orders).await?),
        (StepKind::Verify, Some(serving)) => {
            let gate = Gate::of(job, orders, serving, true);
            let mut seen = gate.verify_planned(job).await?;
            match job.plan.kind {
                // As often as what a rollback brought back; of a release, its watch looks.
                DeploymentKind::Restore { .. } => seen.extend(gate.settled().await?),
                DeploymentKind::Deploy => {}
            }
            found(seen)
        }
        (StepKind::Watch, Some(serving)) => {
            let duration = Duration::from_millis(serving.spec.watch_ms);
            found(
                Gate::of(job, orders, serving, true)
                    .watch(duration, Duration::from_millis(job.begun_ms))
                    .await?,
            )
        }
        (StepKind::Prepare | StepKind::Shift, _) | (StepKind::Verify | StepKind::Watch, None) => {
            found(Vec::new())
        }
    }
}

pub(crate) async fn undo(
    job: &Job,
    command: &CommandTarget,
    orders: &Orders<'_>,
) -> Result<Vec<Evidence>, Trouble> {
    match &job.planned_step().undo {
        Undo::RunUndo => {}
        Undo::StopCandidate
        | Undo::RouteBack
        | Undo::ReplaceBack
        | Undo::Impossible { .. }
        | Undo::Nothing => return Err(Trouble::failed("a command has no such undo")),
    }
    let before = before(job);
    let mut evidence = take_back(job, command, before, orders).await?;
    if let Some(before) = before {
        let gate = Gate::of(job, orders, before, false);
        evidence.extend(gate.verify().await?);
        evidence.extend(gate.settled().await?);
    }
    if evidence.is_empty() {
        evidence.push(unobserved());
    }
    Ok(evidence)
}

fn before(job: &Job) -> Option<&Serving> {
    job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.serving.as_ref())
}

/// Makes `before` serve, by the undo command or by deploying that version again, and looks whether it
/// does.
async fn take_back(
    job: &Job,
    command: &CommandTarget,
    before: Option<&Serving>,
    orders: &Orders<'_>,
) -> Result<Vec<Evidence>, Trouble> {
    let checkpoint = before.map(|before| before.version.to_string()).unwrap_or_default();
    // `${VERSION}` of an undo command is what it takes back.
    let from = job.service().from.as_ref().map(|from| &from.version);
    let version = job.service().to_version().or(from);
    let (name, argv, target, version) = match (&command.undo, before, version) {
        (Some(undo), _, Some(version)) => ("undo", undo, command, version),
        (_, Some(before), _) => {
            let target = command_of(before)?;
            ("deploy-old", &target.deploy, target, &before.version)
        }
        (_, None, _) => {
            return Err(Trouble::failed(
                "there was nothing before it and it has no undo command; take it down by hand, then use `lockstep resolve`",
            ));
        }
    };
    let expected = before.map(|before| &before.version);
    if let Err(trouble) = exec(orders, name, argv, target, version, Some(checkpoint)).await {
        return Err(after_failure(trouble, command, expected, Some(version), orders).await);
    }
    serves_after(argv, command, expected, orders).await
}

pub(crate) fn command_of(serving: &Serving) -> Result<&CommandTarget, Trouble> {
    match &serving.spec.target {
        Target::Command(command) => Ok(command),
        Target::Process(_) => Err(Trouble::failed(
            "what served before was a process; start it by hand, then use `lockstep resolve`",
        )),
    }
}

async fn preflight(
    job: &Job,
    command: &CommandTarget,
    wanted: Option<&Serving>,
    orders: &Orders<'_>,
) -> Result<Found, Trouble> {
    if let Some(serving) = wanted {
        orders.try_secrets(&serving.spec.target).await?;
    }
    if let Some(serving) = wanted
        && let Some(path) = artifact_path(&job.service().service, &serving.spec, &serving.version)
            .map_err(|error| Trouble::failed(error.to_string()))?
        && orders.digest(&path).await? != job.service().artifact
        && serving.deployment == job.deployment
    {
        return Err(Trouble::failed(format!(
            "the artifact {path} has changed since the plan was made; start the deployment anew"
        )));
    }
    let any: &Version = match (job.service().to_version(), &job.service().from) {
        (Some(version), _) => version,
        (None, Some(from)) => &from.version,
        (None, None) => {
            let checkpoint = Some(lockstep_model::plan::Checkpoint { serving: None });
            return Ok(Found { evidence: Vec::new(), checkpoint });
        }
    };
    let (checkpoint, evidence) = match look(command, any, orders, "observe-before").await? {
        Some(said) => (checkpoint::of_command(job, said.version), vec![said.evidence]),
        None => (lockstep_model::plan::Checkpoint { serving: job.service().from.clone() }, Vec::new()),
    };
    Ok(Found { evidence, checkpoint: Some(checkpoint) })
}

/// Runs one of the commands; anything but exit code 0 is a failure.
async fn exec(
    orders: &Orders<'_>,
    name: &str,
    argv: &[String],
    command: &CommandTarget,
    version: &Version,
    checkpoint: Option<String>,
) -> Result<(), Trouble> {
    let (exit, tail) = raw_exec(orders, name, argv, command, version, checkpoint).await?;
    if exit == (Exit::Code { code: 0 }) {
        return Ok(());
    }
    if exit == Exit::Lost {
        return Err(Trouble::Unknown { reason: format!("how the command ended was lost: {}", named(argv)) });
    }
    Err(Trouble::Failed {
        reason: format!("ended badly: {exit}{} (command: {})", last_words(&tail), named(argv)),
        evidence: vec![of_exit(argv, &exit, &tail, Health::Unhealthy, exit.to_string())],
    })
}

/// A command as it is named in a sentence: in one line, and not a whole script.
pub(crate) fn named(argv: &[String]) -> String {
    const CHARS_MAX: usize = 60;
    let words = argv.join(" ");
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

fn last_words(tail: &str) -> String {
    let last = tail.lines().rev().find(|line| !line.trim().is_empty());
    last.map_or_else(String::new, |line| format!("; its last line: {}", excerpt(line)))
}

async fn raw_exec(
    orders: &Orders<'_>,
    name: &str,
    argv: &[String],
    command: &CommandTarget,
    version: &Version,
    checkpoint: Option<String>,
) -> Result<(Exit, String), Trouble> {
    let mut env = command.env.clone();
    if let Some(checkpoint) = checkpoint {
        env.insert(CHECKPOINT_VERSION.to_owned(), checkpoint);
    }
    let spec = ExecSpec {
        argv: argv.to_vec(),
        env,
        workdir: command.workdir.clone(),
        version: version.clone(),
        port_of: None,
        timeout_ms: command.timeout_ms,
        secrets: command.secrets.clone(),
        slot: None,
    };
    orders.exec(name, spec).await
}

fn of_exit(argv: &[String], exit: &Exit, tail: &str, health: Health, reason: String) -> Evidence {
    let mut evidence = Evidence::new(now(), "command", argv.join(" "), health, reason);
    evidence.code = match exit {
        Exit::Code { code } => Some(*code),
        Exit::Signal { .. } | Exit::TimedOut { .. } | Exit::NotStarted { .. } | Exit::Lost => None,
    };
    evidence.hear(tail);
    evidence
}

pub(crate) async fn observe(
    spec: &ServiceSpec,
    command: &CommandTarget,
    serving: Option<&Serving>,
    orders: &Orders<'_>,
) -> Result<Observation, Trouble> {
    let fallback = "0".parse().expect("a digit is a version");
    let version = serving.map_or(&fallback, |serving| &serving.version);
    let said = look(command, version, orders, "observe").await?;
    let spec = without_start_period(spec);
    let is_asked = spec.healthcheck.is_some();
    let gate =
        Gate { orders, spec: &spec, version, revision: None, degraded: DegradedPolicy::Warn, is_new: false };
    let seen = if is_asked { Some(gate.look().await?) } else { None };
    let (version, traffic, observed) = match said {
        Some(said) => (said.version, said.traffic, Some(said.evidence)),
        None => (serving.map(|serving| serving.version.clone()), None, None),
    };
    let evidence = seen.or(observed).unwrap_or_else(unobserved);
    Ok(Observation { at: evidence.at, revision: None, version, traffic, evidence, given_up: None })
}
