//! The gateway of this host: started when the first route is wanted, kept running, told what to
//! do over its socket. The agent knows the socket's language, not the gateway's code.

use crate::{folder, spawn::spawn_detached};
use lockstep_model::gateway::{GatewayRequest, GatewayResponse, GatewayState};
use std::{
    io,
    os::{fd::AsRawFd, unix::net::UnixStream as StdStream},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    time::{Instant, sleep},
};

/// A gateway must answer so soon after its start.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How often is looked whether it still runs.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// The gateway of this host.
#[derive(Debug)]
pub(crate) struct Gateway {
    dir: PathBuf,
    program: PathBuf,
    starting: tokio::sync::Mutex<()>,
}

impl Gateway {
    pub(crate) fn new(dir: PathBuf, program: PathBuf) -> Self {
        Self { dir, program, starting: tokio::sync::Mutex::new(()) }
    }

    /// Whether routes were ever given to it, so that it should run.
    pub(crate) fn is_wanted(&self) -> bool {
        self.dir.join("routes.json").exists()
    }

    /// Asks it; starts it when it does not run.
    pub(crate) async fn ask(&self, request: &GatewayRequest) -> Result<GatewayResponse, String> {
        self.ensure().await?;
        // A gateway that is replaced at this moment closes without an answer; each of these
        // requests may be carried out twice.
        match self.try_ask(request).await {
            Ok(response) => Ok(response),
            Err(_) => {
                self.ensure().await?;
                self.try_ask(request).await.map_err(|error| format!("the gateway does not answer: {error}"))
            }
        }
    }

    /// Its state; none when it does not run and nobody wants it to.
    pub(crate) async fn state(&self) -> Result<Option<GatewayState>, String> {
        if !self.is_wanted() {
            return Ok(None);
        }
        match self.ask(&GatewayRequest::State).await? {
            GatewayResponse::State { state } => Ok(Some(state)),
            GatewayResponse::Refused { message } => Err(message),
            GatewayResponse::Done { .. } => {
                Err("the gateway answered something else than its state".to_owned())
            }
        }
    }

    /// Ends it; one that does not run is left alone.
    pub(crate) async fn stop(&self) {
        if self.try_ask(&GatewayRequest::Stop).await.is_err() {
            return;
        }
        let end = Instant::now() + START_LIMIT + START_LIMIT;
        while self.connect().await.is_ok() && Instant::now() < end {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts it again whenever it is gone.
    pub(crate) async fn keep(&self) {
        loop {
            if self.is_wanted()
                && let Err(problem) = self.ensure().await
            {
                tracing::error!("the gateway does not run, trying again: {problem}");
            }
            sleep(WATCH_EVERY).await;
        }
    }

    async fn ensure(&self) -> Result<(), String> {
        if self.connect().await.is_ok() {
            return Ok(());
        }
        let _one_at_a_time = self.starting.lock().await;
        if self.connect().await.is_ok() {
            return Ok(());
        }
        let started = folder::make(&self.dir).and_then(|()| {
            let dir = self.dir.as_os_str();
            let arguments = ["gateway".as_ref(), "run".as_ref(), "--dir".as_ref(), dir];
            spawn_detached(&self.program, &arguments, &self.dir.join("gateway.log"))
        });
        let pid = started.map_err(|error| {
            format!("the gateway could not be started in {}: {error}", self.dir.display())
        })?;
        tracing::info!("started the gateway, process {pid}");
        let end = Instant::now() + START_LIMIT;
        while Instant::now() < end {
            if self.connect().await.is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(format!(
            "the gateway does not answer {} s after its start; see {}",
            START_LIMIT.as_secs(),
            self.dir.join("gateway.log").display()
        ))
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        let stream = connect_short(&self.dir.join("gateway.sock"))?;
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    }

    async fn try_ask(&self, request: &GatewayRequest) -> io::Result<GatewayResponse> {
        let mut stream = self.connect().await?;
        let mut line = serde_json::to_vec(request).map_err(io::Error::from)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = Vec::new();
        BufReader::new(stream).read_until(b'\n', &mut answer).await?;
        if answer.is_empty() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        serde_json::from_slice(&answer).map_err(io::Error::from)
    }
}

/// A socket's path may have 107 bytes; a longer one is reached through its opened folder.
fn connect_short(path: &Path) -> io::Result<StdStream> {
    const PATH_BYTES_MAX: usize = 107;
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return StdStream::connect(path);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = std::fs::File::open(parent)?;
    StdStream::connect(Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}
