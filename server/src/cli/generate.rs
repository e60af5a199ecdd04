//! What packages carry beside the program: completions for shells, and manual pages. Both are made
//! from the declared arguments, so they never say anything else than the program does.

use super::{arguments::Arguments, error::Failure, exit};
use crate::out::say;
use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use std::{io::Write, path::Path};

/// Prints the completions of a shell.
pub(super) fn completions(shell: Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "lockstep", &mut script);
    // A reader that went away has what it wanted.
    let _ = std::io::stdout().lock().write_all(&script);
    Ok(exit::SUCCEEDED)
}

/// Writes a page for the program, and one for each command and its own commands.
pub(super) fn manual(dir: &Path) -> Result<u8, Failure> {
    let failed = || format!("writing manual pages into {}", dir.display());
    std::fs::create_dir_all(dir).with_context(failed)?;
    clap_mangen::generate_to(Arguments::command(), dir).with_context(failed)?;
    say!("manual pages are in {0}; read one with `man {0}/lockstep-deploy.1`", dir.display());
    Ok(exit::SUCCEEDED)
}
