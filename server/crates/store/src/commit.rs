//! The one way to write a deployment: events, rows, effects, audit and idempotency in a single
//! transaction, fenced by epoch and sequence number.

use crate::{
    SqliteStore, abandon, audit,
    error::{failed, is_full, parsed, to_json, word},
    grants, restrictions, search,
};
use lockstep_engine::{
    Effect, EffectKey,
    port::{
        Commit, CommitError, CommitTo, Committed, StoreError,
        store::{CheckpointRow, Idempotency, ServingRow, StepRow},
    },
};
use lockstep_model::{
    DeploymentId, Epoch, Seq, Timestamp, event::Envelope, gateway::Slot, plan::Serving,
    restriction::Restriction,
};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

/// Rows of one statement: well under SQLite's limit of bound values.
const ROWS_MAX: usize = 1_000;
/// How long an idempotency key is remembered.
pub(crate) const KEY_MS: i64 = 7 * 86_400_000;

impl SqliteStore {
    pub(crate) async fn commit_all(&self, commit: &Commit) -> Result<Committed, CommitError> {
        match self.commit_once(commit).await {
            Err(CommitError::Store(StoreError::Full { .. })) if is_ending(commit) && self.drop_reserve() => {
                self.commit_once(commit).await
            }
            other => other,
        }
    }

    async fn commit_once(&self, commit: &Commit) -> Result<Committed, CommitError> {
        const OPERATION: &str = "a commit";
        let store = |error| CommitError::Store(failed(OPERATION)(error));
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(store)?;
        let connection = &mut *transaction;
        if let Some(idempotency) = &commit.idempotency {
            check_idempotency(connection, idempotency).await?;
        }
        let (id, epoch) = write_deployment(connection, commit).await?;
        let is_new = matches!(commit.to, CommitTo::New { .. });
        search::write(connection, id, &commit.rows.summary, is_new).await.map_err(store)?;
        let position = write_events(connection, id, epoch, &commit.events).await.map_err(store)??;
        write_effects(connection, id, &commit.effects, commit.events.last()).await.map_err(store)??;
        finish_effects(connection, id, &commit.done).await.map_err(store)?;
        write_steps(connection, id, &commit.rows.steps).await.map_err(store)??;
        for row in &commit.rows.checkpoints {
            write_checkpoint(connection, id, row).await.map_err(store)??;
        }
        for row in &commit.rows.serving {
            write_serving(connection, row).await.map_err(store)??;
        }
        for hold in &commit.rows.holds {
            // The row's number was not known when it was made.
            let hold = Restriction { deployment: Some(id), ..hold.clone() };
            restrictions::insert(connection, &hold).await.map_err(store)?;
        }
        for entry in &commit.audit {
            audit::write(connection, entry).await?;
        }
        let now = commit.events.first().map_or(Timestamp(0), |event| event.at);
        for right in &commit.rights {
            grants::check(connection, right, now).await?;
        }
        if let Some(idempotency) = &commit.idempotency {
            let at = commit.events.first().map_or(Timestamp(0), |event| event.at);
            write_idempotency(connection, idempotency, id, at).await.map_err(store)?;
        }
        transaction.commit().await.map_err(store)?;
        Ok(Committed { id, epoch, position })
    }
}

/// Whether a deployment ends or goes back with this commit: what the reserve is for.
fn is_ending(commit: &Commit) -> bool {
    commit.rows.summary.phase.is_final() || commit.rows.summary.clocks.detected_at.is_some()
}

pub(crate) async fn check_idempotency(
    connection: &mut SqliteConnection,
    wanted: &Idempotency,
) -> Result<(), CommitError> {
    let known = sqlx::query(
        "SELECT body, deployment FROM idempotency WHERE principal = $1 AND route = $2 AND key = $3",
    )
    .bind(&wanted.principal)
    .bind(&wanted.route)
    .bind(&wanted.key)
    .fetch_optional(connection)
    .await
    .map_err(failed("looking up an idempotency key"))?;
    match known {
        None => Ok(()),
        Some(row) if row.get::<String, _>(0) == wanted.body.as_str() => {
            Err(CommitError::Replayed { id: DeploymentId(row.get(1)) })
        }
        Some(_) => Err(CommitError::KeyReused),
    }
}

