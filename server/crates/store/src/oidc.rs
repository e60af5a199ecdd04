//! People of identity providers. Whoever comes back is found by issuer and subject alone; an account that was
//! made here is never taken for theirs because of its name.

use crate::{
    SqliteStore,
    error::{failed, parsed},
    grants::{self, Admins},
};
use async_trait::async_trait;
use lockstep_engine::port::{
    OidcStore, StoreError,
    oidc::{Arrived, Left, Person},
    store::AuditEntry,
};
use lockstep_model::{Timestamp, UserName, access::Rights, deployment::Actor, view::UserView};
use sqlx::SqliteConnection;

const OPERATION: &str = "somebody who comes from the identity provider";

#[async_trait]
impl OidcStore for SqliteStore {
    async fn oidc_arrive(&self, person: &Person, audit: AuditEntry) -> Result<Arrived, StoreError> {
        let mut transaction = self.begin(OPERATION).await?;
        let known = known(&mut transaction, &person.issuer, &person.subject).await?;
        let is_new = known.is_none();
        let name: UserName = match known {
            Some(name) => name,
            None => match make(&mut transaction, person, audit.at).await? {
                Some(name) => name,
                None => return Ok(Arrived::NoName),
            },
        };
        let Some(before) = self.user_in_txn(&mut transaction, &name).await? else {
            return Ok(Arrived::NoName);
        };
        if !before.view.enabled {
            return Ok(Arrived::Disabled(name));
        }
        let admins = Admins::now(&mut transaction).await.map_err(failed(OPERATION))?;
        is_in(&mut transaction, &name, None).await.map_err(failed(OPERATION))?;
        let sorted = |rights: &Rights| {
            let mut grants = rights.0.clone();
            grants.sort();
            grants
        };
        let had = sorted(&before.view.grants);
        if sorted(&person.rights) != had {
            sqlx::query("DELETE FROM role_grant WHERE account = $1")
                .bind(name.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
            for grant in &person.rights.0 {
                grants::put(&mut transaction, &name, grant).await.map_err(failed(OPERATION))?;
            }
            admins.keep(&mut transaction, &name, &before.view.grants).await?;
        }
        let after =
            UserView { grants: grants::of(&mut transaction, name.as_str()).await?, ..before.view.clone() };
        if is_new || sorted(&after.grants) != had {
            let mut actor = audit.actor.clone();
            actor.user = name.clone();
            let audit = AuditEntry { actor, target: format!("user {name}"), ..audit };
            grants::note(&mut transaction, &before.view, &after, audit).await?;
        }
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Arrived::As(after))
    }

    async fn oidc_leave(&self, issuer: &str, subject: &str, audit: AuditEntry) -> Result<Left, StoreError> {
        const OPERATION: &str = "somebody whose groups give them nothing any more";
        // One that waits may become a token or a password later; what is over is not counted.
        const TAKEN: [&str; 5] = [
            "DELETE FROM role_grant WHERE account = $1 AND $2 = $2",
            "DELETE FROM session WHERE account = $1 AND $2 = $2",
            "UPDATE token SET revoked = 1 WHERE account = $1 AND revoked = 0 AND expires_at > $2",
            "DELETE FROM link WHERE account = $1 AND $2 = $2",
            "DELETE FROM device WHERE account = $1 AND $2 = $2",
        ];
        let mut transaction = self.begin(OPERATION).await?;
        let Some(name) = known(&mut transaction, issuer, subject).await? else { return Ok(Left::Unknown) };
        let Some(before) = self.user_in_txn(&mut transaction, &name).await? else {
            return Ok(Left::Unknown);
        };
        let admins = Admins::now(&mut transaction).await.map_err(failed(OPERATION))?;
        is_in(&mut transaction, &name, Some(audit.at)).await.map_err(failed(OPERATION))?;
        let mut taken = 0;
        for statement in TAKEN {
            let done = sqlx::query(statement).bind(name.as_str()).bind(audit.at.0);
            taken += done.execute(&mut *transaction).await.map_err(failed(OPERATION))?.rows_affected();
        }
        let kept = admins.keep(&mut transaction, &name, &before.view.grants).await?;
        if taken == kept.len() as u64 {
            transaction.commit().await.map_err(failed(OPERATION))?;
            return Ok(Left::Nothing);
        }
        let after = UserView { grants: Rights(kept), ..before.view.clone() };
        let actor = Actor { user: name.clone(), ..audit.actor.clone() };
        let audit = AuditEntry { actor, target: format!("user {name}"), ..audit };
        grants::note(&mut transaction, &before.view, &after, audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Left::Gone(name))
    }
}

/// The account of a person.
async fn known(
    connection: &mut SqliteConnection,
    issuer: &str,
    subject: &str,
) -> Result<Option<UserName>, StoreError> {
    let known: Option<String> =
        sqlx::query_scalar("SELECT account FROM oidc_identity WHERE issuer = $1 AND subject = $2")
            .bind(issuer)
            .bind(subject)
            .fetch_optional(connection)
            .await
            .map_err(failed(OPERATION))?;
    known.map(|name| parsed(&name, "user")).transpose()
}

/// Notes since when somebody's groups give them nothing, or that they give them something.
async fn is_in(
    connection: &mut SqliteConnection,
    name: &UserName,
    left: Option<Timestamp>,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE oidc_identity SET left_at = $2 WHERE account = $1")
        .bind(name.as_str())
        .bind(left.map(|at| at.0))
        .execute(connection)
        .await
        .map(drop)
}

/// A new account under the first name that is free; it has no password and no role yet.
async fn make(
    connection: &mut SqliteConnection,
    person: &Person,
    at: Timestamp,
) -> Result<Option<UserName>, StoreError> {
    for name in &person.names {
        let added = sqlx::query(
            "INSERT INTO account (name, enabled, created_at) VALUES ($1, 1, $2) ON CONFLICT (name) DO NOTHING",
        )
        .bind(name.as_str())
        .bind(at.0)
        .execute(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
        if added.rows_affected() == 0 {
            continue;
        }
        sqlx::query("INSERT INTO oidc_identity (issuer, subject, account) VALUES ($1, $2, $3)")
            .bind(&person.issuer)
            .bind(&person.subject)
            .bind(name.as_str())
            .execute(&mut *connection)
            .await
            .map_err(failed(OPERATION))?;
        return Ok(Some(name.clone()));
    }
    Ok(None)
}
