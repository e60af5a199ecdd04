//! The coordinator: it owns deployments, has their effects performed through ports, and brings
//! every one of them to an end, also after a crash. It decides nothing itself (`engine` does),
//! knows no SQL, and never changes the outside world but through `Target`.
#![forbid(unsafe_code)]

mod abandon;
mod approval;
mod bring_back;
mod guard;
mod lease;
mod perform;
mod queue;
mod queue_rule;
mod recover;
mod refused;
mod request;
mod restore;
mod restriction;
mod retire;
mod verification;
pub mod verify;
mod worker;

pub use lease::Lease;
use lease::{Guarded, Holding};
use lockstep_engine::{
    Command,
    port::{Clock, Host, Store, StoreError, Target, store::AuditEntry},
    replay,
};
use lockstep_model::{
    DeploymentId, EnvironmentName, ProjectName, Seq, ServiceName,
    access::Right,
    deployment::{Actor, Deployment, Phase},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep},
};

pub use refused::{By, Refused};

/// How long a command waits for a deployment that is just being taken up again, after a restart or when the
/// lease was lost for a moment.
const TAKE_UP_LIMIT: Duration = Duration::from_secs(5);
const TAKE_UP_LOOK: Duration = Duration::from_millis(50);

/// What a coordinator needs of its surroundings.
#[derive(Clone)]
pub struct Dependencies {
    /// Keeps deployments.
    pub store: Arc<dyn Store>,
    /// The way to the agents.
    pub host: Arc<dyn Host>,
    /// Carries out steps.
    pub target: Arc<dyn Target>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The name under which this coordinator owns deployments, new at each start.
    pub owner: String,
    /// For how long it owns them, unless it says so again.
    pub lease: Lease,
}

/// Owns deployments and brings them to their end. Cheap to clone.
#[derive(Clone)]
pub struct Coordinator(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) dependencies: Dependencies,
    pub(crate) lease: Arc<Holding>,
    /// The way to the agents while the lease is held.
    pub(crate) host: Guarded,
    workers: Mutex<BTreeMap<DeploymentId, WorkerHandle>>,
    /// Deployments that could not be recovered; they are tried again, and do not stop the others.
    quarantined: Mutex<BTreeMap<DeploymentId, SetAside>>,
    /// Held while a deployment is made, so that the queue's rule is looked at by one at a time.
    making: tokio::sync::Mutex<()>,
    changes: watch::Sender<i64>,
    queue_nudge: Notify,
    stopping: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
    questions: AtomicU64,
}

/// A deployment that cannot be read or decided about.
#[derive(Debug, Clone)]
pub(crate) struct SetAside {
    pub(crate) project: ProjectName,
    pub(crate) environment: EnvironmentName,
    /// Where it stood last; none = not even that is known.
    pub(crate) phase: Option<Phase>,
    pub(crate) problem: String,
}

impl SetAside {
    /// What is not known does not pass for ended or waiting.
    fn may_be_live(&self) -> bool {
        self.phase.is_none_or(Phase::is_live)
    }
}

#[derive(Clone)]
pub(crate) struct WorkerHandle {
    pub(crate) project: ProjectName,
    pub(crate) environment: EnvironmentName,
    pub(crate) messages: mpsc::Sender<worker::Message>,
    pub(crate) state: watch::Receiver<Arc<Deployment>>,
}

impl Coordinator {
    /// Recovers everything that is not finished and starts the repeated tasks: recovery, queue,
    /// retiring.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot even be asked what there is.
    pub async fn start(dependencies: Dependencies) -> Result<Self, StoreError> {
        let lease = Arc::new(Holding::new(dependencies.lease));
        let host = Guarded { host: dependencies.host.clone(), lease: lease.clone() };
        let inner = Arc::new(Inner {
            dependencies,
            lease,
            host,
            workers: Mutex::default(),
            quarantined: Mutex::default(),
            making: tokio::sync::Mutex::new(()),
            changes: watch::channel(0).0,
            queue_nudge: Notify::new(),
            stopping: watch::channel(false).0,
            tasks: Mutex::new(JoinSet::new()),
            questions: AtomicU64::new(0),
        });
        lease::begin(&inner).await;
        recover::once(&inner, false).await?;
        inner.spawn(lease::renew_repeatedly(inner.clone()));
        inner.spawn(lease::watch(inner.clone()));
        inner.spawn(recover::repeatedly(inner.clone()));
        inner.spawn(queue::repeatedly(inner.clone()));
        inner.spawn(retire::repeatedly(inner.clone()));
        inner.spawn(bring_back::repeatedly(inner.clone()));
        Ok(Self(inner))
    }

