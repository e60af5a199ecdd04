//! Reading deployments and what follows from them. Each row is decoded on its own: one that cannot
//! be read is told of and left out, and hides no other.

use crate::{
    SqliteStore, audit,
    commit::{check_idempotency, slot},
    error::{failed, from_json, parsed},
    grants, secrets,
};
use async_trait::async_trait;
use lockstep_engine::{
    Effect,
    port::{
        Commit, CommitError, Committed, Store, StoreError,
        store::{
            Abandoned, AuditEntry, AuditQuery, CheckpointRow, Claim, EventPlace, Idempotency, ManifestRow,
            ServingRow, StepRow, Unfinished, Unsure,
        },
    },
    search::{Ended, Search},
};
use lockstep_model::{
    DeploymentId, Digest, EnvironmentName, Epoch, ProjectName, SecretName, Seq, ServiceName, Timestamp,
    access::{Right, Sight},
    api::{CheckpointPage, DeploymentPage, Neighbours, PAGE_ROWS_MAX},
    event::Envelope,
    gateway::Slot,
    plan::{Checkpoint, Serving},
    restriction::{Restriction, RestrictionId},
    view::{AuditHead, AuditReport, CheckpointView, DeploymentSummary, KnownVersion},
};
use sqlx::{Row, sqlite::SqliteRow};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// Keeps the rows that can be read, and tells of the others.
pub(crate) fn readable<T>(
    rows: Vec<SqliteRow>,
    read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
) -> Vec<T> {
    let read = |row: SqliteRow| match read(&row) {
        Ok(value) => Some(value),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            tracing::error!("{error}: {cause}");
            None
        }
    };
    rows.into_iter().filter_map(read).collect()
}

pub(crate) fn summary(row: &SqliteRow) -> Result<DeploymentSummary, StoreError> {
    let id = DeploymentId(row.get(0));
    let body: String = row.get(1);
    let summary: DeploymentSummary = from_json(&body, || format!("deployment {id}"))?;
    Ok(DeploymentSummary { id, ..summary })
}

#[async_trait]
impl Store for SqliteStore {
    async fn manifest_apply(&self, row: &ManifestRow, audit: AuditEntry) -> Result<(), StoreError> {
        self.manifest_write(row, &audit).await
    }

    async fn manifest_current(&self, project: &ProjectName) -> Result<Option<ManifestRow>, StoreError> {
        self.manifest_read(project, None).await
    }

    async fn manifest_by_digest(
        &self,
        project: &ProjectName,
        digest: &Digest,
    ) -> Result<Option<ManifestRow>, StoreError> {
        self.manifest_read(project, Some(digest)).await
    }

    async fn secret_names(
        &self,
        project: &ProjectName,
        environment: &EnvironmentName,
    ) -> Result<BTreeSet<SecretName>, StoreError> {
        secrets::names(self, project, environment).await
    }

