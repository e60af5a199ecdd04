//! A log store that tells when there are new lines.

use async_trait::async_trait;
use lockstep_engine::port::{CheckRow, LogPart, LogRow, LogStore, StoreError};
use lockstep_model::{
    DeploymentId, Timestamp,
    api::LogPage,
    gateway::Slot,
    view::{CheckBucket, CheckView},
};
use std::sync::Arc;
use tokio::sync::watch;

/// Passes everything on, and tells of lines that were kept.
pub struct Telling {
    /// What keeps them.
    pub store: Arc<dyn LogStore>,
    /// Ticks with every line that was kept.
    pub lines: watch::Sender<u64>,
}

#[async_trait]
impl LogStore for Telling {
    async fn log_append(&self, rows: &[LogRow]) -> Result<(), StoreError> {
        self.store.log_append(rows).await?;
        self.lines.send_modify(|number| *number += rows.len() as u64);
        Ok(())
    }

    async fn log_read(
        &self,
        deployment: DeploymentId,
        step: Option<&str>,
        part: LogPart,
        limit: u32,
    ) -> Result<LogPage, StoreError> {
        self.store.log_read(deployment, step, part, limit).await
    }

    async fn log_count(&self, deployment: DeploymentId, before: i64) -> Result<u64, StoreError> {
        self.store.log_count(deployment, before).await
    }

    async fn log_size(&self) -> Result<u64, StoreError> {
        self.store.log_size().await
    }

    async fn log_owners(&self) -> Result<Vec<DeploymentId>, StoreError> {
        self.store.log_owners().await
    }

    async fn log_remove(
        &self,
        deployment: DeploymentId,
        lines_max: u32,
        bytes_max: u64,
    ) -> Result<u64, StoreError> {
        self.store.log_remove(deployment, lines_max, bytes_max).await
    }

    async fn check_append(&self, rows: &[CheckRow], forget: Timestamp) -> Result<(), StoreError> {
        self.store.check_append(rows, forget).await
    }

    async fn check_read(
        &self,
        slot: &Slot,
        since: Timestamp,
        bucket_ms: u64,
    ) -> Result<Vec<CheckBucket>, StoreError> {
        self.store.check_read(slot, since, bucket_ms).await
    }

    async fn check_last(&self) -> Result<Vec<(Slot, Vec<CheckView>)>, StoreError> {
        self.store.check_last().await
    }
}
