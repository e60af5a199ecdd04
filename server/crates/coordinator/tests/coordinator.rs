//! The coordinator over a store in memory and a target that does as told: queue, rollback, crash
//! at every commit, lost answers, a full disk, a row that cannot be read.

use lockstep_coordinator::{Coordinator, Dependencies, Refused};
use lockstep_engine::{
    Command,
    port::{Store, store::AuditEntry, store::ManifestRow},
    testing::{actor, digest, manifest, process_spec, service_name},
};
use lockstep_model::{
    DeploymentId, Timestamp, Version,
    api::{RollbackDeployment, StartDeployment},
    deployment::{Deployment, Phase, Source},
    event::Event,
    manifest::{Manifest, ManifestRevision, QueuePolicy},
};
use lockstep_testkit::{Act, Fault, ManualClock, MemoryStore, NoHost, ScriptTarget};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

struct App {
    store: Arc<MemoryStore>,
    target: Arc<ScriptTarget>,
    clock: Arc<ManualClock>,
    coordinator: Coordinator,
    owner: u32,
}

impl App {
    async fn with(manifest: Manifest) -> Self {
        let store = Arc::new(MemoryStore::default());
        let revision = ManifestRevision { digest: digest(), source: String::new(), manifest };
        let row = ManifestRow { revision, applied_by: actor().user, applied_at: Timestamp(0) };
        let audit = AuditEntry {
            at: Timestamp(0),
            actor: actor(),
            action: "/manifest/apply".to_owned(),
            target: "shop".to_owned(),
            reason: None,
            allowed: true,
        };
        store.manifest_apply(&row, audit).await.expect("stored");
        let (target, clock) = (Arc::new(ScriptTarget::default()), Arc::new(ManualClock::default()));
        let coordinator = start(&store, &target, &clock, 1).await;
        Self { store, target, clock, coordinator, owner: 1 }
    }

    /// The demo's shape: s1 depends on s0, s2 stands alone.
    async fn demo() -> Self {
        Self::with(manifest(3, &[(1, 0)], &process_spec())).await
    }

    /// Ends the coordinator where it is, and starts another on the same store.
    async fn crash(&mut self) {
        self.coordinator.shutdown().await;
        self.owner += 1;
        self.coordinator = start(&self.store, &self.target, &self.clock, self.owner).await;
    }

    async fn deploy(&self, version: &str) -> Result<DeploymentId, Refused> {
        self.coordinator.deployment_start(actor(), wish(version)).await
    }

    async fn load(&self, id: DeploymentId) -> Deployment {
        self.coordinator.deployment_load(id).await.expect("readable").expect("there")
    }

