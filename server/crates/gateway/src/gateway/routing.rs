//! Changes of the table. A change is durable before the next request follows it; a change that
//! cannot be made leaves everything as it was.

use super::{Gateway, Superseded};
use crate::{
    listen,
    revision::Revision,
    routes_file::{self, Routes},
    rules::{self, Key, Purpose},
    table::{Phase, Table},
};
use lockstep_model::gateway::{GatewayResponse, Route, Slot};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};
use tracing::{error, info, warn};

/// Requests that were cut are gone after this time, or something holds them that cannot be cut.
const CUT_SETTLES: Duration = Duration::from_secs(1);
/// A day; longer drains are not meant.
const DRAIN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl Gateway {
    /// Puts `route` in place of the one its slot has; with `drain`, waits until the revisions that
    /// lost their traffic have no request under way.
    pub(crate) async fn route_set(
        self: &Arc<Self>,
        route: Route,
        drain: bool,
    ) -> Result<GatewayResponse, Superseded> {
        let timeout = Duration::from_millis(route.drain_timeout_ms).min(DRAIN_MAX);
        let draining = match self.route_switch(route, Purpose::Users).await? {
            Ok(losers) => self.start_drain(losers, timeout),
            Err(message) => return Ok(GatewayResponse::Refused { message }),
        };
        // Also without waiting, what is left is cut at the drain timeout.
        let drained = !drain || draining.await.unwrap_or(false);
        Ok(GatewayResponse::Done { drained })
    }

    /// Lets people look at what has no traffic, by `route`; with none they no longer do.
    pub(crate) async fn preview_set(
        self: &Arc<Self>,
        slot: Slot,
        route: Option<Route>,
    ) -> Result<GatewayResponse, Superseded> {
        let Some(route) = route else {
            return self.forget(&Key { slot, purpose: Purpose::Preview }).await;
        };
        if route.slot != slot {
            let message = format!("the preview of {slot} was not set: its route is one of {}", route.slot);
            return Ok(GatewayResponse::Refused { message });
        }
        let timeout = Duration::from_millis(route.drain_timeout_ms).min(DRAIN_MAX);
        Ok(match self.route_switch(route, Purpose::Preview).await? {
            Ok(losers) => {
                let drained = losers.is_empty();
                drop(self.start_drain(losers, timeout));
                GatewayResponse::Done { drained }
            }
            Err(message) => GatewayResponse::Refused { message },
        })
    }

    async fn route_switch(
        self: &Arc<Self>,
        route: Route,
        purpose: Purpose,
    ) -> Result<Result<Vec<Arc<Revision>>, String>, Superseded> {
        let checked = match rules::check(route, purpose) {
            Ok(checked) => checked,
            Err(message) => return Ok(Err(message)),
        };
        let key = checked.key.clone();
        let mut table = self.table.lock().await;
        if self.is_superseded() {
            return Err(Superseded);
        }
        let others = table.checked().filter(|other| other.key != key);
        if let Err(message) = rules::check_beside(&checked, others) {
            return Ok(Err(message));
        }
        let is_open = table.endpoint(checked.listen).is_some_and(|endpoint| endpoint.listener().is_some());
        let opened = if is_open { None } else { Some(listen::bind(checked.listen).await) };
        let opened = match opened.transpose() {
            Ok(opened) => opened,
            // Nothing comes in for it, and nothing is to: so it stays, whoever holds the address.
            Err(_) if checked.route.backends.is_empty() && !table.has(&key) => return Ok(Ok(Vec::new())),
            Err(reason) => return Ok(Err(format!("{key} was not set: {reason}"))),
        };
        if let Err(message) = self.save(table.routes_with(&checked)).await {
            return Ok(Err(format!("{key} was not set: {message}")));
        }
        let (listen, text) = (checked.listen, describe(&checked.route, purpose));
        let losers = table.install(checked);
        if let (Some(listener), Some(endpoint)) = (opened, table.endpoint(listen)) {
            listen::start_accepting(self, endpoint, listener);
        }
        close_unused(&mut table).await;
        info!(slot = %key.slot, "{text}");
        Ok(Ok(losers))
    }

    /// Forgets the route of `slot`. What its revisions are doing may finish within its drain
    /// timeout.
    pub(crate) async fn route_remove(self: &Arc<Self>, slot: Slot) -> Result<GatewayResponse, Superseded> {
        self.forget(&Key { slot, purpose: Purpose::Users }).await
    }

    async fn forget(self: &Arc<Self>, key: &Key) -> Result<GatewayResponse, Superseded> {
        let mut table = self.table.lock().await;
        if self.is_superseded() {
            return Err(Superseded);
        }
        if !table.has(key) {
            return Ok(GatewayResponse::Done { drained: true });
        }
        if let Err(message) = self.save(table.routes_without(key)).await {
            return Ok(GatewayResponse::Refused { message: format!("{key} was not removed: {message}") });
        }
        let Some((checked, losers)) = table.uninstall(key) else {
            return Ok(GatewayResponse::Done { drained: true });
        };
        close_unused(&mut table).await;
        let slot = &key.slot;
        match key.purpose {
            Purpose::Users => info!(slot = %slot, "{slot} is no longer served on {}", checked.listen),
            Purpose::Preview => {
                info!(slot = %slot, "nothing of {slot} is to be seen on {} any more", checked.listen)
            }
        }
        let drained = losers.is_empty();
        let timeout = Duration::from_millis(checked.route.drain_timeout_ms).min(DRAIN_MAX);
        drop(self.start_drain(losers, timeout));
        Ok(GatewayResponse::Done { drained })
    }

    async fn save(&self, routes: Routes) -> Result<(), String> {
        let dir = self.dir.clone();
        let saved = tokio::task::spawn_blocking(move || routes_file::save(&dir, &routes)).await;
        let refused = match saved {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(refused)) => refused,
            Err(failed) => return Err(format!("writing the routes failed: {failed}")),
        };
        let cause = std::error::Error::source(&refused).map(ToString::to_string).unwrap_or_default();
        error!(error = %refused, "the routes were not written: {cause}");
        Err(format!("{refused}: {cause}; see that the disk is not full and the folder can be written"))
    }

    /// Waits for the requests under way at `losers`, and for those of a gateway that this one
    /// replaced; cuts what is left after `drain_timeout`. Gives whether all had finished by then.
    fn start_drain(&self, losers: Vec<Arc<Revision>>, drain_timeout: Duration) -> JoinHandle<bool> {
        let mut alone = self.alone.clone();
        tokio::spawn(async move {
            let deadline = Instant::now() + drain_timeout;
            let left = async {
                for revision in &losers {
                    revision.until_left().await;
                }
                // An error means that the other one is gone and nobody watches any more.
                let _ = alone.wait_for(|alone| *alone).await;
            };
            if timeout_at(deadline, left).await.is_ok() {
                return true;
            }
            for revision in losers.iter().filter(|revision| !revision.has_traffic()) {
                let (id, in_flight) = (&revision.id, revision.in_flight());
                warn!(revision.id = %id, "{in_flight} requests to {id} were cut after {} ms of draining", drain_timeout.as_millis());
                revision.cut();
            }
            let settled = async {
                for revision in &losers {
                    revision.until_left().await;
                }
            };
            // The answer is the same either way: they had not finished by themselves.
            let _ = timeout(CUT_SETTLES, settled).await;
            false
        })
    }
}

async fn close_unused(table: &mut Table) {
    for endpoint in table.take_unused() {
        endpoint.close(Phase::Closing).await;
        info!("gateway no longer listens on {}", endpoint.address);
    }
}

fn describe(route: &Route, purpose: Purpose) -> String {
    let shares: Vec<_> =
        route.backends.iter().map(|backend| format!("{} {} %", backend.revision, backend.weight)).collect();
    let to = if shares.is_empty() { "nobody".to_owned() } else { shares.join(", ") };
    let host = route.host.as_deref().map(|host| format!(" ({host})")).unwrap_or_default();
    match purpose {
        Purpose::Users => format!("traffic of {} on {}{host} goes to {to}", route.slot, route.listen),
        Purpose::Preview => format!("on {}{host} {to} of {} is to be seen", route.listen, route.slot),
    }
}
