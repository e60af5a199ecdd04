//! A history that never happened, for measuring: rows without journals.

use crate::{SqliteStore, error::failed, error::to_json, error::word, search};
use lockstep_engine::port::StoreError;
use lockstep_model::view::DeploymentSummary;

const OPERATION: &str = "filling a history";
const BATCH: usize = 1_000;

impl SqliteStore {
    /// Keeps ended deployments without journals, under their own numbers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn history_fill(&self, rows: &[DeploymentSummary]) -> Result<(), StoreError> {
        for chunk in rows.chunks(BATCH) {
            let mut transaction =
                self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
            for row in chunk {
                sqlx::query(
                    "INSERT INTO deployment (id, project, environment, phase, epoch, owner, seq, requested_at, finished_at, summary) \
                     VALUES ($1, $2, $3, $4, 1, 'history', $5, $6, $7, $8)",
                )
                .bind(row.id.0)
                .bind(row.project.as_str())
                .bind(row.environment.as_str())
                .bind(word(&row.phase))
                .bind(row.seq.0)
                .bind(row.clocks.requested_at.0)
                .bind(row.clocks.finished_at.map(|at| at.0))
                .bind(to_json(row, OPERATION)?)
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
                search::write(&mut transaction, row.id, row, true).await.map_err(failed(OPERATION))?;
            }
            transaction.commit().await.map_err(failed(OPERATION))?;
        }
        Ok(())
    }
}
