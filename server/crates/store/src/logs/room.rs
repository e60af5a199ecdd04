//! The room that output takes, and how it is made free again: the first lines of a deployment, some at a
//! time, so that lines that come meanwhile do not wait. Never decides whose.

use crate::error::failed;
use lockstep_engine::port::StoreError;
use lockstep_model::DeploymentId;
use sqlx::{Row, SqlitePool};

/// Pages in use; those that were made free are written again before the file grows.
const SIZE: &str = "SELECT (pages.page_count - free.freelist_count) * size.page_size \
                    FROM pragma_page_count AS pages, pragma_freelist_count AS free, pragma_page_size AS size";

/// Whoever wrote longest ago comes first.
const OWNERS: &str = "SELECT deployment FROM (SELECT deployment, (SELECT max(id) FROM line \
                      WHERE line.deployment = size.deployment) AS last FROM size) \
                      WHERE last IS NOT NULL ORDER BY last";

pub(super) async fn size(readers: &SqlitePool) -> Result<u64, StoreError> {
    let size: i64 = sqlx::query_scalar(SIZE).fetch_one(readers).await.map_err(failed("measuring output"))?;
    Ok(u64::try_from(size).unwrap_or(0))
}

pub(super) async fn owners(readers: &SqlitePool) -> Result<Vec<DeploymentId>, StoreError> {
    let all = sqlx::query_scalar(OWNERS).fetch_all(readers).await.map_err(failed("listing output"))?;
    Ok(all.into_iter().map(DeploymentId).collect())
}

pub(super) async fn remove(
    writer: &SqlitePool,
    deployment: DeploymentId,
    lines_max: u32,
    bytes_max: u64,
) -> Result<u64, StoreError> {
    const OPERATION: &str = "removing output";
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
    let removed = sqlx::query(
        "DELETE FROM line WHERE id IN (SELECT id FROM line WHERE deployment = $1 ORDER BY id LIMIT $2)",
    )
    .bind(deployment.0)
    .bind(i64::from(lines_max))
    .execute(&mut *transaction)
    .await
    .map_err(failed(OPERATION))?
    .rows_affected();
    if removed > 0 {
        sqlx::query(
            "INSERT INTO removed (deployment, lines, bytes_max) VALUES ($1, $2, $3) ON CONFLICT (deployment) \
             DO UPDATE SET lines = lines + excluded.lines, bytes_max = excluded.bytes_max",
        )
        .bind(deployment.0)
        .bind(i64::try_from(removed).unwrap_or(i64::MAX))
        .bind(i64::try_from(bytes_max).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
    }
    transaction.commit().await.map_err(failed(OPERATION))?;
    Ok(removed)
}

/// What is said of output of a deployment that is gone.
pub(super) async fn removed(
    readers: &SqlitePool,
    deployment: DeploymentId,
) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT lines, bytes_max FROM removed WHERE deployment = $1")
        .bind(deployment.0)
        .fetch_optional(readers)
        .await
        .map_err(failed("reading what was removed"))?;
    Ok(row.map(|row| said(row.get(0), row.get(1))))
}

fn said(lines: i64, bytes_max: i64) -> String {
    let lines = if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
    format!("Earlier output was removed to keep within {} MiB of output in all ({lines})", bytes_max >> 20)
}
