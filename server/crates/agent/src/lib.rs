//! The agent: it carries out orders on a host and keeps what it was told to keep. It knows no
//! kinds of target, decides nothing, and never asks why.
//!
//! Everything it starts runs under a hold, a small supervisor of its own, so that neither the
//! agent's nor the coordinator's end touches a service or loses a step's output or exit code.

mod agent;
mod artifact;
mod connection;
mod desired;
mod dispatch;
mod environment;
mod error;
mod exec;
mod folder;
mod gateway;
mod hold;
mod keep;
mod launcher;
mod ledger;
mod outbox;
mod ports;
mod probe;
mod run_dir;
mod sealed;
mod spawn;

pub use agent::{AgentOptions, run};
pub use connection::Connect;
pub use error::AgentError;
pub use hold::{end_descendants, serve_holds};
pub use spawn::{Detached, spawn_detached};

use lockstep_model::Timestamp;
use std::{
    io,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// The process id of the agent of a folder; none when none runs.
///
/// # Errors
/// When the folder's lock cannot be looked at.
pub fn running(dir: &Path) -> io::Result<Option<i32>> {
    folder::lock_holder(&dir.join("agent.lock"))
}

/// Now, in milliseconds since the epoch.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A poisoned lock still holds a whole value here: every section only inserts or removes.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
