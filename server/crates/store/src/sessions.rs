//! Sessions, and the browsers that somebody has signed in with.

use crate::{
    SqliteStore, audit,
    error::{failed, parsed},
    grants,
    identity::user,
};
use lockstep_engine::port::{StoreError, identity::SessionRow, store::AuditEntry};
use lockstep_model::{Digest, Timestamp, UserName, view::UserView};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

/// The most sessions that are looked through for a list: ten of a thousand people.
const SESSIONS_SHOWN: i64 = 10_000;
/// The most browsers that are known of somebody; the oldest are forgotten.
const DEVICES_KEPT: i64 = 20;

/// Ends the session in whose place another one comes, also when it got another id at this moment; whose it was.
pub(crate) async fn take_place(
    connection: &mut SqliteConnection,
    instead_of: Option<&Digest>,
) -> Result<Option<String>, sqlx::Error> {
    let Some(id) = instead_of else { return Ok(None) };
    sqlx::query_scalar("DELETE FROM session WHERE id = $1 OR earlier = $1 RETURNING account")
        .bind(id.as_str())
        .fetch_optional(connection)
        .await
}

/// A session, whose columns begin at `at`.
fn session(row: &SqliteRow, at: usize) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: parsed(row.get(at), "session")?,
        user: parsed(row.get(at + 1), "user")?,
        created_at: Timestamp(row.get(at + 2)),
        used_at: Timestamp(row.get(at + 3)),
        expires_at: Timestamp(row.get(at + 4)),
        address: row.get(at + 5),
        device: row.get(at + 6),
        confirmed_at: Timestamp(row.get(at + 7)),
        renewed_at: Timestamp(row.get(at + 8)),
        is_settled: row.get(at + 9),
        line: row.get(at + 10),
    })
}

/// Ends what is over, and the oldest of more than `keep` of somebody who has just signed in; which, in words.
pub(crate) async fn make_room(
    connection: &mut SqliteConnection,
    signed_in: &SessionRow,
    keep: u32,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query("DELETE FROM session WHERE expires_at < $1")
        .bind(signed_in.created_at.0)
        .execute(&mut *connection)
        .await?;
    let ended: Vec<String> = sqlx::query_scalar(
        "DELETE FROM session WHERE account = $1 AND id NOT IN \
         (SELECT id FROM session WHERE account = $1 ORDER BY created_at DESC, id LIMIT $2) RETURNING line",
    )
    .bind(signed_in.user.as_str())
    .bind(i64::from(keep))
    .fetch_all(connection)
    .await?;
    let which = || format!("ended the oldest, {}, as {keep} are kept", ended.join(", "));
    Ok((!ended.is_empty()).then(which))
}