async fn write_idempotency(
    connection: &mut SqliteConnection,
    wanted: &Idempotency,
    id: DeploymentId,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM idempotency WHERE at < $1")
        .bind(at.0 - KEY_MS)
        .execute(&mut *connection)
        .await?;
    sqlx::query("INSERT INTO idempotency (principal, route, key, body, deployment, at) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(&wanted.principal)
        .bind(&wanted.route)
        .bind(&wanted.key)
        .bind(wanted.body.as_str())
        .bind(id.0)
        .bind(at.0)
        .execute(connection)
        .await?;
    Ok(())
}

async fn write_deployment(
    connection: &mut SqliteConnection,
    commit: &Commit,
) -> Result<(DeploymentId, Epoch), CommitError> {
    let summary = &commit.rows.summary;
    let body = to_json(summary, "a deployment's row")?;
    let phase = word(&summary.phase);
    let finished_at = summary.clocks.finished_at.map(|at| at.0);
    let operation = "a deployment's row";
    match &commit.to {
        CommitTo::New { project, environment, owner } => {
            check_contiguous(DeploymentId(0), Seq(0), &commit.events, summary.seq)?;
            let written = sqlx::query(
                "INSERT INTO deployment (project, environment, phase, epoch, owner, seq, requested_at, finished_at, summary) \
                 VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8) RETURNING id",
            )
            .bind(project.as_str())
            .bind(environment.as_str())
            .bind(phase)
            .bind(owner)
            .bind(summary.seq.0)
            .bind(summary.clocks.requested_at.0)
            .bind(finished_at)
            .bind(body)
            .fetch_one(&mut *connection)
            .await;
            match written {
                Ok(row) => Ok((DeploymentId(row.get(0)), Epoch(1))),
                Err(error) => Err(busy_or_failed(connection, commit, error).await),
            }
        }
        CommitTo::Existing { id, epoch, after_seq } => {
            check_contiguous(*id, *after_seq, &commit.events, summary.seq)?;
            let written = sqlx::query(
                "UPDATE deployment SET phase = $1, seq = $2, finished_at = $3, summary = $4 \
                 WHERE id = $5 AND epoch = $6 AND seq = $7 AND finished_at IS NULL",
            )
            .bind(phase)
            .bind(summary.seq.0)
            .bind(finished_at)
            .bind(body)
            .bind(id.0)
            .bind(epoch.0)
            .bind(after_seq.0)
            .execute(&mut *connection)
            .await;
            match written {
                Ok(done) if done.rows_affected() == 1 => Ok((*id, *epoch)),
                Ok(_) => {
                    let owned: Option<i64> = sqlx::query_scalar("SELECT epoch FROM deployment WHERE id = $1")
                        .bind(id.0)
                        .fetch_optional(connection)
                        .await
                        .map_err(failed(operation))?;
                    Err(if owned == Some(epoch.0) {
                        CommitError::SeqConflict { id: *id }
                    } else {
                        CommitError::StaleEpoch { id: *id }
                    })
                }
                Err(error) => Err(busy_or_failed(connection, commit, error).await),
            }
        }
    }
}

/// Events follow without a gap, and the row tells the last one.
fn check_contiguous(id: DeploymentId, after: Seq, events: &[Envelope], last: Seq) -> Result<(), CommitError> {
    let mut expected = after;
    for event in events {
        expected = expected.next();
        if event.seq != expected {
            return Err(CommitError::SeqConflict { id });
        }
    }
    if last == expected { Ok(()) } else { Err(CommitError::SeqConflict { id }) }
}

/// Another live deployment of the environment shows as a broken unique index.
async fn busy_or_failed(
    connection: &mut SqliteConnection,
    commit: &Commit,
    error: sqlx::Error,
) -> CommitError {
    let is_unique = error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation);
    if is_unique && !is_full(&error) {
        let live: Result<Option<i64>, _> = sqlx::query_scalar(
            "SELECT id FROM deployment WHERE project = $1 AND environment = $2 \
             AND phase IN ('running', 'paused', 'rolling_back', 'needs_operator')",
        )
        .bind(commit.rows.summary.project.as_str())
        .bind(commit.rows.summary.environment.as_str())
        .fetch_optional(connection)
        .await;
        if let Ok(Some(live)) = live {
            return CommitError::EnvironmentBusy { live: DeploymentId(live) };
        }
    }
    CommitError::Store(failed("a deployment's row")(error))
}

