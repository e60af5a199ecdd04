//! Answers to requests that carried a key.

use crate::{SqliteStore, commit::KEY_MS, error::failed};
use async_trait::async_trait;
use lockstep_engine::port::{AnswerStore, Asked, StoreError, store::Idempotency};
use lockstep_model::Timestamp;
use sqlx::Row;

const OPERATION: &str = "an idempotency key";

#[async_trait]
impl AnswerStore for SqliteStore {
    async fn answer_begin(&self, request: &Idempotency, at: Timestamp) -> Result<Asked, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
        sqlx::query("DELETE FROM answer WHERE at < $1")
            .bind(at.0 - KEY_MS)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let known = sqlx::query(
            "SELECT body, is_done, text FROM answer WHERE principal = $1 AND route = $2 AND key = $3",
        )
        .bind(&request.principal)
        .bind(&request.route)
        .bind(&request.key)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        if let Some(row) = known {
            return Ok(match (row.get::<String, _>(0) == request.body.as_str(), row.get::<i64, _>(1) != 0) {
                (false, _) => Asked::Other,
                (true, true) => Asked::Done(row.get(2)),
                (true, false) => Asked::UnderWay,
            });
        }
        sqlx::query("INSERT INTO answer (principal, route, key, body, at) VALUES ($1, $2, $3, $4, $5)")
            .bind(&request.principal)
            .bind(&request.route)
            .bind(&request.key)
            .bind(request.body.as_str())
            .bind(at.0)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Asked::New)
    }

    async fn answer_finish(&self, request: &Idempotency, text: Option<&str>) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE answer SET is_done = 1, text = $4 WHERE principal = $1 AND route = $2 AND key = $3",
        )
        .bind(&request.principal)
        .bind(&request.route)
        .bind(&request.key)
        .bind(text)
        .execute(&self.writer)
        .await
        .map_err(failed(OPERATION))?;
        Ok(())
    }

    async fn answer_forget(&self, request: &Idempotency) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM answer WHERE principal = $1 AND route = $2 AND key = $3 AND is_done = 0")
            .bind(&request.principal)
            .bind(&request.route)
            .bind(&request.key)
            .execute(&self.writer)
            .await
            .map_err(failed(OPERATION))?;
        Ok(())
    }
}
