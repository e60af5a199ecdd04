//! What can go wrong with an agent as a whole. What goes wrong with one order is its outcome.

use std::{io, path::PathBuf};

/// Why an agent cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its folder cannot be used.
    #[error("the agent's folder {path} cannot be used; check that it exists, is yours and has space")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another agent works in the folder.
    #[error("another agent (process {pid}) works in {path}; one folder has one agent")]
    Locked {
        /// Which folder.
        path: PathBuf,
        /// The other's process id.
        pid: i32,
    },
    /// A file of its own cannot be read.
    #[error(
        "{path} cannot be read: it is damaged or of a newer version; restore it, or move it away to begin anew"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}
