//! The data folder: where everything is, the lock that keeps a second server off it, and the file
//! by which commands on the same machine find the server.

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The file whose folder nobody else may use, wherever it is.
const DATABASE: &str = "lockstep.db";

/// A data folder.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

/// How commands on this machine reach the server; readable by its owner only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Local {
    /// The server's address, as `http://127.0.0.1:3000`.
    pub url: String,
    /// Lets in as admin, until the server ends.
    pub token: String,
    /// The server's process.
    pub pid: u32,
}

/// Held while a server uses the folder, and the folder where the database really is.
#[derive(Debug)]
pub struct ServeLock(#[expect(dead_code, reason = "held for its drop")] Vec<Flock<File>>);

impl DataDir {
    /// The folder at `path`, made absolute and made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self(fs::canonicalize(path)?))
    }

    /// The folder at `path`, whether it is there or not.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The local agent's folder.
    pub fn agent(&self) -> PathBuf {
        self.0.join("agent")
    }

    /// The gateway's folder.
    pub fn gateway(&self) -> PathBuf {
        self.0.join("gateway")
    }

    /// Keeps other servers off the folder and off its database, wherever a link leads to; none when one
    /// is there already, with its process id. It counts as there as long as its process exists, also
    /// when it is stopped and answers nobody.
    ///
    /// # Errors
    /// When a lock file cannot be used.
    pub fn lock(&self) -> io::Result<Result<ServeLock, String>> {
        let mut folders = vec![self.0.clone()];
        if let Ok(database) = fs::canonicalize(self.0.join(DATABASE))
            && let Some(folder) = database.parent()
            && folder != self.0
        {
            folders.push(folder.to_owned());
        }
        let mut locks = Vec::new();
        for folder in folders {
            match lock_folder(&folder)? {
                Ok(lock) => locks.push(lock),
                Err(pid) => return Ok(Err(pid)),
            }
        }
        Ok(Ok(ServeLock(locks)))
    }

    /// Says how this server is reached.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn local_write(&self, local: &Local) -> io::Result<()> {
        private_write(&self.0.join("local.json"), &serde_json::to_vec(local)?)
    }

    /// How the server of this folder is reached; none when none was started here.
    pub fn local_read(&self) -> Option<Local> {
        let bytes = fs::read(self.0.join("local.json")).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Asks the server to end also all that it keeps, when it is told to end.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn end_all_write(&self) -> io::Result<()> {
        private_write(&self.0.join("end-all"), b"")
    }

    /// Whether that was asked; asked once.
    pub fn end_all_take(&self) -> bool {
        fs::remove_file(self.0.join("end-all")).is_ok()
    }

    /// Where the head of the audit is noted down.
    pub fn audit_head(&self) -> PathBuf {
        self.0.join("audit.head")
    }

    /// The key under which secrets are sealed, where nobody names another file.
    pub fn secrets_key(&self) -> PathBuf {
        self.0.join("secrets.key")
    }

    /// The key under which browsers keep sign-ins that are on their way to the identity provider.
    pub fn sign_in_key(&self) -> PathBuf {
        self.0.join("sign-in.key")
    }

    /// What closes the server.
    pub fn lockdown(&self) -> PathBuf {
        self.0.join("lockdown.json")
    }

    /// What is told while the server is closed.
    pub fn status(&self) -> PathBuf {
        self.0.join("status.json")
    }

    /// Forgets how this server is reached.
    pub fn local_remove(&self) {
        // A file that stays names a server that does not answer; commands say so.
        let _ = fs::remove_file(self.0.join("local.json"));
    }
}

fn lock_folder(folder: &Path) -> io::Result<Result<Flock<File>, String>> {
    let path = folder.join("serve.lock");
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            lock.set_len(0)?;
            lock.rewind()?;
            write!(*lock, "{}", std::process::id())?;
            Ok(Ok(lock))
        }
        Err((mut file, nix::errno::Errno::EAGAIN)) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid)?;
            Ok(Err(pid))
        }
        Err((_, error)) => Err(error.into()),
    }
}

/// Puts a file there that only its owner may read, as a whole.
pub(crate) fn private_write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(beside, path)
}

/// Makes a folder that only its owner may enter.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
