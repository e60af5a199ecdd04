//! The world outside: what serves, and a ledger of every call that reached it. It outlives the
//! coordinators that call it.

use async_trait::async_trait;
use lockstep_engine::{
    StepOutcome, UndoOutcome,
    port::{Host, Job, Observation, Store, Target},
};
use lockstep_model::{
    Seq, ServiceName,
    closing::CloseTo,
    event::{Event, Finding},
    gateway::Slot,
    manifest::ServiceSpec,
    plan::{Checkpoint, Serving, StepKind, Undo},
};
use lockstep_store::SqliteStore;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What runs of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The version that has the traffic; none = nothing serves.
    pub version: Option<String>,
    /// A version that runs without traffic.
    pub candidate: Option<String>,
}

/// A call that reached the outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Whose: `d2/s0001.shift`, or `d2/undo/s0001.shift`. The same for each repetition.
    pub key: String,
    /// Which try.
    pub attempt: u32,
}

impl Call {
    fn read(line: &str) -> Self {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap_or_default();
        Self { key: next().to_owned(), attempt: next().parse().expect("a number") }
    }
}

/// The outside, as a target.
#[derive(Debug)]
pub struct Outside {
    running: Mutex<BTreeMap<ServiceName, Running>>,
    /// Where that is kept.
    state: PathBuf,
    /// One line a call, synced before the call has an effect.
    ledger: Mutex<File>,
    calls: Mutex<Vec<Call>>,
    failing: Mutex<BTreeSet<String>>,
    store: Mutex<Option<Arc<SqliteStore>>>,
    wrong: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outside {
    /// The outside whose ledger and state are files of `folder`: where nothing runs, or as it was left.
    ///
    /// # Panics
    /// When there is no such folder, or the files in it are something else.
    pub fn open(folder: &Path) -> Self {
        let (ledger, state) = (folder.join("effects"), folder.join("running"));
        let calls = std::fs::read_to_string(&ledger).unwrap_or_default();
        let running = std::fs::read(&state).map_or_else(
            |_| BTreeMap::new(),
            |text| serde_json::from_slice(&text).expect("what was written"),
        );
        let ledger = File::options().create(true).append(true).open(ledger);
        Self {
            running: Mutex::new(running),
            state,
            ledger: Mutex::new(ledger.expect("a ledger")),
            calls: Mutex::new(calls.lines().map(Call::read).collect()),
            failing: Mutex::default(),
            store: Mutex::default(),
            wrong: Mutex::default(),
        }
    }

    /// Every try of a step fails.
    pub fn fail(&self, step: &str) {
        locked(&self.failing).insert(step.to_owned());
    }

    /// The journal in which calls must have been written down before they are made.
    pub fn watch(&self, store: Arc<SqliteStore>) {
        *locked(&self.store) = Some(store);
    }

    /// What runs.
    pub fn running(&self) -> BTreeMap<ServiceName, Running> {
        locked(&self.running).clone()
    }

    /// Every call, in order.
    pub fn calls(&self) -> Vec<Call> {
        locked(&self.calls).clone()
    }

    /// What should not have been.
    pub fn wrong(&self) -> Vec<String> {
        locked(&self.wrong).clone()
    }

    /// Notes a call, durably, after it was looked up whether it is in the journal.
    async fn called(&self, job: &Job, undo: bool) {
        let (deployment, step) = (job.deployment, &job.planned_step().id);
        let key = if undo { format!("d{deployment}/undo/{step}") } else { format!("d{deployment}/{step}") };
        let call = Call { key, attempt: job.attempt.0 };
        let store = locked(&self.store).clone().expect("somebody keeps the journal");
        let journal = store.deployment_events(job.deployment, Seq(0)).await.expect("readable");
        let is_written = journal.iter().any(|envelope| match &envelope.event {
            Event::StepStarted { step, attempt } => !undo && *step == job.step && *attempt == job.attempt,
            Event::UndoStarted { step, attempt } => undo && *step == job.step && *attempt == job.attempt,
            _ => false,
        });
        if !is_written {
            locked(&self.wrong).push(format!("{call:?} was made before it was written down"));
        }
        {
            let mut file = locked(&self.ledger);
            writeln!(file, "{} {} epoch {}", call.key, call.attempt, job.epoch.0).expect("written");
            file.sync_data().expect("synced");
        }
        locked(&self.calls).push(call);
    }

    fn change(&self, job: &Job, change: impl FnOnce(&mut Running)) {
        let mut running = locked(&self.running);
        change(running.entry(job.service().service.clone()).or_default());
        let text = serde_json::to_vec(&*running).expect("plain values");
        let new = self.state.with_extension("new");
        std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &self.state)).expect("written");
    }
}

