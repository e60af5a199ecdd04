//! Pages and server functions of Lockstep. The server functions are the API; what is behind them is
//! reached through [`backend`] only. Built twice: with `ssr` into the server, with `hydrate` into
//! the WASM.
#![recursion_limit = "256"]
#![forbid(unsafe_code)]

pub mod api;
#[cfg(feature = "ssr")]
pub mod backend;
pub mod codec;
pub mod error;
mod few;
pub mod live;
mod pages;
mod piece;
pub mod prefs;
pub mod query;
mod root;
pub mod session;
pub mod time;
pub mod ui;

pub use error::AppError;
pub use root::{App, shell};
