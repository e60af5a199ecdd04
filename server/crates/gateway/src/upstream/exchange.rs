//! Sends one request to a revision and waits for the head of the answer. A kept connection may turn
//! out to have been closed by the revision; the request is then sent once more on a fresh one, but
//! only when the revision cannot have acted on it, or may act on it twice (RFC 9110, 9.2.2).

use super::Upstream;
use crate::{options::Limits, proxy::RequestBody, revision::Revision};
use hyper::{
    Method, Request, Response,
    body::{Body, Incoming},
};
use std::{error::Error, io, time::Duration};

/// A request that cannot be sent again goes only on a connection used this recently: no server
/// closes idle connections sooner, so it will not meet a closed one.
const FRESH: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The revision accepts no connection.
    #[error("the connection was not accepted")]
    Connect(#[source] io::Error),
    /// The revision did not accept the connection in time.
    #[error("the connection was not accepted in time")]
    ConnectTimeout,
    /// The connection broke, or the answer is not HTTP.
    #[error("the exchange broke off")]
    Exchange(#[source] hyper::Error),
}

impl Failure {
    /// Whether the client broke off while its body was being passed on.
    pub(crate) fn is_by_client(&self) -> bool {
        match self {
            Self::Exchange(error) => error.is_user(),
            Self::Connect(_) | Self::ConnectTimeout => false,
        }
    }
}

/// Sends `request` to `revision`.
pub(crate) async fn exchange(
    revision: &Revision,
    mut request: Request<RequestBody>,
    limits: &Limits,
) -> Result<(Response<Incoming>, Upstream), Failure> {
    let repeatable = request.body().is_end_stream() && is_idempotent(request.method());
    let age_max = if repeatable { limits.upstream_idle_timeout } else { FRESH };
    if let Some(mut upstream) = revision.pool.reuse(age_max) {
        let copy = repeatable.then(|| copy_head(&request));
        match upstream.sender.try_send_request(request).await {
            Ok(response) => return Ok((response, upstream)),
            Err(mut refused) => {
                request = match (refused.take_message(), copy) {
                    (Some(unsent), _) => unsent,
                    (None, Some(copy)) if was_closed(refused.error()) => copy,
                    (None, _) => return Err(Failure::Exchange(refused.into_error())),
                };
            }
        }
    }
    let mut upstream = revision.pool.connect(revision.address, limits).await?;
    let response = upstream.sender.send_request(request).await.map_err(Failure::Exchange)?;
    Ok((response, upstream))
}

fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE].contains(method)
}

fn copy_head(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn was_closed(error: &hyper::Error) -> bool {
    let reset = error.source().and_then(|source| source.downcast_ref::<io::Error>()).is_some_and(|source| {
        matches!(source.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
    });
    reset || error.is_incomplete_message() || error.is_canceled() || error.is_closed()
}
