//! Throttles of tries: counted before a try is made, so that many at the same time count as many.

use crate::{SqliteStore, error::failed};
use lockstep_engine::port::{
    StoreError,
    identity::{Throttle, Tried},
};
use lockstep_model::Timestamp;
use sqlx::{Executor, Row, Sqlite};

async fn fetch<'a>(from: impl Executor<'a, Database = Sqlite>, key: &str) -> Result<Throttle, StoreError> {
    let row = sqlx::query("SELECT failures, blocked_until FROM throttle WHERE key = $1")
        .bind(key)
        .fetch_optional(from)
        .await
        .map_err(failed("reading a throttle"))?;
    Ok(row.map_or_else(Throttle::default, |row| Throttle {
        failures: u32::try_from(row.get::<i64, _>(0)).unwrap_or(u32::MAX),
        blocked_until: Timestamp(row.get(1)),
    }))
}

async fn put<'a>(
    into: impl Executor<'a, Database = Sqlite>,
    key: &str,
    throttle: Throttle,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO throttle (key, failures, blocked_until) VALUES ($1, $2, $3) \
         ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, blocked_until = excluded.blocked_until",
    )
    .bind(key)
    .bind(i64::from(throttle.failures))
    .bind(throttle.blocked_until.0)
    .execute(into)
    .await
    .map_err(failed("a throttle"))?;
    Ok(())
}

impl SqliteStore {
    pub(crate) async fn fetch_throttle(&self, key: &str) -> Result<Throttle, StoreError> {
        fetch(&self.readers, key).await
    }

    pub(crate) async fn try_throttle(
        &self,
        key: &str,
        now: Timestamp,
        after: fn(Throttle, Timestamp) -> Throttle,
    ) -> Result<Tried, StoreError> {
        const OPERATION: &str = "counting a try";
        // Most that are refused are refused without writing anything.
        let seen = fetch(&self.readers, key).await?;
        if seen.blocked_until > now {
            return Ok(Tried::Waits(seen.blocked_until));
        }
        let mut transaction = self.begin(OPERATION).await?;
        let before = fetch(&mut *transaction, key).await?;
        if before.blocked_until > now {
            return Ok(Tried::Waits(before.blocked_until));
        }
        let counted = after(before, now);
        put(&mut *transaction, key, counted).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Tried::Counted(counted))
    }

    pub(crate) async fn delay_throttle(&self, key: &str, until: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE throttle SET blocked_until = $1 WHERE key = $2 AND blocked_until < $1")
            .bind(until.0)
            .bind(key)
            .execute(&self.writer)
            .await
            .map_err(failed("a throttle"))?;
        Ok(())
    }

    pub(crate) async fn set_throttle(&self, key: &str, throttle: Option<Throttle>) -> Result<(), StoreError> {
        let Some(throttle) = throttle else {
            let forget = sqlx::query("DELETE FROM throttle WHERE key = $1").bind(key);
            forget.execute(&self.writer).await.map_err(failed("a throttle"))?;
            return Ok(());
        };
        put(&self.writer, key, throttle).await
    }

    pub(crate) async fn forget_throttles(&self, prefix: &str, before: Timestamp) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM throttle WHERE substr(key, 1, length($1)) = $1 AND blocked_until < $2")
            .bind(prefix)
            .bind(before.0)
            .execute(&self.writer)
            .await
            .map_err(failed("forgetting throttles"))?;
        Ok(())
    }
}
