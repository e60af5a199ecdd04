//! The coordinator over a store in memory and a target that does as told: queue, rollback, crash
//! at every commit, lost answers, a full disk, a row that cannot be read.

use lockstep_coordinator::{Coordinator, Dependencies, Lease, Refused, verify};
use lockstep_engine::{
    Command,
    port::{Store, store::AuditEntry, store::Claim, store::ManifestRow},
    testing::{actor, canary_spec, digest, manifest, process_spec, service_name},
};
use lockstep_model::{
    DeploymentId, Timestamp, Version,
    access::{Permission, Right, Scope, Sight},
    api::{AbandonDeployment, RollbackDeployment, StartDeployment},
    deployment::{Deployment, Phase, Resolution, Source},
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
            right: None,
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

    async fn keeps_every_promise(&self) {
        let all = verify::newest(&*self.store, &Sight::everything(), u32::MAX).await.expect("readable");
        let report = verify::check(&*self.store, &all).await.expect("readable");
        assert_eq!(report.broken, [], "of {} deployments", report.deployments);
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
        lease: Lease { ttl: Lease::TTL, alone: true },
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
        order: lockstep_model::deployment::ReleaseOrder::default(),
        source: Source::default(),
        reason: None,
        accept_no_rollback: false,
        skip_verification: false,
        idempotency_key: None,
    }
}

fn all_serve(version: Option<&str>) -> BTreeMap<String, Option<String>> {
    (0..3).map(|number| (service_name(number).to_string(), version.map(str::to_owned))).collect()
}

