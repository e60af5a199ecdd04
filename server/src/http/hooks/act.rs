//! What a webhook asks for is done in the name of whoever made its rule, in the rule's environment alone, by
//! the same way as every other request.

use super::said;
use crate::http::Web;
use app::{AppError, backend::Caller};
use lockstep_engine::port::hooks::Delivery;
use lockstep_model::{
    access::{Grant, Object, Permission, Role, Scope},
    api::{ListDeployments, RollbackDeployment, StartDeployment},
    deployment::{Phase, Source},
    error::{ErrorBody, ErrorKind},
    hooks::{GenericAction, GenericHook, HookAnswer, HookRule, HookVersion, HookView},
    view::DeploymentSummary,
};
use std::{collections::BTreeMap, net::IpAddr};

const REASON_CHARS_MAX: usize = 500;
/// How far back the deployment of a commit is looked for.
const LOOKED_BACK: u32 = 50;

/// What a webhook asks for.
pub(super) enum Wish {
    /// Nothing, and why.
    Nothing {
        /// Why.
        why: String,
    },
    /// A deployment.
    Deploy {
        /// The repository's id; 0 = none.
        repository: u64,
        /// Of which commit.
        commit: Option<String>,
        /// Who wrote it.
        author: Option<String>,
        /// Who pushed it, as whoever signed this knows.
        pushed_by: Option<String>,
        /// Why.
        reason: String,
    },
    /// That a commit's deployment is taken back.
    TakeBack {
        /// The repository's id; 0 = none.
        repository: u64,
        /// Of which commit.
        commit: String,
        /// Why.
        reason: String,
    },
}

impl Wish {
    pub(super) fn repository(&self) -> u64 {
        match self {
            Self::Nothing { .. } => 0,
            Self::Deploy { repository, .. } | Self::TakeBack { repository, .. } => *repository,
        }
    }

    pub(super) fn commit(&self) -> Option<&str> {
        match self {
            Self::Nothing { .. } => None,
            Self::Deploy { commit, .. } => commit.as_deref(),
            Self::TakeBack { commit, .. } => Some(commit),
        }
    }
}

/// What a program asks for in our own form.
pub(super) fn generic(body: &[u8]) -> Result<Wish, String> {
    let told: GenericHook = serde_json::from_slice(body).map_err(|error| format!("the body: {error}"))?;
    let reason = told.reason.unwrap_or_else(|| "asked for by a webhook".to_owned());
    match (told.action, told.commit) {
        (GenericAction::Deploy, commit) => {
            Ok(Wish::Deploy { repository: 0, commit, author: told.author, pushed_by: None, reason })
        }
        (GenericAction::Rollback, Some(commit)) => Ok(Wish::TakeBack { repository: 0, commit, reason }),
        (GenericAction::Rollback, None) => {
            Err("'commit' is missing: whose deployment is to be taken back".to_owned())
        }
    }
}

/// Does it.
pub(super) async fn act(
    web: &Web,
    hook: &HookView,
    delivery: &Delivery,
    wish: Wish,
    address: Option<IpAddr>,
) -> Result<HookAnswer, ErrorBody> {
    let rule = &hook.rule;
    let bound = Grant { on: Scope::of(rule.project.clone(), rule.environment.clone()), role: Role::Deployer };
    let via = format!("webhook {}", rule.name);
    let caller =
        web.identities.on_behalf(&hook.made_by, &bound, via, address).await.map_err(super::unavailable)?;
    let Some(mut caller) = caller else {
        let message = format!("{}, who made this webhook, may not sign in any more", hook.made_by);
        return Err(ErrorBody::new(ErrorKind::Forbidden, message));
    };
    let key = format!("hook-{}", delivery.content.as_str());
    let done = match wish {
        Wish::Nothing { why } => Ok(said("ignored", why, None)),
        Wish::Deploy { commit, author, pushed_by, reason, .. } => {
            caller.rule.iter_mut().for_each(|rule| rule.named.extend(pushed_by.clone()));
            deploy(web, rule, &caller, commit, author, reason, key).await
        }
        Wish::TakeBack { commit, reason, .. } => take_back(web, rule, &caller, &commit, reason, key).await,
    };
    if let Err(AppError(refusal)) = &done
        && refusal.kind == ErrorKind::Forbidden
    {
        web.backend.access.denied(&caller, &format!("/hooks/{}", rule.name)).await;
    }
    done.map_err(|AppError(refusal)| refusal)
}

