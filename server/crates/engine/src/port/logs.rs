//! Where the output of steps is kept: apart from the journal, so that a talkative step never
//! delays a decision.

use crate::port::store::StoreError;
use async_trait::async_trait;
use lockstep_model::{DeploymentId, Timestamp, api::LogPage, wire::OrderKey};

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

/// Keeps output.
#[async_trait]
pub trait LogStore: Send + Sync {
    /// Keeps lines; one that is known already (same order and offset) changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be kept.
    async fn log_append(&self, rows: &[LogRow]) -> Result<(), StoreError>;

    /// Lines of a deployment after a cursor, in the order in which they were kept.
    ///
    /// # Errors
    /// [`StoreError`] when it could not be read.
    async fn log_read(
        &self,
        deployment: DeploymentId,
        step: Option<&str>,
        after: i64,
        limit: u32,
    ) -> Result<LogPage, StoreError>;
}