fn version(serving: Option<&Serving>) -> Option<String> {
    serving.map(|serving| serving.version.to_string())
}

#[async_trait]
impl Target for Outside {
    async fn run(&self, job: &Job, _host: &dyn Host) -> StepOutcome {
        self.called(job, false).await;
        let wanted = version(job.wanted().as_ref());
        let kind = job.planned_step().kind;
        match kind {
            StepKind::Prepare => self.change(job, |running| running.candidate = wanted),
            // All the traffic at once; what had it before stays as nothing that counts.
            StepKind::Shift | StepKind::Replace => self.change(job, |running| {
                *running = Running { version: wanted, candidate: None };
            }),
            _ => {}
        }
        if locked(&self.failing).contains(job.planned_step().id.as_str()) {
            return StepOutcome::Failed { reason: "as the proof says".to_owned(), evidence: Vec::new() };
        }
        let checkpoint =
            (kind == StepKind::Preflight).then(|| Checkpoint { serving: job.service().from.clone() });
        StepOutcome::Succeeded { evidence: Vec::new(), checkpoint }
    }

    async fn probe(&self, job: &Job, _host: &dyn Host) -> Finding {
        let wanted = version(job.wanted().as_ref());
        let running = locked(&self.running).get(&job.service().service).cloned().unwrap_or_default();
        let is_done = match job.planned_step().kind {
            StepKind::Prepare => running.candidate == wanted || running.version == wanted,
            _ => running.version == wanted,
        };
        if is_done {
            return Finding::Done { evidence: Vec::new() };
        }
        Finding::NotDone { reason: format!("{:?} serves", running.version) }
    }

    async fn undo(&self, job: &Job, _host: &dyn Host) -> UndoOutcome {
        self.called(job, true).await;
        let before = version(job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.serving.as_ref()));
        match job.planned_step().undo {
            Undo::StopCandidate => self.change(job, |running| running.candidate = None),
            _ => self.change(job, |running| running.version = before),
        }
        UndoOutcome::Undone { evidence: Vec::new() }
    }

    async fn close(&self, job: &Job, to: CloseTo, _host: &dyn Host) -> Result<(), String> {
        let before = version(job.checkpoint.as_ref().and_then(|checkpoint| checkpoint.serving.as_ref()));
        let wanted = version(job.wanted().as_ref());
        match to {
            CloseTo::New => {
                self.change(job, |running| *running = Running { version: wanted, candidate: None })
            }
            CloseTo::Before => {
                self.change(job, |running| *running = Running { version: before, candidate: None });
            }
            CloseTo::AsItIs => {}
        }
        Ok(())
    }

    async fn observe(
        &self,
        slot: &Slot,
        _spec: &ServiceSpec,
        _serving: Option<&Serving>,
        _key: &str,
        _host: &dyn Host,
    ) -> Result<Observation, String> {
        Err(format!("nobody asks for {slot} in a proof"))
    }

    async fn bring_back(
        &self,
        _slot: &Slot,
        _serving: &Serving,
        _key: &str,
        _host: &dyn Host,
    ) -> Result<bool, String> {
        Ok(false)
    }

    async fn retire(
        &self,
        _slot: &Slot,
        _serving: &Serving,
        _key: &str,
        _host: &dyn Host,
    ) -> Result<(), String> {
        Ok(())
    }
}