    /// Tells a deployment something on behalf of `actor`; answered when it is durable. `action` is
    /// the endpoint, for the audit.
    ///
    /// # Errors
    /// [`Refused`] when there is no such deployment, its state does not allow it, or it could not
    /// be stored.
    pub async fn deployment_command(
        &self,
        id: DeploymentId,
        command: Command,
        action: &'static str,
    ) -> Result<(), Refused> {
        self.deployment_command_by(id, command, action, None).await
    }

    /// As [`Coordinator::deployment_command`], by a right that must hold still when it is written.
    ///
    /// # Errors
    /// As there; [`Refused::Withdrawn`] when the right is gone by then.
    pub async fn deployment_command_by(
        &self,
        id: DeploymentId,
        command: Command,
        action: &'static str,
        right: Option<Right>,
    ) -> Result<(), Refused> {
        let reason = actor_of(&command).and_then(|(_, reason)| reason);
        self.commanded(id, command, action, right, reason).await
    }

    /// The same, with what the audit says of before and after in place of the reason alone.
    pub(crate) async fn deployment_command_noted(
        &self,
        id: DeploymentId,
        command: Command,
        action: &'static str,
        right: Option<Right>,
        noted: String,
    ) -> Result<(), Refused> {
        self.commanded(id, command, action, right, Some(noted)).await
    }

    async fn commanded(
        &self,
        id: DeploymentId,
        command: Command,
        action: &'static str,
        right: Option<Right>,
        reason: Option<String>,
    ) -> Result<(), Refused> {
        let handle = self.0.worker_soon(id).await?;
        let audit = actor_of(&command).map(|(actor, _)| AuditEntry {
            at: self.0.dependencies.clock.now(),
            actor,
            action: action.to_owned(),
            target: format!("deployment {id}"),
            reason,
            allowed: true,
            right,
        });
        let (reply, answer) = oneshot::channel();
        let message = worker::Message {
            command,
            audit,
            reply: Some(reply),
            ..worker::Message::silent(Command::Proceed)
        };
        if handle.messages.send(message).await.is_err() {
            return Err(Refused::Conflict(format!("deployment {id} has just ended")));
        }
        answer.await.unwrap_or_else(|_| Err(Refused::Conflict(format!("deployment {id} has just ended"))))
    }

    /// A deployment as its journal tells it.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn deployment_load(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
        if let Some(handle) = self.0.worker(id) {
            let state = handle.state.borrow().clone();
            return Ok(Some((*state).clone()));
        }
        let events = self.0.dependencies.store.deployment_events(id, Seq(0)).await?;
        if events.is_empty() {
            return Ok(None);
        }
        let unreadable = |source| StoreError::Unreadable {
            what: format!("journal of deployment {id}"),
            source: Box::new(source),
        };
        replay(events).map(Some).map_err(unreadable)
    }

    /// Ticks at every commit of any deployment.
    pub fn changes(&self) -> watch::Receiver<i64> {
        self.0.changes.subscribe()
    }

    /// Deployments that could not be recovered.
    pub fn quarantined(&self) -> Vec<DeploymentId> {
        lock(&self.0.quarantined).keys().copied().collect()
    }

    /// Deployments that are not finished and owned here.
    pub fn live(&self) -> Vec<(DeploymentId, Arc<Deployment>)> {
        let workers = lock(&self.0.workers);
        workers.iter().map(|(id, worker)| (*id, worker.state.borrow().clone())).collect()
    }

    /// Whether it still works.
    pub fn is_alive(&self) -> bool {
        !*self.0.stopping.borrow()
    }

    /// Whether it may decide and order at this moment: its lease is fresh.
    pub fn holds_lease(&self) -> bool {
        self.0.lease.is_held()
    }

    /// Stops deciding. What is under way outside goes on there, and is taken up again by the next
    /// coordinator.
    pub async fn shutdown(&self) {
        self.0.stopping.send_replace(true);
        let mut tasks = std::mem::take(&mut *lock(&self.0.tasks));
        tasks.shutdown().await;
        lock(&self.0.workers).clear();
        lease::end(&self.0).await;
    }
}

impl Inner {
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    pub(crate) fn worker(&self, id: DeploymentId) -> Option<WorkerHandle> {
        lock(&self.workers).get(&id).cloned()
    }

    /// Who looks after a deployment; waited for while it is just being taken up again.
    pub(crate) async fn worker_soon(&self, id: DeploymentId) -> Result<WorkerHandle, Refused> {
        let end = Instant::now() + TAKE_UP_LIMIT;
        loop {
            if let Some(handle) = self.worker(id) {
                return Ok(handle);
            }
            match self.without_worker(id).await? {
                Refused::Unavailable(_) if Instant::now() < end => sleep(TAKE_UP_LOOK).await,
                refused => return Err(refused),
            }
        }
    }

    pub(crate) fn workers(&self) -> Vec<(DeploymentId, WorkerHandle)> {
        lock(&self.workers).iter().map(|(id, handle)| (*id, handle.clone())).collect()
    }

