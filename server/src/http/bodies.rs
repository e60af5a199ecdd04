//! What holds for every body, wherever it goes: it is bounded, and not compressed. And bodies with something
//! beside them.

use super::{api, guard};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use hyper::body::{Frame, SizeHint};
use lockstep_model::{
    api::BODY_BYTES_MAX,
    error::{ErrorBody, ErrorKind},
};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// Our largest form is that of a new password: twice 4 KiB, each byte as three, and a code.
pub(super) const FORM_BYTES_MAX: usize = 64 << 10;

/// Refuses what says already that it is too large or compressed. What does not say it is bounded where it is
/// read.
pub(super) async fn bounded(request: Request, next: Next) -> Response {
    let (is_api, most) = {
        let path = request.uri().path();
        let most = match path {
            path if path.starts_with("/session/") => FORM_BYTES_MAX,
            // They look at it themselves, before they read: each counts what was too large.
            path if path.starts_with("/hooks/") => usize::MAX,
            _ => BODY_BYTES_MAX,
        };
        (path.starts_with("/api/") || path.starts_with("/oauth/"), most)
    };
    match refusal(request.headers(), most) {
        None => next.run(request).await,
        Some(body) if is_api => api::error(body),
        Some(body) => guard::plain(&body),
    }
}

/// What goes beside a body for as long as it lasts.
pub(super) trait Beside: Send + Unpin + 'static {
    /// Why the body ends here, though more of it may come; asked while nothing of it is there.
    fn poll_end(&mut self, _: &mut Context<'_>) -> Poll<axum::Error> {
        Poll::Pending
    }
}

/// A body, and what goes beside it.
struct Accompanied<T> {
    body: Body,
    beside: T,
}

/// The body with `beside` for as long as it lasts.
pub(super) fn with(body: Body, beside: impl Beside) -> Body {
    Body::new(Accompanied { body, beside })
}

impl<T: Beside> HttpBody for Accompanied<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(frame),
            Poll::Pending => self.beside.poll_end(context).map(|error| Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn refusal(headers: &HeaderMap, most: usize) -> Option<ErrorBody> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Some(ErrorBody::new(ErrorKind::UnsupportedMediaType, "send the body without compression"));
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse::<u64>().ok());
    let is_too_large =
        length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > most));
    is_too_large
        .then(|| ErrorBody::new(ErrorKind::TooLarge, format!("the body is larger than {} KiB", most >> 10)))
}
