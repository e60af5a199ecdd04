//! Secrets of environments: sealed when they come in, opened only for an order on its way to an agent.
//! Each value has a key of its own, which is sealed under the one in a file outside of the database; both
//! open for their row and version only. Nothing here gives a value to anybody who asks.

pub(crate) mod hook;
mod host;
mod sources;

pub use host::Handing;

use anyhow::bail;
use lockstep_engine::port::{Clock, SecretStore, StoreError, secrets::SecretRow, store::AuditEntry};
use lockstep_model::{
    EnvironmentName, ProjectName, SecretName, UserName,
    gateway::Slot,
    secrets::{
        Handed, RekeyReport, SECRET_BYTES_MAX, SECRET_CHARS_MIN, SECRETS_BYTES_MAX, SECRETS_MAX,
        SecretSource, SecretSources, SecretText, SecretView,
    },
};
use lockstep_secrets::{Key, KeyError};
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Mutex;

/// Keeps secrets. Cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    store: Arc<dyn SecretStore>,
    clock: Arc<dyn Clock>,
    file: PathBuf,
    /// None = no secret was set yet. Held while something is changed, so that versions follow each other.
    key: Mutex<Option<Key>>,
}

/// Why a secret was not set, removed or sealed anew.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// What was given cannot be a secret.
    #[error("{0}")]
    Invalid(String),
    /// Something stands in the way.
    #[error("{0}")]
    Conflict(String),
    /// There is no such secret.
    #[error("there is no secret '{name}' in {project}/{environment}; see `lockstep secret list`")]
    NotFound {
        /// Which.
        name: SecretName,
        /// Of which project.
        project: ProjectName,
        /// Where.
        environment: EnvironmentName,
    },
    /// The key's file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a secret is.
#[derive(Debug, Clone)]
pub struct Place {
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// Its name.
    pub name: SecretName,
}

/// What a row's key and value are sealed for. Names compare ignoring case, and no name holds a slash.
fn bound(view: &SecretView, what: &str) -> String {
    let SecretView { project, environment, name, version, .. } = view;
    let names = format!("{project}/{environment}/{name}").to_ascii_lowercase();
    format!("secret/{names}/{version}/{what}")
}

fn sealed(key: &Key, view: SecretView, value: &str) -> SecretRow {
    let own = Key::random();
    SecretRow {
        key_id: key.id(),
        data_key: key.seal(&bound(&view, "key"), own.bytes()),
        sealed: own.seal(&bound(&view, "value"), value.as_bytes()),
        view,
    }
}

/// What a row holds; otherwise which secret it is, which file's key did not open it, and what helps.
fn opened(key: &Key, file: &Path, row: &SecretRow) -> Result<SecretText, String> {
    let failed = |error: lockstep_secrets::SealError| {
        let SecretView { project, environment, name, version, .. } = &row.view;
        // Whoever reads why a deployment failed reads this: the name is enough, where it lies is not theirs to know.
        let (file, held) = (file.file_name().unwrap_or(file.as_os_str()).display(), key.id());
        let helps = if row.key_id == held {
            format!("set it again: `lockstep secret set {name} --project {project} --env {environment}`")
        } else {
            format!(
                "it was sealed with the key {}: put that key's file back and start the server again, or set it again with `lockstep secret set {name} --project {project} --env {environment}`",
                row.key_id
            )
        };
        format!(
            "the secret '{name}' of {project}/{environment}, version {version}, cannot be opened with the key {held} in {file}: {error}; {helps}"
        )
    };
    let own = key.open(&bound(&row.view, "key"), &row.data_key).map_err(failed)?;
    let own = Key::of(&own).map_err(failed)?;
    let value = own.open(&bound(&row.view, "value"), &row.sealed).map_err(failed)?;
    let text = std::str::from_utf8(&value).map_err(|_| failed(lockstep_secrets::SealError::Form))?;
    Ok(SecretText::from(text.to_owned()))
}

/// Where a new key waits until everything is sealed with it.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Whether a key opens everything that was sealed with these; with none there is nothing to open.
fn opens(key: Option<&Key>, wanted: &BTreeSet<String>) -> bool {
    wanted.is_empty() || key.is_some_and(|key| wanted.iter().all(|wanted| *wanted == key.id()))
}

