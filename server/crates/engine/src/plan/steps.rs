//! Which steps a service has, in which order, and how each is undone: one table.

use lockstep_model::{
    StepId,
    manifest::{
        Canary, CanaryStep, CommandTarget, Condition, OnUnknown, ServiceSpec, Strategy, Target, WEIGHT_ALL,
    },
    plan::{Goal, PlannedService, PlannedStep, StepKind, Undo},
};

/// Time that a step gets beside the limits that are its own (watching, getting ready).
const STEP_SLACK_MS: u64 = 10_000;

/// What a step does, and at which share of the traffic.
type Kind = (StepKind, Option<u32>);

/// How the steps are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// What served is made to serve again.
    pub(super) restoring: bool,
    /// Nothing is looked at beyond whether it is up.
    pub(super) skips_verification: bool,
}

/// The kinds of steps of a service, in order. Without verification it is still waited until it is up:
/// traffic for what does not answer would be no deployment.
fn kinds(service: &PlannedService, manner: Manner) -> Vec<Kind> {
    let all = all_kinds(service);
    if !manner.skips_verification || !service.is_changed() {
        return all;
    }
    let is_up = |kind: StepKind| kind == StepKind::Verify && is_up_asked(&service.spec);
    let stays = |(kind, weight): &Kind| match kind {
        StepKind::Verify => weight.is_none() && is_up(*kind),
        // A canary keeps its pace.
        StepKind::Watch => shares_traffic(service),
        _ => true,
    };
    all.into_iter().filter(stays).collect()
}

/// All of them.
fn all_kinds(service: &PlannedService) -> Vec<Kind> {
    let spec = &service.spec;
    let serves = match &service.goal {
        Goal::Unchanged => return vec![(StepKind::Precondition, None)],
        Goal::Version { .. } => true,
        Goal::Checkpoint { checkpoint } => checkpoint.serving.is_some(),
    };
    let mut kinds = vec![StepKind::Preflight];
    match (&spec.strategy, serves) {
        (Strategy::Canary(canary), true) if shares_traffic(service) => {
            kinds.extend([StepKind::Prepare, StepKind::Verify]);
            let before = kinds.into_iter().map(|kind| (kind, None));
            return before.chain(canary.steps.iter().flat_map(unrolled)).collect();
        }
        (Strategy::BlueGreen | Strategy::Canary(_), true) => {
            kinds.extend([StepKind::Prepare, StepKind::Verify, StepKind::Shift]);
        }
        (Strategy::BlueGreen | Strategy::Canary(_), false) => kinds.push(StepKind::Shift),
        (Strategy::Recreate, true) if is_verified(spec) => {
            kinds.extend([StepKind::Replace, StepKind::Verify]);
        }
        (Strategy::Recreate, _) => kinds.push(StepKind::Replace),
    }
    if serves && is_watched(spec) {
        kinds.push(StepKind::Watch);
    }
    kinds.into_iter().map(|kind| (kind, None)).collect()
}

/// Whether the traffic can move in steps: a release of a canary where something serves through the
/// gateway that can keep the rest. What is brought back comes at once.
pub(super) fn shares_traffic(service: &PlannedService) -> bool {
    let goes_forward = matches!(service.goal, Goal::Version { .. });
    let before = service.from.as_ref().map(|serving| &serving.spec.target);
    let has_gateway = matches!(before, Some(Target::Process(process)) if process.gateway.is_some());
    matches!(service.spec.strategy, Strategy::Canary(_)) && goes_forward && has_gateway
}

/// One step of a canary: shift, verify, watch. Without traffic nothing is shifted.
fn unrolled(step: &CanaryStep) -> impl Iterator<Item = Kind> + use<> {
    let weight = (step.weight < WEIGHT_ALL).then_some(step.weight);
    let shift = (step.weight > 0).then_some((StepKind::Shift, weight));
    let verify = (!step.verify.is_empty()).then_some((StepKind::Verify, Some(step.weight)));
    let watch = (step.bake_ms > 0).then_some((StepKind::Watch, weight));
    shift.into_iter().chain(verify).chain(watch)
}

