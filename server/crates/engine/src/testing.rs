//! Builders for tests: a manifest of a shape, a deployment in a phase, and one entry point,
//! [`check`], through which every transition is tested.

use crate::{
    Command, Decision, Effect, Refusal, StepOutcome, UndoOutcome, apply, decide,
    plan::{PlanInput, Wish, plan},
    replay,
};
use lockstep_model::{
    Digest, EnvironmentName, Seq, ServiceName, Timestamp,
    approval::Author,
    deployment::{Actor, Deployment, Failure, Phase, Request, Source, StepState},
    event::{Envelope, Event, Finding},
    manifest::{
        Canary, CanaryStep, CommandTarget, Condition, DegradedPolicy, Environment, GatewaySpec, Manifest,
        OnUnknownSpec, ProcessTarget, QueuePolicy, RestartBudget, RollbackScope, RollbackSpec, Service,
        ServiceSpec, Strategy, Target,
    },
    plan::{Checkpoint, Serving},
};
use std::{collections::BTreeMap, sync::Arc};

/// All final phases.
pub const FINAL_PHASES: [Phase; 5] =
    [Phase::Succeeded, Phase::RolledBack, Phase::Failed, Phase::Cancelled, Phase::Superseded];

/// Decisions that a deployment is asked for, for each of its steps, before it is said that it never comes
/// to rest. The longest stories of the tests need a tenth of it.
const DECISIONS_PER_STEP_MAX: usize = 200;

/// The environment of all test manifests.
pub fn staging() -> EnvironmentName {
    "staging".parse().expect("valid")
}

/// Somebody.
pub fn actor() -> Actor {
    Actor { user: "anna".parse().expect("valid"), via: "test".to_owned(), address: None }
}

/// Some digest.
pub fn digest() -> Digest {
    format!("sha256:{}", "0".repeat(64)).parse().expect("valid")
}

/// The service number `number`.
pub fn service_name(number: usize) -> ServiceName {
    format!("s{number:04}").parse().expect("valid")
}

/// A blue-green process that is watched.
pub fn process_spec() -> ServiceSpec {
    ServiceSpec {
        target: Target::Process(ProcessTarget {
            command: vec!["run".to_owned()],
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            workdir: None,
            gateway: None,
            stop_grace_ms: 1_000,
            keep_old_ms: 60_000,
            restart: RestartBudget { max: 3, window_ms: 60_000, backoff_ms: 100 },
        }),
        artifact: None,
        version: Some("1.0.0".parse().expect("valid")),
        healthcheck: None,
        verify: Vec::new(),
        strategy: Strategy::BlueGreen,
        step_timeout_ms: 60_000,
        watch_ms: 1_000,
        rollback: RollbackSpec {
            auto: true,
            scope: RollbackScope::Release,
            with: Vec::new(),
            compatible_with_previous: false,
            hold_version: true,
            max_duration_ms: 120_000,
            guard_ms: lockstep_model::manifest::GUARD_MS,
        },
        service_timeout_ms: None,
        on_unknown: OnUnknownSpec::default(),
    }
}

/// A process behind a gateway that gets its traffic by these weights, each watched, the one before the
/// last verified as well.
pub fn canary_spec(weights: &[u32]) -> ServiceSpec {
    let mut spec = process_spec();
    if let Target::Process(process) = &mut spec.target {
        process.gateway = Some(GatewaySpec {
            listen: "127.0.0.1:1".to_owned(),
            host: None,
            preview: None,
            drain_timeout_ms: 0,
        });
    }
    let step = |(place, weight): (usize, &u32)| CanaryStep {
        weight: *weight,
        bake_ms: 1_000,
        verify: if place + 2 == weights.len() { vec!["smoke".to_owned()] } else { Vec::new() },
    };
    let steps = weights.iter().enumerate().map(step).collect();
    spec.strategy = Strategy::Canary(Canary { steps, sticky: None });
    spec
}

