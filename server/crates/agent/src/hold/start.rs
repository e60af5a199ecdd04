//! Starting the program: in its folder, in a group of its own, with nothing of the hold's own
//! signals. The hold blocks the signals that it reads; a program that inherited that would never
//! hear that it is told to stop, so the mask is set by the kernel as it starts the program.

use crate::{run_dir::HoldSpec, sealed::Opened};
use nix::{
    fcntl::OFlag,
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn},
    sys::{
        signal::{SigSet, Signal},
        stat::Mode,
    },
    unistd::{AccessFlags, Pid, access},
};
use std::{
    env,
    ffi::{CString, OsStr},
    io::{self, PipeWriter},
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

const INPUT: i32 = 0;
const OUTPUT: i32 = 1;
const ERRORS: i32 = 2;

/// Starts what `spec` says, with `secrets` as further variables; its output goes to `writer`.
pub(super) fn start(spec: &HoldSpec, secrets: &Opened, writer: &PipeWriter) -> io::Result<Pid> {
    let program = spec.argv.first().ok_or_else(|| io::Error::other("the command is empty"))?;
    // Nothing else of the hold goes by its folder: all its own paths are absolute.
    env::set_current_dir(&spec.workdir)?;
    let path = found(program, spec.env.get("PATH").map_or("", String::as_str))?;
    let path = text(path.as_os_str())?;
    let argv = spec.argv.iter().map(|argument| text(argument.as_ref())).collect::<io::Result<Vec<_>>>()?;
    let secrets = secrets.iter().map(|(name, value)| (name, value.as_str()));
    let env = spec.env.iter().map(|(name, value)| (name, value.as_str())).chain(secrets);
    let env = env.map(|(name, value)| text(format!("{name}={value}").as_ref()));
    let env = env.collect::<io::Result<Vec<_>>>()?;

    let mut files = PosixSpawnFileActions::init()?;
    files.add_open(INPUT, "/dev/null", OFlag::O_RDONLY, Mode::empty())?;
    files.add_dup2(writer.as_raw_fd(), OUTPUT)?;
    files.add_dup2(writer.as_raw_fd(), ERRORS)?;
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigmask(&SigSet::empty())?;
    // Rust programs ignore it; others expect to be ended by it.
    let mut defaults = SigSet::empty();
    defaults.add(Signal::SIGPIPE);
    attributes.set_sigdefault(&defaults)?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    Ok(posix_spawn(path.as_c_str(), &files, &attributes, &argv, &env)?)
}

/// The program's file: as it is named, or the first that may be executed along the program's own
/// PATH.
fn found(program: &str, path: &str) -> io::Result<PathBuf> {
    if program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    let mut denied = false;
    for folder in path.split(':') {
        let candidate = Path::new(if folder.is_empty() { "." } else { folder }).join(program);
        if !candidate.is_file() {
            continue;
        }
        if access(&candidate, AccessFlags::X_OK).is_ok() {
            return Ok(candidate);
        }
        denied = true;
    }
    Err(if denied { io::ErrorKind::PermissionDenied } else { io::ErrorKind::NotFound }.into())
}

fn text(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::other("a NUL stands in an argument or variable"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::wait::waitpid;
    use std::io::Read;

    #[test]
    fn a_program_inherits_no_blocked_signals() {
        let mut blocked = SigSet::empty();
        blocked.add(Signal::SIGTERM);
        blocked.thread_block().expect("signals can be blocked");
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let spec: HoldSpec = serde_json::from_value(serde_json::json!({
            "argv": ["sh", "-c", "grep SigBlk /proc/self/status; pwd; echo $A, $S >&2"],
            "env": { "PATH": "/nowhere:/usr/bin:/bin", "A": "from the manifest" },
            "workdir": "/", "timeout_ms": null, "output": "rotate", "end_tree": false,
        }))
        .expect("a valid spec");
        let pid = start(&spec, &Opened::from([("S".to_owned(), "a secret".to_owned().into())]), &writer)
            .expect("sh is there");
        drop(writer);
        let mut output = String::new();
        reader.read_to_string(&mut output).expect("output");
        waitpid(pid, None).expect("it was started here");
        assert_eq!(output, "SigBlk:\t0000000000000000\n/\nfrom the manifest, a secret\n");
    }

    #[test]
    fn a_program_that_is_not_there_is_told_from_one_that_may_not_be_run() {
        let kind = |program: &str, path: &str| found(program, path).expect_err("not there").kind();
        assert_eq!(kind("no-such-program", "/usr/bin"), io::ErrorKind::NotFound);
        assert_eq!(kind("passwd", "/etc"), io::ErrorKind::PermissionDenied);
        assert_eq!(found("./x", "/usr/bin").expect("as named"), PathBuf::from("./x"));
    }
}
