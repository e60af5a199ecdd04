//! Passing on what has soaked: the facts for the engine's question, and what is deployed then.

use super::{Services, access::permitted, refused, store};
use app::{AppError, backend::Caller};
use lockstep_engine::promotion::{self, Facts, PromotionRefusal, Soaking};
use lockstep_model::{
    ServiceName,
    access::{Permission, Scope},
    api::{ListServices, PromoteDeployment, StartDeployment},
    deployment::Source,
    error::ErrorKind,
    view::{PromotionView, ServiceView},
};
use std::collections::BTreeMap;

/// The label that says where a release was promoted from.
pub(crate) const PROMOTED_FROM: &str = "promoted_from";
/// The label that names the deployments that brought it there.
const PROMOTED: &str = "promoted_deployment";

impl Services {
    /// What could pass on, and what stands in its way.
    pub(super) async fn promotion(
        &self,
        caller: &Caller,
        request: &PromoteDeployment,
    ) -> Result<PromotionView, AppError> {
        let (_, mut manifest) = self.project_seen(caller, request.project.as_ref()).await?;
        let sight = caller.rights.sight();
        for environment in manifest.environments.values_mut() {
            // From where whoever asks sees nothing, nothing passes on for them.
            environment.promotion.take_if(|rule| !sight.sees(&manifest.project, &rule.from));
        }
        let (to, rule) =
            promotion::rule(&manifest, request.from.as_ref(), request.to.as_ref()).map_err(no_promotion)?;
        let listed = async |environment| {
            let list =
                ListServices { project: Some(manifest.project.clone()), environment: Some(environment) };
            self.services_of(&list, &sight).await
        };
        let mut soaking = BTreeMap::new();
        for one in listed(rule.from.clone()).await? {
            if let Some(found) = self.soaking(&one).await? {
                soaking.insert(one.service, found);
            }
        }
        let there = listed(to.clone()).await?;
        let serving: BTreeMap<ServiceName, _> =
            there.into_iter().filter_map(|one| Some((one.service, one.version?))).collect();
        let restrictions =
            self.coordinator.restriction_list(Some(&manifest.project), None).await.map_err(refused)?;
        let facts = Facts { manifest: &manifest, soaking, serving, restrictions: &restrictions };
        promotion::look(&facts, to, rule, &request.services, self.clock.now()).map_err(no_promotion)
    }

    async fn soaking(&self, one: &ServiceView) -> Result<Option<Soaking>, AppError> {
        let (Some(version), Some(deployment), Some(since)) = (&one.version, one.deployment, one.since) else {
            return Ok(None);
        };
        let brought = self.store.deployment_fetch(deployment).await.map_err(store)?;
        Ok(Some(Soaking {
            version: version.clone(),
            deployment,
            phase: brought.map(|row| row.phase),
            since,
            health: one.health,
            changing: one.changing,
        }))
    }

    /// The deployment of what may go, and whoever asks by the right to it.
    ///
    /// # Errors
    /// A conflict that says for each service what is missing, when something is; `Forbidden` when who asks
    /// may not deploy there.
    pub(super) async fn promoted(
        &self,
        caller: &Caller,
        request: &PromoteDeployment,
    ) -> Result<(Caller, StartDeployment), AppError> {
        let view = self.promotion(caller, request).await?;
        let scope = Scope::of(view.project.clone(), view.to.clone());
        let caller = permitted(caller, Permission::Deploy, scope)?;
        if !view.is_ready() {
            let all = view.services.iter();
            let whys: Vec<String> = all
                .filter_map(|one| one.refusal.as_ref().map(|why| format!("{}: {why}", one.service)))
                .collect();
            let message = format!("not promoted from {} to {}: {}", view.from, view.to, whys.join("; "));
            return Err(AppError::new(ErrorKind::Conflict, message));
        }
        let wish = StartDeployment {
            order: lockstep_model::deployment::ReleaseOrder::default(),
            project: Some(view.project.clone()),
            environment: Some(view.to.clone()),
            source: self.source(&view).await?,
            services: view.services.into_iter().map(|one| (one.service, one.to)).collect(),
            reason: request.reason.clone(),
            accept_no_rollback: request.accept_no_rollback,
            skip_verification: false,
            idempotency_key: None,
        };
        Ok((caller, wish))
    }

    /// Where the release comes from: as the last of the deployments that brought it said, and which
    /// they are.
    async fn source(&self, view: &PromotionView) -> Result<Source, AppError> {
        let mut brought: Vec<_> = view.services.iter().filter_map(|one| one.deployment).collect();
        brought.sort_unstable();
        brought.dedup();
        let mut source = match brought.last() {
            Some(last) => {
                let row = self.store.deployment_fetch(*last).await.map_err(store)?;
                row.map(|row| row.source).unwrap_or_default()
            }
            None => Source::default(),
        };
        let numbers: Vec<String> = brought.iter().map(ToString::to_string).collect();
        source.labels.insert(PROMOTED_FROM.to_owned(), view.from.to_string());
        source.labels.insert(PROMOTED.to_owned(), numbers.join(", "));
        Ok(source)
    }
}

fn no_promotion(refusal: PromotionRefusal) -> AppError {
    let kind = match &refusal {
        PromotionRefusal::UnknownEnvironment { .. } | PromotionRefusal::UnknownService { .. } => {
            ErrorKind::NotFound
        }
        PromotionRefusal::NoGoal { .. } => ErrorKind::Invalid,
        PromotionRefusal::NoRule { .. }
        | PromotionRefusal::OtherSource { .. }
        | PromotionRefusal::Nothing { .. } => ErrorKind::Conflict,
    };
    AppError::new(kind, refusal.to_string())
}
