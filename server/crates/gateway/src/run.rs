//! Starts a gateway, keeps it until it is stopped or replaced, and ends it in the right order.

use crate::{
    control::{Control, Estate},
    error::GatewayError,
    folder,
    gateway::{Ending, Gateway},
    handover::{self, Taken},
    options::GatewayOptions,
    routes_file, socket_path,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::{collections::HashMap, os::unix::net::UnixStream, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::AsyncReadExt,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    time::timeout,
};
use tracing::{info, warn};

/// An answer that nobody takes does not keep the gateway from ending.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// Serves the routes of a folder until the gateway is told to stop, gets SIGTERM or SIGINT, or
/// another gateway takes its place. Needs a tokio runtime with I/O and time.
///
/// # Errors
/// `GatewayError::Locked` when another gateway serves the folder and no handover was asked for,
/// `RoutesRefused` when its routing is damaged or newer, `HandoverRefused` and `Handover` when the
/// running gateway did not pass its sockets on (it goes on serving), and others when the folder
/// cannot be used.
pub async fn run(options: GatewayOptions) -> Result<(), GatewayError> {
    folder::prepare(&options.dir)?;
    raise_descriptor_limit();
    let taken = if options.handover { take(&options.dir).await? } else { None };
    let (estate, listeners, mut old) = match taken {
        Some(Taken { estate, listeners, old }) => (estate, listeners, Some(old)),
        None => {
            let lock = folder::take_lock(&options.dir)?;
            let socket = folder::open_control(&options.dir)?;
            (Estate { lock, socket }, HashMap::new(), None)
        }
    };
    // Read under the lock, or after the old gateway has stopped changing them.
    let routes = routes_file::load(&options.dir)?;
    let (alone_now, alone) = watch::channel(old.is_none());
    let (endings, mut ends) = mpsc::channel(4);
    let mut terminate = signal(SignalKind::terminate()).map_err(|source| GatewayError::Signals { source })?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|source| GatewayError::Signals { source })?;
    let dir = options.dir.clone();
    let gateway = Arc::new(Gateway::new(options, alone, endings));
    gateway.begin(routes, listeners).await?;
    if let Some(old) = old.as_mut() {
        handover::ready(old)?;
    }
    let control = Control::start(&gateway, estate)?;
    let tending = tokio::spawn(Arc::clone(&gateway).tend());
    if let Some(old) = old {
        tokio::spawn(watch_old(old, alone_now));
    }
    let ending = tokio::select! {
        Some(ending) = ends.recv() => ending,
        _ = terminate.recv() => Ending::Signal,
        _ = interrupt.recv() => Ending::Signal,
    };
    end(&gateway, &dir, control, ending).await;
    tending.abort();
    Ok(())
}

async fn take(dir: &Path) -> Result<Option<Taken>, GatewayError> {
    let dir = dir.to_owned();
    let taken = tokio::task::spawn_blocking(move || handover::take(&dir)).await;
    taken.map_err(|error| GatewayError::Handover { step: "taking over", source: error.into() })?
}

async fn end(gateway: &Gateway, dir: &Path, control: Control, ending: Ending) {
    match ending {
        Ending::Superseded(new) => {
            control.close().await;
            gateway.drain_superseded().await;
            // The new gateway learns by this that no request is left here.
            drop(new);
        }
        Ending::Stop(answer) => {
            info!("gateway stops");
            let drained = gateway.drain_to_stop().await;
            leave(dir, control).await;
            // Whoever asked may have gone.
            let _ = answer.send(drained);
            let _ = timeout(LAST_ANSWER, gateway.orders.until_zero()).await;
        }
        Ending::Signal => {
            info!("gateway stops because of a signal");
            gateway.drain_to_stop().await;
            leave(dir, control).await;
        }
    }
}

/// Frees the folder for the next gateway.
async fn leave(dir: &Path, control: Control) {
    let path = socket_path(dir);
    if let Err(error) = std::fs::remove_file(&path) {
        warn!(%error, "{} was not removed", path.display());
    }
    control.close().await;
}

/// Waits until the gateway that was replaced is gone.
async fn watch_old(old: UnixStream, alone: watch::Sender<bool>) {
    let gone = async {
        old.set_nonblocking(true)?;
        let mut old = tokio::net::UnixStream::from_std(old)?;
        let mut rest = [0; 64];
        while old.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    if let Err(error) = gone.await {
        warn!(%error, "the gateway that was replaced cannot be watched any more");
    }
    alone.send_replace(true);
}

/// Every connection needs a descriptor, and one to its revision; the usual limit of 1024 is for
/// programs that use `select`.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        warn!(%error, "the limit of open files was not raised");
    }
}
