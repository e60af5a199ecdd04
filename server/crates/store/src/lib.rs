//! The stores of Lockstep on SQLite: projects, deployments and people in one file that is synced at
//! every commit, output in another. The only crate that knows SQL. One writer, several readers;
//! what SQLite and PostgreSQL have in common is preferred.
#![forbid(unsafe_code)]

mod commit;
mod deployments;
mod error;
mod identity;
mod logs;
mod manifests;
mod open;

use sqlx::SqlitePool;
use std::path::PathBuf;

pub use error::OpenError;
pub use logs::SqliteLogStore;

/// Projects, deployments and people, in `lockstep.db` of a data folder.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Given up when the disk is full, so that a rollback can still be recorded.
    reserve: PathBuf,
}
