//! Closing the server and opening it again.

use super::{Services, deployments::check_reason, store};
use app::{
    AppError,
    backend::{Caller, Closing},
};
use async_trait::async_trait;
use lockstep_engine::port::store::AuditEntry;
use lockstep_model::{
    api::{BeginLockdown, Empty, LockdownState},
    error::ErrorKind,
    view::LockdownView,
};

#[async_trait]
impl Closing for Services {
    async fn lockdown_begin(&self, caller: &Caller, req: BeginLockdown) -> Result<LockdownState, AppError> {
        let reason = req.reason.trim().to_owned();
        if reason.is_empty() {
            return Err(AppError::new(ErrorKind::Invalid, "'reason' is empty; say why the server is closed"));
        }
        check_reason(Some(&reason))?;
        let lockdown = self.identities.lockdown();
        let view = LockdownView { since: self.clock.now(), by: caller.user.clone(), reason: reason.clone() };
        let was = lockdown.now();
        let kept = lockdown.begin(view);
        // Sockets that are open hear of it now, whatever comes after.
        self.identities.withdrawn();
        let entry = self.entry(caller, "/lockdown/begin", "the server".to_owned());
        let after = serde_json::json!({ "closed": reason, "by": caller.user });
        let before = was.map_or_else(|| "not set".to_owned(), |was| said(&was));
        let entry = AuditEntry { reason: Some(format!("before: {before}; after: {after}")), ..entry };
        self.identities.store().session_end_all(None, None, entry).await.map_err(store)?;
        kept.map_err(|error| {
            let message = format!(
                "the server is closed, but a restart would open it: {error}; make room, then try again"
            );
            AppError::new(ErrorKind::Unavailable, message)
        })?;
        Ok(LockdownState { lockdown: lockdown.now() })
    }

    async fn lockdown_end(&self, caller: &Caller) -> Result<LockdownState, AppError> {
        let lockdown = self.identities.lockdown();
        if let Some(was) = lockdown.now() {
            let entry = self.entry(caller, "/lockdown/end", "the server".to_owned());
            let entry = AuditEntry { reason: Some(format!("before: {}", said(&was))), ..entry };
            self.store.audit_append(entry).await.map_err(store)?;
            lockdown.end().map_err(|error| {
                AppError::new(ErrorKind::Unavailable, format!("the server stays closed: {error}"))
            })?;
        }
        Ok(LockdownState { lockdown: lockdown.now() })
    }

    async fn lockdown_show(&self, _: Empty) -> Result<LockdownState, AppError> {
        Ok(LockdownState { lockdown: self.identities.lockdown().now() })
    }
}

/// As it is noted down: the audit tells it field by field.
fn said(closed: &LockdownView) -> String {
    serde_json::json!({ "closed": closed.reason, "by": closed.by }).to_string()
}
