//! Webhooks that come in.

use super::{arguments::Global, client::Client, error::Failure, exit, print};
use crate::out::say;
use clap::{Args, Subcommand, ValueEnum};
use lockstep_model::{
    ServiceName,
    api::{Empty, HookAdd, HookList, HookRemove},
    hooks::{HookEvent, HookRule, HookSender, HookVersion, HookView, NamedHook},
};

const ADD_HELP: &str = "\
Examples:
  lockstep hook add shop --secret env:LOCKSTEP_HOOK_SHOP --project shop --env staging \\
    --repository-id 456789 --on push,workflow_run --ref refs/heads/main --workflow .github/workflows/smoke.yml
  lockstep hook add nightly --sender generic --secret file:/etc/lockstep/nightly.secret --project shop --env staging

The secret itself is never sent: --secret says where the server finds it, in a variable that begins with
LOCKSTEP_HOOK_ or in a file; 16 characters or more. Without one the address answers 404. On GitHub give the
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
    /// Where the server finds the secret: env:LOCKSTEP_HOOK_NAME or file:/path.
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
