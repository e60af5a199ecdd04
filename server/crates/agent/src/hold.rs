//! A hold runs one program, keeps its output and how it ended, and ends its whole
//! tree when told to or when its time is over. It is what a service's or a step's life depends on,
//! so it is small, has one thread, and needs neither agent nor coordinator.

mod nursery;
mod output;
mod start;
mod tree;

use crate::{
    now,
    run_dir::{Ended, HoldSpec, RunDir, Started},
    sealed::{self, Opened, Sealed},
};
use lockstep_model::wire::Exit;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        prctl,
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, setsid},
};
use output::Output;
use std::{
    fmt::Arguments,
    io::{self, Write},
    os::fd::AsFd,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};
pub use tree::end as end_descendants;

/// What a program writes after its end is read this long; a descendant may hold the pipe for ever.
const DRAIN: Duration = Duration::from_millis(200);
/// Grace when nobody says how long.
const GRACE_DEFAULT_MS: u64 = 10_000;

/// Serves the agent that started this process with a socket as standard input: a hold is forked for
/// each folder that comes in. Called before anything else of the program is set up.
pub fn serve_holds() -> ExitCode {
    nursery::serve()
}

/// Runs what the folder says, once: a folder that was run before is left alone. True when that went
/// well, however the program ended.
fn hold(dir: &Path) -> bool {
    // The program's folder becomes the current one before the last file is written.
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let held = try_hold(&RunDir::new(&dir));
    if let Err(error) = &held {
        complain(format_args!("{} cannot be run: {error}", dir.display()));
    }
    held.is_ok()
}

/// Says what is wrong. That it cannot be written, as on a full disk, is no reason to end.
fn complain(what: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "lockstep hold: {what}");
}

fn try_hold(dir: &RunDir) -> io::Result<()> {
    // Fails only for a group's leader, whom no terminal reaches by accident either.
    let _ = setsid();
    let Some((_lock, spec)) = dir.take_up()? else { return Ok(()) };
    if dir.path().join("pid.json").exists() || dir.path().join("exit.json").exists() {
        return Ok(());
    }
    prctl::set_child_subreaper(true)?;
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        mask.add(signal);
    }
    mask.thread_block()?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let secrets = match spec.secrets.as_ref().map_or_else(|| Ok(Opened::new()), Sealed::open) {
        Ok(secrets) => secrets,
        Err(why) => {
            let message = format!("its secrets cannot be opened: {why}");
            return dir.write_ended(&Ended { exit: Exit::NotStarted { message }, killed: false, at: now() });
        }
    };
    // Here, where output comes in, so that nothing unmasked is ever written.
    let mut output = Output::new(dir, spec.output, &sealed::mask(&secrets));
    let (reader, writer) = io::pipe()?;
    nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
    let pid = match start::start(&spec, &secrets, &writer) {
        Ok(pid) => pid,
        Err(error) => {
            let message = not_started(&spec, &error);
            return dir.write_ended(&Ended { exit: Exit::NotStarted { message }, killed: false, at: now() });
        }
    };
    drop((writer, secrets));
    let started = dir.write_started(&Started { pid: pid.as_raw(), at: now() });
    let mut program =
        Held { pid, spec: &spec, dir, deadline: None, stopped: false, timed_out: false, killed: false };
    program.deadline = spec.timeout_ms.map(|limit| Instant::now() + Duration::from_millis(limit));
    if started.is_err() || dir.stop_request().is_some() {
        program.stop();
    }
    let exit = program.wait(&signals, &reader, &mut output)?;
    if spec.end_tree || program.stopped || program.timed_out || program.killed {
        tree::end();
    }
    drain(&reader, &mut output);
    output.finish();
    let ended = Ended { exit, killed: program.killed, at: now() };
    // A full disk must not lose how it ended: nothing else is left to do here. When the folder is gone
    // nobody wants to know.
    while let Err(error) = dir.write_ended(&ended) {
        if error.kind() == io::ErrorKind::NotFound {
            return Err(error);
        }
        complain(format_args!("how {} ended cannot be written, trying again: {error}", spec.argv[0]));
        std::thread::sleep(Duration::from_secs(1));
    }
    started
}

