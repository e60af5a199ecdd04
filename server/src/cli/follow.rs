//! Following a deployment to its end: a bar on a terminal, plain lines in a build log, one JSON
//! object at the end for programs. A server that is away for a while is waited for.

use super::{
    approvals,
    arguments::{Global, Waiting},
    client::Client,
    error::Failure,
    exit, print,
};
use crate::out::say;
use crate::progress::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use lockstep_model::{
    DeploymentId, Seq,
    api::{DeploymentRequest, DeploymentShow, DeploymentWait, WAIT_MS_MAX, WaitDeployment},
    deployment::Phase,
    event::Event,
    view::{DeploymentSummary, EventsView, OutsideView},
};
use std::{io::IsTerminal, time::Duration};
use tokio::time::{Instant, sleep};

/// A server that is away longer is given up.
const AWAY_LIMIT: Duration = Duration::from_secs(120);
const AWAY_PAUSE: Duration = Duration::from_millis(500);
/// A look at services outside comes soon after a change; without it the last one is told.
const LOOK_LIMIT: Duration = Duration::from_secs(3);
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What somebody who waits hopes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hope {
    /// That the release serves.
    Release,
    /// That what was changed is taken back.
    WayBack,
    /// That single services of it are taken back, and the others go on.
    PartBack,
}

/// After something was begun: waits when that is wanted, or says how to follow it.
pub(super) async fn begun(
    global: &Global,
    client: &Client,
    summary: &DeploymentSummary,
    waiting: Waiting,
    hope: Hope,
) -> Result<u8, Failure> {
    if waiting.wait {
        return watch(global, client, summary.id, waiting.timeout, hope).await;
    }
    if global.json {
        print::json(summary)?;
    } else {
        say!("deployment {} ({}) is {}", summary.id, summary.environment, summary.phase);
        if let Some(missing) = approvals::missing(summary) {
            say!("{missing}");
        }
        say!("follow it: lockstep watch {}", summary.id);
    }
    Ok(exit::SUCCEEDED)
}

pub(super) async fn watch(
    global: &Global,
    client: &Client,
    id: DeploymentId,
    limit: Duration,
    hope: Hope,
) -> Result<u8, Failure> {
    let end = Instant::now() + limit;
    let mut shown = Shown::new(global, id);
    let mut after = Seq(0);
    // None = no service was taken back by itself.
    let mut is_part_back = None;
    let phase = loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            shown.finish();
            return Err(Failure::waited_too_long(format!(
                "deployment {id} has not ended after {} s and goes on; follow it with `lockstep watch {id}`",
                limit.as_secs()
            )));
        }
        let wait_ms = u64::try_from(left.as_millis()).unwrap_or(WAIT_MS_MAX).min(WAIT_MS_MAX);
        let view = next(client, WaitDeployment { id, after, wait_ms }, &mut shown).await?;
        shown.events(&view);
        after = view.seq;
        is_part_back = part_is_back(&view).or(is_part_back);
        if hope == Hope::PartBack && is_part_back == Some(true) {
            break view.phase;
        }
        // An operator may be needed for a long time; that is told at once.
        let is_over = view.phase.is_final() || view.phase == Phase::NeedsOperator;
        if is_over && (view.events.is_empty() || has_ended(&view)) {
            break view.phase;
        }
    };
    shown.finish();
    if global.json {
        print::json(&client.call(DeploymentShow, &DeploymentRequest { id }).await?)?;
    } else {
        if phase == Phase::RolledBack {
            outside(client, id).await?;
        }
        if hope == Hope::Release && matches!(phase, Phase::RolledBack | Phase::Failed) {
            say!("what was printed: lockstep logs {id}; every step: lockstep status {id}");
        }
    }
    Ok(verdict(phase, hope, is_part_back))
}

