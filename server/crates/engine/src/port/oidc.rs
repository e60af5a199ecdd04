//! The store of people who sign in at an identity provider, and of sign-ins that are on their way there.

use crate::port::store::{AuditEntry, StoreError};
use async_trait::async_trait;
use lockstep_model::{Digest, Timestamp, UserName, access::Rights, view::UserView};

/// The most sign-ins that are on their way at a time.
pub const ON_THE_WAY_MAX: usize = 10_000;

/// A sign-in that went to the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnTheWay {
    /// Digest of its state.
    pub state: Digest,
    /// What the identity token must repeat.
    pub nonce: String,
    /// What proves that whoever comes back is who went.
    pub verifier: String,
    /// Where it goes afterwards.
    pub next: String,
    /// Until when it can come back.
    pub expires_at: Timestamp,
}

/// Somebody as their provider describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who says so.
    pub issuer: String,
    /// Who they are there, for ever.
    pub subject: String,
    /// How a new account is called, the first that is free.
    pub names: Vec<UserName>,
    /// What follows from their groups.
    pub rights: Rights,
}

/// What came of a person who came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// Their account, with the roles that follow from their groups.
    As(UserView),
    /// It was switched off.
    Disabled(UserName),
    /// None of the names is free.
    NoName,
    /// It would take away the last admin who may sign in.
    LastAdmin,
}

/// Keeps people of identity providers.
#[async_trait]
pub trait OidcStore: Send + Sync {
    /// Notes a sign-in that goes to the provider; false = [`ON_THE_WAY_MAX`] do.
    async fn oidc_begin(&self, sign_in: &OnTheWay, now: Timestamp) -> Result<bool, StoreError>;

    /// Takes one that comes back, once, and only before its time is over.
    async fn oidc_take(&self, state: &Digest, now: Timestamp) -> Result<Option<OnTheWay>, StoreError>;

    /// Makes or finds a person's account, and gives it exactly the roles of their groups, in one
    /// transaction. The audit is written when something changed.
    async fn oidc_arrive(&self, person: &Person, audit: AuditEntry) -> Result<Arrived, StoreError>;
}
