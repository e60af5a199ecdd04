//! What may pass from one environment to the next: what serves there, brought by a deployment that
//! succeeded, healthy, not held, and for long enough. A question of the facts and the time alone.

use crate::{plan::nearest, restriction::span};
use lockstep_model::{
    DeploymentId, EnvironmentName, ServiceName, Timestamp, Version,
    deployment::Phase,
    health::Health,
    manifest::{Manifest, Promotion},
    restriction::{Restriction, RestrictionKind},
    view::{PromotedView, PromotionView},
};
use std::collections::BTreeMap;

/// What serves for a service in the environment that it would come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Soaking {
    /// The version.
    pub version: Version,
    /// The deployment that brought it.
    pub deployment: DeploymentId,
    /// How that ended; none = nobody knows.
    pub phase: Option<Phase>,
    /// Since when it serves.
    pub since: Timestamp,
    /// How it was seen last; none = it was not looked at yet.
    pub health: Option<Health>,
    /// A live deployment that changes it.
    pub changing: Option<DeploymentId>,
}

/// The facts that are asked.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// What serves in the environment that versions come from.
    pub soaking: BTreeMap<ServiceName, Soaking>,
    /// What serves where they would go.
    pub serving: BTreeMap<ServiceName, Version>,
    /// Locks, holds and freezes of the project.
    pub restrictions: &'a [Restriction],
}

/// Why there is nothing to be asked about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromotionRefusal {
    /// No such environment.
    #[error("there is no environment '{given}'{hint}")]
    UnknownEnvironment {
        /// What was given.
        given: EnvironmentName,
        /// The nearest, when there is one.
        hint: String,
    },
    /// No such service.
    #[error("there is no service '{given}'{hint}")]
    UnknownService {
        /// What was given.
        given: ServiceName,
        /// The nearest, when there is one.
        hint: String,
    },
    /// Nobody says where to.
    #[error("say where to with --to: {known}")]
    NoGoal {
        /// Environments that take promotions.
        known: String,
    },
    /// The manifest has no promotion there.
    #[error(
        "nothing is promoted to {to}: the manifest has no promotion there; \
         add environments.{to}.promotion: {{from: …, soak: 30m}}, or use `lockstep deploy --env {to}`"
    )]
    NoRule {
        /// Where.
        to: EnvironmentName,
    },
    /// The manifest takes them from elsewhere.
    #[error("{to} takes promotions from {from} and not from {given}: environments.{to}.promotion.from")]
    OtherSource {
        /// Where to.
        to: EnvironmentName,
        /// From where, by the manifest.
        from: EnvironmentName,
        /// What was given.
        given: EnvironmentName,
    },
    /// Both environments serve the same.
    #[error("there is nothing to promote: {to} serves what {from} serves")]
    Nothing {
        /// From where.
        from: EnvironmentName,
        /// Where to.
        to: EnvironmentName,
    },
}

/// The environment that is meant, and its rule.
///
/// # Errors
/// [`PromotionRefusal`] when it cannot be told, has no rule, or takes promotions from elsewhere.
pub fn rule<'m>(
    manifest: &'m Manifest,
    from: Option<&EnvironmentName>,
    to: Option<&EnvironmentName>,
) -> Result<(&'m EnvironmentName, &'m Promotion), PromotionRefusal> {
    let with_rule = || {
        let all = manifest.environments.iter();
        all.filter_map(|(name, environment)| Some((name, environment.promotion.as_ref()?)))
    };
    let (to, rule) = match to {
        Some(given) => {
            let Some((to, environment)) = manifest.environments.get_key_value(given) else {
                let hint = hint(given.as_str(), manifest.environments.keys().map(EnvironmentName::as_str));
                return Err(PromotionRefusal::UnknownEnvironment { given: given.clone(), hint });
            };
            let rule = environment.promotion.as_ref();
            (to, rule.ok_or_else(|| PromotionRefusal::NoRule { to: to.clone() })?)
        }
        None => {
            let mut all = with_rule().filter(|(_, rule)| from.is_none_or(|from| rule.from == *from));
            match (all.next(), all.next()) {
                (Some(only), None) => only,
                _ => {
                    let known: Vec<&str> = with_rule().map(|(name, _)| name.as_str()).collect();
                    let known = if known.is_empty() {
                        "no environment of the manifest has a promotion".to_owned()
                    } else {
                        known.join(", ")
                    };
                    return Err(PromotionRefusal::NoGoal { known });
                }
            }
        }
    };
    match from {
        Some(given) if *given != rule.from => Err(PromotionRefusal::OtherSource {
            to: to.clone(),
            from: rule.from.clone(),
            given: given.clone(),
        }),
        Some(_) | None => Ok((to, rule)),
    }
}

