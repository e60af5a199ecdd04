//! Fakes of the engine's ports, for tests of the crates above it: a store in memory with faults, a
//! target that does as the test says and keeps a ledger of its own, a host without agents, a
//! clock that is moved by hand. Never part of the product.
#![forbid(unsafe_code)]

mod memory_store;
mod script_target;

use async_trait::async_trait;
use lockstep_engine::port::{Clock, Host, HostCancel, HostError, HostOrder, Stopped};
use lockstep_model::{Timestamp, wire::Outcome};
use std::sync::atomic::{AtomicI64, Ordering};

pub use memory_store::{Fault, MemoryStore};
pub use script_target::{Act, ScriptTarget};

/// A clock that moves when it is told to.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Moves it.
    pub fn advance_ms(&self, duration_ms: i64) {
        self.0.fetch_add(duration_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A host without agents: every order is lost at once, cancelling is done at once.
#[derive(Debug, Default)]
pub struct NoHost;

#[async_trait]
impl Host for NoHost {
    async fn order(&self, order: HostOrder) -> Result<Outcome, HostError> {
        Err(HostError::Lost { key: order.key, silent_ms: 0 })
    }

    async fn cancel(&self, _cancel: HostCancel) -> Stopped {
        Stopped::Confirmed
    }

    async fn secrets_try(
        &self,
        _: &lockstep_model::gateway::Slot,
        _: &lockstep_model::secrets::SecretSources,
    ) -> Result<(), String> {
        Ok(())
    }
}
