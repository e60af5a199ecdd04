//! Who may what: what a request is about is found out, and whether whoever asks may. What they may not
//! see is not there for them, in the same words as what is not there; what they see and may not do is
//! forbidden. Whatever is written looks at the right once more in its own transaction.

use super::{Services, deployments, refused, store};
use app::{AppError, backend::Access, backend::Caller};
use async_trait::async_trait;
use lockstep_engine::port::store::{AuditEntry, ManifestRow};
use lockstep_model::{
    EnvironmentName, ProjectName,
    access::{Object, Permission, Scope},
    error::ErrorKind,
    manifest::Manifest,
    restriction::RestrictionId,
};

#[async_trait]
impl Access for Services {
    async fn admit(
        &self,
        caller: &Caller,
        permission: Permission,
        object: Object<'_>,
    ) -> Result<Caller, AppError> {
        let everything = Scope::default();
        match object {
            // What they are about is themselves, or what is left when the rest is left out.
            Object::Oneself | Object::Seen => return Ok(caller.by(Permission::SignedIn, everything)),
            // Checked where it is read; until then nothing can be written by it.
            Object::Inside => return Ok(caller.by(permission, everything)),
            Object::Installation if caller.rights.allows_on(permission, &everything) => {}
            Object::Installation => return Err(caller.forbidden(permission, &everything)),
            // Nothing has to be found out for whom nothing is closed.
            _ if caller.rights.allows_on(permission, &everything) => {}
            object => {
                let scope = self.scope_of(caller, object).await?;
                return permitted(caller, permission, scope);
            }
        }
        Ok(caller.by(permission, everything))
    }

    async fn denied(&self, caller: &Caller, path: &str) {
        let entry = self.denial(caller, path, "denied".to_owned());
        if let Err(error) = self.store.audit_append(entry).await {
            tracing::error!("a denial of {path} to {} was not recorded: {error}", caller.user);
        }
    }
}

/// Whoever asks, when they may on a part that they see.
pub(super) fn permitted(caller: &Caller, permission: Permission, scope: Scope) -> Result<Caller, AppError> {
    if caller.rights.allows_on(permission, &scope) {
        return Ok(caller.by(permission, scope));
    }
    Err(caller.forbidden(permission, &scope))
}

fn not_found(message: String) -> AppError {
    AppError::new(ErrorKind::NotFound, message)
}

impl Services {
    /// What is written down of a refusal.
    fn denial(&self, caller: &Caller, action: &str, target: String) -> AuditEntry {
        // It is noted of those, too, who have just lost every right.
        AuditEntry { allowed: false, right: None, ..self.entry(caller, action, target) }
    }

    /// Notes that somebody asked for what is there and is hidden from them. They hear that it is not there,
    /// and no later than of what is not: nobody waits for the note.
    fn note_hidden(&self, caller: &Caller, what: String) {
        let (store, entry) = (self.store.clone(), self.denial(caller, "hidden", what));
        tokio::spawn(async move {
            if let Err(error) = store.audit_append(entry).await {
                tracing::error!("a look at what is hidden was not recorded: {error}");
            }
        });
    }

    /// The part that a request is about, as far as whoever asks sees it.
    async fn scope_of(&self, caller: &Caller, object: Object<'_>) -> Result<Scope, AppError> {
        match object {
            Object::Oneself | Object::Seen | Object::Inside | Object::Installation => Ok(Scope::default()),
            Object::Project(project) => {
                let (row, _) = self.project_seen(caller, Some(project)).await?;
                Ok(Scope::project(row.revision.manifest.project))
            }
            Object::Environment(project, environment) => {
                let (found, named) =
                    self.environment_seen(caller, project.as_ref(), environment.as_ref()).await?;
                *project = Some(found.clone());
                *environment = Some(named.clone());
                Ok(Scope::of(found, named))
            }
            Object::Deployment(id) => {
                let row = self.store.deployment_fetch(id).await.map_err(store)?;
                let row = row.ok_or_else(|| deployments::not_found(id))?;
                if !caller.rights.sight().sees(&row.project, &row.environment) {
                    self.note_hidden(caller, format!("deployment {id}"));
                    return Err(deployments::not_found(id));
                }
                Ok(Scope::of(row.project, row.environment))
            }
            Object::Restriction(id) => self.restriction_seen(caller, id).await,
        }
    }

