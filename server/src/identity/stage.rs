//! For tests: people of a server that is not there otherwise.

use super::Identities;
use crate::lockdown::Lockdown;
use lockstep_store::SqliteStore;
use lockstep_testkit::ManualClock;
use std::sync::Arc;
use tempfile::TempDir;

pub(super) struct Stage {
    pub(super) identities: Arc<Identities>,
    pub(super) clock: Arc<ManualClock>,
    _folder: TempDir,
}

impl Stage {
    pub(super) async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = Arc::new(SqliteStore::open(folder.path()).await.expect("a store"));
        let clock = Arc::new(ManualClock::default());
        clock.advance_ms(1_000_000_000);
        let lockdown = Lockdown::open(folder.path().join("lockdown"));
        let identities = Identities::open(store, clock.clone(), lockdown, None).await.expect("open");
        Self { identities: Arc::new(identities), clock, _folder: folder }
    }
}
