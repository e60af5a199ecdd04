//! Why a gateway did not start, ended, or could not be asked.

use std::{io, path::PathBuf};

/// Why a gateway did not start, ended with a failure, or could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The folder could not be made or read.
    #[error("the gateway's folder {path} cannot be used; check that it exists and belongs to this user")]
    Folder {
        /// The folder or the file in it.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder is shared with other users, as `/tmp` is.
    #[error("{path} is shared with other users; give the gateway a folder of its own")]
    FolderShared {
        /// The folder.
        path: PathBuf,
    },
    /// Another gateway serves this folder.
    #[error("another gateway{holder} serves {path}; stop it, or start this one with a handover")]
    Locked {
        /// The folder.
        path: PathBuf,
        /// " (process 123)", when known.
        holder: String,
    },
    /// The routing is damaged or was written by a newer gateway.
    #[error(
        "{path} cannot be understood: {reason}. It was left as it is; restore it, or move it away and let the agent set the routes again"
    )]
    RoutesRefused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The routing could not be read.
    #[error("{path} cannot be read")]
    RoutesRead {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The routing could not be made durable.
    #[error("{path} cannot be written")]
    RoutesWrite {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The control socket could not be made.
    #[error("the control socket {path} cannot be opened")]
    ControlSocket {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The handler for stop signals could not be set.
    #[error("the gateway cannot listen for stop signals")]
    Signals {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The gateway that serves the folder did not hand its sockets over.
    #[error("the running gateway did not hand over: {reason}")]
    HandoverRefused {
        /// Why.
        reason: String,
    },
    /// The sockets could not be passed on.
    #[error("the handover broke off while {step}")]
    Handover {
        /// What was being done.
        step: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No gateway answers at this socket.
    #[error("no gateway answers at {path}; start one with `lockstep gateway --dir {}`", path.parent().unwrap_or(path).display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The gateway closed the connection without an answer, again and again.
    #[error("the gateway at {path} closed the connection without an answer")]
    NoAnswer {
        /// The socket.
        path: PathBuf,
    },
    /// What the gateway said could not be understood.
    #[error("the gateway at {path} gave an answer that this version does not understand")]
    Answer {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}
