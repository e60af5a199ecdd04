//! What was answered to requests that carried a key of their sender's: the same request sent again gets
//! the same answer and is not done again.

use crate::port::store::{Idempotency, StoreError};
use async_trait::async_trait;
use lockstep_model::Timestamp;

/// What is known of a request with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Nothing; from now on it is under way.
    New,
    /// It is under way, or was when the server ended.
    UnderWay,
    /// It was done; none = the answer held a secret and is not kept.
    Done(Option<String>),
    /// The key was used for another request.
    Other,
}

/// Keeps answers.
#[async_trait]
pub trait AnswerStore: Send + Sync {
    /// Begins a request, unless its key is known. Of two at the same time one is new.
    async fn answer_begin(&self, request: &Idempotency, at: Timestamp) -> Result<Asked, StoreError>;

    /// It was done. `text` is what the same request is answered with from now on.
    async fn answer_finish(&self, request: &Idempotency, text: Option<&str>) -> Result<(), StoreError>;

    /// It was refused and changed nothing: the key is free again.
    async fn answer_forget(&self, request: &Idempotency) -> Result<(), StoreError>;
}