/// A right that is gone when its command is written does nothing, and holds up nobody beside it.
#[tokio::test(start_paused = true)]
async fn a_command_whose_right_is_gone_does_not_act_and_what_comes_with_it_does() {
    let app = App::demo().await;
    app.target.act("s0000.prepare", Act::Hang);
    let id = app.deploy("1.0.0").await.expect("accepted");
    app.until(id, |state| state.phase == Phase::Running).await;
    let right = |user: &str| Right {
        user: user.parse().expect("valid"),
        token: None,
        permission: Permission::Operate,
        on: Scope::default(),
    };
    let (gone, kept) = (right("gone"), right("kept"));
    app.store.withdraw(&gone.user);
    let by = |right: &Right| lockstep_model::deployment::Actor { user: right.user.clone(), ..actor() };
    let pause = Command::Pause { by: by(&gone), reason: None };
    let cancel = Command::Cancel { by: by(&kept), reason: None, keep: false };
    let (refused, done) = tokio::join!(
        app.coordinator.deployment_command_by(id, pause, "/deployment/pause", Some(gone)),
        app.coordinator.deployment_command_by(id, cancel, "/deployment/cancel", Some(kept)),
    );
    assert!(matches!(refused, Err(Refused::Withdrawn(_))), "{refused:?}");
    done.expect("done all the same");
    app.end(id).await;
    let audit = app.store.audit();
    assert!(audit.iter().any(|line| line.action == "/deployment/cancel"), "{audit:?}");
    assert!(!audit.iter().any(|line| line.action == "/deployment/pause"), "{audit:?}");

    let wished = lockstep_coordinator::By { right: Some(right("gone")), ..actor().into() };
    let refused = app.coordinator.deployment_start(wished, wish("2.0.0")).await;
    assert!(matches!(refused, Err(Refused::Withdrawn(_))), "{refused:?}");
    app.keeps_every_promise().await;
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
        services: Vec::new(),
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
        services: Vec::new(),
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
        let cancel = Command::Cancel { by: actor(), reason: None, keep: false };
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
    app.keeps_every_promise().await;
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
    let late = Timestamp(i64::MAX);
    let claim = app.store.deployment_claim(id, "somebody else", late).await.expect("answered");
    assert!(matches!(claim, Claim::Owned(_)), "{claim:?}");
    let before = app.store.journal(id);
    let cancel = Command::Cancel { by: actor(), reason: None, keep: false };
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
    let report = verify::check(&*app.store, &[poisoned, healthy]).await.expect("readable");
    assert!(!report.broken.is_empty() && report.broken.iter().all(|(id, _)| *id == poisoned), "{report:?}");
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

fn with_queue(policy: QueuePolicy) -> Manifest {
    let mut shape = manifest(3, &[], &process_spec());
    for environment in shape.environments.values_mut() {
        environment.queue = policy;
    }
    shape
}

fn committed_at(version: &str, commit_time: i64) -> StartDeployment {
    let source = Source { commit_time: Some(Timestamp(commit_time)), ..Source::default() };
    StartDeployment { source, ..wish(version) }
}

/// A first deployment that is live until `free` is called.
async fn occupied(app: &App) -> DeploymentId {
    app.target.act("s0000.prepare", Act::Hang);
    let live = app.deploy("1.0.0").await.expect("accepted");
    app.until(live, |state| state.phase == Phase::Running).await;
    live
}

async fn free(app: &App, live: DeploymentId) {
    app.target.act("s0000.prepare", Act::Succeed);
    let cancel = Command::Cancel { by: actor(), reason: None, keep: false };
    app.coordinator.deployment_command(live, cancel, "/deployment/cancel").await.expect("accepted");
    app.end(live).await;
}

#[tokio::test(start_paused = true)]
async fn the_older_commit_begins_first_whoever_asked_first() {
    let app = App::with(with_queue(QueuePolicy::Fifo)).await;
    let live = occupied(&app).await;
    let newer = app.coordinator.deployment_start(actor(), committed_at("1.2.0", 20)).await.expect("waits");
    let older = app.coordinator.deployment_start(actor(), committed_at("1.1.0", 10)).await.expect("waits");
    let why = app.coordinator.waits_for(newer).await.expect("it waits");
    assert!(why.contains(&format!("deployment {live} is live here (running)")), "{why}");
    free(&app, live).await;
    let (newer, older) = (app.end(newer).await, app.end(older).await);
    assert_eq!((newer.phase, older.phase), (Phase::Succeeded, Phase::Succeeded));
    assert_eq!(app.serves().await, all_serve(Some("1.2.0")), "the newest is what serves in the end");
}

#[tokio::test(start_paused = true)]
async fn an_older_commit_that_comes_late_gives_its_place_to_the_newer_one() {
    let app = App::with(with_queue(QueuePolicy::Supersede)).await;
    let live = occupied(&app).await;
    let newer = app.coordinator.deployment_start(actor(), committed_at("1.2.0", 20)).await.expect("waits");
    let older = app.coordinator.deployment_start(actor(), committed_at("1.1.0", 10)).await.expect("waits");
    assert_eq!(app.end(older).await.phase, Phase::Superseded);
    let by = app.store.journal(older).pop().map(|last| last.event);
    assert_eq!(by, Some(Event::Superseded { by: newer }));
    free(&app, live).await;
    assert_eq!(app.end(newer).await.phase, Phase::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn what_is_superseded_stays_so_when_the_coordinator_dies_right_after_the_newer_was_made() {
    let mut app = App::with(with_queue(QueuePolicy::Supersede)).await;
    let live = occupied(&app).await;
    let older = app.deploy("1.1.0").await.expect("waits");
    app.until(older, |state| state.phase == Phase::Queued).await;
    let newer = app.deploy("1.2.0").await.expect("waits");
    app.crash().await;
    free(&app, live).await;
    assert_eq!(app.end(older).await.phase, Phase::Superseded);
    assert_eq!(app.end(newer).await.phase, Phase::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_restore_begins_also_where_restrictions_cannot_be_read() {
    let app = App::demo().await;
    let first = app.deploy("1.0.0").await.expect("accepted");
    app.end(first).await;
    let live = occupied(&app).await;
    let waiting = app.deploy("1.1.0").await.expect("waits");
    let request = RollbackDeployment {
        services: Vec::new(),
        id: Some(first),
        project: None,
        environment: None,
        reason: None,
        idempotency_key: None,
    };
    let restore = app.coordinator.deployment_rollback(actor(), request).await.expect("waits");
    app.store.restrictions_unreadable(true);
    free(&app, live).await;
    assert_eq!(app.end(restore).await.phase, Phase::Succeeded);
    assert_eq!(app.load(waiting).await.phase, Phase::Queued, "nothing fails open");
    let why = app.coordinator.waits_for(waiting).await.expect("it waits");
    assert!(why.contains("cannot be read"), "{why}");
    app.store.restrictions_unreadable(false);
    assert_eq!(app.end(waiting).await.phase, Phase::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_read_keeps_its_environment_closed_and_everybody_is_told_why() {
    let mut app = App::demo().await;
    let live = occupied(&app).await;
    let waiting = app.deploy("1.1.0").await.expect("waits");
    app.store.damage(live);
    app.target.act("s0000.prepare", Act::Succeed);
    app.crash().await;
    // Longer than it takes until it is tried again.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(app.load(waiting).await.phase, Phase::Queued);
    let why = app.coordinator.waits_for(waiting).await.expect("it waits");
    let refused = app.deploy("1.2.0").await.expect_err("closed").to_string();
    for said in [why, refused] {
        assert!(said.contains(&format!("deployment {live} cannot be read")), "{said}");
    }
    let cancel = Command::Cancel { by: actor(), reason: None, keep: false };
    let refused = app.coordinator.deployment_command(live, cancel, "/deployment/cancel").await;
    let said = refused.expect_err("it cannot be read").to_string();
    assert!(said.contains("set aside") && !said.contains("has ended"), "{said}");
}

fn abandon(id: DeploymentId, environment: &str) -> AbandonDeployment {
    AbandonDeployment {
        id,
        reason: "the disk is broken".to_owned(),
        confirm: environment.parse().expect("valid"),
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_read_is_given_up_by_name_and_the_next_one_is_told() {
    let mut app = App::demo().await;
    let live = occupied(&app).await;
    // What can be read is not given up.
    let refused = app.coordinator.deployment_abandon(actor(), abandon(live, "staging")).await;
    assert!(refused.expect_err("it can be read").to_string().contains("resolve"));
    let waiting = app.deploy("1.1.0").await.expect("waits");
    app.store.damage(live);
    app.target.act("s0000.prepare", Act::Succeed);
    app.crash().await;
    let said = app.coordinator.unreadable(live).await.expect("readable").expect("it is set aside");
    assert!(said.contains("set aside") && said.contains(&format!("lockstep abandon {live}")), "{said}");

    let refused = app.coordinator.deployment_abandon(actor(), abandon(live, "production")).await;
    assert!(refused.expect_err("another name").to_string().contains("staging"));
    assert_eq!(app.load(waiting).await.phase, Phase::Queued);
    app.coordinator.deployment_abandon(actor(), abandon(live, "staging")).await.expect("given up");
    assert_eq!(app.coordinator.quarantined(), []);
    let said = app.coordinator.unreadable(live).await.expect("readable").expect("it was given up");
    assert!(said.contains("gave it up: the disk is broken"), "{said}");
    let entry = app.store.audit().into_iter().find(|entry| entry.action == "/deployment/abandon");
    let entry = entry.expect("recorded");
    assert_eq!(entry.target, format!("deployment {live}"));
    assert!(entry.reason.is_some_and(|reason| reason.starts_with("the disk is broken")));
    assert!(app.store.effect_pending(live).await.expect("readable").is_empty());

    // What serves is not known, until the next one has deployed it.
    let warned = app.coordinator.plan(&wish("1.2.0")).await.expect("a plan").warnings;
    let of_it = format!("since deployment {live} was given up");
    assert!(warned.iter().any(|one| one.message.contains(&of_it)), "{warned:?}");
    assert_eq!(app.end(waiting).await.phase, Phase::Succeeded);
    assert_eq!(app.store.unsure_list(None, None).await.expect("readable"), []);
    // A second time, and after a start, there is nothing to give up.
    app.crash().await;
    assert_eq!(app.coordinator.quarantined(), []);
    let refused = app.coordinator.deployment_abandon(actor(), abandon(live, "staging")).await;
    assert!(refused.expect_err("it has ended").to_string().contains("ended already"));
    let report = verify::check(&*app.store, &[live, waiting]).await.expect("readable");
    assert!(report.broken.iter().all(|(id, _)| *id == live), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_word_closes_is_closed_after_a_crash_as_well() {
    let mut spec = canary_spec(&[10, 100]);
    spec.rollback.auto = false;
    let mut app = App::with(manifest(3, &[(1, 0), (2, 1)], &spec)).await;
    let id = app.deploy("1.0.0").await.expect("accepted");
    assert_eq!(app.end(id).await.phase, Phase::Succeeded);
    app.target.act("s0000.watch-10", Act::Fail);
    let id = app.deploy("1.1.0").await.expect("accepted");
    app.until(id, |state| state.phase == Phase::NeedsOperator).await;
    app.target.act("close s0000", Act::Hang);
    let (outcome, reason) = (Resolution::RolledBack, "seen".to_owned());
    let word = Command::Resolve { by: actor(), outcome, reason, leave: false };
    app.coordinator.deployment_command(id, word.clone(), "/deployment/resolve").await.expect("accepted");
    app.crash().await;
    app.until(id, Deployment::is_closing).await;
    let again = app.coordinator.deployment_command(id, word, "/deployment/resolve").await;
    assert!(again.expect_err("it is being closed").to_string().contains("--leave-traffic"));
    app.target.act("close s0000", Act::Succeed);
    app.crash().await;
    assert_eq!(app.end(id).await.phase, Phase::RolledBack);
    let closed: Vec<String> =
        app.target.ledger().into_iter().filter(|entry| entry.contains("/close/")).collect();
    assert!(
        closed.len() >= 2 && closed.iter().all(|key| *key == format!("d{id}/close/s0000/1/")),
        "{closed:?}"
    );
    let report = verify::check(&*app.store, &[id]).await.expect("readable");
    assert_eq!(report.broken, []);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_lost_again_and_again_is_begun_three_times_and_then_taken_back() {
    let app = App::demo().await;
    app.target.act("s0000.shift", Act::Lose);
    let id = app.deploy("1.0.0").await.expect("accepted");
    let state = app.end(id).await;
    assert_eq!(state.phase, Phase::RolledBack);
    assert!(state.failure.is_some_and(|failure| failure.reason.contains("begun 3 times")));
    let of_shift = format!("d{id}/s0000.shift/");
    let ledger = app.target.ledger();
    let tries: Vec<&String> = ledger.iter().filter(|entry| entry.starts_with(&of_shift)).collect();
    assert_eq!(tries, [&format!("{of_shift}1/"), &format!("{of_shift}2/"), &format!("{of_shift}3/")]);
}

#[tokio::test(start_paused = true)]
async fn a_target_is_asked_what_became_of_a_lost_step_and_an_operator_where_it_cannot_tell() {
    let mut shape = manifest(1, &[], &process_spec());
    for environment in shape.environments.values_mut() {
        environment.on_unknown = Some(lockstep_model::manifest::OnUnknown::Probe);
    }
    let one = |version: &str| StartDeployment {
        services: BTreeMap::from([(service_name(0), Some(version.parse().expect("valid")))]),
        ..wish(version)
    };
    let mut app = App::with(shape).await;
    app.target.act("s0000.shift", Act::Lose);
    let found = app.coordinator.deployment_start(actor(), one("1.0.0")).await.expect("accepted");
    assert_eq!(app.end(found).await.phase, Phase::Succeeded, "the target says that it is done");
    assert_eq!(app.serves().await.remove("s0000"), Some(Some("1.0.0".to_owned())));

    app.target.act("probe s0000.shift", Act::Lose);
    let asked = app.coordinator.deployment_start(actor(), one("1.1.0")).await.expect("accepted");
    let state = app.until(asked, |state| state.phase == Phase::NeedsOperator).await;
    assert!(state.asks_forward());
    app.crash().await;
    let state = app.load(asked).await;
    assert!(state.operator_reason.is_some_and(|reason| reason.contains("nobody knows how it ended")));
    app.target.act("s0000.shift", Act::Succeed);
    let step = "s0000.shift".parse().expect("valid");
    let retry = Command::RetryStep { step, by: actor() };
    app.coordinator.deployment_command(asked, retry, "/deployment/retry").await.expect("accepted");
    assert_eq!(app.end(asked).await.phase, Phase::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_is_not_given_its_whole_limit_again_by_the_next_coordinator() {
    let mut app = App::demo().await;
    app.target.act("s0000.prepare", Act::Hang);
    let id = app.deploy("1.0.0").await.expect("accepted");
    app.until(id, |state| state.steps.iter().any(|step| step.attempt > 0)).await;
    app.until(id, |state| state.phase == Phase::Running).await;
    // The limit of a step is 60 s.
    app.clock.advance_ms(55_000);
    app.crash().await;
    let taken_up = tokio::time::Instant::now();
    app.until(id, |state| state.failure.is_some()).await;
    assert!(taken_up.elapsed() < Duration::from_secs(10), "{:?}", taken_up.elapsed());
    assert_eq!(app.end(id).await.phase, Phase::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_says_no_and_has_it_all_the_same_is_believed_by_what_it_has() {
    for fails in [false, true] {
        let undisturbed = run_with_fault(None, fails).await;
        for number in 1..16 {
            let app = App::demo().await;
            let first = app.deploy("1.0.0").await.expect("accepted");
            app.end(first).await;
            if fails {
                app.target.act("s0001.verify", Act::Fail);
            }
            let at = app.store.commits() + number;
            app.store.fail(at, Fault::LostAnswer);
            let keyed = StartDeployment { idempotency_key: Some("once".to_owned()), ..wish("1.1.0") };
            let second = match app.coordinator.deployment_start(actor(), keyed.clone()).await {
                Ok(id) => id,
                // It is there all the same: asking again with the same key finds it.
                Err(Refused::Store(_)) if number == 1 => {
                    app.coordinator.deployment_start(actor(), keyed).await.expect("found")
                }
                Err(refused) => panic!("{refused}"),
            };
            app.until(second, |state| state.phase != Phase::Queued).await;
            let phase = app.end(second).await.phase;
            assert_eq!((phase, app.serves().await), undisturbed, "commit {number}, failing: {fails}");
            let broken = lockstep_engine::verify::verify(&app.store.journal(second));
            assert_eq!(broken, [], "commit {number}, failing: {fails}");
        }
    }
}
