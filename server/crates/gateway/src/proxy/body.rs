//! Bodies on their way through: nothing is collected, each piece is passed on as it comes, and a slow
//! reader slows the writer down.

use super::{Answer, Client};
use crate::sync::lock;
use bytes::Bytes;
use http::{Request, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Sleep, sleep},
};

/// A revision that knows nothing of `100 Continue` gets the body after this time (RFC 9110, 10.1.1).
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// The body of a request on its way to a revision.
#[derive(Debug)]
pub(crate) struct RequestBody(Option<Box<Uploading>>);

#[derive(Debug)]
struct Uploading {
    body: Incoming,
    gate: Gate,
    done: Arc<AtomicBool>,
}

/// Whether a body may be asked for; asking makes the user send it.
#[derive(Debug)]
enum Gate {
    Open,
    /// Until the revision says `100 Continue` or patience ends.
    Waiting(oneshot::Receiver<()>, Pin<Box<Sleep>>),
    /// The revision answered without wanting it.
    Shut,
}

/// Whether the body of a request has been sent.
#[derive(Debug, Default)]
pub(super) struct Upload(Option<Arc<AtomicBool>>);

impl Upload {
    fn is_done(&self) -> bool {
        self.0.as_ref().is_none_or(|done| done.load(Ordering::SeqCst))
    }
}

/// Gives `request` its body; with `waits` it is sent when the revision asks for it.
pub(super) fn attach(request: &mut Request<RequestBody>, body: Incoming, waits: bool) -> Upload {
    if body.is_end_stream() {
        request.headers_mut().remove(http::header::EXPECT);
        return Upload::default();
    }
    let gate = if waits {
        let (open, opened) = oneshot::channel();
        let open = Mutex::new(Some(open));
        hyper::ext::on_informational(request, move |informational| {
            if informational.status() == StatusCode::CONTINUE
                && let Some(open) = lock(&open).take()
            {
                // The request may be gone by now.
                let _ = open.send(());
            }
        });
        Gate::Waiting(opened, Box::pin(sleep(CONTINUE_PATIENCE)))
    } else {
        Gate::Open
    };
    let done = Arc::new(AtomicBool::new(false));
    *request.body_mut() = RequestBody(Some(Box::new(Uploading { body, gate, done: Arc::clone(&done) })));
    Upload(Some(done))
}

impl RequestBody {
    pub(crate) fn empty() -> Self {
        Self(None)
    }
}

impl Gate {
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self::Waiting(opened, patience) = self else {
            return if matches!(self, Self::Open) { Poll::Ready(()) } else { Poll::Pending };
        };
        *self = match Pin::new(opened).poll(cx) {
            Poll::Ready(Ok(())) => Self::Open,
            Poll::Ready(Err(_)) => Self::Shut,
            Poll::Pending => {
                ready!(patience.as_mut().poll(cx));
                Self::Open
            }
        };
        self.poll_open(cx)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some(uploading) = self.0.as_mut() else { return Poll::Ready(None) };
        ready!(uploading.gate.poll_open(cx));
        let frame = ready!(Pin::new(&mut uploading.body).poll_frame(cx));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|uploading| uploading.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), |uploading| uploading.body.size_hint())
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
    }
}

/// The body of an answer on its way to the user.
pub(crate) enum ResponseBody {
    /// A text of the gateway itself.
    Text(&'static str),
    /// The body of a revision's answer.
    Stream(Box<Streaming>),
}

/// An answer being passed on; the request is over when it is dropped.
pub(crate) struct Streaming {
    body: Incoming,
    answer: Option<Answer>,
    idle_max: usize,
}

impl ResponseBody {
    pub(super) fn text(text: &'static str) -> Self {
        Self::Text(text)
    }

    pub(super) fn stream(body: Incoming, answer: Answer, client: &Client) -> Self {
        let idle_max = client.gateway.limits.upstream_idle_max;
        Self::Stream(Box::new(Streaming { body, answer: Some(answer), idle_max }))
    }
}

impl Streaming {
    /// Ends the request. A connection whose answer was read whole is kept for the next one.
    fn settle(&mut self, is_whole: bool) {
        let Some(Answer { visit, upstream, upload }) = self.answer.take() else { return };
        if is_whole && upload.is_done() && visit.revision.has_traffic() {
            visit.revision.pool.put_back(upstream, self.idle_max);
        } else {
            upstream.cut();
        }
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let is_whole = self.body.is_end_stream();
        self.settle(is_whole);
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Text("") => Poll::Ready(None),
            Self::Text(text) => {
                let frame = Frame::data(Bytes::from_static(text.as_bytes()));
                *text = "";
                Poll::Ready(Some(Ok(frame)))
            }
            Self::Stream(streaming) => {
                let frame = ready!(Pin::new(&mut streaming.body).poll_frame(cx));
                match &frame {
                    None => streaming.settle(true),
                    Some(Err(_)) => {
                        if let Some(answer) = streaming.answer.as_mut() {
                            answer.visit.fail();
                        }
                        streaming.settle(false);
                    }
                    Some(Ok(_)) => {}
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Stream(streaming) => streaming.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.len() as u64),
            Self::Stream(streaming) => streaming.body.size_hint(),
        }
    }
}
