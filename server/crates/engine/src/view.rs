//! Views of a deployment and of a plan, made from the state alone.

mod rollback;

use lockstep_model::{
    DeploymentId, ServiceName, StepId, Timestamp,
    deployment::{Deployment, Ending, Phase, StepState, StepStatus},
    plan::{DeploymentKind, Goal, Plan, PlannedService, PlannedStep, StepKind},
    view::{
        CheckpointView, DeploymentDetail, DeploymentSummary, Expected, OutsideView, PlanView, PlannedChange,
        PlannedStepView, ServiceChange, ServiceProgress, StepView,
    },
};

/// A deployment in a list.
pub fn summary(id: DeploymentId, state: &Deployment) -> DeploymentSummary {
    let plan = &state.plan;
    let mut tallies = vec![Tally::default(); plan.services.len()];
    // While it goes forward, and when it succeeded, a skipped step is one that an operator left out.
    let left_out = state.ending.is_none();
    let is_taken_back = state.part.as_ref().is_some_and(|part| part.is_back);
    for (planned, status) in plan.steps.iter().zip(&state.steps) {
        let left_out = left_out && status.state == StepState::Skipped;
        if !left_out {
            tallies[planned.service as usize].count(planned.kind, status.state);
        }
    }
    let done = state
        .steps
        .iter()
        .zip(&plan.steps)
        .filter(|(status, planned)| {
            status.state == StepState::Succeeded
                || (left_out && status.state == StepState::Skipped)
                || (is_taken_back && state.is_in_part(planned.service))
        })
        .count();
    DeploymentSummary {
        id,
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        phase: state.phase,
        restore_of: match plan.kind {
            DeploymentKind::Deploy => None,
            DeploymentKind::Restore { of } => Some(of),
        },
        services: plan
            .services
            .iter()
            .zip(tallies)
            .zip(0u32..)
            .filter(|((service, _), _)| service.is_changed())
            .map(|((service, tally), place)| change((place, service), tally, state))
            .collect(),
        by: state.request.by.clone(),
        reason: state.request.reason.clone(),
        source: state.request.source.clone(),
        failure: state.failure.clone(),
        operator_reason: operator_reason(state),
        asks_forward: state.asks_forward(),
        clocks: state.clocks,
        progress: (count(done), count(state.steps.len())),
        seq: state.seq,
        approvals: approvals(state),
        paused: state.paused.clone().filter(|_| state.phase == Phase::Paused),
    }
}

/// How many approvals there are and have to be, while it waits for its turn. Whose right is gone since is
/// not the engine's to know.
fn approvals(state: &Deployment) -> Option<(u32, u32)> {
    let rule = state.plan.approvals.as_ref().filter(|_| state.phase == Phase::Queued)?;
    Some((count(state.approvals.len()), rule.count))
}

/// What an operator is asked, or what follows from what they said.
fn operator_reason(state: &Deployment) -> Option<String> {
    let asked = state.operator_reason.clone()?;
    let Some(closing) = &state.closing else { return Some(asked) };
    let by = &closing.by.user;
    Some(match &closing.problem {
        None => {
            let open = closing.open.iter().filter(|open| !closing.closed.contains(&open.service));
            let names: Vec<&str> =
                open.map(|open| state.plan.services[open.service as usize].service.as_str()).collect();
            format!("{by} has said how it ended, and what is open is being closed: {}", names.join(", "))
        }
        Some(problem) => format!(
            "{asked}; {by} has said how it ended, and what is open could not be closed: {problem}; say it again, or leave it open with --leave-traffic"
        ),
    })
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    begun: bool,
    changed: bool,
    failed: bool,
    undoing: bool,
    undone: bool,
    stuck: bool,
    unfinished: bool,
    watching: bool,
    /// It was given traffic, and whether some is left to give.
    shifted: bool,
    shift_left: bool,
}

impl Tally {
    fn count(&mut self, kind: StepKind, state: StepState) {
        match state {
            StepState::Pending | StepState::Skipped => self.unfinished = true,
            StepState::Running => {
                self.begun = true;
                self.unfinished = true;
                self.watching |= kind == StepKind::Watch;
            }
            StepState::Succeeded => self.begun = true,
            StepState::Failed | StepState::Unknown => {
                self.failed = true;
                self.unfinished = true;
            }
            StepState::Undoing => self.undoing = true,
            StepState::Undone => self.undone = true,
            StepState::UndoFailed => self.stuck = true,
        }
        let touched = !matches!(state, StepState::Pending | StepState::Skipped);
        self.changed |= kind.is_change() && touched;
        if kind.gives_traffic() {
            self.shifted |= state == StepState::Succeeded;
            self.shift_left |= state != StepState::Succeeded;
        }
    }
}

fn change((place, service): (u32, &PlannedService), tally: Tally, state: &Deployment) -> ServiceChange {
    let rolled_back = state.rollback.is_some();
    let part = state.part.as_ref().filter(|part| part.services.contains(&place) && state.ending.is_none());
    let keeps = matches!(state.ending, Some(Ending::Cancelled { keep: true, .. }));
    let progress = match tally {
        Tally { stuck: true, .. } => ServiceProgress::Stuck,
        Tally { undoing: true, .. } => ServiceProgress::TakingBack,
        // Taken back by itself.
        Tally { changed: false, .. } if part.is_some() => ServiceProgress::Untouched,
        _ if part.is_some_and(|part| part.is_back) => ServiceProgress::Back,
        _ if part.is_some() => ServiceProgress::TakingBack,
        Tally { undone: true, .. } => {
            let left = rolled_back && has_undo_left(service, state);
            if left { ServiceProgress::TakingBack } else { ServiceProgress::Back }
        }
        Tally { unfinished: true, shifted: true, shift_left: false, .. } if keeps => ServiceProgress::Kept,
        Tally { failed: true, .. } => ServiceProgress::Failed,
        Tally { changed: false, .. } if state.phase.is_final() || state.ending.is_some() => {
            ServiceProgress::Untouched
        }
        Tally { begun: false, .. } => ServiceProgress::Pending,
        Tally { unfinished: false, .. } => ServiceProgress::Done,
        Tally { watching: true, .. } => ServiceProgress::Watching,
        _ => ServiceProgress::Running,
    };
    ServiceChange {
        service: service.service.clone(),
        from: service.from.as_ref().map(|serving| serving.version.clone()),
        to: service.to_version().cloned(),
        state: progress,
    }
}

