//! Ports: what the engine's surroundings must offer. Implemented by `store`, `targets` and the
//! server; faked in `testkit`.

pub mod answer;
pub mod clock;
pub mod device;
pub mod hooks;
pub mod host;
pub mod identity;
pub mod logs;
pub mod oidc;
pub mod script;
pub mod secrets;
pub mod store;
pub mod target;
pub mod trust;

pub use answer::{AnswerStore, Asked};
pub use clock::Clock;
pub use device::DeviceStore;
pub use hooks::HookStore;
pub use host::{Host, HostCancel, HostError, HostOrder, Stopped};
pub use identity::IdentityStore;
pub use logs::{CheckRow, LogPart, LogRow, LogStore};
pub use oidc::OidcStore;
pub use script::{Reported, ScriptStore};
pub use secrets::SecretStore;
pub use store::{Commit, CommitError, CommitTo, Committed, Rows, Store, StoreError};
pub use target::{Job, Observation, Target};
pub use trust::TrustStore;