impl SqliteStore {
    pub(crate) async fn add_session(
        &self,
        row: &SessionRow,
        keep: u32,
        instead_of: Option<&Digest>,
        audit: AuditEntry,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "a session";
        let mut transaction = self.begin(OPERATION).await?;
        let ended = take_place(&mut transaction, instead_of).await.map_err(failed(OPERATION))?;
        sqlx::query(
            "INSERT INTO session (id, account, created_at, used_at, expires_at, address, device, confirmed_at, renewed_at, line) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(row.id.as_str())
        .bind(row.user.as_str())
        .bind(row.created_at.0)
        .bind(row.used_at.0)
        .bind(row.expires_at.0)
        .bind(row.address.as_deref())
        .bind(row.device.as_deref())
        .bind(row.confirmed_at.0)
        .bind(row.renewed_at.0)
        .bind(&row.line)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let crowded = make_room(&mut transaction, row, keep).await.map_err(failed(OPERATION))?;
        let replaced = ended.map(|user| format!("ended the session of {user} in this browser"));
        let said: Vec<_> = replaced.into_iter().chain(crowded).collect();
        let reason = if said.is_empty() { audit.reason } else { Some(said.join("; ")) };
        let audit = AuditEntry { reason, ..audit };
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))
    }

    pub(crate) async fn fetch_session(
        &self,
        id: &Digest,
        now: Timestamp,
    ) -> Result<Option<(SessionRow, UserView)>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(failed("reading a session"))?;
        let row = sqlx::query(
            "SELECT account.name, account.enabled, account.password, account.created_at, \
             session.id, account.name, session.created_at, session.used_at, session.expires_at, session.address, \
             session.device, session.confirmed_at, session.renewed_at, \
             session.earlier IS NULL OR session.earlier_until IS NOT NULL, session.line, account.github, \
             EXISTS (SELECT 1 FROM oidc_identity WHERE oidc_identity.account = account.name) AS is_provided \
             FROM session JOIN account ON account.name = session.account \
             WHERE session.id = $1 OR (session.earlier = $1 AND coalesce(session.earlier_until > $2, 1))",
        )
        .bind(id.as_str())
        .bind(now.0)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed("reading a session"))?;
        let Some(row) = row else { return Ok(None) };
        let grants = grants::of(&mut connection, row.get(0)).await?;
        let user = user(&row, grants)?.view;
        let session = session(&row, 4)?;
        Ok(Some((session, user)))
    }

    pub(crate) async fn touch_session(&self, id: &Digest, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE session SET used_at = $1 WHERE id = $2 AND used_at < $1")
            .bind(at.0)
            .bind(id.as_str())
            .execute(&self.writer)
            .await
            .map_err(failed("noting that a session is used"))?;
        Ok(())
    }

    pub(crate) async fn confirm_session(
        &self,
        id: &Digest,
        renewed: &Digest,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        const OPERATION: &str = "confirming a session";
        let mut transaction = self.begin(OPERATION).await?;
        let done = sqlx::query(
            "UPDATE session SET id = $1, used_at = $2, confirmed_at = $2, renewed_at = $2, earlier = NULL, \
             earlier_until = NULL WHERE id = $3",
        )
        .bind(renewed.as_str())
        .bind(at.0)
        .bind(id.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(true)
    }

    pub(crate) async fn list_sessions(
        &self,
        user: Option<&UserName>,
        now: Timestamp,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, account, created_at, used_at, expires_at, address, device, confirmed_at, renewed_at, \
             earlier IS NULL OR earlier_until IS NOT NULL, line FROM session \
             WHERE ($1 IS NULL OR account = $1) AND expires_at > $2 ORDER BY used_at DESC, id LIMIT $3",
        )
        .bind(user.map(UserName::as_str))
        .bind(now.0)
        .bind(SESSIONS_SHOWN)
        .fetch_all(&self.readers)
        .await
        .map_err(failed("reading sessions"))?;
        rows.iter().map(|row| session(row, 0)).collect()
    }

    pub(crate) async fn renew_session(
        &self,
        row: &SessionRow,
        shown: &Digest,
        renewed: &Digest,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        // Of requests that cross, one renews it: the browser would not know which answer is the last.
        let done = sqlx::query(
            "UPDATE session SET id = $1, renewed_at = $2, earlier = $3, earlier_until = NULL \
             WHERE id = $4 AND renewed_at = $5",
        )
        .bind(renewed.as_str())
        .bind(at.0)
        .bind(shown.as_str())
        .bind(row.id.as_str())
        .bind(row.renewed_at.0)
        .execute(&self.writer)
        .await
        .map_err(failed("renewing a session"))?;
        Ok(done.rows_affected() > 0)
    }

    pub(crate) async fn settle_session(&self, id: &Digest, until: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE session SET earlier_until = $1 WHERE id = $2 AND earlier_until IS NULL")
            .bind(until.0)
            .bind(id.as_str())
            .execute(&self.writer)
            .await
            .map_err(failed("noting that a session has its new id"))?;
        Ok(())
    }

    /// Ends the one session that a statement finds by `which`.
    pub(crate) async fn end_session(
        &self,
        statement: &'static str,
        which: &str,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        const OPERATION: &str = "ending a session";
        let mut transaction = self.begin(OPERATION).await?;
        let done = sqlx::query(statement).bind(which).execute(&mut *transaction).await;
        if done.map_err(failed(OPERATION))?.rows_affected() == 0 {
            return Ok(false);
        }
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(true)
    }

    pub(crate) async fn end_sessions(
        &self,
        user: Option<&UserName>,
        but: Option<&Digest>,
        audit: AuditEntry,
    ) -> Result<u64, StoreError> {
        const OPERATION: &str = "ending all sessions";
        let mut transaction = self.begin(OPERATION).await?;
        let done = sqlx::query(
            "DELETE FROM session WHERE ($1 IS NULL OR account = $1) AND ($2 IS NULL OR id <> $2)",
        )
        .bind(user.map(UserName::as_str))
        .bind(but.map(Digest::as_str))
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let ended = done.rows_affected();
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM session WHERE $1 IS NULL OR account = $1")
            .bind(user.map(UserName::as_str))
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let left = u64::try_from(left).unwrap_or_default();
        // Closing the server says more, and of that this is a part.
        let said = || format!("before: sessions {}; after: sessions {left}", ended.saturating_add(left));
        let reason = audit.reason.clone().unwrap_or_else(said);
        audit::write(&mut transaction, &AuditEntry { reason: Some(reason), ..audit }).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(ended)
    }

    pub(crate) async fn add_device(
        &self,
        id: &Digest,
        user: &UserName,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "a known browser";
        let mut transaction = self.begin(OPERATION).await?;
        sqlx::query("INSERT INTO known_device (id, account, since) VALUES ($1, $2, $3)")
            .bind(id.as_str())
            .bind(user.as_str())
            .bind(at.0)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        sqlx::query(
            "DELETE FROM known_device WHERE account = $1 AND id NOT IN \
             (SELECT id FROM known_device WHERE account = $1 ORDER BY since DESC, id LIMIT $2)",
        )
        .bind(user.as_str())
        .bind(DEVICES_KEPT)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        transaction.commit().await.map_err(failed(OPERATION))
    }

    pub(crate) async fn knows_device(&self, id: &Digest, user: &UserName) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM known_device WHERE id = $1 AND account = $2")
            .bind(id.as_str())
            .bind(user.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("looking for a known browser"))?;
        Ok(row.is_some())
    }
}