fn has_undo_left(service: &PlannedService, state: &Deployment) -> bool {
    let Some(rollback) = &state.rollback else { return false };
    rollback
        .services
        .iter()
        .filter(|entry| state.plan.services[entry.service as usize].service == service.service)
        .flat_map(|entry| &entry.steps)
        .any(|step| state.steps[*step as usize].state != StepState::Undone)
}

/// A deployment with everything about it.
pub fn detail(id: DeploymentId, state: &Deployment) -> DeploymentDetail {
    let plan = &state.plan;
    DeploymentDetail {
        summary: summary(id, state),
        manifest: plan.manifest.clone(),
        steps: plan
            .steps
            .iter()
            .zip(&state.steps)
            .map(|(planned, status)| StepView {
                id: planned.id.clone(),
                service: plan.services[planned.service as usize].service.clone(),
                kind: planned.kind,
                weight: planned.weight,
                after: step_ids(plan, &planned.after),
                state: status.state,
                tries: status.tries.clone(),
                // What earlier deployments took is not the engine's to know.
                median_ms: None,
                undo: planned.undo.clone(),
            })
            .collect(),
        checkpoints: state
            .checkpoints
            .iter()
            .map(|(place, checkpoint)| CheckpointView {
                deployment: id,
                service: plan.services[*place as usize].service.clone(),
                version: checkpoint.serving.as_ref().map(|serving| serving.version.clone()),
                revision: checkpoint.serving.as_ref().map(|serving| serving.revision.clone()),
                at: taken_at(state, *place),
                back_at: back_at(state, *place),
            })
            .collect(),
        warnings: plan.warnings.clone(),
        expected: Expected::default(),
        // Nor what stands before it in the queue.
        waits_for: None,
        approval: None,
        // How they are is not the engine's to know.
        outside: plan
            .outside
            .iter()
            .map(|service| OutsideView { service: service.clone(), evidence: None })
            .collect(),
        rollback: rollback::view(state),
    }
}

/// When a service's checkpoint was taken: its preflight's success.
fn taken_at(state: &Deployment, place: u32) -> Timestamp {
    let taken = steps_of(state, place)
        .filter(|(planned, _)| planned.kind == StepKind::Preflight)
        .find_map(|(_, status)| status.tries.iter().rev().find(|one| one.state == StepState::Succeeded));
    taken.and_then(|taken| taken.finished_at).or(state.clocks.started_at).unwrap_or(state.clocks.requested_at)
}

/// When a service's checkpoint served again: the end of the last undo of what gave the traffic away.
fn back_at(state: &Deployment, place: u32) -> Option<Timestamp> {
    let mut back = steps_of(state, place)
        .filter(|(planned, status)| planned.kind.gives_traffic() && status.state == StepState::Undone);
    back.find_map(|(_, status)| status.last()?.finished_at)
}

fn steps_of(state: &Deployment, place: u32) -> impl Iterator<Item = (&PlannedStep, &StepStatus)> {
    state.plan.steps.iter().zip(&state.steps).filter(move |(planned, _)| planned.service == place)
}

fn step_ids(plan: &Plan, places: &[u32]) -> Vec<StepId> {
    places.iter().map(|place| plan.steps[*place as usize].id.clone()).collect()
}

/// A plan as it is shown before it is started.
pub fn plan(plan: &Plan) -> PlanView {
    let mut waves = vec![0u32; plan.services.len()];
    for (place, service) in plan.services.iter().enumerate() {
        // Services stand dependencies first, so those waves are known.
        waves[place] = service.depends_on.iter().map(|(d, _)| waves[*d as usize] + 1).max().unwrap_or(0);
    }
    PlanView {
        project: plan.project.clone(),
        environment: plan.environment.clone(),
        manifest: plan.manifest.clone(),
        services: plan
            .services
            .iter()
            .zip(waves)
            .map(|(service, wave)| PlannedChange {
                service: service.service.clone(),
                team: service.team.clone(),
                from: service.from.as_ref().map(|serving| serving.version.clone()),
                to: service.to_version().cloned(),
                probed_only: matches!(service.goal, Goal::Unchanged),
                target: service.spec.target.kind().to_owned(),
                artifact: service.artifact.clone(),
                depends_on: names(plan, service),
                wave,
            })
            .collect(),
        steps: plan
            .steps
            .iter()
            .map(|step| PlannedStepView {
                id: step.id.clone(),
                kind: step.kind,
                weight: step.weight,
                after: step_ids(plan, &step.after),
                undo: step.undo.clone(),
            })
            .collect(),
        warnings: plan.warnings.clone(),
        expected: Expected::default(),
    }
}

fn names(plan: &Plan, service: &PlannedService) -> Vec<ServiceName> {
    service.depends_on.iter().map(|(place, _)| plan.services[*place as usize].service.clone()).collect()
}
