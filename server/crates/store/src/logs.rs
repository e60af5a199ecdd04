//! Output of steps, in a file of its own: batched, not synced at every line, capped a deployment.

mod room;

use crate::{
    error::{OpenError, failed},
    open::{make_folder, pool, touch_private},
};
use async_trait::async_trait;
use lockstep_engine::port::{CheckRow, LogPart, LogRow, LogStore, StoreError};
use lockstep_model::{
    DeploymentId, Timestamp,
    api::{LOG_LINES_MAX, LogPage},
    gateway::Slot,
    view::{CheckBucket, CheckView, LogLine},
};
use sqlx::{
    QueryBuilder, Row, Sqlite, SqlitePool,
    sqlite::{SqliteRow, SqliteSynchronous},
};
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
             CREATE TABLE IF NOT EXISTS looks (slot TEXT NOT NULL, at BIGINT NOT NULL, healthy BIGINT NOT NULL, \
             degraded BIGINT NOT NULL, unhealthy BIGINT NOT NULL, unknown BIGINT NOT NULL, \
             latency_max_ms BIGINT NOT NULL, PRIMARY KEY (slot, at)) WITHOUT ROWID; \
             CREATE INDEX IF NOT EXISTS looks_by_time ON looks (at); \
             CREATE TABLE IF NOT EXISTS looks_last (slot TEXT NOT NULL PRIMARY KEY, at BIGINT NOT NULL, \
             looks TEXT NOT NULL) WITHOUT ROWID; \
             CREATE TABLE IF NOT EXISTS size (deployment BIGINT NOT NULL PRIMARY KEY, bytes BIGINT NOT NULL); \
             CREATE TABLE IF NOT EXISTS removed (deployment BIGINT NOT NULL PRIMARY KEY, lines BIGINT NOT NULL, \
             bytes_max BIGINT NOT NULL);",
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
        part: LogPart,
        limit: u32,
    ) -> Result<LogPage, StoreError> {
        let limit = limit.clamp(1, LOG_LINES_MAX);
        let (sign, place, order) = match part {
            LogPart::After(place) => (">", place, "ASC"),
            LogPart::Before(place) => ("<", place, "DESC"),
        };
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT id, at, step, text FROM line WHERE deployment = ");
        query.push_bind(deployment.0).push(format!(" AND id {sign} ")).push_bind(place);
        if let Some(step) = step {
            query.push(" AND step = ").push_bind(step);
        }
        query.push(format!(" ORDER BY id {order} LIMIT ")).push_bind(i64::from(limit) + 1);
        let rows = query.build().fetch_all(&self.readers).await.map_err(failed("reading output"))?;
        let more = rows.len() > limit as usize;
        let read = |row: &SqliteRow| LogLine {
            cursor: row.get(0),
            at: Timestamp(row.get(1)),
            step: row.get(2),
            text: row.get(3),
        };
        let mut lines: Vec<LogLine> = rows.iter().take(limit as usize).map(read).collect();
        let next = match part {
            LogPart::After(place) => lines.last().map_or(place, |line| line.cursor),
            LogPart::Before(place) => {
                lines.reverse();
                lines.first().map_or(place, |line| line.cursor)
            }
        };
        let removed = room::removed(&self.readers, deployment).await?;
        Ok(LogPage { lines, next, more, removed })
    }

    async fn log_count(&self, deployment: DeploymentId, before: i64) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM line WHERE deployment = $1 AND id < $2")
            .bind(deployment.0)
            .bind(before)
            .fetch_one(&self.readers)
            .await
            .map_err(failed("counting output"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn log_size(&self) -> Result<u64, StoreError> {
        room::size(&self.readers).await
    }

    async fn log_owners(&self) -> Result<Vec<DeploymentId>, StoreError> {
        room::owners(&self.readers).await
    }

    async fn log_remove(
        &self,
        deployment: DeploymentId,
        lines_max: u32,
        bytes_max: u64,
    ) -> Result<u64, StoreError> {
        room::remove(&self.writer, deployment, lines_max, bytes_max).await
    }

    async fn check_append(&self, rows: &[CheckRow], forget: Timestamp) -> Result<(), StoreError> {
        const OPERATION: &str = "looks at services";
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
        for chunk in rows.chunks(ROWS_MAX) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "INSERT INTO looks (slot, at, healthy, degraded, unhealthy, unknown, latency_max_ms) ",
            );
            query.push_values(chunk, |mut values, row| {
                let seen = &row.seen;
                values
                    .push_bind(row.slot.to_string())
                    .push_bind(seen.at.0)
                    .push_bind(i64::from(seen.healthy))
                    .push_bind(i64::from(seen.degraded))
                    .push_bind(i64::from(seen.unhealthy))
                    .push_bind(i64::from(seen.unknown))
                    .push_bind(i64::try_from(seen.latency_max_ms).unwrap_or(i64::MAX));
            });
            query.push(
                " ON CONFLICT (slot, at) DO UPDATE SET healthy = healthy + excluded.healthy, \
                 degraded = degraded + excluded.degraded, unhealthy = unhealthy + excluded.unhealthy, \
                 unknown = unknown + excluded.unknown, \
                 latency_max_ms = CASE WHEN excluded.latency_max_ms > latency_max_ms THEN excluded.latency_max_ms ELSE latency_max_ms END",
            );
            query.build().execute(&mut *transaction).await.map_err(failed(OPERATION))?;
            let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO looks_last (slot, at, looks) ");
            query.push_values(chunk, |mut values, row| {
                let looks =
                    serde_json::to_string(&(&row.slot, &row.last)).expect("plain values have a JSON form");
                values.push_bind(row.slot.to_string()).push_bind(row.seen.at.0).push_bind(looks);
            });
            query.push(" ON CONFLICT (slot) DO UPDATE SET at = excluded.at, looks = excluded.looks");
            query.build().execute(&mut *transaction).await.map_err(failed(OPERATION))?;
        }
        for forgotten in ["DELETE FROM looks WHERE at < $1", "DELETE FROM looks_last WHERE at < $1"] {
            sqlx::query(forgotten)
                .bind(forget.0)
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
        }
        transaction.commit().await.map_err(failed(OPERATION))
    }

    async fn check_read(
        &self,
        slot: &Slot,
        since: Timestamp,
        bucket_ms: u64,
    ) -> Result<Vec<CheckBucket>, StoreError> {
        let bucket = i64::try_from(bucket_ms.max(1)).unwrap_or(i64::MAX);
        let rows = sqlx::query(
            "SELECT at / $1 * $1, sum(healthy), sum(degraded), sum(unhealthy), sum(unknown), max(latency_max_ms) \
             FROM looks WHERE slot = $2 AND at >= $3 GROUP BY 1 ORDER BY 1",
        )
        .bind(bucket)
        .bind(slot.to_string())
        .bind(since.0)
        .fetch_all(&self.readers)
        .await
        .map_err(failed("reading looks at a service"))?;
        let count =
            |row: &SqliteRow, place: usize| u32::try_from(row.get::<i64, _>(place)).unwrap_or(u32::MAX);
        let read = |row: &SqliteRow| CheckBucket {
            at: Timestamp(row.get(0)),
            healthy: count(row, 1),
            degraded: count(row, 2),
            unhealthy: count(row, 3),
            unknown: count(row, 4),
            latency_max_ms: u64::try_from(row.get::<i64, _>(5)).unwrap_or(0),
        };
        Ok(rows.iter().map(read).collect())
    }

    async fn check_last(&self) -> Result<Vec<(Slot, Vec<CheckView>)>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar("SELECT looks FROM looks_last ORDER BY slot")
            .fetch_all(&self.readers)
            .await
            .map_err(failed("reading the last looks at services"))?;
        // One that cannot be read is not worth a start that fails: new looks come in seconds.
        Ok(rows.iter().filter_map(|looks| serde_json::from_str(looks).ok()).collect())
    }
}
