//! The audit of the whole installation: looked through, and verified.

use super::{Services, deployments::check_reason, store};
use app::{
    AppError,
    backend::{Audit, Caller},
};
use async_trait::async_trait;
use lockstep_engine::port::store::{AuditEntry, AuditQuery};
use lockstep_model::{
    api::{AcceptAudit, AuditPage, FindAudit, PAGE_ROWS_MAX, VerifyAudit},
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
        self.anchor.verify(self.store.as_ref(), req.anchor).await.map_err(store)
    }

    async fn audit_accept(&self, caller: &Caller, req: AcceptAudit) -> Result<AuditReport, AppError> {
        let reason = req.reason.trim().to_owned();
        if reason.is_empty() {
            return Err(AppError::new(
                ErrorKind::Invalid,
                "'reason' is empty; say what came of looking into it",
            ));
        }
        check_reason(Some(&reason))?;
        let faults = self.anchor.verify(self.store.as_ref(), None).await.map_err(store)?.faults;
        let found = format!("{} faults", faults.len());
        let entry = AuditEntry { reason: Some(reason), ..self.entry(caller, "/audit/accept", found) };
        self.store.audit_append(entry).await.map_err(store)?;
        let head = self.store.audit_head().await.map_err(store)?;
        self.anchor.accept(head.as_ref()).map_err(|error| {
            AppError::new(ErrorKind::Internal, format!("the head could not be noted down: {error}"))
        })?;
        self.anchor.verify(self.store.as_ref(), None).await.map_err(store)
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
