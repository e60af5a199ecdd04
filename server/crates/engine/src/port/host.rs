//! The way to an agent: orders go out, outcomes come back, whatever happens to the connection in
//! between.

use async_trait::async_trait;
use lockstep_model::{
    DeploymentId, Epoch,
    gateway::Slot,
    secrets::SecretSources,
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

/// What is to be stopped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostCancel {
    /// What the keys of the orders begin with; it ends with a slash.
    pub prefix: String,
    /// On whose behalf.
    pub deployment: DeploymentId,
    /// The owner's epoch.
    pub epoch: Epoch,
}

/// What is known of orders that were to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The agent says that none of them is carried out any more, and it will carry out no late one.
    Confirmed,
    /// Nobody says so: no agent answers, it takes too long, or it belongs to another owner. They may
    /// still be carried out.
    Unconfirmed,
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

    /// Cancels every order whose key begins with a prefix, whoever gave it and wherever it is, and
    /// returns when the agent has confirmed it or is lost. A wish that was not confirmed is told to
    /// the agent again as soon as there is one.
    async fn cancel(&self, cancel: HostCancel) -> Stopped;

    /// Whether the values of secrets could be had now: asked before anything is changed, so that a step
    /// which needs them does not fail half way.
    ///
    /// # Errors
    /// A sentence about the first that could not, without a word of a value.
    async fn secrets_try(&self, slot: &Slot, sources: &SecretSources) -> Result<(), String>;
}
