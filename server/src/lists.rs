//! What lists hold, column by column, as lines of a CSV file: for downloads and for commands alike. What lets
//! somebody in is in none of them.

use crate::csv::{line, or_empty};
use lockstep_model::{
    hooks::{HookEvent, HookView},
    restriction::Restriction,
    secrets::SecretView,
    session::SessionItem,
    tokens,
    trust::TrustView,
    view::{
        AuditView, CheckBucket, DeploymentSummary, ServiceView, TokenView, UserView, comparison::Compared,
    },
};

/// What a column is called, and what stands in it.
type Column<T> = (&'static str, fn(&T) -> String);

/// The columns of a list.
#[derive(Debug)]
pub(crate) struct Columns<T: 'static>(&'static [Column<T>]);

impl<T> Columns<T> {
    /// Lines, without the one that names the columns.
    pub(crate) fn lines(&self, rows: &[T]) -> String {
        rows.iter().map(|row| line(self.fields(row))).collect()
    }

    /// A whole file.
    pub(crate) fn file(&self, rows: &[T]) -> String {
        line(self.0.iter().map(|(name, _)| (*name).to_owned())) + &self.lines(rows)
    }

    fn fields(&self, row: &T) -> Vec<String> {
        self.0.iter().map(|(_, field)| field(row)).collect()
    }
}

pub(crate) const DEPLOYMENTS: Columns<DeploymentSummary> = Columns(&[
    ("id", |one| one.id.to_string()),
    ("project", |one| one.project.to_string()),
    ("environment", |one| one.environment.to_string()),
    ("status", |one| one.phase.key().to_owned()),
    ("services", changes),
    ("user", |one| one.by.user.to_string()),
    ("via", |one| one.by.via.clone()),
    ("reason", |one| or_empty(&one.reason)),
    ("commit", |one| or_empty(&one.source.commit)),
    ("requested_at_ms", |one| one.clocks.requested_at.to_string()),
    ("started_at_ms", |one| or_empty(&one.clocks.started_at)),
    ("detected_at_ms", |one| or_empty(&one.clocks.detected_at)),
    ("stable_at_ms", |one| or_empty(&one.clocks.stable_at)),
    ("finished_at_ms", |one| or_empty(&one.clocks.finished_at)),
    ("failure", |one| one.failure.as_ref().map(|failure| failure.reason.clone()).unwrap_or_default()),
]);

/// Two deployments side by side.
pub(crate) const COMPARED: Columns<Compared> = Columns(&[
    ("what", |one| one.what.to_owned()),
    ("name", |one| one.name.clone()),
    ("a", |one| or_empty(&one.a)),
    ("b", |one| or_empty(&one.b)),
    ("differs", |one| one.differs.to_string()),
]);

/// Looks at a service, by quarter of an hour.
pub(crate) const CHECKS: Columns<CheckBucket> = Columns(&[
    ("from_ms", |one| one.at.to_string()),
    ("healthy", |one| one.healthy.to_string()),
    ("degraded", |one| one.degraded.to_string()),
    ("unhealthy", |one| one.unhealthy.to_string()),
    ("unknown", |one| one.unknown.to_string()),
    ("longest_ms", |one| one.latency_max_ms.to_string()),
]);

fn changes(one: &DeploymentSummary) -> String {
    let changes = one.services.iter();
    let words = changes.map(|to| format!("{} {} -> {}", to.service, or_empty(&to.from), or_empty(&to.to)));
    words.collect::<Vec<_>>().join("; ")
}

pub(crate) const SERVICES: Columns<ServiceView> = Columns(&[
    ("project", |one| one.project.to_string()),
    ("environment", |one| one.environment.to_string()),
    ("service", |one| one.service.to_string()),
    ("team", |one| or_empty(&one.team)),
    ("version", |one| or_empty(&one.version)),
    ("revision", |one| or_empty(&one.revision)),
    ("deployment", |one| or_empty(&one.deployment)),
    ("since_ms", |one| or_empty(&one.since)),
    ("health", |one| one.health.map(|health| health.word().to_owned()).unwrap_or_default()),
    ("changing", |one| or_empty(&one.changing)),
    ("address", |one| or_empty(&one.address)),
]);

pub(crate) const AUDIT: Columns<AuditView> = Columns(&[
    ("id", |one| one.id.to_string()),
    ("at", |one| one.at.to_string()),
    ("user", |one| one.user.to_string()),
    ("via", |one| one.via.clone()),
    ("address", |one| or_empty(&one.address)),
    ("action", |one| one.action.clone()),
    ("target", |one| one.target.clone()),
    ("reason", |one| or_empty(&one.reason)),
    ("allowed", |one| one.allowed.to_string()),
]);

