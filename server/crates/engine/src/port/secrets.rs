//! The store of secrets. It keeps what is sealed and knows no key; what it hands out is of no use
//! without one.

use crate::port::store::{AuditEntry, StoreError};
use async_trait::async_trait;
use lockstep_model::{EnvironmentName, ProjectName, SecretName, secrets::SecretView};
use std::collections::BTreeSet;

/// A secret as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// What may be told of it.
    pub view: SecretView,
    /// Which key opens it.
    pub key_id: String,
    /// The key of this row, sealed under that one.
    pub data_key: String,
    /// The value, sealed under the key of this row.
    pub sealed: String,
}

/// Keeps secrets.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// The secret of a name.
    async fn secret_fetch(
        &self,
        project: &ProjectName,
        environment: &EnvironmentName,
        name: &SecretName,
    ) -> Result<Option<SecretRow>, StoreError>;

    /// The last version that a name has had, also before it was removed; 0 = it was never set.
    async fn secret_last(
        &self,
        project: &ProjectName,
        environment: &EnvironmentName,
        name: &SecretName,
    ) -> Result<u32, StoreError>;

    /// All of them, or those of a project or an environment; by project, environment and name.
    async fn secret_list(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<SecretRow>, StoreError>;

    /// Which keys open what is kept; one, unless somebody changed the database.
    async fn secret_keys(&self) -> Result<BTreeSet<String>, StoreError>;

    /// Keeps a secret, when the version that is kept is the one before it. False when it is another.
    async fn secret_put(&self, row: &SecretRow, audit: AuditEntry) -> Result<bool, StoreError>;

    /// Forgets a secret and comes back with it; none when there is none.
    async fn secret_remove(
        &self,
        project: &ProjectName,
        environment: &EnvironmentName,
        name: &SecretName,
        audit: AuditEntry,
    ) -> Result<Option<SecretRow>, StoreError>;

    /// Puts all secrets in the place of those that are kept, with the same versions, all or none. False
    /// when one of them was changed meanwhile.
    async fn secret_reseal(&self, rows: &[SecretRow], audit: AuditEntry) -> Result<bool, StoreError>;
}
