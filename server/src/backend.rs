//! What is behind the server functions. The permission was checked already; here a request reaches
//! the coordinator or the store, and their refusals become errors for people.

mod access;
mod approvals;
mod audit;
mod author;
mod deployments;
mod effective;
mod foreseen;
mod graph;
mod history;
mod hooks;
mod links;
mod lockdown;
mod manifests;
mod people;
mod promotion;
mod provider;
mod scripts;
mod secrets;
mod services;
mod sessions;
mod trust;

use crate::{
    anchor::Anchor, expectations::Expectations, hub::Hub, identity::Identities, local_agent::LocalAgent,
    monitor::Monitor, oidc::Issuers, secret, vault::Vault,
};
use app::{AppError, backend::Backend, backend::Caller};
pub(crate) use deployments::search;
pub use graph::Drawings;
use lockstep_coordinator::{By, Coordinator, Refused};
use lockstep_engine::port::{
    Clock, DeviceStore, HookStore, LogStore, ScriptStore, Store, StoreError, TrustStore, store::AuditEntry,
};
use lockstep_model::{error::ErrorBody, error::ErrorKind};
pub use provider::SignOn;
use std::sync::Arc;
use tokio::sync::watch;

/// Everything that answers requests. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// Deployments.
    pub coordinator: Coordinator,
    /// Projects, manifests, what serves.
    pub store: Arc<dyn Store>,
    /// Output.
    pub logs: Arc<dyn LogStore>,
    /// Scripts that run elsewhere and report.
    pub scripts: Arc<dyn ScriptStore>,
    /// Ticks with every line of output.
    pub lines: watch::Sender<u64>,
    /// What deployments take.
    pub expectations: Expectations,
    /// How services were drawn with what they need.
    pub drawings: Arc<Drawings>,
    /// People and programs.
    pub identities: Arc<Identities>,
    /// Rules by which jobs elsewhere get tokens.
    pub trust: Arc<dyn TrustStore>,
    /// Rules of webhooks.
    pub hooks: Arc<dyn HookStore>,
    /// Commands that signed in.
    pub devices: Arc<dyn DeviceStore>,
    /// Whose identity tokens are believed.
    pub issuers: Arc<Issuers>,
    /// The identity provider at which people sign in.
    pub sign_on: SignOn,
    /// Health of services.
    pub monitor: Monitor,
    /// Agents.
    pub hub: Hub,
    /// The agent of this machine.
    pub agent: LocalAgent,
    /// The head of the audit, as it was noted down.
    pub anchor: Anchor,
    /// Secrets.
    pub vault: Vault,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl Services {
    /// As the pages see it.
    pub fn backend(self, live: Arc<dyn app::backend::Live>) -> Backend {
        let all = Arc::new(self);
        Backend {
            access: all.clone(),
            manifests: all.clone(),
            deployments: all.clone(),
            services: all.clone(),
            scripts: all.clone(),
            people: all.clone(),
            audit: all.clone(),
            secrets: all.clone(),
            closing: all.clone(),
            trust: all.clone(),
            hooks: all,
            live,
        }
    }

    fn entry(&self, caller: &Caller, action: &str, target: String) -> AuditEntry {
        AuditEntry {
            at: self.clock.now(),
            actor: caller.actor.clone(),
            right: caller.right.clone(),
            action: action.to_owned(),
            target,
            reason: None,
            allowed: true,
        }
    }
}

/// Who does something, by the right that was found.
pub(crate) fn by(caller: &Caller) -> By {
    let Caller { actor, right, rights, .. } = caller.clone();
    By { actor, right, rights, author: None }
}

/// A refusal for people.
pub(crate) fn refused(refused: Refused) -> AppError {
    match refused {
        Refused::NotFound(message) => AppError::new(ErrorKind::NotFound, message),
        Refused::Invalid(message) => AppError::new(ErrorKind::Invalid, message),
        Refused::Withdrawn(message) | Refused::Forbidden(message) => {
            AppError::new(ErrorKind::Forbidden, message)
        }
        Refused::Conflict(message) => AppError::new(ErrorKind::Conflict, message),
        Refused::Throttled(message) => AppError::new(ErrorKind::Throttled, message),
        Refused::Unavailable(message) => AppError::new(ErrorKind::Unavailable, message),
        Refused::Store(error) => store(error),
    }
}

/// A failure of the store: what happened is told, how is in the log under the incident's number.
pub(crate) fn store(error: StoreError) -> AppError {
    if matches!(error, StoreError::Withdrawn { .. }) {
        return AppError::new(ErrorKind::Forbidden, error.to_string());
    }
    let incident = secret::random().chars().filter(char::is_ascii_alphanumeric).take(8).collect::<String>();
    let chain: Vec<String> =
        std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect();
    tracing::error!(incident, "the store failed: {}", chain.join(": "));
    let kind = match &error {
        StoreError::Full { .. } | StoreError::Unavailable { .. } => ErrorKind::Unavailable,
        StoreError::Withdrawn { .. } => ErrorKind::Forbidden,
        StoreError::Unreadable { .. } => ErrorKind::Internal,
    };
    AppError(ErrorBody { incident: Some(incident), ..ErrorBody::new(kind, error.to_string()) })
}
