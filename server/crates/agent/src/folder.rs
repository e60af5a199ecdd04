//! Files that are there as a whole or not at all, folders that are nobody else's business, and
//! locks that tell who holds them.

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
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
    file: File,
}

impl Lock {
    /// What the file holds. Opening it a second time and closing it would let go of the lock.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&self.file).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// A lock on a file for a moment. It keeps out holders of a [`Lock`], and stands until it is dropped:
/// unlike theirs it does not depend on what the rest of this process opens and closes meanwhile.
#[derive(Debug)]
pub(crate) struct BriefLock {
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

fn to_lock(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(path)
}

/// Whether the lock was given; it is not when somebody else holds it.
fn is_given(answer: nix::Result<i32>) -> io::Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(Errno::EACCES | Errno::EAGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes the lock, on a file that is made if need be; none when somebody else holds it.
pub(crate) fn take_lock(path: &Path) -> io::Result<Option<Lock>> {
    lock(to_lock(path, true)?)
}

/// Takes the lock of a file that is there; none when somebody else holds it.
pub(crate) fn take_lock_of(path: &Path) -> io::Result<Option<Lock>> {
    lock(to_lock(path, false)?)
}

fn lock(file: File) -> io::Result<Option<Lock>> {
    let answer = fcntl(&file, FcntlArg::F_SETLK(&whole_file(nix::libc::F_WRLCK)));
    Ok(is_given(answer)?.then_some(Lock { file }))
}

/// Takes the lock of a file that is there for a moment; none when somebody else holds it.
pub(crate) fn take_brief_lock(path: &Path) -> io::Result<Option<BriefLock>> {
    let file = to_lock(path, false)?;
    let answer = fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file(nix::libc::F_WRLCK)));
    Ok(is_given(answer)?.then_some(BriefLock { _file: file }))
}

/// The process that holds the lock for its life, if any. Never call it on a [`Lock`] of one's own
/// process: closing the file here would let go of it.
pub(crate) fn lock_holder(path: &Path) -> io::Result<Option<i32>> {
    let file = match to_lock(path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut asked = whole_file(nix::libc::F_WRLCK);
    fcntl(&file, FcntlArg::F_GETLK(&mut asked))?;
    // A brief lock belongs to no process; the kernel says -1.
    Ok((i32::from(asked.l_type) != nix::libc::F_UNLCK && asked.l_pid > 0).then_some(asked.l_pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brief_lock_stands_while_others_look_who_holds_it() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("lock");
        fs::write(&path, b"").expect("written");
        let held = take_brief_lock(&path).expect("readable").expect("free");
        assert_eq!(lock_holder(&path).expect("readable"), None, "nobody for its life");
        assert!(take_brief_lock(&path).expect("readable").is_none(), "it is still held");
        assert!(take_lock(&path).expect("readable").is_none(), "and keeps the others out");
        drop(held);
        assert!(take_lock(&path).expect("readable").is_some());
    }
}
