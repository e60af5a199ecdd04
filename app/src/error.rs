//! The one error of server functions. Its HTTP status follows from its kind, in `model::error`.

use crate::codec::Answer;
use lockstep_model::error::{ErrorBody, ErrorKind};
use serde::{Deserialize, Serialize};
use server_fn::error::{FromServerFnError, ServerFnErrorErr};
use std::fmt;

/// An error of a server function: on the wire it is an [`ErrorBody`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppError(pub ErrorBody);

impl AppError {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(ErrorBody::new(kind, message))
    }
}

/// The status of a page that says of what was asked for that it is not there, or not for whoever looks;
/// other errors are said by a page that is.
#[cfg(feature = "ssr")]
pub(crate) fn respond(kind: ErrorKind) {
    let status = match kind {
        ErrorKind::NotFound => http::StatusCode::NOT_FOUND,
        ErrorKind::Forbidden => http::StatusCode::FORBIDDEN,
        _ => return,
    };
    if let Some(response) = leptos::prelude::use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(status);
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for AppError {}

impl From<ErrorBody> for AppError {
    fn from(body: ErrorBody) -> Self {
        Self(body)
    }
}

impl FromServerFnError for AppError {
    type Encoder = Answer;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Args(message) | ServerFnErrorErr::MissingArg(message) => {
                Self::new(ErrorKind::Invalid, message)
            }
            // The codec has said it in full.
            ServerFnErrorErr::Deserialization(message) => crate::codec::tree::read(&message)
                .map_or_else(|_| Self::new(ErrorKind::Malformed, message), Self),
            // What the browser says of it ("TypeError: Failed to fetch") helps nobody.
            ServerFnErrorErr::Request(_) => Self::new(
                ErrorKind::Unreachable,
                "the server cannot be reached just now; the page shows what holds as soon as it answers again",
            ),
            ServerFnErrorErr::UnsupportedRequestMethod(message) => {
                Self::new(ErrorKind::MethodNotAllowed, message)
            }
            ServerFnErrorErr::Registration(message)
            | ServerFnErrorErr::ServerError(message)
            | ServerFnErrorErr::MiddlewareError(message)
            | ServerFnErrorErr::Serialization(message)
            | ServerFnErrorErr::Response(message) => Self::new(ErrorKind::Internal, message),
        }
    }
}
