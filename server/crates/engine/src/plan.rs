//! From manifest, release and what serves now to an immutable plan, or a refusal that names the
//! trouble. Never looks at the world itself: what it must know comes in [`PlanInput`].

mod graph;
mod restoring;
mod secrets;
mod steps;
mod warnings;

pub use steps::{canary_step, watch_ms};

use lockstep_model::{
    Digest, EnvironmentName, ProjectName, SecretName, ServiceName, Version,
    manifest::{Manifest, OnUnknown, PRODUCTION, SERVICES_MAX, Service, ServiceSpec, Target},
    plan::{Checkpoint, DeploymentKind, Goal, Plan, PlanWarning, PlannedService, Serving},
    template::{self, Vars},
};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a plan is made from.
#[derive(Debug, Clone)]
pub struct PlanInput<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// Its digest.
    pub digest: &'a Digest,
    /// Where to.
    pub environment: &'a EnvironmentName,
    /// What is wished.
    pub wish: Wish,
    /// What serves now in this environment.
    pub serving: BTreeMap<ServiceName, Serving>,
    /// What [`artifacts`] asked for: the digest that was found, none when the path does not exist.
    pub artifacts: BTreeMap<ServiceName, Option<Digest>>,
    /// The names of the secrets that are set in this environment.
    pub secrets: BTreeSet<SecretName>,
    /// Somebody accepted that something cannot be taken back.
    pub accept_no_rollback: bool,
    /// Somebody who may wants it without checks and watches; of no meaning where something is restored.
    pub skip_verification: bool,
}

/// What is wished of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// These services at these versions (none = the manifest's); empty = all of the environment.
    Release(BTreeMap<ServiceName, Option<Version>>),
    /// What served before a deployment changed it.
    Restore {
        /// The deployment.
        of: lockstep_model::DeploymentId,
        /// Its checkpoints.
        checkpoints: BTreeMap<ServiceName, Checkpoint>,
    },
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// No such environment.
    #[error("project {project} has no environment '{given}'{}; it has: {known}", nearest_text(.nearest))]
    UnknownEnvironment {
        /// Project.
        project: ProjectName,
        /// What was given.
        given: EnvironmentName,
        /// The nearest that there is.
        nearest: Option<String>,
        /// All there are.
        known: String,
    },
    /// No such service.
    #[error("project {project} has no service '{given}'{}; see `lockstep status`", nearest_text(.nearest))]
    UnknownService {
        /// Project.
        project: ProjectName,
        /// What was given.
        given: ServiceName,
        /// The nearest that there is.
        nearest: Option<String>,
    },
    /// The service is not deployed in this environment.
    #[error(
        "service {service} has no target in {environment}; add one under services.{service}.environments.{environment}.target and apply the manifest"
    )]
    NoTarget {
        /// Which.
        service: ServiceName,
        /// Where.
        environment: EnvironmentName,
    },
    /// Nobody says which version.
    #[error("no version is given for {service}, and the manifest has none; use --set {service}=VERSION")]
    NoVersion {
        /// Which.
        service: ServiceName,
    },
    /// Nothing is to be done.
    #[error("nothing is to be done in {environment}: no service has a target there")]
    Nothing {
        /// Where.
        environment: EnvironmentName,
    },
    /// Services depend on each other in a circle.
    #[error("services depend on each other in a circle: {path}")]
    Cycle {
        /// `a -> b -> a`.
        path: String,
    },
    /// The artifact does not exist.
    #[error(
        "the artifact of {service} does not exist: {path}; build it or correct services.{service}.artifact.path"
    )]
    NoArtifact {
        /// Which.
        service: ServiceName,
        /// Where it was looked for.
        path: String,
    },
    /// Something depended on is not there.
    #[error(
        "{service} depends on {dependency}, which is not deployed in {environment}; deploy it too: --set {dependency}=VERSION"
    )]
    DependencyNotDeployed {
        /// Which.
        service: ServiceName,
        /// On what.
        dependency: ServiceName,
        /// Where.
        environment: EnvironmentName,
    },
    /// Something cannot be taken back and nobody accepted that.
    #[error(
        "{service} could not be taken back: {why}. {environment} refuses that; give it an undo, or accept it with --accept-no-rollback (it is recorded)"
    )]
    NoRollback {
        /// Which.
        service: ServiceName,
        /// Where.
        environment: EnvironmentName,
        /// Why.
        why: String,
    },
    /// A secret that a service needs is not set.
    #[error(transparent)]
    NoSecret(Box<MissingSecret>),
    /// Too many services.
    #[error("the plan has {count} services; at most {SERVICES_MAX} are possible")]
    TooLarge {
        /// How many.
        count: usize,
    },
    /// A text of the manifest cannot be used with this version.
    #[error("{service}: {message}")]
    Template {
        /// Which service.
        service: ServiceName,
        /// Why.
        message: String,
    },
}

