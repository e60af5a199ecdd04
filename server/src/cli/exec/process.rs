//! The script as a process: started in a group of its own, read line by line with secrets masked, and
//! ended with all that descends from it.

use super::{Exec, judge::Ended, milestones::plain, monitor::Monitor, report::Reporter, show};
use crate::serve::told_to_end;
use lockstep_model::script::REPORT_EVERY_MS;
use lockstep_secrets::Mask;
use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use std::{
    io::{self, BufRead, BufReader, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

/// Lines between the script and who reads them; a script that prints faster waits.
const LINES_MAX: usize = 256;
/// A longer line is shown in pieces.
const PIECE_BYTES_MAX: usize = 64 << 10;
/// What is written after the end is read this long; a descendant may hold the pipe.
const DRAIN: Duration = Duration::from_millis(500);
/// Variables of the wrapper that are nobody else's.
const OWN_VARIABLES: &[&str] = &["LOCKSTEP_TOKEN", "LOCKSTEP_SCRIPT"];

/// A line that the script printed, masked.
#[derive(Debug)]
pub(super) struct Line {
    /// Without its line end.
    pub(super) text: String,
    /// Whether it came from standard error.
    pub(super) is_error: bool,
}

/// Runs the script to its end, or ends it.
pub(super) async fn run(
    options: &Exec,
    mask: &Arc<Mask>,
    monitor: Option<&Monitor>,
    reporter: Option<&Reporter>,
) -> Ended {
    let (mut lines, mut ending, pid) = match start(&options.command, mask) {
        Ok(started) => started,
        Err(error) => return Ended::NotStarted(error.to_string()),
    };
    let watch = watched(monitor, reporter);
    tokio::pin!(watch);
    let told = told_to_end();
    tokio::pin!(told);
    let end = Instant::now() + options.timeout;
    let mut is_open = true;
    let ended = loop {
        tokio::select! {
            line = lines.recv(), if is_open => match line {
                Some(line) => heard(&line, reporter),
                None => is_open = false,
            },
            status = &mut ending => break status.ok().flatten().map_or(Ended::Signal(0), how),
            () = sleep_until(end) => break stopped(pid, options.grace, &mut ending, &mut lines, reporter, Ended::TimedOut).await,
            _ = &mut told => break stopped(pid, options.grace, &mut ending, &mut lines, reporter, Ended::Interrupted).await,
            () = &mut watch => {}
        }
    };
    // What it left running is ended with it: nobody would ever look after it.
    let _ = tokio::task::spawn_blocking(lockstep_agent::end_descendants).await;
    let _ = timeout(DRAIN, async {
        while let Some(line) = lines.recv().await {
            heard(&line, reporter);
        }
    })
    .await;
    if let Some(reporter) = reporter {
        reporter.ended(ended.is_well());
    }
    ended
}

/// Looks at what serves while the script runs; never returns.
async fn watched(monitor: Option<&Monitor>, reporter: Option<&Reporter>) {
    let (Some(monitor), Some(reporter)) = (monitor, reporter) else { return std::future::pending().await };
    loop {
        reporter.seen(&monitor.look().await);
        tokio::time::sleep(Duration::from_millis(REPORT_EVERY_MS)).await;
    }
}

fn heard(line: &Line, reporter: Option<&Reporter>) {
    show(line);
    if let Some(reporter) = reporter {
        reporter.line(&plain(&line.text));
    }
}

/// Tells the script to end, hears it out, and ends what is left when the grace is over.
async fn stopped(
    pid: Pid,
    grace: Duration,
    ending: &mut oneshot::Receiver<Option<ExitStatus>>,
    lines: &mut mpsc::Receiver<Line>,
    reporter: Option<&Reporter>,
    ended: Ended,
) -> Ended {
    let _ = kill(Pid::from_raw(-pid.as_raw()), Signal::SIGTERM);
    let end = Instant::now() + grace;
    let mut is_open = true;
    loop {
        tokio::select! {
            line = lines.recv(), if is_open => match line {
                Some(line) => heard(&line, reporter),
                None => is_open = false,
            },
            _ = &mut *ending => return ended,
            () = sleep_until(end) => return ended,
        }
    }
}

fn how(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}

type Started = (mpsc::Receiver<Line>, oneshot::Receiver<Option<ExitStatus>>, Pid);

fn start(command: &[String], mask: &Arc<Mask>) -> io::Result<Started> {
    // So that what the script leaves behind is found below this process, double forks too.
    prctl::set_child_subreaper(true)?;
    let [program, arguments @ ..] = command else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    for variable in OWN_VARIABLES {
        command.env_remove(variable);
    }
    let mut child =
        command.spawn().map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let (sender, lines) = mpsc::channel(LINES_MAX);
    let out = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    let errors = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    for (pipe, is_error) in [(out, false), (errors, true)] {
        let Some(pipe) = pipe else { continue };
        let (sender, mask) = (sender.clone(), mask.clone());
        std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            let send = |text| sender.blocking_send(Line { text, is_error }).is_ok();
            // A pipe that breaks has no more lines.
            let _ = read_lines(BufReader::new(pipe), &mask, send);
        })?;
    }
    let (tell, ending) = oneshot::channel();
    std::thread::Builder::new().name("ending".to_owned()).spawn(move || {
        let _ = tell.send(child.wait().ok());
    })?;
    Ok((lines, ending, Pid::from_raw(pid)))
}

/// Reads lines, masked; one that has no end comes in pieces, and no secret is cut between two.
fn read_lines(mut pipe: impl BufRead, mask: &Mask, mut send: impl FnMut(String) -> bool) -> io::Result<()> {
    let mut line: Vec<u8> = Vec::new();
    loop {
        let piece = pipe.fill_buf()?;
        if piece.is_empty() {
            break;
        }
        let (taken, is_whole) = match piece.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (piece.len(), false),
        };
        line.extend_from_slice(&piece[..taken]);
        pipe.consume(taken);
        if is_whole {
            let text = mask.masked(&String::from_utf8_lossy(&line));
            line.clear();
            if !send(text.trim_end_matches(['\n', '\r']).to_owned()) {
                return Ok(());
            }
        } else if line.len() > PIECE_BYTES_MAX + mask.longest() {
            let text = mask.masked(&String::from_utf8_lossy(&line));
            let cut = text.floor_char_boundary(text.len().saturating_sub(mask.longest()));
            if !send(text[..cut].to_owned()) {
                return Ok(());
            }
            line = text.as_bytes()[cut..].to_vec();
        }
    }
    if !line.is_empty() {
        send(mask.masked(&String::from_utf8_lossy(&line)));
    }
    Ok(())
}
