//! One gateway takes the place of another without closing an address: the old one passes the lock,
//! the control socket and every listening socket to the new one, which accepts on them before the
//! old one stops.
//!
//! On one connection to the control socket:
//! 1. new → old: `{"type":"handover"}` and a line end.
//! 2. old → new: packets, each four bytes of length with descriptors beside them, then a JSON
//!    [`Packet`]. The first carries the lock and the control socket, the others listening sockets.
//!    From here on the routing of the old one does not change.
//! 3. new → old: `ready` and a line end, as soon as it accepts connections.
//! 4. old: stops accepting, finishes what it has, exits; the connection closes with it.
//!
//! When the connection closes before step 3, the old one goes on as if nothing had been asked.

mod descriptors;

use crate::{
    control::Estate,
    error::GatewayError,
    folder,
    gateway::{Ending, Frozen, Gateway},
    socket_path,
};
use lockstep_model::gateway::{GatewayRequest, GatewayResponse};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    sync::Arc,
    time::Duration,
};
use tracing::{info, warn};

/// Neither side is waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(10);
const READY: &[u8] = b"ready\n";
/// Below the 253 descriptors that Linux passes at once (unix(7), `SCM_MAX_FD`).
const PACKET_SOCKETS_MAX: usize = 64;
const PACKET_BYTES_MAX: u32 = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct Packet {
    /// The addresses of the sockets in it; none in the first.
    addresses: Vec<SocketAddr>,
    last: bool,
}

/// What a gateway has taken over.
pub(crate) struct Taken {
    pub(crate) estate: Estate,
    pub(crate) listeners: HashMap<SocketAddr, TcpListener>,
    pub(crate) old: UnixStream,
}

/// Passes everything to the process at the other end of `stream` and, when it is ready, ends this
/// gateway.
pub(crate) async fn give(gateway: &Arc<Gateway>, estate: Arc<Estate>, stream: tokio::net::UnixStream) {
    let Some(frozen) = gateway.freeze().await else { return };
    let passed = stream.into_std().and_then(|stream| {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    });
    let passed = match passed {
        Ok(stream) => tokio::task::spawn_blocking(move || pass_on(stream, &estate, frozen)).await,
        Err(error) => Ok(Err(error)),
    };
    match passed {
        Ok(Ok((stream, frozen))) => {
            gateway.supersede(frozen).await;
            info!("another process has taken the gateway over");
            gateway.end(Ending::Superseded(stream)).await;
        }
        Ok(Err(error)) => warn!(%error, "a handover broke off; this gateway goes on"),
        Err(error) => warn!(%error, "a handover failed; this gateway goes on"),
    }
}

fn pass_on(mut stream: UnixStream, estate: &Estate, frozen: Frozen) -> io::Result<(UnixStream, Frozen)> {
    let listeners = frozen.listeners();
    let first = Packet { addresses: vec![], last: listeners.is_empty() };
    send(&mut stream, &first, &[estate.lock.as_raw_fd(), estate.socket.as_raw_fd()])?;
    let mut chunks = listeners.chunks(PACKET_SOCKETS_MAX).peekable();
    while let Some(chunk) = chunks.next() {
        let addresses = chunk.iter().map(|(address, _)| *address).collect();
        let sockets: Vec<_> = chunk.iter().map(|(_, listener)| listener.as_fd().as_raw_fd()).collect();
        send(&mut stream, &Packet { addresses, last: chunks.peek().is_none() }, &sockets)?;
    }
    let mut ready = [0; READY.len()];
    stream.read_exact(&mut ready)?;
    if ready != READY {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the new gateway did not say that it is ready",
        ));
    }
    Ok((stream, frozen))
}

fn send(stream: &mut UnixStream, packet: &Packet, descriptors: &[i32]) -> io::Result<()> {
    let text = serde_json::to_vec(packet)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    descriptors::send(stream, &length.to_be_bytes(), descriptors)?;
    stream.write_all(&text)
}

