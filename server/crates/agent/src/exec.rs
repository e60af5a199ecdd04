//! Commands: run once under a hold, whoever ends in between, with their output sent on as it
//! comes.

use crate::{
    environment, folder,
    keep::Keeper,
    launcher::Launcher,
    outbox::Outbox,
    run_dir::{HoldSpec, OutputRule, RunDir, RunState},
    sealed::Sealer,
};
use futures_util::future::join_all;
use lockstep_model::{
    secrets::Handed,
    template::{Vars, render},
    wire::{AgentFrame, ExecSpec, OrderKey, Outcome},
};
use sha2::{Digest, Sha256};
use std::{
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncSeekExt},
    sync::{oneshot, watch},
    time::sleep,
};

/// A cancelled command has this long after the stop signal.
const CANCEL_GRACE_MS: u64 = 2_000;
/// How often is looked at a command that another agent launched, and at new output.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What is told of the end of the output.
const TAIL_BYTES: u64 = 4 * 1024;
/// The largest piece of output in one frame.
const PIECE_BYTES: usize = 64 * 1024;

/// Runs commands. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Runner {
    dir: PathBuf,
    launcher: Launcher,
    keeper: Keeper,
    outbox: Outbox,
    sealer: Sealer,
}

impl Runner {
    pub(crate) fn new(
        dir: &Path,
        launcher: Launcher,
        keeper: Keeper,
        outbox: Outbox,
        sealer: Sealer,
    ) -> Self {
        Self { dir: dir.join("commands"), launcher, keeper, outbox, sealer }
    }

    /// Runs a command, or takes up one that runs or has run already under this key.
    pub(crate) async fn run(
        &self,
        key: &OrderKey,
        (spec, secrets): (&ExecSpec, &Handed),
        cancel: watch::Receiver<bool>,
    ) -> Outcome {
        match self.try_run(key, (spec, secrets), cancel).await {
            Ok(outcome) => outcome,
            Err(message) => Outcome::Failed { message },
        }
    }

