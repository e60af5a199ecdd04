//! One connection from a user: served until it closes, or until the address it came to is closed.

use crate::{
    gateway::Gateway,
    options::Limits,
    proxy::{self, Client},
    sync::{Tally, lock},
    table::{Endpoint, Phase},
};
use hyper::{server::conn::http1::Builder, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tracing::{debug, warn};

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 54\r\nRetry-After: 5\r\nConnection: close\r\n\r\n\
    Too many connections are open. Try again in a moment.\n";
/// So many refused connections wait at a time for their 503 to be read.
const FAREWELLS_MAX: u64 = 64;
const FAREWELL: Duration = Duration::from_secs(1);
/// At most one warning in this time about refused connections.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Connections that were refused because there were too many.
#[derive(Default)]
pub(crate) struct Refused {
    count: AtomicU64,
    farewells: Arc<Tally>,
    warned: Mutex<Option<Instant>>,
}

impl Refused {
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Tells the user that there are too many connections, without letting him hold one.
    fn refuse(&self, mut stream: TcpStream, max: usize) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut warned = lock(&self.warned);
        if warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
            *warned = Some(Instant::now());
            warn!("all {max} connections are taken; {count} were refused with 503 so far");
        }
        let Some(farewell) = self.farewells.try_enter(FAREWELLS_MAX) else { return };
        tokio::spawn(async move {
            let _farewell = farewell;
            // Closing before the request was read would reset the connection and lose the answer.
            let told = async {
                stream.write_all(FULL).await?;
                stream.shutdown().await?;
                let mut rest = [0; 1024];
                while stream.read(&mut rest).await? > 0 {}
                std::io::Result::Ok(())
            };
            // Whether the user reads it is his affair.
            let _ = tokio::time::timeout(FAREWELL, told).await;
        });
    }
}

/// How connections are served within `limits`.
pub(crate) fn builder(limits: &Limits) -> Builder {
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_bytes_max)
        .max_buf_size(limits.header_bytes_max.max(16 * 1024));
    builder
}

/// Serves `stream` in a task of its own, or refuses it when there are too many connections.
pub(crate) fn take(gateway: &Arc<Gateway>, endpoint: &Arc<Endpoint>, stream: TcpStream, peer: SocketAddr) {
    let max = gateway.limits.connections_max;
    let Some(permit) = gateway.connections.try_enter(max as u64) else {
        gateway.refused.refuse(stream, max);
        return;
    };
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection closed at once");
        return;
    }
    let client = Arc::new(Client {
        gateway: Arc::clone(gateway),
        endpoint: Arc::clone(endpoint),
        peer: peer.ip().to_canonical(),
        permit: Arc::new(permit),
    });
    tokio::spawn(serve(client, stream));
}

async fn serve(client: Arc<Client>, stream: TcpStream) {
    let mut phase = client.endpoint.watch_phase();
    let service = {
        let client = Arc::clone(&client);
        service_fn(move |request| {
            let client = Arc::clone(&client);
            async move { Ok::<_, Infallible>(proxy::handle(client, request).await) }
        })
    };
    let connection = client.gateway.builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = pin!(connection);
    let closing = async { drop(phase.wait_for(|phase| *phase == Phase::Closing).await) };
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        () = closing => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection to {} ended early", client.endpoint.address);
    }
}
