//! Whether the secrets that a plan will need are set. A release is refused without them before anything
//! changes; what is taken back goes back as far as it can, and says what will be missing.

use super::{MissingSecret, PlanInput, PlanRefusal, Wish, nearest};
use lockstep_model::{
    SecretName,
    plan::{PlanWarning, PlannedService},
    secrets::SecretSource,
};

pub(super) fn check(
    input: &PlanInput<'_>,
    services: &[PlannedService],
) -> Result<Vec<PlanWarning>, PlanRefusal> {
    let mut warnings = Vec::new();
    for service in services.iter().filter(|service| service.is_changed()) {
        for (variable, source) in service.spec.target.secrets() {
            let SecretSource::Secret(secret) = source else { continue };
            if input.secrets.contains(secret) {
                continue;
            }
            let missing = MissingSecret {
                service: service.service.clone(),
                variable: variable.clone(),
                secret: secret.clone(),
                project: input.manifest.project.clone(),
                environment: input.environment.clone(),
                nearest: nearest(secret.as_str(), input.secrets.iter().map(SecretName::as_str)),
            };
            match input.wish {
                Wish::Release(_) => return Err(PlanRefusal::NoSecret(Box::new(missing))),
                Wish::Restore { .. } => warnings.push(PlanWarning {
                    service: Some(service.service.clone()),
                    message: missing.to_string(),
                }),
            }
        }
    }
    Ok(warnings)
}
