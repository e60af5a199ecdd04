//! What somebody should know before a plan starts, and what is refused because it could not be taken
//! back.

use super::{PlanInput, PlanRefusal, Wish, steps};
use lockstep_model::{
    manifest::{Environment, Strategy, Target},
    plan::{PlanWarning, PlannedService, PlannedStep, StepKind, Undo},
};

pub(super) fn warnings(
    input: &PlanInput<'_>,
    services: &[PlannedService],
    steps: &[PlannedStep],
    declared: &Environment,
) -> Result<Vec<PlanWarning>, PlanRefusal> {
    let require_rollback = declared.require_rollback;
    let mut warnings = Vec::new();
    if matches!(input.wish, Wish::Restore { .. }) {
        return Ok(warnings);
    }
    if let Some(rule) = declared.approvals.as_ref() {
        let message = format!(
            "it begins once {} approved it, other than whoever asks for it: {}; without them it ends after {}",
            people(rule.count),
            rule.by,
            crate::restriction::span(rule.timeout_ms)
        );
        warnings.push(PlanWarning { service: None, message });
    }
    if input.skip_verification {
        let message = "verification is left out: no check of `verify` runs and nothing is watched afterwards; it is only waited until what is new is up".to_owned();
        warnings.push(PlanWarning { service: None, message });
    }
    for service in services.iter().filter(|service| service.is_changed()) {
        let notes = traffic_notes(service).into_iter();
        warnings.extend(notes.map(|message| PlanWarning { service: Some(service.service.clone()), message }));
    }
    for step in steps {
        let service = &services[step.service as usize];
        let mut warn = |message: String| {
            warnings.push(PlanWarning { service: Some(service.service.clone()), message });
        };
        match (&step.undo, step.kind) {
            (Undo::Impossible { why }, _) if require_rollback && !input.accept_no_rollback => {
                return Err(PlanRefusal::NoRollback {
                    service: service.service.clone(),
                    environment: input.environment.clone(),
                    why: why.clone(),
                });
            }
            (Undo::Impossible { why }, _) => {
                warn(format!("{} cannot be taken back: {why}", service.service));
            }
            (_, StepKind::Shift | StepKind::Replace)
                if step.gives_all_traffic() && service.from.is_none() =>
            {
                warn(format!("first deployment of {}: taken back means not deployed", service.service));
            }
            (_, StepKind::Replace) if matches!(service.spec.target, Target::Process(_)) => {
                warn(format!(
                    "{} is replaced in place: nobody serves between the end of {} and the start of the new version",
                    service.service,
                    service.from.as_ref().map_or("nothing", |serving| serving.version.as_str()),
                ));
            }
            _ => {}
        }
    }
    Ok(warnings)
}

fn people(count: u32) -> String {
    if count == 1 { "one person has".to_owned() } else { format!("{count} people have") }
}

/// What should be known of how the traffic of a service moves.
fn traffic_notes(service: &PlannedService) -> Vec<String> {
    let mut notes = Vec::new();
    let name = &service.service;
    if matches!(service.spec.strategy, Strategy::Canary(_)) && !steps::shares_traffic(service) {
        let why = match service.from {
            None => "nothing serves that could keep the rest",
            Some(_) => "what serves is not reached through the gateway and cannot keep the rest",
        };
        notes.push(format!("{name} gets all the traffic at once and not in steps: {why}"));
    }
    if let Target::Process(process) = &service.spec.target
        && let Some(preview) = process.gateway.as_ref().and_then(|gateway| gateway.preview.as_ref())
    {
        notes.push(format!("{name} can be looked at on http://{preview} until it has all the traffic"));
    }
    notes
}
