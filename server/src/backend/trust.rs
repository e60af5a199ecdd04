//! Rules by which jobs elsewhere get tokens: checked when they are made, so that none is wider than it looks.

use super::{Services, people::given, provider, store};
use app::{AppError, backend::Caller, backend::Trust};
use async_trait::async_trait;
use lockstep_engine::port::trust::TRUST_MAX;
use lockstep_model::{
    error::ErrorKind,
    provider::{ProviderPage, ProviderReport},
    trust::{AddTrust, MINUTES_MAX, NamedTrust, TrustPage, TrustView, TrustedJob},
};

const CLAIM_CHARS_MAX: usize = 500;

#[async_trait]
impl Trust for Services {
    async fn trust_list(&self) -> Result<TrustPage, AppError> {
        Ok(TrustPage { rules: self.trust.trust_list().await.map_err(store)? })
    }

    async fn provider_show(&self) -> Result<ProviderPage, AppError> {
        Ok(provider::show(self))
    }

    async fn provider_check(&self) -> Result<ProviderReport, AppError> {
        provider::check(self).await
    }

    async fn trust_add(&self, caller: &Caller, req: AddTrust) -> Result<TrustView, AppError> {
        let name = named(&req.name)?;
        self.issuers.check(&req.job.issuer).map_err(|error| invalid(format!("'issuer': {error}")))?;
        check(&req.job)?;
        if !(1..=MINUTES_MAX).contains(&req.minutes) {
            return Err(invalid(format!("'minutes' is {}; use 1 to {MINUTES_MAX}", req.minutes)));
        }
        let bound = given(caller, req.role, req.project, req.environment)?;
        let actions = super::people::actions(&req.actions, Some(req.role))?;
        let rule = TrustView {
            name,
            job: req.job,
            bound,
            actions,
            minutes: req.minutes,
            made_by: caller.user.clone(),
            created_at: self.clock.now(),
            last_used_at: None,
        };
        let mut audit = self.entry(caller, "/trust/add", format!("trust {}", rule.name));
        audit.reason = Some(format!("after: {}", said(&rule)));
        if self.trust.trust_add(&rule, audit).await.map_err(store)? {
            return Ok(rule);
        }
        let message = format!(
            "there is a rule '{}' already, or {TRUST_MAX} of them; end one with `lockstep trust remove`",
            rule.name
        );
        Err(AppError::new(ErrorKind::Conflict, message))
    }

    async fn trust_remove(&self, caller: &Caller, req: NamedTrust) -> Result<TrustView, AppError> {
        let known = self.trust.trust_list().await.map_err(store)?;
        let known = known.into_iter().find(|rule| rule.name.eq_ignore_ascii_case(&req.name));
        let mut audit = self.entry(caller, "/trust/remove", format!("trust {}", req.name));
        audit.reason = known.map(|rule| format!("before: {}", said(&rule)));
        let ended = self.trust.trust_remove(&req.name, audit).await.map_err(store)?;
        self.identities.withdrawn();
        ended.ok_or_else(|| {
            let message = format!("there is no rule '{}'; see `lockstep trust list`", req.name);
            AppError::new(ErrorKind::NotFound, message)
        })
    }
}

fn invalid(message: String) -> AppError {
    AppError::new(ErrorKind::Invalid, message)
}

/// A rule's name: as other names are.
pub(super) fn named(name: &str) -> Result<String, AppError> {
    let is_name = name.len() <= 63
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if is_name {
        Ok(name.to_owned())
    } else {
        Err(invalid(format!("'name' is '{name}'; use 1 to 63 letters, digits, '-' and '_'")))
    }
}

/// Claims are compared in full: what looks like a pattern was meant as one, and would never hold.
fn check(job: &TrustedJob) -> Result<(), AppError> {
    for (field, value) in [
        ("audience", &job.audience),
        ("repository_id", &job.repository_id),
        ("repository_owner_id", &job.repository_owner_id),
        ("ref", &job.git_ref),
        ("environment", &job.environment),
        ("workflow", &job.workflow),
    ] {
        let is_plain = !value.is_empty()
            && value.chars().count() <= CLAIM_CHARS_MAX
            && !value.contains(char::is_control);
        if !is_plain || value.contains(['*', '?']) {
            return Err(invalid(format!(
                "'job.{field}' is '{value}'; it is compared in full, so write all of it and no pattern"
            )));
        }
    }
    for (field, value) in
        [("repository_id", &job.repository_id), ("repository_owner_id", &job.repository_owner_id)]
    {
        if !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid(format!(
                "'job.{field}' is '{value}'; it is a number, which no other repository or owner ever gets: `gh api repos/OWNER/NAME --jq '.id, .owner.id'`"
            )));
        }
    }
    if !job.git_ref.starts_with("refs/heads/") && !job.git_ref.starts_with("refs/tags/") {
        return Err(invalid(format!(
            "'job.ref' is '{}'; write a branch or a tag in full, as refs/heads/main",
            job.git_ref
        )));
    }
    if job.workflow.contains('@') || !job.workflow.contains('/') {
        return Err(invalid(format!(
            "'job.workflow' is '{}'; write the file, as .github/workflows/deploy.yml",
            job.workflow
        )));
    }
    Ok(())
}

/// As it is noted down: the audit tells it field by field.
fn said(rule: &TrustView) -> String {
    let may = rule.bound.to_string();
    serde_json::json!({"may": may, "actions": rule.actions, "minutes": rule.minutes, "job": rule.job})
        .to_string()
}
