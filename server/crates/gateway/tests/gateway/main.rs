//! A gateway as its users, its agent and its successor see it: real sockets, real files.
#![allow(clippy::unwrap_used)]

mod bodies;
mod draining;
mod handover;
mod headers;
mod lifecycle;
mod previews;
mod refusals;
mod sticky;
mod support;
mod switching;
mod upgrades;
