//! Where the output of steps is kept: apart from the journal, so that a talkative step never
//! delays a decision.

use crate::port::store::StoreError;
use async_trait::async_trait;
use lockstep_model::{
    DeploymentId, Timestamp,
    api::LogPage,
    gateway::Slot,
    view::{CheckBucket, CheckView},
    wire::OrderKey,
};

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Of which deployment.
    pub deployment: DeploymentId,
    /// Of which step: `service.kind`.
    pub step: String,
    /// Of which order.
    pub order: OrderKey,
    /// Place of the line's first byte in the order's output; the same place again is the same line.
    pub offset: i64,
    /// When it was recorded.
    pub at: Timestamp,
    /// The text without its line end.
    pub text: String,
}

/// Which lines are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPart {
    /// The first after this cursor.
    After(i64),
    /// The last before this cursor.
    Before(i64),
}

/// Looks at a service that fell into the same bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRow {
    /// Which service.
    pub slot: Slot,
    /// What was seen; its time is when the bucket begins.
    pub seen: CheckBucket,
    /// The last looks one by one, the newest last: what is shown of it after a restart.
    pub last: Vec<CheckView>,
}

/// Keeps output.
#[async_trait]
pub trait LogStore: Send + Sync {
    /// Keeps lines; one that is known already (same order and offset) changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be kept.
    async fn log_append(&self, rows: &[LogRow]) -> Result<(), StoreError>;

    /// Lines of a deployment, in the order in which they were kept.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    async fn log_read(
        &self,
        deployment: DeploymentId,
        step: Option<&str>,
        part: LogPart,
        limit: u32,
    ) -> Result<LogPage, StoreError>;

    /// How many lines of a deployment stand before a cursor.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    async fn log_count(&self, deployment: DeploymentId, before: i64) -> Result<u64, StoreError>;

    /// Bytes that all output takes, with what makes it readable.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    async fn log_size(&self) -> Result<u64, StoreError>;

    /// Whose output is kept; whoever wrote longest ago comes first.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    async fn log_owners(&self) -> Result<Vec<DeploymentId>, StoreError>;

    /// Removes the first lines of a deployment, at most `lines_max`, and notes that it was done to keep within
    /// `bytes_max`. How many they were.
    ///
    /// # Errors
    /// [`StoreError`] when they could not be removed.
    async fn log_remove(
        &self,
        deployment: DeploymentId,
        lines_max: u32,
        bytes_max: u64,
    ) -> Result<u64, StoreError>;

    /// Adds looks at services to the buckets of their time, keeps the last ones, and forgets what is
    /// older than `forget`.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be kept.
    async fn check_append(&self, rows: &[CheckRow], forget: Timestamp) -> Result<(), StoreError>;

    /// Looks at a service since then, in buckets of `bucket_ms`, the newest last.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    async fn check_read(
        &self,
        slot: &Slot,
        since: Timestamp,
        bucket_ms: u64,
    ) -> Result<Vec<CheckBucket>, StoreError>;

    /// The last looks at every service, as they were kept last.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    async fn check_last(&self) -> Result<Vec<(Slot, Vec<CheckView>)>, StoreError>;
}
