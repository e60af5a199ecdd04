//! The events of a deployment's journal: what happened, in the past tense. The journal is the
//! truth; rows and views are made from it.

use crate::{
    Attempt, DeploymentId, Seq, Timestamp,
    deployment::{Actor, Failure, Request, Resolution, RollbackPlan},
    health::Evidence,
    plan::{Checkpoint, Plan},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An event with its place and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Its place in the journal of its deployment.
    pub seq: Seq,
    /// When it was recorded.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What happened. Steps are named by their place in the plan.
#[allow(
    clippy::large_enum_variant,
    reason = "values of a wire format, one at a time; a box would show in every match"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Somebody asked for it; always the first event.
    Requested {
        /// What they asked for.
        request: Request,
        /// What is to be done.
        plan: Arc<Plan>,
    },
    /// Its turn has come.
    Started,
    /// A step's attempt begins; recorded before the outside world hears of it.
    StepStarted {
        /// Which step.
        step: u32,
        /// Which try.
        attempt: Attempt,
    },
    /// A step is done.
    StepSucceeded {
        /// Which step.
        step: u32,
        /// Which try.
        attempt: Attempt,
        /// What was seen.
        evidence: Vec<Evidence>,
        /// What serves before the change, when the step recorded it.
        checkpoint: Option<Checkpoint>,
    },
    /// A step did not do it.
    StepFailed {
        /// Which step.
        step: u32,
        /// Which try.
        attempt: Attempt,
        /// Why.
        reason: String,
        /// What was seen.
        evidence: Vec<Evidence>,
    },
    /// A step was stopped or lost; nobody knows how far it came.
    StepUnknown {
        /// Which step.
        step: u32,
        /// Which try.
        attempt: Attempt,
        /// Why.
        reason: String,
    },
    /// The deployment does not go on. Steps that were waiting are skipped.
    FailureDetected {
        /// Why.
        failure: Failure,
    },
    /// Somebody ended it. Steps that were waiting are skipped.
    CancelRequested {
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
    },
    /// No step runs any more, and it is decided what goes back.
    RollbackPlanned {
        /// What, in which order.
        rollback: RollbackPlan,
    },
    /// The undo of a step begins.
    UndoStarted {
        /// Which step.
        step: u32,
        /// Which try.
        attempt: Attempt,
    },
    /// A step is undone, and what serves was probed.
    UndoSucceeded {
        /// Which step.
        step: u32,
        /// Which try.
        attempt: Attempt,
        /// What was seen.
        evidence: Vec<Evidence>,
    },
    /// A step could not be undone.
    UndoFailed {
        /// Which step.
        step: u32,
        /// Which try.
        attempt: Attempt,
        /// Why.
        reason: String,
        /// What was seen.
        evidence: Vec<Evidence>,
    },
    /// An operator has to decide.
    OperatorNeeded {
        /// What for.
        reason: String,
    },
    /// An operator had what failed tried again.
    UndoRetried {
        /// Who.
        by: Actor,
    },
    /// An operator declared how it ended.
    Resolved {
        /// Who.
        by: Actor,
        /// How it ended.
        outcome: Resolution,
        /// Why, in their words.
        reason: String,
    },
    /// Every service passed: it has succeeded.
    ReleaseCommitted,
    /// Everything that it changed is back.
    RolledBack,
    /// It failed, and nothing goes back.
    Failed,
    /// It was ended, and what it changed is back.
    Cancelled,
    /// A newer one took its place in the queue.
    Superseded {
        /// Which.
        by: DeploymentId,
    },
}
