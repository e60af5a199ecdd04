//! What is decided, and nothing else: plans, the deployment machine, the order of a rollback, and
//! the ports through which the rest of Lockstep is reached.
//!
//! This crate does no I/O, reads no clock and draws no randomness; the same input gives the same
//! answer, which is what makes a journal replayable.
#![forbid(unsafe_code)]

pub mod command;
pub mod deployment;
pub mod effect;
pub mod foresee;
pub mod plan;
pub mod port;
pub mod promotion;
pub mod queue;
pub mod restriction;
pub mod rollback;
pub mod rows;
pub mod search;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod verify;
pub mod view;

pub use command::{Command, StepOutcome, UndoOutcome};
pub use deployment::{Decision, IllegalEvent, Refusal, advance, apply, decide, replay};
pub use effect::{Effect, EffectKey};
pub use foresee::foresee;
