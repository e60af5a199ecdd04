//! What can go wrong with a database, told apart: full, gone, unreadable.

use lockstep_engine::port::StoreError;
use serde::{Serialize, de::DeserializeOwned};
use std::path::PathBuf;

/// Why a data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or entered.
    #[error("the data folder {} cannot be used; check that it is yours and that the disk is not full", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It was written by a newer Lockstep.
    #[error("the data folder {} was written by a newer version of Lockstep (schema {version}); start that version, or another --data-dir. Nothing was changed", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its schema.
        version: i64,
    },
    /// The SQLite library has a fault that can damage a database.
    #[error("SQLite {found} can damage a database with several connections; Lockstep needs 3.51.3 or newer")]
    Library {
        /// The library's version.
        found: String,
    },
    /// The file is damaged.
    #[error("the database {} is damaged: {problem}; restore it from a backup", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What SQLite says.
        problem: String,
    },
    /// The database cannot be opened or migrated.
    #[error("the database {} cannot be opened", path.display())]
    Database {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// SQLite's primary codes for a full disk and a failed write.
const SQLITE_FULL: i32 = 13;
const SQLITE_IOERR_WRITE: i32 = 778;

pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    let Some(database) = error.as_database_error() else { return false };
    let code = database.code().and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| code == SQLITE_IOERR_WRITE || code & 0xff == SQLITE_FULL)
}

pub(crate) fn failed(operation: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| {
        if is_full(&source) {
            StoreError::Full { operation }
        } else {
            StoreError::Unavailable { operation, source: Box::new(source) }
        }
    }
}

pub(crate) fn from_json<T: DeserializeOwned>(
    text: &str,
    what: impl FnOnce() -> String,
) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|source| StoreError::Unreadable { what: what(), source: Box::new(source) })
}

pub(crate) fn to_json<T: Serialize>(value: &T, what: &'static str) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|source| StoreError::Unreadable { what: what.to_owned(), source: Box::new(source) })
}

/// A text column as one of the validated types.
pub(crate) fn parsed<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, StoreError>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|source: T::Err| StoreError::Unreadable {
        what: format!("{what} '{text}'"),
        source: Box::new(source),
    })
}

/// An enum as its word in the database.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