async fn deploy(
    web: &Web,
    rule: &HookRule,
    caller: &Caller,
    commit: Option<String>,
    author: Option<String>,
    reason: String,
    key: String,
) -> Result<HookAnswer, AppError> {
    let version = match (rule.version, &commit) {
        (HookVersion::Manifest, _) => None,
        (HookVersion::Commit, Some(commit)) => {
            let version = commit.parse().map_err(|error: lockstep_model::scalar::InvalidText| {
                AppError::new(ErrorKind::Invalid, error.to_string())
            })?;
            Some(version)
        }
        (HookVersion::Commit, None) => {
            return Err(AppError::new(
                ErrorKind::Invalid,
                "'commit' is missing: the rule deploys it as the version",
            ));
        }
    };
    let labels = BTreeMap::from([("webhook".to_owned(), rule.name.clone())]);
    let (mut project, mut environment) = (Some(rule.project.clone()), Some(rule.environment.clone()));
    let object = Object::Environment(&mut project, &mut environment);
    let caller = web.backend.access.admit(caller, Permission::Deploy, object).await?;
    let request = StartDeployment {
        project,
        environment,
        services: rule.services.iter().map(|service| (service.clone(), version.clone())).collect(),
        order: Default::default(),
        source: Source { commit, commit_time: None, author, ci_run: None, labels },
        reason: Some(short(reason)),
        accept_no_rollback: false,
        skip_verification: false,
        idempotency_key: Some(key),
    };
    let started = web.backend.deployments.deployment_start(&caller, request).await?;
    Ok(said("started", format!("deployment {} was started", started.id), Some(started.id.0)))
}

async fn take_back(
    web: &Web,
    rule: &HookRule,
    caller: &Caller,
    commit: &str,
    reason: String,
    key: String,
) -> Result<HookAnswer, AppError> {
    let wanted = ListDeployments {
        project: Some(rule.project.clone()),
        environment: Some(rule.environment.clone()),
        limit: LOOKED_BACK,
        ..ListDeployments::default()
    };
    let list = web.backend.deployments.deployment_list(caller, wanted).await?.deployments;
    let Some(place) = list.iter().position(|one| is_of(one, commit)) else {
        return Ok(said("ignored", format!("{commit} was not deployed here lately"), None));
    };
    let id = list[place].id;
    let phase = list[place].phase;
    if phase.is_final() && phase != Phase::Succeeded {
        return Ok(said(
            "ignored",
            format!("deployment {id} of {commit} did not succeed anyway"),
            Some(id.0),
        ));
    }
    // What came later would go back with it.
    let later = list[..place].iter().find(|one| !one.phase.is_final() || one.phase == Phase::Succeeded);
    if let Some(later) = later {
        let message =
            format!("deployment {} came after {id} of {commit}, which does not serve any more", later.id);
        return Ok(said("ignored", message, Some(id.0)));
    }
    let caller = web.backend.access.admit(caller, Permission::Operate, Object::Deployment(id)).await?;
    let request = RollbackDeployment {
        id: Some(id),
        project: None,
        environment: None,
        services: Vec::new(),
        reason: Some(short(reason)),
        idempotency_key: Some(key),
    };
    let back = web.backend.deployments.deployment_rollback(&caller, request).await?;
    Ok(said("taken_back", format!("deployment {id} is taken back by {}", back.id), Some(back.id.0)))
}

fn is_of(one: &DeploymentSummary, commit: &str) -> bool {
    one.restore_of.is_none() && one.source.commit.as_deref() == Some(commit)
}

fn short(reason: String) -> String {
    let reason: String = reason.chars().filter(|one| !one.is_control()).collect();
    reason.chars().take(REASON_CHARS_MAX).collect()
}
