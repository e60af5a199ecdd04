//! Whether what is stored keeps every promise: the bounds of a request, and the answer for people.

use super::{Services, deployments::not_found, store};
use app::{AppError, backend::Caller};
use lockstep_coordinator::verify::{check, newest};
use lockstep_engine::port::StoreError;
use lockstep_model::{
    api::{BrokenPromise, HistoryReport, VERIFY_DEPLOYMENTS_MAX, VerifyHistory},
    error::ErrorKind,
};

impl Services {
    pub(super) async fn report(
        &self,
        caller: &Caller,
        req: &VerifyHistory,
    ) -> Result<HistoryReport, AppError> {
        if !(1..=VERIFY_DEPLOYMENTS_MAX).contains(&req.limit) {
            let message = format!("'limit' is {} and should be 1 to {VERIFY_DEPLOYMENTS_MAX}", req.limit);
            return Err(AppError::new(ErrorKind::Invalid, message));
        }
        let ids = match req.id {
            Some(id) => match self.store.deployment_fetch(id).await {
                Ok(None) => return Err(not_found(id)),
                // A row that cannot be read is told of in the report, with what else is wrong.
                Ok(Some(_)) | Err(StoreError::Unreadable { .. }) => vec![id],
                Err(error) => return Err(store(error)),
            },
            None => newest(&*self.store, &caller.rights.sight(), req.limit).await.map_err(store)?,
        };
        let report = check(&*self.store, &ids).await.map_err(store)?;
        let broken = report.broken.into_iter().map(|(deployment, broken)| BrokenPromise {
            deployment,
            seq: broken.seq,
            promise: broken.promise.words().to_owned(),
            found: broken.found,
        });
        let broken = broken.collect();
        let audit = match req.id {
            Some(_) => None,
            // The audit is of the whole installation.
            None if !caller.rights.sight().is_everything() => None,
            None => Some(self.anchor.verify(self.store.as_ref(), None).await.map_err(store)?),
        };
        Ok(HistoryReport { deployments: report.deployments, events: report.events, broken, audit })
    }
}
