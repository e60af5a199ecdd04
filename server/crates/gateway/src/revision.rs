//! One revision behind a route: its address, its traffic and the connections to it. A request holds
//! a `Visit` from the moment it was given to the revision until its answer was passed on whole.

use crate::{latency::Latency, sync::Tally, upstream::Pool};
use lockstep_model::{RevisionId, gateway::RevisionTraffic};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

/// A revision that has traffic, or had it.
#[derive(Debug)]
pub(crate) struct Revision {
    pub(crate) id: RevisionId,
    pub(crate) address: SocketAddr,
    pub(crate) pool: Pool,
    weight: AtomicU32,
    in_flight: Tally,
    requests: AtomicU64,
    errors: AtomicU64,
    latency: Latency,
}

impl Revision {
    pub(crate) fn new(id: RevisionId, address: SocketAddr, weight: u32) -> Self {
        Self {
            id,
            address,
            pool: Pool::default(),
            weight: AtomicU32::new(weight),
            in_flight: Tally::default(),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            latency: Latency::default(),
        }
    }

    /// Gives the revision its weight from now on; false when its connections were cut already, so
    /// that it must be known anew. With weight 0 idle connections to it are closed.
    pub(crate) fn reweigh(&self, weight: u32) -> bool {
        let reweighed = self.pool.unless_cut(|| self.weight.store(weight, Ordering::SeqCst));
        if weight == 0 {
            self.pool.close_idle();
        }
        self.in_flight.nudge();
        reweighed
    }

    /// Takes the traffic away. One that was cut has none already.
    pub(crate) fn lose_traffic(&self) {
        self.reweigh(0);
    }

    /// Closes every connection to a revision that has no traffic, whatever it is doing.
    pub(crate) fn cut(&self) {
        self.pool.cut_if(|| !self.has_traffic());
    }

    pub(crate) fn has_traffic(&self) -> bool {
        self.weight.load(Ordering::SeqCst) > 0
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.count()
    }

    /// Waits until no request is under way, or the revision has got traffic again.
    pub(crate) async fn until_left(&self) {
        self.in_flight.until(|| self.in_flight.count() == 0 || self.has_traffic()).await;
    }

    /// Counts a request in. Only while the table that led here is locked: a switch that follows
    /// must see it.
    pub(crate) fn enter(self: &Arc<Self>) -> Visit {
        self.in_flight.add();
        Visit { revision: Arc::clone(self), failed: false }
    }

    pub(crate) fn traffic(&self) -> RevisionTraffic {
        let [p50_ms, p95_ms, p99_ms] = self.latency.quantiles_ms([0.5, 0.95, 0.99]);
        RevisionTraffic {
            revision: self.id.clone(),
            address: self.address.to_string(),
            weight: self.weight.load(Ordering::SeqCst),
            requests: self.requests.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            in_flight: self.in_flight(),
            p50_ms,
            p95_ms,
            p99_ms,
        }
    }
}

/// A request under way at a revision; finished when dropped.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) revision: Arc<Revision>,
    failed: bool,
}

impl Visit {
    /// The head of the answer came after `took`.
    pub(crate) fn answered(&self, took: Duration) {
        self.revision.latency.record(took);
    }

    /// The answer was an error, or there is none.
    pub(crate) fn fail(&mut self) {
        self.failed = true;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.revision.requests.fetch_add(1, Ordering::Relaxed);
        if self.failed {
            self.revision.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.revision.in_flight.subtract();
    }
}