pub(crate) const PEOPLE: Columns<UserView> = Columns(&[
    ("user", |one| one.name.to_string()),
    ("roles", |one| one.grants.to_string()),
    ("enabled", |one| one.enabled.to_string()),
    ("has_password", |one| one.has_password.to_string()),
    ("created_at_ms", |one| one.created_at.to_string()),
]);

/// Without what they are used by.
pub(crate) const TOKENS: Columns<TokenView> = Columns(&[
    ("id", |one| one.id.clone()),
    ("name", |one| one.name.clone()),
    ("user", |one| one.user.to_string()),
    ("may", TokenView::may),
    ("revoked", |one| one.revoked.to_string()),
    ("created_at_ms", |one| one.created_at.to_string()),
    ("expires_at_ms", |one| one.expires_at.to_string()),
    ("last_used_at_ms", |one| or_empty(&one.last_used_at)),
]);

/// Under the names by which they are ended.
pub(crate) const SESSIONS: Columns<SessionItem> = Columns(&[
    ("id", |one| one.id.clone()),
    ("user", |one| one.user.to_string()),
    ("program", |one| or_empty(&one.device)),
    ("address", |one| or_empty(&one.address)),
    ("created_at_ms", |one| one.created_at.to_string()),
    ("used_at_ms", |one| one.used_at.to_string()),
    ("expires_at_ms", |one| one.expires_at.to_string()),
]);

/// What they are called and when they were set.
pub(crate) const SECRETS: Columns<SecretView> = Columns(&[
    ("project", |one| one.project.to_string()),
    ("environment", |one| one.environment.to_string()),
    ("name", |one| one.name.to_string()),
    ("version", |one| one.version.to_string()),
    ("set_by", |one| one.set_by.to_string()),
    ("set_at_ms", |one| one.set_at.to_string()),
]);

/// Jobs elsewhere that are trusted.
pub(crate) const JOBS: Columns<TrustView> = Columns(&[
    ("name", |one| one.name.clone()),
    ("issuer", |one| one.job.issuer.clone()),
    ("audience", |one| one.job.audience.clone()),
    ("repository_id", |one| one.job.repository_id.clone()),
    ("repository_owner_id", |one| one.job.repository_owner_id.clone()),
    ("ref", |one| one.job.git_ref.clone()),
    ("environment", |one| one.job.environment.clone()),
    ("workflow", |one| one.job.workflow.clone()),
    ("may", |one| one.bound.to_string()),
    ("actions", |one| tokens::words(&one.actions)),
    ("made_by", |one| one.made_by.to_string()),
    ("created_at_ms", |one| one.created_at.to_string()),
    ("last_used_at_ms", |one| or_empty(&one.last_used_at)),
]);

pub(crate) const WEBHOOKS: Columns<HookView> = Columns(&[
    ("name", |one| one.rule.name.clone()),
    ("project", |one| one.rule.project.to_string()),
    ("environment", |one| one.rule.environment.to_string()),
    ("events", |one| one.rule.events.iter().map(|event| event_word(*event)).collect::<Vec<_>>().join(" ")),
    ("repository_id", |one| or_empty(&one.rule.repository_id)),
    ("ref", |one| or_empty(&one.rule.git_ref)),
    ("workflow", |one| or_empty(&one.rule.workflow)),
    ("has_secret", |one| one.has_secret.to_string()),
    ("made_by", |one| one.made_by.to_string()),
    ("created_at_ms", |one| one.created_at.to_string()),
    ("last_used_at_ms", |one| or_empty(&one.last_used_at)),
]);

const fn event_word(event: HookEvent) -> &'static str {
    match event {
        HookEvent::Push => "push",
        HookEvent::Deployment => "deployment",
        HookEvent::WorkflowRun => "workflow_run",
    }
}

/// Locks, holds and freezes.
pub(crate) const RESTRICTIONS: Columns<Restriction> = Columns(&[
    ("kind", |one| one.kind.word().to_owned()),
    ("project", |one| one.project.to_string()),
    ("environment", |one| one.environment.to_string()),
    ("service", |one| or_empty(&one.service)),
    ("version", |one| or_empty(&one.version)),
    ("owner", |one| or_empty(&one.owner)),
    ("reason", |one| one.reason.clone()),
    ("since_ms", |one| one.since.to_string()),
    ("until_ms", |one| or_empty(&one.until)),
]);
