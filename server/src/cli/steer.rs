//! How a deployment is steered, and what each way would do, said before it is done.

use super::{
    approvals::{self, Approve},
    arguments::{Global, Waiting},
    client::Client,
    error::Failure,
    exit, operate, print,
};
use crate::out::say;
use clap::{Subcommand, ValueEnum};
use lockstep_model::{
    DeploymentId, Digest, ServiceName, StepId,
    access::{ROLES, Role},
    api::{AbandonDeployment, Act, DeploymentForesee, EndDeployment, ForeseeDeployment, ResolveDeployment},
    deployment::Resolution,
};

const RESOLVE_HELP: &str = "\
A deployment needs an operator when an undo failed, or when a step failed where `rollback.auto` is off.
First repair the cause and try `lockstep undo-retry N`, or `lockstep retry N STEP`. Resolve what cannot be undone by Lockstep: put it right by hand, then say how
it ended. What Lockstep believes to serve follows from that, and so does what it closes before: a share of
the traffic, a preview, a candidate that nobody needs.

  succeeded    the new version gets all of the traffic
  rolled-back  what served before gets it, and the new version is ended
  failed       whoever has all of it keeps it; a share goes back to what served before

--leave-traffic changes nothing outside, as when the host is gone. Commands are yours in any case.";

const ABANDON_HELP: &str = "\
A deployment whose journal cannot be read (damage, a newer version) is set aside and keeps its environment
closed, because it may be half done. First see `lockstep history verify N`, the server's log and whether a
newer version reads it. Given up, it counts as failed; what agents may still do of it is ended; what serves of
its services is not known, so the next deployment looks and says so.

  lockstep abandon 12 --reason \"disk damage, see INC-7\"                       asks for the environment's name
  lockstep abandon 12 --reason \"…\" --env production --yes                   for scripts";

const APPROVE_HELP: &str = "\
Examples:
  lockstep approve                           what waits for approval, and for whose
  lockstep approve 12 --reason \"checked the migration\" --wait
  lockstep reject 12 --reason \"not on a Friday\"

environments.NAME.approvals of the manifest says how many people it takes, who they are and until when. Never
whoever asked for the deployment, and never a token: from elsewhere, sign in and use the deployment's page.
What is approved is the plan as it is; once the manifest changes, it is asked for anew.";

const STEPS_HELP: &str = "\
Examples:
  lockstep skip 12 backend.watch --reason \"seen by hand\"    the release is not watched any longer
  lockstep retry 12 frontend.verify                          a new attempt; a running one is stopped first
  lockstep retry 12 --service frontend                       all of it that failed
  lockstep keep 12 frontend --reason \"seen by hand\"         its new version serves; it is not looked at longer

Possible while the deployment goes forward, and where it asks an operator how to go on because a step
failed and `rollback.auto` is off. Steps that change something or record what serves are never left out.";

