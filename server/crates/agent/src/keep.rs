//! Keeping processes: each revision under a hold, on a port of its own, started again within its
//! budget, and found again after the agent's end or the host's.

mod launch;
mod watch;

use crate::{
    AgentError,
    desired::{Desired, Wanted},
    environment,
    launcher::Launcher,
    lock,
    outbox::Outbox,
    ports,
    run_dir::{HoldSpec, OutputRule, RunDir, RunState},
    sealed::Sealer,
};
use lockstep_model::{
    RevisionId,
    gateway::Slot,
    secrets::Handed,
    template::{Vars, render},
    wire::{Exit, ObservedRevision, Outcome, RevisionSpec},
};
use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Beside its grace, a hold gets this long to end a tree and write how it ended.
const STOP_SLACK: Duration = Duration::from_secs(10);

/// What is kept of the output of a process that is ended.
const LAST_WORDS_BYTES: u64 = 64 << 10;

/// Keeps processes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Keeper(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    launcher: Launcher,
    outbox: Outbox,
    desired: Mutex<Desired>,
    sealer: Sealer,
    /// One change at a time of each revision.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Keeper {
    /// Reads what is wanted; nothing is started yet.
    pub(crate) fn open(
        dir: &Path,
        launcher: Launcher,
        outbox: Outbox,
        sealer: Sealer,
    ) -> Result<Self, AgentError> {
        let desired = Mutex::new(Desired::open(&dir.join("desired.json"))?);
        let (dir, turns) = (dir.join("services"), Mutex::default());
        Ok(Self(Arc::new(Inner { dir, launcher, outbox, desired, sealer, turns })))
    }

    /// Takes up everything that is wanted: what runs is watched, what is missing is started.
    pub(crate) fn resume(&self) {
        let (wanted, rebooted) = {
            let desired = lock(&self.0.desired);
            (desired.all().cloned().collect::<Vec<_>>(), desired.rebooted)
        };
        for wanted in wanted {
            let keeper = self.clone();
            tokio::spawn(async move {
                let revision = wanted.spec.revision.clone();
                if wanted.ending {
                    keeper.stop(&revision, wanted.spec.process.stop_grace_ms, None).await;
                } else if wanted.given_up.is_none() {
                    keeper.watch(revision, rebooted).await;
                }
            });
        }
    }

    /// Starts a revision, or leaves it alone when it runs.
    pub(crate) async fn start(&self, spec: RevisionSpec, secrets: &Handed) -> Outcome {
        let turn = self.turn(&spec.revision);
        let _one_at_a_time = turn.lock().await;
        match self.start_in_turn(spec, secrets).await {
            Ok((port, pid)) => Outcome::Started { port, pid },
            Err(message) => Outcome::Failed { message },
        }
    }

    async fn start_in_turn(&self, spec: RevisionSpec, secrets: &Handed) -> Result<(u16, u32), String> {
        let known = self.wanted(&spec.revision);
        if let Some(known) = known.as_ref().filter(|known| known.given_up.is_none()) {
            let dir = self.run_dir(known);
            let unreadable = |error: io::Error| format!("{} cannot be read: {error}", dir.path().display());
            if known.ending {
                // Somebody began to end it, and that is not over.
                stop_run(&dir, known.spec.process.stop_grace_ms).await?;
            } else if !matches!(dir.state().map_err(unreadable)?, RunState::Ended(_)) {
                // Also when an agent before this one had it launched and its hold is yet to come: another
                // run beside it would be forgotten over this one, and go on for ever. It is watched already.
                let pid = match dir.started().map_err(unreadable)? {
                    Some(started) => u32::try_from(started.pid).unwrap_or_default(),
                    None => self.begin(known).await?,
                };
                return Ok((known.port, pid));
            }
        }
        let wanted = self.admit(spec, secrets, known.as_ref())?;
        let pid = self.begin(&wanted).await?;
        let (keeper, revision) = (self.clone(), wanted.spec.revision.clone());
        tokio::spawn(async move { keeper.watch(revision, false).await });
        Ok((wanted.port, pid))
    }

    /// Has a wanted run begun. What cannot be is not wanted any more; the folder stays for its output.
    async fn begin(&self, wanted: &Wanted) -> Result<u32, String> {
        let message = match self.launch(wanted).await {
            Ok(pid) => return Ok(pid),
            Err(message) => message,
        };
        // Its hold may work all the same: only reading of it failed.
        let stopped = stop_run(&self.run_dir(wanted), wanted.spec.process.stop_grace_ms).await;
        let forgotten = match &stopped {
            Ok(_) => lock(&self.0.desired).remove(&wanted.spec.revision),
            // Ended by the next agent, or when it is told to be.
            Err(_) => lock(&self.0.desired).put(Wanted { ending: true, ..wanted.clone() }),
        };
        if let Err(problem) = stopped.map(drop).and(forgotten.map_err(|error| error.to_string())) {
            tracing::warn!("{} could not be forgotten: {problem}", wanted.spec.revision);
        }
        Err(message)
    }

    /// Gives a port and writes down that the revision is wanted.
    fn admit(&self, spec: RevisionSpec, secrets: &Handed, known: Option<&Wanted>) -> Result<Wanted, String> {
        let secrets = self.0.sealer.seal(spec.revision.as_str(), secrets)?;
        let mut desired = lock(&self.0.desired);
        let port = match known {
            Some(known) => known.port,
            None => {
                let taken = |port| desired.all().any(|wanted| wanted.port == port);
                let hint = u16::try_from(crate::now().0 % 1_000).unwrap_or_default();
                ports::free(taken, hint).ok_or("no port is free for a new process between 18000 and 18999")?
            }
        };
        let wanted = Wanted {
            run: self.next_run(&spec.revision),
            spec,
            port,
            restarts: 0,
            restarted_at_ms: Vec::new(),
            ending: false,
            given_up: None,
            secrets,
        };
        desired.put(wanted.clone()).map_err(|error| {
            format!("that {} is wanted could not be written down: {error}", wanted.spec.revision)
        })?;
        Ok(wanted)
    }

    fn next_run(&self, revision: &RevisionId) -> u32 {
        let folder = self.0.dir.join(revision.as_str());
        (1..).find(|run| !folder.join(run.to_string()).exists()).unwrap_or(u32::MAX)
    }

    /// The folders of all runs of a revision.
    fn runs(&self, revision: &RevisionId) -> Vec<RunDir> {
        let entries = fs::read_dir(self.0.dir.join(revision.as_str())).into_iter().flatten().flatten();
        let is_run = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        entries.filter(|entry| is_run(&entry.file_name())).map(|entry| RunDir::new(entry.path())).collect()
    }

    async fn launch(&self, wanted: &Wanted) -> Result<u32, String> {
        let dir = self.run_dir(wanted);
        let spec = self.hold_spec(wanted)?;
        launch::prepare_and_launch(&self.0.launcher, &dir, &spec).await
    }

    fn hold_spec(&self, wanted: &Wanted) -> Result<HoldSpec, String> {
        let process = &wanted.spec.process;
        let version = &wanted.spec.version;
        let vars = Vars { version, port: Some(wanted.port) };
        let refused = |error: lockstep_model::scalar::InvalidText| error.to_string();
        let workdir = match (&process.workdir, &wanted.spec.artifact) {
            (Some(workdir), _) => PathBuf::from(render(workdir, vars).map_err(refused)?),
            (None, Some(artifact)) if Path::new(artifact).is_dir() => PathBuf::from(artifact),
            (None, _) => {
                let own = self.0.dir.join(wanted.spec.revision.as_str()).join("work");
                crate::folder::make(&own).map_err(|error| format!("{}: {error}", own.display()))?;
                own
            }
        };
        Ok(HoldSpec {
            argv: environment::arguments(&process.command, vars).map_err(refused)?,
            env: environment::environment(&process.env, version, Some(wanted.port)).map_err(refused)?,
            workdir,
            timeout_ms: None,
            output: OutputRule::Rotate,
            end_tree: true,
            key: None,
            secrets: wanted.secrets.clone(),
        })
    }

    /// Ends a revision; it is no longer wanted. One that does not run is a success. The end of what
    /// it printed is kept at `last_words`.
    pub(crate) async fn stop(
        &self,
        revision: &RevisionId,
        grace_ms: u64,
        last_words: Option<&Path>,
    ) -> Outcome {
        let turn = self.turn(revision);
        let _one_at_a_time = turn.lock().await;
        let Some(mut wanted) = self.wanted(revision) else {
            return Outcome::Stopped { exit: None, killed: false };
        };
        wanted.ending = true;
        let dir = self.run_dir(&wanted);
        // When the disk is full it ends nevertheless, and is perhaps started again after a crash.
        if let Err(error) = lock(&self.0.desired).put(wanted) {
            tracing::warn!("that {revision} is no longer wanted could not be written down: {error}");
        }
        // The folder goes with all its runs, so nothing may be left that only one of them knows of.
        let before = self.runs(revision).into_iter().filter(|run| run != &dir);
        for run in before {
            if let Err(message) = stop_run(&run, grace_ms).await {
                return Outcome::Failed { message };
            }
        }
        let stopped = match stop_run(&dir, grace_ms).await {
            Ok(stopped) => stopped,
            Err(message) => return Outcome::Failed { message },
        };
        if let Err(error) = lock(&self.0.desired).remove(revision) {
            tracing::warn!("{revision} could not be forgotten: {error}");
        }
        if let Some(to) = last_words
            && let Err(error) = keep_last_words(&dir.output_path(), to, revision)
        {
            tracing::warn!("what {revision} printed could not be kept: {error}");
        }
        RunDir::new(self.0.dir.join(revision.as_str())).remove();
        lock(&self.0.turns).remove(revision.as_str());
        match stopped {
            Some((exit, killed)) => Outcome::Stopped { exit: Some(exit), killed },
            None => Outcome::Stopped { exit: None, killed: false },
        }
    }

    /// Ends everything.
    pub(crate) async fn stop_all(&self) {
        let all: Vec<Wanted> = lock(&self.0.desired).all().cloned().collect();
        let stops = all
            .iter()
            .map(|wanted| self.stop(&wanted.spec.revision, wanted.spec.process.stop_grace_ms, None));
        for outcome in futures_util::future::join_all(stops).await {
            if let Outcome::Failed { message } = outcome {
                tracing::error!("{message}");
            }
        }
    }

    /// The port of a revision.
    pub(crate) fn port(&self, revision: &RevisionId) -> Option<u16> {
        self.wanted(revision).map(|wanted| wanted.port)
    }

    /// How a revision stands: its port, how it ended if it has, how often it was started again.
    pub(crate) fn standing(&self, revision: &RevisionId) -> Option<(u16, Option<Exit>, u32)> {
        let wanted = self.wanted(revision)?;
        Some((wanted.port, self.exit(&wanted), wanted.restarts))
    }

    /// What is kept for a slot.
    pub(crate) fn observe(&self, slot: &Slot) -> Vec<ObservedRevision> {
        let all: Vec<Wanted> =
            lock(&self.0.desired).all().filter(|wanted| wanted.spec.slot == *slot).cloned().collect();
        let observed = |wanted: Wanted| {
            let exit = self.exit(&wanted);
            let started = self.run_dir(&wanted).started().ok().flatten();
            let pid = started.and_then(|started| u32::try_from(started.pid).ok());
            ObservedRevision {
                running: exit.is_none(),
                port: wanted.port,
                pid: pid.filter(|_| exit.is_none()),
                exit,
                restarts: wanted.restarts,
                given_up: wanted.given_up.is_some(),
                spec: wanted.spec,
            }
        };
        all.into_iter().map(observed).collect()
    }

    fn exit(&self, wanted: &Wanted) -> Option<Exit> {
        if wanted.given_up.is_some() {
            return wanted.given_up.clone();
        }
        match self.run_dir(wanted).state() {
            Ok(RunState::Running { .. } | RunState::Waiting) => None,
            Ok(RunState::Ended(ended)) => Some(ended.exit),
            Err(_) => Some(Exit::Lost),
        }
    }

    fn wanted(&self, revision: &RevisionId) -> Option<Wanted> {
        lock(&self.0.desired).get(revision).cloned()
    }

    fn run_dir(&self, wanted: &Wanted) -> RunDir {
        RunDir::new(self.0.dir.join(wanted.spec.revision.as_str()).join(wanted.run.to_string()))
    }

    fn turn(&self, revision: &RevisionId) -> Arc<tokio::sync::Mutex<()>> {
        lock(&self.0.turns).entry(revision.to_string()).or_default().clone()
    }
}

