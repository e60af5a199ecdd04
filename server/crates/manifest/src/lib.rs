//! From the YAML text of a manifest to `model::manifest`, with file, line, column, what was
//! expected and the nearest right name in every refusal. Reads text only: never a file, never the
//! environment, and nothing is evaluated.
#![forbid(unsafe_code)]

mod approvals;
mod checks;
mod document;
mod merge;
mod reader;
mod schema;
mod service;
mod tree;
mod values;

use lockstep_model::{Digest, error::Problem, manifest::Manifest};
use sha2::{Digest as _, Sha256};

pub use schema::schema;

/// The largest manifest, in bytes.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;
/// The most problems that are told at a time.
pub const PROBLEMS_MAX: usize = 50;

/// Reads a manifest. `file` is what the sender calls it, for messages.
///
/// # Errors
/// All problems that were found, in the order of their places, at most [`PROBLEMS_MAX`].
pub fn parse(file: &str, source: &str) -> Result<Manifest, Vec<Problem>> {
    let mut problems = Vec::new();
    let manifest = tree::parse(source, &mut problems).and_then(|root| document::read(&root, &mut problems));
    if let Some(manifest) = manifest
        && problems.is_empty()
    {
        return Ok(manifest);
    }
    problems.sort_by_key(|problem: &tree::Found| (problem.place.line, problem.place.column));
    problems.truncate(PROBLEMS_MAX);
    let problem = |found: tree::Found| Problem {
        file: file.to_owned(),
        line: found.place.line,
        column: found.place.column,
        message: found.message,
    };
    Err(problems.into_iter().map(problem).collect())
}

/// SHA-256 over the text: the name of a manifest's revision.
pub fn digest(source: &str) -> Digest {
    let hex: String = Sha256::digest(source.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().expect("64 hexadecimal digits after the prefix are a digest")
}

#[cfg(test)]
mod tests;
