//! Steps and undos as orders, on a host that exists in memory only: what it runs, what has the
//! traffic, and what each revision and command answers is said by the test.

use async_trait::async_trait;
use lockstep_engine::{
    StepOutcome, UndoOutcome,
    plan::{PlanInput, Wish, plan},
    port::{Host, HostError, HostOrder, Job, Target as _},
    testing::{command_spec, digest, manifest, process_spec, serving, staging},
};
use lockstep_model::{
    Attempt, DeploymentId, Epoch, RevisionId, Timestamp,
    gateway::{Backend, Route},
    health::{Evidence, Health},
    manifest::{Check, CheckKind, GatewaySpec, HealthCheck, ServiceSpec, Strategy, Target},
    plan::{Checkpoint, Plan, Serving, StepKind},
    wire::{Exit, Observed, ObservedRevision, Order, Outcome, ProbeTo, RevisionSpec},
};
use lockstep_targets::Targets;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

const OLD: &str = "s0000-d1-a1";
const NEW: &str = "s0000-d7-a1";

#[derive(Default)]
struct World {
    revisions: BTreeMap<RevisionId, RevisionSpec>,
    route: Option<Route>,
    /// What a revision answers; healthy when nothing is said.
    health: BTreeMap<RevisionId, Health>,
    /// Revisions whose process has ended.
    ended: Vec<RevisionId>,
    /// How often each new process was started again by itself.
    restarts: u32,
    /// What commands come to, by their first argument.
    exits: BTreeMap<String, (Exit, String)>,
    /// A gateway that answers "done" and does nothing.
    gateway_lies: bool,
    is_lost: bool,
    orders: Vec<HostOrder>,
}

/// A host in memory.
#[derive(Default)]
struct FakeHost(Mutex<World>);

impl FakeHost {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("not poisoned")
    }

    /// A host on which 0.9.0 serves.
    fn serving_old() -> Self {
        let host = Self::default();
        let before = before(&blue_green());
        let Target::Process(process) = before.spec.target.clone() else { panic!("a process") };
        let slot = job(&blue_green(), StepKind::Shift).slot();
        let spec = RevisionSpec {
            revision: before.revision.clone(),
            slot: slot.clone(),
            version: before.version,
            process,
            artifact: None,
        };
        host.world().revisions.insert(before.revision.clone(), spec);
        host.world().route = Some(Route {
            slot,
            listen: "127.0.0.1:1".to_owned(),
            host: None,
            backends: vec![backend(before.revision)],
            drain_timeout_ms: 0,
        });
        host
    }

    /// Orders that changed something, as words.
    fn changes(&self) -> Vec<String> {
        let word = |order: &Order| match order {
            Order::Start { revision } => Some(format!("start {}", revision.revision)),
            Order::Stop { revision, .. } => Some(format!("stop {revision}")),
            Order::Exec { spec } => Some(format!("run {}", spec.argv.join(" "))),
            Order::Route { weights, .. } => Some(match weights.first() {
                Some(weight) => format!("route {}", weight.revision),
                None => "route nobody".to_owned(),
            }),
            Order::Digest { .. } | Order::Probe { .. } | Order::Observe { .. } | Order::Gateway => None,
        };
        self.world().orders.iter().filter_map(|order| word(&order.order)).collect()
    }

    fn keys(&self) -> Vec<String> {
        self.world().orders.iter().map(|order| order.key.0.clone()).collect()
    }
}

fn backend(revision: RevisionId) -> Backend {
    Backend { revision, address: "127.0.0.1:2".to_owned(), weight: 100 }
}

