//! The audit of the whole installation: looked through, and verified.

use super::{Services, store};
use app::{AppError, backend::Audit};
use async_trait::async_trait;
use lockstep_engine::port::store::{AuditEntry, AuditQuery};
use lockstep_model::{
    api::{AuditPage, FindAudit, PAGE_ROWS_MAX, VerifyAudit},
    error::ErrorKind,
    view::{AuditReport, AuditView},
};

#[async_trait]
impl Audit for Services {
    async fn audit_list(&self, req: FindAudit) -> Result<AuditPage, AppError> {
        if !(1..=PAGE_ROWS_MAX).contains(&req.limit) {
            let message = format!("'limit' is {}; use 1 to {PAGE_ROWS_MAX}", req.limit);
            return Err(AppError::new(ErrorKind::Invalid, message));
        }
        let wanted = AuditQuery {
            user: req.user,
            action: req.action,
            target: req.target,
            words: req.words,
            only_denied: req.only_denied,
            since: req.since,
            until: req.until,
            before: req.before,
            limit: req.limit,
        };
        let found = self.store.audit_find(&wanted).await.map_err(store)?;
        Ok(AuditPage { entries: found.into_iter().map(|(id, entry)| view(id, entry)).collect() })
    }

    async fn audit_verify(&self, req: VerifyAudit) -> Result<AuditReport, AppError> {
        let anchor = req.anchor.or_else(|| self.anchor.read());
        self.store.audit_verify(anchor.as_ref()).await.map_err(store)
    }
}

/// As people see it.
pub(super) fn view(id: i64, entry: AuditEntry) -> AuditView {
    AuditView {
        id,
        at: entry.at,
        user: entry.actor.user,
        via: entry.actor.via,
        address: entry.actor.address,
        action: entry.action,
        target: entry.target,
        reason: entry.reason,
        allowed: entry.allowed,
    }
}
