//! A wish becomes a deployment: names are resolved, artifacts looked at, the plan made, the
//! queue's rule applied, and the first event committed.

use crate::{By, Coordinator, Inner, Refused, queue_rule, verification::may_skip, worker};
use futures_util::{StreamExt, stream};
use lockstep_engine::{
    plan::{PlanInput, Wish, artifacts, nearest, plan},
    port::{
        Commit, CommitError, CommitTo, HostOrder, store::AuditEntry, store::Idempotency, store::ManifestRow,
    },
    replay,
    rows::rows,
};
use lockstep_model::{
    DeploymentId, Digest, EnvironmentName, Epoch, ProjectName, Seq, ServiceName,
    access::Right,
    api::{PromoteDeployment, StartDeployment},
    deployment::{Actor, ReleaseOrder, Request},
    event::{Envelope, Event},
    manifest::Manifest,
    plan::Plan,
    wire::{Order, OrderKey, Outcome},
};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// Artifacts that are looked at at the same time.
const LOOKS_MAX: usize = 16;
const PROMOTE: &str = "/deployment/promote";

/// A plan with what a deployment keeps of its request.
pub(crate) struct Wanted {
    pub(crate) manifest: ManifestRow,
    pub(crate) environment: EnvironmentName,
    pub(crate) plan: Plan,
}

/// What is asked for beside services and versions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wants {
    pub(crate) accept_no_rollback: bool,
    pub(crate) skip_verification: bool,
}

/// A deployment that is to be made.
pub(crate) struct Making {
    pub(crate) request: Request,
    pub(crate) right: Option<Right>,
    /// Further rights that it takes.
    pub(crate) rights: Vec<Right>,
    pub(crate) wanted: Wanted,
    pub(crate) action: &'static str,
    pub(crate) idempotency: Option<Idempotency>,
    /// A restore goes to the head of the queue and is not subject to its rule.
    pub(crate) restores: bool,
}

impl Coordinator {
    /// What a deployment would do. Changes nothing.
    ///
    /// # Errors
    /// [`Refused`] with what is wrong and what to do.
    pub async fn plan(&self, request: &StartDeployment) -> Result<Plan, Refused> {
        let mut plan = self.0.wanted(request).await?.plan;
        self.0.warn(&mut plan).await?;
        Ok(plan)
    }

    /// The manifest of the project that is meant: the one that is named, or the only one.
    ///
    /// # Errors
    /// [`Refused`] when that cannot be told, or there is no such project.
    pub async fn project_of(&self, project: Option<&ProjectName>) -> Result<ManifestRow, Refused> {
        self.0.project(project).await
    }

    /// The project and environment that are meant when names may be left out.
    ///
    /// # Errors
    /// [`Refused`] when that cannot be told, or there is no such project.
    pub async fn environment_of(
        &self,
        project: Option<&ProjectName>,
        environment: Option<&EnvironmentName>,
    ) -> Result<(ProjectName, EnvironmentName), Refused> {
        let manifest = self.0.project(project).await?;
        let environment = Inner::environment(&manifest, environment)?;
        Ok((manifest.revision.manifest.project.clone(), environment))
    }

    /// Asks for a deployment: it waits its turn, or starts at once when the environment is free.
    ///
    /// # Errors
    /// [`Refused`] with what is wrong and what to do; nothing was made then.
    pub async fn deployment_start(
        &self,
        by: impl Into<By> + Send,
        request: StartDeployment,
    ) -> Result<DeploymentId, Refused> {
        let by = by.into();
        let action = "/deployment/start";
        let idempotency = idempotency(&by.actor, action, request.idempotency_key.as_deref(), &request)?;
        if let Some(made) = self.0.answered_before(idempotency.as_ref()).await? {
            return Ok(made);
        }
        self.started(by, request, action, idempotency).await
    }

    /// The deployment that the same promotion made before; what stands in its way now plays no part.
    ///
    /// # Errors
    /// [`Refused`] when the key was used for another request.
    pub async fn promoted_before(
        &self,
        by: &Actor,
        request: &PromoteDeployment,
    ) -> Result<Option<DeploymentId>, Refused> {
        let key = idempotency(by, PROMOTE, request.idempotency_key.as_deref(), request)?;
        self.0.answered_before(key.as_ref()).await
    }

    /// As [`Coordinator::deployment_start`], for what was found ready to pass on.
    ///
    /// # Errors
    /// As there.
    pub async fn deployment_promote(
        &self,
        by: impl Into<By> + Send,
        request: &PromoteDeployment,
        found: StartDeployment,
    ) -> Result<DeploymentId, Refused> {
        let by = by.into();
        let key = idempotency(&by.actor, PROMOTE, request.idempotency_key.as_deref(), request)?;
        self.started(by, found, PROMOTE, key).await
    }