/// The step of a service's canary at a share of the traffic; none = all. None when it has no such
/// step.
pub fn canary_step(spec: &ServiceSpec, weight: Option<u32>) -> Option<&CanaryStep> {
    match &spec.strategy {
        Strategy::Canary(Canary { steps, .. }) => {
            steps.iter().find(|step| step.weight == weight.unwrap_or(WEIGHT_ALL))
        }
        Strategy::BlueGreen | Strategy::Recreate => None,
    }
}

/// How long a watch takes: a canary's by its step.
pub fn watch_ms(service: &PlannedService, weight: Option<u32>) -> u64 {
    let baked = canary_step(&service.spec, weight).filter(|_| shares_traffic(service));
    baked.map_or(service.spec.watch_ms, |step| step.bake_ms)
}

/// Whether it can be told that it is up.
fn is_up_asked(spec: &ServiceSpec) -> bool {
    matches!(spec.target, Target::Process(_)) || spec.healthcheck.is_some()
}

/// Whether there is something to verify: a process can always be looked at.
fn is_verified(spec: &ServiceSpec) -> bool {
    is_up_asked(spec) || !spec.verify.is_empty()
}

fn is_watched(spec: &ServiceSpec) -> bool {
    spec.watch_ms > 0 && (matches!(spec.target, Target::Process(_)) || spec.healthcheck.is_some())
}

fn undo(service: &PlannedService, kind: StepKind, restoring: bool) -> Undo {
    if restoring && kind.is_change() {
        return Undo::Impossible { why: "a rollback is never rolled back".to_owned() };
    }
    match (kind, &service.spec.target) {
        (StepKind::Precondition | StepKind::Preflight | StepKind::Verify | StepKind::Watch, _) => {
            Undo::Nothing
        }
        (StepKind::Prepare, _) => Undo::StopCandidate,
        (StepKind::Shift, _) => Undo::RouteBack,
        (StepKind::Replace, Target::Process(_)) => Undo::ReplaceBack,
        (StepKind::Replace, Target::Command(target)) => command_undo(service, target),
    }
}

fn command_undo(service: &PlannedService, target: &CommandTarget) -> Undo {
    if target.undo.is_some() || service.from.is_some() {
        Undo::RunUndo
    } else {
        Undo::Impossible {
            why: "it has no undo command, and no earlier version that could be deployed again".to_owned(),
        }
    }
}

fn timeout_ms(service: &PlannedService, (kind, weight): Kind) -> u64 {
    let spec = &service.spec;
    match kind {
        StepKind::Watch => watch_ms(service, weight).saturating_add(spec.step_timeout_ms),
        StepKind::Verify => {
            let start = spec.healthcheck.as_ref().map_or(0, |health| health.start_period_ms);
            spec.step_timeout_ms.max(start.saturating_add(STEP_SLACK_MS))
        }
        StepKind::Replace | StepKind::Precondition | StepKind::Preflight => match &spec.target {
            Target::Command(target) => {
                spec.step_timeout_ms.max(target.timeout_ms.saturating_add(STEP_SLACK_MS))
            }
            Target::Process(target) => {
                spec.step_timeout_ms.max(target.stop_grace_ms.saturating_add(STEP_SLACK_MS))
            }
        },
        StepKind::Prepare => spec.step_timeout_ms,
        StepKind::Shift => match &spec.target {
            Target::Process(target) => {
                let drain = target.gateway.as_ref().map_or(0, |gateway| gateway.drain_timeout_ms);
                spec.step_timeout_ms.max(drain.saturating_add(STEP_SLACK_MS))
            }
            Target::Command(_) => spec.step_timeout_ms,
        },
    }
}

