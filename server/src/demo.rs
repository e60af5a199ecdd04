//! The demo: project `shop` with three services in two environments, each a real process that can
//! misbehave by version. Deployed at the first start, brought back at the next ones.

pub mod service;

use crate::out::say;
use crate::{identity::first_admin, progress::Progress, serve::Server};
use anyhow::{Context, bail};
use app::backend::{Caller, Credential, Deployments, Manifests};
use lockstep_engine::port::identity::LinkKind;
use lockstep_model::{
    DeploymentId, EnvironmentName,
    access::{Rights, Role, Sight},
    api::{ApplyManifest, ListServices, StartDeployment, WAIT_MS_MAX, WaitDeployment},
    deployment::{Actor, Phase},
    health::Health,
    view::ServiceView,
};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, sleep};

const MANIFEST: &str = include_str!("demo/shop.yaml");
/// What served before must be well again within this time.
const BACK_LIMIT: Duration = Duration::from_secs(30);

/// The demo's manifest, whose services are this program.
///
/// # Errors
/// When this program's path cannot be told.
pub fn manifest() -> anyhow::Result<String> {
    let program = std::env::current_exe()?;
    let program = program.to_str().context("the path of this program is not UTF-8")?;
    // The path stands inside a double-quoted text of YAML, whose escapes are those of JSON.
    let quoted = serde_json::to_string(program)?;
    Ok(MANIFEST.replace("@PROGRAM@", quoted.trim_matches('"')))
}

/// Deploys what is not deployed, waits for what is, and says so in plain lines.
///
/// # Errors
/// When the demo cannot be deployed; the lines before say why.
pub async fn start(server: &Server) -> anyhow::Result<()> {
    let services = &server.services;
    let caller = demo_caller();
    let source = manifest()?;
    let manifest =
        services.manifest_apply(&caller, ApplyManifest { file: "demo/shop.yaml".to_owned(), source }).await?;
    // What was under way at the last end goes on by itself.
    let mut live: Vec<DeploymentId> = services.coordinator.live().into_iter().map(|(id, _)| id).collect();
    live.sort_unstable();
    for id in live {
        say!("deployment {id} was under way and goes on");
        follow(server, id).await?;
    }
    let everything = ListServices { project: None, environment: None };
    let listed = services.services_of(&everything, &Sight::everything()).await?;
    let serving: BTreeSet<&EnvironmentName> = listed
        .iter()
        .filter(|service| service.version.is_some())
        .map(|service| &service.environment)
        .collect();
    // Staging stands before production in the manifest's order of risk.
    let mut environments = manifest.environments.clone();
    environments.sort_by_key(|environment| environment.as_str() == "production");
    let mut failed = false;
    for environment in environments {
        if serving.contains(&environment) {
            wait_back(server, &environment).await?;
            continue;
        }
        let request = StartDeployment {
            project: Some(manifest.project.clone()),
            environment: Some(environment.clone()),
            reason: Some("first start of the demo".to_owned()),
            // The very first deployment has nothing to go back to.
            accept_no_rollback: true,
            skip_verification: false,
            ..empty_request()
        };
        let summary = services.deployment_start(&caller, request).await?;
        failed |= follow(server, summary.id).await? != Phase::Succeeded;
    }
    if failed {
        bail!("the demo was not deployed in full; the lines above say why");
    }
    Ok(())
}

/// A link that signs in as the demo's admin, once.
///
/// # Errors
/// When the store fails.
pub async fn sign_in_link(server: &Server) -> anyhow::Result<String> {
    let identities = &server.services.identities;
    let (link, path) = identities.link_write(&first_admin(), LinkKind::SignIn, None);
    identities.store().link_add(&link, None).await?;
    Ok(format!("{}{path}", server.url))
}

fn demo_caller() -> Caller {
    let user = first_admin();
    let actor = Actor { user: user.clone(), via: "demo".to_owned(), address: None };
    let rights = Rights::everywhere(Role::Admin);
    Caller {
        user,
        rights,
        credential: Credential::Local,
        actions: Vec::new(),
        right: None,
        has_password: false,
        rule: None,
        actor,
    }
}

fn empty_request() -> StartDeployment {
    serde_json::from_str("{}").expect("every field of the request may be left out")
}

/// Prints a deployment's lines up to its end.
async fn follow(server: &Server, id: DeploymentId) -> anyhow::Result<Phase> {
    let mut progress = Progress::new(id);
    let mut after = lockstep_model::Seq(0);
    loop {
        let view =
            server.services.deployment_wait(WaitDeployment { id, after, wait_ms: WAIT_MS_MAX }).await?;
        for envelope in &view.events {
            if let Some(line) = progress.line(envelope) {
                say!("  {line}");
            }
        }
        after = view.seq;
        if view.phase.is_final() || view.phase == Phase::NeedsOperator {
            return Ok(view.phase);
        }
    }
}

/// Waits until what served before serves again.
async fn wait_back(server: &Server, environment: &EnvironmentName) -> anyhow::Result<()> {
    let end = Instant::now() + BACK_LIMIT;
    let is_well = |service: &ServiceView| {
        service.version.is_none() || matches!(service.health, Some(Health::Healthy | Health::Degraded))
    };
    loop {
        let request = ListServices { project: None, environment: Some(environment.clone()) };
        let services = server.services.services_of(&request, &Sight::everything()).await?;
        let all_well = services.iter().all(is_well);
        if !all_well && Instant::now() < end {
            server.services.monitor.look_soon();
            sleep(Duration::from_millis(100)).await;
            continue;
        }
        for service in services.iter().filter(|service| service.version.is_some()) {
            let version = service.version.as_ref().map(ToString::to_string).unwrap_or_default();
            let health = service.health.unwrap_or(Health::Unknown).word();
            say!("  {} {version} ({environment}) serves as before: {health}", service.service);
        }
        if !all_well {
            say!("  not everything is well after {} s; `lockstep status` says more", BACK_LIMIT.as_secs());
        }
        return Ok(());
    }
}
