//! Which jobs elsewhere get tokens without a stored secret.

use super::{arguments::Global, client::Client, error::Failure, exit, print};
use crate::out::say;
use clap::{Args, Subcommand};
use lockstep_model::{
    access::Role,
    api::{Empty, TrustAdd, TrustList, TrustRemove},
    tokens::{Action, words},
    trust::{AddTrust, GITHUB_ISSUER, MINUTES_MAX, NamedTrust, TrustView, TrustedJob},
};

const ADD_HELP: &str = "\
Example, for a job on main with 'environment: production' in .github/workflows/deploy.yml:
  lockstep trust add shop-production --role deployer --project shop --env production --action deploy,rollback \\
    --repository-id 456789 --owner-id 123456 --ref refs/heads/main \\
    --job-environment production --workflow .github/workflows/deploy.yml

`gh api repos/OWNER/NAME --jq '.id, .owner.id'` prints both ids. Every word is compared in full; nothing is a
pattern. In the job, with 'permissions: {id-token: write}': LOCKSTEP_TOKEN=$(lockstep token exchange)";

#[derive(Debug, Subcommand)]
pub(super) enum TrustCommand {
    /// List the rules.
    List,
    /// Trust a job of GitHub Actions, or of another issuer of identity tokens.
    #[command(after_help = ADD_HELP)]
    Add(AddOptions),
    /// End a rule; tokens that were given by it end, too.
    Remove {
        /// What it is called.
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct AddOptions {
    /// What it is called.
    name: String,
    /// What the job may do, on what --project and --env name.
    #[arg(long)]
    role: Role,
    /// What of that it may change: deploy, rollback, steer, restrict, report, apply or manage; may be
    /// repeated. Without it, all that its role has.
    #[arg(long = "action", value_name = "ACTION", value_delimiter = ',')]
    actions: Vec<Action>,
    /// The repository's id: a number.
    #[arg(long, value_name = "NUMBER")]
    repository_id: String,
    /// The id of the repository's owner: a number.
    #[arg(long, value_name = "NUMBER")]
    owner_id: String,
    /// The branch or tag in full, as refs/heads/main.
    #[arg(long = "ref", value_name = "REF")]
    git_ref: String,
    /// The job's environment on GitHub.
    #[arg(long, value_name = "NAME")]
    job_environment: String,
    /// The workflow's file, as .github/workflows/deploy.yml.
    #[arg(long, value_name = "FILE")]
    workflow: String,
    /// For whom identity tokens are made out; without it, the server's address.
    #[arg(long, value_name = "TEXT")]
    audience: Option<String>,
    /// Who makes them.
    #[arg(long, value_name = "URL", default_value = GITHUB_ISSUER)]
    issuer: String,
    /// How long a token lasts, 1 to 15 minutes.
    #[arg(long, default_value_t = MINUTES_MAX)]
    minutes: u32,
}

pub(super) async fn trust(global: &Global, client: &Client, command: TrustCommand) -> Result<u8, Failure> {
    match command {
        TrustCommand::List => list(global, client).await,
        TrustCommand::Add(options) => add(global, client, options).await,
        TrustCommand::Remove { name } => {
            let rule = client.call(TrustRemove, &NamedTrust { name }).await?;
            if global.json {
                print::json(&rule)?;
            } else {
                say!("{} is not trusted any more; tokens that were given by the rule have ended", rule.name);
            }
            Ok(exit::SUCCEEDED)
        }
    }
}

async fn add(global: &Global, client: &Client, options: AddOptions) -> Result<u8, Failure> {
    let audience = match options.audience {
        Some(audience) => audience,
        None if client.url().starts_with("https://") => client.url().to_owned(),
        None => {
            return Err(Failure::refused(
                "say with --audience at which address jobs reach this server, as https://deploy.example.com",
            ));
        }
    };
    let job = TrustedJob {
        issuer: options.issuer,
        audience,
        repository_id: options.repository_id,
        repository_owner_id: options.owner_id,
        git_ref: options.git_ref,
        environment: options.job_environment,
        workflow: options.workflow,
    };
    let request = AddTrust {
        name: options.name,
        job,
        role: options.role,
        project: global.project.clone(),
        environment: global.environment.clone(),
        actions: options.actions,
        minutes: options.minutes,
    };
    let rule = client.call(TrustAdd, &request).await?;
    if global.json {
        print::json(&rule)?;
        return Ok(exit::SUCCEEDED);
    }
    say!("{} gets {} for {} minutes at a time", rule.name, may(&rule), rule.minutes);
    Ok(exit::SUCCEEDED)
}

async fn list(global: &Global, client: &Client) -> Result<u8, Failure> {
    let page = client.call(TrustList, &Empty {}).await?;
    if global.json {
        print::json(&page)?;
        return Ok(exit::SUCCEEDED);
    }
    if page.rules.is_empty() {
        say!("No job is trusted; `lockstep trust add --help` says how one is.");
        return Ok(exit::SUCCEEDED);
    }
    let rows: Vec<[String; 7]> = page.rules.iter().map(row).collect();
    print::table(["NAME", "MAY", "REPOSITORY", "REF", "ENVIRONMENT", "WORKFLOW", "USED"], &rows);
    Ok(exit::SUCCEEDED)
}

fn row(rule: &TrustView) -> [String; 7] {
    let used = rule.last_used_at.map_or_else(|| "never".to_owned(), print::ago);
    let repository = format!("{} of {}", rule.job.repository_id, rule.job.repository_owner_id);
    let (git_ref, environment) = (rule.job.git_ref.clone(), rule.job.environment.clone());
    [rule.name.clone(), may(rule), repository, git_ref, environment, rule.job.workflow.clone(), used]
}

fn may(rule: &TrustView) -> String {
    if rule.actions.is_empty() {
        return rule.bound.to_string();
    }
    format!("{}: {}", rule.bound, words(&rule.actions))
}
