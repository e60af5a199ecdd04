//! Never twice: nothing is tried again or taken back while what was tried before may still be carried
//! out, and of two coordinators on one store one decides.

use async_trait::async_trait;
use lockstep_coordinator::{Coordinator, Dependencies, Lease, Refused};
use lockstep_engine::{
    Command,
    port::{
        Clock, Host, HostCancel, HostError, HostOrder, Stopped, Store,
        store::{AuditEntry, ManifestRow},
    },
    replay,
    testing::{actor, command_spec, digest, manifest, process_spec, service_name},
    verify::verify,
};
use lockstep_model::{
    DeploymentId, Epoch, Seq, Timestamp, Version,
    api::StartDeployment,
    deployment::{Deployment, Phase, Resolution, Source},
    event::Event,
    manifest::{Manifest, ManifestRevision},
    wire::{ExecSpec, Exit, Order, OrderKey, Outcome},
};
use lockstep_store::SqliteStore;
use lockstep_targets::Targets;
use lockstep_testkit::{Act, ManualClock, MemoryStore, ScriptTarget};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, mpsc},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

async fn apply(store: &dyn Store, manifest: Manifest) {
    let revision = ManifestRevision { digest: digest(), source: String::new(), manifest };
    let row = ManifestRow { revision, applied_by: actor().user, applied_at: Timestamp(0) };
    let audit = AuditEntry {
        at: Timestamp(0),
        actor: actor(),
        action: "/manifest/apply".to_owned(),
        target: "shop".to_owned(),
        reason: None,
        allowed: true,
        right: None,
    };
    store.manifest_apply(&row, audit).await.expect("stored");
}

fn wish(services: usize) -> StartDeployment {
    let version: Version = "1.0.0".parse().expect("valid");
    StartDeployment {
        project: None,
        environment: None,
        services: (0..services).map(|number| (service_name(number), Some(version.clone()))).collect(),
        order: lockstep_model::deployment::ReleaseOrder::default(),
        source: Source::default(),
        reason: None,
        accept_no_rollback: true,
        skip_verification: false,
        idempotency_key: None,
    }
}

/// A host whose agent confirms a cancel when the test says so: none = nobody answers yet.
struct Confirming(watch::Sender<Option<Stopped>>, Mutex<Vec<String>>);

impl Confirming {
    fn new(answer: Option<Stopped>) -> Arc<Self> {
        Arc::new(Self(watch::channel(answer).0, Mutex::default()))
    }

    fn asked(&self) -> Vec<String> {
        self.1.lock().expect("no panic").clone()
    }
}

#[async_trait]
impl Host for Confirming {
    async fn order(&self, order: HostOrder) -> Result<Outcome, HostError> {
        Err(HostError::Lost { key: order.key, silent_ms: 0 })
    }

    async fn cancel(&self, cancel: HostCancel) -> Stopped {
        self.1.lock().expect("no panic").push(cancel.prefix);
        let mut answer = self.0.subscribe();
        answer.wait_for(Option::is_some).await.expect("the host lives").expect("some")
    }

    async fn secrets_try(
        &self,
        _: &lockstep_model::gateway::Slot,
        _: &lockstep_model::secrets::SecretSources,
    ) -> Result<(), String> {
        Ok(())
    }
}

struct App {
    store: Arc<MemoryStore>,
    host: Arc<Confirming>,
    target: Arc<ScriptTarget>,
    coordinator: Coordinator,
}

impl App {
    /// One service whose `s0000.prepare` hangs, and is running.
    async fn hanging(host: Arc<Confirming>) -> (Self, DeploymentId) {
        let store = Arc::new(MemoryStore::default());
        apply(&*store, manifest(1, &[], &process_spec())).await;
        let target = Arc::new(ScriptTarget::default());
        target.act("s0000.prepare", Act::Hang);
        let coordinator = memory(&store, &host, &target, "one").await;
        let app = Self { store, host, target, coordinator };
        let id = app.coordinator.deployment_start(actor(), wish(1)).await.expect("accepted");
        app.until(id, |_| app.ran("d1/s0000.prepare/1/")).await;
        (app, id)
    }

