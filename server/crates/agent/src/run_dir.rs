//! A run's folder: what a hold is told, and what it leaves behind. The only way in which an agent
//! and a hold speak, so either may end without the other noticing.

use crate::{
    folder::{self, Lock},
    sealed::Sealed,
};
use lockstep_model::{Timestamp, wire::Exit};
use nix::{sys::signal, unistd::Pid};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// What a hold runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HoldSpec {
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
    /// The whole environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Where it runs.
    pub(crate) workdir: PathBuf,
    /// Then its tree is ended; none = it may run for ever.
    pub(crate) timeout_ms: Option<u64>,
    /// Kinds of output keeping.
    pub(crate) output: OutputRule,
    /// Whether what the program leaves running is ended with it.
    pub(crate) end_tree: bool,
    /// The order that it carries out, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// Further variables, sealed; their values are masked in the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secrets: Option<Sealed>,
}

/// How output is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutputRule {
    /// Beginning and end are kept, the middle is dropped.
    HeadAndTail,
    /// The latest is kept, in two files.
    Rotate,
}

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    /// Process id of the program.
    pub(crate) pid: i32,
    /// When it was started.
    pub(crate) at: Timestamp,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// How.
    pub(crate) exit: Exit,
    /// Whether it had to be killed.
    pub(crate) killed: bool,
    /// When.
    pub(crate) at: Timestamp,
}

/// How a stop is to be done; written before the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StopRequest {
    /// It may take this long by itself.
    pub(crate) grace_ms: u64,
}

/// How a run stands, as far as its folder and the kernel tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunState {
    /// No hold has taken it up.
    Waiting,
    /// A hold has it; the program is about to start or runs.
    Running {
        /// The hold's process id.
        hold: i32,
    },
    /// It has ended.
    Ended(Ended),
}

/// A run's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunDir(PathBuf);

impl RunDir {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What a hold holds for its life is the file that it was told by, since each file more is a cost
    /// of every command.
    fn spec_path(&self) -> PathBuf {
        self.0.join("spec.json")
    }

    pub(crate) fn output_path(&self) -> PathBuf {
        self.0.join("output.log")
    }

    /// Makes the folder with what is to be run. One that is there already is left as it is.
    pub(crate) fn prepare(&self, spec: &HoldSpec) -> io::Result<()> {
        folder::make(&self.0)?;
        let file = self.spec_path();
        if file.exists() { Ok(()) } else { folder::replace(&file, &to_json(spec), false) }
    }

    /// Takes the run up for the life of this process, with what is to be run: what the folder says
    /// once nobody else can begin it. None when somebody else has.
    pub(crate) fn take_up(&self) -> io::Result<Option<(Lock, HoldSpec)>> {
        let Some(lock) = folder::take_lock_of(&self.spec_path())? else { return Ok(None) };
        let spec = serde_json::from_slice(&lock.read()?)?;
        Ok(Some((lock, spec)))
    }

