//! What operators do to deployments.

use super::{
    arguments::{Global, Outcome, Rollback, Waiting},
    client::Client,
    error::Failure,
    exit,
    follow::{self, Hope},
    print,
};
use crate::out::say;
use lockstep_model::{
    DeploymentId,
    api::{
        CheckpointList, DeploymentCancel, DeploymentRequest, DeploymentResolve, DeploymentRollback,
        DeploymentUndoRetry, EndDeployment, EnvironmentRequest, ResolveDeployment, RollbackDeployment,
    },
};

pub(super) async fn rollback(global: &Global, client: &Client, options: Rollback) -> Result<u8, Failure> {
    if options.list {
        return checkpoints(global, client).await;
    }
    let request = RollbackDeployment {
        id: options.id,
        project: global.project.clone(),
        environment: global.environment.clone(),
        reason: options.reason,
        idempotency_key: None,
    };
    let summary = client.call(DeploymentRollback, &request).await?;
    // A restore is a release of what served before; one that is live is only taken back.
    let hope = if summary.restore_of.is_some() { Hope::Release } else { Hope::WayBack };
    follow::begun(global, client, &summary, options.waiting, hope).await
}

async fn checkpoints(global: &Global, client: &Client) -> Result<u8, Failure> {
    let request =
        EnvironmentRequest { project: global.project.clone(), environment: global.environment.clone() };
    let page = client.call(CheckpointList, &request).await?;
    if global.json {
        print::json(&page)?;
        return Ok(exit::SUCCEEDED);
    }
    if page.checkpoints.is_empty() {
        say!("There is nothing to go back to yet.");
        return Ok(exit::SUCCEEDED);
    }
    let rows: Vec<[String; 4]> = page
        .checkpoints
        .iter()
        .map(|checkpoint| {
            let version =
                checkpoint.version.as_ref().map_or_else(|| "not deployed".to_owned(), ToString::to_string);
            [
                checkpoint.deployment.to_string(),
                checkpoint.service.to_string(),
                version,
                print::ago(checkpoint.at),
            ]
        })
        .collect();
    print::table(["BEFORE", "SERVICE", "VERSION", "TAKEN"], &rows);
    say!("\n`lockstep rollback N` takes deployment N back: what served before it serves again.");
    Ok(exit::SUCCEEDED)
}

pub(super) async fn cancel(
    global: &Global,
    client: &Client,
    id: DeploymentId,
    reason: Option<String>,
    waiting: Waiting,
) -> Result<u8, Failure> {
    let summary = client.call(DeploymentCancel, &EndDeployment { id, reason }).await?;
    follow::begun(global, client, &summary, waiting, Hope::WayBack).await
}

pub(super) async fn undo_retry(
    global: &Global,
    client: &Client,
    id: DeploymentId,
    waiting: Waiting,
) -> Result<u8, Failure> {
    let summary = client.call(DeploymentUndoRetry, &DeploymentRequest { id }).await?;
    follow::begun(global, client, &summary, waiting, Hope::WayBack).await
}

pub(super) async fn resolve(
    global: &Global,
    client: &Client,
    id: DeploymentId,
    outcome: Outcome,
    reason: String,
) -> Result<u8, Failure> {
    let request = ResolveDeployment { id, outcome: outcome.into(), reason };
    let summary = client.call(DeploymentResolve, &request).await?;
    if global.json {
        print::json(&summary)?;
    } else {
        say!("deployment {id} is {} now", summary.phase);
    }
    Ok(exit::SUCCEEDED)
}
