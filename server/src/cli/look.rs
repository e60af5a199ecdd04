//! Looking: services, a deployment, its output, what was deployed before.

use super::{arguments::Global, client::Client, error::Failure, exit, print};
use crate::out::{self, complain, say};
use crate::progress::seconds;
use lockstep_model::{
    DeploymentId,
    api::{
        DeploymentLogs, DeploymentRequest, DeploymentShow, LOG_LINES_MAX, ListServices, ReadLogs, ServiceList,
    },
    view::{
        DeploymentDetail, DeploymentSummary, RollbackServiceView, RollbackTrigger, RollbackView, ServiceView,
        answers,
    },
};
use std::time::Duration;
use tokio::time::sleep;

const FOLLOW_EVERY: Duration = Duration::from_millis(500);

pub(super) async fn status(
    global: &Global,
    client: &Client,
    id: Option<DeploymentId>,
) -> Result<u8, Failure> {
    let Some(id) = id else { return services(global, client).await };
    let detail = client.call(DeploymentShow, &DeploymentRequest { id }).await?;
    if global.json {
        print::json(&detail)?;
    } else {
        show(&detail);
    }
    Ok(exit::SUCCEEDED)
}

async fn services(global: &Global, client: &Client) -> Result<u8, Failure> {
    let request = ListServices { project: global.project.clone(), environment: global.environment.clone() };
    let page = client.call(ServiceList, &request).await?;
    if global.json {
        print::json(&page)?;
        return Ok(exit::SUCCEEDED);
    }
    if page.services.is_empty() {
        say!("There are no services yet: write a lockstep.yaml, then `lockstep apply lockstep.yaml`.");
        return Ok(exit::SUCCEEDED);
    }
    let rows: Vec<[String; 7]> = page.services.iter().map(row).collect();
    print::table(["PROJECT", "ENVIRONMENT", "SERVICE", "VERSION", "HEALTH", "SINCE", "ADDRESS"], &rows);
    for service in &page.services {
        let is_well = service.health.is_none_or(|health| health == lockstep_model::health::Health::Healthy);
        if let (false, Some(evidence)) = (is_well, &service.evidence) {
            say!("\n{} ({}): {}", service.service, service.environment, evidence.sentence());
        }
    }
    Ok(exit::SUCCEEDED)
}

fn row(service: &ServiceView) -> [String; 7] {
    let version = service.version.as_ref().map_or_else(|| "not deployed".to_owned(), ToString::to_string);
    let version = match service.changing {
        Some(id) => format!("{version} (deployment {id})"),
        None => version,
    };
    let health = match (service.health, &service.version) {
        (Some(health), _) => health.word(),
        (None, Some(_)) => "not probed yet",
        (None, None) => "–",
    };
    [
        service.project.to_string(),
        service.environment.to_string(),
        service.service.to_string(),
        version,
        health.to_owned(),
        service.since.map_or_else(|| "–".to_owned(), print::ago),
        print::or_dash(service.address.as_ref()),
    ]
}

