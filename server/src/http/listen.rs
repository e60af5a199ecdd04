//! The accept loop: bounds on headers, connections in all and by address, and an end that lets
//! requests under way finish. The framework's own loop has none of these bounds.

use super::{Web, tls::Tls};
use axum::{Router, extract::ConnectInfo, http::HeaderMap};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tower::ServiceExt;

/// How connections come in.
#[derive(Default)]
pub struct Door {
    /// With TLS; none = as they are.
    pub tls: Option<Tls>,
    /// Proxies: what they say of where a request came from is believed, and of nobody else.
    pub proxies: Vec<IpAddr>,
    /// Whether only this machine and the proxies may come in.
    pub is_closed: bool,
}

impl Door {
    fn lets_in(&self, address: IpAddr) -> bool {
        !self.is_closed || address.is_loopback() || self.proxies.contains(&address)
    }

    /// Where a request came from: the last address that a proxy names and that is no proxy itself.
    fn origin(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.proxies.contains(&peer.ip()) {
            return peer;
        }
        let named = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let named: Vec<&str> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
        for text in named.into_iter().rev() {
            match text.parse::<IpAddr>() {
                Ok(address) if self.proxies.contains(&address) => {}
                Ok(address) => return SocketAddr::new(address, 0),
                Err(_) => break,
            }
        }
        peer
    }
}

const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
const HEADER_LIMIT: Duration = Duration::from_secs(30);
const HEADER_BYTES_MAX: usize = 64 * 1024;
const CONNECTIONS_MAX: u64 = 2_048;
const CONNECTIONS_PER_ADDRESS_MAX: u32 = 128;
/// Programs on the own machine share one address.
const CONNECTIONS_PER_LOOPBACK_MAX: u32 = 1_024;
/// Requests under way may take this long when the server ends.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Addresses(Mutex<HashMap<IpAddr, u32>>);

impl Addresses {
    fn enter(&self, address: IpAddr) -> bool {
        let most =
            if address.is_loopback() { CONNECTIONS_PER_LOOPBACK_MAX } else { CONNECTIONS_PER_ADDRESS_MAX };
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= most {
            return false;
        }
        *count += 1;
        true
    }

    fn leave(&self, address: IpAddr) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&address);
            }
        }
    }
}

/// Serves until `ending` turns true, then lets what is under way finish.
pub async fn serve(web: Web, listener: TcpListener, door: Door, mut ending: watch::Receiver<bool>) {
    let router = web.router();
    let door = Arc::new(door);
    let addresses = Arc::new(Addresses::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ending.wait_for(|ending| *ending) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors: those that end make room.
                tracing::warn!("a connection could not be accepted: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let counters = &web.counters;
        let is_full = counters.connections.load(Ordering::Relaxed) >= CONNECTIONS_MAX;
        if is_full || !door.lets_in(peer.ip()) || !addresses.enter(peer.ip()) {
            counters.connections_refused.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        counters.connections.fetch_add(1, Ordering::Relaxed);
        let (router, door, ending) = (router.clone(), door.clone(), ending.clone());
        let (web, addresses) = (web.clone(), addresses.clone());
        tokio::spawn(async move {
            enter(router, stream, peer, &door, ending).await;
            web.counters.connections.fetch_sub(1, Ordering::Relaxed);
            addresses.leave(peer.ip());
        });
    }
    drop(listener);
    let end = Instant::now() + DRAIN_LIMIT;
    while web.counters.connections.load(Ordering::Relaxed) > 0 {
        if Instant::now() > end {
            tracing::warn!("some requests were still under way and are cut off");
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn enter(
    router: Router,
    stream: TcpStream,
    peer: SocketAddr,
    door: &Arc<Door>,
    ending: watch::Receiver<bool>,
) {
    // A page is a few writes; each is to arrive at once.
    let _ = stream.set_nodelay(true);
    let Some(tls) = &door.tls else { return connection(router, stream, peer, door.clone(), ending).await };
    match timeout(HANDSHAKE_LIMIT, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => connection(router, stream, peer, door.clone(), ending).await,
        Ok(Err(error)) => tracing::debug!("{} did not come with TLS: {error}", peer.ip()),
        Err(_) => tracing::debug!("{} did not finish its handshake", peer.ip()),
    }
}

async fn connection(
    router: Router,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    door: Arc<Door>,
    mut ending: watch::Receiver<bool>,
) {
    let service = router.map_request(move |mut request: axum::http::Request<hyper::body::Incoming>| {
        let origin = door.origin(peer, request.headers());
        request.extensions_mut().insert(ConnectInfo(origin));
        request.map(axum::body::Body::new)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = ending.wait_for(|ending| *ending) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection from {} ended early: {error}", peer.ip());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_closed_door_lets_in_this_machine_and_its_proxies() {
        let door = Door { tls: None, proxies: vec![ip("10.0.0.2")], is_closed: true };
        assert!(door.lets_in(ip("127.0.0.1")) && door.lets_in(ip("::1")) && door.lets_in(ip("10.0.0.2")));
        assert!(!door.lets_in(ip("10.0.0.3")));
        assert!(Door::default().lets_in(ip("10.0.0.3")));
    }

    #[test]
    fn what_is_said_of_an_origin_is_believed_up_to_the_last_proxy() {
        let door = Door { tls: None, proxies: vec![ip("10.0.0.2"), ip("10.0.0.3")], is_closed: true };
        let from = |peer: &str, said: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append("x-forwarded-for", axum::http::HeaderValue::from_static(value));
            }
            door.origin(SocketAddr::new(ip(peer), 1), &headers).ip()
        };
        assert_eq!(from("10.0.0.2", &["192.0.2.1, 203.0.113.9"]), ip("203.0.113.9"));
        assert_eq!(from("10.0.0.2", &["203.0.113.9, 10.0.0.3"]), ip("203.0.113.9"));
        assert_eq!(from("10.0.0.2", &["192.0.2.1", "203.0.113.9"]), ip("203.0.113.9"));
        assert_eq!(from("10.0.0.2", &["nonsense"]), ip("10.0.0.2"));
        assert_eq!(from("10.0.0.2", &[]), ip("10.0.0.2"));
        // Who is no proxy says nothing.
        assert_eq!(from("192.0.2.7", &["203.0.113.9"]), ip("192.0.2.7"));
    }
}
