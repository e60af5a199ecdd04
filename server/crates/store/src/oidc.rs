//! People of identity providers. Whoever comes back is found by issuer and subject alone; an account that was
//! made here is never taken for theirs because of its name.

use crate::{SqliteStore, error::failed, error::parsed, grants};
use async_trait::async_trait;
use lockstep_engine::port::{
    OidcStore, StoreError,
    oidc::{Arrived, ON_THE_WAY_MAX, OnTheWay, Person},
    store::AuditEntry,
};
use lockstep_model::{Digest, Timestamp, UserName, view::UserView};
use sqlx::{Row, SqliteConnection};

const OPERATION: &str = "somebody who comes from the identity provider";

#[async_trait]
impl OidcStore for SqliteStore {
    async fn oidc_begin(&self, sign_in: &OnTheWay, now: Timestamp) -> Result<bool, StoreError> {
        const OPERATION: &str = "a sign-in at the identity provider";
        let mut transaction = self.begin(OPERATION).await?;
        sqlx::query("DELETE FROM oidc_sign_in WHERE expires_at <= $1")
            .bind(now.0)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let added = sqlx::query(
            "INSERT INTO oidc_sign_in (state, nonce, verifier, next, expires_at) SELECT $1, $2, $3, $4, $5 \
             WHERE (SELECT count(*) FROM oidc_sign_in) < $6",
        )
        .bind(sign_in.state.as_str())
        .bind(&sign_in.nonce)
        .bind(&sign_in.verifier)
        .bind(&sign_in.next)
        .bind(sign_in.expires_at.0)
        .bind(i64::try_from(ON_THE_WAY_MAX).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(added.rows_affected() == 1)
    }

    async fn oidc_take(&self, state: &Digest, now: Timestamp) -> Result<Option<OnTheWay>, StoreError> {
        let row = sqlx::query(
            "DELETE FROM oidc_sign_in WHERE state = $1 AND expires_at > $2 \
             RETURNING nonce, verifier, next, expires_at",
        )
        .bind(state.as_str())
        .bind(now.0)
        .fetch_optional(&self.writer)
        .await
        .map_err(failed("a sign-in that comes back"))?;
        Ok(row.map(|row| OnTheWay {
            state: state.clone(),
            nonce: row.get(0),
            verifier: row.get(1),
            next: row.get(2),
            expires_at: Timestamp(row.get(3)),
        }))
    }

    async fn oidc_arrive(&self, person: &Person, audit: AuditEntry) -> Result<Arrived, StoreError> {
        let mut transaction = self.begin(OPERATION).await?;
        let known: Option<String> =
            sqlx::query_scalar("SELECT account FROM oidc_identity WHERE issuer = $1 AND subject = $2")
                .bind(&person.issuer)
                .bind(&person.subject)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
        let is_new = known.is_none();
        let name: UserName = match known {
            Some(name) => parsed(&name, "user")?,
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
        let mut wanted = person.rights.0.clone();
        wanted.sort();
        let mut had = before.view.grants.0.clone();
        had.sort();
        if wanted != had {
            sqlx::query("DELETE FROM role_grant WHERE account = $1")
                .bind(name.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
            for grant in &wanted {
                grants::put(&mut transaction, &name, grant).await.map_err(failed(OPERATION))?;
            }
            if !grants::has_admin(&mut transaction).await.map_err(failed(OPERATION))? {
                return Ok(Arrived::LastAdmin);
            }
        }
        let after =
            UserView { grants: grants::of(&mut transaction, name.as_str()).await?, ..before.view.clone() };
        if is_new || wanted != had {
            let mut actor = audit.actor.clone();
            actor.user = name.clone();
            let audit = AuditEntry { actor, target: format!("user {name}"), ..audit };
            grants::note(&mut transaction, &before.view, &after, audit).await?;
        }
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Arrived::As(after))
    }
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
