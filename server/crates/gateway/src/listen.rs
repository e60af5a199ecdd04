//! Opens an address and takes connections from it.

use crate::{
    connection,
    gateway::Gateway,
    table::{Endpoint, Phase},
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tracing::warn;

/// The system is out of descriptors or memory: the next try a little later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Opens `address`; the text says why not and what to do.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| explain(address, &error))
}

fn explain(address: SocketAddr, error: &io::Error) -> String {
    let (ip, port) = (address.ip(), address.port());
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is taken by another program; `ss -ltnp sport = :{port}` shows which. Stop it, or give the service another port"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("this user may not listen on {address}; use a port from 1024 up")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{ip} is not an address of this machine; use 127.0.0.1, 0.0.0.0 or one of its own")
        }
        _ => format!("the gateway cannot listen on {address}: {error}"),
    }
}

/// Takes connections until the endpoint is no longer open.
pub(crate) fn start_accepting(gateway: &Arc<Gateway>, endpoint: &Arc<Endpoint>, listener: TcpListener) {
    let listener = Arc::new(listener);
    let accepting = tokio::spawn(accept(Arc::clone(gateway), Arc::clone(endpoint), Arc::clone(&listener)));
    endpoint.opened(listener, accepting);
}

async fn accept(gateway: Arc<Gateway>, endpoint: Arc<Endpoint>, listener: Arc<TcpListener>) {
    let mut phase = endpoint.watch_phase();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase != Phase::Open) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => connection::take(&gateway, &endpoint, stream, peer),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                warn!(%error, "taking a connection at {} failed; trying again", endpoint.address);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// Turns a socket that another process opened into one of this runtime.
pub(crate) fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
