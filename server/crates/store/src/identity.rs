//! Users; and the one door to sessions, tokens, one-time links and throttles, which have files of their own. Digests
//! of secrets only. Rules that two requests could break together are kept inside one transaction.

use crate::{
    SqliteStore, audit,
    error::{failed, parsed},
    grants::{self, Admins},
};
use async_trait::async_trait;
use lockstep_engine::port::{
    IdentityStore, StoreError,
    identity::{LinkRow, SessionRow, Throttle, Tidying, TokenRow, Tried, UserChange, UserChanged, UserRow},
    store::AuditEntry,
};
use lockstep_model::{
    Digest, Timestamp, UserName,
    access::{Grant, Rights, Scope},
    view::{TokenView, UserView},
};
use sqlx::{Row, Sqlite, SqliteConnection, Transaction, sqlite::SqliteRow};

/// The columns of an account; what was given to it is read beside.
pub(crate) fn user(row: &SqliteRow, grants: Rights) -> Result<UserRow, StoreError> {
    let password: Option<String> = row.get(2);
    let view = UserView {
        name: parsed(row.get(0), "user")?,
        grants,
        enabled: row.get(1),
        has_password: password.is_some(),
        is_provided: row.get("is_provided"),
        github: row.get("github"),
        created_at: Timestamp(row.get(3)),
    };
    Ok(UserRow { view, password })
}

/// Makes an account with a first role within a transaction; none = there is one of that name.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    name: &UserName,
    grant: &Grant,
    at: Timestamp,
) -> Result<Option<UserView>, sqlx::Error> {
    let added = sqlx::query(
        "INSERT INTO account (name, enabled, created_at) VALUES ($1, 1, $2) ON CONFLICT (name) DO NOTHING",
    )
    .bind(name.as_str())
    .bind(at.0)
    .execute(&mut *connection)
    .await?;
    if added.rows_affected() == 0 {
        return Ok(None);
    }
    grants::put(connection, name, grant).await?;
    Ok(Some(UserView {
        name: name.clone(),
        grants: Rights(vec![grant.clone()]),
        enabled: true,
        has_password: false,
        is_provided: false,
        github: None,
        created_at: at,
    }))
}

/// Sets a password within a transaction, and ends all sessions of the user.
pub(crate) async fn set_password(
    connection: &mut SqliteConnection,
    name: &UserName,
    password: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE account SET password = $1 WHERE name = $2")
        .bind(password)
        .bind(name.as_str())
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM session WHERE account = $1").bind(name.as_str()).execute(connection).await?;
    Ok(())
}

impl SqliteStore {
    pub(crate) async fn begin(
        &self,
        operation: &'static str,
    ) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(operation))
    }

    pub(crate) async fn user_in_txn(
        &self,
        connection: &mut SqliteConnection,
        name: &UserName,
    ) -> Result<Option<UserRow>, StoreError> {
        let row =
            sqlx::query("SELECT name, enabled, password, created_at, github, \
             EXISTS (SELECT 1 FROM oidc_identity WHERE oidc_identity.account = account.name) AS is_provided FROM account WHERE name = $1")
                .bind(name.as_str())
                .fetch_optional(&mut *connection)
                .await
                .map_err(failed("reading a user"))?;
        let Some(row) = row else { return Ok(None) };
        let grants = grants::of(connection, row.get(0)).await?;
        user(&row, grants).map(Some)
    }
}

