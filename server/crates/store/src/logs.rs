//! Output of steps, in a file of its own: batched, not synced at every line, capped a deployment.

use crate::{
    error::{OpenError, failed},
    open::{make_folder, pool, touch_private},
};
use async_trait::async_trait;
use lockstep_engine::port::{LogRow, LogStore, StoreError};
use lockstep_model::{
    DeploymentId, Timestamp,
    api::{LogPage, PAGE_ROWS_MAX},
    view::LogLine,
};
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool, sqlite::SqliteSynchronous};
use std::path::Path;

/// What is kept of a deployment's output.
const DEPLOYMENT_BYTES_MAX: i64 = 50 << 20;
/// What is kept of a line.
const LINE_CHARS_MAX: usize = 8_192;
const ROWS_MAX: usize = 500;
const CUT: &str = "… output beyond 50 MiB is not kept";

/// Output of steps, in `logs.db` of a data folder.
#[derive(Debug, Clone)]
pub struct SqliteLogStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteLogStore {
    /// Opens the file in the data folder, and makes it when it is not there.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(data_dir: &Path) -> Result<Self, OpenError> {
        make_folder(data_dir)?;
        let file = data_dir.join("logs.db");
        let database =
            |source: sqlx::Error| OpenError::Database { path: file.clone(), source: Box::new(source) };
        touch_private(&file).map_err(|source| OpenError::Folder { path: data_dir.to_owned(), source })?;
        let writer = pool(&file, SqliteSynchronous::Normal, false, 1).await.map_err(database)?;
        sqlx::raw_sql(
            "CREATE TABLE IF NOT EXISTS line (id INTEGER PRIMARY KEY AUTOINCREMENT, deployment BIGINT NOT NULL, \
             step TEXT NOT NULL, work TEXT NOT NULL, place BIGINT NOT NULL, at BIGINT NOT NULL, text TEXT NOT NULL, \
             UNIQUE (work, place)); \
             CREATE INDEX IF NOT EXISTS line_by_deployment ON line (deployment, id); \
             CREATE TABLE IF NOT EXISTS size (deployment BIGINT NOT NULL PRIMARY KEY, bytes BIGINT NOT NULL);",
        )
        .execute(&writer)
        .await
        .map_err(database)?;
        let readers = pool(&file, SqliteSynchronous::Normal, true, 2).await.map_err(database)?;
        Ok(Self { writer, readers })
    }
}

#[async_trait]
impl LogStore for SqliteLogStore {
    async fn log_append(&self, rows: &[LogRow]) -> Result<(), StoreError> {
        const OPERATION: &str = "output";
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
        let mut deployments: Vec<DeploymentId> = rows.iter().map(|row| row.deployment).collect();
        deployments.sort_unstable();
        deployments.dedup();
        for id in deployments {
            let kept: Option<i64> = sqlx::query_scalar("SELECT bytes FROM size WHERE deployment = $1")
                .bind(id.0)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
            let mut bytes = kept.unwrap_or(0);
            let mut taken: Vec<(&LogRow, String)> = Vec::new();
            for row in rows.iter().filter(|row| row.deployment == id) {
                if bytes > DEPLOYMENT_BYTES_MAX {
                    break;
                }
                let text: String = row.text.chars().take(LINE_CHARS_MAX).collect();
                bytes += i64::try_from(text.len() + 1).unwrap_or(0);
                let is_last = bytes > DEPLOYMENT_BYTES_MAX;
                taken.push((row, if is_last { CUT.to_owned() } else { text }));
            }
            for chunk in taken.chunks(ROWS_MAX) {
                let mut query = QueryBuilder::<Sqlite>::new(
                    "INSERT INTO line (deployment, step, work, place, at, text) ",
                );
                query.push_values(chunk, |mut values, (row, text)| {
                    values
                        .push_bind(id.0)
                        .push_bind(row.step.as_str())
                        .push_bind(row.order.0.as_str())
                        .push_bind(row.offset)
                        .push_bind(row.at.0)
                        .push_bind(text.as_str());
                });
                query.push(" ON CONFLICT (work, place) DO NOTHING");
                query.build().execute(&mut *transaction).await.map_err(failed(OPERATION))?;
            }
            sqlx::query(
                "INSERT INTO size (deployment, bytes) VALUES ($1, $2) ON CONFLICT (deployment) DO UPDATE SET bytes = excluded.bytes",
            )
            .bind(id.0)
            .bind(bytes)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        }
        transaction.commit().await.map_err(failed(OPERATION))
    }

    async fn log_read(
        &self,
        deployment: DeploymentId,
        step: Option<&str>,
        after: i64,
        limit: u32,
    ) -> Result<LogPage, StoreError> {
        let limit = limit.clamp(1, PAGE_ROWS_MAX);
        let rows = sqlx::query(
            "SELECT id, at, step, text FROM line WHERE deployment = $1 AND id > $2 AND ($3 IS NULL OR step = $3) \
             ORDER BY id LIMIT $4",
        )
        .bind(deployment.0)
        .bind(after)
        .bind(step)
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.readers)
        .await
        .map_err(failed("reading output"))?;
        let more = rows.len() > limit as usize;
        let lines: Vec<LogLine> = rows
            .iter()
            .take(limit as usize)
            .map(|row| LogLine {
                cursor: row.get(0),
                at: Timestamp(row.get(1)),
                step: row.get(2),
                text: row.get(3),
            })
            .collect();
        let next = lines.last().map_or(after, |line| line.cursor);
        Ok(LogPage { lines, next, more })
    }
}