    async fn project_list(&self) -> Result<Vec<ProjectName>, StoreError> {
        let rows = sqlx::query("SELECT name FROM project ORDER BY name")
            .fetch_all(&self.readers)
            .await
            .map_err(failed("listing projects"))?;
        Ok(readable(rows, |row| parsed(row.get(0), "project")))
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError> {
        #[cfg(feature = "testing")]
        self.death().before().await;
        let committed = self.commit_all(commit).await;
        #[cfg(feature = "testing")]
        {
            self.death().after().await;
            if commit.rows.summary.clocks.detected_at.is_some() {
                self.death().after_back().await;
            }
        }
        committed
    }

    async fn right_holds(&self, right: &Right, now: Timestamp) -> Result<bool, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(failed("looking at a right"))?;
        match grants::check(&mut connection, right, now).await {
            Ok(()) => Ok(true),
            Err(StoreError::Withdrawn { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn deployment_claim(
        &self,
        id: DeploymentId,
        owner: &str,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        #[cfg(feature = "testing")]
        self.death().before().await;
        let claim = self.claim(id, owner, now).await;
        #[cfg(feature = "testing")]
        self.death().after().await;
        claim
    }

    async fn lease_begin(&self, owner: &str, until: Timestamp, alone: bool) -> Result<(), StoreError> {
        self.begin_lease(owner, until, alone).await
    }

    async fn lease_renew(&self, owner: &str, until: Timestamp) -> Result<bool, StoreError> {
        self.renew_lease(owner, until).await
    }

    async fn lease_end(&self, owner: &str) -> Result<(), StoreError> {
        self.end_lease(owner).await
    }

    async fn deployment_unfinished(&self) -> Result<Vec<Unfinished>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, project, environment, owner FROM deployment WHERE finished_at IS NULL ORDER BY id",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed("listing unfinished deployments"))?;
        Ok(readable(rows, |row| {
            Ok(Unfinished {
                id: DeploymentId(row.get(0)),
                project: parsed(row.get(1), "project")?,
                environment: parsed(row.get(2), "environment")?,
                owner: row.get(3),
            })
        }))
    }

    async fn deployment_abandon(&self, wanted: &Abandoned, audit: AuditEntry) -> Result<bool, StoreError> {
        self.abandon(wanted, &audit).await
    }

    async fn deployment_abandoned(&self, id: DeploymentId) -> Result<Option<Abandoned>, StoreError> {
        self.abandoned(id).await
    }

    async fn unsure_list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<Unsure>, StoreError> {
        self.unsure(project, environment).await
    }

    async fn deployment_events(&self, id: DeploymentId, after: Seq) -> Result<Vec<Envelope>, StoreError> {
        let rows =
            sqlx::query("SELECT seq, at, body FROM event WHERE deployment = $1 AND seq > $2 ORDER BY seq")
                .bind(id.0)
                .bind(after.0)
                .fetch_all(&self.readers)
                .await
                .map_err(failed("reading a journal"))?;
        // A journal with a hole is worse than none: the first unreadable event ends it.
        rows.iter()
            .map(|row| {
                let seq = Seq(row.get(0));
                let body: String = row.get(2);
                let event = from_json(&body, || format!("event {seq} of deployment {id}"))?;
                Ok(Envelope { seq, at: Timestamp(row.get(1)), event })
            })
            .collect()
    }

    async fn event_places(&self, id: DeploymentId) -> Result<Vec<EventPlace>, StoreError> {
        let rows = sqlx::query("SELECT position, epoch FROM event WHERE deployment = $1 ORDER BY seq")
            .bind(id.0)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("reading a journal"))?;
        Ok(rows.iter().map(|row| EventPlace { position: row.get(0), epoch: Epoch(row.get(1)) }).collect())
    }

    async fn effect_pending(&self, id: DeploymentId) -> Result<Vec<Effect>, StoreError> {
        let rows = sqlx::query("SELECT body FROM effect WHERE deployment = $1 AND done = 0 ORDER BY place")
            .bind(id.0)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("reading effects"))?;
        rows.iter().map(|row| from_json(row.get(0), || format!("an effect of deployment {id}"))).collect()
    }

    async fn deployment_fetch(&self, id: DeploymentId) -> Result<Option<DeploymentSummary>, StoreError> {
        let row = sqlx::query("SELECT id, summary FROM deployment WHERE id = $1")
            .bind(id.0)
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("reading a deployment"))?;
        row.as_ref().map(summary).transpose()
    }

    async fn deployment_list(&self, search: &Search) -> Result<DeploymentPage, StoreError> {
        self.search_page(search).await
    }

    async fn deployment_neighbours(
        &self,
        search: &Search,
        of: &DeploymentSummary,
    ) -> Result<Neighbours, StoreError> {
        self.search_neighbours(search, of).await
    }

    async fn deployment_ended(&self, since: Timestamp, sight: &Sight) -> Result<Vec<Ended>, StoreError> {
        self.search_ended(since, sight).await
    }

