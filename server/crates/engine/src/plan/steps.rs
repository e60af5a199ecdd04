//! Which steps a service has, in which order, and how each is undone: one table.

use super::gate_kind;
use lockstep_model::{
    StepId,
    manifest::{CommandTarget, ServiceSpec, Strategy, Target},
    plan::{Goal, PlannedService, PlannedStep, StepKind, Undo},
};

/// Time that a step gets beside the limits that are its own (watching, getting ready).
const STEP_SLACK_MS: u64 = 10_000;

/// The kinds of steps of a service, in order.
fn kinds(service: &PlannedService) -> Vec<StepKind> {
    let spec = &service.spec;
    let serves = match &service.goal {
        Goal::Unchanged => return vec![StepKind::Precondition],
        Goal::Version { .. } => true,
        Goal::Checkpoint { checkpoint } => checkpoint.serving.is_some(),
    };
    let mut kinds = vec![StepKind::Preflight];
    match (spec.strategy, serves) {
        (Strategy::BlueGreen, true) => {
            kinds.extend([StepKind::Prepare, StepKind::Verify, StepKind::Shift]);
        }
        (Strategy::BlueGreen, false) => kinds.push(StepKind::Shift),
        (Strategy::Recreate, true) if is_verified(spec) => {
            kinds.extend([StepKind::Replace, StepKind::Verify]);
        }
        (Strategy::Recreate, _) => kinds.push(StepKind::Replace),
    }
    if serves && is_watched(spec) {
        kinds.push(StepKind::Watch);
    }
    kinds
}

/// Whether there is something to verify: a process can always be looked at.
fn is_verified(spec: &ServiceSpec) -> bool {
    matches!(spec.target, Target::Process(_)) || spec.healthcheck.is_some() || !spec.verify.is_empty()
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

fn timeout_ms(spec: &ServiceSpec, kind: StepKind) -> u64 {
    match kind {
        StepKind::Watch => spec.watch_ms.saturating_add(spec.step_timeout_ms),
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

/// The steps of all services, with their edges. When restoring, dependants move before what they
/// depend on; otherwise dependencies do.
pub(super) fn steps(services: &[PlannedService], restoring: bool) -> Vec<PlannedStep> {
    let mut steps = Vec::with_capacity(services.len() * 5);
    let mut first_change = vec![None; services.len()];
    let mut ranges = Vec::with_capacity(services.len());
    for (place, service) in (0u32..).zip(services) {
        let begin = steps.len();
        for kind in kinds(service) {
            let number = number(steps.len());
            if kind.is_change() && first_change[place as usize].is_none() {
                first_change[place as usize] = Some(number);
            }
            steps.push(PlannedStep {
                id: step_id(service, kind),
                service: place,
                kind,
                after: if steps.len() > begin { vec![number - 1] } else { Vec::new() },
                timeout_ms: timeout_ms(&service.spec, kind),
                undo: undo(service, kind, restoring),
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
fn gate(
    steps: &[PlannedStep],
    service: &PlannedService,
    condition: lockstep_model::manifest::Condition,
) -> Option<usize> {
    let wanted = gate_kind(service.spec.strategy, condition, is_verified(&service.spec));
    steps
        .iter()
        .position(|step| step.kind == wanted)
        .or_else(|| steps.iter().rposition(|step| step.kind.is_change()))
        .or_else(|| steps.iter().position(|step| step.kind == StepKind::Precondition))
}

fn step_id(service: &PlannedService, kind: StepKind) -> StepId {
    format!("{}.{}", service.service, kind.word()).parse().expect("a service name and a kind make a step id")
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("a plan has at most 10,000 services of six steps")
}
