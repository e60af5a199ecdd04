//! Locks, holds and freezes.

use crate::{
    SqliteStore, audit,
    error::{failed, parsed, word},
};
use lockstep_engine::port::{StoreError, store::AuditEntry};
use lockstep_model::{
    DeploymentId, EnvironmentName, ProjectName, Timestamp,
    restriction::{Restriction, RestrictionId, RestrictionKind},
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

impl SqliteStore {
    pub(crate) async fn restrictions(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
        now: Timestamp,
    ) -> Result<Vec<Restriction>, StoreError> {
        const OPERATION: &str = "reading locks, holds and freezes";
        let rows = sqlx::query(
            "SELECT id, kind, project, environment, service, version, deployment, owner, reason, since, until \
             FROM restriction WHERE ended_at IS NULL AND (until IS NULL OR until > $1) \
             AND ($2 IS NULL OR project = $2) AND ($3 IS NULL OR environment = $3) ORDER BY id",
        )
        .bind(now.0)
        .bind(project.map(ProjectName::as_str))
        .bind(environment.map(EnvironmentName::as_str))
        .fetch_all(&self.readers)
        .await
        .map_err(failed(OPERATION))?;
        // One that cannot be read must not open what it closes: an error, not a gap.
        rows.iter().map(restriction).collect()
    }

    pub(crate) async fn restriction_write(
        &self,
        wanted: &Restriction,
        now: Timestamp,
        audit: AuditEntry,
    ) -> Result<Option<Restriction>, StoreError> {
        const OPERATION: &str = "a lock, hold or freeze";
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
        // What has run out makes place for its like.
        sqlx::query("UPDATE restriction SET ended_at = until WHERE ended_at IS NULL AND until <= $1")
            .bind(now.0)
            .execute(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let Some(id) = insert(&mut transaction, wanted).await.map_err(failed(OPERATION))? else {
            return Ok(None);
        };
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Some(Restriction { id: Some(id), ..wanted.clone() }))
    }

    pub(crate) async fn restriction_close(
        &self,
        id: RestrictionId,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        const OPERATION: &str = "the end of a lock, hold or freeze";
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
        let ended = sqlx::query(
            "UPDATE restriction SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL AND (until IS NULL OR until > $1)",
        )
        .bind(at.0)
        .bind(id.0)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        if ended.rows_affected() == 0 {
            return Ok(false);
        }
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(true)
    }
}

/// Writes one; none when its like is there already.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    wanted: &Restriction,
) -> Result<Option<RestrictionId>, sqlx::Error> {
    let id: Option<i64> = sqlx::query_scalar(
        "INSERT INTO restriction (kind, project, environment, service, version, deployment, owner, reason, since, until) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING id",
    )
    .bind(word(&wanted.kind))
    .bind(wanted.project.as_str())
    .bind(wanted.environment.as_str())
    .bind(wanted.service.as_ref().map(|service| service.as_str()))
    .bind(wanted.version.as_ref().map(|version| version.as_str()))
    .bind(wanted.deployment.map(|deployment| deployment.0))
    .bind(wanted.owner.as_ref().map(|owner| owner.as_str()))
    .bind(&wanted.reason)
    .bind(wanted.since.0)
    .bind(wanted.until.map(|until| until.0))
    .fetch_optional(connection)
    .await?;
    Ok(id.map(RestrictionId))
}

fn restriction(row: &SqliteRow) -> Result<Restriction, StoreError> {
    let kind: String = row.get(1);
    let kind = match kind.as_str() {
        "lock" => RestrictionKind::Lock,
        "hold" => RestrictionKind::Hold,
        // A kind from a newer version closes as much as is known to be closable.
        _ => RestrictionKind::Freeze,
    };
    let some = |place: usize| row.get::<Option<String>, _>(place);
    Ok(Restriction {
        id: Some(RestrictionId(row.get(0))),
        kind,
        project: parsed(row.get(2), "project")?,
        environment: parsed(row.get(3), "environment")?,
        service: some(4).map(|text| parsed(&text, "service")).transpose()?,
        version: some(5).map(|text| parsed(&text, "version")).transpose()?,
        deployment: row.get::<Option<i64>, _>(6).map(DeploymentId),
        owner: some(7).map(|text| parsed(&text, "user")).transpose()?,
        reason: row.get(8),
        since: Timestamp(row.get(9)),
        until: row.get::<Option<i64>, _>(10).map(Timestamp),
    })
}
