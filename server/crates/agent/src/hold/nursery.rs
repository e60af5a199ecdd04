//! The nursery: one thread that forks a hold for every folder it is told of, and tells which have
//! ended. It knows nothing about them, and ends with the agent that started it; they go on.

use super::{complain, hold};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, dup2_stdin, fork},
};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileTypeExt,
    },
    path::Path,
    process::ExitCode,
};

/// Serves the agent on the other side of standard input, until it is gone.
pub(super) fn serve() -> ExitCode {
    match try_serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("it is started by the agent, and cannot work without it: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn try_serve() -> io::Result<()> {
    // Standard input is a socket: folders come in, and go back when their holds have ended.
    let mut agent = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    if !agent.metadata()?.file_type().is_socket() {
        return Err(io::Error::other("standard input is no socket"));
    }
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    mask.thread_block()?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let mut holds: HashMap<Pid, String> = HashMap::new();
    let mut begun = Vec::new();
    loop {
        let mut fds =
            [PollFd::new(agent.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let has_news = fds[0].any().unwrap_or(false);
        while signals.read_signal()?.is_some() {}
        for ended in reaped() {
            if let Some(folder) = holds.remove(&ended) {
                agent.write_all(format!("{folder}\n").as_bytes())?;
            }
        }
        if !has_news {
            continue;
        }
        let mut piece = [0; 64 * 1024];
        let count = agent.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        begun.extend_from_slice(&piece[..count]);
        while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = begun.drain(..=end).collect();
            let folder = String::from_utf8_lossy(&line[..end]).into_owned();
            match fork_one()? {
                Some(pid) => drop(holds.insert(pid, folder)),
                None => {
                    // The hold from here on; it must keep neither the socket nor our signals.
                    drop((agent, signals));
                    let ended_well = apart(&mask).is_ok() && hold(Path::new(&folder));
                    std::process::exit(i32::from(!ended_well));
                }
            }
        }
    }
}

/// A child's process id for the parent, none for the child.
#[allow(unsafe_code, reason = "fork, in a process that has one thread")]
fn fork_one() -> io::Result<Option<Pid>> {
    // SAFETY: this process never starts a second thread, so the child may do whatever the parent
    // could.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

fn apart(mask: &SigSet) -> io::Result<()> {
    dup2_stdin(OwnedFd::from(File::open("/dev/null")?))?;
    mask.thread_unblock()?;
    Ok(())
}

/// Children that have ended.
fn reaped() -> Vec<Pid> {
    let mut ended = Vec::new();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => ended.push(pid),
            Ok(WaitStatus::StillAlive) | Err(_) => return ended,
            Ok(_) => {}
        }
    }
}
