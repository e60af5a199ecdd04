//! What is typed at a terminal without being shown.

use super::error::Failure;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use zeroize::Zeroizing;

/// Longer than any password.
const LINE_BYTES_MAX: u64 = 8 << 10;

/// A line: asked for at a terminal, else the first of standard input.
pub(super) fn line(question: &str) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: io::Error| Failure::local(format!("what was typed cannot be read: {error}"));
    let stdin = io::stdin();
    let hidden = stdin.is_terminal().then(|| {
        let _ = write!(io::stderr(), "{question} (not shown): ");
        Hidden::begin()
    });
    let mut text = Zeroizing::new(String::new());
    stdin.lock().take(LINE_BYTES_MAX).read_line(&mut text).map_err(failed)?;
    drop(hidden);
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// What is typed is not shown until this is dropped.
pub(super) struct Hidden(Option<nix::sys::termios::Termios>);

impl Hidden {
    pub(super) fn begin() -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut hidden = before.clone();
            hidden.local_flags.remove(LocalFlags::ECHO);
            // Where it does not work it is shown, as in any terminal.
            let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &hidden);
        }
        Self(before)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, before);
            let _ = writeln!(io::stderr());
        }
    }
}
