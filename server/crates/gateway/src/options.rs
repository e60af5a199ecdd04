//! What a gateway is started with: its folder and its bounds.

use std::{path::PathBuf, time::Duration};

/// How to start a gateway.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// The folder with its routing, lock and control socket; made when it is not there.
    pub dir: PathBuf,
    /// Take the listening sockets of the gateway that serves this folder now, instead of being
    /// refused because of it. Starts as usual when there is none.
    pub handover: bool,
    /// Bounds; the defaults are meant for production.
    pub limits: Limits,
}

impl GatewayOptions {
    /// A gateway for `dir` with the default bounds, without handover.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), handover: false, limits: Limits::default() }
    }
}

/// The bounds of a gateway.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A request's head must have arrived this long after the connection was made or the answer
    /// before it was sent; it is therefore also how long an idle connection is kept.
    pub header_timeout: Duration,
    /// The largest head of a request, in bytes; larger ones are answered with 431.
    pub header_bytes_max: usize,
    /// Open connections from users; further ones are answered with 503 and closed.
    pub connections_max: usize,
    /// A revision must accept a connection within this time.
    pub connect_timeout: Duration,
    /// How many idle connections to one revision are kept.
    pub upstream_idle_max: usize,
    /// How long an idle connection to a revision is kept. Below 5 s, after which Node.js and
    /// uvicorn close their side.
    pub upstream_idle_timeout: Duration,
    /// How long requests may take to finish when the gateway is stopped.
    pub stop_drain: Duration,
    /// How long an idle connection may stay with a gateway that was replaced.
    pub handover_linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            header_bytes_max: 64 * 1024,
            connections_max: 2048,
            connect_timeout: Duration::from_secs(5),
            upstream_idle_max: 256,
            upstream_idle_timeout: Duration::from_secs(4),
            stop_drain: Duration::from_secs(10),
            handover_linger: Duration::from_secs(5),
        }
    }
}
