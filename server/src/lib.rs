//! Lockstep: the composition root, HTTP, and the commands. The decisions are elsewhere: `engine`
//! decides, `coordinator` acts, `store` keeps, `targets` and the agent change the outside world.
#![forbid(unsafe_code)]
#![recursion_limit = "256"]

pub mod anchor;
mod backend;
mod cli;
mod clock;
mod csv;
pub mod data_dir;
pub mod demo;
mod expectations;
pub mod http;
pub mod hub;
pub mod identity;
mod lists;
pub mod live;
pub mod local_agent;
mod lockdown;
pub mod monitor;
pub mod oidc;
mod out;
mod port_holder;
mod progress;
mod room;
mod secret;
pub mod serve;
mod telling;
pub mod vault;

use std::process::ExitCode;

/// The program: what its first argument says.
pub fn main() -> ExitCode {
    // Holds are forked from one thread without a runtime; nothing else may be set up before them. With
    // more words it is the command for held versions.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|first| first == "hold") && words.next().is_none() {
        return lockstep_agent::serve_holds();
    }
    cli::main()
}
