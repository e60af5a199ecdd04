//! The way to an agent: orders go out, outcomes come back, whatever happens to the connection in
//! between.

use async_trait::async_trait;
use lockstep_model::{
    DeploymentId, Epoch,
    wire::{Order, OrderKey, Outcome},
};

/// An order for an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct HostOrder {
    /// Its key; the same key is carried out once.
    pub key: OrderKey,
    /// On whose behalf.
    pub deployment: Option<DeploymentId>,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// What to do.
    pub order: Order,
}

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// No agent answered for so long that the outcome counts as unknown.
    #[error("the agent has not answered for {silent_ms} ms; the outcome of {key} is not known")]
    Lost {
        /// The order.
        key: OrderKey,
        /// How long.
        silent_ms: u64,
    },
    /// The order was cancelled on this side.
    #[error("{key} was cancelled")]
    Cancelled {
        /// The order.
        key: OrderKey,
    },
}

/// Agents, as targets see them.
#[async_trait]
pub trait Host: Send + Sync {
    /// Has an order carried out and waits for its outcome, across reconnections of the agent. The
    /// same key again returns the same outcome.
    ///
    /// # Errors
    /// [`HostError`] when no outcome can be had.
    async fn order(&self, order: HostOrder) -> Result<Outcome, HostError>;

    /// Cancels every order under way whose key begins with `prefix`, and returns when the agent
    /// has confirmed it or is lost.
    async fn cancel(&self, prefix: &str);
}
