//! The agent of this machine: started apart from the server when something needs it, found again
//! after a restart, replaced by a newer binary when it is idle.

use crate::{data_dir::DataDir, data_dir::private_write, hub::Hub};
use lockstep_agent::{Connect, Detached, running, spawn_detached};
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{sleep, timeout};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// An agent that runs and does not dial for so long is said in the log.
const LOOKS_BEFORE_WARNING: u32 = 20;
const GONE_EVERY: Duration = Duration::from_millis(20);
const REPLACE_LIMIT: Duration = Duration::from_secs(10);
const NAME: &str = "local";

/// Keeps the agent of this machine running.
#[derive(Clone)]
pub struct LocalAgent {
    hub: Hub,
    data: DataDir,
    program: PathBuf,
    wanted: Arc<AtomicBool>,
    started: Arc<Mutex<Option<Detached>>>,
}

impl LocalAgent {
    /// Tells the agent of `data` where this server is, `url` being its own address.
    ///
    /// # Errors
    /// When the agent's folder cannot be written.
    pub fn new(hub: Hub, data: DataDir, program: PathBuf, url: &str) -> io::Result<Self> {
        let connect = Connect {
            url: format!("{}/agent", url.replacen("http", "ws", 1)),
            token: hub.token().to_owned(),
            installation: hub.installation().to_owned(),
            agent: NAME.parse().expect("a plain word is a name"),
        };
        crate::data_dir::private_folder(&data.agent())?;
        private_write(&data.agent().join("connect.json"), &serde_json::to_vec(&connect)?)?;
        Ok(Self { hub, data, program, wanted: Arc::default(), started: Arc::default() })
    }

    /// Something needs the agent from now on.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Looks after the agent for ever.
    pub async fn keep(self) {
        let mut connected = self.hub.connected();
        let mut looks = 0;
        loop {
            let is_wanted = self.wanted.load(Ordering::Relaxed);
            let agent = connected.borrow_and_update().clone();
            match agent {
                Some(agent) => {
                    looks = 0;
                    if agent.version != env!("CARGO_PKG_VERSION") && self.hub.is_idle() {
                        tracing::info!("replacing agent {} by {}", agent.version, env!("CARGO_PKG_VERSION"));
                        self.hub.shutdown(false, REPLACE_LIMIT).await;
                        continue;
                    }
                }
                None if is_wanted => {
                    looks += 1;
                    if let Err(error) = self.ensure(looks) {
                        tracing::error!("the agent cannot be started, trying again: {error}");
                    }
                }
                None => {}
            }
            tokio::select! {
                // Nobody else waits for it.
                () = self.hub.wanted() => self.want(),
                _ = connected.changed() => {},
                () = sleep(LOOK_EVERY) => {},
            }
        }
    }

    /// Ends the agent and all that it keeps; false when that took longer than `limit`. One that was
    /// just started is waited for until it dials and can be told. Called when nobody keeps it any more,
    /// while agents are still let in.
    pub async fn end(&self, limit: Duration) -> bool {
        let ending = async {
            loop {
                self.hub.shutdown(true, limit).await;
                if !self.is_there() {
                    return;
                }
                sleep(GONE_EVERY).await;
            }
        };
        timeout(limit, ending).await.is_ok()
    }

    /// Whether there is an agent: it holds the lock of its folder, or was started and is on its way to
    /// take it. A lock that cannot be looked at is nobody's.
    fn is_there(&self) -> bool {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.as_ref().is_some_and(|agent| !agent.has_ended())
            || running(&self.data.agent()).is_ok_and(|pid| pid.is_some())
    }

    fn ensure(&self, looks: u32) -> io::Result<()> {
        let dir = self.data.agent();
        if let Some(pid) = running(&dir)? {
            if looks == LOOKS_BEFORE_WARNING {
                let log = dir.join("agent.log");
                tracing::warn!("agent {pid} runs and does not connect; see {}", log.display());
            }
            return Ok(());
        }
        // One that was just started takes its lock within moments.
        if looks % 4 != 1 {
            return Ok(());
        }
        let arguments = [
            "agent".as_ref(),
            "--dir".as_ref(),
            dir.as_os_str(),
            "--gateway-dir".as_ref(),
            self.data.gateway().as_os_str(),
        ]
        .map(std::ffi::OsStr::to_os_string);
        let agent = spawn_detached(&self.program, &arguments, &dir.join("agent.log"))?;
        tracing::info!(agent.pid = agent.pid, "started the agent, process {}", agent.pid);
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = Some(agent);
        Ok(())
    }
}