    async fn version_list(
        &self,
        project: &ProjectName,
        sight: &Sight,
    ) -> Result<Vec<(ServiceName, KnownVersion)>, StoreError> {
        self.search_versions(project, sight).await
    }

    async fn step_list(&self, id: DeploymentId) -> Result<Vec<StepRow>, StoreError> {
        let rows = sqlx::query("SELECT step, status FROM step WHERE deployment = $1 ORDER BY step")
            .bind(id.0)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("reading steps"))?;
        let read = |row: &SqliteRow| {
            let step: i64 = row.get(0);
            let status = from_json(row.get(1), || format!("step {step} of deployment {id}"))?;
            Ok(StepRow { step: u32::try_from(step).unwrap_or(u32::MAX), status })
        };
        Ok(readable(rows, read))
    }

    async fn serving_list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<ServingRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT project, environment, service, serving, since FROM serving \
             WHERE ($1 IS NULL OR project = $1) AND ($2 IS NULL OR environment = $2) \
             ORDER BY project, environment, service",
        )
        .bind(project.map(ProjectName::as_str))
        .bind(environment.map(EnvironmentName::as_str))
        .fetch_all(&self.readers)
        .await
        .map_err(failed("reading what serves"))?;
        Ok(readable(rows, |row| {
            let slot = slot(row.get(0), row.get(1), row.get(2))?;
            let body: Option<String> = row.get(3);
            let serving =
                body.map(|body| from_json(&body, || format!("what serves for {slot}"))).transpose()?;
            Ok(ServingRow { slot, serving, since: Timestamp(row.get(4)) })
        }))
    }

    async fn serving_show(&self, slot: &Slot) -> Result<Option<Serving>, StoreError> {
        let body: Option<Option<String>> = sqlx::query_scalar(
            "SELECT serving FROM serving WHERE project = $1 AND environment = $2 AND service = $3",
        )
        .bind(slot.project.as_str())
        .bind(slot.environment.as_str())
        .bind(slot.service.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(failed("reading what serves"))?;
        body.flatten().map(|body| from_json(&body, || format!("what serves for {slot}"))).transpose()
    }

    async fn restriction_list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
        now: Timestamp,
    ) -> Result<Vec<Restriction>, StoreError> {
        self.restrictions(project, environment, now).await
    }

    async fn restriction_add(
        &self,
        wanted: &Restriction,
        now: Timestamp,
        audit: AuditEntry,
    ) -> Result<Option<Restriction>, StoreError> {
        self.restriction_write(wanted, now, audit).await
    }

    async fn restriction_end(
        &self,
        id: RestrictionId,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<bool, StoreError> {
        self.restriction_close(id, at, audit).await
    }

    async fn checkpoint_list(
        &self,
        project: &ProjectName,
        environment: &EnvironmentName,
    ) -> Result<CheckpointPage, StoreError> {
        let rows = sqlx::query(
            "SELECT deployment, service, checkpoint, at FROM checkpoint \
             WHERE project = $1 AND environment = $2 ORDER BY deployment DESC, service LIMIT $3",
        )
        .bind(project.as_str())
        .bind(environment.as_str())
        .bind(i64::from(PAGE_ROWS_MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(failed("listing checkpoints"))?;
        let checkpoints = readable(rows, |row| {
            let deployment = DeploymentId(row.get(0));
            let checkpoint: Checkpoint =
                from_json(row.get(2), || format!("a checkpoint of deployment {deployment}"))?;
            Ok(CheckpointView {
                deployment,
                service: parsed(row.get(1), "service")?,
                version: checkpoint.serving.as_ref().map(|serving| serving.version.clone()),
                revision: checkpoint.serving.as_ref().map(|serving| serving.revision.clone()),
                at: Timestamp(row.get(3)),
                back_at: None,
            })
        });
        Ok(CheckpointPage { checkpoints })
    }

    async fn checkpoint_of(&self, id: DeploymentId) -> Result<Vec<CheckpointRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT project, environment, service, checkpoint, at FROM checkpoint WHERE deployment = $1 ORDER BY service",
        )
        .bind(id.0)
        .fetch_all(&self.readers)
        .await
        .map_err(failed("reading checkpoints"))?;
        // Restoring a part of what was there would be a surprise: all of them, or an error.
        rows.iter()
            .map(|row| {
                let checkpoint = from_json(row.get(3), || format!("a checkpoint of deployment {id}"))?;
                let slot = slot(row.get(0), row.get(1), row.get(2))?;
                Ok(CheckpointRow { slot, checkpoint, at: Timestamp(row.get(4)) })
            })
            .collect()
    }

    async fn retirement_list(&self) -> Result<Vec<(Slot, Serving, Timestamp)>, StoreError> {
        let rows = sqlx::query(
            "SELECT project, environment, service, serving, since FROM retirement WHERE done_at IS NULL ORDER BY since LIMIT 1000",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed("reading what is to be retired"))?;
        Ok(readable(rows, |row| {
            let slot = slot(row.get(0), row.get(1), row.get(2))?;
            let serving = from_json(row.get(3), || format!("a revision of {slot}"))?;
            Ok((slot, serving, Timestamp(row.get(4))))
        }))
    }

    async fn retirement_done(&self, slot: &Slot, serving: &Serving, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE retirement SET done_at = $1 WHERE project = $2 AND environment = $3 AND service = $4 AND revision = $5",
        )
        .bind(at.0)
        .bind(slot.project.as_str())
        .bind(slot.environment.as_str())
        .bind(slot.service.as_str())
        .bind(serving.revision.as_str())
        .execute(&self.writer)
        .await
        .map_err(failed("noting that a revision is retired"))?;
        Ok(())
    }

    async fn audit_find(&self, wanted: &AuditQuery) -> Result<Vec<(i64, AuditEntry)>, StoreError> {
        self.find_audit(wanted).await
    }

    async fn audit_head(&self) -> Result<Option<AuditHead>, StoreError> {
        self.head_of_audit().await
    }

    async fn audit_verify(&self, anchor: Option<&AuditHead>) -> Result<AuditReport, StoreError> {
        self.verify_audit(anchor).await
    }

    async fn audit_append(&self, entry: AuditEntry) -> Result<(), StoreError> {
        const OPERATION: &str = "writing the audit";
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
        audit::write(&mut transaction, &entry).await?;
        transaction.commit().await.map_err(failed(OPERATION))
    }

    async fn idempotency_check(&self, wanted: &Idempotency) -> Result<(), CommitError> {
        let mut connection = self.readers.acquire().await.map_err(failed("looking up an idempotency key"))?;
        check_idempotency(&mut connection, wanted).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        const OPERATION: &str = "a look whether the database can be written";
        if self.was_written_just_now() {
            return Ok(());
        }
        // Committed, and never the same value twice: otherwise SQLite writes nothing, and a full disk
        // would not be noticed.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
        sqlx::query("INSERT INTO installation (key, value) VALUES ('ping', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
            .bind(now)
            .execute(&self.writer)
            .await
            .map_err(failed(OPERATION))?;
        self.has_been_written();
        self.fill_reserve();
        Ok(())
    }
}

/// Kept beside its readers: how a checkpoint is written and read must agree.
#[cfg(test)]
mod tests {
    use crate::error::{from_json, to_json};
    use lockstep_model::plan::Checkpoint;

    #[test]
    fn a_checkpoint_of_nothing_survives_the_way_through_json() {
        let checkpoint = Checkpoint { serving: None };
        let text = to_json(&checkpoint, "a checkpoint").expect("written");
        assert_eq!(from_json::<Checkpoint>(&text, String::new).expect("read"), checkpoint);
    }
}
