//! The store of rules for webhooks, and of what was delivered.

use crate::port::store::{AuditEntry, StoreError};
use async_trait::async_trait;
use lockstep_model::{
    Digest, Timestamp,
    hooks::{DeliveryPage, HookAnswer, HookView, RefusedWhy},
};

/// The most rules.
pub const HOOKS_MAX: usize = 200;

/// The outcome of what could not be done at that moment: it may be delivered again.
pub const FAILED: &str = "failed";

/// Something that was delivered, its signature checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// By which rule.
    pub hook: String,
    /// The sender's own id for it.
    pub id: String,
    /// What happened there, as `push`.
    pub event: String,
    /// Its raw bytes.
    pub body: Digest,
    /// What it says: repository, event, commit and body.
    pub content: Digest,
    /// When it came.
    pub at: Timestamp,
}

/// Whether something that was delivered is acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// It is new, or what was begun for it before never came to an end.
    New,
    /// It is being acted on.
    UnderWay,
    /// It was acted on.
    Done(Box<HookAnswer>),
}

/// Keeps rules of webhooks.
#[async_trait]
pub trait HookStore: Send + Sync {
    /// All rules, by name.
    async fn hook_list(&self) -> Result<Vec<HookView>, StoreError>;

    /// One, by name.
    async fn hook_fetch(&self, name: &str) -> Result<Option<HookView>, StoreError>;

    /// Keeps a rule; false = there is one of that name, or [`HOOKS_MAX`] of them.
    async fn hook_add(&self, hook: &HookView, audit: AuditEntry) -> Result<bool, StoreError>;

    /// Ends a rule.
    async fn hook_remove(&self, name: &str, audit: AuditEntry) -> Result<Option<HookView>, StoreError>;

    /// Notes a delivery, of which the same is acted on once: by its id and by its content, for a week.
    async fn hook_begin(&self, delivery: &Delivery) -> Result<Delivered, StoreError>;

    /// Keeps what came of it, and lists it. Of what [`FAILED`] nothing is known when it is delivered again.
    async fn hook_finish(&self, delivery: &Delivery, answer: &HookAnswer) -> Result<(), StoreError>;

    /// Lists what nothing was begun for. A body that is listed already counts as a duplicate: of a right one
    /// the name of the event is not signed, and so whoever has it could tell as many as they like.
    async fn hook_note(&self, delivery: &Delivery, answer: &HookAnswer) -> Result<(), StoreError>;

    /// Counts what was turned away.
    async fn hook_refused(&self, name: &str, why: RefusedWhy, at: Timestamp) -> Result<(), StoreError>;

    /// What was delivered, the newest first, at most `limit`; and what was turned away.
    async fn hook_deliveries(&self, name: &str, limit: u32) -> Result<DeliveryPage, StoreError>;
}
