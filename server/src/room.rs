//! Room for output: when all that is kept takes more than it may, what ended longest ago goes first. Output of
//! what runs is never touched, and nobody who writes waits for this.

use lockstep_engine::port::{Clock, LogStore, ScriptStore, Store, StoreError};
use lockstep_model::DeploymentId;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// How often it is looked at. A deployment's own limit bounds what can come in between.
const EVERY: Duration = Duration::from_secs(5);
/// Lines that are removed at a time: others write in between.
const LINES_AT_ONCE: u32 = 2_000;
/// A script that was not heard of for so long has ended, whatever it said last.
const SILENT_MS: u64 = 24 * 60 * 60 * 1_000;

/// Keeps output within its limit.
pub struct Room {
    /// What is kept.
    pub logs: Arc<dyn LogStore>,
    /// Who runs of the deployments.
    pub deployments: Arc<dyn Store>,
    /// Who runs of the scripts elsewhere.
    pub scripts: Arc<dyn ScriptStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The limit.
    pub bytes_max: u64,
}

impl Room {
    /// Looks now and then, until the server ends.
    pub async fn keep(self) {
        loop {
            match self.make().await {
                Ok(0) => {}
                Ok(lines) => tracing::info!(
                    "{lines} lines of output of what has ended were removed to keep within {} MiB (--output-max)",
                    self.bytes_max >> 20
                ),
                // On a full disk, say. Nobody waits for it; it is tried again.
                Err(error) => tracing::warn!("no room was made for output: {error}"),
            }
            sleep(EVERY).await;
        }
    }

    /// Removes what is too much; how many lines that were.
    async fn make(&self) -> Result<u64, StoreError> {
        let mut removed = 0;
        if self.logs.log_size().await? <= self.bytes_max {
            return Ok(removed);
        }
        for id in self.logs.log_owners().await? {
            // Asked after its output was seen: whoever has ended by then does not begin again.
            if !self.has_ended(id).await? {
                continue;
            }
            loop {
                if self.logs.log_size().await? <= self.bytes_max {
                    return Ok(removed);
                }
                match self.logs.log_remove(id, LINES_AT_ONCE, self.bytes_max).await? {
                    0 => break,
                    lines => removed += lines,
                }
            }
        }
        Ok(removed)
    }

    async fn has_ended(&self, id: DeploymentId) -> Result<bool, StoreError> {
        if id.0 >= 0 {
            return match self.deployments.deployment_fetch(id).await {
                Ok(found) => Ok(found.is_none_or(|summary| summary.phase.is_final())),
                // Whatever it is, somebody may still want to know what it said.
                Err(StoreError::Unreadable { .. }) => Ok(false),
                Err(error) => Err(error),
            };
        }
        let now = self.clock.now();
        let found = self.scripts.script_by_number(-id.0).await?;
        Ok(found.is_none_or(|run| run.state.is_final() || now.since_ms(run.heard_at) > SILENT_MS))
    }
}
