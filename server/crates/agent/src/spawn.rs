//! Starting processes that outlive the one that starts them.

use std::{
    ffi::OsStr,
    fs::OpenOptions,
    io,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};
use tokio::task::JoinHandle;

/// A process that was started to outlive this one. Letting go of it ends nothing.
#[derive(Debug)]
pub struct Detached {
    /// Its process id.
    pub pid: u32,
    reaped: JoinHandle<()>,
}

impl Detached {
    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.reaped.is_finished()
    }
}

/// Starts `program` apart from this process: in a process group of its own, so that a ^C at the
/// terminal does not reach it, without standard input, its output appended to `log`. It is reaped
/// in the background when it ends first. Called within a runtime.
///
/// # Errors
/// When the log cannot be opened or the program cannot be started.
pub fn spawn_detached<A: AsRef<OsStr>>(program: &Path, arguments: &[A], log: &Path) -> io::Result<Detached> {
    let mut command = prepared(program, arguments, log)?;
    command.process_group(0);
    let mut child = tokio::process::Command::from(command).spawn()?;
    let pid = child.id().unwrap_or_default();
    let reaped = tokio::spawn(async move {
        // Whether it could be waited for changes nothing: it only must not stay a zombie.
        let _ = child.wait().await;
    });
    Ok(Detached { pid, reaped })
}

/// `program` without standard input, its output appended to `log`.
pub(crate) fn prepared<A: AsRef<OsStr>>(program: &Path, arguments: &[A], log: &Path) -> io::Result<Command> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).current_dir("/");
    Ok(command)
}
