//! The store of commands that want to sign in and wait for somebody to confirm it.

use crate::port::store::{AuditEntry, StoreError};
use async_trait::async_trait;
use lockstep_model::{Digest, Timestamp, UserName, view::TokenView};

/// The most that wait at a time; the oldest of the network that has most of them makes room for the next.
pub const DEVICES_MAX: usize = 1_000;

/// A command that wants to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Digest of what it asks with.
    pub device: Digest,
    /// Digest of the code that it shows.
    pub code: Digest,
    /// What it calls its machine.
    pub name: String,
    /// From where it asked.
    pub address: String,
    /// The network from which it asked: for whoever can have many addresses, all of them.
    pub network: String,
    /// Until when somebody can confirm it, and it can fetch its token.
    pub expires_at: Timestamp,
    /// What was decided.
    pub decision: Decision,
}

/// What was decided of a command that wants to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet.
    Waits,
    /// It does not.
    Denied,
    /// It does, as this user.
    Confirmed(UserName),
}

/// Keeps commands that want to sign in.
#[async_trait]
pub trait DeviceStore: Send + Sync {
    /// Keeps one; false = there is one with its code. Those whose time is over go, and of [`DEVICES_MAX`] the
    /// oldest of the network that has most: whoever begins many closes out nobody else.
    async fn device_add(&self, row: &DeviceRow, now: Timestamp) -> Result<bool, StoreError>;

    /// One by the code that it shows.
    async fn device_by_code(&self, code: &Digest) -> Result<Option<DeviceRow>, StoreError>;

    /// One by what it asks with.
    async fn device_fetch(&self, device: &Digest) -> Result<Option<DeviceRow>, StoreError>;

    /// Decides; false = somebody has, or its time is over. None as user denies.
    async fn device_decide(
        &self,
        code: &Digest,
        user: Option<&UserName>,
        audit: AuditEntry,
    ) -> Result<bool, StoreError>;

    /// Keeps the token of one that was confirmed, once; false = it was fetched before.
    async fn device_take(
        &self,
        device: &Digest,
        token: &TokenView,
        secret: &Digest,
        audit: AuditEntry,
    ) -> Result<bool, StoreError>;

    /// Whether a token was given to a command that signed in; those that were made otherwise are of programs.
    async fn device_has_token(&self, token: &str) -> Result<bool, StoreError>;
}
