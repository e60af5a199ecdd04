//! Rules of webhooks, and deliveries. Of the same thing delivered at the same time one finds it new.

mod delivered;

use crate::{
    SqliteStore, audit,
    error::{failed, from_json, parsed, to_json},
};
use async_trait::async_trait;
use lockstep_engine::port::{
    HookStore, StoreError,
    hooks::{Delivered, Delivery, FAILED, HOOKS_MAX},
    store::AuditEntry,
};
use lockstep_model::{
    Timestamp,
    hooks::{DeliveryPage, HookAnswer, HookView, RefusedWhy},
};
use sqlx::{Row, sqlite::SqliteRow};

/// A delivery is known for so long.
const KNOWN_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// What was begun and has no outcome after so long was cut off by an end of the server: it is begun again.
/// What starts by it carries a key of its own, so nothing starts twice.
const CUT_OFF_MS: i64 = 60 * 1_000;

fn hook(row: &SqliteRow) -> Result<HookView, StoreError> {
    let name: String = row.get(0);
    Ok(HookView {
        rule: from_json(row.get(1), || format!("the webhook '{name}'"))?,
        made_by: parsed(row.get(2), "user")?,
        created_at: Timestamp(row.get(3)),
        last_used_at: row.get::<Option<i64>, _>(4).map(Timestamp),
        has_secret: false,
    })
}

#[async_trait]
impl HookStore for SqliteStore {
    async fn hook_list(&self) -> Result<Vec<HookView>, StoreError> {
        let rows =
            sqlx::query("SELECT name, rule, account, created_at, last_used_at FROM hook ORDER BY name")
                .fetch_all(&self.readers)
                .await
                .map_err(failed("reading webhooks"))?;
        rows.iter().map(hook).collect()
    }

    async fn hook_fetch(&self, name: &str) -> Result<Option<HookView>, StoreError> {
        let row =
            sqlx::query("SELECT name, rule, account, created_at, last_used_at FROM hook WHERE name = $1")
                .bind(name)
                .fetch_optional(&self.readers)
                .await
                .map_err(failed("reading a webhook"))?;
        row.as_ref().map(hook).transpose()
    }

    async fn hook_add(&self, hook: &HookView, audit: AuditEntry) -> Result<bool, StoreError> {
        const OPERATION: &str = "a webhook";
        let mut transaction = self.begin(OPERATION).await?;
        let added = sqlx::query(
            "INSERT INTO hook (name, account, created_at, rule) SELECT $1, $2, $3, $4 \
             WHERE (SELECT count(*) FROM hook) < $5 ON CONFLICT (name) DO NOTHING",
        )
        .bind(&hook.rule.name)
        .bind(hook.made_by.as_str())
        .bind(hook.created_at.0)
        .bind(to_json(&hook.rule, OPERATION)?)
        .bind(i64::try_from(HOOKS_MAX).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        if added.rows_affected() == 0 {
            return Ok(false);
        }
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(true)
    }

    async fn hook_remove(&self, name: &str, audit: AuditEntry) -> Result<Option<HookView>, StoreError> {
        const OPERATION: &str = "ending a webhook";
        let mut transaction = self.begin(OPERATION).await?;
        let row = sqlx::query(
            "DELETE FROM hook WHERE name = $1 RETURNING name, rule, account, created_at, last_used_at",
        )
        .bind(name)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let Some(row) = row else { return Ok(None) };
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        hook(&row).map(Some)
    }

    async fn hook_begin(&self, delivery: &Delivery) -> Result<Delivered, StoreError> {
        const OPERATION: &str = "a webhook's delivery";
        let now = delivery.at.0;
        let mut transaction = self.begin(OPERATION).await?;
        sqlx::query("DELETE FROM hook_delivery WHERE at < $1")
            .bind(now.saturating_sub(KNOWN_MS))
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        sqlx::query("UPDATE hook SET last_used_at = $1 WHERE name = $2")
            .bind(now)
            .bind(&delivery.hook)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let known = sqlx::query(
            "SELECT outcome, begun_at, content FROM hook_delivery WHERE hook = $1 AND (content = $2 OR delivery = $3) \
             ORDER BY content = $2 DESC LIMIT 1",
        )
        .bind(&delivery.hook)
        .bind(delivery.content.as_str())
        .bind(&delivery.id)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let found = match &known {
            None => {
                sqlx::query(
                    "INSERT INTO hook_delivery (hook, content, delivery, at, begun_at) VALUES ($1, $2, $3, $4, $4)",
                )
                .bind(&delivery.hook)
                .bind(delivery.content.as_str())
                .bind(&delivery.id)
                .bind(now)
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
                Delivered::New
            }
            Some(row) => {
                let (outcome, begun): (Option<String>, i64) = (row.get(0), row.get(1));
                match outcome {
                    Some(text) => Delivered::Done(from_json(&text, || OPERATION.to_owned())?),
                    None if now.saturating_sub(begun) < CUT_OFF_MS => Delivered::UnderWay,
                    None => {
                        sqlx::query(
                            "UPDATE hook_delivery SET begun_at = $1 WHERE hook = $2 AND content = $3",
                        )
                        .bind(now)
                        .bind(&delivery.hook)
                        .bind(row.get::<String, _>(2))
                        .execute(&mut *transaction)
                        .await
                        .map_err(failed(OPERATION))?;
                        Delivered::New
                    }
                }
            }
        };
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(found)
    }

    async fn hook_finish(&self, delivery: &Delivery, answer: &HookAnswer) -> Result<(), StoreError> {
        const OPERATION: &str = "the outcome of a webhook";
        let mut transaction = self.begin(OPERATION).await?;
        let query = if answer.outcome == FAILED {
            sqlx::query("DELETE FROM hook_delivery WHERE outcome IS $1 AND hook = $2 AND content = $3")
                .bind(None::<String>)
        } else {
            sqlx::query("UPDATE hook_delivery SET outcome = $1 WHERE hook = $2 AND content = $3")
                .bind(to_json(answer, OPERATION)?)
        };
        query
            .bind(&delivery.hook)
            .bind(delivery.content.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        // What was said of the same before, that it was ignored or failed, holds no more.
        delivered::forget(&mut transaction, delivery).await?;
        delivered::put(&mut transaction, delivery, answer).await?;
        transaction.commit().await.map_err(failed(OPERATION))
    }

    async fn hook_note(&self, delivery: &Delivery, answer: &HookAnswer) -> Result<(), StoreError> {
        let mut transaction = self.begin(delivered::OPERATION).await?;
        if !delivered::put(&mut transaction, delivery, answer).await? {
            delivered::count(&mut transaction, &delivery.hook, RefusedWhy::Duplicate, delivery.at).await?;
        }
        transaction.commit().await.map_err(failed(delivered::OPERATION))
    }

    async fn hook_refused(&self, name: &str, why: RefusedWhy, at: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin(delivered::OPERATION).await?;
        delivered::count(&mut transaction, name, why, at).await?;
        transaction.commit().await.map_err(failed(delivered::OPERATION))
    }

    async fn hook_deliveries(&self, name: &str, limit: u32) -> Result<DeliveryPage, StoreError> {
        delivered::page(self, name, limit).await
    }
}
