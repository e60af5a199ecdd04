//! What can be typed.

pub(super) use super::values::duration;
use super::{
    audit::AuditCommand,
    exec::{self, Exec},
    gateway::GatewayCommand,
    health::HealthOptions,
    history::{HistoryCommand, HistoryOptions},
    hooks::HookCommand,
    people::{SessionCommand, TokenCommand, UserCommand},
    restrictions::{FreezeCommand, HoldCommand, LockCommand},
    scripts::ScriptCommand,
    secrets::SecretCommand,
    steer::SteerCommand,
    trust::TrustCommand,
    values::{assignment, label, size},
};
use crate::demo::service::DemoService;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use lockstep_model::{
    DeploymentId, EnvironmentName, ProjectName, ServiceName, Version, deployment::ReleaseOrder,
};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

const AFTER_HELP: &str = "\
Begin with:
  lockstep serve --demo              a server with three services that can be broken at will
  lockstep check lockstep.yaml       whether a manifest is right
  lockstep apply lockstep.yaml       make it the project's manifest
  lockstep deploy --env staging --wait
  lockstep rollback --env staging --wait

Exit codes: 0 succeeded, 1 did not succeed (taken back, cancelled, superseded), 2 refused,
3 needs an operator, 4 server not reachable or unable to work, 5 waited too long.";

const DEPLOY_HELP: &str = "\
Examples:
  lockstep deploy --wait                                    every service of the default environment
  lockstep deploy --env production --set backend=1.4.0 --set frontend=2.1.0 --wait
  lockstep deploy -f lockstep.yaml --dry-run                what would happen, step by step
  lockstep deploy backend --commit $(git rev-parse HEAD) --idempotency-key $RUN --wait

When one service fails, everything that the release changed is taken back and the exit code is 1.
In between: lockstep watch N, lockstep logs N, lockstep cancel N, lockstep rollback N.";

const LOGIN_HELP: &str = "\
Which server, and as whom, each from the first that says it:
  1. --url and --token
  2. LOCKSTEP_URL and LOCKSTEP_TOKEN
  3. the data folder, on the machine of a server that runs (--data-dir, else ./data)
  4. ~/.config/lockstep/config.toml, which `login` writes (XDG_CONFIG_HOME is respected)
A kept token is sent to the server that it is of, and to no other.";

const PROMOTE_HELP: &str = "\
Examples:
  lockstep promote --plan                                   what would pass on, and how long is left
  lockstep promote --from staging --to production --wait
  lockstep promote --to production --service backend --wait

The manifest says what may go where: environments.production.promotion: {from: staging, soak: 30m}. A version
may go when a deployment that succeeded brought it there, it is healthy, it is not held, and it has served for
the stated time; otherwise the exit code is 2, and what is missing is said for each service.";