    async fn try_run(
        &self,
        key: &OrderKey,
        (spec, secrets): (&ExecSpec, &Handed),
        mut cancel: watch::Receiver<bool>,
    ) -> Result<Outcome, String> {
        let dir = self.run_dir(key);
        let failed =
            |error: io::Error| format!("the folder {} cannot be used: {error}", dir.path().display());
        let mut hold_ended = None;
        if dir.state().map_err(failed)? == RunState::Waiting {
            if *cancel.borrow() {
                return Ok(Outcome::Cancelled);
            }
            dir.prepare(&self.hold_spec(key, spec, secrets)?).map_err(failed)?;
            hold_ended = Some(self.launcher.launch(&dir).map_err(failed)?);
        }
        let mut cancelled = false;
        loop {
            match dir.state().map_err(failed)? {
                RunState::Ended(_) if cancelled => return Ok(Outcome::Cancelled),
                RunState::Ended(ended) => {
                    let tail = tail(&dir.output_path()).await;
                    return Ok(Outcome::Exited { exit: ended.exit, tail });
                }
                // It may have died between the start of the command and its note of it.
                RunState::Waiting if hold_ended.is_none() => dir.lose().map_err(failed)?,
                RunState::Waiting | RunState::Running { .. } => {}
            }
            if !cancelled && *cancel.borrow_and_update() {
                cancelled = true;
                dir.request_stop(CANCEL_GRACE_MS).map_err(failed)?;
            }
            tokio::select! {
                () = ended(&mut hold_ended) => {}
                _ = cancel.changed(), if !cancelled => {}
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn hold_spec(&self, key: &OrderKey, spec: &ExecSpec, secrets: &Handed) -> Result<HoldSpec, String> {
        let port = match &spec.port_of {
            Some(revision) => Some(
                self.keeper.port(revision).ok_or_else(|| format!("{revision} is not kept here any more"))?,
            ),
            None => None,
        };
        let refused = |error: lockstep_model::scalar::InvalidText| error.to_string();
        let vars = Vars { version: &spec.version, port };
        let workdir = match &spec.workdir {
            Some(workdir) => PathBuf::from(render(workdir, vars).map_err(refused)?),
            None => {
                let own = self.dir.join("work");
                folder::make(&own).map_err(|error| format!("{}: {error}", own.display()))?;
                own
            }
        };
        Ok(HoldSpec {
            argv: environment::arguments(&spec.argv, vars).map_err(refused)?,
            env: environment::environment(&spec.env, &spec.version, port).map_err(refused)?,
            workdir,
            timeout_ms: Some(spec.timeout_ms),
            output: OutputRule::HeadAndTail,
            end_tree: false,
            key: Some(key.0.clone()),
            secrets: self.sealer.seal(&key.0, secrets)?,
        })
    }

    /// Ends commands whose keys `is_meant` and that an agent before this one began; returns their keys
    /// once nothing of them runs.
    pub(crate) async fn end_orphans(&self, is_meant: impl Fn(&str) -> bool) -> Vec<OrderKey> {
        let commands = self.dir.clone();
        let listed = tokio::task::spawn_blocking(move || {
            let folders = std::fs::read_dir(commands).into_iter().flatten().flatten();
            let keyed = folders.filter_map(|folder| {
                let dir = RunDir::new(folder.path());
                let key = dir.spec().ok()?.key?;
                Some((key, dir))
            });
            keyed.collect::<Vec<_>>()
        });
        let meant: Vec<_> =
            listed.await.unwrap_or_default().into_iter().filter(|(key, _)| is_meant(key)).collect();
        let ended = meant.into_iter().map(|(key, dir)| async move {
            end_orphan(&key, &dir).await;
            OrderKey(key)
        });
        join_all(ended).await
    }

    /// Sends a command's output on, from its beginning on each new connection, until `done` says
    /// that no more will come; then its outcome.
    pub(crate) async fn deliver(&self, key: OrderKey, mut done: watch::Receiver<Option<Outcome>>) {
        let path = self.output_path(&key);
        let mut line = self.outbox.line(0).await;
        let mut offset = 0;
        loop {
            let outcome = done.borrow_and_update().clone();
            let sent = loop {
                let Ok(piece) = read_piece(&path, offset, outcome.is_some()).await else { break true };
                if piece.is_empty() {
                    break true;
                }
                let text = String::from_utf8_lossy(&piece).into_owned();
                if !line.send(AgentFrame::Output { key: key.clone(), offset, text }).await {
                    break false;
                }
                offset += piece.len() as u64;
            };
            if !sent {
                line = self.outbox.line(line.number).await;
                offset = 0;
                continue;
            }
            if let Some(outcome) = outcome {
                if line.send(AgentFrame::Outcome { key: key.clone(), outcome }).await {
                    return;
                }
                // It is in the ledger, and a connection that is yet to come begins with it; one that came
                // while the command said nothing began without.
                let Some(newer) = self.outbox.newer(line.number) else { return };
                line = newer;
                offset = 0;
                continue;
            }
            tokio::select! {
                changed = done.changed() => if changed.is_err() { return },
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Forgets a command whose output and outcome the coordinator has.
    pub(crate) fn forget(&self, key: &OrderKey) {
        self.run_dir(key).remove();
    }

    /// What an order prints is sent on from here.
    pub(crate) fn output_path(&self, key: &OrderKey) -> PathBuf {
        self.run_dir(key).output_path()
    }

    fn run_dir(&self, key: &OrderKey) -> RunDir {
        let hex: String =
            Sha256::digest(key.0.as_bytes()).iter().take(16).map(|b| format!("{b:02x}")).collect();
        RunDir::new(self.dir.join(hex))
    }
}

/// Returns when it has ended; until then it is told, and looked at.
async fn end_orphan(key: &str, dir: &RunDir) {
    let mut is_told = false;
    let mut said = String::new();
    loop {
        let looked = match dir.state() {
            Ok(RunState::Ended(_)) => return,
            // Nobody has taken it up, and from now on nobody will.
            Ok(RunState::Waiting) => match dir.give_up() {
                Ok(true) => return,
                given_up => given_up.map(drop),
            },
            Ok(RunState::Running { .. }) if is_told => Ok(()),
            Ok(RunState::Running { .. }) => {
                tracing::info!("ending {key}, which was begun before this agent");
                dir.request_stop(CANCEL_GRACE_MS).map(|()| is_told = true)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = looked.map_err(|error| error.to_string())
            && error != said
        {
            tracing::warn!("{key} cannot be ended, trying again: {error}");
            said = error;
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn ended(hold: &mut Option<oneshot::Receiver<()>>) {
    match hold {
        Some(receiver) => {
            let _ = receiver.await;
            *hold = None;
        }
        None => std::future::pending().await,
    }
}

/// The next piece from `offset`: whole lines, or what there is when no more comes or a line is very
/// long.
async fn read_piece(path: &Path, offset: u64, is_last: bool) -> io::Result<Vec<u8>> {
    let mut file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(offset)).await?;
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    file.take(PIECE_BYTES as u64).read_to_end(&mut piece).await?;
    let whole = piece.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    if whole > 0 {
        piece.truncate(whole);
    } else if !is_last && piece.len() < PIECE_BYTES {
        piece.clear();
    }
    Ok(piece)
}

async fn tail(path: &Path) -> String {
    let read = async {
        let mut file = tokio::fs::File::open(path).await?;
        let length = file.metadata().await?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES))).await?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes).await?;
        Ok::<_, io::Error>(bytes)
    };
    String::from_utf8_lossy(&read.await.unwrap_or_default()).into_owned()
}
