//! Who owns deployments, and until when. A claim looks and takes in one transaction, so of two that
//! come at the same time one finds the other's lease.

use crate::{SqliteStore, error::failed};
use lockstep_engine::port::{StoreError, store::Claim};
use lockstep_model::{DeploymentId, Epoch, Timestamp};
use sqlx::Row;

/// A lease that ran out so long ago is of somebody who owns nothing unfinished, or is replaced.
const FORGET_MS: i64 = 86_400_000;

impl SqliteStore {
    pub(crate) async fn claim(
        &self,
        id: DeploymentId,
        owner: &str,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        const OPERATION: &str = "claiming a deployment";
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
        let found = sqlx::query(
            "SELECT deployment.owner, lease.until FROM deployment LEFT JOIN lease ON lease.owner = deployment.owner \
             WHERE id = $1 AND finished_at IS NULL",
        )
        .bind(id.0)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let Some(found) = found else { return Ok(Claim::Finished) };
        let (before, until): (String, Option<i64>) = (found.get(0), found.get(1));
        if before != owner {
            if until.is_some_and(|until| until > now.0) {
                return Ok(Claim::Leased { owner: before });
            }
            sqlx::query("DELETE FROM lease WHERE owner = $1")
                .bind(&before)
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
        }
        let epoch: i64 = sqlx::query_scalar(
            "UPDATE deployment SET epoch = epoch + 1, owner = $1 WHERE id = $2 RETURNING epoch",
        )
        .bind(owner)
        .bind(id.0)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Claim::Owned(Epoch(epoch)))
    }

    pub(crate) async fn begin_lease(
        &self,
        owner: &str,
        until: Timestamp,
        alone: bool,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "the lease of this coordinator";
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
        sqlx::query("DELETE FROM lease WHERE owner <> $1 AND ($2 OR until < $3)")
            .bind(owner)
            .bind(alone)
            .bind(until.0 - FORGET_MS)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        sqlx::query(
            "INSERT INTO lease (owner, until) VALUES ($1, $2) ON CONFLICT (owner) DO UPDATE SET until = excluded.until",
        )
        .bind(owner)
        .bind(until.0)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        transaction.commit().await.map_err(failed(OPERATION))
    }

    pub(crate) async fn renew_lease(&self, owner: &str, until: Timestamp) -> Result<bool, StoreError> {
        let renewed = sqlx::query("UPDATE lease SET until = $1 WHERE owner = $2")
            .bind(until.0)
            .bind(owner)
            .execute(&self.writer)
            .await
            .map_err(failed("the lease of this coordinator"))?;
        Ok(renewed.rows_affected() == 1)
    }

    pub(crate) async fn end_lease(&self, owner: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM lease WHERE owner = $1")
            .bind(owner)
            .execute(&self.writer)
            .await
            .map_err(failed("the end of a lease"))?;
        Ok(())
    }
}