type Written<T> = Result<Result<T, StoreError>, sqlx::Error>;

async fn write_events(
    connection: &mut SqliteConnection,
    id: DeploymentId,
    epoch: Epoch,
    events: &[Envelope],
) -> Written<i64> {
    let mut position = 0;
    for chunk in events.chunks(ROWS_MAX) {
        let mut rows = Vec::with_capacity(chunk.len());
        for event in chunk {
            match to_json(&event.event, "an event") {
                Ok(body) => rows.push((event.seq, event.at, body)),
                Err(error) => return Ok(Err(error)),
            }
        }
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO event (deployment, seq, at, epoch, body) ");
        query.push_values(rows, |mut row, (seq, at, body)| {
            row.push_bind(id.0).push_bind(seq.0).push_bind(at.0).push_bind(epoch.0).push_bind(body);
        });
        position = query.build().execute(&mut *connection).await?.last_insert_rowid();
    }
    Ok(Ok(position))
}

async fn write_effects(
    connection: &mut SqliteConnection,
    id: DeploymentId,
    effects: &[Effect],
    last: Option<&Envelope>,
) -> Written<()> {
    // Effects of one commit stand together, after those of earlier ones.
    let base = last.map_or(0, |event| event.seq.0) << 20;
    let mut place = base;
    for chunk in effects.chunks(ROWS_MAX) {
        let mut rows = Vec::with_capacity(chunk.len());
        for effect in chunk {
            match to_json(effect, "an effect") {
                Ok(body) => rows.push((effect.key(), place, body)),
                Err(error) => return Ok(Err(error)),
            }
            place += 1;
        }
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO effect (deployment, key, place, body) ");
        query.push_values(rows, |mut row, (key, place, body)| {
            row.push_bind(id.0).push_bind(key.0).push_bind(place).push_bind(body);
        });
        query.push(" ON CONFLICT (deployment, key) DO NOTHING");
        query.build().execute(&mut *connection).await?;
    }
    Ok(Ok(()))
}