/// What would go, and what stands in its way. `wanted` empty = everything that differs.
///
/// # Errors
/// [`PromotionRefusal`] for a name that there is not, and when nothing differs.
pub fn look(
    facts: &Facts<'_>,
    to: &EnvironmentName,
    rule: &Promotion,
    wanted: &[ServiceName],
    now: Timestamp,
) -> Result<PromotionView, PromotionRefusal> {
    let manifest = facts.manifest;
    for given in wanted {
        if !manifest.services.contains_key(given) {
            let hint = hint(given.as_str(), manifest.services.keys().map(ServiceName::as_str));
            return Err(PromotionRefusal::UnknownService { given: given.clone(), hint });
        }
    }
    let differs = |name: &ServiceName| {
        facts.soaking.get(name).is_some_and(|soaking| facts.serving.get(name) != Some(&soaking.version))
    };
    let services: Vec<PromotedView> = manifest
        .services
        .iter()
        .filter(|(name, service)| {
            let has_target = service.environments.contains_key(to);
            if wanted.is_empty() { has_target && differs(name) } else { wanted.contains(name) }
        })
        .map(|(name, service)| {
            let soaking = facts.soaking.get(name);
            let refusal = if service.environments.contains_key(to) {
                refusal(facts, to, rule, name, now)
            } else {
                Some(format!("it has no target in {to}"))
            };
            PromotedView {
                service: name.clone(),
                from: facts.serving.get(name).cloned(),
                to: soaking.map(|soaking| soaking.version.clone()),
                deployment: soaking.map(|soaking| soaking.deployment),
                since: soaking.map(|soaking| soaking.since),
                left_ms: soaking.map_or(rule.soak_ms, |soaking| left_ms(soaking, rule, now)),
                refusal,
            }
        })
        .collect();
    if services.is_empty() {
        return Err(PromotionRefusal::Nothing { from: rule.from.clone(), to: to.clone() });
    }
    Ok(PromotionView {
        project: manifest.project.clone(),
        from: rule.from.clone(),
        to: to.clone(),
        is_guarded: manifest.environments.get(to).is_some_and(|environment| environment.require_rollback),
        soak_ms: rule.soak_ms,
        services,
    })
}

fn left_ms(soaking: &Soaking, rule: &Promotion, now: Timestamp) -> u64 {
    rule.soak_ms.saturating_sub(now.since_ms(soaking.since))
}

/// Why a service may not go; none = it may.
fn refusal(
    facts: &Facts<'_>,
    to: &EnvironmentName,
    rule: &Promotion,
    name: &ServiceName,
    now: Timestamp,
) -> Option<String> {
    let from = &rule.from;
    let Some(soaking) = facts.soaking.get(name) else {
        return Some(format!("nothing of it serves in {from}"));
    };
    let Soaking { version, deployment, .. } = soaking;
    if facts.serving.get(name) == Some(version) {
        return Some(format!("{version} serves in {to} already"));
    }
    if let Some(id) = soaking.changing {
        return Some(format!("deployment {id} changes it in {from} now; wait for its end"));
    }
    match soaking.phase {
        Some(Phase::Succeeded) => {}
        Some(phase) => {
            return Some(format!("deployment {deployment}, which brought {version} to {from}, is {phase}"));
        }
        None => return Some(format!("no deployment is known that brought {version} to {from}")),
    }
    let held = facts.restrictions.iter().find(|one| {
        one.kind == RestrictionKind::Hold
            && (one.environment == *from || one.environment == *to)
            && one.service.as_ref() == Some(name)
            && one.version.as_ref() == Some(version)
            && one.is_active(now)
    });
    if let Some(held) = held {
        let number = held.id.map_or_else(String::new, |id| format!(" {id}"));
        return Some(format!(
            "{version} is held in {}: {}; `lockstep hold release{number} --reason …`",
            held.environment, held.reason
        ));
    }
    match soaking.health {
        Some(Health::Healthy) => {}
        Some(Health::Unknown) => {
            return Some(format!(
                "it is not known whether {version} is well in {from}; give it a health check or an observe command"
            ));
        }
        Some(health @ (Health::Degraded | Health::Unhealthy)) => {
            return Some(format!("{version} is {} in {from}", health.word()));
        }
        None => return Some(format!("{version} was not looked at in {from} yet; try again in a moment")),
    }
    let left = left_ms(soaking, rule, now);
    (left > 0).then(|| {
        let served = span(now.since_ms(soaking.since));
        format!(
            "{version} has served in {from} for {served} of {}; {} are left",
            span(rule.soak_ms),
            span(left)
        )
    })
}

fn hint<'n>(given: &str, known: impl Iterator<Item = &'n str>) -> String {
    nearest(given, known).map_or_else(String::new, |near| format!("; did you mean '{near}'?"))
}

#[cfg(test)]
mod tests;
