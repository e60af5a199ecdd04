//! `lockstep exec`: runs a deploy script that already exists, elsewhere than under a coordinator. The
//! flags of the plan are the wrapper's and never reach the script; what the script prints is streamed,
//! masked and reported; whether it deployed is seen by asking what serves, never by its exit code alone.

mod called;
mod judge;
mod mask;
mod milestones;
mod monitor;
mod process;
mod report;

use super::{arguments::Global, client::Client, error::Failure, exit};
use crate::{
    out::{self, complain, say},
    progress::seconds,
    secret,
};
use clap::Args;
use judge::{Asked, Ended, verdict};
use lockstep_model::{
    RunId, ScriptName, ServiceName,
    script::{ReportScript, ScriptState},
};
use monitor::Monitor;
use report::Reporter;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::time::Instant;

pub(super) use called::{Called, called};

pub(super) const HELP: &str = "\
Examples:
  lockstep exec --orchestrated --deployment-id=$GITHUB_RUN_ID \\
    --coordination-endpoint=https://deploy.example.com \\
    --health-monitor=https://backend.example.com/health/detailed --expect-version 1.4.0 \\
    -- ./deploy-cloudrun-direct.sh --force --project shop
  ln -s $(command -v lockstep) deploy.sh      with the script itself beside it as deploy.real.sh:
  ./deploy.sh --orchestrated --deployment-id=7 --coordination-endpoint=… --health-monitor=… --force

Exit codes: 0 what was to be deployed serves, 1 it was not deployed and what served before serves,
2 refused before the script began, 3 it did not succeed and what serves is not what served before, or
nobody knows: look at it, 4 the coordination endpoint was not reachable and the script was not begun.";

/// Runs a script.
#[derive(Debug, Clone, Args)]
pub(super) struct Exec {
    #[command(flatten)]
    plan: Plan,
    /// What the script is called in reports; without it, its file's name.
    #[arg(long = "script", value_name = "NAME")]
    script: Option<ScriptName>,
    /// The service that it deploys, for reports.
    #[arg(long, env = "LOCKSTEP_EXEC_SERVICE", value_name = "NAME")]
    service: Option<ServiceName>,
    /// What the health monitor's answer must name as version, commit or revision afterwards.
    #[arg(long, env = "LOCKSTEP_EXPECT_VERSION", value_name = "VERSION")]
    expect_version: Option<String>,
    /// Believe exit code 0 where nothing tells what serves: no monitor, or one that names no version.
    #[arg(long, env = "LOCKSTEP_ACCEPT_UNPROVEN")]
    accept_unproven: bool,
    /// The script and all that it started are ended after this time, as 90s, 10m, 1h.
    #[arg(long, env = "LOCKSTEP_EXEC_TIMEOUT", value_parser = super::arguments::duration, default_value = "30m")]
    timeout: Duration,
    /// Time between the signal to end and the kill.
    #[arg(long, env = "LOCKSTEP_EXEC_GRACE", value_parser = super::arguments::duration, default_value = "10s")]
    grace: Duration,
    /// After the script has ended, what it deployed has this long to serve.
    #[arg(long, env = "LOCKSTEP_EXEC_SETTLE", value_parser = super::arguments::duration, default_value = "2m")]
    settle: Duration,
    /// The value of this variable is a secret, and shown nowhere; may be repeated. Variables whose names
    /// say TOKEN, SECRET, PASSWORD, CREDENTIAL or KEY are masked anyway.
    #[arg(long, value_name = "VARIABLE")]
    mask_env: Vec<String>,
    /// The script and its arguments.
    #[arg(last = true, required = true, value_name = "SCRIPT")]
    command: Vec<String>,
}

/// The flags that belong to the wrapper wherever they stand.
#[derive(Debug, Clone, Default, Args)]
struct Plan {
    /// Report to the coordination endpoint.
    #[arg(long, requires = "deployment_id")]
    orchestrated: bool,
    /// The id under which this run is reported.
    #[arg(long, value_name = "ID")]
    deployment_id: Option<RunId>,
    /// The Lockstep server that is reported to; without it, --url.
    #[arg(long, value_name = "URL")]
    coordination_endpoint: Option<String>,
    /// The address that tells what serves and how it is.
    #[arg(long, value_name = "URL")]
    health_monitor: Option<String>,
}