    fn ran(&self, prefix: &str) -> bool {
        self.target.ledger().iter().any(|entry| entry == prefix)
    }

    async fn until(&self, id: DeploymentId, is_met: impl Fn(&Deployment) -> bool) -> Deployment {
        until(&self.coordinator, id, is_met).await
    }

    async fn tell(&self, id: DeploymentId, command: Command) {
        self.coordinator.deployment_command(id, command, "/test").await.expect("accepted");
    }
}

async fn memory(
    store: &Arc<MemoryStore>,
    host: &Arc<Confirming>,
    target: &Arc<ScriptTarget>,
    owner: &str,
) -> Coordinator {
    Coordinator::start(Dependencies {
        store: store.clone(),
        host: host.clone(),
        target: target.clone(),
        clock: Arc::new(ManualClock::default()),
        owner: owner.to_owned(),
        lease: Lease { ttl: Lease::TTL, alone: true },
    })
    .await
    .expect("started")
}

async fn until(
    coordinator: &Coordinator,
    id: DeploymentId,
    mut is_met: impl FnMut(&Deployment) -> bool,
) -> Deployment {
    for _ in 0..10_000 {
        let state = coordinator.deployment_load(id).await.expect("readable").expect("there");
        if is_met(&state) {
            return state;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("deployment {id} never got there");
}

fn cancel() -> Command {
    Command::Cancel { by: actor(), reason: None, keep: false }
}

fn retry(step: &str) -> Command {
    Command::RetryStep { step: step.parse().expect("valid"), by: actor() }
}

#[tokio::test(start_paused = true)]
async fn what_was_cancelled_before_a_crash_is_stopped_before_anything_goes_back() {
    let (mut app, id) = App::hanging(Confirming::new(None)).await;
    app.tell(id, cancel()).await;
    app.coordinator.shutdown().await;
    app.coordinator = memory(&app.store, &app.host, &app.target, "two").await;
    app.until(id, |_| app.host.asked().len() >= 2).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!app.target.ledger().iter().any(|entry| entry.contains("/undo/")), "{:?}", app.target.ledger());
    app.host.0.send_replace(Some(Stopped::Confirmed));
    assert_eq!(app.until(id, |state| state.phase.is_final()).await.phase, Phase::Cancelled);
    assert!(app.ran("d1/undo/s0000.prepare/1/"), "{:?}", app.target.ledger());
}

#[tokio::test(start_paused = true)]
async fn another_try_does_not_begin_while_the_first_may_run() {
    let (app, id) = App::hanging(Confirming::new(Some(Stopped::Unconfirmed))).await;
    app.tell(id, retry("s0000.prepare")).await;
    let state = app.until(id, |state| state.phase == Phase::NeedsOperator).await;
    let failure = state.failure.expect("it failed").reason;
    assert!(failure.contains("did not confirm its end"), "{failure}");
    assert!(!app.ran("d1/s0000.prepare/2/"), "{:?}", app.target.ledger());
}

#[tokio::test(start_paused = true)]
async fn another_try_begins_when_the_first_is_known_to_have_ended() {
    let (app, id) = App::hanging(Confirming::new(Some(Stopped::Confirmed))).await;
    app.target.act("s0000.prepare", Act::Succeed);
    app.tell(id, retry("s0000.prepare")).await;
    assert_eq!(app.until(id, |state| state.phase.is_final()).await.phase, Phase::Succeeded);
    assert!(app.ran("d1/s0000.prepare/2/"));
    assert!(app.host.asked().contains(&"d1/s0000.prepare/1/".to_owned()), "{:?}", app.host.asked());
}

#[tokio::test(start_paused = true)]
async fn without_an_agent_a_cancel_asks_an_operator_who_can_end_it() {
    for retries in [true, false] {
        let (app, id) = App::hanging(Confirming::new(Some(Stopped::Unconfirmed))).await;
        app.tell(id, cancel()).await;
        app.until(id, |state| state.phase == Phase::NeedsOperator).await;
        assert!(!app.target.ledger().iter().any(|entry| entry.contains("/undo/")));
        if retries {
            // The agent is back.
            app.host.0.send_replace(Some(Stopped::Confirmed));
            app.tell(id, Command::RetryUndo { by: actor() }).await;
            assert_eq!(app.until(id, |state| state.phase.is_final()).await.phase, Phase::Cancelled);
        } else {
            let (outcome, reason) = (Resolution::Failed, "gone".to_owned());
            let resolve = Command::Resolve { by: actor(), outcome, reason, leave: true };
            app.tell(id, resolve).await;
            assert_eq!(app.until(id, |state| state.phase.is_final()).await.phase, Phase::Failed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_over_its_limit_that_does_not_end_is_unknown_and_not_failed() {
    let (app, id) = App::hanging(Confirming::new(Some(Stopped::Unconfirmed))).await;
    let state = app.until(id, |state| state.phase == Phase::NeedsOperator).await;
    let reason = state.failure.expect("it failed").reason;
    assert!(reason.contains("longer than its limit") && reason.contains("did not confirm"), "{reason}");
    let journal = app.store.journal(id);
    assert!(journal.iter().any(|one| matches!(one.event, Event::StepUnknown { may_run: true, .. })));
}

// Two coordinators on one store.

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        Timestamp(i64::try_from(since.as_millis()).expect("small"))
    }
}

/// A host whose agent keeps the ledger's rules: each key once, a repeated one joins or is answered
/// again, no epoch lower than one seen.
#[derive(Default)]
struct FencedHost(Mutex<Fenced>);

#[derive(Default)]
struct Fenced {
    seen: BTreeMap<DeploymentId, Epoch>,
    /// Commands, each with the moment when it ends.
    commands: BTreeMap<OrderKey, Instant>,
    effects: Vec<OrderKey>,
    refused: u32,
}

impl FencedHost {
    fn world(&self) -> MutexGuard<'_, Fenced> {
        self.0.lock().expect("no panic")
    }

    fn admit(&self, deployment: DeploymentId, epoch: Epoch) -> Result<(), Epoch> {
        let mut world = self.world();
        let highest = world.seen.get(&deployment).copied().unwrap_or_default();
        if epoch < highest {
            world.refused += 1;
            return Err(highest);
        }
        world.seen.insert(deployment, epoch);
        Ok(())
    }

    fn begin(&self, key: OrderKey) -> Instant {
        let mut world = self.world();
        if let Some(ends) = world.commands.get(&key) {
            return *ends;
        }
        let ends = Instant::now() + COMMAND;
        world.effects.push(key.clone());
        world.commands.insert(key, ends);
        ends
    }
}

#[async_trait]
impl Host for FencedHost {
    async fn order(&self, order: HostOrder) -> Result<Outcome, HostError> {
        if let Some(deployment) = order.deployment
            && let Err(seen) = self.admit(deployment, order.epoch)
        {
            return Ok(Outcome::StaleEpoch { seen });
        }
        let Order::Exec { .. } = order.order else { panic!("only commands are deployed: {order:?}") };
        tokio::time::sleep_until(self.begin(order.key).into()).await;
        Ok(Outcome::Exited { exit: Exit::Code { code: 0 }, tail: String::new() })
    }

    async fn cancel(&self, cancel: HostCancel) -> Stopped {
        match self.admit(cancel.deployment, cancel.epoch) {
            Ok(()) => Stopped::Confirmed,
            Err(_) => Stopped::Unconfirmed,
        }
    }

    async fn secrets_try(
        &self,
        _: &lockstep_model::gateway::Slot,
        _: &lockstep_model::secrets::SecretSources,
    ) -> Result<(), String> {
        Ok(())
    }
}

const TTL: Duration = Duration::from_millis(300);
/// How long a command takes.
const COMMAND: Duration = Duration::from_millis(60);
const SERVICES: usize = 3;
/// From the start to the answer of the last step; its release has 15 events.
const POINTS: usize = 13;

async fn on(folder: &Path, host: Arc<FencedHost>, owner: &str, ttl: Duration) -> (Coordinator, SqliteStore) {
    let store = SqliteStore::open(folder).await.expect("opened");
    let coordinator = Coordinator::start(Dependencies {
        store: Arc::new(store.clone()),
        host,
        target: Arc::new(Targets),
        clock: Arc::new(SystemClock),
        owner: owner.to_owned(),
        lease: Lease { ttl, alone: false },
    })
    .await
    .expect("started");
    (coordinator, store)
}

/// A coordinator in a thread of its own, which can be stopped as by SIGSTOP: nothing of it moves.
struct Stoppable {
    runtime: tokio::runtime::Handle,
    coordinator: Coordinator,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Stoppable {
    fn start(folder: &Path, host: Arc<FencedHost>) -> Self {
        let (made, is_made) = mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        let folder = folder.to_owned();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let (coordinator, store) = on(&folder, host, "first", TTL).await;
                apply(&store, manifest(SERVICES, &[(1, 0), (2, 1)], &command_spec())).await;
                made.send((tokio::runtime::Handle::current(), coordinator.clone())).expect("waited for");
                let _ = ended.await;
                coordinator.shutdown().await;
                store.close().await;
            });
        });
        let (runtime, coordinator) = is_made.recv().expect("made");
        Self { runtime, coordinator, end: Some(end), thread: Some(thread) }
    }

    /// Stops it; it goes on when the sender is dropped.
    fn stop(&self) -> mpsc::Sender<()> {
        let (go_on, wait) = mpsc::channel::<()>();
        let (stopped, is_stopped) = mpsc::channel();
        self.runtime.spawn(async move {
            stopped.send(()).expect("waited for");
            let _ = wait.recv();
        });
        is_stopped.recv().expect("it stops");
        go_on
    }

    /// Stops it, but not within a write: the database would be nobody's until it goes on.
    async fn stop_between_writes(&self, store: &SqliteStore) -> mpsc::Sender<()> {
        loop {
            let go_on = self.stop();
            let write = tokio::time::timeout(Duration::from_millis(100), store.lease_end("nobody"));
            if write.await.is_ok_and(|written| written.is_ok()) {
                return go_on;
            }
            drop(go_on);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One that is stopped when the journal has `point` events, for three lease times, and goes on. True
/// when the other one had to take over.
async fn stopped_and_continued(point: usize) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Arc::new(FencedHost::default());
    let first = Stoppable::start(folder.path(), host.clone());
    let reader = SqliteStore::open(folder.path()).await.expect("opened");
    let made = first.coordinator.clone();
    let made = first.runtime.spawn(async move {
        loop {
            match made.deployment_start(actor(), wish(SERVICES)).await {
                // So short a lease is lost for a moment when the machine is busy.
                Err(Refused::Unavailable(_)) => tokio::time::sleep(TTL / 10).await,
                made => return made,
            }
        }
    });
    let id = made.await.expect("no panic").expect("accepted");
    let journal = async || reader.deployment_events(id, Seq(0)).await.expect("readable");
    // One that comes to its end in fewer events is stopped there.
    while journal().await.len() < point {
        if replay(journal().await).expect("legal").phase.is_final() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let go_on = first.stop_between_writes(&reader).await;
    let stopped = Instant::now();
    let before = journal().await;
    let was_under_way = !replay(before.clone()).expect("legal").phase.is_final();
    let (second, store) = on(folder.path(), host.clone(), "second", TTL).await;
    let state = until(&second, id, |state| state.phase.is_final()).await;
    assert_eq!(state.phase, Phase::Succeeded);
    while stopped.elapsed() < TTL * 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let taken_over = journal().await;
    drop(go_on);
    let noticed = Instant::now();
    while was_under_way && (!first.coordinator.live().is_empty() || !first.coordinator.holds_lease()) {
        assert!(noticed.elapsed() < Duration::from_secs(20), "the first one never let go");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(journal().await, taken_over, "what the first one wrote afterwards");
    assert_eq!(verify(&taken_over), [], "the journal's promises");
    if was_under_way {
        let epoch = host.world().seen[&id];
        assert!(epoch > Epoch(1), "{epoch}");
        let spec = ExecSpec {
            argv: vec!["deploy".to_owned()],
            env: BTreeMap::new(),
            workdir: None,
            version: "1.0.0".parse().expect("valid"),
            port_of: None,
            timeout_ms: 1_000,
            secrets: BTreeMap::new(),
            slot: None,
        };
        let key = OrderKey(format!("d{id}/s0000.replace/2/deploy"));
        let late = HostOrder {
            key,
            deployment: Some(id),
            epoch: Epoch(1),
            order: Order::Exec { spec, secrets: Default::default() },
        };
        assert_eq!(host.order(late).await, Ok(Outcome::StaleEpoch { seen: epoch }));
    }
    let mut effects = host.world().effects.clone();
    effects.sort();
    let expected: Vec<_> = (0..SERVICES)
        .map(|number| OrderKey(format!("d{id}/{}.replace/1/deploy", service_name(number))))
        .collect();
    assert_eq!(effects, expected, "each once");
    drop(first);
    second.shutdown().await;
    store.close().await;
    reader.close().await;
    was_under_way
}

/// `LOCKSTEP_TRIALS` says how often; 10 without it.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_stopped_for_three_lease_times_changes_nothing_when_it_goes_on() {
    let trials = std::env::var("LOCKSTEP_TRIALS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let mut taken_over = 0;
    for trial in 0..trials {
        taken_over += usize::from(stopped_and_continued(2 + trial % POINTS).await);
    }
    println!("{trials} times stopped and continued, {taken_over} times taken over, nothing done twice");
    assert!(taken_over * 2 >= trials, "{taken_over} of {trials}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_live_the_second_takes_nothing_and_refuses_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = Arc::new(FencedHost::default());
    let (first, store) = on(folder.path(), host.clone(), "first", Lease::TTL).await;
    apply(&store, manifest(SERVICES, &[(1, 0), (2, 1)], &command_spec())).await;
    let (second, other) = on(folder.path(), host.clone(), "second", Lease::TTL).await;
    let id = first.deployment_start(actor(), wish(SERVICES)).await.expect("accepted");
    let mut seen = 0;
    until(&first, id, |state| {
        seen += usize::from(!second.live().is_empty());
        state.phase.is_final()
    })
    .await;
    assert_eq!((seen, host.world().seen[&id]), (0, Epoch(1)));
    for coordinator in [&first, &second] {
        coordinator.shutdown().await;
    }
    store.close().await;
    other.close().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_renew_its_lease_stops_by_itself_and_goes_on_when_it_can() {
    let (app, id) = App::hanging(Confirming::new(Some(Stopped::Confirmed))).await;
    assert!(app.coordinator.holds_lease());
    app.store.hang_renewals(true);
    let began = tokio::time::Instant::now();
    while app.coordinator.holds_lease() || !app.coordinator.live().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(began.elapsed() < Lease::TTL, "it must be before anybody can take over");
    }
    assert!(began.elapsed() >= Lease::TTL / 6, "{:?}", began.elapsed());
    let refused = app.coordinator.deployment_command(id, cancel(), "/test").await;
    assert!(matches!(refused, Err(Refused::Unavailable(_))), "{refused:?}");
    let refused = app.coordinator.deployment_start(actor(), wish(1)).await;
    assert!(matches!(refused, Err(Refused::Unavailable(_))), "{refused:?}");
    app.target.act("s0000.prepare", Act::Succeed);
    app.store.hang_renewals(false);
    assert_eq!(app.until(id, |state| state.phase.is_final()).await.phase, Phase::Succeeded);
    let journal = app.store.journal(id);
    assert_eq!(verify(&journal), []);
    assert!(!journal.iter().any(|one| matches!(one.event, Event::StepUnknown { .. })));
}
