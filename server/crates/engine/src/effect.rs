//! Effects: what should happen outside, as values. They are written to the outbox in the
//! transaction of the events that caused them, and performed afterwards.

use lockstep_model::Attempt;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something to be done outside. Steps are named by their place in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Effect {
    /// Carry out a step.
    RunStep {
        /// Which.
        step: u32,
        /// Which try.
        attempt: Attempt,
    },
    /// Stop carrying out a step, and report what is known of it.
    StopStep {
        /// Which.
        step: u32,
        /// Which try.
        attempt: Attempt,
    },
    /// Ask the target what became of an attempt that nobody knows the end of.
    ProbeStep {
        /// Which.
        step: u32,
        /// Which try.
        attempt: Attempt,
    },
    /// Close what a service has left open when an operator says how the deployment ended.
    Close {
        /// Which service, by its place in the plan.
        service: u32,
        /// Which try.
        attempt: Attempt,
    },
    /// Make the checkpoint serve again, as far as this step changed it.
    UndoStep {
        /// Which.
        step: u32,
        /// Which try of the undo.
        attempt: Attempt,
    },
}

/// The name of an effect, unique in its deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectKey(pub String);

impl Effect {
    /// The name of this effect.
    pub fn key(&self) -> EffectKey {
        EffectKey(match self {
            Self::RunStep { step, attempt } => format!("run/{step}/{attempt}"),
            Self::StopStep { step, attempt } => format!("stop/{step}/{attempt}"),
            Self::ProbeStep { step, attempt } => format!("probe/{step}/{attempt}"),
            Self::UndoStep { step, attempt } => format!("undo/{step}/{attempt}"),
            Self::Close { service, attempt } => format!("close/{service}/{attempt}"),
        })
    }
}

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
