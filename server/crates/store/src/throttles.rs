//! Throttles of tries: counted before a try is made, so that many at the same time count as many.

use crate::{SqliteStore, error::failed};
use lockstep_engine::port::{
    StoreError,
    identity::{Throttle, Tidying, Tried},
};
use lockstep_model::Timestamp;
use sqlx::{Executor, Row, Sqlite, sqlite::SqliteRow};

async fn fetch<'a>(from: impl Executor<'a, Database = Sqlite>, key: &str) -> Result<Throttle, StoreError> {
    let row = sqlx::query("SELECT failures, blocked_until FROM throttle WHERE key = $1")
        .bind(key)
        .fetch_optional(from)
        .await
        .map_err(failed("reading a throttle"))?;
    Ok(row.map_or_else(Throttle::default, |row| throttle(&row, 0)))
}

/// A throttle, whose columns begin at `at`.
fn throttle(row: &SqliteRow, at: usize) -> Throttle {
    let failures = u32::try_from(row.get::<i64, _>(at)).unwrap_or(u32::MAX);
    Throttle { failures, blocked_until: Timestamp(row.get(at + 1)) }
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

    pub(crate) async fn tidy_throttles(&self, rule: &Tidying) -> Result<(), StoreError> {
        const OPERATION: &str = "tidying throttles";
        let mut transaction = self.begin(OPERATION).await?;
        sqlx::query(
            "DELETE FROM throttle WHERE substr(key, 1, length($1)) = $1 \
             AND ((failures <= $2 AND blocked_until < $3) OR blocked_until < $4)",
        )
        .bind(rule.prefix)
        .bind(i64::from(rule.few))
        .bind(rule.few_before.0)
        .bind(rule.all_before.0)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        sqlx::query(
            "DELETE FROM throttle WHERE key IN (SELECT key FROM throttle \
             WHERE substr(key, 1, length($1)) = $1 ORDER BY failures > $2, blocked_until LIMIT max(0, \
             (SELECT count(*) FROM throttle WHERE substr(key, 1, length($1)) = $1) - $3))",
        )
        .bind(rule.prefix)
        .bind(i64::from(rule.few))
        .bind(i64::from(rule.most))
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        transaction.commit().await.map_err(failed(OPERATION))
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

    pub(crate) async fn list_throttles(
        &self,
        prefix: &str,
        now: Timestamp,
    ) -> Result<Vec<(String, Throttle)>, StoreError> {
        let rows = sqlx::query(
            "SELECT key, failures, blocked_until FROM throttle \
             WHERE substr(key, 1, length($1)) = $1 AND blocked_until > $2 ORDER BY key LIMIT 10000",
        )
        .bind(prefix)
        .bind(now.0)
        .fetch_all(&self.readers)
        .await
        .map_err(failed("listing throttles"))?;
        let read = |row: &SqliteRow| (row.get(0), throttle(row, 1));
        Ok(rows.iter().map(read).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const RULE: Tidying = Tidying {
        prefix: "account ",
        few: 5,
        few_before: Timestamp(1_000),
        all_before: Timestamp(100),
        most: 3,
    };

    async fn left(store: &SqliteStore) -> Vec<String> {
        let keys = sqlx::query_scalar("SELECT key FROM throttle ORDER BY key").fetch_all(&store.readers);
        keys.await.expect("readable")
    }

    #[tokio::test]
    async fn throttles_without_effect_go_and_never_more_than_so_many_stay() {
        let folder = TempDir::new().expect("a folder");
        let store = SqliteStore::open(folder.path()).await.expect("a store");
        let put = async |key: &str, failures, at| {
            let throttle = Throttle { failures, blocked_until: Timestamp(at) };
            store.set_throttle(key, Some(throttle)).await.expect("stored");
        };
        put("account few-old", 5, 999).await;
        put("account few-new", 5, 1_000).await;
        put("account many-old", 6, 999).await;
        put("account many-older", 6, 99).await;
        put("address 10.0.0.1", 1, 1).await;
        store.tidy_throttles(&RULE).await.expect("tidied");
        assert_eq!(left(&store).await, ["account few-new", "account many-old", "address 10.0.0.1"]);
        for number in 0..20 {
            put(&format!("account stranger{number:02}"), 1, 2_000 + number).await;
        }
        store.tidy_throttles(&RULE).await.expect("tidied");
        let expected = ["account many-old", "account stranger18", "account stranger19", "address 10.0.0.1"];
        assert_eq!(left(&store).await, expected, "what is throttled stays");
    }
}