/// A secret that a service needs and that is not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{service} needs the secret '{secret}' for {variable}, which is not set in {environment}{}; set it: lockstep secret set {secret} --project {project} --env {environment}",
    nearest_text(.nearest)
)]
pub struct MissingSecret {
    /// Which service.
    pub service: ServiceName,
    /// For which of its variables.
    pub variable: String,
    /// Which secret.
    pub secret: SecretName,
    /// Of which project.
    pub project: ProjectName,
    /// Where.
    pub environment: EnvironmentName,
    /// The nearest that there is.
    pub nearest: Option<String>,
}

fn nearest_text(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

/// The artifacts that must be looked at before a plan can be made: service and absolute path (or
/// as given, when the target has no `workdir`).
///
/// # Errors
/// Unknown names, missing targets and versions, as [`plan`].
pub fn artifacts(input: &PlanInput<'_>) -> Result<Vec<(ServiceName, String)>, PlanRefusal> {
    let Wish::Release(_) = input.wish else { return Ok(Vec::new()) };
    let mut questions = Vec::new();
    for (name, version, spec) in release(input)? {
        if let Some(path) = artifact_path(&name, spec, &version)? {
            questions.push((name, path));
        }
    }
    Ok(questions)
}

/// The path of a service's artifact at a version; relative ones are taken from `workdir`.
///
/// # Errors
/// [`PlanRefusal::Template`] when the path has a variable that has no value.
pub fn artifact_path(
    service: &ServiceName,
    spec: &ServiceSpec,
    version: &Version,
) -> Result<Option<String>, PlanRefusal> {
    let Some(artifact) = &spec.artifact else { return Ok(None) };
    let path = template::render(&artifact.path, Vars { version, port: None })
        .map_err(|e| PlanRefusal::Template { service: service.clone(), message: e.to_string() })?;
    let workdir = match &spec.target {
        Target::Process(target) => target.workdir.as_deref(),
        Target::Command(target) => target.workdir.as_deref(),
    };
    Ok(Some(match workdir {
        Some(workdir) if !path.starts_with('/') => format!("{}/{path}", workdir.trim_end_matches('/')),
        _ => path,
    }))
}

/// Makes the plan.
///
/// # Errors
/// [`PlanRefusal`], which names what is wrong and what to do.
pub fn plan(input: &PlanInput<'_>) -> Result<Plan, PlanRefusal> {
    let environment = environment(input)?;
    let mut services = match &input.wish {
        Wish::Release(_) => release_services(input)?,
        Wish::Restore { checkpoints, .. } => restoring::services(input, checkpoints)?,
    };
    if services.is_empty() {
        return Err(PlanRefusal::Nothing { environment: input.environment.clone() });
    }
    if services.len() > SERVICES_MAX {
        return Err(PlanRefusal::TooLarge { count: services.len() });
    }
    let outside = outside_dependants(input, &services);
    let mut warnings = secrets::check(input, &services)?;
    if matches!(input.wish, Wish::Restore { .. }) {
        warnings.extend(restoring::beside(input, &services));
    }
    connect(input, &mut services, &mut warnings)?;
    let services = graph::order(services)?;
    let restoring = matches!(input.wish, Wish::Restore { .. });
    let strict = input.environment.as_str().eq_ignore_ascii_case(PRODUCTION);
    let on_unknown = environment.on_unknown.or(strict.then_some(OnUnknown::Ask));
    let skips_verification = input.skip_verification && !restoring;
    let steps = steps::steps(&services, steps::Manner { restoring, skips_verification }, on_unknown);
    warnings.extend(warnings::warnings(input, &services, &steps, environment)?);
    Ok(Plan {
        project: input.manifest.project.clone(),
        environment: input.environment.clone(),
        kind: match &input.wish {
            Wish::Release(_) => DeploymentKind::Deploy,
            Wish::Restore { of, .. } => DeploymentKind::Restore { of: *of },
        },
        manifest: input.digest.clone(),
        degraded: environment.degraded,
        max_parallel: environment.max_parallel,
        deployment_timeout_ms: environment.deployment_timeout_ms,
        services,
        steps,
        outside,
        warnings,
        skips_verification,
        approvals: if restoring { None } else { environment.approvals.clone() },
    })
}

/// What stands for a plan where somebody says yes to it: equal only for plans that do the same.
pub fn digest(plan: &Plan) -> Digest {
    let text = serde_json::to_vec(plan).expect("a plan has no maps with keys that are no texts");
    let hex: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().expect("64 hexadecimal digits after the prefix are a digest")
}

fn environment<'a>(input: &PlanInput<'a>) -> Result<&'a lockstep_model::manifest::Environment, PlanRefusal> {
    input.manifest.environments.get(input.environment).ok_or_else(|| {
        let known: Vec<&str> = input.manifest.environments.keys().map(|name| name.as_str()).collect();
        PlanRefusal::UnknownEnvironment {
            project: input.manifest.project.clone(),
            given: input.environment.clone(),
            nearest: nearest(input.environment.as_str(), known.iter().copied()),
            known: known.join(", "),
        }
    })
}

