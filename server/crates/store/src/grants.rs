//! Roles that were given to users, and the look at them inside the transaction of what is done by them.

use crate::{
    SqliteStore, audit,
    error::{failed, parsed},
};
use lockstep_engine::port::{
    StoreError,
    identity::{GRANTS_MAX, UserChanged},
    store::AuditEntry,
};
use lockstep_model::{
    Timestamp, UserName,
    access::{Grant, Right, Rights, Role, Scope},
    view::UserView,
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

/// The columns `project` and `environment`, beginning at `at`; empty = every one.
pub(crate) fn scope(row: &SqliteRow, at: usize) -> Result<Scope, StoreError> {
    let [project, environment]: [String; 2] = [row.get(at), row.get(at + 1)];
    Ok(Scope {
        project: (!project.is_empty()).then(|| parsed(&project, "project")).transpose()?,
        environment: (!environment.is_empty()).then(|| parsed(&environment, "environment")).transpose()?,
    })
}

/// A part as its two columns.
pub(crate) fn columns(scope: &Scope) -> [&str; 2] {
    [
        scope.project.as_ref().map_or("", |project| project.as_str()),
        scope.environment.as_ref().map_or("", |environment| environment.as_str()),
    ]
}

/// All that was given to a user, the widest first.
pub(crate) async fn of(connection: &mut SqliteConnection, user: &str) -> Result<Rights, StoreError> {
    const OPERATION: &str = "reading roles";
    let rows = sqlx::query(
        "SELECT project, environment, role FROM role_grant WHERE account = $1 ORDER BY project, environment",
    )
    .bind(user)
    .fetch_all(connection)
    .await
    .map_err(failed(OPERATION))?;
    // One that cannot be read gives nothing, and says so.
    rows.iter()
        .map(|row| Ok(Grant { on: scope(row, 0)?, role: parsed(row.get(2), "role")? }))
        .collect::<Result<_, _>>()
        .map(Rights)
}

/// Whether a right still holds. To be called within the transaction of what is done by it.
pub(crate) async fn check(
    connection: &mut SqliteConnection,
    right: &Right,
    now: Timestamp,
) -> Result<(), StoreError> {
    const OPERATION: &str = "looking at a right";
    let withdrawn = || StoreError::Withdrawn { right: Box::new(right.clone()) };
    let enabled: Option<bool> = sqlx::query_scalar("SELECT enabled FROM account WHERE name = $1")
        .bind(right.user.as_str())
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
    if enabled != Some(true) {
        return Err(withdrawn());
    }
    let mut rights = of(&mut *connection, right.user.as_str()).await?;
    if let Some(token) = &right.token {
        let row = sqlx::query(
            "SELECT project, environment, role FROM token \
             WHERE id = $1 AND account = $2 AND revoked = 0 AND expires_at > $3",
        )
        .bind(token)
        .bind(right.user.as_str())
        .bind(now.0)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
        let row = row.ok_or_else(withdrawn)?;
        rights = rights.within(&Grant { on: scope(&row, 0)?, role: parsed(row.get(2), "role")? });
    }
    if rights.allows_on(right.permission, &right.on) { Ok(()) } else { Err(withdrawn()) }
}

/// Which admins there are at a moment of a transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admins {
    /// Whether there is an account that is switched on.
    has_account: bool,
    /// Whether there is somebody who can sign in: with a password, or at an identity provider whose groups did
    /// not give them nothing. The account of the first start has neither until somebody gives it one.
    has_person: bool,
}

impl Admins {
    pub(crate) async fn now(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let row = sqlx::query(
            "SELECT count(*), count(CASE WHEN account.password IS NOT NULL OR EXISTS \
             (SELECT 1 FROM oidc_identity WHERE oidc_identity.account = account.name AND left_at IS NULL) \
             THEN 1 END) \
             FROM account JOIN role_grant ON role_grant.account = account.name \
             WHERE role_grant.role = 'admin' AND account.enabled = 1",
        )
        .fetch_one(connection)
        .await?;
        Ok(Self { has_account: row.get::<i64, _>(0) > 0, has_person: row.get::<i64, _>(1) > 0 })
    }

    /// Whether a change leaves an admin: a person, where there was one. On a new installation there is none
    /// yet, and commands on its machine go on working.
    pub(crate) const fn are_kept(self, after: Self) -> bool {
        (after.has_account || !self.has_account) && (after.has_person || !self.has_person)
    }

