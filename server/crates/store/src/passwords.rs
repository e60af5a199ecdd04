//! Passwords that their owners change, and those that are kept in a stronger way.

use crate::{SqliteStore, audit, error::failed};
use lockstep_engine::port::{StoreError, store::AuditEntry};
use lockstep_model::{Digest, Timestamp, UserName};
use sqlx::SqliteConnection;

/// Puts a password in the place of another one; false = that is not there any more, or they may not sign in.
async fn replace(
    connection: &mut SqliteConnection,
    name: &UserName,
    [before, password]: [&str; 2],
) -> Result<bool, sqlx::Error> {
    let done =
        sqlx::query("UPDATE account SET password = $1 WHERE name = $2 AND password = $3 AND enabled = 1")
            .bind(password)
            .bind(name.as_str())
            .bind(before)
            .execute(connection)
            .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends the sessions of a user but one, which goes on under another id; how many have ended.
async fn end_others(
    connection: &mut SqliteConnection,
    name: &UserName,
    kept: Option<(&Digest, &Digest)>,
    at: Timestamp,
) -> Result<u64, sqlx::Error> {
    let ended = sqlx::query("DELETE FROM session WHERE account = $1 AND ($2 IS NULL OR id <> $2)")
        .bind(name.as_str())
        .bind(kept.map(|(id, _)| id.as_str()))
        .execute(&mut *connection)
        .await?;
    if let Some((id, renewed)) = kept {
        sqlx::query(
            "UPDATE session SET id = $1, used_at = $2, confirmed_at = $2, renewed_at = $2, earlier = NULL, \
             earlier_until = NULL WHERE id = $3",
        )
        .bind(renewed.as_str())
        .bind(at.0)
        .bind(id.as_str())
        .execute(connection)
        .await?;
    }
    Ok(ended.rows_affected())
}

impl SqliteStore {
    pub(crate) async fn change_password(
        &self,
        name: &UserName,
        passwords: [&str; 2],
        kept: Option<(&Digest, &Digest)>,
        audit: AuditEntry,
    ) -> Result<Option<u64>, StoreError> {
        const OPERATION: &str = "changing a password";
        let mut transaction = self.begin(OPERATION).await?;
        if !replace(&mut transaction, name, passwords).await.map_err(failed(OPERATION))? {
            return Ok(None);
        }
        let ended = end_others(&mut transaction, name, kept, audit.at).await.map_err(failed(OPERATION))?;
        // Whoever had somebody make one for them does not set another one after this.
        sqlx::query("DELETE FROM link WHERE account = $1")
            .bind(name.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        // No "before": how many there were, and stay, is not said.
        let reason = Some(format!("sessions that ended: {ended}"));
        audit::write(&mut transaction, &AuditEntry { reason, ..audit }).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Some(ended))
    }

    pub(crate) async fn rehash_password(
        &self,
        name: &UserName,
        passwords: [&str; 2],
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "keeping a password in a stronger way";
        let mut transaction = self.begin(OPERATION).await?;
        replace(&mut transaction, name, passwords).await.map_err(failed(OPERATION))?;
        transaction.commit().await.map_err(failed(OPERATION))
    }
}
