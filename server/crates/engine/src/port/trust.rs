//! The store of rules by which jobs elsewhere get tokens, and of the identity tokens that were used.

use crate::port::store::{AuditEntry, StoreError};
use async_trait::async_trait;
use lockstep_model::{Digest, Timestamp, trust::TrustView, view::TokenView};

/// The most rules.
pub const TRUST_MAX: usize = 500;

/// An identity token that is used up by an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenToken {
    /// Who made it.
    pub issuer: String,
    /// Its own id.
    pub jti: String,
    /// Who began the job, as it says; empty = it does not.
    pub actor: String,
    /// Until when it could be used again.
    pub expires_at: Timestamp,
}

/// What came of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchanged {
    /// The token is kept.
    Kept,
    /// The identity token was used before.
    Replayed,
    /// The rule was ended in the meantime.
    NoRule,
}

/// Keeps rules of trust.
#[async_trait]
pub trait TrustStore: Send + Sync {
    /// All rules, by name.
    async fn trust_list(&self) -> Result<Vec<TrustView>, StoreError>;

    /// Keeps a rule; false = there is one of that name, or [`TRUST_MAX`] of them.
    async fn trust_add(&self, rule: &TrustView, audit: AuditEntry) -> Result<bool, StoreError>;

    /// Ends a rule and revokes the tokens that were given by it.
    async fn trust_remove(&self, name: &str, audit: AuditEntry) -> Result<Option<TrustView>, StoreError>;

    /// Keeps a token that was given by a rule, and that the identity token was used, in one transaction.
    async fn trust_exchange(
        &self,
        rule: &str,
        seen: &SeenToken,
        token: &TokenView,
        secret: &Digest,
        audit: AuditEntry,
    ) -> Result<Exchanged, StoreError>;
}