/// A command that does nothing and can be undone.
pub fn command_spec() -> ServiceSpec {
    ServiceSpec {
        target: Target::Command(CommandTarget {
            deploy: vec!["true".to_owned()],
            observe: None,
            undo: Some(vec!["true".to_owned()]),
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            workdir: None,
            timeout_ms: 60_000,
            address: None,
        }),
        strategy: Strategy::Recreate,
        watch_ms: 0,
        ..process_spec()
    }
}

/// A manifest with one environment, `count` services of `spec`, and `edges` from dependant to
/// dependency.
pub fn manifest(count: usize, edges: &[(usize, usize)], spec: &ServiceSpec) -> Manifest {
    let mut services: BTreeMap<ServiceName, Service> = (0..count)
        .map(|number| {
            let environments = BTreeMap::from([(staging(), spec.clone())]);
            (service_name(number), Service { team: None, depends_on: BTreeMap::new(), environments })
        })
        .collect();
    for (dependant, dependency) in edges {
        if let Some(service) = services.get_mut(&service_name(*dependant)) {
            service.depends_on.insert(service_name(*dependency), Condition::Healthy);
        }
    }
    let environment = Environment {
        degraded: DegradedPolicy::Warn,
        queue: QueuePolicy::Fifo,
        max_parallel: 64,
        deployment_timeout_ms: 900_000,
        require_rollback: false,
        freeze: Vec::new(),
        promotion: None,
        on_unknown: None,
        approvals: None,
        skip_verification: None,
    };
    Manifest {
        project: "shop".parse().expect("valid"),
        default_environment: Some(staging()),
        environments: BTreeMap::from([(staging(), environment)]),
        services,
    }
}

/// What served before everything: version 0.9.0 of every service of `manifest`.
pub fn serving(manifest: &Manifest) -> BTreeMap<ServiceName, Serving> {
    manifest
        .services
        .iter()
        .map(|(name, service)| {
            let serving = Serving {
                revision: format!("{name}-d1-a1").parse().expect("valid"),
                version: "0.9.0".parse().expect("valid"),
                deployment: lockstep_model::DeploymentId(1),
                spec: service.environments[&staging()].clone(),
                artifact: None,
            };
            (name.clone(), serving)
        })
        .collect()
}

/// A deployment and the journal that led to it.
#[derive(Debug, Clone)]
pub struct Story {
    state: Deployment,
    journal: Vec<Envelope>,
    pending: Vec<Effect>,
    now: Timestamp,
    decisions: usize,
}

impl Story {
    /// A release of all services of `manifest`, where `serving` serves.
    ///
    /// # Panics
    /// When there is no plan.
    pub fn of(manifest: &Manifest, serving: BTreeMap<ServiceName, Serving>) -> Self {
        Self::wish(manifest, serving, Wish::Release(BTreeMap::new()))
    }

    /// A deployment with a wish.
    ///
    /// # Panics
    /// When there is no plan.
    pub fn wish(manifest: &Manifest, serving: BTreeMap<ServiceName, Serving>, wish: Wish) -> Self {
        let plan = plan(&PlanInput {
            manifest,
            digest: &digest(),
            environment: &staging(),
            wish,
            serving,
            artifacts: BTreeMap::new(),
            secrets: Default::default(),
            accept_no_rollback: true,
            skip_verification: false,
        })
        .expect("a plan");
        let request = Request {
            by: actor(),
            reason: None,
            source: Source::default(),
            accept_no_rollback: true,
            asks: None,
            author: None,
        };
        let now = Timestamp(1_000);
        let first =
            Envelope { seq: Seq(1), at: now, event: Event::Requested { request, plan: Arc::new(plan) } };
        let state = replay([first.clone()]).expect("a first event");
        Self { state, journal: vec![first], pending: Vec::new(), now, decisions: 0 }
    }

    /// `count` services, each depending on the one before; all serve 0.9.0.
    pub fn chain(count: usize) -> Self {
        let edges: Vec<(usize, usize)> = (1..count).map(|number| (number, number - 1)).collect();
        let manifest = manifest(count, &edges, &process_spec());
        Self::of(&manifest, serving(&manifest))
    }