/// Takes everything from the gateway that serves `dir` now; none when there is none. Blocks.
pub(crate) fn take(dir: &Path) -> Result<Option<Taken>, GatewayError> {
    let failed = |step| move |source| GatewayError::Handover { step, source };
    let path = socket_path(dir);
    let mut old = match folder::with_short_path(&path, |short| UnixStream::connect(short)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(source) => return Err(GatewayError::Unreachable { path, source }),
    };
    // It may be finishing another change of its table first.
    old.set_read_timeout(Some(PATIENCE)).map_err(failed("asking for it"))?;
    old.set_write_timeout(Some(PATIENCE)).map_err(failed("asking for it"))?;
    let mut line =
        serde_json::to_vec(&GatewayRequest::Handover).map_err(|e| failed("asking for it")(e.into()))?;
    line.push(b'\n');
    old.write_all(&line).map_err(failed("asking for it"))?;

    let (first, descriptors) = receive(&mut old)?;
    let [lock, socket]: [OwnedFd; 2] = descriptors.try_into().map_err(|_| GatewayError::HandoverRefused {
        reason: "it passed no lock and control socket".to_owned(),
    })?;
    let mut last = first.last;
    let mut listeners = HashMap::new();
    while !last {
        let (packet, descriptors) = receive(&mut old)?;
        last = packet.last;
        for (address, descriptor) in packet.addresses.into_iter().zip(descriptors) {
            let listener = TcpListener::from(descriptor);
            let actual = listener.local_addr().map_err(failed("looking at a socket"))?;
            if actual != address {
                let reason = format!("it passed a socket for {actual} as that for {address}");
                return Err(GatewayError::HandoverRefused { reason });
            }
            listeners.insert(address, listener);
        }
    }
    let mut lock = std::fs::File::from(lock);
    folder::sign_lock(&mut lock).map_err(failed("signing the lock"))?;
    Ok(Some(Taken { estate: Estate { lock, socket: socket.into() }, listeners, old }))
}

fn receive(old: &mut UnixStream) -> Result<(Packet, Vec<OwnedFd>), GatewayError> {
    let failed = |source| GatewayError::Handover { step: "receiving the sockets", source };
    let mut length = [0; 4];
    let descriptors = descriptors::receive(old, &mut length, PACKET_SOCKETS_MAX).map_err(failed)?;
    if length[0] == b'{' {
        return Err(GatewayError::HandoverRefused { reason: refusal(&length, old) });
    }
    let length = u32::from_be_bytes(length);
    if length > PACKET_BYTES_MAX {
        return Err(GatewayError::HandoverRefused { reason: "it speaks an unknown protocol".to_owned() });
    }
    let mut text = vec![0; length as usize];
    old.read_exact(&mut text).map_err(failed)?;
    let packet: Packet = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
    if !packet.addresses.is_empty() && packet.addresses.len() != descriptors.len() {
        return Err(GatewayError::HandoverRefused { reason: "it did not pass all its sockets".to_owned() });
    }
    Ok((packet, descriptors))
}

/// Why an older gateway refused, which it says in a line.
fn refusal(begin: &[u8], old: &mut UnixStream) -> String {
    let mut line = begin.to_vec();
    let read = BufReader::new(old.take(u64::from(PACKET_BYTES_MAX))).read_until(b'\n', &mut line);
    match read.ok().and_then(|_| serde_json::from_slice(&line).ok()) {
        Some(GatewayResponse::Refused { message }) => message,
        Some(GatewayResponse::Done { .. } | GatewayResponse::State { .. }) | None => {
            "it does not know how".to_owned()
        }
    }
}

/// Tells the old gateway that this one accepts connections.
pub(crate) fn ready(old: &mut UnixStream) -> Result<(), GatewayError> {
    old.write_all(READY).map_err(|source| GatewayError::Handover { step: "reporting readiness", source })
}