/// Deploys a team's services together and takes them back together.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, about, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Holds for every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which server and project")]
pub(super) struct Global {
    /// The server's address; without it, the one that was started with the data folder, or that `login` names.
    #[arg(long, env = "LOCKSTEP_URL", global = true, value_name = "URL")]
    pub(super) url: Option<String>,
    /// A token; on the server's own machine none is needed.
    #[arg(long, env = "LOCKSTEP_TOKEN", global = true, value_name = "TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// The data folder.
    #[arg(long, env = "LOCKSTEP_DATA_DIR", global = true, value_name = "DIR", default_value = "data")]
    pub(super) data_dir: PathBuf,
    /// The project; needed only when the server has several.
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) project: Option<ProjectName>,
    /// The environment; without it, the project's default.
    #[arg(long = "env", visible_alias = "environment", global = true, value_name = "NAME")]
    pub(super) environment: Option<EnvironmentName>,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the server: coordinator, API and dashboard.
    Serve(Serve),
    /// Run the agent of a host; `serve` starts the one of its own machine by itself.
    Agent(Agent),
    /// End the server of the data folder; its services go on.
    Stop {
        /// Also end agent, gateway and all services.
        #[arg(long)]
        all: bool,
    },
    /// Say whether a manifest is right; needs no server.
    Check {
        /// The manifest.
        #[arg(default_value = "lockstep.yaml")]
        file: PathBuf,
    },
    /// Print the JSON Schema of manifests, for editors.
    Schema,
    /// Make a manifest the project's current one.
    Apply {
        /// The manifest; - reads standard input.
        #[arg(default_value = "lockstep.yaml")]
        file: PathBuf,
    },
    /// Say what a deployment would do; changes nothing.
    Plan(Release),
    /// Deploy services together, in the order in which they need each other.
    #[command(after_help = DEPLOY_HELP)]
    Deploy {
        #[command(flatten)]
        release: Release,
        #[command(flatten)]
        waiting: Waiting,
        /// Only say what would be done, as `plan` does.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show the services, or one deployment.
    Status {
        /// The deployment; without it, all services.
        id: Option<DeploymentId>,
    },
    /// Follow a deployment to its end; the exit code is its verdict.
    Watch {
        /// The deployment.
        id: DeploymentId,
        /// Wait no longer than this, as 90s, 10m, 1h.
        #[arg(long, value_parser = duration, default_value = "1h")]
        timeout: Duration,
    },
    /// Print the output of a deployment's steps.
    Logs {
        /// The deployment.
        id: DeploymentId,
        /// Only of this step, as backend.prepare.
        #[arg(long)]
        step: Option<String>,
        /// Go on until the deployment has ended.
        #[arg(long, short = 'f')]
        follow: bool,
    },
    /// List deployments, the newest first unless told otherwise; or verify their journals.
    #[command(args_conflicts_with_subcommands = true)]
    History {
        #[command(flatten)]
        wanted: HistoryOptions,
        #[command(subcommand)]
        command: Option<HistoryCommand>,
    },
    /// Take a deployment back; without a number, the environment's last one.
    Rollback(Rollback),
    /// Deploy to an environment what has served in another one for long enough.
    #[command(after_help = PROMOTE_HELP)]
    Promote(Promote),
    #[command(flatten)]
    Steer(SteerCommand),
    /// Let nobody else deploy for a while.
    #[command(subcommand)]
    Lock(LockCommand),
    /// Keep versions from being deployed; those that took a release back are held by themselves.
    #[command(subcommand)]
    Hold(HoldCommand),
    /// Let nobody deploy for a while.
    #[command(subcommand)]
    Freeze(FreezeCommand),
    /// See who did what, and verify the record of it.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Manage users and their roles, per project and environment.
    #[command(subcommand)]
    User(UserCommand),
    /// Close the server to everybody but commands on its own machine.
    ///
    /// For when somebody may have got in who should not have. All sessions end, tokens are not let in, pages
    /// and API are closed; deployments, checks and rollbacks go on, and status.json in the data folder says how
    /// they stand. A restart opens nothing; `lockstep unlock` on the server's machine does.
    Lockdown {
        /// Why; recorded, and told to whoever comes.
        #[arg(long)]
        reason: String,
    },
    /// Open the server again after `lockdown`; on its own machine.
    Unlock,
    /// See and end sessions of browsers.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Manage tokens for programs.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Sign in to a server: prints a code, which somebody confirms on a page, and keeps a token for 30 days.
    #[command(after_help = LOGIN_HELP)]
    Login {
        /// The server's address; without it, the one that commands use.
        url: Option<String>,
    },
    /// End the token that `login` keeps, and forget it.
    Logout,
    /// Change your own password at the server where `login` signed you in; ends your sessions in browsers.
    Password,
    /// Say who commands act as, where, and how that was found out.
    Whoami,
    /// Set secrets of an environment; nobody can read them, what is deployed gets them as variables.
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Manage which jobs elsewhere get tokens without a stored secret.
    #[command(subcommand)]
    Trust(Box<TrustCommand>),
    /// Manage webhooks that come in and deploy or take back.
    #[command(subcommand)]
    Hook(Box<HookCommand>),
    /// Look at the gateway, the switch before the services.
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Look at what serves for a while, and fail when it is not well.
    Health(HealthOptions),
    /// Run a deploy script that exists already, and see whether it deployed.
    #[command(after_help = exec::HELP)]
    Exec(Box<Exec>),
    /// Look at scripts that `exec` ran elsewhere.
    #[command(subcommand)]
    Script(ScriptCommand),
    /// Print the completions of a shell: `lockstep completions bash > /etc/bash_completion.d/lockstep`.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write manual pages into a folder.
    Man {
        /// The folder.
        dir: PathBuf,
    },
    /// A service of the demo.
    #[command(hide = true)]
    DemoService(DemoService),
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where it listens.
    #[arg(long, env = "ADDR", default_value = "127.0.0.1:3000", value_name = "ADDRESS:PORT")]
    pub(super) addr: SocketAddr,
    /// Where browsers reach it, when a proxy stands before it, as https://deploy.example.com.
    #[arg(long, env = "LOCKSTEP_PUBLIC_URL", value_name = "URL")]
    pub(super) public_url: Option<String>,
    /// The certificate to serve HTTPS with, in PEM with those between it and its root; read again when it
    /// changes. Commands on this machine then use a port of their own.
    #[arg(long, env = "LOCKSTEP_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM.
    #[arg(long, env = "LOCKSTEP_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,
    /// A proxy that serves HTTPS and comes from this address; what its X-Forwarded-For says is believed. May
    /// be repeated. Nobody else off this machine is let in then.
    #[arg(
        long,
        env = "LOCKSTEP_PROXY",
        value_name = "ADDRESS",
        value_delimiter = ',',
        conflicts_with = "tls_cert"
    )]
    pub(super) proxy: Vec<std::net::IpAddr>,
    /// Serve plain HTTP to other machines: whoever is on the way reads passwords and tokens.
    #[arg(long, conflicts_with = "tls_cert")]
    pub(super) insecure_http: bool,
    /// The key file under which secrets are sealed, mode 0600; without it, secrets.key in the data folder. It
    /// is made with the first secret. Keep a copy apart from backups: without it no secret opens.
    #[arg(long, env = "LOCKSTEP_SECRETS_KEY", value_name = "FILE")]
    pub(super) secrets_key: Option<PathBuf>,
    /// Deploy the demo; ^C ends everything that it started.
    #[arg(long)]
    pub(super) demo: bool,
    /// How log lines are written, to standard error.
    #[arg(long, default_value = "text")]
    pub(super) log_format: LogFormat,
    /// The identity provider at which people sign in, as a file; server/docs/operations.md says what is in it.
    #[arg(long, env = "LOCKSTEP_OIDC", value_name = "FILE")]
    pub(super) oidc: Option<PathBuf>,
    /// How much output of deployments and scripts is kept in all, as 500MiB or 2GiB; at least 1MiB. Beyond it, that of
    /// what ended longest ago is removed, a running one's never.
    #[arg(long, env = "LOCKSTEP_OUTPUT_MAX", value_name = "SIZE", default_value = "2GiB", value_parser = size)]
    pub(super) output_max: u64,
    /// How long the body of a request may take to come; for tests, which cannot wait for the usual 30 s.
    #[arg(long, env = "LOCKSTEP_BODY_MS", hide = true, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub(super) body_ms: Option<u64>,
    /// Believe issuers of identity tokens at a loopback address that speak plain HTTP; for tests.
    #[arg(long, hide = true)]
    pub(super) plain_issuers: bool,
    /// How long the coordinator's lease is; for tests, which cannot wait for the usual one.
    #[arg(long, env = "LOCKSTEP_LEASE_MS", hide = true, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub(super) lease_ms: Option<u64>,
    /// How long a password counts as given a moment ago; for tests, which cannot wait for the usual ten minutes.
    #[arg(long, env = "LOCKSTEP_CONFIRM_MS", hide = true, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    pub(super) confirm_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Agent {
    /// The agent's folder, with connect.json.
    #[arg(long)]
    pub(super) dir: PathBuf,
    /// The gateway's folder; without it, `gateway` beside the agent's.
    #[arg(long)]
    pub(super) gateway_dir: Option<PathBuf>,
}

