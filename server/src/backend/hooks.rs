//! Rules of webhooks: checked when they are made, so that each says in full whom it is about.

use super::{Services, store, trust::named};
use crate::http;
use app::{AppError, backend::Caller, backend::Hooks};
use async_trait::async_trait;
use lockstep_engine::port::hooks::HOOKS_MAX;
use lockstep_model::{
    access::{Object, Permission},
    error::ErrorKind,
    hooks::{HookEvent, HookPage, HookRule, HookSender, HookVersion, HookView, NamedHook},
};

const TEXT_CHARS_MAX: usize = 500;

#[async_trait]
impl Hooks for Services {
    async fn hook_list(&self) -> Result<HookPage, AppError> {
        let mut hooks = self.hooks.hook_list().await.map_err(store)?;
        for hook in &mut hooks {
            hook.has_secret = http::hook_has_secret(&hook.rule.secret);
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
        let has_secret = http::hook_has_secret(&req.secret);
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
        self.hooks.hook_remove(&req.name, audit).await.map_err(store)?.ok_or_else(|| {
            let message = format!("there is no webhook '{}'; see `lockstep hook list`", req.name);
            AppError::new(ErrorKind::NotFound, message)
        })
    }
}

fn invalid(message: impl Into<String>) -> AppError {
    AppError::new(ErrorKind::Invalid, message)
}

fn check(rule: &HookRule) -> Result<(), AppError> {
    let place = rule.secret.split_once(':');
    let is_place = match place {
        Some(("env", name)) => name.starts_with(http::HOOK_VARIABLES) && name.len() <= TEXT_CHARS_MAX,
        Some(("file", path)) => path.starts_with('/') && path.len() <= TEXT_CHARS_MAX,
        _ => false,
    };
    if !is_place {
        return Err(invalid(format!(
            "'secret' says where the server finds it and is no secret itself: 'env:{}NAME' or 'file:/path'",
            http::HOOK_VARIABLES
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
