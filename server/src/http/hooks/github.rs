//! What GitHub delivers, and what a rule makes of it. Only what is needed is read; whatever does not fit a rule
//! in full is ignored.

use super::act::Wish;
use lockstep_model::hooks::{HookEvent, HookRule};
use serde::{Deserialize, de::DeserializeOwned};

const NOTHING_COMMIT: &str = "0000000000000000000000000000000000000000";
/// Conclusions that are a failure of what was tried: not `cancelled`, `skipped`, `stale`, `neutral`.
const FAILED: [&str; 3] = ["failure", "timed_out", "startup_failure"];

#[derive(Deserialize)]
struct Repository {
    id: u64,
    #[serde(default)]
    full_name: String,
}

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    git_ref: String,
    after: String,
    #[serde(default)]
    deleted: bool,
    repository: Repository,
    head_commit: Option<Commit>,
    /// Whoever is signed in at GitHub; the author of a commit is only a text.
    #[serde(default)]
    sender: Option<Login>,
}

#[derive(Deserialize)]
struct Commit {
    #[serde(default)]
    message: String,
    author: Option<Author>,
}

#[derive(Deserialize)]
struct Author {
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
struct Deployment {
    action: String,
    deployment: Described,
    repository: Repository,
}

#[derive(Deserialize)]
struct Described {
    sha: String,
    #[serde(rename = "ref")]
    git_ref: String,
    environment: String,
    #[serde(default)]
    description: Option<String>,
    creator: Option<Login>,
}

#[derive(Deserialize)]
struct Login {
    login: String,
}

#[derive(Deserialize)]
struct WorkflowRun {
    action: String,
    workflow_run: Run,
    repository: Repository,
}

#[derive(Deserialize)]
struct Run {
    id: u64,
    head_sha: String,
    head_branch: Option<String>,
    path: String,
    event: String,
    conclusion: Option<String>,
    head_repository: Option<Repository>,
}

/// What follows from an event.
pub(super) fn wish(rule: &HookRule, event: &str, body: &[u8]) -> Result<Wish, String> {
    let known = match event {
        "push" => HookEvent::Push,
        "deployment" => HookEvent::Deployment,
        "workflow_run" => HookEvent::WorkflowRun,
        other => return Ok(nothing(format!("'{other}' is nothing that is acted on"))),
    };
    if !rule.events.contains(&known) {
        return Ok(nothing(format!("the rule does not act on '{event}'")));
    }
    match known {
        HookEvent::Push => push(rule, read(body)?),
        HookEvent::Deployment => deployment(rule, read(body)?),
        HookEvent::WorkflowRun => workflow_run(rule, read(body)?),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body)
        .map_err(|error| format!("the body is not what GitHub sends as JSON: {error}"))
}

fn nothing(why: String) -> Wish {
    Wish::Nothing { why }
}

/// Why an event is not of the rule's repository.
fn elsewhere(rule: &HookRule, repository: &Repository) -> Option<Wish> {
    let is_ours = rule.repository_id.as_deref() == Some(repository.id.to_string().as_str());
    (!is_ours).then(|| nothing(format!("the rule is about another repository than {}", repository.id)))
}

fn push(rule: &HookRule, push: Push) -> Result<Wish, String> {
    if let Some(ignored) = elsewhere(rule, &push.repository) {
        return Ok(ignored);
    }
    if rule.git_ref.as_deref() != Some(push.git_ref.as_str()) {
        return Ok(nothing(format!("the rule is about another ref than {}", push.git_ref)));
    }
    if push.deleted || push.after == NOTHING_COMMIT {
        return Ok(nothing(format!("{} was deleted", push.git_ref)));
    }
    let author = push.head_commit.as_ref().and_then(|commit| commit.author.as_ref());
    let author = author.and_then(|author| author.username.clone().or_else(|| author.name.clone()));
    let subject = push.head_commit.map(|commit| commit.message.lines().next().unwrap_or("").to_owned());
    let reason = subject.filter(|subject| !subject.is_empty());
    let reason =
        reason.unwrap_or_else(|| format!("push to {} of {}", push.git_ref, push.repository.full_name));
    let pushed_by = push.sender.map(|sender| sender.login);
    Ok(Wish::Deploy { repository: push.repository.id, commit: Some(push.after), author, pushed_by, reason })
}

fn deployment(rule: &HookRule, told: Deployment) -> Result<Wish, String> {
    if let Some(ignored) = elsewhere(rule, &told.repository) {
        return Ok(ignored);
    }
    let Deployment { action, deployment, repository } = told;
    if action != "created" {
        return Ok(nothing(format!("the deployment was {action}, not created")));
    }
    if rule.job_environment.as_deref() != Some(deployment.environment.as_str()) {
        return Ok(nothing(format!(
            "the rule is about another environment than '{}'",
            deployment.environment
        )));
    }
    // Whoever may write to the repository makes a deployment of any ref; GitHub names branches in short.
    let is_wanted = rule.git_ref.as_deref().is_none_or(|wanted| {
        [deployment.git_ref.clone(), format!("refs/heads/{}", deployment.git_ref)]
            .iter()
            .any(|one| one == wanted)
    });
    if !is_wanted {
        return Ok(nothing(format!("the rule is about another ref than {}", deployment.git_ref)));
    }
    let reason = deployment.description.filter(|text| !text.is_empty());
    let reason = reason
        .unwrap_or_else(|| format!("deployment of {} to {}", deployment.git_ref, deployment.environment));
    let author = deployment.creator.map(|creator| creator.login);
    let commit = Some(deployment.sha);
    Ok(Wish::Deploy { repository: repository.id, commit, pushed_by: author.clone(), author, reason })
}

fn workflow_run(rule: &HookRule, told: WorkflowRun) -> Result<Wish, String> {
    if let Some(ignored) = elsewhere(rule, &told.repository) {
        return Ok(ignored);
    }
    let WorkflowRun { action, workflow_run: run, repository } = told;
    let conclusion = run.conclusion.unwrap_or_default();
    if action != "completed" || !FAILED.contains(&conclusion.as_str()) {
        return Ok(nothing(format!("the run is {action} {conclusion}: no failure")));
    }
    if rule.workflow.as_deref() != Some(run.path.as_str()) {
        return Ok(nothing(format!("{} is not the watched workflow", run.path)));
    }
    // What somebody proposes, maybe from a repository of their own, was never deployed.
    let is_own = run.head_repository.is_some_and(|head| head.id == repository.id);
    if !is_own || run.event.starts_with("pull_request") {
        return Ok(nothing("the run is of a proposed change".to_owned()));
    }
    let branch = run.head_branch.unwrap_or_default();
    if rule.git_ref.as_deref().is_some_and(|wanted| wanted != format!("refs/heads/{branch}")) {
        return Ok(nothing(format!("the rule is about another branch than '{branch}'")));
    }
    let reason = format!("{} failed on {} (run {}, {conclusion})", run.path, repository.full_name, run.id);
    Ok(Wish::TakeBack { repository: repository.id, commit: run.head_sha, reason })
}
