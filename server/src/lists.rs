//! What the pages of the administration list, as lines of a CSV file, for downloads and for commands alike. What lets
//! somebody in is in none of them.

use crate::csv::{file, or_empty};
use lockstep_model::{
    hooks::{HookEvent, HookView},
    restriction::Restriction,
    secrets::SecretView,
    session::SessionItem,
    tokens,
    trust::TrustView,
    view::{TokenView, UserView},
};

/// People.
pub(crate) fn people(rows: &[UserView]) -> String {
    let fields = |user: &UserView| {
        vec![
            user.name.to_string(),
            user.grants.to_string(),
            user.enabled.to_string(),
            user.has_password.to_string(),
            user.created_at.to_string(),
        ]
    };
    file(&["user", "roles", "enabled", "has_password", "created_at_ms"], rows.iter().map(fields))
}

/// Tokens, without what they are used by.
pub(crate) fn tokens(rows: &[TokenView]) -> String {
    let fields = |token: &TokenView| {
        vec![
            token.id.clone(),
            token.name.clone(),
            token.user.to_string(),
            token.may(),
            token.revoked.to_string(),
            token.created_at.to_string(),
            token.expires_at.to_string(),
            or_empty(&token.last_used_at),
        ]
    };
    let head = ["id", "name", "user", "may", "revoked", "created_at_ms", "expires_at_ms", "last_used_at_ms"];
    file(&head, rows.iter().map(fields))
}

/// Sessions, under the names by which they are ended.
pub(crate) fn sessions(rows: &[SessionItem]) -> String {
    let fields = |one: &SessionItem| {
        vec![
            one.id.clone(),
            one.user.to_string(),
            or_empty(&one.device),
            or_empty(&one.address),
            one.created_at.to_string(),
            one.used_at.to_string(),
            one.expires_at.to_string(),
        ]
    };
    let head = ["id", "user", "program", "address", "created_at_ms", "used_at_ms", "expires_at_ms"];
    file(&head, rows.iter().map(fields))
}

/// Secrets: what they are called and when they were set.
pub(crate) fn secrets(rows: &[SecretView]) -> String {
    let fields = |one: &SecretView| {
        vec![
            one.project.to_string(),
            one.environment.to_string(),
            one.name.to_string(),
            one.version.to_string(),
            one.set_by.to_string(),
            one.set_at.to_string(),
        ]
    };
    file(&["project", "environment", "name", "version", "set_by", "set_at_ms"], rows.iter().map(fields))
}

/// Jobs elsewhere that are trusted.
pub(crate) fn jobs(rows: &[TrustView]) -> String {
    let fields = |one: &TrustView| {
        vec![
            one.name.clone(),
            one.job.issuer.clone(),
            one.job.audience.clone(),
            one.job.repository_id.clone(),
            one.job.repository_owner_id.clone(),
            one.job.git_ref.clone(),
            one.job.environment.clone(),
            one.job.workflow.clone(),
            one.bound.to_string(),
            tokens::words(&one.actions),
            one.made_by.to_string(),
            one.created_at.to_string(),
            or_empty(&one.last_used_at),
        ]
    };
    let head = [
        "name",
        "issuer",
        "audience",
        "repository_id",
        "repository_owner_id",
        "ref",
        "environment",
        "workflow",
        "may",
        "actions",
        "made_by",
        "created_at_ms",
        "last_used_at_ms",
    ];
    file(&head, rows.iter().map(fields))
}

/// Addresses for webhooks.
pub(crate) fn webhooks(rows: &[HookView]) -> String {
    let fields = |one: &HookView| {
        let rule = &one.rule;
        let events: Vec<&str> = rule.events.iter().map(|event| event_word(*event)).collect();
        vec![
            rule.name.clone(),
            rule.project.to_string(),
            rule.environment.to_string(),
            events.join(" "),
            or_empty(&rule.repository_id),
            or_empty(&rule.git_ref),
            or_empty(&rule.workflow),
            one.has_secret.to_string(),
            one.made_by.to_string(),
            one.created_at.to_string(),
            or_empty(&one.last_used_at),
        ]
    };
    let head = [
        "name",
        "project",
        "environment",
        "events",
        "repository_id",
        "ref",
        "workflow",
        "has_secret",
        "made_by",
        "created_at_ms",
        "last_used_at_ms",
    ];
    file(&head, rows.iter().map(fields))
}

const fn event_word(event: HookEvent) -> &'static str {
    match event {
        HookEvent::Push => "push",
        HookEvent::Deployment => "deployment",
        HookEvent::WorkflowRun => "workflow_run",
    }
}

/// Locks, holds and freezes.
pub(crate) fn restrictions(rows: &[Restriction]) -> String {
    let fields = |one: &Restriction| {
        vec![
            one.kind.word().to_owned(),
            one.project.to_string(),
            one.environment.to_string(),
            or_empty(&one.service),
            or_empty(&one.version),
            or_empty(&one.owner),
            one.reason.clone(),
            one.since.to_string(),
            or_empty(&one.until),
        ]
    };
    let head =
        ["kind", "project", "environment", "service", "version", "owner", "reason", "since_ms", "until_ms"];
    file(&head, rows.iter().map(fields))
}