#[async_trait]
impl Host for FakeHost {
    async fn order(&self, order: HostOrder) -> Result<Outcome, HostError> {
        let mut world = self.world();
        world.orders.push(order.clone());
        if world.is_lost {
            return Err(HostError::Lost { key: order.key, silent_ms: 60_000 });
        }
        Ok(match order.order {
            Order::Start { revision } => {
                world.revisions.insert(revision.revision.clone(), revision);
                Outcome::Started { port: 2, pid: 3 }
            }
            Order::Stop { revision, .. } => {
                world.revisions.remove(&revision);
                Outcome::Stopped { exit: None, killed: false }
            }
            Order::Exec { spec } => {
                let (exit, tail) = world.exits.get(&spec.argv[0]).cloned().unwrap_or_else(well);
                Outcome::Exited { exit, tail }
            }
            Order::Probe { spec } => {
                let ProbeTo::Revision { revision } = spec.to else { panic!("a revision is asked") };
                let health = world.health.get(&revision).copied().unwrap_or(Health::Healthy);
                let has_ended = world.ended.contains(&revision);
                Outcome::Probed {
                    evidence: evidence(&revision, health),
                    exit: has_ended.then_some(Exit::Code { code: 3 }),
                    restarts: world.restarts,
                }
            }
            Order::Route { slot, gateway, weights, .. } => {
                if !world.gateway_lies {
                    world.route = Some(Route {
                        slot,
                        listen: gateway.listen,
                        host: None,
                        backends: weights.into_iter().map(|weight| backend(weight.revision)).collect(),
                        drain_timeout_ms: 0,
                    });
                }
                Outcome::Routed { drained: true }
            }
            Order::Observe { .. } => {
                let revisions = world.revisions.values().map(|spec| ObservedRevision {
                    spec: spec.clone(),
                    running: true,
                    port: 2,
                    pid: Some(3),
                    exit: None,
                });
                let observed = Observed { revisions: revisions.collect(), route: world.route.clone() };
                Outcome::Observed { observed }
            }
            Order::Digest { path } => Outcome::Digest { digest: None, path },
            Order::Gateway => Outcome::Failed { message: "not asked here".to_owned() },
        })
    }

    async fn cancel(&self, _prefix: &str) {}
}

fn well() -> (Exit, String) {
    (Exit::Code { code: 0 }, String::new())
}

fn evidence(revision: &RevisionId, health: Health) -> Evidence {
    Evidence {
        at: Timestamp(1),
        check: "ready".to_owned(),
        address: revision.to_string(),
        code: Some(200),
        excerpt: "<html>".to_owned(),
        latency_ms: 1,
        health,
        reason: "the test says so".to_owned(),
    }
}

fn healthcheck() -> HealthCheck {
    HealthCheck {
        live: None,
        ready: Some("/ready".to_owned()),
        detail: None,
        interval_ms: 100,
        timeout_ms: 100,
        retries: 3,
        start_period_ms: 1_000,
    }
}

fn blue_green() -> ServiceSpec {
    let mut spec = ServiceSpec { healthcheck: Some(healthcheck()), ..process_spec() };
    if let Target::Process(process) = &mut spec.target {
        process.gateway =
            Some(GatewaySpec { listen: "127.0.0.1:1".to_owned(), host: None, drain_timeout_ms: 0 });
    }
    spec
}

fn recreate() -> ServiceSpec {
    ServiceSpec { strategy: Strategy::Recreate, ..blue_green() }
}

/// A command that tells what serves.
fn command() -> ServiceSpec {
    let mut spec = command_spec();
    if let Target::Command(command) = &mut spec.target {
        command.deploy = vec!["deploy".to_owned(), "${VERSION}".to_owned()];
        command.observe = Some(vec!["observe".to_owned()]);
        command.undo = None;
    }
    spec
}

/// What served before: version 0.9.0 in revision [`OLD`].
fn before(spec: &ServiceSpec) -> Serving {
    serving(&manifest(1, &[], spec)).into_values().next().expect("one")
}

fn planned(spec: &ServiceSpec) -> Plan {
    let manifest = manifest(1, &[], spec);
    plan(&PlanInput {
        manifest: &manifest,
        digest: &digest(),
        environment: &staging(),
        wish: Wish::Release(BTreeMap::new()),
        serving: serving(&manifest),
        artifacts: BTreeMap::new(),
        accept_no_rollback: true,
    })
    .expect("a plan")
}

/// The step `kind` of deployment 7, which brings 1.0.0 where 0.9.0 served.
fn job(spec: &ServiceSpec, kind: StepKind) -> Job {
    let plan = planned(spec);
    let step = plan.steps.iter().position(|step| step.kind == kind).expect("the strategy has this step");
    Job {
        deployment: DeploymentId(7),
        epoch: Epoch(1),
        attempt: Attempt::FIRST,
        plan: Arc::new(plan),
        step: u32::try_from(step).expect("small"),
        checkpoint: Some(Checkpoint { serving: Some(before(spec)) }),
    }
}

fn reason(outcome: StepOutcome) -> String {
    match outcome {
        StepOutcome::Failed { reason, .. } => reason,
        other => panic!("it failed: {other:?}"),
    }
}

async fn run(spec: &ServiceSpec, kind: StepKind, host: &FakeHost) -> StepOutcome {
    Targets.run(&job(spec, kind), host).await
}

