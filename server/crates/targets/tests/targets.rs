//! Steps and undos as orders, on a host that exists in memory only: what it runs, what has the
//! traffic, and what each revision and command answers is said by the test.

#[path = "targets/canary.rs"]
mod canary;
#[path = "targets/commands.rs"]
mod commands;
#[path = "targets/settled.rs"]
mod settled;

use async_trait::async_trait;
use lockstep_engine::{
    StepOutcome, UndoOutcome,
    plan::{PlanInput, Wish, plan},
    port::{Host, HostCancel, HostError, HostOrder, Job, Stopped, Target as _},
    testing::{command_spec, digest, manifest, process_spec, serving, staging},
};
use lockstep_model::{
    Attempt, DeploymentId, Epoch, RevisionId, Timestamp,
    event::Finding,
    gateway::{Backend, Route},
    health::{Evidence, Health},
    manifest::{Check, CheckKind, GatewaySpec, HealthCheck, ServiceSpec, Strategy, Target},
    plan::{Checkpoint, Plan, Serving, StepKind},
    wire::{Exit, Observed, ObservedRevision, Order, Outcome, ProbeTo, RevisionSpec},
};
use lockstep_targets::Targets;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

const OLD: &str = "s0000-d1-a1";
const NEW: &str = "s0000-d7-a1";

#[derive(Default)]
struct World {
    revisions: BTreeMap<RevisionId, RevisionSpec>,
    route: Option<Route>,
    preview: Option<Route>,
    /// What a revision answers; healthy when nothing is said.
    health: BTreeMap<RevisionId, Health>,
    /// What is answered before that, each once, whoever is asked.
    answers: VecDeque<Health>,
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
            sticky: None,
            drain_timeout_ms: 0,
        });
        host
    }

    /// Orders that changed something, as words.
    fn changes(&self) -> Vec<String> {
        let word = |order: &Order| match order {
            Order::Start { revision, .. } => Some(format!("start {}", revision.revision)),
            Order::Stop { revision, .. } => Some(format!("stop {revision}")),
            Order::Exec { spec, .. } => Some(format!("run {}", spec.argv.join(" "))),
            Order::Route { weights, .. } => Some(match weights.as_slice() {
                [] => "route nobody".to_owned(),
                [all] if all.weight == 100 => format!("route {}", all.revision),
                several => {
                    let shares = several.iter().map(|one| format!("{} {}", one.revision, one.weight));
                    format!("route {}", shares.collect::<Vec<_>>().join(" "))
                }
            }),
            Order::Preview { revision, listen, .. } => Some(match revision {
                Some(revision) => format!("show {revision} on {listen}"),
                None => "show nothing".to_owned(),
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
    share(revision, 100)
}

fn share(revision: RevisionId, weight: u32) -> Backend {
    Backend { revision, address: "127.0.0.1:2".to_owned(), weight }
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
            Order::Start { revision, .. } => {
                world.revisions.insert(revision.revision.clone(), revision);
                Outcome::Started { port: 2, pid: 3 }
            }
            Order::Stop { revision, .. } => {
                world.revisions.remove(&revision);
                Outcome::Stopped { exit: None, killed: false }
            }
            Order::Exec { spec, .. } => {
                let (exit, tail) = world.exits.get(&spec.argv[0]).cloned().unwrap_or_else(well);
                Outcome::Exited { exit, tail }
            }
            Order::Probe { spec } => {
                let ProbeTo::Revision { revision } = spec.to else { panic!("a revision is asked") };
                let usual = world.health.get(&revision).copied().unwrap_or(Health::Healthy);
                let health = world.answers.pop_front().unwrap_or(usual);
                let has_ended = world.ended.contains(&revision);
                Outcome::Probed {
                    evidence: evidence(&revision, health),
                    exit: has_ended.then_some(Exit::Code { code: 3 }),
                    restarts: world.restarts,
                }
            }
            Order::Route { slot, gateway, weights, sticky, .. } => {
                if !world.gateway_lies {
                    world.route = Some(Route {
                        slot,
                        listen: gateway.listen,
                        host: None,
                        backends: weights.into_iter().map(|one| share(one.revision, one.weight)).collect(),
                        sticky,
                        drain_timeout_ms: 0,
                    });
                }
                Outcome::Routed { drained: true }
            }
            Order::Preview { slot, listen, revision } => {
                world.preview = revision.map(|revision| Route {
                    slot,
                    listen,
                    host: None,
                    backends: vec![backend(revision)],
                    sticky: None,
                    drain_timeout_ms: 0,
                });
                Outcome::Routed { drained: true }
            }
            Order::Observe { .. } => {
                let revisions = world.revisions.values().map(|spec| ObservedRevision {
                    spec: spec.clone(),
                    running: true,
                    port: 2,
                    pid: Some(3),
                    exit: None,
                    restarts: 0,
                    given_up: false,
                });
                let (route, preview) = (world.route.clone(), world.preview.clone());
                let observed = Observed { revisions: revisions.collect(), route, preview };
                Outcome::Observed { observed: Box::new(observed) }
            }
            Order::Digest { path } => Outcome::Digest { digest: None, path },
            Order::Gateway => Outcome::Failed { message: "not asked here".to_owned() },
        })
    }

    async fn cancel(&self, _cancel: HostCancel) -> Stopped {
        Stopped::Confirmed
    }

    async fn secrets_try(
        &self,
        _: &lockstep_model::gateway::Slot,
        _: &lockstep_model::secrets::SecretSources,
    ) -> Result<(), String> {
        Ok(())
    }
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
        answer: "<html>\n".to_owned(),
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
        process.gateway = Some(GatewaySpec {
            listen: "127.0.0.1:1".to_owned(),
            host: None,
            preview: None,
            drain_timeout_ms: 0,
        });
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
        secrets: Default::default(),
        accept_no_rollback: true,
        skip_verification: false,
    })
    .expect("a plan")
}

