//! The events of a deployment's journal: what happened, in the past tense. The journal is the
//! truth; rows and views are made from it.

use crate::{
    Attempt, DeploymentId, Digest, Seq, Timestamp,
    closing::Open,
    deployment::{Actor, Failure, Request, Resolution, RollbackPlan},
    health::Evidence,
    plan::{Checkpoint, Plan},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An event with its place and time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Envelope {
    /// Its place in the journal of its deployment.
    pub seq: Seq,
    /// When it was recorded.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What a target says of an attempt that nobody knows the end of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Finding {
    /// It is done.
    Done {
        /// What was seen.
        evidence: Vec<Evidence>,
    },
    /// It is not done, so it is carried out again.
    NotDone {
        /// What was seen, in one sentence.
        reason: String,
    },
    /// The target cannot tell; an operator is asked.
    CannotTell {
        /// Why, in one sentence.
        reason: String,
    },
}

/// What happened. Steps are named by their place in the plan.
#[allow(
    clippy::large_enum_variant,
    reason = "values of a wire format, one at a time; a box would show in every match"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Somebody asked for it; always the first event.
    Requested {
        /// What they asked for.
        request: Request,
        /// What is to be done.
        plan: Arc<Plan>,
    },
    /// Somebody approved that it begins.
    Approved {
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
        /// The digest of the plan that they approved.
        plan: Digest,
    },
    /// Somebody rejected that it begins; it ends.
    Rejected {
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
    },
    /// It cannot be approved any more; it ends.
    ApprovalLapsed {
        /// Why: the time is over, or what was approved is not what the manifest says now.
        reason: String,
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
        /// It was to be stopped and nobody confirmed that, so it may go on; it is not tried again by
        /// itself.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        may_run: bool,
    },
    /// The target is asked what became of an attempt that nobody knows the end of.
    ProbeStarted {
        /// Which step.
        step: u32,
        /// Which try.
        attempt: Attempt,
    },
    /// What the target said of it.
    ProbeFinished {
        /// Which step.
        step: u32,
        /// Which try.
        attempt: Attempt,
        /// What is true.
        finding: Finding,
    },
    /// The deployment does not go on. Steps that were waiting are skipped.
    FailureDetected {
        /// Why.
        failure: Failure,
    },
    /// Nothing more begins until it is resumed.
    Paused {
        /// By whom.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
    },
    /// It goes on.
    Resumed {
        /// By whom.
        by: Actor,
    },
    /// An operator left a step out.
    StepSkipped {
        /// Which step.
        step: u32,
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: String,
    },
    /// An operator has a step tried again; a running attempt is stopped before.
    StepRetried {
        /// Which step.
        step: u32,
        /// Who.
        by: Actor,
    },
    /// Somebody ended it. Steps that were waiting are skipped.
    CancelRequested {
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
        /// Services whose new version has all the traffic keep it.
        #[serde(default)]
        keep: bool,
    },
    /// Somebody takes single services of it back; the others go on. Steps of those that were waiting
    /// are skipped.
    TakeBackRequested {
        /// Places in [`Plan::services`], dependants that cannot stay among them.
        services: Vec<u32>,
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
    },
    /// No step of those services runs any more, and it is decided what goes back of them.
    TakeBackPlanned {
        /// What, in which order.
        rollback: RollbackPlan,
    },
    /// All of those services are back.
    TakenBack,
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
        /// The failure, when nothing goes back before the operator has decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// An operator had what failed tried again.
    UndoRetried {
        /// Who.
        by: Actor,
    },
    /// An operator declared how it ended; what is left open is closed before.
    ResolveBegun {
        /// Who.
        by: Actor,
        /// How it ended.
        outcome: Resolution,
        /// Why, in their words.
        reason: String,
        /// Which try.
        attempt: Attempt,
        /// What is closed.
        open: Vec<Open>,
    },
    /// What a service had left open is closed.
    Closed {
        /// Place in [`Plan::services`].
        service: u32,
        /// Which try.
        attempt: Attempt,
    },
    /// What a service had left open could not be closed; the operator is asked again.
    CloseFailed {
        /// Place in [`Plan::services`].
        service: u32,
        /// Which try.
        attempt: Attempt,
        /// Why.
        reason: String,
    },
    /// An operator declared how it ended, and nothing is left open.
    Resolved {
        /// Who.
        by: Actor,
        /// How it ended.
        outcome: Resolution,
        /// Why, in their words.
        reason: String,
        /// At their word, what is open stays open.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        leaves: bool,
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
