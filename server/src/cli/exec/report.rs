//! Reports to the coordination endpoint: all that is known each time, and the lines since the report
//! before. While the server is away lines wait in a buffer with a bound; what does not fit is counted.

use super::{Client, Failure, milestones::Milestones, monitor::Seen};
use crate::{clock::SystemClock, out::complain};
use lockstep_engine::port::Clock as _;
use lockstep_model::{
    api::ScriptReport,
    script::{LINE_BYTES_MAX, REPORT_EVERY_MS, REPORT_LINES_MAX, ReportScript, ScriptState, TEXT_CHARS_MAX},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep, timeout},
};

/// Lines that wait for a server that is away; at most 20 MB.
const LINES_WAITING_MAX: usize = 10_000;
/// Reports do not come closer together than this.
const REPORT_PAUSE: Duration = Duration::from_millis(300);
/// A server that is away is tried again after this time, which doubles up to the second one.
const AWAY_PAUSE: Duration = Duration::from_millis(500);
const AWAY_PAUSE_MAX: Duration = Duration::from_secs(8);
/// How long the first report is tried: nothing has begun yet.
const BEGIN_LIMIT: Duration = Duration::from_secs(30);
/// How long the last one is tried.
const END_LIMIT: Duration = Duration::from_secs(120);

/// Reports how a script goes on.
pub(super) struct Reporter {
    shared: Arc<Shared>,
    done: Option<oneshot::Receiver<Result<(), String>>>,
}

struct Shared {
    known: Mutex<Known>,
    news: Notify,
}

struct Known {
    /// The next report, but for its number and its lines.
    next: ReportScript,
    milestones: Milestones,
    /// Lines that were not reported yet; the first is line `next.first_line`.
    lines: VecDeque<String>,
    /// What the last report will say.
    end: Option<(ScriptState, String)>,
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        // A poisoned lock still holds a whole value: sections only assign.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known());
        self.news.notify_one();
    }
}

impl Reporter {
    /// Sends the first report, and goes on in the background.
    pub(super) async fn begin(client: Client, first: ReportScript) -> Result<Self, Failure> {
        let end = Instant::now() + BEGIN_LIMIT;
        let mut pause = AWAY_PAUSE;
        while let Err(failure) = client.call(ScriptReport, &first).await {
            if !failure.is_passing() || Instant::now() >= end {
                return Err(failure);
            }
            complain!("lockstep exec: {} does not answer; trying again before anything begins", client.url());
            sleep(pause).await;
            pause = (pause * 2).min(AWAY_PAUSE_MAX);
        }
        let known = Known {
            next: ReportScript { report: 2, ..first },
            milestones: Milestones::default(),
            lines: VecDeque::new(),
            end: None,
        };
        let shared = Arc::new(Shared { known: Mutex::new(known), news: Notify::new() });
        let (tell, done) = oneshot::channel();
        let reporting = shared.clone();
        tokio::spawn(async move {
            let _ = tell.send(keep_on(&client, &reporting).await);
        });
        Ok(Self { shared, done: Some(done) })
    }

    /// Hears a line, without control characters.
    pub(super) fn line(&self, text: &str) {
        let now = SystemClock.now();
        self.shared.change(|known| {
            known.milestones.hear(text, now);
            let mut line = text[..text.floor_char_boundary(LINE_BYTES_MAX)].to_owned();
            if line.len() < text.len() {
                line.push('…');
            }
            known.lines.push_back(line);
            if known.lines.len() > LINES_WAITING_MAX {
                known.lines.pop_front();
                known.next.first_line += 1;
                known.next.lines_lost += 1;
            }
        });
    }

    /// Hears what serves.
    pub(super) fn seen(&self, seen: &Seen) {
        self.shared.change(|known| known.next.seen = Some(seen.evidence.clone().kept()));
    }

    /// The script has ended; its outcome is not known yet.
    pub(super) fn ended(&self, is_well: bool) {
        let now = SystemClock.now();
        self.shared.change(|known| known.milestones.end(is_well, now));
    }

    /// Sends all that is left, and the verdict. An error says why that was not possible.
    pub(super) async fn finish(
        &mut self,
        state: ScriptState,
        reason: &str,
        exit_code: Option<i32>,
        seen: Option<&Seen>,
    ) -> Result<(), String> {
        let reason: String = reason.chars().take(TEXT_CHARS_MAX).collect();
        self.shared.change(|known| {
            known.next.exit_code = exit_code;
            if let Some(seen) = seen {
                known.next.seen = Some(seen.evidence.clone().kept());
            }
            known.end = Some((state, reason));
        });
        let Some(done) = self.done.take() else { return Ok(()) };
        match timeout(END_LIMIT, done).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("reporting ended too early".to_owned()),
            Err(_) => Err(format!("the server was not reachable for {} s", END_LIMIT.as_secs())),
        }
    }
}

/// Sends a report whenever there is news, and at least as often as a wrapper has to be heard.
async fn keep_on(client: &Client, shared: &Shared) -> Result<(), String> {
    loop {
        let (report, is_last) = next(&mut shared.known());
        send(client, &report).await?;
        if is_last {
            return Ok(());
        }
        let has_more = !shared.known().lines.is_empty();
        if !has_more {
            let _ = timeout(Duration::from_millis(REPORT_EVERY_MS), shared.news.notified()).await;
        }
        sleep(REPORT_PAUSE).await;
    }
}

/// Takes the next report; true when it is the last one.
fn next(known: &mut Known) -> (ReportScript, bool) {
    let count = known.lines.len().min(REPORT_LINES_MAX);
    let mut report = ReportScript {
        steps: known.milestones.steps().to_vec(),
        lines: known.lines.drain(..count).collect(),
        ..known.next.clone()
    };
    known.next.report += 1;
    known.next.first_line += count as u64;
    let end = known.end.clone().filter(|_| known.lines.is_empty());
    let is_last = end.is_some();
    if let Some((state, reason)) = end {
        (report.state, report.reason) = (state, reason);
    }
    (report, is_last)
}

/// Sends a report until it has arrived; the same one each time, so it counts once.
async fn send(client: &Client, report: &ReportScript) -> Result<(), String> {
    let mut pause = AWAY_PAUSE;
    let mut is_away = false;
    loop {
        match client.call(ScriptReport, report).await {
            Ok(_) => return Ok(()),
            Err(failure) if failure.is_passing() => {
                if !is_away {
                    complain!(
                        "lockstep exec: {} does not answer; the script goes on, and reports wait",
                        client.url()
                    );
                }
                is_away = true;
                sleep(pause).await;
                pause = (pause * 2).min(AWAY_PAUSE_MAX);
            }
            Err(failure) => {
                let why = failure.message().to_owned();
                complain!("lockstep exec: the script goes on, but its reports are refused: {why}");
                return Err(why);
            }
        }
    }
}
