//! The deployment machine: `decide` answers a command with events and effects, `apply` makes the
//! next state from an event, live and on recovery alike. One file per transition.

mod apply;
mod approve;
mod by_service;
mod cancel;
mod close;
mod fail;
mod finish;
mod part;
mod pause;
mod proceed;
mod resolve;
mod retry_undo;
mod start;
mod steer;
mod unknown;

use crate::{command::Command, effect::Effect};
use lockstep_model::{
    Digest, ServiceName, StepId, Timestamp, UserName,
    deployment::{Deployment, Phase, StepState},
    event::Event,
};

pub use apply::{IllegalEvent, advance, apply, replay};

/// What follows from a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// What is recorded; nothing = the command changes nothing.
    pub events: Vec<Event>,
    /// What is to be done outside, once the events are durable.
    pub effects: Vec<Effect>,
}

impl Decision {
    fn event(event: Event) -> Self {
        Self { events: vec![event], effects: Vec::new() }
    }

    fn nothing() -> Self {
        Self::default()
    }

    /// Whether nothing follows.
    pub fn is_nothing(&self) -> bool {
        self.events.is_empty() && self.effects.is_empty()
    }
}

/// Why a command is not possible in this state. A typed answer, not a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has ended.
    #[error("the deployment has ended already: it is {phase}")]
    AlreadyFinished {
        /// How.
        phase: Phase,
    },
    /// It has begun.
    #[error("the deployment has begun already: it is {phase}")]
    AlreadyStarted {
        /// Where it stands.
        phase: Phase,
    },
    /// It is being taken back already.
    #[error("the deployment is being taken back already; `lockstep watch` shows how far it is")]
    AlreadyRollingBack,
    /// An operator has to decide first.
    #[error("the deployment needs an operator: use `lockstep undo-retry` or `lockstep resolve`")]
    WaitsForOperator,
    /// It has been resolved, and what is open is being closed.
    #[error(
        "somebody has said how the deployment ended, and what it left open is being closed; to end it as it \
         is: `lockstep resolve` with --leave-traffic"
    )]
    IsClosing,
    /// It was resolved, and some of what was open may be closed.
    #[error(
        "somebody has said how the deployment ended, and some of what was open may be closed, so it does not go \
         forward any more; use `lockstep resolve` once more, or `rollback`"
    )]
    MayBeClosed,
    /// No operator is needed.
    #[error("the deployment does not need an operator: it is {phase}")]
    NoOperatorNeeded {
        /// Where it stands.
        phase: Phase,
    },
    /// It is paused.
    #[error("the deployment is paused already{said}; `lockstep resume` lets it go on")]
    AlreadyPaused {
        /// By whom, since when and why.
        said: String,
    },
    /// The pause that was to end has ended, and another stands.
    #[error("that pause has ended, and the deployment is paused anew{said}; that is left as it is")]
    PausedAnew {
        /// By whom, since when and why.
        said: String,
    },
    /// It is not paused.
    #[error("the deployment is not paused: it is {phase}")]
    NotPaused {
        /// Where it stands.
        phase: Phase,
    },
    /// There is no undo to try again.
    #[error(
        "nothing was taken back yet, so there is no undo to try again; \
         use `lockstep retry`, `skip`, `rollback`, `cancel` or `resolve`"
    )]
    NothingWentBack,
    /// Steps still run.
    #[error("steps are still running ({running}); say how it ended once they have come to their end")]
    StepsRun {
        /// Which.
        running: String,
    },
    /// There is no such step.
    #[error("the deployment has no step '{step}'{hint}")]
    NoSuchStep {
        /// What was given.
        step: StepId,
        /// The nearest, when there is one.
        hint: String,
    },
    /// There is no such service.
    #[error("the deployment does not change '{service}'{hint}")]
    NoSuchService {
        /// What was given.
        service: ServiceName,
        /// The nearest, when there is one.
        hint: String,
    },
    /// No step of the service is where this is possible.
    #[error("{service}: {what}")]
    NothingOfService {
        /// Which.
        service: ServiceName,
        /// Why.
        what: &'static str,
    },
    /// All of the services go back, or are back.
    #[error("what was named is being taken back already, or is back; `lockstep status` shows how far it is")]
    TakenBackAlready,
    /// The service was taken back by itself.
    #[error("{service} was taken back out of this release; deploy it again when the release has ended")]
    TakenBack {
        /// Which.
        service: ServiceName,
    },
    /// The step cannot be left out.
    #[error("{step} cannot be skipped: {why}")]
    StepIsNeeded {
        /// Which.
        step: StepId,
        /// Why not.
        why: &'static str,
    },
    /// The step is not where this is possible.
    #[error("{step} is {}; {what}", .state.word())]
    StepState {
        /// Which.
        step: StepId,
        /// Where it stands.
        state: StepState,
        /// Where it would be possible.
        what: &'static str,
    },
    /// Nobody has to approve it.
    #[error("the deployment needs no approval")]
    NeedsNoApproval,
    /// It needs more approvals before it begins.
    #[error("the deployment has {given} of {needed} approvals")]
    NotApproved {
        /// It has so many.
        given: u32,
        /// It needs so many.
        needed: u32,
    },
    /// Whoever asked for it cannot approve it.
    #[error("{user} asked for this deployment; somebody else approves it")]
    OwnDeployment {
        /// Who.
        user: UserName,
    },
    /// They approved it before.
    #[error("{user} has approved this deployment already; the others needed are other people")]
    ApprovedAlready {
        /// Who.
        user: UserName,
    },
    /// What they looked at is not what would be done.
    #[error("the deployment's plan is {is}, not the one that was looked at; look at it again, then approve")]
    OtherPlan {
        /// The digest of its plan.
        is: Digest,
    },
    /// A restore cannot itself be taken back.
    #[error("a rollback is never rolled back; deploy the version that you want instead")]
    IsRestore,
    /// It waits in the queue and changed nothing.
    #[error("the deployment still waits in the queue and has changed nothing; use `lockstep cancel`")]
    StillQueued,
    /// A reason is asked for.
    #[error("say why: the reason is recorded with the deployment")]
    NoReason,
}