pub(super) async fn exec(global: &Global, mut options: Exec) -> Result<u8, Failure> {
    called::take_plan(&mut options.plan, &mut options.command)?;
    let Exec { plan, command, .. } = &options;
    if command.is_empty() {
        return Err(Failure::refused("name the script after --, as -- ./deploy.sh --force"));
    }
    if plan.health_monitor.is_none() && !options.accept_unproven {
        return Err(Failure::refused(
            "without --health-monitor nobody can see whether the script deployed; name one, or accept its exit code with --accept-unproven",
        ));
    }
    let mask = Arc::new(mask::of_environment(&options.mask_env)?);
    let monitor = plan.health_monitor.as_deref().map(Monitor::new).transpose()?;
    let mut reporter = match plan.orchestrated {
        true => Some(begin(global, &options).await?),
        false => None,
    };
    let before = match &monitor {
        Some(monitor) => Some(monitor.look().await),
        None => None,
    };
    let began = Instant::now();
    let ended = process::run(&options, &mask, monitor.as_ref(), reporter.as_ref()).await;
    let took = began.elapsed();
    let asked = Asked {
        expect: options.expect_version.as_deref(),
        accept_unproven: options.accept_unproven,
        before: before.as_ref(),
    };
    let after = match &monitor {
        Some(monitor) => Some(monitor.settle(&asked, &ended, options.settle).await),
        None => None,
    };
    let (state, reason) = verdict(&asked, after.as_ref(), &ended);
    let reason = mask.masked(&reason);
    if let Some(reporter) = &mut reporter
        && let Err(why) = reporter.finish(state, &reason, ended.code(), after.as_ref()).await
    {
        complain!("lockstep exec: the end was not reported: {why}");
    }
    last_line(global, state, &reason, &ended, took);
    Ok(match state {
        ScriptState::Succeeded => exit::SUCCEEDED,
        ScriptState::Failed => exit::NOT_SUCCEEDED,
        ScriptState::NeedsOperator | ScriptState::Running => exit::NEEDS_OPERATOR,
    })
}

/// The last line says all that a build log has to tell.
fn last_line(global: &Global, state: ScriptState, reason: &str, ended: &Ended, took: Duration) {
    if global.json {
        let line = serde_json::json!({"state": state, "reason": reason, "exit_code": ended.code()});
        say!("{line}");
        return;
    }
    let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    say!("lockstep exec: {}: {reason} ({ended}, {})", state.word(), seconds(took));
}

/// The first report: it stands before the script begins, so what is refused changes nothing.
async fn begin(global: &Global, options: &Exec) -> Result<Reporter, Failure> {
    let Plan { deployment_id, coordination_endpoint, .. } = &options.plan;
    let endpoint = coordination_endpoint.as_deref().map(|url| {
        let url = url.trim_end_matches('/');
        url.strip_suffix(lockstep_model::api::PREFIX).unwrap_or(url).to_owned()
    });
    let global = Global { url: endpoint.or_else(|| global.url.clone()), ..global.clone() };
    let run =
        deployment_id.clone().ok_or_else(|| Failure::refused("give the run an id: --deployment-id=ID"))?;
    let first = ReportScript {
        run,
        script: name(options)?,
        idempotency_key: secret::random(),
        report: 1,
        project: global.project.clone(),
        environment: global.environment.clone(),
        service: options.service.clone(),
        state: ScriptState::Running,
        reason: String::new(),
        exit_code: None,
        seen: None,
        steps: Vec::new(),
        first_line: 0,
        lines: Vec::new(),
        lines_lost: 0,
    };
    Reporter::begin(Client::new(&global)?, first).await
}

fn name(options: &Exec) -> Result<ScriptName, Failure> {
    if let Some(name) = &options.script {
        return Ok(name.clone());
    }
    let program = options.command.first().map_or("", String::as_str);
    let file = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or(program);
    file.parse().map_err(|error: lockstep_model::scalar::InvalidText| {
        Failure::refused(format!("{error}; or name it with --script"))
    })
}

/// A line of the script, to the stream where it came from.
fn show(line: &process::Line) {
    if line.is_error {
        out::error_line(format_args!("{}", line.text));
    } else {
        say!("{}", line.text);
    }
}
