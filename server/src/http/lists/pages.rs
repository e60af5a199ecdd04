//! Where the pages of the lists come from: what the pages of the application list, for whoever asks.

use super::Page;
use crate::{backend::search, http::Web};
use app::{AppError, backend::Caller};
use lockstep_model::{
    DeploymentId, EnvironmentName, ProjectName, ServiceName,
    api::{
        DeploymentRequest, FindAudit, ListDeployments, ListRestrictions, ListServices, PAGE_ROWS_MAX,
        ServiceRequest,
    },
    error::ErrorKind,
    hooks::HookView,
    restriction::Restriction,
    secrets::{ListSecrets, SecretView},
    session::SessionItem,
    tokens::FindCredentials,
    trust::TrustView,
    view::{
        AuditView, CheckBucket, DeploymentDetail, DeploymentSummary, ServiceView, TokenView, UserView,
        comparison::{self, Compared},
    },
};

/// Which rows.
#[derive(Clone, serde::Deserialize)]
pub(super) struct Words {
    /// Only those with all of these words, as on the page.
    #[serde(default)]
    q: String,
}

impl Words {
    fn find(self) -> FindCredentials {
        FindCredentials { q: self.q, own: false }
    }

    /// Those of which `words` says what all words are in.
    fn of<T>(&self, mut rows: Vec<T>, words: impl Fn(&T) -> String) -> Vec<T> {
        let needles = self.q.to_lowercase();
        rows.retain(|row| {
            let words = words(row).to_lowercase();
            needles.split_whitespace().all(|word| words.contains(word))
        });
        rows
    }
}

pub(super) async fn deployments(
    web: Web,
    caller: Caller,
    asked: ListDeployments,
    cursor: Option<String>,
) -> Result<Page<DeploymentSummary, String>, AppError> {
    let mut search = search(&ListDeployments { limit: PAGE_ROWS_MAX, cursor, ..asked }, &caller)?;
    search.count = false;
    let page = web.store.deployment_list(&search).await.map_err(crate::backend::store)?;
    Ok(Page { rows: page.deployments, next: page.next })
}

pub(super) async fn services(web: Web, caller: Caller, asked: Words) -> Result<Vec<ServiceView>, AppError> {
    let all = ListServices { project: None, environment: None };
    let mut rows = web.backend.services.service_list(&caller, all).await?.services;
    // As the page does: the whole of what was typed, as it was typed.
    let needle = asked.q.to_ascii_lowercase();
    rows.retain(|service| service.words().contains(&needle));
    Ok(rows)
}

pub(super) async fn audit(
    web: Web,
    _: Caller,
    asked: FindAudit,
    before: Option<i64>,
) -> Result<Page<AuditView, i64>, AppError> {
    let asked = FindAudit { limit: PAGE_ROWS_MAX, before: before.or(asked.before), ..asked };
    let rows = web.backend.audit.audit_list(asked).await?.entries;
    let is_full = rows.len() >= PAGE_ROWS_MAX as usize;
    let next = rows.last().filter(|_| is_full).map(|last| last.id);
    Ok(Page { rows, next })
}

pub(super) async fn people(web: Web, _: Caller, asked: Words) -> Result<Vec<UserView>, AppError> {
    let rows = web.backend.people.user_list().await?.users;
    Ok(asked.of(rows, |one| format!("{} {}", one.name, one.grants)))
}

/// One's own; an admin's are everybody's.
pub(super) async fn tokens(web: Web, caller: Caller, asked: Words) -> Result<Vec<TokenView>, AppError> {
    Ok(web.backend.people.token_list(&caller, asked.find()).await?.tokens)
}

/// One's own; an admin's are everybody's.
pub(super) async fn sessions(web: Web, caller: Caller, asked: Words) -> Result<Vec<SessionItem>, AppError> {
    Ok(web.backend.people.session_list(&caller, asked.find()).await?.sessions)
}

/// Names and dates: no value, nor anything made from one.
pub(super) async fn secrets(web: Web, _: Caller, asked: Words) -> Result<Vec<SecretView>, AppError> {
    let rows = web.backend.secrets.secret_list(ListSecrets::default()).await?.secrets;
    Ok(asked.of(rows, |one| format!("{} {} {} {}", one.project, one.environment, one.name, one.set_by)))
}

pub(super) async fn jobs(web: Web, _: Caller, asked: Words) -> Result<Vec<TrustView>, AppError> {
    let rows = web.backend.trust.trust_list().await?.rules;
    Ok(asked.of(rows, |one| one.name.clone()))
}

/// With where their secrets are, as the list tells it; never the secrets.
pub(super) async fn webhooks(web: Web, _: Caller, asked: Words) -> Result<Vec<HookView>, AppError> {
    let rows = web.backend.hooks.hook_list().await?.hooks;
    Ok(asked.of(rows, |one| one.rule.name.clone()))
}

/// Those of what one sees.
pub(super) async fn restrictions(
    web: Web,
    caller: Caller,
    asked: Words,
) -> Result<Vec<Restriction>, AppError> {
    let all = ListRestrictions { project: None, environment: None };
    let rows = web.backend.deployments.restriction_list(&caller, all).await?.restrictions;
    Ok(asked
        .of(rows, |one| format!("{} {} {} {}", one.kind.word(), one.project, one.environment, one.reason)))
}

/// Which two.
#[derive(Clone, serde::Deserialize)]
pub(super) struct Both {
    a: i64,
    b: i64,
    /// `changed` = only what differs, as on the page.
    #[serde(default)]
    only: String,
}

pub(super) async fn compared(web: Web, caller: Caller, asked: Both) -> Result<Vec<Compared>, AppError> {
    let (a, b) = (seen(&web, &caller, asked.a).await?, seen(&web, &caller, asked.b).await?);
    let mut rows = comparison::lines(&a, &b);
    rows.retain(|row| asked.only != "changed" || row.differs);
    Ok(rows)
}

/// One that the caller sees; others are not there.
async fn seen(web: &Web, caller: &Caller, id: i64) -> Result<DeploymentDetail, AppError> {
    let id = DeploymentId(id);
    let row = web.store.deployment_fetch(id).await.map_err(crate::backend::store)?;
    let sight = caller.rights.sight();
    if !row.is_some_and(|row| sight.sees(&row.project, &row.environment)) {
        return Err(AppError::new(ErrorKind::NotFound, format!("there is no deployment {id}")));
    }
    web.backend.deployments.deployment_show(DeploymentRequest { id }).await
}

/// Which service.
#[derive(Clone, serde::Deserialize)]
pub(super) struct One {
    project: ProjectName,
    environment: EnvironmentName,
    service: ServiceName,
}

/// The last day, a line for each quarter of an hour in which it was looked at.
pub(super) async fn checks(web: Web, caller: Caller, asked: One) -> Result<Vec<CheckBucket>, AppError> {
    let One { project, environment, service } = asked;
    if !caller.rights.sight().sees(&project, &environment) {
        let message = format!("{service} has no target in {environment} of {project}");
        return Err(AppError::new(ErrorKind::NotFound, message));
    }
    let request = ServiceRequest { project: Some(project), environment: Some(environment), service };
    Ok(web.backend.services.service_show(request).await?.day)
}
