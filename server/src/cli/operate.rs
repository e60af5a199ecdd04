//! What operators do to deployments.

use super::{
    arguments::{Global, Rollback, Waiting},
    client::Client,
    error::Failure,
    exit,
    follow::{self, Hope},
    print, steer,
};
use crate::out::say;
use lockstep_model::{
    DeploymentId, EnvironmentName, ServiceName, StepId,
    api::{
        AbandonDeployment, Act, CheckpointList, DeploymentAbandon, DeploymentCancel, DeploymentPause,
        DeploymentRequest, DeploymentResolve, DeploymentResume, DeploymentRollback, DeploymentRollbackPlan,
        DeploymentServiceKeep, DeploymentServiceRetry, DeploymentShow, DeploymentStepRetry,
        DeploymentStepSkip, DeploymentUndoRetry, DeploymentWait, EndDeployment, EnvironmentRequest,
        ForeseeDeployment, KeepService, PauseDeployment, ResolveDeployment, RetryService, RetryStep,
        RollbackDeployment, SkipStep, WAIT_MS_MAX, WaitDeployment,
    },
    event::Event,
    pause::ResumeDeployment,
    view::DeploymentSummary,
};

pub(super) async fn rollback(global: &Global, client: &Client, options: Rollback) -> Result<u8, Failure> {
    if options.list {
        return checkpoints(global, client).await;
    }
    if let (true, Some(id)) = (options.dry_run, options.id) {
        let seen =
            ForeseeDeployment { services: options.services, ..steer::nothing_named(id, Act::Rollback) };
        return steer::foresee(global, client, &seen).await;
    }
    let is_part = !options.services.is_empty();
    let request = RollbackDeployment {
        id: options.id,
        project: global.project.clone(),
        environment: global.environment.clone(),
        services: options.services,
        reason: options.reason,
        idempotency_key: None,
    };
    if options.plan {
        let plan = client.call(DeploymentRollbackPlan, &request).await?;
        return super::deploy::said(global, &plan, "lockstep rollback --wait");
    }
    let summary = client.call(DeploymentRollback, &request).await?;
    // A restore is a release of what served before; one that is live is only taken back.
    let hope = match (summary.restore_of, is_part) {
        (Some(_), _) => Hope::Release,
        (None, true) => Hope::PartBack,
        (None, false) => Hope::WayBack,
    };
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

pub(super) async fn pause(
    global: &Global,
    client: &Client,
    id: DeploymentId,
    reason: Option<String>,
) -> Result<u8, Failure> {
    let summary = client.call(DeploymentPause, &PauseDeployment { id, reason }).await?;
    said(global, &summary, "what runs comes to its end; go on: lockstep resume")
}

pub(super) async fn resume(
    global: &Global,
    client: &Client,
    id: DeploymentId,
    waiting: Waiting,
) -> Result<u8, Failure> {
    let summary = client.call(DeploymentResume, &ResumeDeployment { id, pause: None }).await?;
    follow::begun(global, client, &summary, waiting, Hope::Release).await
}

pub(super) async fn skip(
    global: &Global,
    client: &Client,
    id: DeploymentId,
    step: StepId,
    reason: String,
) -> Result<u8, Failure> {
    let summary = client.call(DeploymentStepSkip, &SkipStep { id, step, reason }).await?;
    said(global, &summary, "the step is left out; follow it: lockstep watch")
}

pub(super) async fn retry(
    global: &Global,
    client: &Client,
    id: DeploymentId,
    what: (Option<StepId>, Option<ServiceName>),
    waiting: Waiting,
) -> Result<u8, Failure> {
    let summary = match what {
        (_, Some(service)) => client.call(DeploymentServiceRetry, &RetryService { id, service }).await?,
        (Some(step), None) => client.call(DeploymentStepRetry, &RetryStep { id, step }).await?,
        (None, None) => return Err(Failure::refused("say which step, or which service with --service")),
    };
    follow::begun(global, client, &summary, waiting, Hope::Release).await
}

pub(super) async fn keep(
    global: &Global,
    client: &Client,
    id: DeploymentId,
    service: ServiceName,
    reason: String,
) -> Result<u8, Failure> {
    let summary = client.call(DeploymentServiceKeep, &KeepService { id, service, reason }).await?;
    said(global, &summary, "its new version is kept; follow it: lockstep watch")
}

/// Says where a deployment stands now, and what comes next.
fn said(global: &Global, summary: &DeploymentSummary, next: &str) -> Result<u8, Failure> {
    if global.json {
        print::json(summary)?;
    } else {
        say!("deployment {} ({}) is {}", summary.id, summary.environment, summary.phase);
        say!("{next} {}", summary.id);
    }
    Ok(exit::SUCCEEDED)
}

pub(super) async fn cancel(
    global: &Global,
    client: &Client,
    end: EndDeployment,
    waiting: Waiting,
) -> Result<u8, Failure> {
    let summary = client.call(DeploymentCancel, &end).await?;
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

/// The name of the environment, typed by whoever gives up what may be half done there.
pub(super) fn typed_environment(id: DeploymentId) -> Result<EnvironmentName, Failure> {
    say!("deployment {id} may have left its environment half done, and what serves there will not be known");
    say!("type the name of its environment to give it up:");
    let mut typed = String::new();
    std::io::stdin().read_line(&mut typed).map_err(anyhow::Error::from)?;
    typed.trim().parse().map_err(|_| Failure::refused("no name was typed; nothing was changed"))
}

pub(super) async fn abandon(
    global: &Global,
    client: &Client,
    request: AbandonDeployment,
) -> Result<u8, Failure> {
    let id = request.id;
    let summary = client.call(DeploymentAbandon, &request).await?;
    if global.json {
        print::json(&summary)?;
    } else {
        say!("deployment {id} is given up ({}); {} is free", summary.phase, summary.environment);
        say!("what serves of its services is not known: the next deployment looks, and says what it finds");
    }
    Ok(exit::SUCCEEDED)
}

/// Waits until what is open is closed, and says what could not be.
async fn closed(client: &Client, summary: DeploymentSummary) -> Result<(DeploymentSummary, bool), Failure> {
    let id = summary.id;
    let mut after = summary.seq;
    loop {
        let view = client.call(DeploymentWait, &WaitDeployment { id, after, wait_ms: WAIT_MS_MAX }).await?;
        let failed = view.events.iter().any(|one| matches!(one.event, Event::CloseFailed { .. }));
        if failed || view.phase.is_final() {
            let detail = client.call(DeploymentShow, &DeploymentRequest { id }).await?;
            return Ok((detail.summary, failed));
        }
        after = view.seq;
    }
}

pub(super) async fn resolve(
    global: &Global,
    client: &Client,
    request: ResolveDeployment,
) -> Result<u8, Failure> {
    let id = request.id;
    let summary = client.call(DeploymentResolve, &request).await?;
    let (summary, is_asked_again) =
        if summary.phase.is_final() { (summary, false) } else { closed(client, summary).await? };
    if global.json {
        print::json(&summary)?;
    } else {
        say!("deployment {id} is {} now", summary.phase);
        if let (true, Some(reason)) = (is_asked_again, &summary.operator_reason) {
            say!("{reason}");
        }
    }
    Ok(if is_asked_again { exit::NEEDS_OPERATOR } else { exit::SUCCEEDED })
}
