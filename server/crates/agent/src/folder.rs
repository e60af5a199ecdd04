//! Files that are there as a whole or not at all, folders that are nobody else's business, and
//! locks that tell who holds them.

use nix::fcntl::{FcntlArg, fcntl};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Makes a folder that only its owner may enter, with its parents.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Puts `bytes` in place of the file: by a new file and a rename. With `durable` it is on the disk
/// when this returns.
pub(crate) fn replace(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&beside, path)?;
    if durable && let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// A lock on a file, for the life of the process: the kernel lets go of it whatever happens, and
/// tells who holds it, so that no process id is ever trusted that could be somebody else's.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

fn whole_file(kind: i32) -> nix::libc::flock {
    nix::libc::flock {
        l_type: i16::try_from(kind).unwrap_or(0),
        l_whence: i16::try_from(nix::libc::SEEK_SET).unwrap_or(0),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// Takes the lock; none when somebody else holds it.
pub(crate) fn take_lock(path: &Path) -> io::Result<Option<Lock>> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match fcntl(&file, FcntlArg::F_SETLK(&whole_file(nix::libc::F_WRLCK))) {
        Ok(_) => Ok(Some(Lock { _file: file })),
        Err(nix::errno::Errno::EACCES | nix::errno::Errno::EAGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The process that holds the lock, if any. Never call it on a lock of one's own process: closing
/// the file here would let go of it.
pub(crate) fn lock_holder(path: &Path) -> io::Result<Option<i32>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut asked = whole_file(nix::libc::F_WRLCK);
    fcntl(&file, FcntlArg::F_GETLK(&mut asked))?;
    Ok((i32::from(asked.l_type) != nix::libc::F_UNLCK).then_some(asked.l_pid))
}
