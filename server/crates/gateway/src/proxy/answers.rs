//! The answers the gateway gives by itself.

use super::body::ResponseBody;
use http::{HeaderValue, Response, StatusCode, header};

/// How long a user should wait before asking an unserved address again, in seconds.
const RETRY_AFTER_S: &str = "5";

/// Why a request is not answered by a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request contradicts itself.
    Malformed(&'static str),
    /// The body of the request broke off.
    BrokenRequest,
    /// `CONNECT`.
    Method,
    /// A transfer coding other than chunked.
    Coding,
    /// No route takes the host.
    UnknownHost,
    /// The route has no revision.
    Unserved,
    /// The revision accepts no connection.
    NotAccepted,
    /// The revision did not accept the connection in time.
    Late,
    /// The revision gave no answer, or one that is not HTTP.
    BrokenAnswer,
}

impl Refusal {
    pub(super) fn into_response(self) -> Response<ResponseBody> {
        let (status, text) = match self {
            Self::Malformed(text) => (StatusCode::BAD_REQUEST, text),
            Self::BrokenRequest => (StatusCode::BAD_REQUEST, "The body of the request is not whole.\n"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "CONNECT is not possible here.\n"),
            Self::Coding => {
                (StatusCode::NOT_IMPLEMENTED, "Only the transfer coding 'chunked' is understood.\n")
            }
            Self::UnknownHost => {
                (StatusCode::MISDIRECTED_REQUEST, "This host is not served at this address.\n")
            }
            Self::Unserved => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Nothing serves this address at the moment. Try again in a few seconds.\n",
            ),
            Self::NotAccepted => {
                (StatusCode::BAD_GATEWAY, "The service behind this address accepts no connection.\n")
            }
            Self::Late => {
                (StatusCode::GATEWAY_TIMEOUT, "The service behind this address did not respond in time.\n")
            }
            Self::BrokenAnswer => {
                (StatusCode::BAD_GATEWAY, "The service behind this address gave no valid answer.\n")
            }
        };
        let mut response = Response::new(ResponseBody::text(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self == Self::Unserved {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        response
    }
}
