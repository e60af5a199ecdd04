//! The store of people who sign in at an identity provider.

use crate::port::store::{AuditEntry, StoreError};
use async_trait::async_trait;
use lockstep_model::{UserName, access::Rights, view::UserView};

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
}

/// What came of a person whose groups give them nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// Nobody here is known as them.
    Unknown,
    /// They had nothing left.
    Nothing,
    /// All was taken that they had: sessions, tokens, what would have become one, and roles. The last admin
    /// stays one, but cannot come in.
    Gone(UserName),
}

/// Keeps people of identity providers.
#[async_trait]
pub trait OidcStore: Send + Sync {
    /// Makes or finds a person's account, and gives it exactly the roles of their groups, in one
    /// transaction: also less, but the last admin who can sign in stays one besides. The audit is written when
    /// something changed.
    async fn oidc_arrive(&self, person: &Person, audit: AuditEntry) -> Result<Arrived, StoreError>;

    /// Takes all that a person has here, in one transaction: their roles came from groups that they are not in
    /// any more. The last admin keeps that role, and does not count as one who can sign in. The audit is written
    /// when something was taken.
    async fn oidc_leave(&self, issuer: &str, subject: &str, audit: AuditEntry) -> Result<Left, StoreError>;
}
