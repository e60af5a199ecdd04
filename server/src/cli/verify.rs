//! Whether journals, and what is kept beside them, keep every promise, and whether the audit is whole, as
//! the server finds it.

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
    let faults = report.audit.as_ref().map_or(0, |audit| audit.faults.len());
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
        if let Some(audit) = &report.audit {
            for fault in &audit.faults {
                say!("audit, line {}: {}", fault.id, fault.found);
            }
            let verdict = if faults == 0 { "all as written".to_owned() } else { format!("{faults} faults") };
            say!("audit: {} lines, {verdict}", audit.lines);
        }
    }
    Ok(if report.broken.is_empty() && faults == 0 { exit::SUCCEEDED } else { exit::NOT_SUCCEEDED })
}
