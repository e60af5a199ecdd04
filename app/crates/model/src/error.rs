//! Errors as they cross the wire. The HTTP status follows from the kind, in one place.

use serde::{Deserialize, Serialize};

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ErrorKind {
    /// The request cannot be read at all.
    Malformed,
    /// Nobody is signed in, or the token is not valid.
    Unauthenticated,
    /// Signed in, but may not do this.
    Forbidden,
    /// May do this, but has to give the password again before.
    StepUpRequired,
    /// There is no such thing, or it may not be seen.
    NotFound,
    /// The method is not possible here.
    MethodNotAllowed,
    /// The body did not come in time.
    TooSlow,
    /// The state does not allow it now.
    Conflict,
    /// The body is too large.
    TooLarge,
    /// The body is of another type than expected.
    UnsupportedMediaType,
    /// It was read and is not valid.
    Invalid,
    /// Too many requests.
    Throttled,
    /// A part that is needed does not answer, or the disk is full; trying again may help.
    Unavailable,
    /// A fault of Lockstep's; the incident number finds it in the log.
    Internal,
    /// The client could not reach the server, or did not understand it.
    Unreachable,
}

impl ErrorKind {
    /// The HTTP status; the one place that decides it.
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden | Self::StepUpRequired => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::TooSlow => 408,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::Throttled => 429,
            Self::Unavailable | Self::Unreachable => 503,
            Self::Internal => 500,
        }
    }
}

/// An error for people and programs: what happened, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// What kind.
    pub kind: ErrorKind,
    /// What happened, why, and what to do next.
    pub message: String,
    /// Which part of what was sent is not right, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Finds it in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// Places in what was sent, when there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// One thing that is wrong in a document that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// The file, as the sender calls it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What was expected, and the nearest right name.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl ErrorBody {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), field: None, incident: None, problems: Vec::new() }
    }

    /// The same about one part of what was sent.
    #[must_use]
    pub fn of_field(self, field: &str) -> Self {
        Self { field: Some(field.to_owned()), ..self }
    }
}