/// What follows when nobody knows how a step ended: the service's word, else the environment's, else
/// what is safe. A process can be started and routed again; what a command did is asked first. To look
/// again is the same as to ask.
fn on_unknown(spec: &ServiceSpec, kind: StepKind, environment: Option<OnUnknown>) -> OnUnknown {
    let said = spec.on_unknown.steps.get(&kind).copied().or(spec.on_unknown.every).or(environment);
    match (said, kind.is_change(), &spec.target) {
        (Some(OnUnknown::Probe) | None, false, _) => OnUnknown::Rerun,
        (Some(said), _, _) => said,
        (None, true, Target::Process(_)) => OnUnknown::Rerun,
        (None, true, Target::Command(_)) => OnUnknown::Probe,
    }
}

/// The steps of all services, with their edges. When restoring, dependants move before what they
/// depend on; otherwise dependencies do.
pub(super) fn steps(
    services: &[PlannedService],
    manner: Manner,
    environment: Option<OnUnknown>,
) -> Vec<PlannedStep> {
    let restoring = manner.restoring;
    let mut steps = Vec::with_capacity(services.len() * 5);
    let mut first_change = vec![None; services.len()];
    let mut ranges = Vec::with_capacity(services.len());
    for (place, service) in (0u32..).zip(services) {
        let begin = steps.len();
        for (kind, weight) in kinds(service, manner) {
            let number = number(steps.len());
            if kind.is_change() && first_change[place as usize].is_none() {
                first_change[place as usize] = Some(number);
            }
            steps.push(PlannedStep {
                id: step_id(service, (kind, weight)),
                service: place,
                kind,
                weight,
                after: if steps.len() > begin { vec![number - 1] } else { Vec::new() },
                timeout_ms: timeout_ms(service, (kind, weight)),
                undo: undo(service, kind, restoring),
                on_unknown: on_unknown(&service.spec, kind, environment),
            });
        }
        ranges.push(begin..steps.len());
    }
    for (place, service) in services.iter().enumerate() {
        for (dependency, condition) in &service.depends_on {
            let dependency = *dependency as usize;
            let (earlier, later) = if restoring { (place, dependency) } else { (dependency, place) };
            let gate = gate(&steps[ranges[earlier].clone()], &services[earlier], *condition);
            if let (Some(gate), Some(first)) = (gate, first_change[later]) {
                let gate = number(ranges[earlier].start + gate);
                steps[first as usize].after.push(gate);
            }
        }
    }
    steps
}

/// Place, among a service's steps, of the one that others wait for.
fn gate(steps: &[PlannedStep], service: &PlannedService, condition: Condition) -> Option<usize> {
    let spec = &service.spec;
    let is_gate = |step: &PlannedStep| match (&spec.strategy, condition) {
        (Strategy::BlueGreen | Strategy::Canary(_), Condition::Started) => step.kind == StepKind::Prepare,
        // A canary shifts more than once, and may look once more after the last.
        (Strategy::BlueGreen | Strategy::Canary(_), Condition::Healthy) => {
            matches!(step.kind, StepKind::Shift | StepKind::Verify)
        }
        (Strategy::Recreate, Condition::Healthy) if is_verified(spec) => step.kind == StepKind::Verify,
        (Strategy::Recreate, Condition::Started | Condition::Healthy) => step.kind == StepKind::Replace,
    };
    steps
        .iter()
        .rposition(is_gate)
        .or_else(|| steps.iter().rposition(|step| step.kind.is_change()))
        .or_else(|| steps.iter().position(|step| step.kind == StepKind::Precondition))
}

fn step_id(service: &PlannedService, (kind, weight): Kind) -> StepId {
    let share = weight.map_or_else(String::new, |weight| format!("-{weight}"));
    let id = format!("{}.{}{share}", service.service, kind.word());
    id.parse().expect("a service name, a kind and a number make a step id")
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("a plan has at most 10,000 services of a few steps")
}