    /// A restore of `count` chained services to 0.9.0.
    pub fn restore(count: usize) -> Self {
        let edges: Vec<(usize, usize)> = (1..count).map(|number| (number, number - 1)).collect();
        let manifest = manifest(count, &edges, &process_spec());
        let checkpoints = serving(&manifest)
            .into_iter()
            .map(|(name, serving)| (name, Checkpoint { serving: Some(serving) }))
            .collect();
        let of = lockstep_model::DeploymentId(2);
        Self::wish(&manifest, serving(&manifest), Wish::Restore { of, checkpoints })
    }

    /// Says whose work it is, as if a rule had asked for it from the beginning.
    ///
    /// # Panics
    /// When its journal cannot be read.
    pub fn set_author(&mut self, author: Author) {
        if let Some(Event::Requested { request, .. }) = self.journal.first_mut().map(|first| &mut first.event)
        {
            request.author = Some(author);
        }
        self.state = replay(self.journal.iter().cloned()).expect("a journal");
    }

    /// The state.
    pub const fn state(&self) -> &Deployment {
        &self.state
    }

    /// The journal.
    pub fn journal(&self) -> &[Envelope] {
        &self.journal
    }

    /// Effects that nobody has answered yet.
    pub fn pending(&self) -> &[Effect] {
        &self.pending
    }

    /// Moves the clock.
    #[must_use]
    pub fn later_ms(mut self, duration_ms: u64) -> Self {
        self.now = self.now.plus_ms(duration_ms);
        self
    }

    /// Appends an event as it is.
    ///
    /// # Panics
    /// When it cannot follow.
    #[must_use]
    pub fn event(mut self, event: Event) -> Self {
        self.record(event);
        self
    }

    fn record(&mut self, event: Event) {
        let envelope = Envelope { seq: self.state.seq.next(), at: self.now, event };
        self.state = apply(self.state.clone(), &envelope).expect("a legal event");
        self.journal.push(envelope);
    }

    /// Tells the deployment something, and then to proceed as far as it can.
    ///
    /// # Panics
    /// When it refuses, or never comes to rest.
    pub fn tell(&mut self, command: Command) {
        self.decide(command);
        while self.decide(Command::Proceed) {}
    }

    fn decide(&mut self, command: Command) -> bool {
        self.decisions += 1;
        let most = DECISIONS_PER_STEP_MAX * self.state.steps.len().max(1);
        assert!(self.decisions <= most, "it never comes to rest: {:?}", self.journal.last());
        let decision = decide(&self.state, command, self.now).expect("no refusal");
        let something = !decision.is_nothing();
        for event in decision.events {
            self.record(event);
        }
        self.pending.extend(decision.effects);
        something
    }

    /// Its turn comes.
    #[must_use]
    pub fn started(mut self) -> Self {
        self.tell(Command::Start);
        self
    }

    /// Answers one effect: a step with `outcome`, an undo or a stop well.
    pub fn answer(&mut self, effect: Effect, outcome: StepOutcome) {
        self.pending.retain(|pending| *pending != effect);
        match effect {
            Effect::RunStep { step, attempt } => self.tell(Command::FinishStep { step, attempt, outcome }),
            Effect::StopStep { step, attempt } => {
                let outcome = StepOutcome::Unknown { reason: "stopped".to_owned() };
                self.pending.retain(|pending| *pending != Effect::RunStep { step, attempt });
                self.tell(Command::FinishStep { step, attempt, outcome });
            }
            Effect::ProbeStep { step, attempt } => {
                let finding = Finding::Done { evidence: Vec::new() };
                self.tell(Command::FinishProbe { step, attempt, finding });
            }
            Effect::UndoStep { step, attempt } => {
                let outcome = UndoOutcome::Undone { evidence: Vec::new() };
                self.tell(Command::FinishUndo { step, attempt, outcome });
            }
            Effect::Close { service, attempt } => {
                self.tell(Command::FinishClose { service, attempt, outcome: Ok(()) });
            }
        }
    }

    /// Answers one undo with what is told.
    pub fn answer_undo(&mut self, effect: Effect, told: Command) {
        self.pending.retain(|pending| *pending != effect);
        self.tell(told);
    }