fn not_started(spec: &HoldSpec, error: &io::Error) -> String {
    let program = spec.argv.first().map_or("", String::as_str);
    if !spec.workdir.is_dir() {
        return format!(
            "the folder {} does not exist on this host; correct 'workdir' or the artifact's path",
            spec.workdir.display()
        );
    }
    match error.kind() {
        io::ErrorKind::NotFound => format!(
            "the program '{program}' was not found, looking from {} and along PATH={}; install it, or give its whole path",
            spec.workdir.display(),
            spec.env.get("PATH").map_or("", String::as_str)
        ),
        io::ErrorKind::PermissionDenied => {
            format!("the program '{program}' may not be executed by this user; set its executable bit")
        }
        _ => format!("the program '{program}' could not be started: {error}"),
    }
}

/// The program that is held.
struct Held<'a> {
    pid: Pid,
    spec: &'a HoldSpec,
    dir: &'a RunDir,
    /// What is due then: the stop signal first, then the end of the tree.
    deadline: Option<Instant>,
    /// It was told to end: what it leaves running is not wanted either.
    stopped: bool,
    timed_out: bool,
    killed: bool,
}

impl Held<'_> {
    /// Sends the stop signal to the program's group; its tree is ended when the grace is over.
    fn stop(&mut self) {
        let grace_ms = self.dir.stop_request().map_or(GRACE_DEFAULT_MS, |request| request.grace_ms);
        let _ = kill(Pid::from_raw(-self.pid.as_raw()), Signal::SIGTERM);
        self.deadline = Some(Instant::now() + Duration::from_millis(grace_ms));
        self.timed_out = false;
        self.stopped = true;
    }

    fn wait(&mut self, signals: &SignalFd, reader: &io::PipeReader, output: &mut Output) -> io::Result<Exit> {
        let mut stopping = self.dir.stop_request().is_some();
        let mut open = true;
        loop {
            let timeout = self.deadline.map_or(PollTimeout::NONE, |deadline| {
                let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
                PollTimeout::try_from(left.min(Duration::from_secs(3600))).unwrap_or(PollTimeout::MAX)
            });
            let interest = if open { PollFlags::POLLIN } else { PollFlags::empty() };
            let mut ready =
                [PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(reader.as_fd(), interest)];
            let ready = if open { &mut ready[..] } else { &mut ready[..1] };
            match poll(ready, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            open = open && output.copy(reader);
            while let Ok(Some(info)) = signals.read_signal() {
                if i32::try_from(info.ssi_signo).is_ok_and(|number| number != Signal::SIGCHLD as i32) {
                    stopping = true;
                    self.stop();
                }
            }
            if let Some(exit) = self.reap() {
                return Ok(exit);
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.deadline = None;
                self.timed_out = !stopping;
                self.killed = true;
                tree::end_but(self.pid);
                let _ = kill(self.pid, Signal::SIGKILL);
            }
        }
    }

    /// Reaps everything that has ended; some when the program itself has.
    fn reap(&self) -> Option<Exit> {
        loop {
            let exit = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == self.pid => Exit::Code { code },
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.pid => {
                    Exit::Signal { signal: signal as i32 }
                }
                Ok(WaitStatus::StillAlive) => return None,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(_) => return Some(Exit::Lost),
            };
            return Some(match self.spec.timeout_ms {
                Some(timeout_ms) if self.timed_out => Exit::TimedOut { timeout_ms },
                _ => exit,
            });
        }
    }
}

fn drain(reader: &io::PipeReader, output: &mut Output) {
    let end = Instant::now() + DRAIN;
    while output.copy(reader) && Instant::now() < end {
        let left = end.saturating_duration_since(Instant::now());
        let mut ready = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut ready, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO));
    }
}