async fn finish_effects(
    connection: &mut SqliteConnection,
    id: DeploymentId,
    done: &[EffectKey],
) -> Result<(), sqlx::Error> {
    for chunk in done.chunks(ROWS_MAX) {
        let mut query = QueryBuilder::<Sqlite>::new("UPDATE effect SET done = 1 WHERE deployment = ");
        query.push_bind(id.0).push(" AND key IN (");
        let mut keys = query.separated(", ");
        for key in chunk {
            keys.push_bind(key.0.as_str());
        }
        query.push(")");
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

async fn write_steps(connection: &mut SqliteConnection, id: DeploymentId, steps: &[StepRow]) -> Written<()> {
    for chunk in steps.chunks(ROWS_MAX) {
        let mut rows = Vec::with_capacity(chunk.len());
        for step in chunk {
            match to_json(&step.status, "a step") {
                Ok(status) => rows.push((step.step, word(&step.status.state), status)),
                Err(error) => return Ok(Err(error)),
            }
        }
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO step (deployment, step, state, status) ");
        query.push_values(rows, |mut row, (step, state, status)| {
            row.push_bind(id.0).push_bind(i64::from(step)).push_bind(state).push_bind(status);
        });
        query.push(
            " ON CONFLICT (deployment, step) DO UPDATE SET state = excluded.state, status = excluded.status",
        );
        query.build().execute(&mut *connection).await?;
    }
    Ok(Ok(()))
}

async fn write_checkpoint(
    connection: &mut SqliteConnection,
    id: DeploymentId,
    row: &CheckpointRow,
) -> Written<()> {
    let body = match to_json(&row.checkpoint, "a checkpoint") {
        Ok(body) => body,
        Err(error) => return Ok(Err(error)),
    };
    sqlx::query(
        "INSERT INTO checkpoint (deployment, project, environment, service, checkpoint, at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (deployment, service) DO NOTHING",
    )
    .bind(id.0)
    .bind(row.slot.project.as_str())
    .bind(row.slot.environment.as_str())
    .bind(row.slot.service.as_str())
    .bind(body)
    .bind(row.at.0)
    .execute(connection)
    .await?;
    Ok(Ok(()))
}

/// What serves changes; what served before is to be retired, and what serves again is not.
async fn write_serving(connection: &mut SqliteConnection, row: &ServingRow) -> Written<()> {
    let body = match row.serving.as_ref().map(|serving| to_json(serving, "what serves")).transpose() {
        Ok(body) => body,
        Err(error) => return Ok(Err(error)),
    };
    let before: Option<Option<String>> = sqlx::query_scalar(
        "SELECT serving FROM serving WHERE project = $1 AND environment = $2 AND service = $3",
    )
    .bind(row.slot.project.as_str())
    .bind(row.slot.environment.as_str())
    .bind(row.slot.service.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO serving (project, environment, service, serving, since) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (project, environment, service) DO UPDATE SET serving = excluded.serving, since = excluded.since",
    )
    .bind(row.slot.project.as_str())
    .bind(row.slot.environment.as_str())
    .bind(row.slot.service.as_str())
    .bind(&body)
    .bind(row.since.0)
    .execute(&mut *connection)
    .await?;
    abandon::is_sure(&mut *connection, &row.slot).await?;
    if let Some(serving) = row.serving.as_ref().filter(|serving| serving.spec.target.leaves_something()) {
        let revision = serving.revision.as_str();
        delete_retirement(connection, &row.slot, revision).await?;
    }
    let Some(before) = before.flatten() else { return Ok(Ok(())) };
    let Ok(serving) = serde_json::from_str::<Serving>(&before) else { return Ok(Ok(())) };
    let is_same = row.serving.as_ref().is_some_and(|now| now.revision == serving.revision);
    if !is_same && serving.spec.target.leaves_something() {
        insert_retirement(connection, &row.slot, &serving, &before, row.since).await?;
    }
    Ok(Ok(()))
}

async fn delete_retirement(
    connection: &mut SqliteConnection,
    slot: &Slot,
    revision: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM retirement WHERE project = $1 AND environment = $2 AND service = $3 AND revision = $4",
    )
    .bind(slot.project.as_str())
    .bind(slot.environment.as_str())
    .bind(slot.service.as_str())
    .bind(revision)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_retirement(
    connection: &mut SqliteConnection,
    slot: &Slot,
    serving: &Serving,
    body: &str,
    since: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO retirement (project, environment, service, revision, serving, since) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project, environment, service, revision) \
         DO UPDATE SET since = excluded.since, done_at = NULL",
    )
    .bind(slot.project.as_str())
    .bind(slot.environment.as_str())
    .bind(slot.service.as_str())
    .bind(serving.revision.as_str())
    .bind(body)
    .bind(since.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// The three text columns of a slot.
pub(crate) fn slot(project: &str, environment: &str, service: &str) -> Result<Slot, StoreError> {
    Ok(Slot {
        project: parsed(project, "project")?,
        environment: parsed(environment, "environment")?,
        service: parsed(service, "service")?,
    })
}
