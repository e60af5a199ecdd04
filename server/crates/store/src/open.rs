//! Opening a data folder: modes, library version, migrations, a quick check, the reserve.

use crate::{SqliteStore, error::OpenError};
use sqlx::{
    Connection, SqlitePool,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

static MIGRATOR: Migrator = sqlx::migrate!("../../../migrations/sqlite");

/// The first library without the race that damages a database in WAL mode.
const LIBRARY_LEAST: (u32, u32, u32) = (3, 51, 3);
const READERS: u32 = 4;
const JOURNAL_BYTES_MAX: &str = "67108864";
/// What is kept back for the last words on a full disk.
const RESERVE_BYTES: usize = 16 << 20;

impl SqliteStore {
    /// Opens the data folder, and makes it when it is not there.
    ///
    /// # Errors
    /// [`OpenError`]; a folder of a newer version is left as it is.
    pub async fn open(data_dir: &Path) -> Result<Self, OpenError> {
        make_folder(data_dir)?;
        let file = data_dir.join("lockstep.db");
        let database =
            |source: sqlx::Error| OpenError::Database { path: file.clone(), source: Box::new(source) };
        touch_private(&file).map_err(|source| OpenError::Folder { path: data_dir.to_owned(), source })?;
        let writer = pool(&file, SqliteSynchronous::Full, false, 1).await.map_err(database)?;
        check_library(&writer).await.map_err(database)??;
        check_file(&writer, &file).await.map_err(database)??;
        MIGRATOR.run(&writer).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) => OpenError::Newer { path: data_dir.to_owned(), version },
            source => OpenError::Database { path: file.clone(), source: Box::new(source) },
        })?;
        let readers = pool(&file, SqliteSynchronous::Full, true, READERS).await.map_err(database)?;
        let store = Self {
            writer,
            readers,
            reserve: data_dir.join("reserve"),
            written: Arc::default(),
            #[cfg(feature = "testing")]
            death: Arc::new(crate::Death::as_told(data_dir)),
        };
        store.fill_reserve();
        Ok(store)
    }

    /// Closes all connections; what was committed stays.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Gives the reserve up; true when there was one.
    pub(crate) fn drop_reserve(&self) -> bool {
        let dropped = fs::remove_file(&self.reserve).is_ok();
        if dropped {
            tracing::error!(
                "the disk with the data folder is full; the reserve is given up so that what runs can end"
            );
        }
        dropped
    }

    /// Makes the reserve when there is room; without it Lockstep works, but a full disk stops it
    /// at once.
    pub(crate) fn fill_reserve(&self) {
        if self.reserve.exists() {
            return;
        }
        let write = || -> std::io::Result<()> {
            let mut file =
                fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&self.reserve)?;
            let block = vec![0u8; 1 << 20];
            for _ in 0..RESERVE_BYTES / block.len() {
                file.write_all(&block)?;
            }
            file.sync_all()
        };
        if let Err(error) = write() {
            let _ = fs::remove_file(&self.reserve);
            tracing::warn!("no room for a reserve of 16 MiB beside the database: {error}");
        }
    }
}

pub(crate) fn make_folder(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Folder { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)
}

/// The file exists and only its owner may read it, before SQLite writes a byte.
pub(crate) fn touch_private(file: &Path) -> std::io::Result<()> {
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(drop)
}

pub(crate) async fn pool(
    file: &Path,
    synchronous: SqliteSynchronous,
    read_only: bool,
    size: u32,
) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("journal_size_limit", JOURNAL_BYTES_MAX);
    let options = if read_only { options.pragma("query_only", "ON") } else { options };
    SqlitePoolOptions::new()
        .max_connections(size)
        .after_release(|connection, _| {
            Box::pin(async move {
                // Rollbacks that were left to the connection come first.
                connection.ping().await?;
                // When COMMIT finds the disk full, SQLite has ended the transaction by itself; the
                // connection still counts it and would refuse every other. A new one takes its place.
                Ok(!connection.is_in_transaction())
            })
        })
        .connect_with(options)
        .await
}

async fn check_library(pool: &SqlitePool) -> Result<Result<(), OpenError>, sqlx::Error> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(pool).await?;
    let mut parts = found.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    let version = (next(), next(), next());
    Ok(if version < LIBRARY_LEAST { Err(OpenError::Library { found }) } else { Ok(()) })
}

async fn check_file(pool: &SqlitePool, file: &Path) -> Result<Result<(), OpenError>, sqlx::Error> {
    let problem: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(pool).await?;
    Ok(if problem == "ok" { Ok(()) } else { Err(OpenError::Damaged { path: file.to_owned(), problem }) })
}
