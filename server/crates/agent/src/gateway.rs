//! The gateway of this host: started when the first route is wanted, kept running, told what to
//! do over its socket. The agent knows the socket's language, not the gateway's code.

use crate::{folder, spawn::spawn_detached};
use lockstep_model::gateway::{GatewayRequest, GatewayResponse, GatewayState};
use std::{
    ffi::OsStr,
    io,
    os::{fd::AsRawFd, unix::net::UnixStream as StdStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
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
    /// Whether it was told to end for good.
    is_over: AtomicBool,
}

impl Gateway {
    pub(crate) fn new(dir: PathBuf, program: PathBuf) -> Self {
        Self { dir, program, starting: tokio::sync::Mutex::new(()), is_over: AtomicBool::new(false) }
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

    /// Ends it, and starts none any more, whatever is still asked; one that does not run is left
    /// alone.
    pub(crate) async fn stop(&self) {
        let _none_is_being_started = self.starting.lock().await;
        self.is_over.store(true, Ordering::SeqCst);
        if self.try_ask(&GatewayRequest::Stop).await.is_err() {
            return;
        }
        let end = Instant::now() + START_LIMIT + START_LIMIT;
        while self.connect().await.is_ok() && Instant::now() < end {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Replaces one of another version, then starts it again whenever it is gone.
    pub(crate) async fn keep(&self) {
        if let Err(problem) = self.renew().await {
            tracing::error!("the gateway could not be replaced and goes on as it is: {problem}");
        }
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
        if self.is_over.load(Ordering::SeqCst) {
            return Err("everything is being ended, the gateway too".to_owned());
        }
        self.spawn(&[])?;
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

    fn spawn(&self, more: &[&str]) -> Result<(), String> {
        let started = folder::make(&self.dir).and_then(|()| {
            let mut arguments: Vec<&OsStr> = vec!["gateway".as_ref(), "run".as_ref(), "--dir".as_ref()];
            arguments.push(self.dir.as_os_str());
            arguments.extend(more.iter().map(OsStr::new));
            spawn_detached(&self.program, &arguments, &self.dir.join("gateway.log"))
        });
        let pid = started
            .map_err(|error| format!("the gateway could not be started in {}: {error}", self.dir.display()))?
            .pid;
        tracing::info!("started the gateway, process {pid}");
        Ok(())
    }

    /// Starts one beside one of another version; it takes the listening sockets over, and the old
    /// one ends when its last request has.
    async fn renew(&self) -> Result<(), String> {
        let version = env!("CARGO_PKG_VERSION");
        if !self.is_wanted() || self.connect().await.is_err() {
            return Ok(());
        }
        let _one_at_a_time = self.starting.lock().await;
        let found = self.version().await?;
        if found == version {
            return Ok(());
        }
        tracing::info!("replacing the gateway {found} by {version}");
        self.spawn(&["--handover"])?;
        let end = Instant::now() + START_LIMIT;
        while Instant::now() < end {
            if self.version().await.is_ok_and(|found| found == version) {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(format!("the new one did not take over within {} s", START_LIMIT.as_secs()))
    }

    async fn version(&self) -> Result<String, String> {
        match self.try_ask(&GatewayRequest::State).await {
            Ok(GatewayResponse::State { state }) => Ok(state.version),
            Ok(other) => Err(format!("it answered something else than its state: {other:?}")),
            Err(error) => Err(format!("it does not answer: {error}")),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        io::{BufRead, Write},
        os::unix::fs::PermissionsExt,
    };
    use tempfile::TempDir;

    /// A gateway of `version` that answers, and a program that writes down that it was started.
    async fn beside(folder: &TempDir, version: &str) -> Gateway {
        let dir = folder.path().to_owned();
        fs::write(dir.join("routes.json"), "{}").expect("written");
        let program = dir.join("program");
        // Renamed, so that whoever sees the file sees all of it.
        let script = "#!/bin/sh\necho \"$*\" > DIR/new && mv DIR/new DIR/started\n";
        fs::write(&program, script.replace("DIR", dir.to_str().expect("UTF-8"))).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("set");
        let listener = std::os::unix::net::UnixListener::bind(dir.join("gateway.sock")).expect("bound");
        let started = dir.join("started");
        let before = version.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = String::new();
                let _ = std::io::BufReader::new(&stream).read_line(&mut request);
                let version = if started.exists() { env!("CARGO_PKG_VERSION") } else { &before };
                let state = GatewayState { version: version.to_owned(), ..GatewayState::default() };
                let answer = serde_json::to_string(&GatewayResponse::State { state }).expect("JSON");
                let _ = writeln!(stream, "{answer}");
            }
        });
        Gateway::new(dir, program)
    }

    #[tokio::test]
    async fn a_gateway_of_another_version_is_replaced_and_one_of_this_is_not() {
        let folder = TempDir::new().expect("a folder");
        beside(&folder, "0.0.1").await.renew().await.expect("replaced");
        let told = fs::read_to_string(folder.path().join("started")).expect("started");
        assert!(told.starts_with("gateway run --dir") && told.ends_with("--handover\n"), "{told}");

        let folder = TempDir::new().expect("a folder");
        beside(&folder, env!("CARGO_PKG_VERSION")).await.renew().await.expect("left alone");
        assert!(!folder.path().join("started").exists());
    }
}
