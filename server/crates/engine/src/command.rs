//! Commands: everything that can be asked of a deployment, and what came of its effects.

use lockstep_model::{
    Attempt, DeploymentId, Digest, Seq, ServiceName, StepId,
    deployment::{Actor, Failure, Resolution},
    event::Finding,
    health::Evidence,
    plan::Checkpoint,
};

/// Something a deployment is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one of them lives a moment at a time; a box would only hide the checkpoint"
)]
pub enum Command {
    /// Its turn has come.
    Start,
    /// A newer deployment takes its place in the queue.
    Supersede {
        /// Which.
        by: DeploymentId,
    },
    /// Somebody approves that it begins.
    Approve {
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
        /// The digest of the plan that they looked at.
        plan: Digest,
    },
    /// Somebody rejects that it begins.
    Reject {
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
    },
    /// It cannot be approved any more.
    Lapse {
        /// Why.
        reason: String,
    },
    /// What came of a step.
    FinishStep {
        /// Which step.
        step: u32,
        /// Which try.
        attempt: Attempt,
        /// What came of it.
        outcome: StepOutcome,
    },
    /// What came of an undo.
    FinishUndo {
        /// Which step.
        step: u32,
        /// Which try.
        attempt: Attempt,
        /// What came of it.
        outcome: UndoOutcome,
    },
    /// Something outside its steps shows that the release is broken.
    Fail {
        /// What.
        failure: Failure,
    },
    /// What a target says of an attempt that nobody knows the end of.
    FinishProbe {
        /// Which step.
        step: u32,
        /// Which try.
        attempt: Attempt,
        /// What it says.
        finding: Finding,
    },
    /// Somebody has nothing more begun until they say so.
    Pause {
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
    },
    /// Somebody lets a paused one go on.
    Resume {
        /// Who.
        by: Actor,
        /// Only if this pause stands, by its event; none = whichever stands.
        pause: Option<Seq>,
    },
    /// Somebody leaves a step out.
    SkipStep {
        /// Which, as people call it.
        step: StepId,
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: String,
    },
    /// Somebody has a step tried again that failed, or that runs and seems to hang.
    RetryStep {
        /// Which, as people call it.
        step: StepId,
        /// Who.
        by: Actor,
    },
    /// Somebody has every step of a service tried again that failed or is unknown.
    RetryService {
        /// Which service.
        service: ServiceName,
        /// Who.
        by: Actor,
    },
    /// Somebody keeps the new version of a service as it is: what only looks is left out.
    KeepService {
        /// Which service.
        service: ServiceName,
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: String,
    },
    /// Somebody ends it; what it changed goes back and it counts as cancelled.
    Cancel {
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
        /// Services whose new version has all the traffic keep it.
        keep: bool,
    },
    /// Somebody takes it back; it counts as rolled back.
    TakeBack {
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
    },
    /// Somebody takes single services of it back, with what needs them; the others go on.
    TakeBackServices {
        /// Which.
        services: Vec<ServiceName>,
        /// Who.
        by: Actor,
        /// Why, in their words.
        reason: Option<String>,
    },
    /// Somebody has what could not be undone tried again.
    RetryUndo {
        /// Who.
        by: Actor,
    },
    /// Somebody declares how it ended.
    Resolve {
        /// Who.
        by: Actor,
        /// How it ended.
        outcome: Resolution,
        /// Why, in their words.
        reason: String,
        /// What is open stays open: nothing is changed outside.
        leave: bool,
    },
    /// What came of closing what a service had left open.
    FinishClose {
        /// Which service, by its place in the plan.
        service: u32,
        /// Which try.
        attempt: Attempt,
        /// Why it could not be closed.
        outcome: Result<(), String>,
    },
    /// Look what can go on now: begin what is ready, notice a failure or a limit that has passed,
    /// plan and carry on a rollback, end. Repeated until it decides nothing more; doing it again
    /// changes nothing, so it is also what recovery does.
    Proceed,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one of them lives a moment at a time; a box would only hide the checkpoint"
)]
pub enum StepOutcome {
    /// It is done.
    Succeeded {
        /// What was seen.
        evidence: Vec<Evidence>,
        /// What serves before the change; given by preflight.
        checkpoint: Option<Checkpoint>,
    },
    /// It was not done.
    Failed {
        /// Why, in one sentence.
        reason: String,
        /// What was seen.
        evidence: Vec<Evidence>,
    },
    /// It was stopped or lost, and nobody knows how far it came.
    Unknown {
        /// Why.
        reason: String,
    },
    /// It was to be stopped and nobody confirms that: it may go on. It is not tried again by itself.
    NotStopped {
        /// Why.
        reason: String,
    },
}

/// What came of an undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoOutcome {
    /// The checkpoint serves, and that was probed.
    Undone {
        /// What was seen.
        evidence: Vec<Evidence>,
    },
    /// It could not be done or not be shown.
    Failed {
        /// Why, in one sentence.
        reason: String,
        /// What was seen.
        evidence: Vec<Evidence>,
    },
}