    async fn started(
        &self,
        by: By,
        request: StartDeployment,
        action: &'static str,
        idempotency: Option<Idempotency>,
    ) -> Result<DeploymentId, Refused> {
        let wanted = self.0.wanted(&request).await?;
        let rights = if request.skip_verification { may_skip(&by, &wanted)? } else { Vec::new() };
        let By { actor: by, right, author, .. } = by;
        let request = Request {
            by,
            reason: request.reason,
            source: request.source,
            accept_no_rollback: request.accept_no_rollback,
            asks: None,
            author,
        };
        self.0.make(Making { request, right, rights, wanted, action, idempotency, restores: false }).await
    }
}

/// What an order changes of the manifest for one deployment; the stored revision stays as it is.
fn reorder(manifest: &mut Manifest, order: ReleaseOrder) {
    match order {
        ReleaseOrder::Dependencies => {}
        ReleaseOrder::Parallel => {
            manifest.services.values_mut().for_each(|service| service.depends_on.clear());
        }
        ReleaseOrder::Sequential => {
            manifest.environments.values_mut().for_each(|environment| environment.max_parallel = 1);
        }
    }
}

/// Why, for the audit, with what was wanted that takes a right of its own.
fn audited(request: &Request, plan: &Plan) -> Option<String> {
    let reason = request.reason.clone();
    if !plan.skips_verification {
        return reason;
    }
    Some(reason.map_or_else(
        || "without verification".to_owned(),
        |reason| format!("without verification: {reason}"),
    ))
}

/// The idempotency of a request: its body without the key.
pub(crate) fn idempotency<B: serde::Serialize>(
    by: &Actor,
    route: &str,
    key: Option<&str>,
    body: &B,
) -> Result<Option<Idempotency>, Refused> {
    let Some(key) = key else { return Ok(None) };
    if key.is_empty() || key.len() > 200 || key.chars().any(char::is_control) {
        return Err(Refused::Invalid("an idempotency key has 1 to 200 printable characters".to_owned()));
    }
    let text = serde_json::to_vec(body).map_err(|error| Refused::Invalid(error.to_string()))?;
    let hex: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    let body: Digest =
        format!("sha256:{hex}").parse().expect("64 hexadecimal digits after the prefix are a digest");
    Ok(Some(Idempotency {
        principal: by.user.to_string(),
        route: route.to_owned(),
        key: key.to_owned(),
        body,
    }))
}

impl Inner {
    /// The project that is meant: the one that is named, or the only one.
    pub(crate) async fn project(&self, named: Option<&ProjectName>) -> Result<ManifestRow, Refused> {
        let store = &self.dependencies.store;
        let known = store.project_list().await?;
        let project = match (named, known.as_slice()) {
            (Some(named), _) => named,
            (None, [only]) => only,
            (None, []) => {
                return Err(Refused::NotFound(
                    "no manifest was applied yet; write a lockstep.yaml and use `lockstep apply`".to_owned(),
                ));
            }
            (None, _) => {
                let names: Vec<&str> = known.iter().map(ProjectName::as_str).collect();
                let names = names.join(", ");
                return Err(Refused::Invalid(format!("say which project with --project: {names}")));
            }
        };
        store.manifest_current(project).await?.ok_or_else(|| {
            let near = nearest(project.as_str(), known.iter().map(ProjectName::as_str))
                .map_or_else(String::new, |name| format!("; did you mean '{name}'?"));
            Refused::NotFound(format!("there is no project '{project}'{near}"))
        })
    }

    /// The environment that is meant: the one that is named, or the project's default.
    pub(crate) fn environment(
        manifest: &ManifestRow,
        named: Option<&EnvironmentName>,
    ) -> Result<EnvironmentName, Refused> {
        let manifest = &manifest.revision.manifest;
        named.cloned().or_else(|| manifest.default_environment.clone()).ok_or_else(|| {
            let names: Vec<&str> = manifest.environments.keys().map(EnvironmentName::as_str).collect();
            Refused::Invalid(format!(
                "say where to with --env: {}; or name a default_environment in the manifest",
                names.join(", ")
            ))
        })
    }

    /// The deployment that the same request made before. Looked at first: a request that was carried
    /// out is not refused for what has changed since, least of all by itself.
    pub(crate) async fn answered_before(
        &self,
        idempotency: Option<&Idempotency>,
    ) -> Result<Option<DeploymentId>, Refused> {
        let Some(idempotency) = idempotency else { return Ok(None) };
        match self.dependencies.store.idempotency_check(idempotency).await {
            Ok(()) => Ok(None),
            Err(CommitError::Replayed { id }) => Ok(Some(id)),
            Err(error) => Err(error.into()),
        }
    }

    async fn wanted(&self, request: &StartDeployment) -> Result<Wanted, Refused> {
        let mut manifest = self.project(request.project.as_ref()).await?;
        let environment = Self::environment(&manifest, request.environment.as_ref())?;
        reorder(&mut manifest.revision.manifest, request.order);
        let wish = Wish::Release(request.services.clone());
        let wants = Wants {
            accept_no_rollback: request.accept_no_rollback,
            skip_verification: request.skip_verification,
        };
        self.planned(manifest, environment, wish, wants).await
    }

