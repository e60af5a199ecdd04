//! The words of Lockstep: ids, states, events, views, permissions and the API, shared by the
//! dashboard in the browser and the server. This crate does no I/O, reads no clock and knows no
//! database, no regex and no time zone; it is compiled to WASM.
#![forbid(unsafe_code)]

pub mod access;
pub mod api;
pub mod approval;
pub mod closing;
pub mod deployment;
pub mod error;
pub mod event;
pub mod gateway;
pub mod graph;
pub mod health;
pub mod hooks;
pub mod links;
pub mod live;
pub mod manifest;
pub mod part;
pub mod pause;
pub mod plan;
pub mod provider;
pub mod restriction;
pub mod scalar;
pub mod script;
pub mod secrets;
pub mod session;
pub mod template;
pub mod tokens;
pub mod trust;
pub mod view;
pub mod wire;

pub use scalar::{
    AgentName, Attempt, DeploymentId, Digest, EnvironmentName, Epoch, ProjectName, RevisionId, RunId,
    ScriptName, SecretName, Seq, ServiceName, StepId, TeamName, Timestamp, UserName, Version,
};
