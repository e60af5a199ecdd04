//! Users, sessions, tokens, one-time links and throttles. Digests of secrets only. Rules that two
//! requests could break together are kept inside one transaction.

use crate::{
    SqliteStore, audit,
    error::{failed, parsed},
    grants::{self, Admins},
    sessions,
};
use async_trait::async_trait;
use lockstep_engine::port::{
    IdentityStore, StoreError,
    identity::{
        LISTED_MAX, LinkRow, SessionRow, Throttle, Tidying, TokenRow, TokenRule, Tried, UserChange,
        UserChanged, UserRow,
    },
    store::AuditEntry,
};
use lockstep_model::{
    Digest, Timestamp, UserName,
    access::{Grant, Rights, Scope},
    tokens::{Action, words},
    view::{TokenView, UserView},
};
use sqlx::{Row, Sqlite, SqliteConnection, Transaction, sqlite::SqliteRow};

/// So many words are looked for at most.
const WORDS_MAX: usize = 20;

/// The columns of an account; what was given to it is read beside.
fn user(row: &SqliteRow, grants: Rights) -> Result<UserRow, StoreError> {
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

/// Writes a token within a transaction.
pub(crate) async fn token_put(
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
        const OPERATION: &str = "a session";
        let mut transaction = self.begin(OPERATION).await?;
        let ended = sessions::take_place(&mut transaction, instead_of).await.map_err(failed(OPERATION))?;
        let reason = ended.map(|user| format!("ended the session of {user} in this browser"));
        let audit = AuditEntry { reason: reason.or(audit.reason), ..audit };
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
        sqlx::query(
            "DELETE FROM session WHERE expires_at < $1 OR (account = $2 AND id NOT IN \
             (SELECT id FROM session WHERE account = $2 ORDER BY created_at DESC, id LIMIT $3))",
        )
        .bind(row.created_at.0)
        .bind(row.user.as_str())
        .bind(i64::from(keep))
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))
    }

    async fn session_fetch(
        &self,
        id: &Digest,
        now: Timestamp,
    ) -> Result<Option<(SessionRow, UserView)>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(failed("reading a session"))?;
        let row = sqlx::query(
            "SELECT account.name, account.enabled, account.password, account.created_at, \
             session.id, session.created_at, session.used_at, session.expires_at, session.address, session.device, \
             session.confirmed_at, session.renewed_at, session.earlier IS NULL OR session.earlier_until IS NOT NULL, account.github, session.line, \
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
        let session = SessionRow {
            id: parsed(row.get(4), "session")?,
            user: user.name.clone(),
            created_at: Timestamp(row.get(5)),
            used_at: Timestamp(row.get(6)),
            expires_at: Timestamp(row.get(7)),
            address: row.get(8),
            device: row.get(9),
            confirmed_at: Timestamp(row.get(10)),
            renewed_at: Timestamp(row.get(11)),
            is_settled: row.get(12),
            line: row.get(14),
        };
        Ok(Some((session, user)))
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
        sqlx::query("UPDATE session SET used_at = $1 WHERE id = $2 AND used_at < $1")
            .bind(at.0)
            .bind(id.as_str())
            .execute(&self.writer)
            .await
            .map_err(failed("noting that a session is used"))?;
        Ok(())
    }

    async fn session_confirm(
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
        const OPERATION: &str = "a token";
        let mut transaction = self.begin(OPERATION).await?;
        token_put(&mut transaction, token, secret).await.map_err(failed(OPERATION))?;
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))
    }

    async fn token_fetch(&self, id: &str) -> Result<Option<TokenRow>, StoreError> {
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

    async fn token_list(&self, user: Option<&UserName>, words: &str) -> Result<Vec<TokenView>, StoreError> {
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

    async fn token_revoke(&self, id: &str, audit: AuditEntry) -> Result<Option<TokenView>, StoreError> {
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

    async fn token_touch(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query("UPDATE token SET last_used_at = $1 WHERE id = $2")
            .bind(at.0)
            .bind(id)
            .execute(&self.writer)
            .await
            .map_err(failed("noting that a token is used"))?;
        Ok(())
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
        let rows = sqlx::query(
            "SELECT key, failures, blocked_until FROM throttle \
             WHERE substr(key, 1, length($1)) = $1 AND blocked_until > $2 ORDER BY key LIMIT 10000",
        )
        .bind(prefix)
        .bind(now.0)
        .fetch_all(&self.readers)
        .await
        .map_err(failed("listing throttles"))?;
        let read = |row: &SqliteRow| {
            let failures = u32::try_from(row.get::<i64, _>(1)).unwrap_or(u32::MAX);
            (row.get(0), Throttle { failures, blocked_until: Timestamp(row.get(2)) })
        };
        Ok(rows.iter().map(read).collect())
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
