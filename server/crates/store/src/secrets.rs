//! Secrets, sealed: this knows no key.

use crate::{
    SqliteStore, audit,
    error::{failed, parsed},
};
use async_trait::async_trait;
use lockstep_engine::port::{SecretStore, StoreError, secrets::SecretRow, store::AuditEntry};
use lockstep_model::{EnvironmentName, ProjectName, SecretName, Timestamp, secrets::SecretView};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use std::collections::BTreeSet;

const OPERATION: &str = "a secret";

/// The names that are set in an environment.
pub(crate) async fn names(
    store: &SqliteStore,
    project: &ProjectName,
    environment: &EnvironmentName,
) -> Result<BTreeSet<SecretName>, StoreError> {
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM secret WHERE project = $1 AND environment = $2")
            .bind(project.as_str())
            .bind(environment.as_str())
            .fetch_all(&store.readers)
            .await
            .map_err(failed("reading the names of secrets"))?;
    names.iter().map(|name| parsed(name, "name of a secret")).collect()
}

fn read(row: &SqliteRow) -> Result<SecretRow, StoreError> {
    let view = SecretView {
        project: parsed(row.get(0), "project")?,
        environment: parsed(row.get(1), "environment")?,
        name: parsed(row.get(2), "name of a secret")?,
        version: u32::try_from(row.get::<i64, _>(3)).unwrap_or_default(),
        set_by: parsed(row.get(4), "user")?,
        set_at: Timestamp(row.get(5)),
    };
    Ok(SecretRow { view, key_id: row.get(6), data_key: row.get(7), sealed: row.get(8) })
}

async fn fetch(
    connection: &mut SqliteConnection,
    project: &ProjectName,
    environment: &EnvironmentName,
    name: &SecretName,
) -> Result<Option<SecretRow>, StoreError> {
    let row = sqlx::query(
        "SELECT project, environment, name, version, set_by, set_at, key_id, data_key, sealed FROM secret \
         WHERE project = $1 AND environment = $2 AND name = $3",
    )
    .bind(project.as_str())
    .bind(environment.as_str())
    .bind(name.as_str())
    .fetch_optional(connection)
    .await
    .map_err(failed(OPERATION))?;
    row.as_ref().map(read).transpose()
}

/// The last version of a name, also when it was removed.
async fn last(
    connection: &mut SqliteConnection,
    project: &ProjectName,
    environment: &EnvironmentName,
    name: &SecretName,
) -> Result<u32, StoreError> {
    let version: i64 = sqlx::query_scalar(
        "SELECT coalesce(max(version), 0) FROM \
         (SELECT version FROM secret WHERE project = $1 AND environment = $2 AND name = $3 \
         UNION ALL SELECT version FROM secret_past WHERE project = $1 AND environment = $2 AND name = $3)",
    )
    .bind(project.as_str())
    .bind(environment.as_str())
    .bind(name.as_str())
    .fetch_one(connection)
    .await
    .map_err(failed(OPERATION))?;
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}

/// What is written into the audit: versions, and nothing that is made from a value.
fn noted(audit: AuditEntry, before: Option<u32>, after: Option<u32>) -> AuditEntry {
    let version = |version: Option<u32>| version.map_or("not set".to_owned(), |one| format!("version {one}"));
    let reason = format!("before: {}; after: {}", version(before), version(after));
    AuditEntry { reason: Some(reason), ..audit }
}

#[async_trait]
impl SecretStore for SqliteStore {
    async fn secret_fetch(
        &self,
        project: &ProjectName,
        environment: &EnvironmentName,
        name: &SecretName,
    ) -> Result<Option<SecretRow>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(failed(OPERATION))?;
        fetch(&mut connection, project, environment, name).await
    }

    async fn secret_last(
        &self,
        project: &ProjectName,
        environment: &EnvironmentName,
        name: &SecretName,
    ) -> Result<u32, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(failed(OPERATION))?;
        last(&mut connection, project, environment, name).await
    }

    async fn secret_list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<SecretRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT project, environment, name, version, set_by, set_at, key_id, data_key, sealed FROM secret \
             WHERE ($1 IS NULL OR project = $1) AND ($2 IS NULL OR environment = $2) \
             ORDER BY project, environment, name",
        )
        .bind(project.map(ProjectName::as_str))
        .bind(environment.map(EnvironmentName::as_str))
        .fetch_all(&self.readers)
        .await
        .map_err(failed("reading secrets"))?;
        rows.iter().map(read).collect()
    }

    async fn secret_keys(&self) -> Result<BTreeSet<String>, StoreError> {
        let keys: Vec<String> = sqlx::query_scalar("SELECT DISTINCT key_id FROM secret")
            .fetch_all(&self.readers)
            .await
            .map_err(failed("reading which keys open secrets"))?;
        Ok(keys.into_iter().collect())
    }

    async fn secret_put(&self, row: &SecretRow, audit: AuditEntry) -> Result<bool, StoreError> {
        let SecretView { project, environment, name, version, set_by, set_at } = &row.view;
        let mut transaction = self.begin(OPERATION).await?;
        let before = fetch(&mut transaction, project, environment, name).await?.map(|row| row.view.version);
        if last(&mut transaction, project, environment, name).await?.checked_add(1) != Some(*version) {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO secret (project, environment, name, version, set_by, set_at, key_id, data_key, sealed) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (project, environment, name) DO UPDATE SET \
             project = excluded.project, environment = excluded.environment, name = excluded.name, \
             version = excluded.version, set_by = excluded.set_by, set_at = excluded.set_at, \
             key_id = excluded.key_id, data_key = excluded.data_key, sealed = excluded.sealed",
        )
        .bind(project.as_str())
        .bind(environment.as_str())
        .bind(name.as_str())
        .bind(i64::from(*version))
        .bind(set_by.as_str())
        .bind(set_at.0)
        .bind(&row.key_id)
        .bind(&row.data_key)
        .bind(&row.sealed)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        audit::write(&mut transaction, &noted(audit, before, Some(*version))).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(true)
    }

    async fn secret_remove(
        &self,
        project: &ProjectName,
        environment: &EnvironmentName,
        name: &SecretName,
        audit: AuditEntry,
    ) -> Result<Option<SecretRow>, StoreError> {
        let mut transaction = self.begin(OPERATION).await?;
        let Some(row) = fetch(&mut transaction, project, environment, name).await? else { return Ok(None) };
        sqlx::query("DELETE FROM secret WHERE project = $1 AND environment = $2 AND name = $3")
            .bind(project.as_str())
            .bind(environment.as_str())
            .bind(name.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        audit::write(&mut transaction, &noted(audit, Some(row.view.version), None)).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Some(row))
    }

    async fn secret_reseal(&self, rows: &[SecretRow], audit: AuditEntry) -> Result<bool, StoreError> {
        const OPERATION: &str = "sealing secrets anew";
        let mut transaction = self.begin(OPERATION).await?;
        let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM secret")
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        if i64::try_from(rows.len()) != Ok(kept) {
            return Ok(false);
        }
        for row in rows {
            let done = sqlx::query(
                "UPDATE secret SET key_id = $5, data_key = $6, sealed = $7 \
                 WHERE project = $1 AND environment = $2 AND name = $3 AND version = $4",
            )
            .bind(row.view.project.as_str())
            .bind(row.view.environment.as_str())
            .bind(row.view.name.as_str())
            .bind(i64::from(row.view.version))
            .bind(&row.key_id)
            .bind(&row.data_key)
            .bind(&row.sealed)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
            if done.rows_affected() != 1 {
                return Ok(false);
            }
        }
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(true)
    }
}