/// Says how the services are that need what was taken back, once they were looked at after it.
async fn outside(client: &Client, id: DeploymentId) -> Result<(), Failure> {
    let end = Instant::now() + LOOK_LIMIT;
    loop {
        let detail = client.call(DeploymentShow, &DeploymentRequest { id }).await?;
        let stable_at = detail.summary.clocks.stable_at;
        let is_fresh = |outside: &OutsideView| outside.evidence.as_ref().map(|seen| seen.at) >= stable_at;
        if detail.outside.iter().all(is_fresh) || Instant::now() >= end {
            for outside in &detail.outside {
                say!("{}", print::outside(outside));
            }
            return Ok(());
        }
        sleep(LOOK_PAUSE).await;
    }
}

/// Whether the services that were taken back by themselves are back; none = the events do not say.
fn part_is_back(view: &EventsView) -> Option<bool> {
    view.events.iter().rev().find_map(|envelope| match envelope.event {
        Event::TakenBack => Some(true),
        Event::TakeBackRequested { .. } => Some(false),
        _ => None,
    })
}

/// The exit code of a phase. A release that went on without some of its services is not what was asked
/// for.
fn verdict(phase: Phase, hope: Hope, is_part_back: Option<bool>) -> u8 {
    match (phase, hope) {
        (Phase::RolledBack | Phase::Cancelled, Hope::PartBack) => exit::SUCCEEDED,
        (_, Hope::PartBack) if is_part_back == Some(true) => exit::SUCCEEDED,
        (Phase::Succeeded, Hope::Release) if is_part_back.is_some() => exit::NOT_SUCCEEDED,
        (Phase::Succeeded, Hope::Release) | (Phase::RolledBack | Phase::Cancelled, Hope::WayBack) => {
            exit::SUCCEEDED
        }
        (Phase::NeedsOperator, _) => exit::NEEDS_OPERATOR,
        (Phase::Queued | Phase::Running | Phase::Paused | Phase::RollingBack, _) => exit::WAITED_TOO_LONG,
        (Phase::RolledBack | Phase::Cancelled, Hope::Release)
        | (Phase::Succeeded, Hope::WayBack | Hope::PartBack)
        | (Phase::Failed | Phase::Superseded, _) => exit::NOT_SUCCEEDED,
    }
}

/// Whether the last event in the answer is the deployment's last one.
fn has_ended(view: &EventsView) -> bool {
    view.events.last().is_some_and(|last| {
        matches!(
            last.event,
            Event::ReleaseCommitted
                | Event::RolledBack
                | Event::Failed
                | Event::Cancelled
                | Event::Superseded { .. }
                | Event::Resolved { .. }
                | Event::CloseFailed { .. }
                | Event::OperatorNeeded { .. }
        )
    })
}

async fn next(client: &Client, request: WaitDeployment, shown: &mut Shown) -> Result<EventsView, Failure> {
    let mut away_since: Option<Instant> = None;
    loop {
        match client.call(DeploymentWait, &request).await {
            Ok(view) => return Ok(view),
            Err(failure) if failure.is_passing() => {
                let since = *away_since.get_or_insert_with(|| {
                    shown.line(
                        "the server does not answer; the deployment goes on there, and is looked for again",
                    );
                    Instant::now()
                });
                if since.elapsed() > AWAY_LIMIT {
                    return Err(failure);
                }
                sleep(AWAY_PAUSE).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// How it is shown.
struct Shown {
    progress: Progress,
    bar: Option<ProgressBar>,
    is_quiet: bool,
}

impl Shown {
    fn new(global: &Global, id: DeploymentId) -> Self {
        let is_terminal = std::io::stdout().is_terminal() && std::env::var_os("CI").is_none();
        let bar = (is_terminal && !global.json).then(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} steps, {elapsed}  {msg}");
            let bar = ProgressBar::new(0);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { progress: Progress::new(id), bar, is_quiet: global.json }
    }

    fn events(&mut self, view: &EventsView) {
        for envelope in &view.events {
            if let Some(line) = self.progress.line(envelope) {
                self.line(&line);
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_length(self.progress.done.1);
            bar.set_position(self.progress.done.0);
            bar.set_message(view.phase.word());
        }
    }

    fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            // Programs get one document; people are told on the other stream what it waits for.
            None if self.is_quiet => {}
            None => say!("{line}"),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
