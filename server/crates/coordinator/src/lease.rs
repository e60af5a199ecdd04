//! The lease: whoever does not say in time that it lives may be replaced, and whoever could not say
//! it stops by itself long before. The epoch of each deployment is what makes a late write harmless;
//! the lease is what keeps two owners from taking a deployment from each other in turns.
//!
//! Whether it is fresh is judged by the monotonic clock of this process, which goes on while the
//! process is stopped: one that is continued after a long stop knows at once that it is too late.

use crate::{Inner, lock, recover};
use async_trait::async_trait;
use lockstep_engine::port::{Host, HostCancel, HostError, HostOrder, Stopped, StoreError};
use lockstep_model::{Timestamp, gateway::Slot, secrets::SecretSources, wire::Outcome};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

/// How a coordinator owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Others may take over when nothing was heard for so long. It is renewed every third of it, and
    /// given up by its holder after half of it.
    pub ttl: Duration,
    /// Nobody else can be at work on this store, because the caller keeps them off it: whoever owned
    /// something before is gone.
    pub alone: bool,
}

impl Lease {
    /// What a server uses.
    pub const TTL: Duration = Duration::from_secs(10);
}

/// The lease of this coordinator.
pub(crate) struct Holding {
    config: Lease,
    /// When the last renewal that went well was begun; none = it is not held.
    renewed: Mutex<Option<Instant>>,
    /// Counts how often it was lost.
    lost: watch::Sender<u64>,
}

impl Holding {
    pub(crate) fn new(config: Lease) -> Self {
        Self { config, renewed: Mutex::default(), lost: watch::channel(0).0 }
    }

    /// Whether this coordinator may act.
    pub(crate) fn is_held(&self) -> bool {
        lock(&self.renewed).is_some_and(|renewed| renewed.elapsed() < self.config.ttl / 2)
    }

    /// Returns when it is held. Whoever waits here when it is lost is ended with its worker, and never
    /// takes that for what came of an order.
    async fn until_held(&self) {
        while !self.is_held() {
            sleep(self.config.ttl / 100).await;
        }
    }

    /// Tells when it is lost.
    pub(crate) fn losses(&self) -> watch::Receiver<u64> {
        self.lost.subscribe()
    }

    /// How often a look is enough to take over in time.
    pub(crate) fn look_every(&self, most: Duration) -> Duration {
        most.min(self.config.ttl / 2)
    }

    /// True when it was not held before.
    fn renewed(&self, at: Instant) -> bool {
        lock(&self.renewed).replace(at).is_none()
    }

    fn lose(&self) {
        if lock(&self.renewed).take().is_some() {
            self.lost.send_modify(|count| *count += 1);
        }
    }
}

fn until(inner: &Inner) -> Timestamp {
    let now = inner.dependencies.clock.now();
    Timestamp(now.0 + i64::try_from(inner.lease.config.ttl.as_millis()).unwrap_or(i64::MAX / 2))
}

/// Begins it when the coordinator starts. When the store does not take it, it is tried again, and
/// nothing is owned before.
pub(crate) async fn begin(inner: &Arc<Inner>) {
    let began = Instant::now();
    let Inner { dependencies, lease, .. } = &**inner;
    match dependencies.store.lease_begin(&dependencies.owner, until(inner), lease.config.alone).await {
        Ok(()) => drop(lease.renewed(began)),
        Err(error) => tracing::error!("nothing is taken up before the lease can be stored: {error}"),
    }
}

/// Renews it for ever.
pub(crate) async fn renew_repeatedly(inner: Arc<Inner>) {
    let ttl = inner.lease.config.ttl;
    let mut pause = ttl / 3;
    loop {
        sleep(pause).await;
        let began = Instant::now();
        pause = match timeout(ttl / 3, renew(&inner)).await {
            Ok(Ok(())) => {
                if inner.lease.renewed(began) {
                    tracing::info!("the lease is held again; what nobody looks after is taken up");
                    if let Err(error) = recover::once(&inner, false).await {
                        tracing::warn!("looking for unfinished deployments failed, trying again: {error}");
                    }
                }
                ttl / 3
            }
            // No other can take anything over either: that is a write to the same disk.
            Ok(Err(StoreError::Full { .. })) if inner.lease.is_held() => {
                inner.lease.renewed(began);
                ttl / 3
            }
            Ok(Err(error)) => {
                tracing::warn!("the lease was not renewed, trying again: {error}");
                ttl / 12
            }
            Err(_) => {
                tracing::warn!("the lease was not renewed, trying again: the store does not answer");
                ttl / 12
            }
        };
    }
}

async fn renew(inner: &Arc<Inner>) -> Result<(), StoreError> {
    let Inner { dependencies, lease, .. } = &**inner;
    if dependencies.store.lease_renew(&dependencies.owner, until(inner)).await? {
        return Ok(());
    }
    if lease.is_held() {
        tracing::error!("another coordinator has taken over; everything under way here is let go of");
    }
    lease.lose();
    dependencies.store.lease_begin(&dependencies.owner, until(inner), false).await
}

/// Gives it up when it was not renewed for half its time, whatever the renewal is waiting for.
pub(crate) async fn watch(inner: Arc<Inner>) {
    let lease = &inner.lease;
    let half = lease.config.ttl / 2;
    loop {
        let renewed = *lock(&lease.renewed);
        match renewed {
            Some(renewed) if renewed.elapsed() >= half => {
                tracing::error!(
                    "the lease could not be renewed for {} ms; everything under way here is let go of, and taken up again when it can be",
                    renewed.elapsed().as_millis()
                );
                lease.lose();
            }
            Some(renewed) => sleep_until(renewed + half).await,
            None => sleep(half / 4).await,
        }
    }
}

/// Ends it, so that the next coordinator need not wait.
pub(crate) async fn end(inner: &Inner) {
    lock(&inner.lease.renewed).take();
    let dependencies = &inner.dependencies;
    if let Err(error) = dependencies.store.lease_end(&dependencies.owner).await {
        tracing::warn!("the lease was not ended; it runs out by itself: {error}");
    }
}

/// The way to the agents, which is open only while the lease is held.
#[derive(Clone)]
pub(crate) struct Guarded {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) lease: Arc<Holding>,
}

#[async_trait]
impl Host for Guarded {
    async fn order(&self, order: HostOrder) -> Result<Outcome, HostError> {
        self.lease.until_held().await;
        self.host.order(order).await
    }

    async fn cancel(&self, cancel: HostCancel) -> Stopped {
        self.lease.until_held().await;
        self.host.cancel(cancel).await
    }

    async fn secrets_try(&self, slot: &Slot, sources: &SecretSources) -> Result<(), String> {
        self.host.secrets_try(slot, sources).await
    }
}
