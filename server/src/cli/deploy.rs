//! `plan` and `deploy`.

use super::{
    arguments::{Global, Release, Waiting},
    client::Client,
    error::Failure,
    exit,
    follow::{self, Hope},
    manifest, print,
};
use crate::out::say;
use lockstep_model::{
    ProjectName, ServiceName, Timestamp, Version,
    api::{DeploymentPlan, DeploymentStart, StartDeployment},
    deployment::Source,
    plan::Undo,
    view::PlanView,
};
use std::collections::BTreeMap;

pub(super) async fn plan(global: &Global, client: &Client, release: Release) -> Result<u8, Failure> {
    let request = request(global, client, release).await?;
    let plan = client.call(DeploymentPlan, &request).await?;
    said(global, &plan, &format!("lockstep deploy --env {} --wait", plan.environment))
}

/// Shows a plan, and the command that carries it out.
pub(super) fn said(global: &Global, plan: &PlanView, command: &str) -> Result<u8, Failure> {
    if global.json {
        print::json(plan)?;
    } else {
        show(plan, command);
    }
    Ok(exit::SUCCEEDED)
}

pub(super) async fn deploy(
    global: &Global,
    client: &Client,
    release: Release,
    waiting: Waiting,
) -> Result<u8, Failure> {
    let request = request(global, client, release).await?;
    let summary = client.call(DeploymentStart, &request).await?;
    follow::begun(global, client, &summary, waiting, Hope::Release).await
}

async fn request(global: &Global, client: &Client, release: Release) -> Result<StartDeployment, Failure> {
    let Release { services, file, set, accept_no_rollback, reason, commit, .. } = release;
    let mut wanted: BTreeMap<ServiceName, Option<Version>> =
        services.into_iter().map(|service| (service, None)).collect();
    for (service, version) in set {
        if let Some(Some(before)) = wanted.insert(service.clone(), Some(version.clone()))
            && before != version
        {
            let message = format!("--set names {service} twice: {before} and {version}");
            return Err(Failure::refused(message));
        }
    }
    let project: Option<ProjectName> = match file {
        Some(file) => Some(manifest::send(client, &file).await?.project),
        None => global.project.clone(),
    };
    let source = Source {
        commit,
        commit_time: release.commit_time.map(|seconds| Timestamp(seconds.saturating_mul(1_000))),
        author: release.author,
        ci_run: release.ci_run,
        labels: release.label.into_iter().collect(),
    };
    Ok(StartDeployment {
        project,
        environment: global.environment.clone(),
        services: wanted,
        order: release.order.into(),
        source,
        reason,
        accept_no_rollback,
        skip_verification: release.skip_verification,
        idempotency_key: release.idempotency_key,
    })
}

fn show(plan: &PlanView, command: &str) {
    say!("project {}, environment {}, manifest {}", plan.project, plan.environment, plan.manifest);
    let rows: Vec<[String; 6]> = plan
        .services
        .iter()
        .map(|service| {
            let needs: Vec<String> = service.depends_on.iter().map(ToString::to_string).collect();
            let to = match (&service.to, service.probed_only) {
                (_, true) => "stays, is probed".to_owned(),
                (Some(version), false) => version.to_string(),
                (None, false) => "not deployed".to_owned(),
            };
            let from = service.from.as_ref().map_or_else(|| "not deployed".to_owned(), ToString::to_string);
            let team = print::or_dash(service.team.as_ref());
            [service.wave.to_string(), service.service.to_string(), from, to, team, needs.join(", ")]
        })
        .collect();
    print::table(["WAVE", "SERVICE", "FROM", "TO", "TEAM", "NEEDS"], &rows);
    say!("");
    let rows: Vec<[String; 3]> = plan
        .steps
        .iter()
        .map(|step| {
            let after: Vec<String> = step.after.iter().map(ToString::to_string).collect();
            [step.id.to_string(), undo(&step.undo), after.join(", ")]
        })
        .collect();
    print::table(["STEP", "UNDO", "AFTER"], &rows);
    for warning in &plan.warnings {
        let service = warning.service.as_ref().map(|service| format!("{service}: ")).unwrap_or_default();
        say!("\nwarning: {service}{}", warning.message);
    }
    say!("\nNothing was changed. `{command}` does it.");
}

fn undo(undo: &Undo) -> String {
    match undo {
        Undo::Nothing => "changes nothing".to_owned(),
        Undo::StopCandidate => "end the new revision".to_owned(),
        Undo::RouteBack => "give the traffic back".to_owned(),
        Undo::ReplaceBack => "start what served again".to_owned(),
        Undo::RunUndo => "run the undo command".to_owned(),
        Undo::Impossible { why } => format!("impossible: {why}"),
    }
}
