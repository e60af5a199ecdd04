//! The program `lockstep`: server, agent, gateway and commands in one binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    server::main()
}
