//! Why a request was not carried out, in words for people.

use lockstep_engine::{
    Refusal,
    plan::PlanRefusal,
    port::{CommitError, StoreError},
};
use lockstep_model::{
    access::{Right, Rights},
    approval::Author,
    deployment::Actor,
};

/// A request was not carried out; nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The request is not valid.
    #[error("{0}")]
    Invalid(String),
    /// The state does not allow it now.
    #[error("{0}")]
    Conflict(String),
    /// Whoever asks lost the right to it since it was looked at.
    #[error("{0}")]
    Withdrawn(String),
    /// Whoever asks may not do this here.
    #[error("{0}")]
    Forbidden(String),
    /// Too many wait already.
    #[error("{0}")]
    Throttled(String),
    /// A part that is needed does not answer; trying again may help.
    #[error("{0}")]
    Unavailable(String),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

/// Who does something, and by what: the right must hold still when it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// By what; none = Lockstep itself, or commands on its own machine.
    pub right: Option<Right>,
    /// All that they may; nothing for Lockstep itself, which needs nobody's trust.
    pub rights: Rights,
    /// Whose work it is that they ask for, when it came by a rule of theirs.
    pub author: Option<Author>,
}

impl From<Actor> for By {
    fn from(actor: Actor) -> Self {
        Self { actor, right: None, rights: Rights::default(), author: None }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Withdrawn { .. } => Self::Withdrawn(error.to_string()),
            StoreError::Full { .. } | StoreError::Unavailable { .. } | StoreError::Unreadable { .. } => {
                Self::Store(error)
            }
        }
    }
}

impl From<PlanRefusal> for Refused {
    fn from(refusal: PlanRefusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            PlanRefusal::UnknownEnvironment { .. } | PlanRefusal::UnknownService { .. } => {
                Self::NotFound(text)
            }
            PlanRefusal::NoTarget { .. }
            | PlanRefusal::NoVersion { .. }
            | PlanRefusal::Nothing { .. }
            | PlanRefusal::Cycle { .. }
            | PlanRefusal::NoArtifact { .. }
            | PlanRefusal::TooLarge { .. }
            | PlanRefusal::Template { .. } => Self::Invalid(text),
            PlanRefusal::DependencyNotDeployed { .. }
            | PlanRefusal::NoSecret(_)
            | PlanRefusal::NoRollback { .. } => Self::Conflict(text),
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::NoReason => Self::Invalid(text),
            Refusal::OwnDeployment { .. } => Self::Forbidden(text),
            Refusal::NoSuchStep { .. } | Refusal::NoSuchService { .. } => Self::NotFound(text),
            Refusal::AlreadyFinished { .. }
            | Refusal::AlreadyStarted { .. }
            | Refusal::AlreadyRollingBack
            | Refusal::WaitsForOperator
            | Refusal::NoOperatorNeeded { .. }
            | Refusal::AlreadyPaused { .. }
            | Refusal::PausedAnew { .. }
            | Refusal::NotPaused { .. }
            | Refusal::NothingWentBack
            | Refusal::StepsRun { .. }
            | Refusal::StepIsNeeded { .. }
            | Refusal::StepState { .. }
            | Refusal::TakenBackAlready
            | Refusal::TakenBack { .. }
            | Refusal::NothingOfService { .. }
            | Refusal::IsRestore
            | Refusal::IsClosing
            | Refusal::MayBeClosed
            | Refusal::NeedsNoApproval
            | Refusal::NotApproved { .. }
            | Refusal::ApprovedAlready { .. }
            | Refusal::OtherPlan { .. }
            | Refusal::StillQueued => Self::Conflict(text),
        }
    }
}

impl From<CommitError> for Refused {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(store) => store.into(),
            CommitError::StaleEpoch { .. }
            | CommitError::SeqConflict { .. }
            | CommitError::EnvironmentBusy { .. }
            | CommitError::Replayed { .. }
            | CommitError::KeyReused => Self::Conflict(error.to_string()),
        }
    }
}