/// What is deployed.
#[derive(Debug, Args)]
pub(super) struct Release {
    /// Services to deploy; without any, all of the environment.
    #[arg(value_name = "SERVICE")]
    pub(super) services: Vec<ServiceName>,
    /// Apply this manifest first.
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Deploy this service in this version; may be repeated.
    #[arg(long, value_name = "SERVICE=VERSION", value_parser = assignment)]
    pub(super) set: Vec<(ServiceName, Version)>,
    /// In which order they are changed; it is one deployment whatever the order.
    #[arg(long, value_name = "ORDER", default_value = "dependencies")]
    pub(super) order: OrderWord,
    /// Go on although something could not be taken back.
    #[arg(long)]
    pub(super) accept_no_rollback: bool,
    /// Leave checks and watches out; for whom `skip_verification` of the environment names. Recorded.
    #[arg(long)]
    pub(super) skip_verification: bool,
    /// Why; kept with the deployment.
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// The commit that is deployed.
    #[arg(long, env = "GITHUB_SHA", value_name = "ID")]
    pub(super) commit: Option<String>,
    /// When it was committed, in seconds since 1970 (`git log -1 --format=%ct`).
    #[arg(long, value_name = "SECONDS")]
    pub(super) commit_time: Option<i64>,
    /// Who wrote it.
    #[arg(long, env = "GITHUB_ACTOR", value_name = "NAME")]
    pub(super) author: Option<String>,
    /// The CI run that asks.
    #[arg(long, env = "GITHUB_RUN_ID", value_name = "ID")]
    pub(super) ci_run: Option<String>,
    /// A further fact; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub(super) label: Vec<(String, String)>,
    /// The same key starts the same deployment once, however often it is sent.
    #[arg(long, value_name = "KEY")]
    pub(super) idempotency_key: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum OrderWord {
    /// As they need each other, as many at a time as the manifest says.
    Dependencies,
    /// None: nothing waits for what it depends on, neither forward nor back.
    Parallel,
    /// As they need each other, one at a time.
    Sequential,
}

impl From<OrderWord> for ReleaseOrder {
    fn from(word: OrderWord) -> Self {
        match word {
            OrderWord::Dependencies => Self::Dependencies,
            OrderWord::Parallel => Self::Parallel,
            OrderWord::Sequential => Self::Sequential,
        }
    }
}

/// Whether to wait for the end.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Waiting {
    /// Wait for the end; the exit code is the verdict.
    #[arg(long)]
    pub(super) wait: bool,
    /// Wait no longer than this, as 90s, 10m, 1h; the deployment goes on.
    #[arg(long, value_parser = duration, default_value = "1h")]
    pub(super) timeout: Duration,
}

