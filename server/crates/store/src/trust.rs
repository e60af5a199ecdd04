//! Rules of trust and identity tokens that were used. That one is used and what it was exchanged for are
//! one transaction: of two exchanges of the same one at a time, one gets something.

use crate::{
    SqliteStore, audit,
    error::{failed, from_json, to_json},
    tokens,
};
use async_trait::async_trait;
use lockstep_engine::port::{
    StoreError, TrustStore,
    store::AuditEntry,
    trust::{Exchanged, SeenToken, TRUST_MAX},
};
use lockstep_model::{Digest, Timestamp, trust::TrustView, view::TokenView};
use sqlx::{Row, sqlite::SqliteRow};

/// A token that was given by a rule is listed so long after its end.
const KEPT_MS: i64 = 24 * 60 * 60 * 1_000;

fn rule(row: &SqliteRow) -> Result<TrustView, StoreError> {
    let name: String = row.get(0);
    let view: TrustView = from_json(row.get(1), || format!("the rule of trust '{name}'"))?;
    Ok(TrustView { last_used_at: row.get::<Option<i64>, _>(2).map(Timestamp), ..view })
}

#[async_trait]
impl TrustStore for SqliteStore {
    async fn trust_list(&self) -> Result<Vec<TrustView>, StoreError> {
        let rows = sqlx::query("SELECT name, view, last_used_at FROM trust ORDER BY name")
            .fetch_all(&self.readers)
            .await
            .map_err(failed("reading rules of trust"))?;
        rows.iter().map(rule).collect()
    }

    async fn trust_add(&self, rule: &TrustView, audit: AuditEntry) -> Result<bool, StoreError> {
        const OPERATION: &str = "a rule of trust";
        let mut transaction = self.begin(OPERATION).await?;
        let added = sqlx::query(
            "INSERT INTO trust (name, account, created_at, view) SELECT $1, $2, $3, $4 \
             WHERE (SELECT count(*) FROM trust) < $5 ON CONFLICT (name) DO NOTHING",
        )
        .bind(&rule.name)
        .bind(rule.made_by.as_str())
        .bind(rule.created_at.0)
        .bind(to_json(rule, OPERATION)?)
        .bind(i64::try_from(TRUST_MAX).unwrap_or(i64::MAX))
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

    async fn trust_remove(&self, name: &str, audit: AuditEntry) -> Result<Option<TrustView>, StoreError> {
        const OPERATION: &str = "ending a rule of trust";
        let mut transaction = self.begin(OPERATION).await?;
        let row = sqlx::query("DELETE FROM trust WHERE name = $1 RETURNING name, view, last_used_at")
            .bind(name)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let Some(row) = row else { return Ok(None) };
        sqlx::query("UPDATE token SET revoked = 1 WHERE trust = $1")
            .bind(name)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        rule(&row).map(Some)
    }

    async fn trust_exchange(
        &self,
        rule: &str,
        seen: &SeenToken,
        token: &TokenView,
        secret: &Digest,
        audit: AuditEntry,
    ) -> Result<Exchanged, StoreError> {
        const OPERATION: &str = "exchanging a token";
        let mut transaction = self.begin(OPERATION).await?;
        sqlx::query("DELETE FROM seen_token WHERE expires_at < $1")
            .bind(audit.at.0)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        // Those of rules are many and short: the audit says for what they were.
        sqlx::query("DELETE FROM token WHERE trust <> '' AND expires_at < $1")
            .bind(audit.at.0.saturating_sub(KEPT_MS))
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let is_new = sqlx::query(
            "INSERT INTO seen_token (issuer, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(&seen.issuer)
        .bind(&seen.jti)
        .bind(seen.expires_at.0)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        if is_new.rows_affected() == 0 {
            return Ok(Exchanged::Replayed);
        }
        let is_there = sqlx::query("UPDATE trust SET last_used_at = $1 WHERE name = $2")
            .bind(audit.at.0)
            .bind(rule)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        if is_there.rows_affected() == 0 {
            return Ok(Exchanged::NoRule);
        }
        tokens::put(&mut transaction, token, secret).await.map_err(failed(OPERATION))?;
        sqlx::query("UPDATE token SET trust = $1, job_actor = $2 WHERE id = $3")
            .bind(rule)
            .bind(&seen.actor)
            .bind(&token.id)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Exchanged::Kept)
    }
}
