//! Connections to a revision: made, kept idle for the next request, and cut when the revision's
//! drain timeout has passed.

mod exchange;
mod link;

pub(crate) use exchange::{Failure, exchange};

use crate::{options::Limits, proxy::RequestBody, sync::lock};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use link::{CuttableStream, Link};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// The connections to one revision.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// The one that was used last is at the end.
    idle: Mutex<Vec<Idle>>,
    links: Mutex<Links>,
}

#[derive(Debug)]
struct Idle {
    upstream: Upstream,
    since: Instant,
}

#[derive(Debug, Default)]
struct Links {
    cut: bool,
    open: Vec<Weak<Link>>,
    /// Dead links are swept out when there are this many.
    sweep_at: usize,
}

/// A connection to a revision on which one request at a time can be sent.
#[derive(Debug)]
pub(crate) struct Upstream {
    sender: SendRequest<RequestBody>,
    link: Arc<Link>,
}

impl Upstream {
    /// Closes the connection whatever it is doing.
    pub(crate) fn cut(self) {
        self.link.cut();
    }
}

impl Pool {
    /// An idle connection that was used within `age_max`, if there is one.
    fn reuse(&self, age_max: Duration) -> Option<Upstream> {
        let mut idle = lock(&self.idle);
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            if idle[at].upstream.sender.is_closed() {
                idle.remove(at);
            } else if idle[at].since.elapsed() > age_max {
                return None;
            } else if idle[at].upstream.sender.is_ready() {
                return Some(idle.remove(at).upstream);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(crate) fn put_back(&self, upstream: Upstream, idle_max: usize) {
        let mut idle = lock(&self.idle);
        if idle.len() < idle_max && !upstream.sender.is_closed() {
            idle.push(Idle { upstream, since: Instant::now() });
        }
    }

    /// Closes connections that were idle for `age_max`.
    pub(crate) fn sweep(&self, age_max: Duration) {
        lock(&self.idle).retain(|idle| idle.since.elapsed() <= age_max && !idle.upstream.sender.is_closed());
    }

    /// Closes all idle connections.
    pub(crate) fn close_idle(&self) {
        lock(&self.idle).clear();
    }

    /// Does `change` unless the connections were cut; tells whether it was done.
    pub(crate) fn unless_cut(&self, change: impl FnOnce()) -> bool {
        let links = lock(&self.links);
        if !links.cut {
            change();
        }
        !links.cut
    }

    /// Cuts all connections, those being made included, when `condition` holds.
    pub(crate) fn cut_if(&self, condition: impl FnOnce() -> bool) {
        let mut links = lock(&self.links);
        if condition() {
            links.cut = true;
            links.open.drain(..).filter_map(|link| link.upgrade()).for_each(|link| link.cut());
        }
    }

    fn register(&self) -> io::Result<Arc<Link>> {
        let mut links = lock(&self.links);
        if links.cut {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the revision has lost its traffic",
            ));
        }
        if links.open.len() >= links.sweep_at {
            links.open.retain(|link| link.strong_count() > 0);
            links.sweep_at = (links.open.len() * 2).max(16);
        }
        let link = Arc::new(Link::default());
        links.open.push(Arc::downgrade(&link));
        Ok(link)
    }

    async fn connect(&self, address: SocketAddr, limits: &Limits) -> Result<Upstream, Failure> {
        let connected = tokio::time::timeout(limits.connect_timeout, TcpStream::connect(address)).await;
        let stream = connected.map_err(|_| Failure::ConnectTimeout)?.map_err(Failure::Connect)?;
        stream.set_nodelay(true).map_err(Failure::Connect)?;
        let link = self.register().map_err(Failure::Connect)?;
        let stream = TokioIo::new(CuttableStream::new(stream, Arc::clone(&link)));
        let (sender, connection) = Builder::new().handshake(stream).await.map_err(Failure::Exchange)?;
        // Its failures reach the request through the sender and the body.
        tokio::spawn(connection.with_upgrades());
        Ok(Upstream { sender, link })
    }
}
