//! Gives up a deployment that cannot be read. Its journal stays as it is; its row says how it ended, its
//! outbox is empty, and what it may have changed counts as unknown.

use crate::{
    SqliteStore, audit,
    commit::slot,
    error::{failed, parsed, to_json, word},
    search,
};
use lockstep_engine::port::{
    StoreError,
    store::{Abandoned, AuditEntry, Unsure},
};
use lockstep_model::{
    DeploymentId, EnvironmentName, ProjectName, Timestamp,
    deployment::{Failure, Phase},
    gateway::Slot,
    view::DeploymentSummary,
};
use sqlx::{Row, SqliteConnection};

const OPERATION: &str = "giving up a deployment";

impl SqliteStore {
    pub(crate) async fn abandon(&self, wanted: &Abandoned, audit: &AuditEntry) -> Result<bool, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
        let found = sqlx::query(
            "SELECT project, environment, summary FROM deployment WHERE id = $1 AND finished_at IS NULL",
        )
        .bind(wanted.id.0)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let Some(found) = found else { return Ok(false) };
        let (project, environment, body): (String, String, String) =
            (found.get(0), found.get(1), found.get(2));
        let row = serde_json::from_str::<DeploymentSummary>(&body).ok();
        let row = row.map(|row| given_up(row, wanted));
        let connection = &mut *transaction;
        doubt(connection, (&project, &environment), row.as_ref(), wanted.id)
            .await
            .map_err(failed(OPERATION))?;
        // One that cannot be read stays as it is, and is found by its number.
        let body = row.as_ref().map_or(Ok(body), |row| to_json(row, "a deployment's row"))?;
        finish(connection, wanted, &body).await.map_err(failed(OPERATION))?;
        match &row {
            Some(row) => search::write(connection, wanted.id, row, false).await,
            None => search::ended(connection, wanted.id).await,
        }
        .map_err(failed(OPERATION))?;
        audit::write(connection, audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(true)
    }

    pub(crate) async fn abandoned(&self, id: DeploymentId) -> Result<Option<Abandoned>, StoreError> {
        let row = sqlx::query("SELECT at, account, reason FROM abandoned WHERE deployment = $1")
            .bind(id.0)
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("looking up who gave up a deployment"))?;
        row.map(|row| {
            let account: String = row.get(1);
            Ok(Abandoned { id, at: Timestamp(row.get(0)), by: parsed(&account, "user")?, reason: row.get(2) })
        })
        .transpose()
    }

    pub(crate) async fn unsure(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<Unsure>, StoreError> {
        let rows = sqlx::query(
            "SELECT project, environment, service, deployment FROM unsure \
             WHERE ($1 IS NULL OR project = $1) AND ($2 IS NULL OR environment = $2) \
             ORDER BY project, environment, service",
        )
        .bind(project.map(ProjectName::as_str))
        .bind(environment.map(EnvironmentName::as_str))
        .fetch_all(&self.readers)
        .await
        .map_err(failed("looking up what may serve"))?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let (project, environment, service): (String, String, String) =
                (row.get(0), row.get(1), row.get(2));
            let slot = slot(&project, &environment, &service)?;
            Ok(Unsure { slot, since: DeploymentId(row.get(3)) })
        };
        rows.iter().map(read).collect()
    }
}

/// The row of a deployment that somebody gave up.
fn given_up(row: DeploymentSummary, wanted: &Abandoned) -> DeploymentSummary {
    let mut row = row;
    row.phase = Phase::Failed;
    row.clocks.finished_at = Some(wanted.at);
    row.operator_reason = None;
    let reason = format!("it could not be read, and {} gave it up: {}", wanted.by, wanted.reason);
    row.failure = Some(Failure { step: None, service: None, version: None, reason, by: None });
    row
}

/// What it may have changed: its services, or all that serves there where not even those are known.
async fn doubt(
    connection: &mut SqliteConnection,
    (project, environment): (&str, &str),
    row: Option<&DeploymentSummary>,
    id: DeploymentId,
) -> Result<(), sqlx::Error> {
    let Some(row) = row else {
        sqlx::query(
            "INSERT INTO unsure (project, environment, service, deployment) \
             SELECT project, environment, service, $3 FROM serving WHERE project = $1 AND environment = $2 \
             ON CONFLICT (project, environment, service) DO UPDATE SET deployment = excluded.deployment",
        )
        .bind(project)
        .bind(environment)
        .bind(id.0)
        .execute(connection)
        .await?;
        return Ok(());
    };
    for change in &row.services {
        sqlx::query(
            "INSERT INTO unsure (project, environment, service, deployment) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (project, environment, service) DO UPDATE SET deployment = excluded.deployment",
        )
        .bind(project)
        .bind(environment)
        .bind(change.service.as_str())
        .bind(id.0)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// It has ended, nothing of it is still to be done, and nobody who owned it may write to it.
async fn finish(
    connection: &mut SqliteConnection,
    wanted: &Abandoned,
    body: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE deployment SET phase = $1, finished_at = $2, epoch = epoch + 1, summary = $3 WHERE id = $4",
    )
    .bind(word(&Phase::Failed))
    .bind(wanted.at.0)
    .bind(body)
    .bind(wanted.id.0)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE effect SET done = 1 WHERE deployment = $1")
        .bind(wanted.id.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO abandoned (deployment, at, account, reason) VALUES ($1, $2, $3, $4)")
        .bind(wanted.id.0)
        .bind(wanted.at.0)
        .bind(wanted.by.as_str())
        .bind(&wanted.reason)
        .execute(connection)
        .await?;
    Ok(())
}

/// What serves was just seen or made: it is known again.
pub(crate) async fn is_sure(connection: &mut SqliteConnection, slot: &Slot) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM unsure WHERE project = $1 AND environment = $2 AND service = $3")
        .bind(slot.project.as_str())
        .bind(slot.environment.as_str())
        .bind(slot.service.as_str())
        .execute(connection)
        .await?;
    Ok(())
}