/// The step `kind` of deployment 7, which brings 1.0.0 where 0.9.0 served.
fn job(spec: &ServiceSpec, kind: StepKind) -> Job {
    let plan = planned(spec);
    let step = plan.steps.iter().position(|step| step.kind == kind).expect("the strategy has this step");
    job_at(plan, step, spec)
}

fn job_at(plan: Plan, step: usize, spec: &ServiceSpec) -> Job {
    Job {
        deployment: DeploymentId(7),
        epoch: Epoch(1),
        attempt: Attempt::FIRST,
        plan: Arc::new(plan),
        step: u32::try_from(step).expect("small"),
        checkpoint: Some(Checkpoint { serving: Some(before(spec)) }),
        begun_ms: 0,
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
async fn the_whole_answer_is_for_the_last_look_and_not_for_the_journal() {
    let host = FakeHost::serving_old();
    let StepOutcome::Succeeded { evidence, .. } = run(&blue_green(), StepKind::Verify, &host).await else {
        panic!("it is well");
    };
    assert!(evidence.iter().all(|one| one.excerpt == "<html>" && one.answer.is_empty()), "{evidence:?}");
    host.world().health.insert(NEW.parse().expect("valid"), Health::Unhealthy);
    let StepOutcome::Failed { evidence, .. } = run(&blue_green(), StepKind::Verify, &host).await else {
        panic!("it is not well");
    };
    assert!(!evidence.is_empty() && evidence.iter().all(|one| one.answer.is_empty()), "{evidence:?}");
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
async fn a_shift_believes_what_it_sees_and_not_what_it_is_told() {
    for (spec, kind) in [(blue_green(), StepKind::Shift), (recreate(), StepKind::Replace)] {
        let host = FakeHost::serving_old();
        host.world().gateway_lies = true;
        let said = reason(run(&spec, kind, &host).await);
        assert!(said.contains(&format!("says that {OLD} has the traffic, and {NEW} should")), "{said}");
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
    // What is told to have the traffic and has not is a failure.
    let host = FakeHost::serving_old();
    host.world().gateway_lies = true;
    let said = reason(run(&recreate(), StepKind::Replace, &host).await);
    assert!(said.contains(&format!("{OLD} has the traffic, and {NEW} should")), "{said}");
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
async fn a_command_is_told_its_step_and_keeps_its_key_from_try_to_try() {
    let told = |job: Job, undo: bool| async move {
        let host = FakeHost::default();
        host.world().exits.insert("observe".to_owned(), (Exit::Code { code: 0 }, "1.0.0".to_owned()));
        if undo {
            Targets.undo(&job, &host).await;
        } else {
            Targets.run(&job, &host).await;
        }
        let Order::Exec { spec, .. } = host.world().orders[0].order.clone() else { panic!("a command") };
        let of = |name: &str| spec.env.get(&format!("LOCKSTEP_{name}")).cloned().unwrap_or_default();
        ["DEPLOYMENT", "STEP", "ATTEMPT", "IDEMPOTENCY_KEY"].map(of)
    };
    let first = job(&command(), StepKind::Replace);
    let (id, step) = (first.deployment, first.planned_step().id.clone());
    let second = Job { attempt: Attempt(2), ..first.clone() };
    let expected = |attempt: &str, key: String| [id.to_string(), step.to_string(), attempt.to_owned(), key];
    assert_eq!(told(first.clone(), false).await, expected("1", format!("d{id}/{step}")));
    assert_eq!(told(second, false).await, expected("2", format!("d{id}/{step}")));
    assert_eq!(told(first, true).await, expected("1", format!("d{id}/undo/{step}")));
}

async fn probed(spec: &ServiceSpec, kind: StepKind, host: &FakeHost) -> Finding {
    Targets.probe(&job(spec, kind), host).await
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_process_is_seen_by_what_runs_and_who_has_the_traffic() {
    for (spec, kind) in
        [(blue_green(), StepKind::Prepare), (blue_green(), StepKind::Shift), (recreate(), StepKind::Replace)]
    {
        let host = FakeHost::serving_old();
        let before = probed(&spec, kind, &host).await;
        let Finding::NotDone { reason } = before else { panic!("{kind:?}: {before:?}") };
        assert!(reason.contains(OLD), "{kind:?}: {reason}");
        assert_eq!(host.changes(), [] as [&str; 0], "to ask changes nothing");
        if kind == StepKind::Shift {
            run(&spec, StepKind::Prepare, &host).await;
            assert!(matches!(probed(&spec, kind, &host).await, Finding::NotDone { .. }), "without traffic");
        }
        run(&spec, kind, &host).await;
        let after = probed(&spec, kind, &host).await;
        let Finding::Done { evidence } = after else { panic!("{kind:?}: {after:?}") };
        assert!(evidence[0].reason.contains(NEW), "{kind:?}: {evidence:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_of_a_command_is_what_its_observing_one_says() {
    let host = FakeHost::default();
    let says = |line: &str| {
        host.world().exits.insert("observe".to_owned(), (Exit::Code { code: 0 }, format!("{line}\n")));
    };
    says("1.0.0");
    assert!(matches!(probed(&command(), StepKind::Replace, &host).await, Finding::Done { .. }));
    says("0.9.0");
    let found = probed(&command(), StepKind::Replace, &host).await;
    assert_eq!(found, Finding::NotDone { reason: "0.9.0 serves".to_owned() });
    let cannot = |found: Finding| match found {
        Finding::CannotTell { reason } => reason,
        other => panic!("it cannot be told: {other:?}"),
    };
    host.world().exits.insert("observe".to_owned(), (Exit::Code { code: 1 }, "no network".to_owned()));
    assert!(cannot(probed(&command(), StepKind::Replace, &host).await).contains("no network"));
    host.world().is_lost = true;
    assert!(cannot(probed(&command(), StepKind::Replace, &host).await).contains("not answered"));
    let mut blind = command();
    if let Target::Command(command) = &mut blind.target {
        command.observe = None;
    }
    let host = FakeHost::default();
    assert!(cannot(probed(&blind, StepKind::Replace, &host).await).contains("no observe command"));
}

#[tokio::test(start_paused = true)]
async fn the_same_version_again_cannot_be_told_from_the_one_before() {
    let host = FakeHost::default();
    host.world().exits.insert("observe".to_owned(), (Exit::Code { code: 0 }, "1.0.0\n".to_owned()));
    let mut job = job(&command(), StepKind::Replace);
    let before = Serving { version: "1.0.0".parse().expect("valid"), ..before(&command()) };
    job.checkpoint = Some(Checkpoint { serving: Some(before) });
    let found = Targets.probe(&job, &host).await;
    assert!(matches!(found, Finding::CannotTell { .. }), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_command_whose_end_was_lost_is_unknown_and_not_failed() {
    let host = FakeHost::default();
    host.world().exits.insert("deploy".to_owned(), (Exit::Lost, String::new()));
    let outcome = run(&command(), StepKind::Replace, &host).await;
    assert!(matches!(outcome, StepOutcome::Unknown { .. }), "{outcome:?}");
}
