//! Manifests: immutable revisions by digest, and which one is current.

use crate::{
    SqliteStore, audit,
    error::{failed, from_json, parsed, to_json},
};
use lockstep_engine::port::{
    StoreError,
    store::{AuditEntry, ManifestRow},
};
use lockstep_model::{Digest, ProjectName, Timestamp, manifest::ManifestRevision};
use sqlx::Row;

impl SqliteStore {
    pub(crate) async fn manifest_write(
        &self,
        row: &ManifestRow,
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "a manifest";
        let manifest = &row.revision.manifest;
        let body = to_json(manifest, OPERATION)?;
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
        sqlx::query(
            "INSERT INTO manifest (project, digest, source, body, applied_by, applied_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project, digest) DO NOTHING",
        )
        .bind(manifest.project.as_str())
        .bind(row.revision.digest.as_str())
        .bind(&row.revision.source)
        .bind(body)
        .bind(row.applied_by.as_str())
        .bind(row.applied_at.0)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        let before: Option<String> = sqlx::query_scalar("SELECT digest FROM project WHERE name = $1")
            .bind(manifest.project.as_str())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let before = before.map_or_else(|| "not set".to_owned(), |digest| format!("digest {digest}"));
        let reason = format!("before: {before}; after: digest {}", row.revision.digest);
        let audit = AuditEntry { reason: Some(reason), ..audit.clone() };
        sqlx::query(
            "INSERT INTO project (name, digest, applied_by, applied_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, applied_by = excluded.applied_by, \
             applied_at = excluded.applied_at WHERE project.digest <> excluded.digest",
        )
        .bind(manifest.project.as_str())
        .bind(row.revision.digest.as_str())
        .bind(row.applied_by.as_str())
        .bind(row.applied_at.0)
        .execute(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        audit::write(&mut transaction, &audit).await?;
        transaction.commit().await.map_err(failed(OPERATION))
    }

    /// The manifest with this digest, or the current one.
    pub(crate) async fn manifest_read(
        &self,
        project: &ProjectName,
        digest: Option<&Digest>,
    ) -> Result<Option<ManifestRow>, StoreError> {
        let row = sqlx::query(
            "SELECT manifest.digest, manifest.source, manifest.body, project.applied_by, project.applied_at \
             FROM manifest JOIN project ON project.name = manifest.project \
             WHERE manifest.project = $1 AND manifest.digest = coalesce($2, project.digest)",
        )
        .bind(project.as_str())
        .bind(digest.map(Digest::as_str))
        .fetch_optional(&self.readers)
        .await
        .map_err(failed("reading a manifest"))?;
        let Some(row) = row else { return Ok(None) };
        let body: String = row.get(2);
        Ok(Some(ManifestRow {
            revision: ManifestRevision {
                digest: parsed(row.get(0), "digest")?,
                source: row.get(1),
                manifest: from_json(&body, || format!("the manifest of {project}"))?,
            },
            applied_by: parsed(row.get(3), "user")?,
            applied_at: Timestamp(row.get(4)),
        }))
    }
}