    /// The project that is meant, among those of which whoever asks sees something; with what of its
    /// manifest they see.
    pub(super) async fn project_seen(
        &self,
        caller: &Caller,
        named: Option<&ProjectName>,
    ) -> Result<(ManifestRow, Manifest), AppError> {
        if caller.rights.sight().is_everything() {
            let row = self.coordinator.project_of(named).await.map_err(refused)?;
            let manifest = row.revision.manifest.clone();
            return Ok((row, manifest));
        }
        if let Some(named) = named {
            let row = self.store.manifest_current(named).await.map_err(store)?;
            let is_there = row.is_some();
            if let Some(seen) = row.and_then(|row| seen_of(caller, row)) {
                return Ok(seen);
            }
            if is_there {
                self.note_hidden(caller, format!("project {named}"));
            }
            return Err(not_found(format!("there is no project '{named}'")));
        }
        let mut seen = Vec::new();
        for project in self.store.project_list().await.map_err(store)? {
            let row = self.store.manifest_current(&project).await.map_err(store)?;
            seen.extend(row.and_then(|row| seen_of(caller, row)));
        }
        match seen.len() {
            0 => Err(not_found("there is no project that you may see".to_owned())),
            1 => Ok(seen.remove(0)),
            _ => {
                let names: Vec<&str> = seen.iter().map(|(_, manifest)| manifest.project.as_str()).collect();
                let message = format!("say which project with --project: {}", names.join(", "));
                Err(AppError::new(ErrorKind::Invalid, message))
            }
        }
    }

    /// The project and the environment that are meant, among those that whoever asks sees.
    pub(super) async fn environment_seen(
        &self,
        caller: &Caller,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<(ProjectName, EnvironmentName), AppError> {
        let (row, manifest) = self.project_seen(caller, project).await?;
        let known = || {
            let names: Vec<&str> = manifest.environments.keys().map(EnvironmentName::as_str).collect();
            names.join(", ")
        };
        let Some(named) = environment.or(manifest.default_environment.as_ref()) else {
            let message = format!("say where to with --env: {}", known());
            return Err(AppError::new(ErrorKind::Invalid, message));
        };
        // What is in no manifest any more may have a past.
        let is_seen = caller.rights.sight().sees(&manifest.project, named);
        match manifest.environments.get_key_value(named) {
            Some((name, _)) => Ok((manifest.project.clone(), name.clone())),
            None if is_seen => Ok((manifest.project.clone(), named.clone())),
            None => {
                if row.revision.manifest.environments.contains_key(named) {
                    self.note_hidden(caller, format!("{}/{named}", manifest.project));
                }
                Err(not_found(format!("there is no environment '{named}'; there are {}", known())))
            }
        }
    }

    async fn restriction_seen(&self, caller: &Caller, id: RestrictionId) -> Result<Scope, AppError> {
        let now = self.clock.now();
        let all = self.store.restriction_list(None, None, now).await.map_err(store)?;
        let unknown = || not_found(format!("there is no lock, hold or freeze {id}, or it has ended already"));
        let one = all.into_iter().find(|one| one.id == Some(id)).ok_or_else(unknown)?;
        if !caller.rights.sight().sees(&one.project, &one.environment) {
            self.note_hidden(caller, format!("restriction {id}"));
            return Err(unknown());
        }
        Ok(Scope::of(one.project, one.environment))
    }
}

/// A manifest as far as it is seen; none = nothing of it is.
fn seen_of(caller: &Caller, row: ManifestRow) -> Option<(ManifestRow, Manifest)> {
    let sight = caller.rights.sight();
    let mut manifest = row.revision.manifest.clone();
    let project = manifest.project.clone();
    manifest.environments.retain(|name, _| sight.sees(&project, name));
    manifest.default_environment = manifest.default_environment.filter(|name| sight.sees(&project, name));
    let is_seen = !manifest.environments.is_empty() || sight.covers(&Scope::project(project));
    is_seen.then_some((row, manifest))
}
