//! After `101 Switching Protocols`: bytes both ways until either side ends. The revision counts it
//! as a request under way, and cutting the revision's connections ends it.

use crate::{revision::Visit, sync::TallyGuard};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tracing::debug;

/// Joins the two sides as soon as both have changed the protocol.
pub(super) fn start(on_client: OnUpgrade, on_revision: OnUpgrade, visit: Visit, permit: Arc<TallyGuard>) {
    tokio::spawn(async move {
        let _permit = permit;
        let id = &visit.revision.id;
        match tokio::try_join!(on_client, on_revision) {
            Ok((client, revision)) => {
                let (mut client, mut revision) = (TokioIo::new(client), TokioIo::new(revision));
                if let Err(error) = copy_bidirectional(&mut client, &mut revision).await {
                    debug!(revision.id = %id, %error, "a tunnel to {id} broke off");
                }
            }
            Err(error) => debug!(revision.id = %id, %error, "a tunnel to {id} did not come about"),
        }
    });
}