fn service<'a>(input: &PlanInput<'a>, name: &ServiceName) -> Result<&'a Service, PlanRefusal> {
    input.manifest.services.get(name).ok_or_else(|| PlanRefusal::UnknownService {
        project: input.manifest.project.clone(),
        given: name.clone(),
        nearest: nearest(name.as_str(), input.manifest.services.keys().map(ServiceName::as_str)),
    })
}

/// The name among `known` that is most like `given`, when one is like it at all.
pub fn nearest<'n>(given: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    known
        .map(|name| (strsim::damerau_levenshtein(&given.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(2))
        .min()
        .map(|(_, name)| name.to_owned())
}

type Released<'a> = (ServiceName, Version, &'a ServiceSpec);

/// The services of a release with their versions, checked against the manifest.
fn release<'a>(input: &PlanInput<'a>) -> Result<Vec<Released<'a>>, PlanRefusal> {
    environment(input)?;
    let Wish::Release(wanted) = &input.wish else { return Ok(Vec::new()) };
    let whole = BTreeMap::from_iter(
        input
            .manifest
            .services
            .iter()
            .filter(|(_, service)| wanted.is_empty() && service.environments.contains_key(input.environment))
            .map(|(name, _)| (name.clone(), None)),
    );
    let wanted = if wanted.is_empty() { &whole } else { wanted };
    let mut released = Vec::with_capacity(wanted.len());
    for (name, version) in wanted {
        let service = service(input, name)?;
        let spec = service.environments.get(input.environment).ok_or_else(|| PlanRefusal::NoTarget {
            service: name.clone(),
            environment: input.environment.clone(),
        })?;
        let version = version
            .clone()
            .or_else(|| spec.version.clone())
            .ok_or_else(|| PlanRefusal::NoVersion { service: name.clone() })?;
        // The manifest's own spelling, whatever the request's case.
        let name = input.manifest.services.get_key_value(name).map_or(name, |(key, _)| key);
        released.push((name.clone(), version, spec));
    }
    Ok(released)
}