fn removed(path: &Path) -> Result<(), KeyError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(KeyError::File { path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Vault {
    /// Opens the vault with the key in `file`. A new sealing that was cut off is brought to its end.
    ///
    /// # Errors
    /// When there are secrets and the file is not there or holds another key: no new one is ever made
    /// then, and nothing is changed.
    pub async fn open(
        store: Arc<dyn SecretStore>,
        clock: Arc<dyn Clock>,
        file: PathBuf,
    ) -> anyhow::Result<Self> {
        let wanted = store.secret_keys().await?;
        let key = Key::read(&file)?;
        let vault = Self(Arc::new(Inner { store, clock, file, key: Mutex::new(key) }));
        let mut key = vault.0.key.lock().await;
        vault.settle(&mut key).await?;
        if !opens(key.as_ref(), &wanted) {
            let ids = wanted.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let holds = match &*key {
                Some(key) => format!("holds another one, {}", key.id()),
                None => "is not there".to_owned(),
            };
            bail!(
                "the secrets in the database were sealed with the key {ids}, and the key file {} {holds}; put the right file back, or name it with --secrets-key. No key was made and nothing was changed",
                vault.0.file.display()
            );
        }
        drop(key);
        Ok(vault)
    }

    /// A new key that is waiting takes its place when everything is sealed with it: the server ended
    /// before it could, or never heard that it was done.
    async fn settle(&self, key: &mut Option<Key>) -> Result<(), VaultError> {
        let new = beside(&self.0.file);
        let Some(waiting) = Key::read(&new)? else { return Ok(()) };
        let wanted = self.0.store.secret_keys().await?;
        if !wanted.is_empty() && opens(Some(&waiting), &wanted) {
            tracing::warn!("the new key {} of the secrets takes its place", waiting.id());
            Key::replace(&new, &self.0.file)?;
            *key = Some(waiting);
        } else if opens(key.as_ref(), &wanted) {
            removed(&new)?;
        }
        Ok(())
    }

    /// The key to seal with, as long as the file holds it: what is sealed with another one would be lost
    /// at the next start. It is made when there is no secret yet.
    async fn sealing<'k>(&self, key: &'k mut Option<Key>) -> Result<&'k Key, VaultError> {
        let Inner { store, file, .. } = &*self.0;
        let kept = Key::read(file)?;
        let is_same = matches!((&kept, &*key), (Some(kept), Some(key)) if kept.id() == key.id());
        if !is_same && !opens(kept.as_ref(), &store.secret_keys().await?) {
            let message = format!(
                "the key file {} was taken away or changed since the server began; put it back, nothing is sealed until then",
                file.display()
            );
            return Err(VaultError::Conflict(message));
        }
        let kept = match kept {
            Some(kept) => kept,
            None => Key::read_or_make(file)?,
        };
        Ok(key.insert(kept))
    }

    /// Sets a secret.
    ///
    /// # Errors
    /// [`VaultError`]; nothing was changed then.
    pub async fn set(
        &self,
        place: Place,
        value: &SecretText,
        by: UserName,
        audit: AuditEntry,
    ) -> Result<SecretView, VaultError> {
        check(value).map_err(VaultError::Invalid)?;
        let Inner { store, clock, key, .. } = &*self.0;
        let mut key = key.lock().await;
        let Place { project, environment, name } = place;
        let before = store.secret_fetch(&project, &environment, &name).await?;
        if before.is_none()
            && store.secret_list(Some(&project), Some(&environment)).await?.len() >= SECRETS_MAX
        {
            let message = format!(
                "{project}/{environment} has {SECRETS_MAX} secrets, which is the most; remove one first"
            );
            return Err(VaultError::Conflict(message));
        }
        let key = self.sealing(&mut key).await?;
        // It counts on where the name was removed: what was sealed for a version opens in no other.
        let last = store.secret_last(&project, &environment, &name).await?;
        let version = last.checked_add(1).ok_or_else(|| {
            VaultError::Conflict("this name has had every version there can be; use another".to_owned())
        })?;
        let view = SecretView { project, environment, name, version, set_by: by, set_at: clock.now() };
        let row = sealed(key, view, value.reveal());
        if !store.secret_put(&row, audit).await? {
            return Err(VaultError::Conflict(
                "somebody else set it at this moment; look, and try again".to_owned(),
            ));
        }
        Ok(row.view)
    }

    /// Removes a secret.
    ///
    /// # Errors
    /// [`VaultError`]; nothing was changed then.
    pub async fn remove(&self, place: Place, audit: AuditEntry) -> Result<SecretView, VaultError> {
        let _one_at_a_time = self.0.key.lock().await;
        let Place { project, environment, name } = place;
        match self.0.store.secret_remove(&project, &environment, &name, audit).await? {
            Some(row) => Ok(row.view),
            None => Err(VaultError::NotFound { name, project, environment }),
        }
    }

    /// What may be told of secrets.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<SecretView>, StoreError> {
        let rows = self.0.store.secret_list(project, environment).await?;
        Ok(rows.into_iter().map(|row| row.view).collect())
    }

    /// Makes a new key and seals everything anew with it. The new key is on the disk before anything is
    /// sealed with it, and takes the old one's place after; whatever ends the server in between, the key
    /// that opens what is kept is one of the two.
    ///
    /// # Errors
    /// [`VaultError`]; the old key holds then.
    pub async fn rekey(&self, audit: AuditEntry) -> Result<RekeyReport, VaultError> {
        let Inner { store, file, key, .. } = &*self.0;
        let mut key = key.lock().await;
        self.settle(&mut key).await?;
        let next = Key::random();
        let rows = store.secret_list(None, None).await?;
        let mut anew = Vec::with_capacity(rows.len());
        if let Some(old) = &*key {
            for row in rows {
                let value = opened(old, file, &row).map_err(VaultError::Conflict)?;
                anew.push(sealed(&next, row.view, value.reveal()));
            }
        }
        let new = beside(file);
        next.write(&new)?;
        let was = key.as_ref().map_or("none".to_owned(), Key::id);
        let reason = format!("before: key {was}; after: key {}", next.id());
        let audit = AuditEntry { reason: Some(reason), ..audit };
        match store.secret_reseal(&anew, audit).await {
            Ok(true) => {}
            Ok(false) => {
                removed(&new)?;
                let message = "a secret was changed at this moment; try again".to_owned();
                return Err(VaultError::Conflict(message));
            }
            Err(error) => {
                // Perhaps it was written and only the answer was lost.
                self.settle(&mut key).await?;
                if key.as_ref().is_none_or(|key| key.id() != next.id()) {
                    return Err(error.into());
                }
            }
        }
        if new.exists() {
            Key::replace(&new, file)?;
        }
        let secrets = u64::try_from(anew.len()).unwrap_or(u64::MAX);
        let report = RekeyReport { secrets, key: next.id() };
        *key = Some(next);
        Ok(report)
    }

    /// The values for what is deployed in a slot, to go with an order.
    pub async fn hand_out(&self, slot: &Slot, sources: &SecretSources) -> Handed {
        let mut handed = Handed::default();
        let mut bytes = 0;
        for (variable, source) in sources {
            let value = match self.value(slot, source).await {
                Ok(value) => value,
                Err(why) => {
                    let missing = Some(format!("{variable} from {source}: {why}"));
                    return Handed { missing, ..Handed::default() };
                }
            };
            bytes += value.reveal().len();
            handed.values.insert(variable.clone(), value);
        }
        if bytes > SECRETS_BYTES_MAX {
            let missing =
                format!("all of {} together are larger than {SECRETS_BYTES_MAX} bytes", slot.service);
            return Handed { missing: Some(missing), ..Handed::default() };
        }
        handed
    }

    /// A secret as it is set now; none = it is not.
    async fn secret(&self, place: &Place) -> Result<Option<SecretText>, VaultError> {
        let Place { project, environment, name } = place;
        let Some(row) = self.0.store.secret_fetch(project, environment, name).await? else { return Ok(None) };
        let key = self.0.key.lock().await;
        let file = &self.0.file;
        let key = key.as_ref().ok_or_else(|| {
            let none = format!(
                "the secret '{name}' of {project}/{environment} cannot be opened: there is no key in {}; put its file back and start the server again",
                file.display()
            );
            VaultError::Conflict(none)
        })?;
        opened(key, file, &row).map(Some).map_err(VaultError::Conflict)
    }

    async fn value(&self, slot: &Slot, source: &SecretSource) -> Result<SecretText, String> {
        let value = match source {
            SecretSource::Secret(name) => {
                let (project, environment) = (slot.project.clone(), slot.environment.clone());
                let place = Place { project, environment, name: name.clone() };
                let found = self.secret(&place).await.map_err(|error| error.to_string())?;
                found.ok_or_else(|| {
                    format!(
                        "it is not set; `lockstep secret set {name} --project {} --env {}`",
                        slot.project, slot.environment
                    )
                })?
            }
            SecretSource::Env(name) => sources::env(name)?,
            SecretSource::File(path) => sources::file(path).await?,
            SecretSource::Command(argv) => sources::command(argv).await?,
        };
        check(&value)?;
        Ok(value)
    }
}

/// Whether a text can be a secret; says what is wrong and nothing of the text.
fn check(value: &SecretText) -> Result<(), String> {
    let text = value.reveal();
    if text.len() > SECRET_BYTES_MAX {
        return Err(format!("the value is larger than {SECRET_BYTES_MAX} bytes; keep such things in files"));
    }
    if text.contains('\0') {
        return Err("the value holds a NUL, which no variable can".to_owned());
    }
    if text.trim().chars().count() < SECRET_CHARS_MIN {
        return Err(format!(
            "the value is empty or shorter than {SECRET_CHARS_MIN} characters: it could not be masked in output"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