    /// Puts back what made somebody an admin when no other is left: the groups of a provider can take away much,
    /// but not the last one. What was put back.
    pub(crate) async fn keep(
        self,
        connection: &mut SqliteConnection,
        name: &UserName,
        had: &Rights,
    ) -> Result<Vec<Grant>, StoreError> {
        const OPERATION: &str = "the last admin";
        if self.are_kept(Self::now(connection).await.map_err(failed(OPERATION))?) {
            return Ok(Vec::new());
        }
        let kept: Vec<Grant> = had.0.iter().filter(|grant| grant.role == Role::Admin).cloned().collect();
        for grant in &kept {
            put(connection, name, grant).await.map_err(failed(OPERATION))?;
        }
        tracing::warn!(
            user.name = %name,
            "{name} is no admin any more by the groups of the identity provider, but stays one here: there is no \
             other who can sign in. Put somebody into a group of admins, or give the role: lockstep user change \
             NAME --role admin"
        );
        Ok(kept)
    }
}

/// Gives a role on exactly one part.
pub(crate) async fn put(
    connection: &mut SqliteConnection,
    user: &UserName,
    grant: &Grant,
) -> Result<(), sqlx::Error> {
    let [project, environment] = columns(&grant.on);
    sqlx::query(
        "INSERT INTO role_grant (account, project, environment, role) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (account, project, environment) DO UPDATE SET role = excluded.role",
    )
    .bind(user.as_str())
    .bind(project)
    .bind(environment)
    .bind(grant.role.word())
    .execute(&mut *connection)
    .await?;
    // Whoever may do more does it under a new id.
    sqlx::query("UPDATE session SET renewed_at = 0 WHERE account = $1")
        .bind(user.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

async fn delete(connection: &mut SqliteConnection, user: &UserName, on: &Scope) -> Result<bool, sqlx::Error> {
    let [project, environment] = columns(on);
    let gone = sqlx::query("DELETE FROM role_grant WHERE account = $1 AND project = $2 AND environment = $3")
        .bind(user.as_str())
        .bind(project)
        .bind(environment)
        .execute(connection)
        .await?;
    Ok(gone.rows_affected() > 0)
}

/// Writes what a user could do and can now into the audit.
pub(crate) async fn note(
    connection: &mut SqliteConnection,
    before: &UserView,
    after: &UserView,
    audit: AuditEntry,
) -> Result<(), StoreError> {
    let reason = Some(format!("before: {}; after: {}", state(before), state(after)));
    audit::write(connection, &AuditEntry { reason, ..audit }).await
}

fn state(user: &UserView) -> String {
    let off = if user.enabled { "" } else { ", switched off" };
    let github = user.github.as_ref().map_or_else(String::new, |login| format!(", {login} at GitHub"));
    format!("{}{off}{github}", user.grants)
}

impl SqliteStore {
    /// Gives a role, or with none takes away what was given there.
    pub(crate) async fn grant_write(
        &self,
        name: &UserName,
        change: Result<&Grant, &Scope>,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError> {
        const OPERATION: &str = "changing a role";
        let mut transaction = self.begin(OPERATION).await?;
        let Some(before) = self.user_in_txn(&mut transaction, name).await? else {
            return Ok(UserChanged::NotFound);
        };
        let admins = Admins::now(&mut transaction).await.map_err(failed(OPERATION))?;
        // Dropping the transaction takes back what was changed until then.
        match change {
            Ok(grant) => put(&mut transaction, name, grant).await.map_err(failed(OPERATION))?,
            Err(on) => {
                if !delete(&mut transaction, name, on).await.map_err(failed(OPERATION))? {
                    return Ok(UserChanged::NoGrant);
                }
            }
        }
        if !admins.are_kept(Admins::now(&mut transaction).await.map_err(failed(OPERATION))?) {
            return Ok(UserChanged::LastAdmin);
        }
        let after = UserView { grants: of(&mut transaction, name.as_str()).await?, ..before.view.clone() };
        if after.grants.0.len() > GRANTS_MAX {
            return Ok(UserChanged::TooMany);
        }
        note(&mut transaction, &before.view, &after, audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(UserChanged::Done(after))
    }
}
