//! Webhooks that come in.

use super::{arguments::Global, client::Client, error::Failure, exit, print};
use crate::out::say;
use clap::{Args, Subcommand, ValueEnum};
use lockstep_model::{
    ServiceName,
    api::{Empty, HookAdd, HookDeliveries, HookList, HookRemove},
    hooks::{
        DELIVERIES_MAX, DeliveryView, HookEvent, HookRule, HookSender, HookVersion, HookView, ListDeliveries,
        NamedHook, RefusedView, RefusedWhy,
    },
};

const ADD_HELP: &str = "\
Examples:
  lockstep hook add shop --secret env:LOCKSTEP_HOOK_SHOP --project shop --env staging \\
    --repository-id 456789 --on push,workflow_run --ref refs/heads/main --workflow .github/workflows/smoke.yml
  lockstep hook add nightly --sender generic --secret secret:nightly-key --project shop --env staging

The secret itself is never sent: --secret says where the server finds it: in a secret of that environment
(`lockstep secret set NAME`), in a variable that begins with LOCKSTEP_HOOK_ or in a file; 16 characters or more.
It is looked up at each delivery. Without one the address answers 404. On GitHub give the
address, the same secret, and 'application/json'.";

#[derive(Debug, Subcommand)]
pub(super) enum HookCommand {
    /// List webhooks.
    List,
    /// Make a webhook; its address is /hooks/NAME.
    #[command(after_help = ADD_HELP)]
    Add(AddOptions),
    /// End a webhook.
    Remove {
        /// What it is called.
        name: String,
    },
    /// List what was delivered to a webhook lately, and what came of it.
    Deliveries {
        /// What it is called.
        name: String,
        /// At most so many.
        #[arg(long, default_value_t = DELIVERIES_MAX)]
        limit: u32,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sender {
    Github,
    Generic,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum On {
    /// A push starts a deployment.
    #[value(name = "push")]
    Push,
    /// A deployment on GitHub starts one.
    #[value(name = "deployment")]
    Deployment,
    /// A watched workflow that failed takes its commit's deployment back.
    #[value(name = "workflow_run")]
    WorkflowRun,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum VersionWord {
    Manifest,
    Commit,
}

#[derive(Debug, Args)]
pub(super) struct AddOptions {
    /// What it is called.
    name: String,
    /// Who sends.
    #[arg(long, value_name = "WHO", default_value = "github")]
    sender: Sender,
    /// Where the server finds the secret: secret:NAME of the environment, env:LOCKSTEP_HOOK_NAME or file:/path.
    #[arg(long, value_name = "PLACE")]
    secret: String,
    /// What is acted on.
    #[arg(long, value_name = "EVENT", value_delimiter = ',')]
    on: Vec<On>,
    /// The repository's id: a number.
    #[arg(long, value_name = "NUMBER")]
    repository_id: Option<String>,
    /// The branch or tag in full, as refs/heads/main.
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// The watched workflow's file, as .github/workflows/smoke.yml.
    #[arg(long, value_name = "FILE")]
    workflow: Option<String>,
    /// GitHub's environment, of deployments there.
    #[arg(long, value_name = "NAME")]
    job_environment: Option<String>,
    /// Deploy only this service; may be repeated. Without any, all of the environment.
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<ServiceName>,
    /// Which version is deployed: as the manifest says, or the commit's id.
    #[arg(long, value_name = "WHICH", default_value = "manifest")]
    version: VersionWord,
}

pub(super) async fn hook(global: &Global, client: &Client, command: HookCommand) -> Result<u8, Failure> {
    match command {
        HookCommand::List => list(global, client).await,
        HookCommand::Add(options) => add(global, client, options).await,
        HookCommand::Remove { name } => {
            let hook = client.call(HookRemove, &NamedHook { name }).await?;
            if global.json {
                print::json(&hook)?;
            } else {
                say!("the webhook {} has ended", hook.rule.name);
            }
            Ok(exit::SUCCEEDED)
        }
        HookCommand::Deliveries { name, limit } => deliveries(global, client, name, limit).await,
    }
}

async fn add(global: &Global, client: &Client, options: AddOptions) -> Result<u8, Failure> {
    let (Some(project), Some(environment)) = (global.project.clone(), global.environment.clone()) else {
        return Err(Failure::refused("say with --project and --env where the webhook deploys"));
    };
    let rule = HookRule {
        name: options.name,
        sender: match options.sender {
            Sender::Github => HookSender::Github,
            Sender::Generic => HookSender::Generic,
        },
        secret: options.secret,
        events: options.on.into_iter().map(event).collect(),
        repository_id: options.repository_id,
        git_ref: options.git_ref,
        workflow: options.workflow,
        job_environment: options.job_environment,
        project,
        environment,
        services: options.services,
        version: match options.version {
            VersionWord::Manifest => HookVersion::Manifest,
            VersionWord::Commit => HookVersion::Commit,
        },
    };
    let hook = client.call(HookAdd, &rule).await?;
    if global.json {
        print::json(&hook)?;
        return Ok(exit::SUCCEEDED);
    }
    say!("{} is at {}/hooks/{}", hook.rule.name, client.url(), hook.rule.name);
    if !hook.has_secret {
        say!("{} is not set there yet: until it is, the address answers 404", hook.rule.secret);
    }
    Ok(exit::SUCCEEDED)
}

const fn event(on: On) -> HookEvent {
    match on {
        On::Push => HookEvent::Push,
        On::Deployment => HookEvent::Deployment,
        On::WorkflowRun => HookEvent::WorkflowRun,
    }
}

async fn list(global: &Global, client: &Client) -> Result<u8, Failure> {
    let page = client.call(HookList, &Empty {}).await?;
    if global.json {
        print::json(&page)?;
        return Ok(exit::SUCCEEDED);
    }
    if page.hooks.is_empty() {
        say!("There are no webhooks; `lockstep hook add --help` says how one is made.");
        return Ok(exit::SUCCEEDED);
    }
    let rows: Vec<[String; 6]> = page.hooks.iter().map(row).collect();
    print::table(["NAME", "ACTS ON", "WHERE", "REPOSITORY", "SECRET", "USED"], &rows);
    Ok(exit::SUCCEEDED)
}

fn row(hook: &HookView) -> [String; 6] {
    let rule = &hook.rule;
    let events = rule.events.iter().map(|event| match event {
        HookEvent::Push => "push",
        HookEvent::Deployment => "deployment",
        HookEvent::WorkflowRun => "workflow_run",
    });
    let events = match rule.sender {
        HookSender::Github => events.collect::<Vec<_>>().join(","),
        HookSender::Generic => "generic".to_owned(),
    };
    let secret =
        if hook.has_secret { rule.secret.clone() } else { format!("{} (not set: off)", rule.secret) };
    let used = hook.last_used_at.map_or_else(|| "never".to_owned(), print::ago);
    let repository = rule.repository_id.clone().unwrap_or_default();
    [rule.name.clone(), events, format!("{}/{}", rule.project, rule.environment), repository, secret, used]
}

async fn deliveries(global: &Global, client: &Client, name: String, limit: u32) -> Result<u8, Failure> {
    let page = client.call(HookDeliveries, &ListDeliveries { name, limit }).await?;
    if global.json {
        print::json(&page)?;
        return Ok(exit::SUCCEEDED);
    }
    if page.deliveries.is_empty() {
        say!("Nothing was delivered yet.");
    } else {
        let rows: Vec<[String; 5]> = page.deliveries.iter().map(delivered).collect();
        print::table(["WHEN", "DELIVERY", "EVENT", "OUTCOME", "WHY"], &rows);
    }
    if !page.refused.is_empty() {
        say!("");
        let rows: Vec<[String; 3]> = page.refused.iter().map(turned_away).collect();
        print::table(["TURNED AWAY BECAUSE", "TIMES", "LAST"], &rows);
    }
    Ok(exit::SUCCEEDED)
}

fn delivered(one: &DeliveryView) -> [String; 5] {
    let outcome = one.outcome.replace('_', " ");
    [print::ago(one.at), one.delivery.clone(), one.event.clone(), outcome, one.message.clone()]
}

fn turned_away(one: &RefusedView) -> [String; 3] {
    let why = match one.reason {
        RefusedWhy::NoSecret => "the webhook's secret is not set",
        RefusedWhy::Signature => "the signature is missing or not right",
        RefusedWhy::Time => "the time that was signed is missing or more than 5 minutes off",
        RefusedWhy::TooLarge => "the body is too large",
        RefusedWhy::Unread => "the body did not come",
        RefusedWhy::Duplicate => "the same was delivered before",
    };
    [why.to_owned(), one.count.to_string(), print::ago(one.last_at)]
}
