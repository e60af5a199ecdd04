//! Tokens. Digests of their secrets only.

use crate::{
    SqliteStore, audit,
    error::{failed, parsed},
    grants,
    identity::user,
};
use lockstep_engine::port::{
    StoreError,
    identity::{LISTED_MAX, TokenRow, TokenRule},
    store::AuditEntry,
};
use lockstep_model::{
    Digest, Timestamp, UserName,
    access::Grant,
    tokens::{Action, words},
    view::TokenView,
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

/// So many words are looked for at most.
const WORDS_MAX: usize = 20;

fn token(row: &SqliteRow, at: usize) -> Result<TokenView, StoreError> {
    Ok(TokenView {
        id: row.get(at),
        name: row.get(at + 1),
        user: parsed(row.get(at + 2), "user")?,
        bound: Grant { role: parsed(row.get(at + 3), "role")?, on: grants::scope(row, at + 8)? },
        actions: actions(row.get(at + 10))?,
        created_at: Timestamp(row.get(at + 4)),
        expires_at: Timestamp(row.get(at + 5)),
        last_used_at: row.get::<Option<i64>, _>(at + 6).map(Timestamp),
        revoked: row.get(at + 7),
    })
}

/// What a token is for, as words with commas between.
fn actions(words: &str) -> Result<Vec<Action>, StoreError> {
    words.split(',').filter(|word| !word.is_empty()).map(|word| parsed(word, "action")).collect()
}

/// Writes a token within a transaction.
pub(crate) async fn put(
    connection: &mut SqliteConnection,
    token: &TokenView,
    secret: &Digest,
) -> Result<(), sqlx::Error> {
    let [project, environment] = grants::columns(&token.bound.on);
    sqlx::query(
        "INSERT INTO token (id, secret, account, name, role, created_at, expires_at, project, environment, actions) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&token.id)
    .bind(secret.as_str())
    .bind(token.user.as_str())
    .bind(&token.name)
    .bind(token.bound.role.word())
    .bind(token.created_at.0)
    .bind(token.expires_at.0)
    .bind(project)
    .bind(environment)
    .bind(words(&token.actions))
    .execute(connection)
    .await?;
    Ok(())
}

impl SqliteStore {
    pub(crate) async fn add_token(
        &self,
        token: &TokenView,
        secret: &Digest,
        audit: AuditEntry,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "a token";
        let mut transaction = self.begin(OPERATION).await?;
        put(&mut transaction, token, secret).await.map_err(failed(OPERATION))?;
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))
    }

    pub(crate) async fn fetch_token(&self, id: &str) -> Result<Option<TokenRow>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(failed("reading a token"))?;
        let row = sqlx::query(
            "SELECT account.name, account.enabled, account.password, account.created_at, \
             token.id, token.name, token.account, token.role, token.created_at, token.expires_at, \
             token.last_used_at, token.revoked, token.project, token.environment, token.actions, token.secret, token.trust, token.job_actor, \
             account.github, EXISTS (SELECT 1 FROM oidc_identity WHERE oidc_identity.account = account.name) AS is_provided \
             FROM token JOIN account ON account.name = token.account WHERE token.id = $1",
        )
        .bind(id)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed("reading a token"))?;
        let Some(row) = row else { return Ok(None) };
        let grants = grants::of(&mut connection, row.get(0)).await?;
        let (name, actor): (String, String) = (row.get(16), row.get(17));
        let rule = TokenRule { name, actor: Some(actor).filter(|actor| !actor.is_empty()) };
        Ok(Some(TokenRow {
            secret: parsed(row.get(15), "digest")?,
            view: token(&row, 4)?,
            owner: user(&row, grants)?.view,
            rule: Some(rule).filter(|rule| !rule.name.is_empty()),
        }))
    }

    pub(crate) async fn list_tokens(
        &self,
        user: Option<&UserName>,
        words: &str,
    ) -> Result<Vec<TokenView>, StoreError> {
        let words: Vec<&str> = words.split_whitespace().take(WORDS_MAX).collect();
        let rows = sqlx::query(
            "SELECT id, name, account, role, created_at, expires_at, last_used_at, revoked, project, environment, actions FROM token \
             WHERE ($1 IS NULL OR account = $1) AND NOT EXISTS (SELECT 1 FROM json_each($2) WHERE instr(lower( \
             token.id || ' ' || token.name || ' ' || account || ' ' || role || ' on ' || \
             iif(project = '', 'everything', project || '/' || environment) || ': ' || actions), value) = 0) \
             ORDER BY created_at DESC, id LIMIT $3",
        )
        .bind(user.map(UserName::as_str))
        .bind(serde_json::json!(words).to_string())
        .bind(i64::try_from(LISTED_MAX + 1).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(failed("listing tokens"))?;
        rows.iter().map(|row| token(row, 0)).collect()
    }

    pub(crate) async fn revoke_token(
        &self,
        id: &str,
        audit: AuditEntry,
    ) -> Result<Option<TokenView>, StoreError> {
        const OPERATION: &str = "revoking a token";
        let mut transaction = self.begin(OPERATION).await?;
        let is_there: Option<i64> = sqlx::query_scalar("SELECT 1 FROM token WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        if is_there.is_none() {
            return Ok(None);
        }
        // First: a token that ends itself does it by a right that ends with it.
        audit::write(&mut transaction, &audit).await?;
        let row = sqlx::query(
            "UPDATE token SET revoked = 1 WHERE id = $1 \
             RETURNING id, name, account, role, created_at, expires_at, last_used_at, revoked, project, environment, actions",
        )
        .bind(id)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        token(&row, 0).map(Some)
    }

    pub(crate) async fn touch_token(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE token SET last_used_at = $1 WHERE id = $2")
            .bind(at.0)
            .bind(id)
            .execute(&self.writer)
            .await
            .map_err(failed("noting that a token is used"))?;
        Ok(())
    }
}
