//! Secrets: set, listed and removed. Nobody is told a value, whoever asks.

use super::{Services, refused, store};
use crate::vault::{Place, VaultError};
use app::{
    AppError,
    backend::{Caller, Secrets},
};
use async_trait::async_trait;
use lockstep_engine::plan::nearest;
use lockstep_model::{
    EnvironmentName, ProjectName, SecretName,
    error::ErrorKind,
    secrets::{ListSecrets, RekeyReport, RemoveSecret, SecretPage, SecretView, SetSecret},
};

#[async_trait]
impl Secrets for Services {
    async fn secret_set(&self, caller: &Caller, req: SetSecret) -> Result<SecretView, AppError> {
        let SetSecret { project, environment, name, value } = req;
        let place = self.place(project, environment, name).await?;
        self.check_environment(&place).await?;
        let audit = self.entry(caller, "/secret/set", shown(&place));
        self.vault.set(place, &value, caller.user.clone(), audit).await.map_err(failed)
    }

    async fn secret_remove(&self, caller: &Caller, req: RemoveSecret) -> Result<SecretView, AppError> {
        let place = self.place(req.project, req.environment, req.name).await?;
        let audit = self.entry(caller, "/secret/remove", shown(&place));
        self.vault.remove(place, audit).await.map_err(failed)
    }

    async fn secret_list(&self, req: ListSecrets) -> Result<SecretPage, AppError> {
        let secrets = self.vault.list(req.project.as_ref(), req.environment.as_ref()).await.map_err(store)?;
        Ok(SecretPage { secrets })
    }

    async fn secret_rekey(&self, caller: &Caller) -> Result<RekeyReport, AppError> {
        let audit = self.entry(caller, "/secret/rekey", "every secret".to_owned());
        self.vault.rekey(audit).await.map_err(failed)
    }
}

impl Services {
    async fn place(
        &self,
        project: Option<ProjectName>,
        environment: Option<EnvironmentName>,
        name: SecretName,
    ) -> Result<Place, AppError> {
        let meant = self.coordinator.environment_of(project.as_ref(), environment.as_ref()).await;
        let (project, environment) = meant.map_err(refused)?;
        Ok(Place { project, environment, name })
    }

    /// A secret of an environment that is in no manifest would be of no use: most likely it is misspelt.
    async fn check_environment(&self, place: &Place) -> Result<(), AppError> {
        let row = self.coordinator.project_of(Some(&place.project)).await.map_err(refused)?;
        let known = &row.revision.manifest.environments;
        if known.contains_key(&place.environment) {
            return Ok(());
        }
        let names = || known.keys().map(EnvironmentName::as_str);
        let near = nearest(place.environment.as_str(), names());
        let near = near.map_or_else(String::new, |name| format!("; did you mean '{name}'?"));
        let message = format!(
            "project {} has no environment '{}'{near}; it has: {}",
            place.project,
            place.environment,
            names().collect::<Vec<_>>().join(", ")
        );
        Err(AppError::new(ErrorKind::NotFound, message))
    }
}

fn shown(place: &Place) -> String {
    format!("secret {} of {}/{}", place.name, place.project, place.environment)
}

pub(super) fn failed(error: VaultError) -> AppError {
    let kind = match error {
        VaultError::Store(error) => return store(error),
        VaultError::Invalid(_) => ErrorKind::Invalid,
        VaultError::Conflict(_) => ErrorKind::Conflict,
        VaultError::NotFound { .. } => ErrorKind::NotFound,
        VaultError::Key(_) => ErrorKind::Unavailable,
    };
    let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
    AppError::new(kind, format!("{error}{cause}"))
}
