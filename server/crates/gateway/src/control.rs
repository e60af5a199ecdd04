//! The control socket: one JSON object a line asks, one answers. Only the owner of the folder can
//! open it.

use crate::{
    error::GatewayError,
    gateway::{Ending, Gateway, Superseded},
    handover,
    sync::{Tally, TallyGuard},
};
use lockstep_model::gateway::{GatewayRequest, GatewayResponse};
use std::{fs::File, io, os::unix::net::UnixListener as StdUnixListener, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

/// The longest request or answer; the state of all routes a gateway can have is below it.
pub(crate) const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// An agent and a person or two ask at a time.
const CONNECTIONS_MAX: u64 = 64;
/// Who connects and says nothing makes room for others after this time.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a handover passes on beside the listening sockets.
pub(crate) struct Estate {
    pub(crate) lock: File,
    pub(crate) socket: StdUnixListener,
}

/// The control socket of a running gateway.
pub(crate) struct Control {
    estate: Arc<Estate>,
    accepting: JoinHandle<()>,
}

impl Control {
    /// Answers requests on the socket of `estate` from now on.
    pub(crate) fn start(gateway: &Arc<Gateway>, estate: Estate) -> Result<Self, GatewayError> {
        let failed = |source| GatewayError::ControlSocket { path: crate::socket_path(&gateway.dir), source };
        let socket = estate.socket.try_clone().map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let socket = UnixListener::from_std(socket).map_err(failed)?;
        let estate = Arc::new(estate);
        let accepting = tokio::spawn(accept(Arc::clone(gateway), socket, Arc::clone(&estate)));
        Ok(Self { estate, accepting })
    }

    /// Takes no more requests; those being worked on go on. The lock and the socket are free when
    /// this returns and nobody else holds them.
    pub(crate) async fn close(self) {
        let Self { estate, accepting } = self;
        accepting.abort();
        // Cancelled, which was asked for.
        let _ = accepting.await;
        drop(estate);
    }
}

async fn accept(gateway: Arc<Gateway>, socket: UnixListener, estate: Arc<Estate>) {
    let connections = Arc::<Tally>::default();
    loop {
        match socket.accept().await {
            Ok((stream, _)) => match connections.try_enter(CONNECTIONS_MAX) {
                Some(place) => {
                    tokio::spawn(converse(Arc::clone(&gateway), Arc::downgrade(&estate), stream, place));
                }
                None => warn!("a connection to the control socket was closed: {CONNECTIONS_MAX} are open"),
            },
            Err(error) => {
                warn!(%error, "taking a connection at the control socket failed; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(
    gateway: Arc<Gateway>,
    estate: std::sync::Weak<Estate>,
    stream: UnixStream,
    _place: TallyGuard,
) {
    let mut stream = BufReader::new(stream);
    loop {
        let line = match timeout(SILENCE_MAX, read_line(&mut stream)).await {
            Ok(Ok(Some(line))) => line,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(error)) => {
                debug!(%error, "a request over the control socket was not read");
                let message = format!("the request was not understood: {error}");
                // The connection is given up either way.
                let _ = write_line(stream.get_mut(), &GatewayResponse::Refused { message }).await;
                return;
            }
        };
        let _order = gateway.orders.enter();
        let answer = match serde_json::from_slice(&line) {
            Ok(GatewayRequest::Route { route, drain }) => gateway.route_set(route, drain).await,
            Ok(GatewayRequest::Preview { slot, route }) => gateway.preview_set(slot, route).await,
            Ok(GatewayRequest::Remove { slot }) => gateway.route_remove(slot).await,
            Ok(GatewayRequest::State) => gateway.state().await.map(|state| GatewayResponse::State { state }),
            Ok(GatewayRequest::Stop) => stop(&gateway).await,
            Ok(GatewayRequest::Handover) => {
                if let Some(estate) = estate.upgrade() {
                    handover::give(&gateway, estate, stream.into_inner()).await;
                }
                return;
            }
            Err(error) => {
                Ok(GatewayResponse::Refused { message: format!("the request was not understood: {error}") })
            }
        };
        match answer {
            Ok(answer) => {
                if let Err(error) = write_line(stream.get_mut(), &answer).await {
                    debug!(%error, "an answer over the control socket was not taken");
                    return;
                }
            }
            // The one who asked sees the connection close and asks the new gateway.
            Err(Superseded) => return,
        }
    }
}

async fn stop(gateway: &Gateway) -> Result<GatewayResponse, Superseded> {
    let (answer, stopped) = oneshot::channel();
    gateway.end(Ending::Stop(answer)).await;
    stopped.await.map(|drained| GatewayResponse::Done { drained }).map_err(|_| Superseded)
}

/// Reads a line; none at the end of the stream.
pub(crate) async fn read_line(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    stream.take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line).await?;
    if line.len() as u64 > LINE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a line has more than {LINE_BYTES_MAX} bytes"),
        ));
    }
    // A line without its end was cut off.
    Ok((line.pop() == Some(b'\n')).then_some(line))
}

/// Writes `value` as a line.
pub(crate) async fn write_line(stream: &mut UnixStream, value: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await
}
