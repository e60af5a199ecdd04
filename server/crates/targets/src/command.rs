//! Commands of the user's: one that deploys, one that tells what serves, one that takes back. What
//! they print is streamed and kept; their exit code and what the observing one says count.

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
    plan::{Serving, StepKind, Undo},
    wire::{ExecSpec, Exit},
};
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
            exec(orders, "deploy", &target.deploy, target, &serving.version, None).await?;
            found(serves(target, Some(&serving.version), orders).await?)
        }
        (StepKind::Replace, None) => {
            take_back(job, command, None, orders).await?;
            found(serves(command, None, orders).await?)
        }
        (StepKind::Verify, Some(serving)) => found(Gate::of(job, orders, serving, true).verify().await?),
        (StepKind::Watch, Some(serving)) => {
            let duration = Duration::from_millis(serving.spec.watch_ms);
            found(Gate::of(job, orders, serving, true).watch(duration).await?)
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
    let before = job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.serving.as_ref());
    take_back(job, command, before, orders).await?;
    let version = before.map(|before| &before.version);
    let mut evidence = serves(command, version, orders).await?;
    if let Some(before) = before {
        evidence.extend(Gate::of(job, orders, before, false).verify().await?);
    }
    if evidence.is_empty() {
        evidence.push(unobserved());
    }
    Ok(evidence)
}

/// Makes `before` serve: by the undo command, or by deploying that version again.
async fn take_back(
    job: &Job,
    command: &CommandTarget,
    before: Option<&Serving>,
    orders: &Orders<'_>,
) -> Result<(), Trouble> {
    let checkpoint = before.map(|before| before.version.to_string()).unwrap_or_default();
    // `${VERSION}` of an undo command is what it takes back.
    let version = job.service().from.as_ref().map(|from| &from.version);
    let version = job.service().to_version().or(version);
    match (&command.undo, before, version) {
        (Some(undo), _, Some(version)) => {
            exec(orders, "undo", undo, command, version, Some(checkpoint)).await
        }
        (_, Some(before), _) => {
            let target = command_of(before)?;
            exec(orders, "deploy-old", &target.deploy, target, &before.version, Some(checkpoint)).await
        }
        (_, None, _) => Err(Trouble::failed(
            "there was nothing before it and it has no undo command; take it down by hand, then use `lockstep resolve`",
        )),
    }
}

fn command_of(serving: &Serving) -> Result<&CommandTarget, Trouble> {
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
    let (checkpoint, evidence) = match observed(command, any, orders, "observe-before").await? {
        Some((version, evidence)) => (checkpoint::of_command(job, version), vec![evidence]),
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
    Err(Trouble::Failed {
        reason: format!("{} ended badly: {exit}{}", argv.join(" "), last_words(&tail)),
        evidence: vec![of_exit(argv, &exit, &tail, Health::Unhealthy, exit.to_string())],
    })
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
    };
    orders.exec(name, spec).await
}

/// What the observing command says serves; none when there is no such command.
async fn observed(
    command: &CommandTarget,
    version: &Version,
    orders: &Orders<'_>,
    name: &str,
) -> Result<Option<(Option<Version>, Evidence)>, Trouble> {
    let Some(observe) = &command.observe else { return Ok(None) };
    let (exit, tail) = raw_exec(orders, name, observe, command, version, None).await?;
    if exit != (Exit::Code { code: 0 }) {
        return Err(Trouble::Failed {
            reason: format!(
                "what serves cannot be told: {} ended badly: {exit}{}",
                observe.join(" "),
                last_words(&tail)
            ),
            evidence: vec![of_exit(observe, &exit, &tail, Health::Unknown, exit.to_string())],
        });
    }
    let line = tail.trim_end().lines().last().unwrap_or_default().trim();
    let version = match line {
        "" => None,
        line => Some(line.parse::<Version>().map_err(|error| {
            Trouble::failed(format!(
                "what serves cannot be told: the last line of {} should be the version alone: {error}",
                observe.join(" ")
            ))
        })?),
    };
    let said =
        version.as_ref().map_or_else(|| "nothing serves".to_owned(), |version| format!("{version} serves"));
    let evidence = of_exit(observe, &exit, &tail, Health::Healthy, said);
    Ok(Some((version, evidence)))
}

/// Asks the observing command whether `expected` serves (none = nothing); without one there is no
/// evidence.
async fn serves(
    command: &CommandTarget,
    expected: Option<&Version>,
    orders: &Orders<'_>,
) -> Result<Vec<Evidence>, Trouble> {
    let fallback = "0".parse().expect("a digit is a version");
    match observed(command, expected.unwrap_or(&fallback), orders, "observe-after").await? {
        None => Ok(Vec::new()),
        Some((version, evidence)) if version.as_ref() == expected => Ok(vec![evidence]),
        Some((version, mut evidence)) => {
            let name =
                |version: Option<&Version>| version.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let reason = format!("{} serves, and {} should", name(version.as_ref()), name(expected));
            evidence.health = Health::Unhealthy;
            evidence.reason.clone_from(&reason);
            Err(Trouble::Failed { reason, evidence: vec![evidence] })
        }
    }
}

fn of_exit(argv: &[String], exit: &Exit, tail: &str, health: Health, reason: String) -> Evidence {
    Evidence {
        at: now(),
        check: "command".to_owned(),
        address: argv.join(" "),
        code: match exit {
            Exit::Code { code } => Some(*code),
            Exit::Signal { .. } | Exit::TimedOut { .. } | Exit::NotStarted { .. } | Exit::Lost => None,
        },
        excerpt: excerpt(tail),
        latency_ms: 0,
        health,
        reason,
    }
}

/// What is known of a service that nothing can be asked of.
fn unobserved() -> Evidence {
    Evidence {
        at: now(),
        check: "observe".to_owned(),
        address: String::new(),
        code: None,
        excerpt: String::new(),
        latency_ms: 0,
        health: Health::Unknown,
        reason: "there is no observe command and no health check, so only the exit code is known".to_owned(),
    }
}

pub(crate) async fn observe(
    spec: &ServiceSpec,
    command: &CommandTarget,
    serving: Option<&Serving>,
    orders: &Orders<'_>,
) -> Result<Observation, Trouble> {
    let fallback = "0".parse().expect("a digit is a version");
    let version = serving.map_or(&fallback, |serving| &serving.version);
    let said = observed(command, version, orders, "observe").await?;
    let spec = without_start_period(spec);
    let is_asked = spec.healthcheck.is_some();
    let gate =
        Gate { orders, spec: &spec, version, revision: None, degraded: DegradedPolicy::Warn, is_new: false };
    let seen = if is_asked { Some(gate.look().await?) } else { None };
    let (version, observed) = match said {
        Some((version, evidence)) => (version, Some(evidence)),
        None => (serving.map(|serving| serving.version.clone()), None),
    };
    let evidence = seen.or(observed).unwrap_or_else(unobserved);
    Ok(Observation { at: evidence.at, revision: None, version, evidence })
}