/// Answers a command. Pure: `now` is only recorded and compared with limits.
///
/// # Errors
/// [`Refusal`] when the command is not possible in this state; nothing changes then.
pub fn decide(state: &Deployment, command: Command, now: Timestamp) -> Result<Decision, Refusal> {
    if let Some(refusal) = close::refusal(state, &command) {
        return Err(refusal);
    }
    match command {
        Command::Start => start::start(state),
        Command::Supersede { by } => start::supersede(state, by),
        Command::Approve { by, reason, plan } => approve::approve(state, by, reason, plan),
        Command::Reject { by, reason } => approve::reject(state, by, reason),
        Command::Lapse { reason } => approve::lapse(state, reason),
        Command::FinishStep { step, attempt, outcome } => Ok(finish::step(state, step, attempt, outcome)),
        Command::FinishUndo { step, attempt, outcome } => Ok(finish::undo(state, step, attempt, outcome)),
        Command::Fail { failure } => fail::fail(state, failure),
        Command::FinishProbe { step, attempt, finding } => Ok(finish::probe(state, step, attempt, finding)),
        Command::Pause { by, reason } => pause::pause(state, by, reason, now),
        Command::Resume { by, pause } => pause::resume(state, by, pause, now),
        Command::SkipStep { step, by, reason } => steer::skip(state, step, by, reason),
        Command::RetryStep { step, by } => steer::retry(state, step, by),
        Command::RetryService { service, by } => by_service::retry(state, &service, &by),
        Command::KeepService { service, by, reason } => by_service::keep(state, &service, &by, &reason),
        Command::Cancel { by, reason, keep } => cancel::cancel(state, by, reason, keep),
        Command::TakeBack { by, reason } => cancel::take_back(state, &by, reason.as_deref()),
        Command::TakeBackServices { services, by, reason } => {
            part::take_back(state, &services, &by, reason.as_deref())
        }
        Command::RetryUndo { by } => retry_undo::retry_undo(state, by),
        Command::Resolve { by, outcome, reason, leave } => {
            resolve::resolve(state, by, outcome, reason, leave)
        }
        Command::FinishClose { service, attempt, outcome } => {
            Ok(close::finish(state, service, attempt, outcome))
        }
        Command::Proceed => Ok(proceed::proceed(state, now)),
    }
}
