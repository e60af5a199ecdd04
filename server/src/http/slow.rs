//! A body that does not come: whoever sends one byte at a time would hold a connection, and whatever waits
//! for the body, for ever. It has its time; then the request is answered with 408, whoever reads it, and
//! the connection is closed.

use super::{
    Web, api,
    bodies::{self, Beside},
};
use axum::{
    body::HttpBody,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use lockstep_model::error::{ErrorBody, ErrorKind};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// A body has this long to come, from the end of the headers on.
pub const BODY_LIMIT: Duration = Duration::from_secs(30);

/// The time by which a body must have come.
struct Deadline {
    limit: Duration,
    end: Pin<Box<Sleep>>,
    is_over: Arc<AtomicBool>,
}

impl Beside for Deadline {
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<axum::Error> {
        self.end.as_mut().poll(context).map(|()| {
            self.is_over.store(true, Ordering::Relaxed);
            axum::Error::new(format!("the body did not come within {} ms", self.limit.as_millis()))
        })
    }
}

/// Gives every body its time.
pub(super) async fn limit(State(web): State<Web>, request: Request, next: Next) -> Response {
    within(web.body_limit, request, |request| next.run(request)).await
}

async fn within<F>(limit: Duration, request: Request, answer: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    if request.body().is_end_stream() {
        return answer(request).await;
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let deadline = Deadline { limit, end: Box::pin(sleep(limit)), is_over: is_over.clone() };
    let response = answer(request.map(|body| bodies::with(body, deadline))).await;
    if !is_over.load(Ordering::Relaxed) {
        return response;
    }
    // Whatever made of it that the body could not be read.
    let message = format!("the body did not come within {} ms; send the request again", limit.as_millis());
    let mut response = api::error(ErrorBody::new(ErrorKind::TooSlow, message));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, response::IntoResponse};
    use futures_util::stream;
    use http_body_util::BodyExt;
    use std::convert::Infallible;

    async fn read(request: Request) -> Response {
        match request.into_body().collect().await {
            Ok(body) => body.to_bytes().into_response(),
            Err(error) => (axum::http::StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn f3_a_body_that_comes_byte_by_byte_is_answered_with_408_at_its_limit() {
        let drops = stream::unfold((), |()| async {
            sleep(Duration::from_secs(7)).await;
            Some((Ok::<_, Infallible>("x"), ()))
        });
        let began = tokio::time::Instant::now();
        let response = within(BODY_LIMIT, Request::new(Body::from_stream(drops)), read).await;
        assert_eq!(response.status(), 408);
        assert_eq!(response.headers()[header::CONNECTION], "close");
        assert_eq!(began.elapsed().as_secs(), 30);
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let body: ErrorBody = serde_json::from_slice(&body).expect("an error");
        assert_eq!(body.kind, ErrorKind::TooSlow);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_in_time_and_an_answer_that_takes_long_are_let_be() {
        let slow = stream::unfold(3, |left| async move {
            sleep(Duration::from_secs(9)).await;
            (left > 0).then_some((Ok::<_, Infallible>("x"), left - 1))
        });
        let response = within(Duration::from_secs(40), Request::new(Body::from_stream(slow)), read).await;
        assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "xxx");
        let waits = |request| async {
            let response = read(request).await;
            sleep(Duration::from_secs(60)).await;
            response
        };
        assert_eq!(within(BODY_LIMIT, Request::new(Body::from("{}")), waits).await.status(), 200);
    }
}
