//! The revisions that should run on this host, with their ports: what is started again after a
//! crash or a reboot.

use crate::{AgentError, folder, sealed::Sealed};
use lockstep_model::{
    RevisionId,
    wire::{Exit, RevisionSpec},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// One revision that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// What it is.
    pub(crate) spec: RevisionSpec,
    /// Its port.
    pub(crate) port: u16,
    /// Which of its runs this is, from 1; the name of its folder.
    pub(crate) run: u32,
    /// How often it was started again by itself.
    #[serde(default)]
    pub(crate) restarts: u32,
    /// When that was, as far as the budget's window reaches.
    #[serde(default)]
    pub(crate) restarted_at_ms: Vec<i64>,
    /// It was told to end, and has perhaps not yet.
    #[serde(default)]
    pub(crate) ending: bool,
    /// How it ended, when it is not started again.
    #[serde(default)]
    pub(crate) given_up: Option<Exit>,
    /// Its secrets, so that it can be started again without anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secrets: Option<Sealed>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Document {
    boot: String,
    revisions: BTreeMap<String, Wanted>,
}

/// What is wanted, in memory and on the disk.
#[derive(Debug)]
pub(crate) struct Desired {
    path: PathBuf,
    document: Document,
    /// Whether the host was started anew since the file was written.
    pub(crate) rebooted: bool,
}

impl Desired {
    pub(crate) fn open(path: &Path) -> Result<Self, AgentError> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot = boot.trim().to_owned();
        let mut document = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| AgentError::Damaged { path: path.to_owned(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Document::default(),
            Err(source) => return Err(AgentError::Folder { path: path.to_owned(), source }),
        };
        let rebooted = !document.boot.is_empty() && document.boot != boot;
        document.boot = boot;
        Ok(Self { path: path.to_owned(), document, rebooted })
    }

    pub(crate) fn get(&self, revision: &RevisionId) -> Option<&Wanted> {
        self.document.revisions.get(revision.as_str())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Wanted> {
        self.document.revisions.values()
    }

    /// Keeps a revision, durably.
    pub(crate) fn put(&mut self, wanted: Wanted) -> io::Result<()> {
        let name = wanted.spec.revision.to_string();
        let before = self.document.revisions.insert(name.clone(), wanted);
        self.write().inspect_err(|_| match before {
            Some(before) => drop(self.document.revisions.insert(name, before)),
            None => drop(self.document.revisions.remove(&name)),
        })
    }

    /// Forgets a revision, durably.
    pub(crate) fn remove(&mut self, revision: &RevisionId) -> io::Result<()> {
        let Some(before) = self.document.revisions.remove(revision.as_str()) else { return Ok(()) };
        self.write().inspect_err(|_| drop(self.document.revisions.insert(revision.to_string(), before)))
    }

    fn write(&self) -> io::Result<()> {
        let bytes = serde_json::to_vec(&self.document).expect("plain values have a JSON form");
        folder::replace(&self.path, &bytes, true)
    }
}
