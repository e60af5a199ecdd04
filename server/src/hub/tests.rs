//! What is cancelled reaches the agent, whatever happens to the connection and to this process, and
//! whoever waits hears the truth within the time that is promised.

use super::*;
use lockstep_coordinator::{Coordinator, Dependencies, Lease};
use lockstep_engine::{
    Command,
    port::{
        CheckRow, LogPart, LogRow, Store, StoreError,
        store::{AuditEntry, ManifestRow},
    },
    testing::{actor, command_spec, digest, manifest, service_name},
};
use lockstep_model::{
    DeploymentId, Seq, Timestamp, Version,
    api::{LogPage, StartDeployment},
    deployment::{Phase, Resolution, Source},
    gateway::Slot,
    manifest::ManifestRevision,
    view::{CheckBucket, CheckView},
    wire::{ExecSpec, Exit, Order},
};
use lockstep_targets::Targets;
use lockstep_testkit::{ManualClock, MemoryStore};

struct NoLogs;

#[async_trait]
impl LogStore for NoLogs {
    async fn log_append(&self, _: &[LogRow]) -> Result<(), StoreError> {
        Ok(())
    }
    async fn log_read(
        &self,
        _: DeploymentId,
        _: Option<&str>,
        _: LogPart,
        _: u32,
    ) -> Result<LogPage, StoreError> {
        Ok(LogPage { lines: Vec::new(), next: 0, more: false, removed: None })
    }
    async fn log_count(&self, _: DeploymentId, _: i64) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn log_size(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn log_owners(&self) -> Result<Vec<DeploymentId>, StoreError> {
        Ok(Vec::new())
    }
    async fn log_remove(&self, _: DeploymentId, _: u32, _: u64) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn check_append(&self, _: &[CheckRow], _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
    async fn check_read(&self, _: &Slot, _: Timestamp, _: u64) -> Result<Vec<CheckBucket>, StoreError> {
        Ok(Vec::new())
    }
    async fn check_last(&self) -> Result<Vec<(Slot, Vec<CheckView>)>, StoreError> {
        Ok(Vec::new())
    }
}

pub(super) fn hub() -> Hub {
    Hub::new("test".to_owned(), Arc::new(NoLogs), Arc::new(ManualClock::default()))
}

fn connect(hub: &Hub) -> (u64, mpsc::Receiver<CoordinatorFrame>) {
    hub.0.attach(Connected { pid: 1, version: "1.0.0".to_owned() })
}

pub(super) fn order(key: &str) -> HostOrder {
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
    let order = Order::Exec { spec, secrets: Default::default() };
    HostOrder { key: OrderKey(key.to_owned()), deployment: Some(DeploymentId(1)), epoch: Epoch(1), order }
}

fn cancel(prefix: &str) -> HostCancel {
    HostCancel { prefix: prefix.to_owned(), deployment: DeploymentId(1), epoch: Epoch(1) }
}

fn below(prefix: &str) -> CoordinatorFrame {
    frame_of(cancel(prefix))
}

fn confirmed(prefix: &str) -> AgentFrame {
    AgentFrame::CancelledBelow { prefix: prefix.to_owned(), stale: None }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_after_a_restart_reaches_the_agent_and_is_done_when_it_says_so() {
    // This hub gave no order: the one before it did.
    let hub = hub();
    let (number, mut frames) = connect(&hub);
    let told = tokio::spawn({
        let hub = hub.clone();
        async move { hub.cancel(cancel("d1/a.replace/1/")).await }
    });
    assert_eq!(frames.recv().await, Some(below("d1/a.replace/1/")));
    sleep(Duration::from_secs(5)).await;
    assert!(!told.is_finished(), "nobody has confirmed it");
    hub.0.received(confirmed("d1/a.replace/1/"), number).await;
    assert_eq!(told.await.expect("no panic"), Stopped::Confirmed);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_without_a_connection_is_told_on_the_next_one_and_its_order_is_not() {
    let hub = hub();
    let (number, mut frames) = connect(&hub);
    let ordered = tokio::spawn({
        let hub = hub.clone();
        async move { hub.order(order("d1/a.replace/1/deploy")).await }
    });
    assert!(matches!(frames.recv().await, Some(CoordinatorFrame::Order(_))));
    hub.0.detach(number);
    let told = tokio::spawn({
        let hub = hub.clone();
        async move { hub.cancel(cancel("d1/a.replace/1/")).await }
    });
    let other = tokio::spawn({
        let hub = hub.clone();
        async move { hub.order(order("d1/b.replace/1/deploy")).await }
    });
    sleep(Duration::from_secs(1)).await;
    let (number, mut frames) = connect(&hub);
    assert_eq!(frames.recv().await, Some(below("d1/a.replace/1/")));
    let Some(CoordinatorFrame::Order(frame)) = frames.recv().await else { panic!("the other order") };
    assert_eq!(frame.key.0, "d1/b.replace/1/deploy");
    hub.0.received(confirmed("d1/a.replace/1/"), number).await;
    assert_eq!(told.await.expect("no panic"), Stopped::Confirmed);
    assert!(matches!(ordered.await.expect("no panic"), Err(HostError::Cancelled { .. })));
    assert!(!other.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_nobody_confirms_is_said_so_and_remembered() {
    let hub = hub();
    let began = Instant::now();
    assert_eq!(hub.cancel(cancel("d1/a.replace/1/")).await, Stopped::Unconfirmed);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    // The agent has been away for long: it is not waited for as long again.
    let began = Instant::now();
    assert_eq!(hub.cancel(cancel("d1/a.replace/1/")).await, Stopped::Unconfirmed);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(hub.is_idle());
    let late = hub.order(order("d1/a.replace/1/deploy")).await;
    assert!(matches!(late, Err(HostError::Cancelled { .. })), "{late:?}");
    let (number, mut frames) = connect(&hub);
    assert_eq!(frames.recv().await, Some(below("d1/a.replace/1/")));
    hub.0.received(confirmed("d1/a.replace/1/"), number).await;
    assert!(hub.0.lock().cancels.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cancel_of_an_owner_that_was_replaced_confirms_nothing() {
    let hub = hub();
    let (number, mut frames) = connect(&hub);
    let told = tokio::spawn({
        let hub = hub.clone();
        async move { hub.cancel(cancel("d1/a.replace/1/")).await }
    });
    frames.recv().await.expect("told");
    let refused = AgentFrame::CancelledBelow { prefix: "d1/a.replace/1/".to_owned(), stale: Some(Epoch(2)) };
    hub.0.received(refused, number).await;
    assert_eq!(told.await.expect("no panic"), Stopped::Unconfirmed);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_a_later_owner_takes_up_again_goes_out_under_its_epoch() {
    let hub = hub();
    let (_, mut frames) = connect(&hub);
    for epoch in [1, 2] {
        let hub = hub.clone();
        let order = HostOrder { epoch: Epoch(epoch), ..order("d1/a.replace/1/deploy") };
        tokio::spawn(async move { hub.order(order).await });
        let Some(CoordinatorFrame::Order(frame)) = frames.recv().await else { panic!("an order") };
        assert_eq!(frame.epoch, Epoch(epoch));
    }
    let (_, mut frames) = connect(&hub);
    let Some(CoordinatorFrame::Order(frame)) = frames.recv().await else { panic!("an order") };
    assert_eq!(frame.epoch, Epoch(2));
}

#[tokio::test(start_paused = true)]
async fn an_order_of_a_lost_agent_is_unknown_within_a_minute() {
    let hub = hub();
    let (number, _frames) = connect(&hub);
    hub.0.detach(number);
    let began = Instant::now();
    let lost = hub.order(order("d1/a.replace/1/deploy")).await;
    assert!(matches!(lost, Err(HostError::Lost { .. })), "{lost:?}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    // It may be carried out all the same, and is ended when its agent is back.
    let (_, mut frames) = connect(&hub);
    assert_eq!(frames.recv().await, Some(below("d1/a.replace/1/")));
    assert!(frames.try_recv().is_err());
}

/// Answers questions and commands of an agent, but never the command that deploys.
async fn agent_until_deploy(hub: Hub) {
    let (number, mut frames) = connect(&hub);
    while let Some(frame) = frames.recv().await {
        let CoordinatorFrame::Order(frame) = frame else { continue };
        if frame.key.0.ends_with("/deploy") {
            hub.0.detach(number);
            return;
        }
        let outcome = Outcome::Exited { exit: Exit::Code { code: 0 }, tail: "0.9.0\n".to_owned() };
        hub.0.received(AgentFrame::Outcome { key: frame.key, outcome }, number).await;
    }
}

/// A coordinator that orders by a hub, and the deployment of one service that it was asked for.
async fn deploying(hub: &Hub, store: &Arc<MemoryStore>) -> (Coordinator, DeploymentId) {
    let manifest = manifest(1, &[], &command_spec());
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
    let coordinator = Coordinator::start(Dependencies {
        store: store.clone(),
        host: Arc::new(hub.clone()),
        target: Arc::new(Targets),
        clock: Arc::new(ManualClock::default()),
        owner: "one".to_owned(),
        lease: Lease { ttl: Lease::TTL, alone: true },
    })
    .await
    .expect("started");
    let version: Version = "1.0.0".parse().expect("valid");
    let request = StartDeployment {
        order: lockstep_model::deployment::ReleaseOrder::default(),
        project: None,
        environment: None,
        services: [(service_name(0), Some(version))].into(),
        source: Source::default(),
        reason: None,
        accept_no_rollback: true,
        skip_verification: false,
        idempotency_key: None,
    };
    let id = coordinator.deployment_start(actor(), request).await.expect("accepted");
    (coordinator, id)
}

#[tokio::test(start_paused = true)]
async fn a_cancel_comes_to_its_end_also_when_the_agent_never_comes_back() {
    let hub = hub();
    let agent = tokio::spawn(agent_until_deploy(hub.clone()));
    let (coordinator, id) = deploying(&hub, &Arc::default()).await;
    agent.await.expect("it deploys");
    let began = Instant::now();
    let cancel = Command::Cancel { by: actor(), reason: None, keep: false };
    coordinator.deployment_command(id, cancel, "/deployment/cancel").await.expect("accepted");
    let phase = async |id| coordinator.deployment_load(id).await.expect("readable").expect("there").phase;
    while phase(id).await != Phase::NeedsOperator {
        assert!(began.elapsed() < Duration::from_secs(120), "it is {:?}", phase(id).await);
        sleep(Duration::from_millis(100)).await;
    }
    let state = coordinator.deployment_load(id).await.expect("readable").expect("there");
    let reason = state.operator_reason.clone().unwrap_or_default();
    assert!(reason.contains("did not confirm"), "{reason}");
    let (outcome, reason) = (Resolution::Failed, "the host is gone".to_owned());
    let resolve = Command::Resolve { by: actor(), outcome, reason, leave: true };
    coordinator.deployment_command(id, resolve, "/deployment/resolve").await.expect("accepted");
    assert_eq!(phase(id).await, Phase::Failed);
}

/// Carries everything out, and says before each answer that something ended at `at`.
async fn agent_at(hub: Hub, at: Timestamp) {
    let (number, mut frames) = connect(&hub);
    let mut serves = "0.9.0";
    while let Some(frame) = frames.recv().await {
        let CoordinatorFrame::Order(frame) = frame else { continue };
        if frame.key.0.ends_with("/deploy") {
            serves = "1.0.0";
        }
        let exit = Exit::Code { code: 0 };
        let revision = "r1".parse().expect("valid");
        let exited = AgentFrame::Exited { revision, exit: exit.clone(), at, restarts: false };
        hub.0.received(exited, number).await;
        let outcome = Outcome::Exited { exit, tail: format!("{serves}\n") };
        hub.0.received(AgentFrame::Outcome { key: frame.key, outcome }, number).await;
    }
}

/// An event without the times of its evidence: what looked at something noted down when, by the server's clock.
fn timeless(event: &impl serde::Serialize) -> serde_json::Value {
    fn clear(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                fields.retain(|name, _| name != "at");
                fields.values_mut().for_each(clear);
            }
            serde_json::Value::Array(all) => all.iter_mut().for_each(clear),
            _ => {}
        }
    }
    let mut event = serde_json::to_value(event).expect("JSON");
    clear(&mut event);
    event
}

#[tokio::test(start_paused = true)]
async fn h5_a_deployment_is_the_same_whatever_time_its_agent_believes_it_is() {
    let mut journals = Vec::new();
    for at in [Timestamp(0), Timestamp(i64::MIN), Timestamp(i64::MAX)] {
        let (hub, store) = (hub(), Arc::new(MemoryStore::default()));
        let agent = tokio::spawn(agent_at(hub.clone(), at));
        let (coordinator, id) = deploying(&hub, &store).await;
        let began = Instant::now();
        let state = loop {
            let state = coordinator.deployment_load(id).await.expect("readable").expect("there");
            if state.phase.is_final() || began.elapsed() > Duration::from_secs(600) {
                break state;
            }
            sleep(Duration::from_millis(100)).await;
        };
        assert_eq!(state.phase, Phase::Succeeded, "{at:?}");
        let journal = store.deployment_events(id, Seq(0)).await.expect("readable");
        let numbers: Vec<i64> = journal.iter().map(|one| one.seq.0).collect();
        assert_eq!(numbers, (1..).take(numbers.len()).collect::<Vec<_>>(), "the server's numbers");
        // The server's clock stands still here.
        assert!(journal.iter().all(|one| one.at == Timestamp(0)), "{journal:?}");
        journals.push(journal);
        agent.abort();
    }
    for journal in &journals[1..] {
        assert_eq!(journal.len(), journals[0].len());
        for (one, other) in journal.iter().zip(&journals[0]) {
            assert_eq!(timeless(one), timeless(other));
        }
    }
}
