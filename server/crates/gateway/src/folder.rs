//! The gateway's folder: its rights, the lock that keeps a second gateway out, and the control
//! socket, which appears with its rights already set.

use crate::error::GatewayError;
use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Read, Seek, Write},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
};

/// `sun_path` holds 108 bytes, the last of them zero (unix(7)).
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The control socket of the gateway in `dir`.
pub fn socket_path(dir: &Path) -> PathBuf {
    dir.join("gateway.sock")
}

/// Makes the folder when it is missing and sees that nobody else can look into it.
pub(crate) fn prepare(dir: &Path) -> Result<(), GatewayError> {
    let failed = |source| GatewayError::Folder { path: dir.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let mode = fs::metadata(dir).map_err(failed)?.permissions().mode();
    if mode & 0o1000 != 0 {
        return Err(GatewayError::FolderShared { path: dir.to_owned() });
    }
    if mode & 0o077 != 0 {
        fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// Takes the lock of the folder. It belongs to the open file, so passing the file on passes the
/// lock on; it ends with the last process that holds it.
pub(crate) fn take_lock(dir: &Path) -> Result<File, GatewayError> {
    let path = dir.join("gateway.lock");
    let failed = |source| GatewayError::Folder { path: path.clone(), source };
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let known =
                (&mut file).take(16).read_to_string(&mut pid).is_ok() && pid.trim().parse::<u32>().is_ok();
            let holder = if known { format!(" (process {})", pid.trim()) } else { String::new() };
            return Err(GatewayError::Locked { path: dir.to_owned(), holder });
        }
        Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
    }
    sign_lock(&mut file).map_err(failed)?;
    Ok(file)
}

/// Writes the id of this process into the lock, for the message of the one who is refused.
pub(crate) fn sign_lock(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Opens the control socket, in place of one that a dead gateway left.
pub(crate) fn open_control(dir: &Path) -> Result<UnixListener, GatewayError> {
    let path = socket_path(dir);
    let beside = dir.join(".gw.sock");
    let open = || {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = with_short_path(&beside, |short| UnixListener::bind(short))?;
        fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
        fs::rename(&beside, &path)?;
        Ok(listener)
    };
    open().map_err(|source| GatewayError::ControlSocket { path: path.clone(), source })
}

/// Calls `with` a path to the same socket that fits into a socket address.
pub(crate) fn with_short_path<T>(path: &Path, with: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return with(path) };
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return with(path);
    }
    let dir = File::open(dir)?;
    with(&Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let lock = take_lock(dir.path()).unwrap();
        let refused = take_lock(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        let passed_on = lock.try_clone().unwrap();
        drop(lock);
        take_lock(dir.path()).unwrap_err();
        drop(passed_on);
        take_lock(dir.path()).unwrap();
    }

    #[test]
    fn the_control_socket_works_below_a_long_path_and_over_a_stale_one() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("d".repeat(120));
        prepare(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        for _ in 0..2 {
            let listener = open_control(&dir).unwrap();
            let path = socket_path(&dir);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            with_short_path(&path, |short| UnixStream::connect(short)).unwrap();
            drop(listener);
        }
    }

    #[test]
    fn a_folder_shared_by_all_users_is_refused() {
        let top = tempfile::tempdir().unwrap();
        fs::set_permissions(top.path(), Permissions::from_mode(0o1777)).unwrap();
        assert!(matches!(prepare(top.path()), Err(GatewayError::FolderShared { .. })));
    }
}