fn show(detail: &DeploymentDetail) {
    let DeploymentSummary { id, project, environment, by, clocks, .. } = &detail.summary;
    say!("deployment {id}, project {project}, environment {environment}: {}", detail.summary.standing());
    say!("asked for {} by {} ({})", print::ago(clocks.requested_at), by.user, by.via);
    if let Some(reason) = &detail.summary.reason {
        say!("because: {reason}");
    }
    if let Some(of) = detail.summary.restore_of {
        say!("restores what served before deployment {of}");
    }
    let source = &detail.summary.source;
    for (what, value) in [("commit", &source.commit), ("author", &source.author), ("CI run", &source.ci_run)]
    {
        if let Some(value) = value {
            say!("{what}: {value}");
        }
    }
    if let Some(failure) = &detail.summary.failure {
        say!("did not go on: {}", failure.reason);
    }
    if let Some(reason) = &detail.summary.operator_reason {
        say!("an operator is needed: {reason}");
        let is_restore = detail.summary.restore_of.is_some();
        say!("what you can answer:");
        for answer in answers(*id, detail.summary.asked(), is_restore) {
            say!("  {}  {}", answer.command, answer.does);
        }
    }
    if let Some(why) = &detail.waits_for {
        say!("it waits: {why}");
    }
    for given in detail.approval.iter().flat_map(|approval| &approval.given) {
        let counts = if given.counts { "" } else { " (may not approve any more, and does not count)" };
        let reason = given.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        say!("approved by {} {}{reason}{counts}", given.user, print::ago(given.at));
    }
    say!("");
    let rows: Vec<[String; 4]> = detail
        .summary
        .services
        .iter()
        .map(|service| {
            let version = |version: Option<&lockstep_model::Version>| {
                version.map_or_else(|| "not deployed".to_owned(), ToString::to_string)
            };
            let state = format!("{:?}", service.state);
            [service.service.to_string(), version(service.from.as_ref()), version(service.to.as_ref()), state]
        })
        .collect();
    print::table(["SERVICE", "FROM", "TO", "STATE"], &rows);
    for outside in &detail.outside {
        say!("{}", print::outside(outside));
    }
    say!("");
    let rows: Vec<[String; 4]> = detail
        .steps
        .iter()
        .map(|step| {
            let took = print::between(step.forward().map(|one| one.started_at), step.finished_at());
            let last = step.last();
            let seen =
                last.and_then(|last| last.evidence.last()).map(lockstep_model::health::Evidence::sentence);
            let what = last.and_then(|last| last.reason.clone()).or(seen).unwrap_or_default();
            [step.id.to_string(), step.state.word().to_owned(), took, what]
        })
        .collect();
    print::table(["STEP", "STATE", "TOOK", "WHAT WAS SEEN"], &rows);
    for warning in &detail.warnings {
        say!("\nwarning: {}", warning.message);
    }
    if let Some(rollback) = &detail.rollback {
        going_back(detail, rollback);
    }
    if let (Some(detected), Some(stable)) = (clocks.detected_at, clocks.stable_at) {
        say!("\nback and probed {} after the verdict", seconds(stable.since_ms(detected)));
    }
}

fn going_back(detail: &DeploymentDetail, rollback: &RollbackView) {
    match &rollback.trigger {
        RollbackTrigger::Rule { step: Some(step) } => say!("\ngoes back because {step} failed:"),
        RollbackTrigger::Rule { step: None } => say!("\ngoes back by a rule of the manifest:"),
        RollbackTrigger::Person { by } => say!("\ngoes back because {} ended it:", by.user),
    }
    let version = |version: &Option<lockstep_model::Version>| {
        version.as_ref().map_or_else(|| "not deployed".to_owned(), ToString::to_string)
    };
    let row = |(number, one): (usize, &RollbackServiceView)| {
        let after: Vec<String> = one.after.iter().map(ToString::to_string).collect();
        let states = one.steps.iter().filter_map(|id| detail.steps.iter().find(|step| step.id == *id));
        let states: Vec<String> =
            states.map(|step| format!("{} {}", step.kind.word(), step.state.word())).collect();
        let [from, to] = [version(&one.from), version(&one.to)];
        [(number + 1).to_string(), one.service.to_string(), from, to, states.join(", "), after.join(", ")]
    };
    let rows: Vec<[String; 6]> = rollback.services.iter().enumerate().map(row).collect();
    print::table(["", "SERVICE", "FROM", "BACK TO", "STEPS", "AFTER"], &rows);
    for stays in &rollback.stays {
        say!("{} does not go back: {}", stays.service, stays.why);
    }
    if let Some(limit) = rollback.max_duration_ms {
        say!("it may take {}", seconds(limit));
    }
}

pub(super) async fn logs(
    global: &Global,
    client: &Client,
    id: DeploymentId,
    step: Option<String>,
    follow: bool,
) -> Result<u8, Failure> {
    let mut after = 0;
    loop {
        // Looked at before the lines, so that the last ones are not missed.
        let is_over = if follow {
            client.call(DeploymentShow, &DeploymentRequest { id }).await?.summary.phase.is_final()
        } else {
            true
        };
        loop {
            let request = ReadLogs { id, step: step.clone(), after, before: None, limit: LOG_LINES_MAX };
            let page = client.call(DeploymentLogs, &request).await?;
            if let Some(removed) = page.removed.filter(|_| after == 0 && !global.json) {
                complain!("{removed}");
            }
            after = page.next;
            for line in &page.lines {
                let text = if global.json {
                    serde_json::to_string(line).unwrap_or_default()
                } else {
                    format!("{}  {}", line.step, line.text)
                };
                if out::line(format_args!("{text}")).is_err() {
                    // Nobody reads any more, as behind `| head`.
                    return Ok(exit::SUCCEEDED);
                }
            }
            if !page.more {
                break;
            }
        }
        if is_over {
            if after == 0 && !global.json {
                complain!("nothing was printed; a process is heard when it is ended, a command at once");
            }
            return Ok(exit::SUCCEEDED);
        }
        sleep(FOLLOW_EVERY).await;
    }
}
