//! How much somebody may have open at a time: connections by address; and where a proxy brings everybody's,
//! what each has under way behind it, requests and sockets.

use super::{
    api,
    bodies::{self, Beside},
    guard,
};
use axum::{extract::Request, middleware::Next, response::Response};
use lockstep_model::error::{ErrorBody, ErrorKind};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

const PER_ADDRESS_MAX: u32 = 128;
/// Programs on the own machine share one address.
const PER_LOOPBACK_MAX: u32 = 1_024;

/// What each address has open.
#[derive(Default)]
pub(super) struct Crowd(Mutex<HashMap<IpAddr, u32>>);

/// A place that an address has taken; free again when it is dropped.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Crowd {
    /// A place for one more; none = the address has as many as it may.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let most = if address.is_loopback() { PER_LOOPBACK_MAX } else { PER_ADDRESS_MAX };
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { crowd: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// The place of a request that came through a proxy, for as long as its answer or its socket lasts; none = who
/// sent it has no place left.
#[derive(Clone)]
pub(crate) struct Seat(Option<Arc<Place>>);

impl Seat {
    pub(super) fn of(place: Option<Place>) -> Self {
        Self(place.map(Arc::new))
    }
}

/// An answer keeps its place until it is sent.
impl Beside for Seat {}

/// Answers who has a place, or came without a proxy: then the connection has one.
pub(super) async fn seated(request: Request, next: Next) -> Response {
    match request.extensions().get::<Seat>().cloned() {
        None => next.run(request).await,
        Some(Seat(None)) => {
            let message = "too much is under way from this address; close some pages, or wait a moment";
            let body = ErrorBody::new(ErrorKind::Throttled, message);
            if request.uri().path().starts_with("/api/") { api::error(body) } else { guard::plain(&body) }
        }
        Some(seat) => next.run(request).await.map(|body| bodies::with(body, seat)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, middleware, routing::get};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    #[tokio::test]
    async fn f3_who_has_too_much_under_way_behind_a_proxy_waits_and_others_do_not() {
        let crowd = Arc::new(Crowd::default());
        let app = Router::new().route("/", get(|| async { "hello" })).layer(middleware::from_fn(seated));
        let ask = async |address: &str| {
            let mut request = Request::new(Body::empty());
            let place = crowd.enter(address.parse().expect("an address"));
            request.extensions_mut().insert(Seat::of(place));
            app.clone().oneshot(request).await.expect("an answer")
        };
        let mut under_way = Vec::new();
        for _ in 0..PER_ADDRESS_MAX {
            under_way.push(ask("192.0.2.1").await);
        }
        assert!(under_way.iter().all(|answer| answer.status() == 200));
        assert_eq!(ask("192.0.2.1").await.status(), 429);
        assert_eq!(ask("192.0.2.2").await.status(), 200);
        // What has been sent makes room.
        let sent = under_way.pop().expect("one");
        assert_eq!(sent.into_body().collect().await.expect("a body").to_bytes(), "hello");
        assert_eq!(ask("192.0.2.1").await.status(), 200);
        drop(under_way);
        assert!(crowd.0.lock().expect("whole").is_empty());
    }
}
