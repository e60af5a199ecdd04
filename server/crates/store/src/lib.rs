//! The stores of Lockstep on SQLite: projects, deployments and people in one file that is synced at
//! every commit, output in another. The only crate that knows SQL. One writer, several readers;
//! what SQLite and PostgreSQL have in common is preferred.
#![forbid(unsafe_code)]

mod abandon;
mod answers;
mod audit;
mod commit;
mod deployments;
mod devices;
mod error;
mod grants;
mod hooks;
mod identity;
mod lease;
mod links;
mod logs;
mod manifests;
mod oidc;
mod open;
mod passwords;
mod restrictions;
mod scripts;
mod search;
mod secrets;
mod sessions;
#[cfg(feature = "testing")]
mod testing;
mod throttles;
mod tokens;
mod trust;

use sqlx::SqlitePool;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

pub use error::OpenError;
pub use logs::SqliteLogStore;
#[cfg(feature = "testing")]
pub use testing::{Death, Moment};

/// Projects, deployments and people, in `lockstep.db` of a data folder.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Given up when the disk is full, so that a rollback can still be recorded.
    reserve: PathBuf,
    /// When the last look whether it can be written went well.
    written: Arc<Mutex<Option<Instant>>>,
    /// When a proof wants it to die.
    #[cfg(feature = "testing")]
    death: Arc<Death>,
}

/// Looks that come closer together share one write, however many ask.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl SqliteStore {
    pub(crate) fn was_written_just_now(&self) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.is_some_and(|at| at.elapsed() < LOOK_EVERY)
    }

    pub(crate) fn has_been_written(&self) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}
