//! The head of the audit, noted down beside the database every second: who cuts lines off, and sets the
//! head in the database to fit, is found out all the same. Goes forward only; where the two do not
//! agree it stays as it is, for whoever looks into it.

use crate::data_dir::private_write;
use lockstep_engine::port::Store;
use lockstep_model::view::AuditHead;
use std::{fs, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::sleep;

const NOTED_EVERY: Duration = Duration::from_secs(1);

/// The file with the noted head. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Anchor(PathBuf);

impl Anchor {
    /// The anchor in a file.
    pub fn at(file: PathBuf) -> Self {
        Self(file)
    }

    /// What was noted down last; none = nothing yet, or it cannot be read.
    pub fn read(&self) -> Option<AuditHead> {
        serde_json::from_slice(&fs::read(&self.0).ok()?).ok()
    }

    /// Notes the head down whenever it has moved on.
    pub async fn keep(self, store: Arc<dyn Store>) {
        let mut noted = self.read();
        match store.audit_verify(noted.as_ref()).await {
            Ok(report) if report.faults.is_empty() => {}
            Ok(report) => {
                for fault in report.faults {
                    tracing::error!("the audit is not what was written: line {}: {}", fault.id, fault.found);
                }
                let file = self.0.display();
                tracing::error!(
                    "look into it with `lockstep audit verify`; {file} stays as it is until it is removed"
                );
                return;
            }
            Err(error) => tracing::error!("the audit could not be verified: {error}"),
        }
        loop {
            match store.audit_head().await {
                Ok(Some(head)) if noted.as_ref().is_none_or(|noted| noted.id < head.id) => {
                    let written = serde_json::to_vec(&head)
                        .map_err(std::io::Error::from)
                        .and_then(|text| private_write(&self.0, &text));
                    match written {
                        Ok(()) => noted = Some(head),
                        Err(error) => tracing::warn!("{}: {error}", self.0.display()),
                    }
                }
                Ok(_) => {}
                Err(error) => tracing::debug!("the audit's head could not be read: {error}"),
            }
            sleep(NOTED_EVERY).await;
        }
    }
}