/// Puts the end of an output where the output of an order is sent from.
fn keep_last_words(output: &Path, to: &Path, revision: &RevisionId) -> io::Result<()> {
    let mut file = match fs::File::open(output) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let length_bytes = file.metadata()?.len();
    if length_bytes == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::Start(length_bytes.saturating_sub(LAST_WORDS_BYTES)))?;
    let mut text = format!("— the last that {revision} printed —\n").into_bytes();
    file.take(LAST_WORDS_BYTES).read_to_end(&mut text)?;
    if let Some(folder) = to.parent() {
        crate::folder::make(folder)?;
    }
    crate::folder::replace(to, &text, false)
}

/// Ends a run: how it ended, none when it never ran.
async fn stop_run(dir: &RunDir, grace_ms: u64) -> Result<Option<(Exit, bool)>, String> {
    let failed = |error: io::Error| format!("{} could not be ended: {error}", dir.path().display());
    let end = Instant::now() + Duration::from_millis(grace_ms) + STOP_SLACK;
    let mut asked = false;
    loop {
        match dir.state().map_err(failed)? {
            // A hold that comes too late finds it given up.
            RunState::Waiting if dir.give_up().map_err(failed)? => return Ok(None),
            RunState::Waiting => {}
            RunState::Ended(ended) => return Ok(Some((ended.exit, ended.killed))),
            RunState::Running { hold } if Instant::now() > end => {
                return Err(format!(
                    "the process below the hold {hold} does not end, even killed; look at it on the host: it may wait for a device"
                ));
            }
            RunState::Running { .. } if !asked => {
                dir.request_stop(grace_ms).map_err(failed)?;
                asked = true;
            }
            RunState::Running { .. } => {}
        }
        sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_dir::Started;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;
    use tempfile::TempDir;

    /// An agent's keeper whose nursery only notes what it is told to launch.
    fn keeper(dir: &Path) -> Keeper {
        let nursery = dir.join("nursery");
        let script = format!("#!/bin/sh\nexec cat >> {}\n", dir.join("told").display());
        fs::write(&nursery, script).expect("written");
        fs::set_permissions(&nursery, fs::Permissions::from_mode(0o700)).expect("executable");
        let launcher = Launcher::new(dir, &nursery);
        Keeper::open(dir, launcher, Outbox::new(), Sealer::new(dir)).expect("opened")
    }

    fn spec() -> RevisionSpec {
        serde_json::from_value(json!({
            "revision": "shop-backend-1", "slot": { "project": "shop", "environment": "demo", "service": "backend" }, "version": "1.0.0", "artifact": null,
            "process": {
                "command": ["serve"], "env": {}, "workdir": "/", "gateway": null, "stop_grace_ms": 0,
                "keep_old_ms": 0, "restart": { "max": 0, "window_ms": 0, "backoff_ms": 0 },
            },
        }))
        .expect("a revision")
    }

    async fn told(dir: &Path) -> Vec<String> {
        loop {
            let told = fs::read_to_string(dir.join("told")).unwrap_or_default();
            if told.ends_with('\n') {
                return told.lines().map(str::to_owned).collect();
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_start_that_is_told_again_takes_up_the_run_that_the_agent_before_had_launched() {
        let folder = TempDir::new().expect("a folder");
        let dir = folder.path();
        // It wrote down what is wanted, prepared it, told its nursery, and died; its hold is yet to come.
        let before = keeper(dir);
        let wanted = before.admit(spec(), &Handed::default(), None).expect("admitted");
        let run = before.run_dir(&wanted);
        run.prepare(&before.hold_spec(&wanted).expect("a spec")).expect("prepared");
        drop(before);
        let keeper = keeper(dir);
        let start = tokio::spawn({
            let keeper = keeper.clone();
            async move { keeper.start(spec(), &Handed::default()).await }
        });
        assert_eq!(told(dir).await, [run.path().to_str().expect("text")]);
        run.write_started(&Started { pid: 7, at: crate::now() }).expect("written");
        assert_eq!(start.await.expect("started"), Outcome::Started { port: wanted.port, pid: 7 });
        assert_eq!(keeper.wanted(&wanted.spec.revision).expect("wanted").run, wanted.run);
    }

    #[tokio::test]
    async fn one_that_was_never_prepared_is_ended_without_a_word() {
        let folder = TempDir::new().expect("a folder");
        let keeper = keeper(folder.path());
        let wanted = keeper.admit(spec(), &Handed::default(), None).expect("admitted");
        let stopped = keeper.stop(&wanted.spec.revision, 0, None).await;
        assert_eq!(stopped, Outcome::Stopped { exit: None, killed: false });
        assert!(keeper.wanted(&wanted.spec.revision).is_none());
    }
}