    async fn until(&self, id: DeploymentId, is_met: impl Fn(&Deployment) -> bool) -> Deployment {
        for _ in 0..100_000 {
            let state = self.load(id).await;
            if is_met(&state) {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("deployment {id} never got there: {:?}", self.load(id).await.phase);
    }

    async fn end(&self, id: DeploymentId) -> Deployment {
        self.until(id, |state| state.phase.is_final()).await
    }

    async fn serves(&self) -> BTreeMap<String, Option<String>> {
        let rows = self.store.serving_list(None, None).await.expect("readable");
        rows.into_iter()
            .map(|row| (row.slot.service.to_string(), row.serving.map(|s| s.version.to_string())))
            .collect()
    }
}

async fn start(
    store: &Arc<MemoryStore>,
    target: &Arc<ScriptTarget>,
    clock: &Arc<ManualClock>,
    owner: u32,
) -> Coordinator {
    Coordinator::start(Dependencies {
        store: store.clone(),
        host: Arc::new(NoHost),
        target: target.clone(),
        clock: clock.clone(),
        owner: format!("coordinator-{owner}"),
    })
    .await
    .expect("started")
}

fn wish(version: &str) -> StartDeployment {
    let version: Version = version.parse().expect("valid");
    StartDeployment {
        project: None,
        environment: None,
        services: (0..3).map(|number| (service_name(number), Some(version.clone()))).collect(),
        source: Source::default(),
        reason: None,
        accept_no_rollback: false,
        idempotency_key: None,
    }
}

fn all_serve(version: Option<&str>) -> BTreeMap<String, Option<String>> {
    (0..3).map(|number| (service_name(number).to_string(), version.map(str::to_owned))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_release_succeeds_and_every_service_serves_it() {
    let app = App::demo().await;
    let id = app.deploy("1.0.0").await.expect("accepted");
    assert_eq!(app.end(id).await.phase, Phase::Succeeded);
    assert_eq!(app.serves().await, all_serve(Some("1.0.0")));
    assert_eq!(app.store.effect_pending(id).await.expect("readable"), []);
    assert!(app.store.audit().iter().any(|entry| entry.action == "/deployment/start"));
}

#[tokio::test(start_paused = true)]
async fn finished_siblings_go_back_when_a_later_service_fails() {
    let app = App::demo().await;
    let first = app.deploy("1.0.0").await.expect("accepted");
    app.end(first).await;
    app.target.act("s0001.verify", Act::Fail);
    let second = app.deploy("1.1.0").await.expect("accepted");
    let state = app.end(second).await;
    assert_eq!(state.phase, Phase::RolledBack);
    assert_eq!(app.serves().await, all_serve(Some("1.0.0")));
    assert!(state.clocks.detected_at.is_some() && state.clocks.decided_at.is_some());
    assert!(state.clocks.stable_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_first_deployment_goes_back_to_not_deployed() {
    let app = App::demo().await;
    app.target.act("s0001.watch", Act::Fail);
    let id = app.deploy("1.0.0").await.expect("accepted");
    assert_eq!(app.end(id).await.phase, Phase::RolledBack);
    assert_eq!(app.serves().await, all_serve(None));
}

#[tokio::test(start_paused = true)]
async fn an_ended_release_is_restored_by_a_deployment_of_its_own() {
    let app = App::demo().await;
    for version in ["1.0.0", "1.1.0"] {
        let id = app.deploy(version).await.expect("accepted");
        app.end(id).await;
    }
    let request = |id| RollbackDeployment {
        id,
        project: None,
        environment: None,
        reason: Some("slow".to_owned()),
        idempotency_key: None,
    };
    let restore = app.coordinator.deployment_rollback(actor(), request(None)).await.expect("accepted");
    assert_eq!(app.end(restore).await.phase, Phase::Succeeded);
    assert_eq!(app.serves().await, all_serve(Some("1.0.0")));
    // The next one means the release before: a restored release is not restored again.
    let restore = app.coordinator.deployment_rollback(actor(), request(None)).await.expect("accepted");
    app.end(restore).await;
    assert_eq!(app.serves().await, all_serve(None));
    let nothing = app.coordinator.deployment_rollback(actor(), request(None)).await;
    assert!(matches!(nothing, Err(Refused::Conflict(_))), "{nothing:?}");
}

#[tokio::test(start_paused = true)]
async fn a_live_release_is_taken_back_by_hand() {
    let app = App::demo().await;
    app.target.act("s0001.verify", Act::Hang);
    let id = app.deploy("1.0.0").await.expect("accepted");
    app.until(id, |state| {
        state.steps.iter().any(|s| s.state == lockstep_model::deployment::StepState::Succeeded)
    })
    .await;
    let request = RollbackDeployment {
        id: Some(id),
        project: None,
        environment: None,
        reason: None,
        idempotency_key: None,
    };
    assert_eq!(app.coordinator.deployment_rollback(actor(), request).await.expect("accepted"), id);
    assert!(matches!(app.end(id).await.phase, Phase::RolledBack | Phase::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_is_ended_at_its_limit() {
    let app = App::demo().await;
    app.target.act("s0000.prepare", Act::Hang);
    let id = app.deploy("1.0.0").await.expect("accepted");
    let state = app.end(id).await;
    assert_eq!(state.phase, Phase::RolledBack);
    assert!(state.failure.is_some_and(|failure| failure.reason.contains("longer than its limit")));
}

#[tokio::test(start_paused = true)]
async fn a_failed_undo_needs_an_operator_and_closes_the_environment_until_it_is_resolved() {
    let app = App::demo().await;
    app.target.act("s0001.verify", Act::Fail);
    app.target.act("undo s0001.prepare", Act::Fail);
    let id = app.deploy("1.0.0").await.expect("accepted");
    app.until(id, |state| state.phase == Phase::NeedsOperator).await;
    let refused = app.deploy("1.1.0").await.expect_err("closed").to_string();
    assert!(refused.contains("needs an operator") && refused.contains("undo-retry"), "{refused}");
    app.target.act("undo s0001.prepare", Act::Succeed);
    let retry = Command::RetryUndo { by: actor() };
    app.coordinator.deployment_command(id, retry, "/deployment/undo_retry").await.expect("accepted");
    assert_eq!(app.end(id).await.phase, Phase::RolledBack);
    app.target.act("s0001.verify", Act::Succeed);
    assert!(app.deploy("1.1.0").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_second_deployment_of_an_environment_waits_supersedes_or_is_refused() {
    for (policy, expected) in [
        (QueuePolicy::Fifo, [Phase::Succeeded, Phase::Succeeded]),
        (QueuePolicy::Supersede, [Phase::Superseded, Phase::Succeeded]),
    ] {
        let mut shape = manifest(3, &[], &process_spec());
        for environment in shape.environments.values_mut() {
            environment.queue = policy;
        }
        let app = App::with(shape).await;
        app.target.act("s0000.prepare", Act::Hang);
        let first = app.deploy("1.0.0").await.expect("accepted");
        app.until(first, |state| state.phase == Phase::Running).await;
        let second = app.deploy("1.1.0").await.expect("waits");
        let third = app.deploy("1.2.0").await.expect("waits");
        assert_eq!(app.load(third).await.phase, Phase::Queued);
        app.target.act("s0000.prepare", Act::Succeed);
        let cancel = Command::Cancel { by: actor(), reason: None };
        app.coordinator.deployment_command(first, cancel, "/deployment/cancel").await.expect("accepted");
        assert_eq!([app.end(second).await.phase, app.end(third).await.phase], expected, "{policy:?}");
    }
    let mut shape = manifest(3, &[], &process_spec());
    for environment in shape.environments.values_mut() {
        environment.queue = QueuePolicy::Reject;
    }
    let app = App::with(shape).await;
    app.target.act("s0000.prepare", Act::Hang);
    app.deploy("1.0.0").await.expect("accepted");
    let refused = app.deploy("1.1.0").await.expect_err("refused").to_string();
    assert!(refused.contains("queue: reject"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn the_same_idempotency_key_starts_once() {
    let app = App::demo().await;
    let keyed =
        |version: &str| StartDeployment { idempotency_key: Some("run-7".to_owned()), ..wish(version) };
    let first = app.coordinator.deployment_start(actor(), keyed("1.0.0")).await.expect("accepted");
    let again = app.coordinator.deployment_start(actor(), keyed("1.0.0")).await.expect("answered");
    assert_eq!(first, again);
    let other = app.coordinator.deployment_start(actor(), keyed("1.1.0")).await;
    assert!(matches!(other, Err(Refused::Conflict(_))), "{other:?}");
}

/// What a run comes to, in the order of the journal's last word.
async fn run_with_fault(
    fault: Option<(u64, Fault)>,
    fails: bool,
) -> (Phase, BTreeMap<String, Option<String>>) {
    let mut app = App::demo().await;
    let first = app.deploy("1.0.0").await.expect("accepted");
    app.end(first).await;
    if fails {
        app.target.act("s0001.verify", Act::Fail);
    }
    let second = app.deploy("1.1.0").await.expect("accepted");
    if let Some((number, fault)) = fault {
        let number = app.store.commits() + number;
        app.store.fail(number, fault);
        for _ in 0..10_000 {
            if app.store.commits() >= number || app.load(second).await.phase.is_final() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if fault == Fault::LostAnswer {
            app.crash().await;
        }
    }
    let phase = app.end(second).await.phase;
    let mut ledger = app.target.ledger();
    ledger.retain(|entry| entry.starts_with("d2/"));
    let journal = app.store.journal(second);
    for entry in &ledger {
        let step = entry.split('/').nth(if entry.contains("/undo/") { 2 } else { 1 }).expect("a step");
        let started = journal.iter().any(|envelope| match &envelope.event {
            Event::StepStarted { step: number, .. } | Event::UndoStarted { step: number, .. } => {
                plan_step(&journal, *number) == step
            }
            _ => false,
        });
        assert!(started, "{entry} was performed and is not in the journal");
    }
    (phase, app.serves().await)
}

fn plan_step(journal: &[lockstep_model::event::Envelope], number: u32) -> String {
    match &journal[0].event {
        Event::Requested { plan, .. } => plan.steps[number as usize].id.to_string(),
        _ => String::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_or_a_full_disk_at_any_commit_comes_to_the_same_end() {
    for fails in [false, true] {
        let undisturbed = run_with_fault(None, fails).await;
        for number in 1..16 {
            for fault in [Fault::Full, Fault::LostAnswer] {
                let disturbed = run_with_fault(Some((number, fault)), fails).await;
                assert_eq!(disturbed, undisturbed, "{fault:?} at commit {number}, failing: {fails}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_lost_its_deployment_changes_nothing_any_more() {
    let app = App::demo().await;
    app.target.act("s0000.prepare", Act::Hang);
    let id = app.deploy("1.0.0").await.expect("accepted");
    app.until(id, |state| state.phase == Phase::Running).await;
    app.store.deployment_claim(id, "somebody else").await.expect("claimed");
    let before = app.store.journal(id);
    let cancel = Command::Cancel { by: actor(), reason: None };
    let refused = app.coordinator.deployment_command(id, cancel, "/deployment/cancel").await;
    assert!(matches!(refused, Err(Refused::Conflict(_))), "{refused:?}");
    assert_eq!(app.store.journal(id), before);
}

#[tokio::test(start_paused = true)]
async fn one_deployment_that_cannot_be_read_does_not_stop_the_others() {
    let mut shape = manifest(3, &[], &process_spec());
    let staging = shape.environments.values().next().expect("one").clone();
    let other = "other".parse::<lockstep_model::EnvironmentName>().expect("valid");
    shape.environments.insert(other.clone(), staging);
    for service in shape.services.values_mut() {
        let spec = service.environments.values().next().expect("one").clone();
        service.environments.insert(other.clone(), spec);
    }
    let mut app = App::with(shape).await;
    app.target.act("s0000.prepare", Act::Hang);
    let poisoned = app.deploy("1.0.0").await.expect("accepted");
    let request = StartDeployment { environment: Some(other), ..wish("1.0.0") };
    let healthy = app.coordinator.deployment_start(actor(), request).await.expect("accepted");
    app.until(healthy, |state| state.phase == Phase::Running).await;
    app.store.damage(poisoned);
    app.target.act("s0000.prepare", Act::Succeed);
    app.crash().await;
    assert_eq!(app.end(healthy).await.phase, Phase::Succeeded);
    assert_eq!(app.coordinator.quarantined(), [poisoned]);
}

#[tokio::test(start_paused = true)]
async fn old_revisions_are_retired_after_their_time_and_not_before() {
    let app = App::demo().await;
    for version in ["1.0.0", "1.1.0"] {
        let id = app.deploy(version).await.expect("accepted");
        app.end(id).await;
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!app.target.ledger().iter().any(|entry| entry.starts_with("retire")));
    app.clock.advance_ms(60_001);
    for _ in 0..1_000 {
        if app.store.retirement_list().await.expect("readable").is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let retired = app.target.ledger().iter().filter(|entry| entry.starts_with("retire")).count();
    assert_eq!(retired, 3);
}
