//! The deployment machine: `decide` answers a command with events and effects, `apply` makes the
//! next state from an event, live and on recovery alike. One file per transition.

mod apply;
mod cancel;
mod finish;
mod proceed;
mod resolve;
mod retry_undo;
mod start;

use crate::{command::Command, effect::Effect};
use lockstep_model::{
    Timestamp,
    deployment::{Deployment, Phase},
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
    /// No operator is needed.
    #[error("the deployment does not need an operator: it is {phase}")]
    NoOperatorNeeded {
        /// Where it stands.
        phase: Phase,
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
    match command {
        Command::Start => start::start(state),
        Command::Supersede { by } => start::supersede(state, by),
        Command::FinishStep { step, attempt, outcome } => Ok(finish::step(state, step, attempt, outcome)),
        Command::FinishUndo { step, attempt, outcome } => Ok(finish::undo(state, step, attempt, outcome)),
        Command::Cancel { by, reason } => cancel::cancel(state, by, reason),
        Command::TakeBack { by, reason } => cancel::take_back(state, &by, reason.as_deref()),
        Command::RetryUndo { by } => retry_undo::retry_undo(state, by),
        Command::Resolve { by, outcome, reason } => resolve::resolve(state, by, outcome, reason),
        Command::Proceed => Ok(proceed::proceed(state, now)),
    }
}