#[tokio::test(start_paused = true)]
async fn a_good_version_is_started_verified_and_given_the_traffic() {
    let host = FakeHost::serving_old();
    for kind in [StepKind::Preflight, StepKind::Prepare, StepKind::Verify, StepKind::Shift, StepKind::Watch] {
        let outcome = run(&blue_green(), kind, &host).await;
        assert!(matches!(outcome, StepOutcome::Succeeded { .. }), "{kind:?}: {outcome:?}");
    }
    assert_eq!(host.changes(), [format!("start {NEW}"), format!("route {NEW}")]);
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_is_what_has_the_traffic_and_not_what_somebody_remembers() {
    let host = FakeHost::serving_old();
    let mut by_hand = host.world().revisions.values().next().cloned().expect("one");
    by_hand.revision = "handmade".parse().expect("valid");
    by_hand.version = "0.9.5".parse().expect("valid");
    host.world().route.as_mut().expect("a route").backends = vec![backend(by_hand.revision.clone())];
    host.world().revisions.insert(by_hand.revision.clone(), by_hand);
    let outcome = run(&blue_green(), StepKind::Preflight, &host).await;
    let StepOutcome::Succeeded { checkpoint: Some(checkpoint), .. } = outcome else {
        panic!("a checkpoint: {outcome:?}")
    };
    assert_eq!(checkpoint.serving.expect("something").version.as_str(), "0.9.5");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_healthy_does_not_pass_and_is_told_as_it_was_seen_last() {
    for health in [Health::Unhealthy, Health::Unknown] {
        let host = FakeHost::serving_old();
        host.world().health.insert(NEW.parse().expect("valid"), health);
        let said = reason(run(&blue_green(), StepKind::Verify, &host).await);
        for part in ["3 probes in a row", "200", NEW, "<html>"] {
            assert!(said.contains(part), "{part} in: {said}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ended_or_was_started_again_by_itself_fails_at_once() {
    let host = FakeHost::serving_old();
    host.world().ended.push(NEW.parse().expect("valid"));
    let said = reason(run(&blue_green(), StepKind::Watch, &host).await);
    assert!(said.contains("exit code 3"), "{said}");
    let host = FakeHost::serving_old();
    host.world().restarts = 1;
    reason(run(&blue_green(), StepKind::Verify, &host).await);
    assert_eq!(host.world().orders.len(), 1, "no second look");
}

#[tokio::test(start_paused = true)]
async fn three_of_three_failed_probes_end_a_watch() {
    let host = FakeHost::serving_old();
    host.world().health.insert(NEW.parse().expect("valid"), Health::Unhealthy);
    let said = reason(run(&blue_green(), StepKind::Watch, &host).await);
    assert!(said.contains("3 of 3 probes failed"), "{said}");
    assert_eq!(host.world().orders.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_fails_names_itself() {
    let host = FakeHost::serving_old();
    host.world().exits.insert("smoke".to_owned(), (Exit::Code { code: 1 }, "no basket".to_owned()));
    let check = Check {
        name: "basket".to_owned(),
        kind: CheckKind::Command { run: vec!["smoke".to_owned()] },
        timeout_ms: 1_000,
    };
    let spec = ServiceSpec { verify: vec![check], ..blue_green() };
    let said = reason(run(&spec, StepKind::Verify, &host).await);
    assert!(said.contains("check 'basket' failed") && said.contains("no basket"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_agent_leaves_the_outcome_unknown() {
    let host = FakeHost::serving_old();
    host.world().is_lost = true;
    let outcome = run(&blue_green(), StepKind::Shift, &host).await;
    assert!(matches!(outcome, StepOutcome::Unknown { .. }), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_step_gives_the_same_orders_under_the_same_keys() {
    for kind in [StepKind::Prepare, StepKind::Shift] {
        let (first, second) = (FakeHost::serving_old(), FakeHost::serving_old());
        run(&blue_green(), kind, &first).await;
        run(&blue_green(), kind, &second).await;
        assert_eq!(first.keys(), second.keys());
        assert!(first.keys().iter().all(|key| key.starts_with("d7/s0000.")), "{:?}", first.keys());
    }
}

#[tokio::test(start_paused = true)]
async fn undoing_a_shift_verifies_the_old_one_before_it_gets_the_traffic_back() {
    let host = FakeHost::serving_old();
    run(&blue_green(), StepKind::Prepare, &host).await;
    run(&blue_green(), StepKind::Shift, &host).await;
    for _twice in 0..2 {
        let undone = Targets.undo(&job(&blue_green(), StepKind::Shift), &host).await;
        assert!(matches!(undone, UndoOutcome::Undone { .. }), "{undone:?}");
    }
    let back = [format!("start {OLD}"), format!("route {OLD}")];
    assert_eq!(host.changes()[2..], [back.clone(), back].concat());

    // One that is not well gets nothing.
    let host = FakeHost::serving_old();
    run(&blue_green(), StepKind::Shift, &host).await;
    host.world().health.insert(OLD.parse().expect("valid"), Health::Unhealthy);
    let undone = Targets.undo(&job(&blue_green(), StepKind::Shift), &host).await;
    assert!(matches!(undone, UndoOutcome::Failed { .. }), "{undone:?}");
    assert!(!host.changes().contains(&format!("route {OLD}")));
}

#[tokio::test(start_paused = true)]
async fn an_undo_believes_what_it_sees_and_not_what_it_is_told() {
    let host = FakeHost::serving_old();
    run(&blue_green(), StepKind::Shift, &host).await;
    host.world().gateway_lies = true;
    match Targets.undo(&job(&blue_green(), StepKind::Shift), &host).await {
        UndoOutcome::Failed { reason, .. } => {
            assert!(reason.contains(&format!("{NEW} has the traffic, and {OLD} should")), "{reason}");
        }
        other => panic!("it failed: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn replacing_closes_the_way_in_before_the_old_one_ends_and_undoing_does_the_reverse() {
    let host = FakeHost::serving_old();
    run(&recreate(), StepKind::Replace, &host).await;
    let there = ["route nobody", "stop s0000-d1-a1", "start s0000-d7-a1", "route s0000-d7-a1"];
    assert_eq!(host.changes(), there);
    let undone = Targets.undo(&job(&recreate(), StepKind::Replace), &host).await;
    assert!(matches!(undone, UndoOutcome::Undone { .. }), "{undone:?}");
    let back = ["route nobody", "stop s0000-d7-a1", "start s0000-d1-a1", "route s0000-d1-a1"];
    assert_eq!(host.changes()[4..], back);
}

#[tokio::test(start_paused = true)]
async fn what_has_the_traffic_is_never_retired() {
    let host = FakeHost::serving_old();
    let slot = job(&blue_green(), StepKind::Shift).slot();
    let serving = before(&blue_green());
    assert!(Targets.retire(&slot, &serving, "q", &host).await.is_err());
    run(&blue_green(), StepKind::Shift, &host).await;
    Targets.retire(&slot, &serving, "q", &host).await.expect("retired");
    assert_eq!(host.changes().last(), Some(&format!("stop {OLD}")));
}

#[tokio::test(start_paused = true)]
async fn what_a_host_forgot_is_brought_back_once() {
    let host = FakeHost::default();
    let slot = job(&blue_green(), StepKind::Shift).slot();
    let serving = before(&blue_green());
    assert_eq!(Targets.bring_back(&slot, &serving, "q", &host).await, Ok(true));
    assert_eq!(Targets.bring_back(&slot, &serving, "q", &host).await, Ok(false));
    assert_eq!(host.changes(), [format!("start {OLD}"), format!("route {OLD}")]);
}

#[tokio::test(start_paused = true)]
async fn a_command_succeeds_only_when_what_was_deployed_is_seen_to_serve() {
    let says = |version: &str| (Exit::Code { code: 0 }, format!("looking\n{version}\n"));
    let host = FakeHost::default();
    host.world().exits.insert("observe".to_owned(), says("1.0.0"));
    let outcome = run(&command(), StepKind::Replace, &host).await;
    assert!(matches!(outcome, StepOutcome::Succeeded { .. }), "{outcome:?}");
    host.world().exits.insert("observe".to_owned(), says("0.9.0"));
    let said = reason(run(&command(), StepKind::Replace, &host).await);
    assert!(said.contains("0.9.0 serves, and 1.0.0 should"), "{said}");
    host.world().exits.insert("deploy".to_owned(), (Exit::Code { code: 4 }, "disk is full\n".to_owned()));
    let said = reason(run(&command(), StepKind::Replace, &host).await);
    assert!(said.contains("exit code 4") && said.contains("disk is full"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_command_without_undo_goes_back_by_deploying_what_served() {
    let host = FakeHost::default();
    host.world().exits.insert("observe".to_owned(), (Exit::Code { code: 0 }, "0.9.0".to_owned()));
    let undone = Targets.undo(&job(&command(), StepKind::Replace), &host).await;
    assert!(matches!(undone, UndoOutcome::Undone { .. }), "{undone:?}");
    let orders = host.world().orders.clone();
    let Order::Exec { spec } = &orders[0].order else { panic!("a command: {orders:?}") };
    assert_eq!(spec.argv[0], "deploy");
    assert_eq!(spec.version.as_str(), "0.9.0");
    assert_eq!(spec.env.get("LOCKSTEP_CHECKPOINT_VERSION").map(String::as_str), Some("0.9.0"));
}
