//! The accept loop: bounds on headers, connections in all and by address, and an end that lets
//! requests under way finish. The framework's own loop has none of these bounds.

use super::Web;
use axum::{Router, extract::ConnectInfo};
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
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep},
};
use tower::ServiceExt;

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
pub async fn serve(web: Web, listener: TcpListener, mut ending: watch::Receiver<bool>) {
    let router = web.router();
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
        if counters.connections.load(Ordering::Relaxed) >= CONNECTIONS_MAX || !addresses.enter(peer.ip()) {
            counters.connections_refused.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        counters.connections.fetch_add(1, Ordering::Relaxed);
        let connection = connection(router.clone(), stream, peer, ending.clone());
        let (web, addresses) = (web.clone(), addresses.clone());
        tokio::spawn(async move {
            connection.await;
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

async fn connection(router: Router, stream: TcpStream, peer: SocketAddr, mut ending: watch::Receiver<bool>) {
    let service = router.map_request(move |mut request: axum::http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    // A page is a few writes; each is to arrive at once.
    let _ = stream.set_nodelay(true);
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
