//! A step of a deployment: where it stands, and its tries.

use crate::{Attempt, Timestamp, health::Evidence};
use serde::{Deserialize, Serialize};

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StepState {
    /// Waits for the steps before it.
    #[default]
    Pending,
    /// Its attempt is under way.
    Running,
    /// Done.
    Succeeded,
    /// Did not do it.
    Failed,
    /// Was not needed any more and never ran, or an operator left it out.
    Skipped,
    /// Was begun; nobody knows how far it came.
    Unknown,
    /// Is being undone.
    Undoing,
    /// Undone, and that was probed.
    Undone,
    /// Could not be undone.
    UndoFailed,
}

impl StepState {
    /// The words shown to people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::UndoFailed => "undo failed",
        }
    }
}

/// Whether a target was asked how an attempt ended that nobody knows the end of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Probed {
    /// It was not.
    #[default]
    Not,
    /// It is being asked.
    Asked,
    /// It is not done, so it is carried out again.
    NotDone {
        /// What was seen.
        reason: String,
    },
    /// It could not tell.
    CannotTell {
        /// Why.
        reason: String,
    },
}

impl Probed {
    /// Whether it was not asked.
    pub const fn is_not(&self) -> bool {
        matches!(self, Self::Not)
    }
}

/// What is known of a step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepStatus {
    /// Where it stands.
    pub state: StepState,
    /// Its attempt, from 1; 0 = not begun.
    pub attempt: u32,
    /// The attempt of its undo, from 1; 0 = not begun.
    pub undo_attempt: u32,
    /// Its attempt is being stopped so that it can be tried again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_wanted: bool,
    /// Its last attempt was to be stopped and nobody confirmed that: it may go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_run: bool,
    /// Whether the target was asked how its attempt ended.
    #[serde(default, skip_serializing_if = "Probed::is_not")]
    pub probed: Probed,
    /// Every try, forward and back, in order.
    #[serde(default)]
    pub tries: Vec<Try>,
}

/// One try of a step or of its undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Try {
    /// Whether it undoes the step.
    pub is_undo: bool,
    /// Which try, from 1.
    pub attempt: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none = it is under way.
    pub finished_at: Option<Timestamp>,
    /// Where it stands, or how it ended.
    pub state: StepState,
    /// Why it failed or is unknown.
    pub reason: Option<String>,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

impl StepStatus {
    /// The attempt that is under way.
    pub const fn running_attempt(&self) -> Attempt {
        Attempt(self.attempt)
    }

    /// Notes that a try has begun.
    pub fn begin(&mut self, is_undo: bool, attempt: Attempt, at: Timestamp) {
        self.may_run = false;
        let state = if is_undo { StepState::Undoing } else { StepState::Running };
        self.state = state;
        self.probed = Probed::Not;
        if is_undo {
            self.undo_attempt = attempt.0;
        } else {
            self.attempt = attempt.0;
            self.undo_attempt = 0;
        }
        self.tries.push(Try {
            is_undo,
            attempt: attempt.0,
            started_at: at,
            finished_at: None,
            state,
            reason: None,
            evidence: Vec::new(),
        });
    }

    /// Notes how the last try ended.
    pub fn end(&mut self, state: StepState, at: Timestamp, reason: Option<&str>, evidence: &[Evidence]) {
        self.state = state;
        if let Some(last) = self.tries.last_mut() {
            last.state = state;
            last.finished_at = Some(at);
            last.reason = reason.map(str::to_owned);
            last.evidence = evidence.to_vec();
        }
    }

    /// Nothing more of it begins forward.
    pub fn leave_out(&mut self) {
        self.retry_wanted = false;
        self.probed = Probed::Not;
        if self.state == StepState::Pending {
            // One that was to be tried again may have changed something before.
            self.state = if self.attempt == 0 { StepState::Skipped } else { StepState::Unknown };
        }
    }

    /// The last try.
    pub fn last(&self) -> Option<&Try> {
        self.tries.last()
    }
}
