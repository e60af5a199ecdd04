//! Launching holds. A hold is forked from one small process that waits for this, the nursery,
//! because starting the whole program anew for each command costs more than most commands do. Its
//! end is noticed, and the next launch starts another one; holds outlive it as they outlive the agent.

use crate::{lock, run_dir::RunDir, spawn::prepared};
use std::{
    collections::HashMap,
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    sync::{mpsc, oneshot},
};

/// Launches that wait to be told to the nursery; orders are bounded far below.
const WAITING_MAX: usize = 8_192;

/// A nursery that lived shorter is not given again what was told to it.
const LIFE_LEAST: Duration = Duration::from_secs(1);

/// Launches holds. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Launcher(Arc<Inner>);

struct Inner {
    program: PathBuf,
    log: PathBuf,
    nursery: Mutex<Option<Nursery>>,
}

/// Who waits for the end of which hold.
type Waiting = HashMap<String, oneshot::Sender<()>>;

struct Nursery {
    launches: mpsc::Sender<String>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Launcher {
    /// What holds have to say when they cannot work goes to `holds.log` in the agent's folder.
    pub(crate) fn new(dir: &Path, program: &Path) -> Self {
        let log = dir.join("holds.log");
        Self(Arc::new(Inner { program: program.to_owned(), log, nursery: Mutex::default() }))
    }

    /// Launches the hold of a prepared folder. The receiver hears when it has ended, and is closed
    /// when nobody knows; kept until the hold works, it has the launch repeated if that was lost.
    pub(crate) fn launch(&self, dir: &RunDir) -> io::Result<oneshot::Receiver<()>> {
        let path = dir.path().to_str().filter(|path| !path.contains('\n')).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidFilename, "the agent's folder has a name that is not text")
        })?;
        let (ended, has_ended) = oneshot::channel();
        self.tell(path.to_owned(), ended)?;
        Ok(has_ended)
    }

    fn tell(&self, path: String, ended: oneshot::Sender<()>) -> io::Result<()> {
        let mut nursery = lock(&self.0.nursery);
        let nursery = match &mut *nursery {
            Some(nursery) if !nursery.launches.is_closed() => nursery,
            gone => gone.insert(self.start_nursery()?),
        };
        let line = format!("{path}\n");
        lock(&nursery.waiting).insert(path.clone(), ended);
        nursery.launches.try_send(line).map_err(|_| {
            lock(&nursery.waiting).remove(&path);
            io::Error::new(
                io::ErrorKind::ResourceBusy,
                "too many programs are being started; try again later",
            )
        })
    }

    fn start_nursery(&self) -> io::Result<Nursery> {
        let (ours, its) = StdStream::pair()?;
        let mut command = prepared(&self.0.program, &["hold"], &self.0.log)?;
        command.stdin(Stdio::from(OwnedFd::from(its)));
        let mut child = tokio::process::Command::from(command).spawn()?;
        ours.set_nonblocking(true)?;
        let ours = UnixStream::from_std(ours)?;
        let waiting = Arc::<Mutex<Waiting>>::default();
        let (launches, to_launch) = mpsc::channel(WAITING_MAX);
        let (launcher, started) = (self.clone(), Instant::now());
        tokio::spawn({
            let waiting = waiting.clone();
            async move {
                attend(ours, to_launch, &waiting).await;
                let _ = child.wait().await;
                if started.elapsed() >= LIFE_LEAST {
                    launcher.tell_again(std::mem::take(&mut *lock(&waiting)));
                }
                // Whoever still waits looks for itself.
                lock(&waiting).clear();
            }
        });
        Ok(Nursery { launches, waiting })
    }

    /// What was told to a nursery that has died. A folder whose hold works already is left alone.
    fn tell_again(&self, waiting: Waiting) {
        for (path, ended) in waiting.into_iter().filter(|(_, ended)| !ended.is_closed()) {
            if let Err(error) = self.tell(path, ended) {
                tracing::error!("programs cannot be started: {error}");
            }
        }
    }
}

/// Speaks with the nursery until it is gone.
async fn attend(nursery: UnixStream, mut to_launch: mpsc::Receiver<String>, waiting: &Mutex<Waiting>) {
    let (reader, mut writer) = nursery.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut write = std::pin::pin!(async {
        while let Some(line) = to_launch.recv().await {
            if writer.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    loop {
        tokio::select! {
            line = lines.next_line() => match line {
                Ok(Some(line)) => {
                    if let Some(ended) = lock(waiting).remove(&line) {
                        let _ = ended.send(());
                    }
                }
                Ok(None) | Err(_) => return,
            },
            () = &mut write => return,
        }
    }
}
