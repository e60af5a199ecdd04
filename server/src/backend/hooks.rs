//! Rules of webhooks: checked when they are made, so that each says in full whom it is about.

use super::{Services, secrets::failed, store, trust::named};
use crate::vault::hook::{self, SECRET_CHARS_MIN, VARIABLES};
use app::{AppError, backend::Caller, backend::Hooks};
use async_trait::async_trait;
use lockstep_engine::port::hooks::HOOKS_MAX;
use lockstep_model::{
    access::{Object, Permission},
    error::ErrorKind,
    hooks::{
        DELIVERIES_MAX, DeliveryPage, HookEvent, HookPage, HookRule, HookSender, HookVersion, HookView,
        ListDeliveries, NamedHook,
    },
    secrets::SecretSource,
};

const TEXT_CHARS_MAX: usize = 500;

#[async_trait]
impl Hooks for Services {
    async fn hook_list(&self) -> Result<HookPage, AppError> {
        let mut hooks = self.hooks.hook_list().await.map_err(store)?;
        for hook in &mut hooks {
            // One that cannot be opened is of no more use than none.
            hook.has_secret = self.vault.of_hook(&hook.rule).await.is_ok_and(|found| found.is_some());
        }
        Ok(HookPage { hooks })
    }

    async fn hook_add(&self, caller: &Caller, req: HookRule) -> Result<HookView, AppError> {
        named(&req.name)?;
        check(&req)?;
        let (mut project, mut environment) = (Some(req.project.clone()), Some(req.environment.clone()));
        // There must be what it deploys to, and whoever makes the rule may deploy there.
        let object = Object::Environment(&mut project, &mut environment);
        app::backend::Access::admit(self, caller, Permission::Deploy, object).await?;
        let has_secret = self.has_secret(&req).await?;
        let hook = HookView {
            rule: req,
            made_by: caller.user.clone(),
            created_at: self.clock.now(),
            last_used_at: None,
            has_secret,
        };
        let mut audit = self.entry(caller, "/hook/add", format!("hook {}", hook.rule.name));
        audit.reason = Some(format!("after: {}", said(&hook.rule)));
        if self.hooks.hook_add(&hook, audit).await.map_err(store)? {
            return Ok(hook);
        }
        let message = format!(
            "there is a webhook '{}' already, or {HOOKS_MAX} of them; end one with `lockstep hook remove`",
            hook.rule.name
        );
        Err(AppError::new(ErrorKind::Conflict, message))
    }

    async fn hook_remove(&self, caller: &Caller, req: NamedHook) -> Result<HookView, AppError> {
        let known = self.hooks.hook_fetch(&req.name).await.map_err(store)?;
        let mut audit = self.entry(caller, "/hook/remove", format!("hook {}", req.name));
        audit.reason = known.map(|hook| format!("before: {}", said(&hook.rule)));
        let removed = self.hooks.hook_remove(&req.name, audit).await.map_err(store)?;
        removed.ok_or_else(|| missing(&req.name))
    }

    async fn hook_deliveries(&self, req: ListDeliveries) -> Result<DeliveryPage, AppError> {
        if !(1..=DELIVERIES_MAX).contains(&req.limit) {
            return Err(invalid(format!("'limit' is {}; it is 1 to {DELIVERIES_MAX}", req.limit)));
        }
        self.hooks.hook_fetch(&req.name).await.map_err(store)?.ok_or_else(|| missing(&req.name))?;
        self.hooks.hook_deliveries(&req.name, req.limit).await.map_err(store)
    }
}

impl Services {
    /// Whether the secret of a new rule is set. One of Lockstep's own must be; others may come later, as
    /// nobody can put them there from here.
    async fn has_secret(&self, rule: &HookRule) -> Result<bool, AppError> {
        let is_set = self.vault.of_hook(rule).await.map_err(failed)?.is_some();
        match hook::source(&rule.secret) {
            Some(SecretSource::Secret(name)) if !is_set => Err(invalid(format!(
                "'secret' is '{}', and {}/{} has no secret '{name}' of {SECRET_CHARS_MIN} characters or more; set it first: `lockstep secret set {name} --project {} --env {}`",
                rule.secret, rule.project, rule.environment, rule.project, rule.environment
            ))),
            _ => Ok(is_set),
        }
    }
}

fn missing(name: &str) -> AppError {
    AppError::new(ErrorKind::NotFound, format!("there is no webhook '{name}'; see `lockstep hook list`"))
}

fn invalid(message: impl Into<String>) -> AppError {
    AppError::new(ErrorKind::Invalid, message)
}

fn check(rule: &HookRule) -> Result<(), AppError> {
    if hook::source(&rule.secret).is_none() {
        return Err(invalid(format!(
            "'secret' says where the server finds it and is no secret itself: 'secret:NAME', 'env:{VARIABLES}NAME' or 'file:/path'"
        )));
    }
    if rule.version == HookVersion::Commit && rule.services.is_empty() {
        return Err(invalid("'services' is empty; name those whose version is the commit"));
    }
    for (field, value) in
        [("ref", &rule.git_ref), ("workflow", &rule.workflow), ("job_environment", &rule.job_environment)]
    {
        let Some(value) = value else { continue };
        if value.is_empty()
            || value.len() > TEXT_CHARS_MAX
            || value.contains(['*', '?'])
            || value.contains(char::is_control)
        {
            return Err(invalid(format!(
                "'{field}' is '{value}'; it is compared in full, so write all of it and no pattern"
            )));
        }
    }
    match rule.sender {
        HookSender::Github => check_github(rule),
        HookSender::Generic if rule.events.is_empty() && rule.repository_id.is_none() => Ok(()),
        HookSender::Generic => Err(invalid("'events' and 'repository_id' are of GitHub's webhooks alone")),
    }
}

fn check_github(rule: &HookRule) -> Result<(), AppError> {
    let id = rule.repository_id.as_deref().unwrap_or("");
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(format!(
            "'repository_id' is '{id}'; it is a number, which no other repository ever gets: `gh api repos/OWNER/NAME --jq .id`"
        )));
    }
    if rule.events.is_empty() {
        return Err(invalid("'events' is empty; say what is acted on: push, deployment, workflow_run"));
    }
    for event in &rule.events {
        let (field, is_said) = match event {
            HookEvent::Push => ("ref", rule.git_ref.is_some()),
            HookEvent::Deployment => ("job_environment", rule.job_environment.is_some()),
            HookEvent::WorkflowRun => ("workflow", rule.workflow.is_some()),
        };
        if !is_said {
            return Err(invalid(format!("'{field}' is missing: the event needs it")));
        }
    }
    if rule.git_ref.as_deref().is_some_and(|wanted| !wanted.starts_with("refs/")) {
        return Err(invalid("'ref' is written in full, as refs/heads/main"));
    }
    Ok(())
}

fn said(rule: &HookRule) -> String {
    serde_json::to_string(rule).unwrap_or_default()
}
