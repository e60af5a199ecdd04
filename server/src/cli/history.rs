//! What was deployed before: found, sorted and paged by the server as on the page.

use super::{arguments::Global, client::Client, error::Failure, exit, print};
use crate::out::say;
use clap::{Args, Subcommand, ValueEnum};
use lockstep_model::{
    DeploymentId, ServiceName, UserName, Version,
    api::{DeploymentList, ListDeployments, Sort},
    deployment::Phase,
};

#[derive(Debug, Args)]
pub(super) struct HistoryOptions {
    /// How many, 1 to 200.
    #[arg(long, default_value_t = 20)]
    pub(super) limit: u32,
    /// Only in this phase.
    #[arg(long)]
    pub(super) phase: Option<PhaseWord>,
    /// Only those that change this service.
    #[arg(long)]
    pub(super) service: Option<ServiceName>,
    /// Only those that this user asked for.
    #[arg(long)]
    pub(super) by: Option<UserName>,
    /// Only those that deploy this version; with --service, this version of it.
    #[arg(long, value_name = "VERSION")]
    pub(super) deploys: Option<Version>,
    /// Only what was begun so: browser, token, local, system.
    #[arg(long)]
    pub(super) trigger: Option<String>,
    /// In which order.
    #[arg(long, default_value = "newest")]
    pub(super) sort: SortWord,
    /// Go on after a page: the `next` of its `--json`.
    #[arg(long)]
    pub(super) cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SortWord {
    Newest,
    Oldest,
    Longest,
    Shortest,
    Environment,
    EnvironmentDown,
    Phase,
    PhaseDown,
    By,
    ByDown,
    Widest,
    Narrowest,
}

impl From<SortWord> for Sort {
    fn from(word: SortWord) -> Self {
        match word {
            SortWord::Newest => Self::Newest,
            SortWord::Oldest => Self::Oldest,
            SortWord::Longest => Self::Longest,
            SortWord::Shortest => Self::Shortest,
            SortWord::Environment => Self::Environment,
            SortWord::EnvironmentDown => Self::EnvironmentDown,
            SortWord::Phase => Self::Phase,
            SortWord::PhaseDown => Self::PhaseDown,
            SortWord::By => Self::By,
            SortWord::ByDown => Self::ByDown,
            SortWord::Widest => Self::Widest,
            SortWord::Narrowest => Self::Narrowest,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum HistoryCommand {
    /// Check that journals keep every promise: order, one attempt at a time, nothing undone that never
    /// ran, nothing left behind; and that rows, outbox and the other deployments of an environment agree
    /// with them. Exit code 1 when one does not.
    Verify {
        /// Only this deployment; without it, the last ones.
        id: Option<DeploymentId>,
        /// How many of the last ones, at most 1,000.
        #[arg(long, default_value_t = 200)]
        limit: u32,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum PhaseWord {
    Queued,
    Running,
    Paused,
    RollingBack,
    NeedsOperator,
    Succeeded,
    RolledBack,
    Failed,
    Cancelled,
    Superseded,
}

impl From<PhaseWord> for Phase {
    fn from(word: PhaseWord) -> Self {
        match word {
            PhaseWord::Queued => Self::Queued,
            PhaseWord::Running => Self::Running,
            PhaseWord::Paused => Self::Paused,
            PhaseWord::RollingBack => Self::RollingBack,
            PhaseWord::NeedsOperator => Self::NeedsOperator,
            PhaseWord::Succeeded => Self::Succeeded,
            PhaseWord::RolledBack => Self::RolledBack,
            PhaseWord::Failed => Self::Failed,
            PhaseWord::Cancelled => Self::Cancelled,
            PhaseWord::Superseded => Self::Superseded,
        }
    }
}

pub(super) async fn history(global: &Global, client: &Client, wanted: HistoryOptions) -> Result<u8, Failure> {
    let is_narrowed = wanted.phase.is_some()
        || wanted.service.is_some()
        || wanted.by.is_some()
        || wanted.deploys.is_some()
        || wanted.trigger.is_some();
    let request = ListDeployments {
        project: global.project.clone(),
        environment: global.environment.clone(),
        phase: wanted.phase.map(Into::into),
        service: wanted.service,
        by: wanted.by,
        version: wanted.deploys,
        trigger: wanted.trigger,
        sort: wanted.sort.into(),
        cursor: wanted.cursor,
        limit: wanted.limit,
        ..ListDeployments::default()
    };
    let page = client.call(DeploymentList, &request).await?;
    if global.json {
        print::json(&page)?;
        return Ok(exit::SUCCEEDED);
    }
    if page.deployments.is_empty() && (is_narrowed || request.cursor.is_some()) {
        say!("No deployment fits.");
        return Ok(exit::SUCCEEDED);
    }
    if page.deployments.is_empty() {
        say!("Nothing was deployed yet: `lockstep deploy --wait` begins.");
        return Ok(exit::SUCCEEDED);
    }
    let rows: Vec<[String; 7]> = page
        .deployments
        .iter()
        .map(|deployment| {
            let services: Vec<String> = deployment
                .services
                .iter()
                .take(4)
                .map(|service| format!("{} {}", service.service, print::or_dash(service.to.as_ref())))
                .collect();
            let more = deployment.services.len().saturating_sub(services.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let clocks = &deployment.clocks;
            [
                deployment.id.to_string(),
                deployment.environment.to_string(),
                deployment.standing().to_owned(),
                print::ago(clocks.requested_at),
                print::between(clocks.started_at, clocks.finished_at),
                deployment.by.user.to_string(),
                format!("{}{more}", services.join(", ")),
            ]
        })
        .collect();
    print::table(["ID", "ENVIRONMENT", "PHASE", "ASKED FOR", "TOOK", "BY", "SERVICES"], &rows);
    Ok(exit::SUCCEEDED)
}