#[async_trait]
impl IdentityStore for SqliteStore {
    async fn user_add(
        &self,
        name: &UserName,
        grant: &Grant,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError> {
        const OPERATION: &str = "adding a user";
        let mut transaction = self.begin(OPERATION).await?;
        let Some(added) = insert(&mut transaction, name, grant, at).await.map_err(failed(OPERATION))? else {
            return Ok(UserChanged::Exists);
        };
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(UserChanged::Done(added))
    }

    async fn user_invite(
        &self,
        grant: &Grant,
        link: &LinkRow,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError> {
        self.invite(grant, link, audit).await
    }

    async fn user_change(
        &self,
        name: &UserName,
        change: UserChange<'_>,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError> {
        const OPERATION: &str = "changing a user";
        let mut transaction = self.begin(OPERATION).await?;
        let Some(before) = self.user_in_txn(&mut transaction, name).await? else {
            return Ok(UserChanged::NotFound);
        };
        let admins = Admins::now(&mut transaction).await.map_err(failed(OPERATION))?;
        if let Some(role) = change.role {
            let everything = Grant { on: Scope::default(), role };
            grants::put(&mut transaction, name, &everything).await.map_err(failed(OPERATION))?;
        }
        let after = UserView {
            grants: grants::of(&mut transaction, name.as_str()).await?,
            enabled: change.enabled.unwrap_or(before.view.enabled),
            github: match change.github {
                None => before.view.github.clone(),
                Some(login) => Some(login.to_owned()).filter(|login| !login.is_empty()),
            },
            ..before.view.clone()
        };
        let done = sqlx::query("UPDATE OR IGNORE account SET enabled = $1, github = $2 WHERE name = $3")
            .bind(after.enabled)
            .bind(after.github.as_deref())
            .bind(name.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        if done.rows_affected() == 0 {
            // Another account has the login.
            return Ok(UserChanged::Exists);
        }
        if !admins.are_kept(Admins::now(&mut transaction).await.map_err(failed(OPERATION))?) {
            // Dropping the transaction takes the change back.
            return Ok(UserChanged::LastAdmin);
        }
        if (&after.grants, after.enabled) != (&before.view.grants, before.view.enabled) {
            sqlx::query("DELETE FROM session WHERE account = $1")
                .bind(name.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
        }
        if !after.enabled {
            sqlx::query("DELETE FROM link WHERE account = $1")
                .bind(name.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
        }
        grants::note(&mut transaction, &before.view, &after, audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(UserChanged::Done(after))
    }

    async fn user_grant(
        &self,
        name: &UserName,
        grant: &Grant,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError> {
        self.grant_write(name, Ok(grant), audit).await
    }

    async fn user_revoke(
        &self,
        name: &UserName,
        on: &Scope,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError> {
        self.grant_write(name, Err(on), audit).await
    }

    async fn user_set_password(
        &self,
        name: &UserName,
        password: &str,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError> {
        const OPERATION: &str = "setting a password";
        let mut transaction = self.begin(OPERATION).await?;
        set_password(&mut transaction, name, password).await.map_err(failed(OPERATION))?;
        let Some(user) = self.user_in_txn(&mut transaction, name).await? else {
            return Ok(UserChanged::NotFound);
        };
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(UserChanged::Done(user.view))
    }

    async fn link_set_password(
        &self,
        code: &Digest,
        password: &str,
        audit: AuditEntry,
    ) -> Result<Option<UserView>, StoreError> {
        self.set_password_by_link(code, password, audit).await
    }

    async fn password_change(
        &self,
        name: &UserName,
        before: &str,
        password: &str,
        kept: Option<(&Digest, &Digest)>,
        audit: AuditEntry,
    ) -> Result<Option<u64>, StoreError> {
        self.change_password(name, [before, password], kept, audit).await
    }

    async fn password_rehash(&self, name: &UserName, before: &str, password: &str) -> Result<(), StoreError> {
        self.rehash_password(name, [before, password]).await
    }

    async fn user_fetch(&self, name: &UserName) -> Result<Option<UserRow>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(failed("reading a user"))?;
        self.user_in_txn(&mut connection, name).await
    }

    async fn user_list(&self) -> Result<Vec<UserView>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(failed("listing users"))?;
        let rows =
            sqlx::query("SELECT name, enabled, password, created_at, github, \
             EXISTS (SELECT 1 FROM oidc_identity WHERE oidc_identity.account = account.name) AS is_provided FROM account ORDER BY name")
                .fetch_all(&mut *connection)
                .await
                .map_err(failed("listing users"))?;
        let mut users = Vec::with_capacity(rows.len());
        for row in rows {
            let grants = grants::of(&mut connection, row.get(0)).await?;
            users.push(user(&row, grants)?.view);
        }
        Ok(users)
    }

    async fn session_add(
        &self,
        row: &SessionRow,
        keep: u32,
        instead_of: Option<&Digest>,
        audit: AuditEntry,
    ) -> Result<(), StoreError> {
        self.add_session(row, keep, instead_of, audit).await
    }

    async fn session_fetch(
        &self,
        id: &Digest,
        now: Timestamp,
    ) -> Result<Option<(SessionRow, UserView)>, StoreError> {
        self.fetch_session(id, now).await
    }

    async fn session_renew(
        &self,
        row: &SessionRow,
        shown: &Digest,
        renewed: &Digest,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.renew_session(row, shown, renewed, at).await
    }

    async fn session_settle(&self, id: &Digest, until: Timestamp) -> Result<(), StoreError> {
        self.settle_session(id, until).await
    }

    async fn session_touch(&self, id: &Digest, at: Timestamp) -> Result<(), StoreError> {
        self.touch_session(id, at).await
    }

    async fn session_confirm(
        &self,
        id: &Digest,
        renewed: &Digest,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.confirm_session(id, renewed, at, audit).await
    }

    async fn session_end(&self, id: &Digest, audit: AuditEntry) -> Result<bool, StoreError> {
        self.end_session("DELETE FROM session WHERE id = $1 OR earlier = $1", id.as_str(), audit).await
    }

    async fn session_end_line(&self, line: &str, audit: AuditEntry) -> Result<bool, StoreError> {
        self.end_session("DELETE FROM session WHERE line = $1", line, audit).await
    }

    async fn session_list(
        &self,
        user: Option<&UserName>,
        now: Timestamp,
    ) -> Result<Vec<SessionRow>, StoreError> {
        self.list_sessions(user, now).await
    }

    async fn session_end_all(
        &self,
        user: Option<&UserName>,
        but: Option<&Digest>,
        audit: AuditEntry,
    ) -> Result<u64, StoreError> {
        self.end_sessions(user, but, audit).await
    }

    async fn device_add(&self, id: &Digest, user: &UserName, at: Timestamp) -> Result<(), StoreError> {
        self.add_device(id, user, at).await
    }

    async fn device_is_known(&self, id: &Digest, user: &UserName) -> Result<bool, StoreError> {
        self.knows_device(id, user).await
    }

    async fn token_add(
        &self,
        token: &TokenView,
        secret: &Digest,
        audit: AuditEntry,
    ) -> Result<(), StoreError> {
        self.add_token(token, secret, audit).await
    }

    async fn token_fetch(&self, id: &str) -> Result<Option<TokenRow>, StoreError> {
        self.fetch_token(id).await
    }

    async fn token_list(&self, user: Option<&UserName>, words: &str) -> Result<Vec<TokenView>, StoreError> {
        self.list_tokens(user, words).await
    }

    async fn token_revoke(&self, id: &str, audit: AuditEntry) -> Result<Option<TokenView>, StoreError> {
        self.revoke_token(id, audit).await
    }

    async fn token_touch(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        self.touch_token(id, at).await
    }

    async fn link_add(&self, link: &LinkRow, audit: Option<AuditEntry>) -> Result<UserChanged, StoreError> {
        self.add_link(link, audit).await
    }

    async fn link_fetch(&self, code: &Digest) -> Result<Option<LinkRow>, StoreError> {
        self.fetch_link(code).await
    }

    async fn link_take(&self, code: &Digest, now: Timestamp) -> Result<Option<LinkRow>, StoreError> {
        self.take_link(code, now).await
    }

    async fn link_list(&self, now: Timestamp) -> Result<Vec<LinkRow>, StoreError> {
        self.list_links(now).await
    }

    async fn link_revoke(
        &self,
        user: &UserName,
        now: Timestamp,
        audit: AuditEntry,
    ) -> Result<Option<LinkRow>, StoreError> {
        self.revoke_link(user, now, audit).await
    }

    async fn throttle_fetch(&self, key: &str) -> Result<Throttle, StoreError> {
        self.fetch_throttle(key).await
    }

    async fn throttle_try(
        &self,
        key: &str,
        now: Timestamp,
        failed: fn(Throttle, Timestamp) -> Throttle,
    ) -> Result<Tried, StoreError> {
        self.try_throttle(key, now, failed).await
    }

    async fn throttle_delay(&self, key: &str, until: Timestamp) -> Result<(), StoreError> {
        self.delay_throttle(key, until).await
    }

    async fn throttle_tidy(&self, rule: &Tidying) -> Result<(), StoreError> {
        self.tidy_throttles(rule).await
    }

    async fn throttle_set(&self, key: &str, throttle: Option<Throttle>) -> Result<(), StoreError> {
        self.set_throttle(key, throttle).await
    }

    async fn throttle_forget(&self, prefix: &str, before: Timestamp) -> Result<(), StoreError> {
        self.forget_throttles(prefix, before).await
    }

    async fn throttle_list(
        &self,
        prefix: &str,
        now: Timestamp,
    ) -> Result<Vec<(String, Throttle)>, StoreError> {
        self.list_throttles(prefix, now).await
    }

    async fn stranger_note(&self, audit: AuditEntry) -> Result<(), StoreError> {
        const OPERATION: &str = "noting what strangers do";
        let mut transaction = self.begin(OPERATION).await?;
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))
    }

    async fn installation_id(&self) -> Result<String, StoreError> {
        const OPERATION: &str = "the installation's id";
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).map_err(|source| StoreError::Unavailable {
            operation: OPERATION,
            source: source.to_string().into(),
        })?;
        let new: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        sqlx::query("INSERT INTO installation (key, value) VALUES ('id', $1) ON CONFLICT (key) DO NOTHING")
            .bind(new)
            .execute(&self.writer)
            .await
            .map_err(failed(OPERATION))?;
        sqlx::query_scalar("SELECT value FROM installation WHERE key = 'id'")
            .fetch_one(&self.writer)
            .await
            .map_err(failed(OPERATION))
    }
}

/// The word of a role in the database is its word everywhere.
#[cfg(test)]
mod tests {
    use crate::error::word;

    #[test]
    fn roles_are_stored_as_their_words() {
        for role in lockstep_model::access::ROLES {
            assert_eq!(word(&role), role.word());
        }
    }
}
