//! Lines for people. A standard output that is closed or cannot take more never ends a program, as
//! the standard library's macros would: the server goes on, and a command keeps its exit code.

use std::{
    fmt::Arguments,
    io::{self, Write},
};

/// Prints a line to standard output.
macro_rules! say {
    ($($text:tt)*) => {{
        let _ = $crate::out::line(format_args!($($text)*));
    }};
}

/// Prints a line to standard error.
macro_rules! complain {
    ($($text:tt)*) => { $crate::out::error_line(format_args!($($text)*)) };
}

pub(crate) use {complain, say};

/// Prints a line to standard output, for who wants to know whether anybody reads.
pub(crate) fn line(text: Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_fmt(text)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Prints a line to standard error.
pub(crate) fn error_line(text: Arguments<'_>) {
    let mut out = io::stderr().lock();
    let _ = out.write_fmt(text).and_then(|()| out.write_all(b"\n"));
}