fn release_services(input: &PlanInput<'_>) -> Result<Vec<PlannedService>, PlanRefusal> {
    let released = release(input)?;
    let mut services = Vec::with_capacity(released.len());
    for (name, version, spec) in released {
        let artifact = match artifact_path(&name, spec, &version)? {
            None => None,
            Some(path) => match input.artifacts.get(&name).cloned().flatten() {
                Some(digest) => Some(digest),
                None => return Err(PlanRefusal::NoArtifact { service: name, path }),
            },
        };
        services.push(PlannedService {
            team: service(input, &name)?.team.clone(),
            from: input.serving.get(&name).cloned(),
            goal: Goal::Version { version },
            spec: spec.clone(),
            artifact,
            depends_on: Vec::new(),
            service: name,
        });
    }
    Ok(services)
}

/// Fills in `depends_on`, and appends dependencies that stand outside the release.
fn connect(
    input: &PlanInput<'_>,
    services: &mut Vec<PlannedService>,
    warnings: &mut Vec<PlanWarning>,
) -> Result<(), PlanRefusal> {
    let restoring = matches!(input.wish, Wish::Restore { .. });
    let mut places: HashMap<ServiceName, u32> =
        services.iter().zip(0..).map(|(service, place)| (service.service.clone(), place)).collect();
    for place in 0..services.len() {
        let name = services[place].service.clone();
        let Some(declared) = input.manifest.services.get(&name) else { continue };
        for (dependency, condition) in &declared.depends_on {
            let known = match places.get(dependency) {
                Some(known) => *known,
                // A restore goes back whatever the neighbours do.
                None if restoring => continue,
                None => {
                    let Some(outside) = unchanged(input, &name, dependency, warnings)? else { continue };
                    let known = u32::try_from(services.len()).unwrap_or(u32::MAX);
                    places.insert(dependency.clone(), known);
                    services.push(outside);
                    known
                }
            };
            services[place].depends_on.push((known, *condition));
        }
    }
    Ok(())
}

/// A dependency outside the release, to be probed; none when it has no target here.
fn unchanged(
    input: &PlanInput<'_>,
    service_name: &ServiceName,
    dependency: &ServiceName,
    warnings: &mut Vec<PlanWarning>,
) -> Result<Option<PlannedService>, PlanRefusal> {
    let declared = service(input, dependency)?;
    let Some(spec) = declared.environments.get(input.environment) else {
        warnings.push(PlanWarning {
            service: Some(service_name.clone()),
            message: format!(
                "{service_name} depends on {dependency}, which has no target in {}; it is not looked at",
                input.environment
            ),
        });
        return Ok(None);
    };
    let Some(serving) = input.serving.get(dependency) else {
        return Err(PlanRefusal::DependencyNotDeployed {
            service: service_name.clone(),
            dependency: dependency.clone(),
            environment: input.environment.clone(),
        });
    };
    Ok(Some(PlannedService {
        service: dependency.clone(),
        team: declared.team.clone(),
        from: Some(serving.clone()),
        goal: Goal::Unchanged,
        spec: spec.clone(),
        artifact: serving.artifact.clone(),
        depends_on: Vec::new(),
    }))
}

/// Services that depend on something that changes, serve, and are not part of the plan.
fn outside_dependants(input: &PlanInput<'_>, services: &[PlannedService]) -> Vec<ServiceName> {
    let inside: BTreeSet<&ServiceName> = services.iter().map(|service| &service.service).collect();
    input
        .manifest
        .services
        .iter()
        .filter(|(name, service)| {
            !inside.contains(name)
                && input.serving.contains_key(name)
                && service.depends_on.keys().any(|dependency| inside.contains(dependency))
        })
        .map(|(name, _)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests;
