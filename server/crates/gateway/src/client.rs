//! Asks a gateway: one connection a request, so that a gateway replaced meanwhile does not matter.

use crate::{control, error::GatewayError, folder};
use lockstep_model::gateway::{GatewayRequest, GatewayResponse};
use std::{
    io,
    path::{Path, PathBuf},
};
use tokio::{io::BufReader, net::UnixStream};

/// A gateway that is being replaced closes connections without an answer; the next try reaches the
/// new one.
const TRIES_MAX: usize = 3;

/// Asks the gateway behind a control socket.
///
/// Cheap to clone; nothing is open between requests.
#[derive(Debug, Clone)]
pub struct GatewayClient {
    path: PathBuf,
}

impl GatewayClient {
    /// A client of the gateway at `path`, as [`socket_path`](crate::socket_path) gives it. Does not
    /// connect.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The control socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks, and waits for the answer as long as it takes: a route with `drain` is answered within
    /// its drain timeout and a second. A request whose connection closed without an answer is sent
    /// again, which is safe, since each of them may be carried out twice.
    ///
    /// # Errors
    /// `GatewayError::Unreachable` when no gateway answers, `NoAnswer` when it keeps closing the
    /// connection, `Answer` when it says something unknown, `HandoverRefused` for
    /// `GatewayRequest::Handover`, which only a gateway that starts can ask for.
    pub async fn request(&self, request: &GatewayRequest) -> Result<GatewayResponse, GatewayError> {
        if matches!(request, GatewayRequest::Handover) {
            let reason =
                "only a gateway that starts can ask for it; use `lockstep gateway --handover`".to_owned();
            return Err(GatewayError::HandoverRefused { reason });
        }
        for _ in 0..TRIES_MAX {
            if let Some(line) = self.ask(request).await? {
                return serde_json::from_slice(&line)
                    .map_err(|source| GatewayError::Answer { path: self.path.clone(), source });
            }
        }
        Err(GatewayError::NoAnswer { path: self.path.clone() })
    }

    /// One try; none when the connection closed without an answer.
    async fn ask(&self, request: &GatewayRequest) -> Result<Option<Vec<u8>>, GatewayError> {
        let unreachable = |source| GatewayError::Unreachable { path: self.path.clone(), source };
        let stream = folder::with_short_path(&self.path, |short| {
            let stream = std::os::unix::net::UnixStream::connect(short)?;
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)
        });
        let mut stream = stream.map_err(unreachable)?;
        let answered = async {
            control::write_line(&mut stream, request).await?;
            control::read_line(&mut BufReader::new(&mut stream)).await
        };
        match answered.await {
            Ok(line) => Ok(line),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                Ok(None)
            }
            Err(error) => Err(unreachable(error)),
        }
    }
}
