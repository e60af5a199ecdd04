//! Why a command did not do it, for people, for programs, and as exit code.

use super::exit;
use crate::out::complain;
use lockstep_model::error::{ErrorBody, ErrorKind};

/// A command did not do what it was asked.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    body: ErrorBody,
}

impl Failure {
    /// Wrong input, or a state that does not allow it.
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self { code: exit::REFUSED, body: ErrorBody::new(ErrorKind::Invalid, message) }
    }

    /// Something on this machine did not work.
    pub(super) fn local(message: impl Into<String>) -> Self {
        Self { code: exit::NOT_SUCCEEDED, body: ErrorBody::new(ErrorKind::Unavailable, message) }
    }

    /// The server does not answer.
    pub(super) fn unreachable(message: impl Into<String>) -> Self {
        Self { code: exit::UNREACHABLE, body: ErrorBody::new(ErrorKind::Unreachable, message) }
    }

    /// It took too long.
    pub(super) fn waited_too_long(message: impl Into<String>) -> Self {
        Self { code: exit::WAITED_TOO_LONG, body: ErrorBody::new(ErrorKind::Unavailable, message) }
    }

    pub(super) fn code(&self) -> u8 {
        self.code
    }

    /// What happened, for people.
    pub(super) fn message(&self) -> &str {
        &self.body.message
    }

    /// Whether trying again later may help.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.body.kind, ErrorKind::Unreachable | ErrorKind::Unavailable | ErrorKind::Throttled)
    }

    /// Whether whoever asks is not known, or not any more.
    pub(super) fn is_unknown(&self) -> bool {
        self.body.kind == ErrorKind::Unauthenticated
    }

    pub(super) fn print(&self, json: bool) {
        if json {
            complain!("{}", serde_json::json!({ "error": self.body }));
            return;
        }
        match self.body.problems.as_slice() {
            [] => complain!("error: {}", self.body.message),
            problems => {
                for problem in problems {
                    complain!("error: {problem}");
                }
            }
        }
        if let Some(incident) = &self.body.incident {
            complain!("       the server's log says more under incident {incident}");
        }
    }
}

impl From<ErrorBody> for Failure {
    fn from(body: ErrorBody) -> Self {
        let code = match body.kind {
            ErrorKind::Unreachable | ErrorKind::Unavailable => exit::UNREACHABLE,
            ErrorKind::Internal => exit::NOT_SUCCEEDED,
            ErrorKind::Malformed
            | ErrorKind::Unauthenticated
            | ErrorKind::Forbidden
            | ErrorKind::StepUpRequired
            | ErrorKind::NotFound
            | ErrorKind::MethodNotAllowed
            | ErrorKind::Conflict
            | ErrorKind::TooSlow
            | ErrorKind::TooLarge
            | ErrorKind::UnsupportedMediaType
            | ErrorKind::Invalid
            | ErrorKind::Throttled => exit::REFUSED,
        };
        Self { code, body }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::local(format!("{error:#}"))
    }
}
