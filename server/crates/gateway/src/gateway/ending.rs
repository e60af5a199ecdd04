//! How a gateway ends: stopped, so that nobody serves its addresses any more, or replaced by
//! another process that has its sockets.

use super::Gateway;
use crate::table::{Phase, Table};
use std::{
    net::SocketAddr,
    os::unix::net::UnixStream,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{OwnedMutexGuard, oneshot},
    time::timeout,
};
use tracing::{info, warn};

/// The shortest drain of a gateway that was replaced.
const HANDOVER_DRAIN_MIN: Duration = Duration::from_secs(10);

/// Why a gateway ends.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It was told to; the answer is whether all requests had finished.
    Stop(oneshot::Sender<bool>),
    /// A stop signal came.
    Signal,
    /// Another process has its sockets. It sees this connection close when this one is gone.
    Superseded(UnixStream),
}

/// The table of a gateway that is handing over: nothing changes while this exists.
pub(crate) struct Frozen(OwnedMutexGuard<Table>);

impl Frozen {
    /// The addresses that are listened on, with their sockets.
    pub(crate) fn listeners(&self) -> Vec<(SocketAddr, Arc<TcpListener>)> {
        let listeners = self.0.endpoints().map(|endpoint| Some((endpoint.address, endpoint.listener()?)));
        listeners.flatten().collect()
    }
}

impl Gateway {
    /// Keeps the table as it is; none when another process has taken over already.
    pub(crate) async fn freeze(&self) -> Option<Frozen> {
        let table = Arc::clone(&self.table).lock_owned().await;
        (!self.is_superseded()).then_some(Frozen(table))
    }

    /// Another process serves from now on. New connections are its own; existing ones end with
    /// their next answer.
    pub(crate) async fn supersede(&self, frozen: Frozen) {
        *crate::sync::lock(&self.followed) = crate::routes_file::mark(&self.dir);
        self.superseded.store(true, Ordering::SeqCst);
        for endpoint in frozen.0.endpoints() {
            endpoint.close(Phase::Retiring).await;
        }
    }

    /// Asks the gateway to end.
    pub(crate) async fn end(&self, ending: Ending) {
        // It fails only when the gateway is ending already.
        let _ = self.endings.send(ending).await;
    }

    /// Takes no more connections and waits for requests under way; gives whether all finished.
    pub(crate) async fn drain_to_stop(&self) -> bool {
        let table = self.table.lock().await;
        for endpoint in table.endpoints() {
            endpoint.close(Phase::Closing).await;
        }
        drop(table);
        let drained = timeout(self.limits.stop_drain, self.connections.until_zero()).await.is_ok();
        if !drained {
            warn!("gateway stops with {} connections open", self.connections.count());
        }
        drained
    }

    /// Waits until the requests and connections that were there at the handover have ended, or
    /// their drain timeout has passed.
    pub(crate) async fn drain_superseded(&self) {
        let longest = Duration::from_millis(self.table.lock().await.drain_timeout_ms_max());
        let drained = async {
            let lingered = timeout(self.limits.handover_linger, self.connections.until_zero()).await.is_ok();
            if !lingered {
                let table = self.table.lock().await;
                table.endpoints().for_each(|endpoint| endpoint.enter_phase(Phase::Closing));
            }
            self.connections.until_zero().await;
            self.orders.until_zero().await;
        };
        match timeout(longest.max(HANDOVER_DRAIN_MIN), drained).await {
            Ok(()) => info!("gateway has drained after the handover"),
            Err(_) => {
                warn!("gateway ends after the handover with {} connections open", self.connections.count())
            }
        }
    }
}