    pub(crate) async fn planned(
        &self,
        manifest: ManifestRow,
        environment: EnvironmentName,
        wish: Wish,
        wants: Wants,
    ) -> Result<Wanted, Refused> {
        let project = &manifest.revision.manifest.project;
        let serving = self.dependencies.store.serving_list(Some(project), Some(&environment)).await?;
        let serving = serving
            .into_iter()
            .filter_map(|row| row.serving.map(|serving| (row.slot.service, serving)))
            .collect();
        // The environment as the manifest spells it, whatever the request's case.
        let environment = manifest
            .revision
            .manifest
            .environments
            .get_key_value(&environment)
            .map_or(environment.clone(), |(name, _)| name.clone());
        let mut input = PlanInput {
            manifest: &manifest.revision.manifest,
            digest: &manifest.revision.digest,
            environment: &environment,
            wish,
            serving,
            artifacts: BTreeMap::new(),
            accept_no_rollback: wants.accept_no_rollback,
            skip_verification: wants.skip_verification,
            secrets: self.dependencies.store.secret_names(project, &environment).await?,
        };
        input.artifacts = self.artifact_digests(artifacts(&input)?).await?;
        let mut plan = plan(&input)?;
        self.warn_of_unsure(&mut plan).await?;
        Ok(Wanted { manifest, environment, plan })
    }

    async fn artifact_digests(
        &self,
        questions: Vec<(ServiceName, String)>,
    ) -> Result<BTreeMap<ServiceName, Option<Digest>>, Refused> {
        let mut answers = stream::iter(questions)
            .map(|(service, path)| async move {
                let key = OrderKey(self.question("digest"));
                let order = Order::Digest { path: path.clone() };
                let order = HostOrder { key, deployment: None, epoch: Epoch(0), order };
                (service, path, self.dependencies.host.order(order).await)
            })
            .buffer_unordered(LOOKS_MAX);
        let mut digests = BTreeMap::new();
        while let Some((service, path, answer)) = answers.next().await {
            match answer {
                Ok(Outcome::Digest { digest, .. }) => {
                    digests.insert(service, digest);
                }
                Ok(Outcome::Failed { message }) => {
                    return Err(Refused::Invalid(format!(
                        "the artifact of {service} at {path} cannot be read: {message}"
                    )));
                }
                Ok(other) => {
                    return Err(Refused::Unavailable(format!(
                        "the agent answered {other:?} to a look at {path}"
                    )));
                }
                Err(error) => return Err(Refused::Unavailable(error.to_string())),
            }
        }
        Ok(digests)
    }

    /// Commits the first event of a deployment and gives it a worker.
    pub(crate) async fn make(self: &Arc<Self>, making: Making) -> Result<DeploymentId, Refused> {
        let _one_at_a_time = self.making.lock().await;
        let now = self.dependencies.clock.now();
        let Making { request, right, rights, wanted, action, idempotency, restores } = making;
        if !self.lease.is_held() {
            return Err(Refused::Unavailable(
                "nothing is begun: this coordinator could not renew its lease on the database; it goes on by itself when it can, try again in a few seconds".to_owned(),
            ));
        }
        let policy = wanted.manifest.revision.manifest.environments.get(&wanted.environment).map(|e| e.queue);
        let waiting = queue_rule::look(self, &wanted.plan.project, &wanted.environment);
        if !restores {
            self.is_free(&wanted.plan, &request.by.user).await?;
            waiting.allows(policy)?;
        }
        let actor = request.by.clone();
        let reason = audited(&request, &wanted.plan);
        let plan = Arc::new(wanted.plan);
        let first =
            Envelope { seq: Seq(1), at: now, event: Event::Requested { request, plan: plan.clone() } };
        let state = replay([first.clone()]).map_err(|illegal| Refused::Invalid(illegal.to_string()))?;
        let audit = AuditEntry {
            at: now,
            actor,
            action: action.to_owned(),
            target: format!("{}/{}", plan.project, plan.environment),
            reason,
            allowed: true,
            right,
        };
        let commit = Commit {
            to: CommitTo::New {
                project: plan.project.clone(),
                environment: plan.environment.clone(),
                owner: self.dependencies.owner.clone(),
            },
            rows: rows(DeploymentId(0), &state, std::slice::from_ref(&first)),
            events: vec![first],
            effects: Vec::new(),
            done: Vec::new(),
            audit: vec![audit],
            rights,
            idempotency,
        };
        let committed = match self.dependencies.store.commit(&commit).await {
            Ok(committed) => committed,
            Err(CommitError::Replayed { id }) => return Ok(id),
            Err(error) => return Err(error.into()),
        };
        worker::spawn(self, committed.id, committed.epoch, state, Vec::new());
        self.changed(committed.position);
        self.queue_nudge.notify_one();
        Ok(committed.id)
    }
}
