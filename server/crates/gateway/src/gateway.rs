//! The gateway as all its parts see it: the table, the counts, and how it begins and ends.

mod ending;
mod routing;

pub(crate) use ending::{Ending, Frozen};

use crate::{
    connection::{self, Refused},
    error::GatewayError,
    listen,
    options::GatewayOptions,
    options::Limits,
    routes_file::{self, Mark},
    rules::{CheckedRoute, Key, Purpose},
    sync::{Tally, lock},
    table::{Endpoint, Table},
};
use lockstep_model::gateway::GatewayState;
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};
use tracing::{info, warn};

/// How often idle connections are looked through and addresses that were taken are tried again.
const TEND_EVERY: Duration = Duration::from_secs(2);

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) dir: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) builder: hyper::server::conn::http1::Builder,
    /// Open connections from users, tunnels included.
    pub(crate) connections: Arc<Tally>,
    pub(crate) refused: Refused,
    /// Requests over the control socket that are being worked on.
    pub(crate) orders: Arc<Tally>,
    table: Arc<AsyncMutex<Table>>,
    /// Another process has taken over; only requests on old connections come here.
    superseded: AtomicBool,
    /// The state of `routes.json` that a superseded gateway has followed.
    followed: Mutex<Option<Mark>>,
    /// Whether no earlier gateway of this folder has requests under way.
    alone: watch::Receiver<bool>,
    endings: mpsc::Sender<Ending>,
}

/// The gateway was superseded meanwhile: whoever asked is to ask the new one.
#[derive(Debug)]
pub(crate) struct Superseded;

impl Gateway {
    pub(crate) fn new(
        options: GatewayOptions,
        alone: watch::Receiver<bool>,
        endings: mpsc::Sender<Ending>,
    ) -> Self {
        Self {
            builder: connection::builder(&options.limits),
            dir: options.dir,
            limits: options.limits,
            connections: Arc::default(),
            refused: Refused::default(),
            orders: Arc::default(),
            table: Arc::default(),
            superseded: AtomicBool::new(false),
            followed: Mutex::default(),
            alone,
            endings,
        }
    }

    /// Serves `routes`, on sockets that were handed over or else on its own. An address that is
    /// taken is tried again until it is free; the others are served meanwhile.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        routes: BTreeMap<Key, CheckedRoute>,
        mut handed_over: HashMap<SocketAddr, std::net::TcpListener>,
    ) -> Result<(), GatewayError> {
        let mut table = self.table.lock().await;
        for checked in routes.into_values() {
            table.install(checked);
        }
        for endpoint in table.endpoints() {
            match handed_over.remove(&endpoint.address) {
                Some(listener) => {
                    let listener = listen::adopt(listener)
                        .map_err(|source| GatewayError::Handover { step: "adopting a socket", source })?;
                    listen::start_accepting(self, endpoint, listener);
                }
                None => {
                    if let Err(reason) = self.open(endpoint).await {
                        warn!("{reason}; the gateway keeps trying");
                    }
                }
            }
        }
        info!("gateway serves {} routes", table.checked().count());
        Ok(())
    }

    async fn open(self: &Arc<Self>, endpoint: &Arc<Endpoint>) -> Result<(), String> {
        let listener = listen::bind(endpoint.address).await?;
        listen::start_accepting(self, endpoint, listener);
        Ok(())
    }

    /// Closes idle connections to revisions and opens addresses that were taken, for ever.
    pub(crate) async fn tend(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(TEND_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut table = self.table.lock().await;
            table.sweep(self.limits.upstream_idle_timeout);
            if self.is_superseded() {
                continue;
            }
            for endpoint in table.endpoints().filter(|endpoint| endpoint.listener().is_none()) {
                if self.open(endpoint).await.is_ok() {
                    info!("gateway listens on {} now", endpoint.address);
                }
            }
        }
    }

    /// Routes, counts and latencies.
    pub(crate) async fn state(&self) -> Result<GatewayState, Superseded> {
        let mut table = self.table.lock().await;
        if self.is_superseded() {
            return Err(Superseded);
        }
        Ok(GatewayState {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            connections: self.connections.count(),
            connections_refused: self.refused.count(),
            routes: table.state(Purpose::Users),
            previews: table.state(Purpose::Preview),
        })
    }

    fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::SeqCst)
    }

    /// A gateway that was replaced still gets the last request of each old connection; it sends it
    /// where the new one sends its own, which is in the file that the new one writes.
    pub(crate) async fn follow_successor(&self) {
        if !self.is_superseded() {
            return;
        }
        let mut table = self.table.lock().await;
        let mark = routes_file::mark(&self.dir);
        if *lock(&self.followed) == mark {
            return;
        }
        match routes_file::load(&self.dir) {
            Ok(routes) => {
                let gone: Vec<_> = table
                    .checked()
                    .map(|checked| checked.key.clone())
                    .filter(|key| !routes.contains_key(key))
                    .collect();
                gone.iter().for_each(|key| drop(table.uninstall(key)));
                routes.into_values().for_each(|checked| drop(table.install(checked)));
                *lock(&self.followed) = mark;
            }
            Err(error) => warn!(%error, "the routes of the gateway that took over were not read"),
        }
    }
}
