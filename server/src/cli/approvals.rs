//! Approving and rejecting what waits for it, and seeing what does.

use super::{
    arguments::{Global, Waiting},
    client::{Client, Source},
    error::Failure,
    exit,
    follow::{self, Hope},
    hidden, print,
};
use crate::out::{complain, say};
use lockstep_model::{
    DeploymentId, Digest,
    api::{
        DeploymentApprove, DeploymentDecide, DeploymentList, DeploymentReject, DeploymentRequest,
        DeploymentShow, Empty, ListDeployments, PAGE_ROWS_MAX, SessionShow,
    },
    approval::{ApproveDeployment, DecideDeployment, RejectDeployment, Word},
    deployment::Phase,
    view::{DeploymentDetail, DeploymentSummary},
};

/// What somebody approves.
pub(super) struct Approve {
    pub(super) id: DeploymentId,
    /// The digest of the plan that they mean; none = what it is now.
    pub(super) plan: Option<Digest>,
    pub(super) reason: Option<String>,
    pub(super) waiting: Waiting,
}

pub(super) async fn approve(global: &Global, client: &Client, wanted: Approve) -> Result<u8, Failure> {
    let Approve { id, plan, reason, waiting } = wanted;
    let detail = client.call(DeploymentShow, &DeploymentRequest { id }).await?;
    // Where nothing waits for approval, the server says why there is nothing to approve.
    let plan = plan.unwrap_or_else(|| {
        detail.approval.as_ref().map_or_else(|| detail.manifest.clone(), |approval| approval.plan.clone())
    });
    let summary = match client.source() {
        Source::Login => {
            complain!("deployment {id} ({}): {}", detail.summary.environment, changes(&detail));
            decide(client, id, Word::Approve, Some(plan), reason).await?
        }
        Source::Given | Source::DataFolder | Source::Nothing => {
            client.call(DeploymentApprove, &ApproveDeployment { id, plan, reason }).await?
        }
    };
    if !global.json {
        say!("approved: {}", changes(&detail));
        if let Some(left) = missing(&summary) {
            say!("{left}");
        }
    }
    follow::begun(global, client, &summary, waiting, Hope::Release).await
}

pub(super) async fn reject(
    global: &Global,
    client: &Client,
    id: DeploymentId,
    reason: Option<String>,
) -> Result<u8, Failure> {
    let summary = match client.source() {
        Source::Login => decide(client, id, Word::Reject, None, reason).await?,
        Source::Given | Source::DataFolder | Source::Nothing => {
            client.call(DeploymentReject, &RejectDeployment { id, reason }).await?
        }
    };
    if global.json {
        print::json(&summary)?;
    } else {
        say!("deployment {id} ({}) is {}; nothing was changed", summary.environment, summary.phase);
    }
    Ok(exit::SUCCEEDED)
}

/// With the password of whoever signed in by `lockstep login`: their token alone decides about nothing.
async fn decide(
    client: &Client,
    id: DeploymentId,
    word: Word,
    plan: Option<Digest>,
    reason: Option<String>,
) -> Result<DeploymentSummary, Failure> {
    let session = client.call(SessionShow, &Empty {}).await?;
    let password = hidden::line(&format!("Password of {} at {}", session.user, client.url()))?;
    if password.is_empty() {
        return Err(Failure::refused("no password was given; nothing was decided"));
    }
    let request = DecideDeployment { id, word, plan, reason, password: password.as_str().to_owned() };
    client.call(DeploymentDecide, &request).await
}

/// What waits for approvals, the oldest first.
pub(super) async fn list(global: &Global, client: &Client) -> Result<u8, Failure> {
    let request = ListDeployments {
        project: global.project.clone(),
        environment: global.environment.clone(),
        phase: Some(Phase::Queued),
        limit: PAGE_ROWS_MAX,
        ..ListDeployments::default()
    };
    let mut waiting = Vec::new();
    let mut cursor = None;
    loop {
        let page = client.call(DeploymentList, &ListDeployments { cursor, ..request.clone() }).await?;
        waiting.extend(page.deployments.into_iter().filter(|row| row.approvals.is_some()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    waiting.reverse();
    if global.json {
        print::json(&waiting)?;
        return Ok(exit::SUCCEEDED);
    }
    if waiting.is_empty() {
        say!("Nothing waits for approval.");
        return Ok(exit::SUCCEEDED);
    }
    let mut rows: Vec<[String; 5]> = Vec::new();
    for row in &waiting {
        let detail = client.call(DeploymentShow, &DeploymentRequest { id: row.id }).await?;
        rows.push([
            row.id.to_string(),
            format!("{}/{}", row.project, row.environment),
            row.by.user.to_string(),
            changes(&detail),
            detail.waits_for.unwrap_or_default(),
        ]);
    }
    print::table(["ID", "WHERE", "ASKED BY", "CHANGES", "WAITS"], &rows);
    say!("\nsee it: lockstep status ID; then: lockstep approve ID, or lockstep reject ID");
    Ok(exit::SUCCEEDED)
}

/// What it still waits for; none = for nobody's word.
pub(super) fn missing(summary: &DeploymentSummary) -> Option<String> {
    let (given, needed) = summary.approvals.filter(|(given, needed)| given < needed)?;
    let id = summary.id;
    Some(format!(
        "deployment {id} has {given} of {needed} approvals: lockstep approve {id}, or its page; lockstep status {id} says by whom"
    ))
}

fn changes(detail: &DeploymentDetail) -> String {
    let named = detail.summary.services.iter().map(|change| {
        let version = change.to.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
        format!("{} {version}", change.service)
    });
    named.collect::<Vec<_>>().join(", ")
}