    /// A good outcome of an effect, with the checkpoint that a preflight takes.
    pub fn good(&self, effect: Effect) -> StepOutcome {
        let checkpoint = match effect {
            Effect::RunStep { step, .. } => {
                let planned = &self.state.plan.steps[step as usize];
                let service = &self.state.plan.services[planned.service as usize];
                (planned.kind == lockstep_model::plan::StepKind::Preflight)
                    .then(|| Checkpoint { serving: service.from.clone() })
            }
            Effect::StopStep { .. }
            | Effect::ProbeStep { .. }
            | Effect::UndoStep { .. }
            | Effect::Close { .. } => None,
        };
        StepOutcome::Succeeded { evidence: Vec::new(), checkpoint }
    }

    /// Answers everything well until nothing is pending.
    #[must_use]
    pub fn run_to_the_end(mut self) -> Self {
        while let Some(effect) = self.next_effect() {
            let outcome = self.good(effect);
            self.answer(effect, outcome);
        }
        self
    }

    /// Answers everything well, but the step `failing` with a failure.
    #[must_use]
    pub fn run_failing(mut self, failing: u32) -> Self {
        while let Some(effect) = self.next_effect() {
            let fails = matches!(effect, Effect::RunStep { step, .. } if step == failing);
            let outcome = if fails {
                StepOutcome::Failed { reason: "broken".to_owned(), evidence: Vec::new() }
            } else {
                self.good(effect)
            };
            self.answer(effect, outcome);
        }
        self
    }

    /// The next effect to answer: stops first, as they are waited for.
    pub fn next_effect(&self) -> Option<Effect> {
        let stop = self.pending.iter().find(|effect| matches!(effect, Effect::StopStep { .. }));
        stop.or_else(|| self.pending.first()).copied()
    }

    /// Steps in `state`.
    pub fn steps_in(&self, state: StepState) -> Vec<u32> {
        (0u32..).zip(&self.state.steps).filter(|(_, s)| s.state == state).map(|(step, _)| step).collect()
    }
}

/// A deployment of one service in `phase`, with nothing running.
///
/// # Panics
/// Never.
pub fn in_phase(phase: Phase) -> Deployment {
    let story = Story::chain(1);
    let failure =
        || Failure { step: None, service: None, version: None, reason: "test".to_owned(), by: None };
    let running = |story: Story| story.event(Event::Started);
    let paused = || Event::Paused { by: actor(), reason: None };
    let back = |story: Story| running(story).event(Event::FailureDetected { failure: failure() });
    let story = match phase {
        Phase::Queued => story,
        Phase::Running => running(story),
        Phase::Paused => running(story).event(paused()),
        Phase::RollingBack => back(story),
        Phase::NeedsOperator => {
            back(story).event(Event::OperatorNeeded { reason: "test".to_owned(), failure: None })
        }
        Phase::Succeeded => running(story).event(Event::ReleaseCommitted),
        Phase::RolledBack => back(story).event(Event::RolledBack),
        Phase::Failed => back(story).event(Event::Failed),
        Phase::Cancelled => story.event(Event::Cancelled),
        Phase::Superseded => story.event(Event::Superseded { by: lockstep_model::DeploymentId(9) }),
    };
    story.state
}

/// Checks what `given` answers to `command`.
///
/// # Panics
/// When it answers something else, or its events cannot follow.
#[track_caller]
pub fn check(given: &Deployment, command: Command, events: &[Event], effects: &[Effect]) {
    let decision = decide(given, command, Timestamp(2_000)).expect("no refusal");
    assert_eq!(decision, Decision { events: events.to_vec(), effects: effects.to_vec() });
    let mut state = given.clone();
    for event in decision.events {
        let envelope = Envelope { seq: state.seq.next(), at: Timestamp(2_000), event };
        state = apply(state, &envelope).expect("the decided events can follow");
    }
}

/// Checks that `given` refuses `command` with `refusal`.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn check_refusal(given: &Deployment, command: Command, refusal: &Refusal) {
    assert_eq!(decide(given, command, Timestamp(2_000)).as_ref(), Err(refusal));
}
