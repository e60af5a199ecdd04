//! Manifests: read, checked, stored as immutable revisions.

use super::{Services, access::permitted, store};
use app::{AppError, backend::Caller, backend::Manifests};
use async_trait::async_trait;
use lockstep_engine::port::store::ManifestRow;
use lockstep_model::{
    access::{Permission, Scope},
    api::{ApplyManifest, ProjectRequest},
    error::{ErrorBody, ErrorKind},
    manifest::ManifestRevision,
    view::ManifestView,
};

/// What a sender may call its file.
const FILE_CHARS_MAX: usize = 200;

#[async_trait]
impl Manifests for Services {
    async fn manifest_apply(&self, caller: &Caller, req: ApplyManifest) -> Result<ManifestView, AppError> {
        let file: String = req.file.chars().filter(|c| !c.is_control()).take(FILE_CHARS_MAX).collect();
        let file = if file.is_empty() { "manifest".to_owned() } else { file };
        let manifest = lockstep_manifest::parse(&file, &req.source).map_err(|problems| {
            let count = problems.len();
            let message = match problems.first() {
                Some(first) if count == 1 => first.to_string(),
                Some(first) => format!("{count} problems, the first: {first}"),
                None => format!("{file} is not a manifest"),
            };
            AppError(ErrorBody { problems, ..ErrorBody::new(ErrorKind::Invalid, message) })
        })?;
        let project = manifest.project.clone();
        // Whoever sees nothing of a project has no role on it, whether there is one or not.
        let caller = &permitted(caller, Permission::ApplyManifest, Scope::project(project.clone()))?;
        let digest = lockstep_manifest::digest(&req.source);
        if let Some(current) = self.store.manifest_current(&project).await.map_err(store)?
            && current.revision.digest == digest
        {
            return Ok(view(&current));
        }
        let row = ManifestRow {
            revision: ManifestRevision { digest: digest.clone(), source: req.source, manifest },
            applied_by: caller.user.clone(),
            applied_at: self.clock.now(),
        };
        let audit = self.entry(caller, "/manifest/apply", format!("project {project} {digest}"));
        self.store.manifest_apply(&row, audit).await.map_err(store)?;
        self.agent.want();
        tracing::info!(project.name = %project, "{} applied manifest {digest} of {project}", caller.user);
        Ok(view(&row))
    }

    async fn manifest_show(&self, req: ProjectRequest) -> Result<ManifestView, AppError> {
        let row = self.store.manifest_current(&req.project).await.map_err(store)?;
        row.map(|row| view(&row)).ok_or_else(|| {
            AppError::new(ErrorKind::NotFound, format!("there is no project '{}'", req.project))
        })
    }
}

fn view(row: &ManifestRow) -> ManifestView {
    let ManifestRevision { digest, source, manifest } = &row.revision;
    ManifestView {
        project: manifest.project.clone(),
        digest: digest.clone(),
        source: source.clone(),
        applied_by: row.applied_by.clone(),
        applied_at: row.applied_at,
        environments: manifest.environments.keys().cloned().collect(),
        default_environment: manifest.default_environment.clone(),
        services: manifest.services.keys().cloned().collect(),
    }
}
