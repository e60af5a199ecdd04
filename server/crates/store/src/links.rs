//! One-time links, and whoever is invited by one. Whom an identity provider knows gets none for a password: they
//! would sign in here when they are in none of its groups any more.

use crate::{
    SqliteStore, audit,
    error::{failed, parsed},
    identity,
};
use lockstep_engine::port::{
    StoreError,
    identity::{LinkKind, LinkRow, UserChanged},
    store::AuditEntry,
};
use lockstep_model::{
    Digest, Timestamp, UserName,
    access::{Grant, Rights},
    view::UserView,
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

impl SqliteStore {
    pub(crate) async fn invite(
        &self,
        grant: &Grant,
        link: &LinkRow,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError> {
        const OPERATION: &str = "inviting a user";
        let mut transaction = self.begin(OPERATION).await?;
        let added = identity::insert(&mut transaction, &link.user, grant, audit.at).await;
        let (user, how) = match added.map_err(failed(OPERATION))? {
            Some(user) => (user, "after"),
            None => {
                let known = self.user_in_txn(&mut transaction, &link.user).await?;
                let Some(known) = known else { return Ok(UserChanged::NotFound) };
                if is_provided(&mut transaction, &link.user).await.map_err(failed(OPERATION))? {
                    return Ok(UserChanged::Provided);
                }
                // Somebody whose first link got lost.
                let waits = known.view.enabled && !known.view.has_password;
                if !waits || known.view.grants != Rights(vec![grant.clone()]) {
                    return Ok(UserChanged::Exists);
                }
                (known.view, "invited again")
            }
        };
        put(&mut transaction, link).await.map_err(failed(OPERATION))?;
        let audit = AuditEntry { reason: Some(format!("{how}: {grant}")), ..audit };
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(UserChanged::Done(user))
    }

    pub(crate) async fn add_link(
        &self,
        link: &LinkRow,
        audit: Option<AuditEntry>,
    ) -> Result<UserChanged, StoreError> {
        const OPERATION: &str = "a one-time link";
        let mut transaction = self.begin(OPERATION).await?;
        let user = self.user_in_txn(&mut transaction, &link.user).await?;
        let Some(user) = user.filter(|user| user.view.enabled) else { return Ok(UserChanged::NotFound) };
        let is_for_password = link.kind == LinkKind::SetPassword;
        if is_for_password && is_provided(&mut transaction, &link.user).await.map_err(failed(OPERATION))? {
            return Ok(UserChanged::Provided);
        }
        put(&mut transaction, link).await.map_err(failed(OPERATION))?;
        if let Some(audit) = audit {
            audit::write(&mut transaction, &audit).await?;
        }
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(UserChanged::Done(user.view))
    }

    pub(crate) async fn fetch_link(&self, code: &Digest) -> Result<Option<LinkRow>, StoreError> {
        let row = sqlx::query("SELECT code, kind, account, expires_at, made_by FROM link WHERE code = $1")
            .bind(code.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("reading a one-time link"))?;
        row.as_ref().map(read).transpose()
    }

    pub(crate) async fn list_links(&self, now: Timestamp) -> Result<Vec<LinkRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT code, kind, account, expires_at, made_by FROM link \
             WHERE kind = $1 AND expires_at > $2 ORDER BY expires_at, account",
        )
        .bind(kind_word(LinkKind::SetPassword))
        .bind(now.0)
        .fetch_all(&self.readers)
        .await
        .map_err(failed("reading one-time links"))?;
        rows.iter().map(read).collect()
    }

    pub(crate) async fn revoke_link(
        &self,
        user: &UserName,
        now: Timestamp,
        audit: AuditEntry,
    ) -> Result<Option<LinkRow>, StoreError> {
        const OPERATION: &str = "withdrawing a one-time link";
        let mut transaction = self.begin(OPERATION).await?;
        let row = sqlx::query(
            "DELETE FROM link WHERE kind = $1 AND account = $2 AND expires_at > $3 \
             RETURNING code, kind, account, expires_at, made_by",
        )
        .bind(kind_word(LinkKind::SetPassword))
        .bind(user.as_str())
        .bind(now.0)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let Some(row) = row.as_ref().map(read).transpose()? else { return Ok(None) };
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Some(row))
    }

    pub(crate) async fn take_link(
        &self,
        code: &Digest,
        now: Timestamp,
    ) -> Result<Option<LinkRow>, StoreError> {
        let row = sqlx::query(
            "DELETE FROM link WHERE code = $1 AND expires_at > $2 \
             RETURNING code, kind, account, expires_at, made_by",
        )
        .bind(code.as_str())
        .bind(now.0)
        .fetch_optional(&self.writer)
        .await
        .map_err(failed("using a one-time link"))?;
        row.as_ref().map(read).transpose()
    }
}

impl SqliteStore {
    pub(crate) async fn set_password_by_link(
        &self,
        code: &Digest,
        password: &str,
        audit: AuditEntry,
    ) -> Result<Option<UserView>, StoreError> {
        const OPERATION: &str = "setting a password by a link";
        let mut transaction = self.begin(OPERATION).await?;
        let user: Option<String> = sqlx::query_scalar(
            "DELETE FROM link WHERE code = $1 AND kind = $2 AND expires_at > $3 RETURNING account",
        )
        .bind(code.as_str())
        .bind(kind_word(LinkKind::SetPassword))
        .bind(audit.at.0)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let Some(user) = user else { return Ok(None) };
        let user: UserName = parsed(&user, "user")?;
        let row = self.user_in_txn(&mut transaction, &user).await?;
        let Some(row) = row.filter(|row| row.view.enabled) else { return Ok(None) };
        if is_provided(&mut transaction, &user).await.map_err(failed(OPERATION))? {
            return Ok(None);
        }
        identity::set_password(&mut transaction, &user, password).await.map_err(failed(OPERATION))?;
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Some(UserView { has_password: true, ..row.view }))
    }
}

/// Whether an identity provider says who somebody is.
async fn is_provided(connection: &mut SqliteConnection, user: &UserName) -> Result<bool, sqlx::Error> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM oidc_identity WHERE account = $1")
        .bind(user.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// Keeps a link in the place of earlier ones.
async fn put(connection: &mut SqliteConnection, link: &LinkRow) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM link WHERE kind = $1 AND account = $2")
        .bind(kind_word(link.kind))
        .bind(link.user.as_str())
        .execute(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO link (code, kind, account, expires_at, made_by) VALUES ($1, $2, $3, $4, $5)")
        .bind(link.code.as_str())
        .bind(kind_word(link.kind))
        .bind(link.user.as_str())
        .bind(link.expires_at.0)
        .bind(link.made_by.as_ref().map(UserName::as_str))
        .execute(connection)
        .await?;
    Ok(())
}

fn read(row: &SqliteRow) -> Result<LinkRow, StoreError> {
    let kind: String = row.get(1);
    let kind = if kind == kind_word(LinkKind::SignIn) { LinkKind::SignIn } else { LinkKind::SetPassword };
    let made_by: Option<String> = row.get(4);
    Ok(LinkRow {
        code: parsed(row.get(0), "link")?,
        kind,
        user: parsed(row.get(2), "user")?,
        expires_at: Timestamp(row.get(3)),
        made_by: made_by.map(|name| parsed(&name, "user")).transpose()?,
    })
}

const fn kind_word(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::SetPassword => "set_password",
        LinkKind::SignIn => "sign_in",
    }
}
