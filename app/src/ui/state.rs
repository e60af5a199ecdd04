//! States of services: shape, word and colour, never colour alone.

use leptos::prelude::*;
use lockstep_model::{health::Health, view::ServiceView};

/// What is shown of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is not well; shown first.
    Unhealthy,
    /// Serves, with something missing.
    Degraded,
    /// Nobody knows.
    Unknown,
    /// A deployment changes it.
    Changing,
    /// Nothing serves.
    NotDeployed,
    /// It is well.
    Healthy,
}

impl State {
    /// The state of a service.
    pub const fn of(service: &ServiceView) -> Self {
        if service.changing.is_some() {
            return Self::Changing;
        }
        if service.version.is_none() {
            return Self::NotDeployed;
        }
        match service.health {
            Some(Health::Healthy) => Self::Healthy,
            Some(Health::Degraded) => Self::Degraded,
            Some(Health::Unhealthy) => Self::Unhealthy,
            Some(Health::Unknown) | None => Self::Unknown,
        }
    }

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unhealthy => "Unhealthy",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
            Self::Changing => "Deploying",
            Self::NotDeployed => "Not deployed",
            Self::Healthy => "Healthy",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Unhealthy => "pill pill-bad",
            Self::Degraded => "pill pill-warn",
            Self::Unknown | Self::NotDeployed => "pill pill-idle",
            Self::Changing => "pill pill-run",
            Self::Healthy => "pill pill-ok",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Unhealthy => "M5 1.5h6L14.5 5v6L11 14.5H5L1.5 11V5Z M5.5 5.5l5 5 M10.5 5.5l-5 5",
            Self::Degraded => "M8 2 14.5 13.5h-13Z M8 6.5v3 M8 11.6v.1",
            Self::Unknown => {
                "M8 1.5a6.5 6.5 0 1 0 .1 0Z M6.4 6.2a1.7 1.7 0 1 1 2.4 1.7c-.6.3-.8.6-.8 1.2 M8 11.4v.1"
            }
            Self::Changing => "M8 1.5A6.5 6.5 0 1 1 1.5 8",
            Self::NotDeployed => "M8 1.5a6.5 6.5 0 1 0 .1 0Z M3.5 12.5l9-9",
            Self::Healthy => "M8 1.5a6.5 6.5 0 1 0 .1 0Z M5 8.2l2.1 2.1L11 6",
        }
    }
}

/// A state as a pill with shape and word.
#[component]
pub fn StateMark(
    /// The state.
    state: State,
) -> impl IntoView {
    view! {
        <span class=state.class()>
            <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" class="icon">
                <path d=state.path()/>
            </svg>
            {state.word()}
        </span>
    }
}
