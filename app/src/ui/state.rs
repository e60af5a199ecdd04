//! States: shape, word and colour, never colour alone.

use super::icon::{Glyph, Icon};
use leptos::prelude::*;
use lockstep_model::{
    deployment::{Phase, StepState},
    health::Health,
    view::{ServiceProgress, ServiceView},
};

/// A colour with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Ok,
    /// Something is missing.
    Warn,
    /// Something is broken.
    Bad,
    /// Something is under way.
    Run,
    /// Something goes back, or went.
    Back,
    /// Nothing to say.
    Idle,
}

impl Tone {
    /// The class of a pill.
    pub const fn pill(self) -> &'static str {
        match self {
            Self::Ok => "pill tone-ok",
            Self::Warn => "pill tone-warn",
            Self::Bad => "pill tone-bad",
            Self::Run => "pill tone-run",
            Self::Back => "pill tone-back",
            Self::Idle => "pill tone-idle",
        }
    }

    /// The class of a filled shape.
    pub const fn fill(self) -> &'static str {
        match self {
            Self::Ok => "fill-ok",
            Self::Warn => "fill-warn",
            Self::Bad => "fill-bad",
            Self::Run => "fill-run",
            Self::Back => "fill-back",
            Self::Idle => "fill-idle",
        }
    }
}

/// What is shown of something: a word, a shape, a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The word.
    pub word: &'static str,
    /// The shape.
    pub glyph: Glyph,
    /// The colour.
    pub tone: Tone,
}

const fn look(word: &'static str, glyph: Glyph, tone: Tone) -> Look {
    Look { word, glyph, tone }
}

/// What is shown of a service; those that need somebody come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is not well.
    Unhealthy,
    /// Serves, with something missing.
    Degraded,
    /// Nobody knows.
    Unknown,
    /// A deployment changes it.
    Changing,
    /// It is well.
    Healthy,
    /// Nothing serves.
    NotDeployed,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Unhealthy, Self::Degraded, Self::Unknown, Self::Changing, Self::Healthy, Self::NotDeployed];

    /// The state of a service.
    pub const fn of(service: &ServiceView) -> Self {
        if service.changing.is_some() {
            return Self::Changing;
        }
        if service.version.is_none() {
            return Self::NotDeployed;
        }
        match service.health {
            Some(health) => Self::of_health(health),
            None => Self::Unknown,
        }
    }

    const fn of_health(health: Health) -> Self {
        match health {
            Health::Healthy => Self::Healthy,
            Health::Degraded => Self::Degraded,
            Health::Unhealthy => Self::Unhealthy,
            Health::Unknown => Self::Unknown,
        }
    }

    /// What is shown.
    pub const fn look(self) -> Look {
        match self {
            Self::Unhealthy => look("Unhealthy", Glyph::Bad, Tone::Bad),
            Self::Degraded => look("Degraded", Glyph::Warn, Tone::Warn),
            Self::Unknown => look("Unknown", Glyph::Unknown, Tone::Idle),
            Self::Changing => look("Deploying", Glyph::Run, Tone::Run),
            Self::NotDeployed => look("Not deployed", Glyph::Cancelled, Tone::Idle),
            Self::Healthy => look("Healthy", Glyph::Ok, Tone::Ok),
        }
    }

    /// The word in addresses.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Unhealthy => "unhealthy",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Changing => "deploying",
            Self::NotDeployed => "not_deployed",
            Self::Healthy => "healthy",
        }
    }
}

/// What is shown of a health.
pub const fn health_look(health: Health) -> Look {
    State::of_health(health).look()
}

/// What is shown of a deployment.
pub const fn phase_look(phase: Phase) -> Look {
    match phase {
        Phase::Queued => look("Queued", Glyph::Waiting, Tone::Idle),
        Phase::Running => look("Running", Glyph::Run, Tone::Run),
        Phase::Paused => look("Paused", Glyph::Paused, Tone::Warn),
        Phase::RollingBack => look("Rolling back", Glyph::Back, Tone::Back),
        Phase::NeedsOperator => look("Needs an operator", Glyph::Hand, Tone::Bad),
        Phase::Succeeded => look("Succeeded", Glyph::Ok, Tone::Ok),
        Phase::RolledBack => look("Rolled back", Glyph::Back, Tone::Back),
        Phase::Failed => look("Failed", Glyph::Bad, Tone::Bad),
        Phase::Cancelled => look("Cancelled", Glyph::Cancelled, Tone::Idle),
        Phase::Superseded => look("Superseded", Glyph::Cancelled, Tone::Idle),
    }
}

/// What is shown of a step.
pub const fn step_look(state: StepState) -> Look {
    match state {
        StepState::Pending => look("Waiting", Glyph::Waiting, Tone::Idle),
        StepState::Running => look("Running", Glyph::Run, Tone::Run),
        StepState::Succeeded => look("Succeeded", Glyph::Ok, Tone::Ok),
        StepState::Failed => look("Failed", Glyph::Bad, Tone::Bad),
        StepState::Skipped => look("Skipped", Glyph::Cancelled, Tone::Idle),
        StepState::Unknown => look("Unknown", Glyph::Unknown, Tone::Warn),
        StepState::Undoing => look("Going back", Glyph::Back, Tone::Back),
        StepState::Undone => look("Taken back", Glyph::Back, Tone::Back),
        StepState::UndoFailed => look("Not taken back", Glyph::Bad, Tone::Bad),
    }
}

/// What is shown of a service in a deployment.
pub const fn progress_look(progress: ServiceProgress) -> Look {
    match progress {
        ServiceProgress::Pending => look("Waiting", Glyph::Waiting, Tone::Idle),
        ServiceProgress::Running => look("Deploying", Glyph::Run, Tone::Run),
        ServiceProgress::Watching => look("Being watched", Glyph::Run, Tone::Run),
        ServiceProgress::Done => look("Done", Glyph::Ok, Tone::Ok),
        ServiceProgress::Failed => look("Failed", Glyph::Bad, Tone::Bad),
        ServiceProgress::TakingBack => look("Going back", Glyph::Back, Tone::Back),
        ServiceProgress::Back => look("Taken back", Glyph::Back, Tone::Back),
        ServiceProgress::Stuck => look("Not taken back", Glyph::Bad, Tone::Bad),
        ServiceProgress::Kept => look("Kept", Glyph::Ok, Tone::Warn),
        ServiceProgress::Untouched => look("Not touched", Glyph::Cancelled, Tone::Idle),
    }
}

/// A state as a pill with shape and word.
#[component]
pub fn Pill(
    /// What is shown.
    #[prop(into)]
    look: Signal<Look>,
) -> impl IntoView {
    let glyph = Signal::derive(move || look.get().glyph);
    view! {
        <span class=move || look.get().tone.pill() class:is-running=move || look.get().tone == Tone::Run>
            <Icon glyph/>
            {move || look.get().word}
        </span>
    }
}
