//! Whether journals, and what is kept beside them, keep every promise, as the server finds it.

use super::{arguments::Global, client::Client, error::Failure, exit, print};
use crate::out::say;
use lockstep_model::{
    DeploymentId,
    api::{HistoryVerify, VerifyHistory},
};

pub(super) async fn verify(
    global: &Global,
    client: &Client,
    id: Option<DeploymentId>,
    limit: u32,
) -> Result<u8, Failure> {
    let report = client.call(HistoryVerify, &VerifyHistory { id, limit }).await?;
    if global.json {
        print::json(&report)?;
    } else {
        for one in &report.broken {
            say!("deployment {}, event {}: {}: {}", one.deployment, one.seq, one.promise, one.found);
        }
        let kept = if report.broken.is_empty() {
            "every promise is kept".to_owned()
        } else {
            format!("{} broken", report.broken.len())
        };
        say!("{} deployments, {} events: {kept}", report.deployments, report.events);
    }
    Ok(if report.broken.is_empty() { exit::SUCCEEDED } else { exit::NOT_SUCCEEDED })
}