    pub(crate) fn spec(&self) -> io::Result<HoldSpec> {
        read(&self.spec_path())?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    pub(crate) fn started(&self) -> io::Result<Option<Started>> {
        read(&self.0.join("pid.json"))
    }

    pub(crate) fn write_started(&self, started: &Started) -> io::Result<()> {
        folder::replace(&self.0.join("pid.json"), &to_json(started), false)
    }

    pub(crate) fn write_ended(&self, ended: &Ended) -> io::Result<()> {
        folder::replace(&self.0.join("exit.json"), &to_json(ended), false)
    }

    pub(crate) fn stop_request(&self) -> Option<StopRequest> {
        read(&self.0.join("stop.json")).ok().flatten()
    }

    /// How the run stands.
    pub(crate) fn state(&self) -> io::Result<RunState> {
        // In the reverse of the order in which a hold writes, so that one which begins and ends
        // between two looks is not taken for one that is gone.
        let started = self.started()?;
        if let Some(ended) = read(&self.0.join("exit.json"))? {
            return Ok(RunState::Ended(ended));
        }
        if let Some(hold) = folder::lock_holder(&self.spec_path())? {
            return Ok(RunState::Running { hold });
        }
        // Written between the two looks.
        if let Some(ended) = read(&self.0.join("exit.json"))? {
            return Ok(RunState::Ended(ended));
        }
        match started {
            Some(_) => Ok(RunState::Ended(Ended { exit: Exit::Lost, killed: false, at: crate::now() })),
            None => Ok(RunState::Waiting),
        }
    }

    /// Makes sure that no hold takes this run up any more; false when one has.
    pub(crate) fn give_up(&self) -> io::Result<bool> {
        let _lock = match folder::take_brief_lock(&self.spec_path()) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Ok(false),
            // Never prepared, or forgotten: a hold finds nothing to run.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error),
        };
        if self.started()?.is_none() {
            let exit = Exit::NotStarted { message: "it was ended before it began".to_owned() };
            self.write_ended(&Ended { exit, killed: false, at: crate::now() })?;
        }
        Ok(true)
    }

    /// Notes that its hold has ended and left no word: whether anything was run, nobody knows. A hold
    /// that works all the same is left alone.
    pub(crate) fn lose(&self) -> io::Result<()> {
        let Some(_lock) = folder::take_brief_lock(&self.spec_path())? else { return Ok(()) };
        if self.started()?.is_none() && !self.0.join("exit.json").exists() {
            self.write_ended(&Ended { exit: Exit::Lost, killed: false, at: crate::now() })?;
        }
        Ok(())
    }

    /// Tells the hold to end the program.
    pub(crate) fn request_stop(&self, grace_ms: u64) -> io::Result<()> {
        folder::replace(&self.0.join("stop.json"), &to_json(&StopRequest { grace_ms }), false)?;
        if let RunState::Running { hold } = self.state()? {
            match signal::kill(Pid::from_raw(hold), signal::Signal::SIGTERM) {
                Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Forgets the run.
    pub(crate) fn remove(&self) {
        if let Err(error) = fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("the folder {} of an ended run could not be removed: {error}", self.0.display());
        }
    }
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain values have a JSON form")
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> HoldSpec {
        HoldSpec {
            argv: vec!["true".to_owned()],
            env: BTreeMap::new(),
            workdir: PathBuf::from("/"),
            timeout_ms: None,
            output: OutputRule::Rotate,
            end_tree: true,
            key: None,
            secrets: None,
        }
    }

    #[test]
    fn a_run_that_was_given_up_is_taken_up_by_nobody() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let dir = RunDir::new(folder.path().join("1"));
        dir.prepare(&spec()).expect("prepared");
        assert_eq!(dir.state().expect("readable"), RunState::Waiting);
        assert!(dir.give_up().expect("given up"));
        assert!(matches!(dir.state().expect("readable"), RunState::Ended(_)));
        // What a hold looks at before it begins.
        assert!(dir.path().join("exit.json").exists());
    }

    #[test]
    fn one_whose_hold_left_no_word_is_lost_and_not_told_as_never_run() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let dir = RunDir::new(folder.path().join("1"));
        dir.prepare(&spec()).expect("prepared");
        dir.lose().expect("lost");
        let RunState::Ended(ended) = dir.state().expect("readable") else { panic!("it has ended") };
        assert_eq!(ended.exit, Exit::Lost);
    }

    #[test]
    fn one_that_began_and_left_nothing_is_lost() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let dir = RunDir::new(folder.path().join("1"));
        dir.prepare(&spec()).expect("prepared");
        dir.write_started(&Started { pid: 1, at: Timestamp(1) }).expect("written");
        let RunState::Ended(ended) = dir.state().expect("readable") else { panic!("it has ended") };
        assert_eq!(ended.exit, Exit::Lost);
    }
}
