//! The head of the audit, noted down beside the database every second: who cuts lines off, and sets the
//! head in the database to fit, is found out all the same. Goes forward only; where the two do not
//! agree, or the note is gone, nothing more is noted until an admin has said that it was looked into.

use crate::data_dir::private_write;
use lockstep_engine::port::{Store, store::StoreError};
use lockstep_model::view::{AuditFault, AuditHead, AuditReport};
use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

const NOTED_EVERY: Duration = Duration::from_secs(1);

/// The file with the noted head. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Anchor {
    file: PathBuf,
    /// Whether what stands there may be written over with what the database says.
    is_agreed: Arc<AtomicBool>,
    /// Held while the file is written: two at once would take each other's new file away.
    writes: Arc<Mutex<()>>,
}

/// What stands in the file.
enum Noted {
    /// No line was there yet.
    Nothing,
    Head(AuditHead),
    /// It should be there and is not.
    Lost(String),
}

impl Anchor {
    /// The anchor in a file; begun when nothing was recorded yet.
    ///
    /// # Errors
    /// When the database cannot be read, or the file not be written.
    pub async fn open(file: PathBuf, store: &dyn Store) -> anyhow::Result<Self> {
        let anchor = Self { file, is_agreed: Arc::default(), writes: Arc::default() };
        if !anchor.file.exists() && store.audit_head().await?.is_none() {
            anchor.write(None)?;
        }
        Ok(anchor)
    }

    fn read(&self) -> Noted {
        let shown = self.file.display();
        match fs::read(&self.file) {
            Ok(text) => match serde_json::from_slice::<Option<AuditHead>>(&text) {
                Ok(None) => Noted::Nothing,
                Ok(Some(head)) => Noted::Head(head),
                Err(error) => {
                    Noted::Lost(format!("{shown}, where the last line is noted down, is unreadable: {error}"))
                }
            },
            Err(error) => {
                Noted::Lost(format!("{shown}, where the last line is noted down, cannot be read: {error}"))
            }
        }
    }

    fn write(&self, head: Option<&AuditHead>) -> io::Result<()> {
        let _one = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        private_write(&self.file, &serde_json::to_vec(&head)?)
    }

    /// Whether the audit is whole, past the head that was noted down, or past `given`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn verify(
        &self,
        store: &dyn Store,
        given: Option<AuditHead>,
    ) -> Result<AuditReport, StoreError> {
        let (head, lost) = match (given, self.read()) {
            (Some(given), _) => (Some(given), None),
            (None, Noted::Nothing) => (None, None),
            (None, Noted::Head(head)) => (Some(head), None),
            (None, Noted::Lost(why)) => (None, Some(why)),
        };
        let mut report = store.audit_verify(head.as_ref()).await?;
        if let Some(why) = lost {
            let id = report.head.as_ref().map_or(0, |head| head.id);
            let found =
                format!("{why}; what was cut off before cannot be found. See `lockstep audit accept --help`");
            report.faults.push(AuditFault { id, found });
        }
        Ok(report)
    }

    /// Notes the present head down, whatever stood there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn accept(&self, head: Option<&AuditHead>) -> io::Result<()> {
        self.write(head)?;
        self.is_agreed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Notes the head down whenever it has moved on.
    pub async fn keep(self, store: Arc<dyn Store>) {
        while let Err(error) = self.compare(store.as_ref()).await {
            tracing::error!("the audit could not be verified: {error}");
            sleep(NOTED_EVERY).await;
        }
        loop {
            if self.is_agreed.load(Ordering::Relaxed) {
                self.follow(store.as_ref()).await;
            }
            sleep(NOTED_EVERY).await;
        }
    }

    async fn compare(&self, store: &dyn Store) -> Result<(), StoreError> {
        let faults = self.verify(store, None).await?.faults;
        for fault in &faults {
            tracing::error!("the audit is not what was written: line {}: {}", fault.id, fault.found);
        }
        if faults.is_empty() {
            self.is_agreed.store(true, Ordering::Relaxed);
        } else {
            tracing::error!(
                "nothing more is noted down in {}; look into it with `lockstep audit verify`, then `lockstep audit accept`",
                self.file.display()
            );
        }
        Ok(())
    }

    async fn follow(&self, store: &dyn Store) {
        let head = match store.audit_head().await {
            Ok(Some(head)) => head,
            Ok(None) => return,
            Err(error) => return tracing::debug!("the audit's head could not be read: {error}"),
        };
        let is_on = match self.read() {
            Noted::Nothing => true,
            Noted::Head(noted) => noted.id < head.id,
            Noted::Lost(why) => {
                tracing::error!("{why}; nothing more is noted down until `lockstep audit accept`");
                self.is_agreed.store(false, Ordering::Relaxed);
                false
            }
        };
        if is_on && let Err(error) = self.write(Some(&head)) {
            tracing::warn!("{}: {error}", self.file.display());
        }
    }
}