/// What is done to a deployment.
#[derive(Debug, Subcommand)]
pub(super) enum SteerCommand {
    /// Let nothing more begin in a deployment; what runs comes to its end.
    Pause {
        /// The deployment.
        id: DeploymentId,
        /// Why; kept with it.
        #[arg(long)]
        reason: Option<String>,
        /// Say who may do it and what it does, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Let a paused deployment go on.
    Resume {
        /// The deployment.
        id: DeploymentId,
        #[command(flatten)]
        waiting: Waiting,
        /// Say who may do it and what it does, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Leave a step out that only looks: a precondition, a verify, a watch.
    #[command(after_help = STEPS_HELP)]
    Skip {
        /// The deployment.
        id: DeploymentId,
        /// The step, as backend.watch; `lockstep status ID` lists them.
        step: StepId,
        /// Why; kept with it.
        #[arg(long, required_unless_present = "dry_run")]
        reason: Option<String>,
        /// Say who may do it and what it does, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Try a step again that failed, or that runs and seems to hang.
    #[command(after_help = STEPS_HELP)]
    Retry {
        /// The deployment.
        id: DeploymentId,
        /// The step, as backend.verify; `lockstep status ID` lists them.
        #[arg(required_unless_present = "service")]
        step: Option<StepId>,
        /// Every step of this service that failed or is unknown.
        #[arg(long, value_name = "NAME", conflicts_with = "step")]
        service: Option<ServiceName>,
        #[command(flatten)]
        waiting: Waiting,
        /// Say who may do it and what it does, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Keep the new version of a service as it is: its steps that only look are left out.
    #[command(after_help = STEPS_HELP)]
    Keep {
        /// The deployment.
        id: DeploymentId,
        /// The service.
        service: ServiceName,
        /// Why; kept with it.
        #[arg(long, required_unless_present = "dry_run")]
        reason: Option<String>,
        /// Say who may do it and what it does, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Say that a deployment may begin; without a number, list those that wait for that.
    #[command(after_help = APPROVE_HELP)]
    Approve {
        /// The deployment; without it, all that wait.
        id: Option<DeploymentId>,
        /// Why; kept with it.
        #[arg(long)]
        reason: Option<String>,
        /// Only if its plan has this digest; `lockstep status ID --json` gives it in `approval.plan`.
        #[arg(long, value_name = "DIGEST", requires = "id")]
        plan: Option<Digest>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Say that a deployment that waits for approval may not begin; it ends.
    Reject {
        /// The deployment.
        id: DeploymentId,
        /// Why; kept with it.
        #[arg(long)]
        reason: Option<String>,
    },
    /// End a deployment; what it changed is taken back.
    Cancel {
        /// The deployment.
        id: DeploymentId,
        /// Why; kept with it.
        #[arg(long)]
        reason: Option<String>,
        /// Services whose new version has all the traffic keep it; only what is in between goes back.
        #[arg(long)]
        keep: bool,
        #[command(flatten)]
        waiting: Waiting,
        /// Say who may do it and what it does, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Try again what could not be undone.
    UndoRetry {
        /// The deployment.
        id: DeploymentId,
        #[command(flatten)]
        waiting: Waiting,
        /// Say who may do it and what it does, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Say how a deployment ended that needs an operator.
    #[command(after_help = RESOLVE_HELP)]
    Resolve {
        /// The deployment.
        id: DeploymentId,
        /// How it ended.
        #[arg(long)]
        outcome: Outcome,
        /// Why; kept with it.
        #[arg(long, required_unless_present = "dry_run")]
        reason: Option<String>,
        /// Change nothing outside: a share of the traffic, a preview and a candidate stay as they are.
        #[arg(long)]
        leave_traffic: bool,
        /// Say who may do it and what it does, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Give up a deployment that cannot be read, so that its environment is free again (admin).
    #[command(after_help = ABANDON_HELP)]
    Abandon {
        /// The deployment.
        id: DeploymentId,
        /// Why; kept in the audit.
        #[arg(long)]
        reason: String,
        /// Do not ask for the name of its environment; `--env` says it.
        #[arg(long, requires = "environment")]
        yes: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Outcome {
    /// The new state is right and stays.
    Succeeded,
    /// It was taken back by hand.
    RolledBack,
    /// It is left as it is.
    Failed,
}

impl From<Outcome> for Resolution {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::RolledBack => Self::RolledBack,
            Outcome::Failed => Self::Failed,
        }
    }
}

impl SteerCommand {
    /// What is to be foreseen of it; none = it is to be done.
    fn foreseen(&self) -> Option<ForeseeDeployment> {
        let of = |id: DeploymentId, act: Act| nothing_named(id, act);
        Some(match self {
            Self::Pause { id, dry_run: true, .. } => of(*id, Act::Pause),
            Self::Resume { id, dry_run: true, .. } => of(*id, Act::Resume),
            Self::Skip { id, step, dry_run: true, .. } => {
                ForeseeDeployment { step: Some(step.clone()), ..of(*id, Act::Skip) }
            }
            Self::Retry { id, step, service, dry_run: true, .. } => ForeseeDeployment {
                step: step.clone(),
                services: service.iter().cloned().collect(),
                ..of(*id, Act::Retry)
            },
            Self::Keep { id, service, dry_run: true, .. } => {
                ForeseeDeployment { services: vec![service.clone()], ..of(*id, Act::Keep) }
            }
            Self::Cancel { id, keep, dry_run: true, .. } => {
                ForeseeDeployment { keep: *keep, ..of(*id, Act::Cancel) }
            }
            Self::UndoRetry { id, dry_run: true, .. } => of(*id, Act::UndoRetry),
            Self::Resolve { id, outcome, leave_traffic: leave, dry_run: true, .. } => {
                let (outcome, leave) = (Some((*outcome).into()), *leave);
                ForeseeDeployment { outcome, leave, ..of(*id, Act::Resolve) }
            }
            Self::Pause { dry_run: false, .. }
            | Self::Resume { dry_run: false, .. }
            | Self::Skip { dry_run: false, .. }
            | Self::Retry { dry_run: false, .. }
            | Self::Keep { dry_run: false, .. }
            | Self::Cancel { dry_run: false, .. }
            | Self::UndoRetry { dry_run: false, .. }
            | Self::Abandon { .. }
            | Self::Approve { .. }
            | Self::Reject { .. }
            | Self::Resolve { dry_run: false, .. } => return None,
        })
    }
}

pub(super) fn nothing_named(id: DeploymentId, act: Act) -> ForeseeDeployment {
    ForeseeDeployment { id, act, step: None, services: Vec::new(), keep: false, outcome: None, leave: false }
}

/// Does it, or says what it would do.
pub(super) async fn steer(global: &Global, client: &Client, command: SteerCommand) -> Result<u8, Failure> {
    if let Some(request) = command.foreseen() {
        return foresee(global, client, &request).await;
    }
    match command {
        SteerCommand::Pause { id, reason, .. } => operate::pause(global, client, id, reason).await,
        SteerCommand::Resume { id, waiting, .. } => operate::resume(global, client, id, waiting).await,
        SteerCommand::Skip { id, step, reason, .. } => {
            operate::skip(global, client, id, step, reason.unwrap_or_default()).await
        }
        SteerCommand::Retry { id, step, service, waiting, .. } => {
            operate::retry(global, client, id, (step, service), waiting).await
        }
        SteerCommand::Keep { id, service, reason, .. } => {
            operate::keep(global, client, id, service, reason.unwrap_or_default()).await
        }
        SteerCommand::Approve { id: None, .. } => approvals::list(global, client).await,
        SteerCommand::Approve { id: Some(id), reason, plan, waiting } => {
            approvals::approve(global, client, Approve { id, plan, reason, waiting }).await
        }
        SteerCommand::Reject { id, reason } => approvals::reject(global, client, id, reason).await,
        SteerCommand::Cancel { id, reason, keep, waiting, .. } => {
            operate::cancel(global, client, EndDeployment { id, reason, keep }, waiting).await
        }
        SteerCommand::UndoRetry { id, waiting, .. } => operate::undo_retry(global, client, id, waiting).await,
        SteerCommand::Abandon { id, reason, yes } => {
            let confirm = match &global.environment {
                Some(environment) if yes => environment.clone(),
                _ => operate::typed_environment(id)?,
            };
            operate::abandon(global, client, AbandonDeployment { id, reason, confirm }).await
        }
        SteerCommand::Resolve { id, outcome, reason, leave_traffic: leave, .. } => {
            let reason = reason.unwrap_or_default();
            let request = ResolveDeployment { id, outcome: outcome.into(), reason, leave };
            operate::resolve(global, client, request).await
        }
    }
}

/// Says who may do it and what it does.
pub(super) async fn foresee(
    global: &Global,
    client: &Client,
    request: &ForeseeDeployment,
) -> Result<u8, Failure> {
    let seen = client.call(DeploymentForesee, request).await?;
    if global.json {
        print::json(&seen)?;
        return Ok(exit::SUCCEEDED);
    }
    let may: Vec<&str> =
        ROLES.iter().filter(|role| role.allows(seen.permission)).copied().map(Role::word).collect();
    say!("deployment {} is {}. Nothing was changed; this would:", seen.id, seen.phase);
    for does in &seen.does {
        say!("  {does}");
    }
    say!("May be done by: {}.", may.join(", "));
    Ok(exit::SUCCEEDED)
}