/// What passes on.
#[derive(Debug, Args)]
pub(super) struct Promote {
    /// Where it serves; without it, as the manifest says.
    #[arg(long, value_name = "ENVIRONMENT")]
    pub(super) from: Option<EnvironmentName>,
    /// Where it goes; without it, --env, or the only environment that takes promotions.
    #[arg(long, value_name = "ENVIRONMENT")]
    pub(super) to: Option<EnvironmentName>,
    /// Only this service; may be repeated. Without any, all that differ.
    #[arg(long = "service", value_name = "NAME")]
    pub(super) services: Vec<ServiceName>,
    /// Say what would pass on and how long is left, and change nothing.
    #[arg(long, conflicts_with = "wait")]
    pub(super) plan: bool,
    /// Why; kept with the deployment.
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// Go on although something could not be taken back.
    #[arg(long)]
    pub(super) accept_no_rollback: bool,
    /// The same key starts the same deployment once, however often it is sent.
    #[arg(long, value_name = "KEY")]
    pub(super) idempotency_key: Option<String>,
    #[command(flatten)]
    pub(super) waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    /// The deployment that is taken back: what served before it serves again.
    pub(super) id: Option<DeploymentId>,
    /// Show what can be gone back to, and change nothing.
    #[arg(long)]
    pub(super) list: bool,
    /// Only this service; may be repeated. Of a deployment that is live, what needs it goes back with it
    /// and the others go on.
    #[arg(long = "service", value_name = "NAME")]
    pub(super) services: Vec<ServiceName>,
    /// Say as a plan what would go back of a deployment that has ended, and what stays beside it.
    #[arg(long, conflicts_with_all = ["list", "wait"])]
    pub(super) plan: bool,
    /// Say who may do it and what it does, and change nothing.
    #[arg(long, requires = "id", conflicts_with_all = ["list", "wait", "plan"])]
    pub(super) dry_run: bool,
    /// Why; kept with it.
    #[arg(long)]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) waiting: Waiting,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_is_declared_without_a_conflict() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