    pub(crate) fn worker_add(&self, id: DeploymentId, handle: WorkerHandle) {
        lock(&self.workers).insert(id, handle);
    }

    pub(crate) fn worker_remove(&self, id: DeploymentId) {
        lock(&self.workers).remove(&id);
    }

    /// Environments in which something is under way that nobody looks after here: it may be another
    /// coordinator's.
    pub(crate) async fn elsewhere(&self) -> Result<BTreeSet<(ProjectName, EnvironmentName)>, StoreError> {
        let unfinished = self.dependencies.store.deployment_unfinished().await?;
        let foreign = unfinished
            .into_iter()
            .filter(|one| self.worker(one.id).is_none() && !self.is_quarantined(one.id));
        Ok(foreign.map(|one| (one.project, one.environment)).collect())
    }

    pub(crate) fn quarantine(&self, id: DeploymentId, set_aside: SetAside) {
        lock(&self.quarantined).insert(id, set_aside);
    }

    pub(crate) fn quarantine_end(&self, id: DeploymentId) {
        lock(&self.quarantined).remove(&id);
    }

    pub(crate) fn is_quarantined(&self, id: DeploymentId) -> bool {
        lock(&self.quarantined).contains_key(&id)
    }

    /// A deployment that cannot be read and may be live in an environment.
    pub(crate) fn set_aside_in(
        &self,
        project: &ProjectName,
        environment: &EnvironmentName,
    ) -> Option<DeploymentId> {
        let quarantined = lock(&self.quarantined);
        let mut all = quarantined.iter();
        all.find(|(_, one)| one.project == *project && one.environment == *environment && one.may_be_live())
            .map(|(id, _)| *id)
    }

    /// Why a deployment that nobody looks after takes no command.
    async fn without_worker(&self, id: DeploymentId) -> Result<Refused, Refused> {
        let Some(row) = self.dependencies.store.deployment_fetch(id).await? else {
            return Ok(Refused::NotFound(format!("there is no deployment {id}; see `lockstep history`")));
        };
        if row.phase.is_final() {
            return Ok(Refused::Conflict(format!("deployment {id} has ended already: it is {}", row.phase)));
        }
        let set_aside = lock(&self.quarantined).get(&id).map(|one| one.problem.clone());
        Ok(match set_aside {
            Some(problem) => Refused::Conflict(format!(
                "deployment {id} ({}) cannot be read and is set aside, so it takes no command: {problem}; it is tried again every minute. {}",
                row.phase,
                abandon::ways_out(id)
            )),
            None => Refused::Unavailable(format!(
                "deployment {id} ({}) is just being taken up again; try again in a few seconds",
                row.phase
            )),
        })
    }

    pub(crate) fn changed(&self, position: i64) {
        self.changes.send_modify(|last| *last = (*last).max(position));
    }

    /// A key for an order that only asks something, never used before.
    pub(crate) fn question(&self, what: &str) -> String {
        let number = self.questions.fetch_add(1, Ordering::Relaxed);
        format!("ask/{}/{what}/{number}", self.dependencies.owner)
    }
}

/// A poisoned lock still holds a whole value here: every section only inserts or removes.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn actor_of(command: &Command) -> Option<(Actor, Option<String>)> {
    match command {
        Command::Pause { by, reason }
        | Command::Reject { by, reason }
        | Command::Cancel { by, reason, .. }
        | Command::TakeBack { by, reason } => Some((by.clone(), reason.clone())),
        Command::TakeBackServices { services, by, reason } => {
            let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
            let because = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            Some((by.clone(), Some(format!("{}{because}", names.join(", ")))))
        }
        // What was approved belongs to what is recorded.
        Command::Approve { by, reason, plan } => {
            let because = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            Some((by.clone(), Some(format!("plan {plan}{because}"))))
        }
        Command::Resume { by, .. } | Command::RetryUndo { by } => Some((by.clone(), None)),
        // Which step it was belongs to what is recorded.
        Command::SkipStep { step, by, reason } => Some((by.clone(), Some(format!("{step}: {reason}")))),
        Command::RetryStep { step, by } => Some((by.clone(), Some(step.to_string()))),
        Command::RetryService { service, by } => Some((by.clone(), Some(service.to_string()))),
        Command::KeepService { service, by, reason } => {
            Some((by.clone(), Some(format!("{service}: {reason}"))))
        }
        Command::Resolve { by, reason, leave, .. } => {
            let left = if *leave { " (what is open was to stay so)" } else { "" };
            Some((by.clone(), Some(format!("{reason}{left}"))))
        }
        Command::Start
        | Command::Supersede { .. }
        | Command::Lapse { .. }
        | Command::FinishStep { .. }
        | Command::FinishProbe { .. }
        | Command::FinishClose { .. }
        | Command::FinishUndo { .. }
        | Command::Fail { .. }
        | Command::Proceed => None,
    }
}
