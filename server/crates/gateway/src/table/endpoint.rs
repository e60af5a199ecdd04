//! An address where users come in, and the routes that share it.

use super::{Entry, stick::Stuck};
use crate::{revision::Visit, sync::lock};
use http::HeaderMap;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::Ordering},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// How an address treats its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Takes new connections.
    Open,
    /// Takes none; each connection ends with the answer to its next request.
    Retiring,
    /// Takes none; idle connections are closed, the others end with the answer under way.
    Closing,
}

/// An address where users come in.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    hosts: RwLock<Hosts>,
    phase: watch::Sender<Phase>,
    socket: Mutex<Option<Socket>>,
}

#[derive(Default)]
struct Hosts {
    named: HashMap<String, Arc<Entry>>,
    fallback: Option<Arc<Entry>>,
}

struct Socket {
    listener: Arc<TcpListener>,
    accepting: JoinHandle<()>,
}

/// What becomes of a request.
pub(crate) enum Admission {
    /// It goes to a revision, and what else follows.
    Visit(Visit, Stuck),
    /// Its route has no revision.
    Unserved,
    /// No route takes its host.
    UnknownHost,
}

impl Endpoint {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            hosts: RwLock::default(),
            phase: watch::Sender::new(Phase::Open),
            socket: Mutex::default(),
        }
    }

    /// Chooses a revision for a request with `headers` to `host`, in lower case and without port, and
    /// counts it in.
    pub(crate) fn admit(&self, host: Option<&str>, headers: &HeaderMap) -> Admission {
        // The request is counted in under this lock, so that a switch that follows sees it.
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        let named = if hosts.named.is_empty() { None } else { host.and_then(|host| hosts.named.get(host)) };
        let Some(entry) = named.or(hosts.fallback.as_ref()) else { return Admission::UnknownHost };
        match entry.choose(headers) {
            Some((revision, stuck)) => Admission::Visit(revision.enter(), stuck),
            None => {
                entry.unserved.fetch_add(1, Ordering::Relaxed);
                Admission::Unserved
            }
        }
    }

    pub(super) fn set(&self, host: Option<String>, entry: Arc<Entry>) {
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        match host {
            Some(host) => drop(hosts.named.insert(host, entry)),
            None => hosts.fallback = Some(entry),
        }
    }

    pub(super) fn unset(&self, host: Option<&str>) {
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        match host {
            Some(host) => drop(hosts.named.remove(host)),
            None => hosts.fallback = None,
        }
    }

    pub(super) fn is_unused(&self) -> bool {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        hosts.named.is_empty() && hosts.fallback.is_none()
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn watch_phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Ends existing connections as `phase` says.
    pub(crate) fn enter_phase(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// The listening socket, when there is one.
    pub(crate) fn listener(&self) -> Option<Arc<TcpListener>> {
        lock(&self.socket).as_ref().map(|socket| Arc::clone(&socket.listener))
    }

    /// Keeps the listening socket and the task that takes connections from it.
    pub(crate) fn opened(&self, listener: Arc<TcpListener>, accepting: JoinHandle<()>) {
        *lock(&self.socket) = Some(Socket { listener, accepting });
    }

    /// Takes no more connections and closes the listening socket; existing connections end as
    /// `phase` says.
    pub(crate) async fn close(&self, phase: Phase) {
        self.enter_phase(phase);
        let socket = lock(&self.socket).take();
        if let Some(Socket { listener, accepting }) = socket {
            drop(listener);
            // It sees the phase and ends; the port is free when it has.
            if let Err(error) = accepting.await {
                tracing::error!(%error, "accepting at {} failed", self.address);
            }
        }
    }
}
