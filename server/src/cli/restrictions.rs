//! Locks, holds and freezes.

use super::{
    arguments::{Global, duration},
    client::Client,
    error::Failure,
    exit, print,
};
use crate::{clock::SystemClock, out::say};
use clap::{Args, Subcommand};
use lockstep_engine::port::Clock as _;
use lockstep_model::{
    EnvironmentName, ServiceName, Version,
    api::{
        AddRestriction, EndRestriction, ListRestrictions, RestrictionAdd, RestrictionEnd, RestrictionList,
    },
    restriction::{Restriction, RestrictionId, RestrictionKind},
};
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(super) enum LockCommand {
    /// Let nobody but yourself deploy to the environment, or one of its services.
    Take {
        /// Only this service.
        #[arg(long)]
        service: Option<ServiceName>,
        /// How long, as 30m, 2h; at most 7 days.
        #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "1h")]
        time: Duration,
        /// Why; shown to everybody whom it holds up.
        #[arg(long)]
        reason: String,
    },
    /// List locks.
    List,
    /// End a lock.
    End {
        #[command(flatten)]
        end: End,
        /// End somebody else's lock: the name of its environment.
        #[arg(long = "override", value_name = "ENVIRONMENT")]
        confirm: Option<EnvironmentName>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum HoldCommand {
    /// Keep a version from being deployed.
    Add {
        /// The service.
        service: ServiceName,
        /// The version.
        version: Version,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// List held versions: those whose failure took a release back, and those that people hold.
    List,
    /// Let a held version be deployed again.
    Release {
        #[command(flatten)]
        end: End,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum FreezeCommand {
    /// Let nobody deploy to the environment for a time; what serves can still be taken back.
    Add {
        /// Only this service.
        #[arg(long)]
        service: Option<ServiceName>,
        /// Begin after this time, as 30m, 2d; without it, now.
        #[arg(long = "in", value_name = "TIME", value_parser = duration)]
        begin: Option<Duration>,
        /// How long, as 2h, 3d; at most 90 days.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Duration,
        /// Why; shown to everybody whom it holds up.
        #[arg(long)]
        reason: String,
    },
    /// List freezes, those to come as well.
    List,
    /// End a freeze.
    End {
        #[command(flatten)]
        end: End,
    },
}

#[derive(Debug, Args)]
#[group(id = "ended")]
pub(super) struct End {
    /// Its number, from the list.
    id: RestrictionId,
    /// Why; it is recorded.
    #[arg(long)]
    reason: String,
}

pub(super) async fn lock(global: &Global, client: &Client, command: LockCommand) -> Result<u8, Failure> {
    match command {
        LockCommand::Take { service, time, reason } => {
            let wanted = AddRestriction {
                service,
                duration_ms: ms(time),
                ..empty(global, RestrictionKind::Lock, reason)
            };
            add(global, client, wanted).await
        }
        LockCommand::List => list(global, client, RestrictionKind::Lock).await,
        LockCommand::End { end, confirm } => finish(global, client, end, confirm).await,
    }
}

pub(super) async fn hold(global: &Global, client: &Client, command: HoldCommand) -> Result<u8, Failure> {
    match command {
        HoldCommand::Add { service, version, reason } => {
            let kind = RestrictionKind::Hold;
            let (service, version) = (Some(service), Some(version));
            add(global, client, AddRestriction { service, version, ..empty(global, kind, reason) }).await
        }
        HoldCommand::List => list(global, client, RestrictionKind::Hold).await,
        HoldCommand::Release { end } => finish(global, client, end, None).await,
    }
}

pub(super) async fn freeze(global: &Global, client: &Client, command: FreezeCommand) -> Result<u8, Failure> {
    match command {
        FreezeCommand::Add { service, begin, time, reason } => {
            let since = begin.and_then(ms).map(|begin| SystemClock.now().plus_ms(begin));
            let kind = RestrictionKind::Freeze;
            let wanted =
                AddRestriction { service, since, duration_ms: ms(time), ..empty(global, kind, reason) };
            add(global, client, wanted).await
        }
        FreezeCommand::List => list(global, client, RestrictionKind::Freeze).await,
        FreezeCommand::End { end } => finish(global, client, end, None).await,
    }
}

fn ms(time: Duration) -> Option<u64> {
    u64::try_from(time.as_millis()).ok()
}

fn empty(global: &Global, kind: RestrictionKind, reason: String) -> AddRestriction {
    AddRestriction {
        kind,
        project: global.project.clone(),
        environment: global.environment.clone(),
        service: None,
        version: None,
        reason,
        since: None,
        duration_ms: None,
    }
}

async fn add(global: &Global, client: &Client, wanted: AddRestriction) -> Result<u8, Failure> {
    let made = client.call(RestrictionAdd, &wanted).await?;
    if global.json {
        print::json(&made)?;
        return Ok(exit::SUCCEEDED);
    }
    let id = print::or_dash(made.id.as_ref());
    let (kind, what) = (made.kind, made.what());
    match made.until {
        Some(until) => say!("{kind} {id} of {what} ends {}", print::ahead(until)),
        None => say!("{kind} {id} of {what} stays until somebody ends it"),
    }
    let end = if kind == RestrictionKind::Hold { "release" } else { "end" };
    say!("end it before: lockstep {kind} {end} {id} --reason …");
    Ok(exit::SUCCEEDED)
}

async fn finish(
    global: &Global,
    client: &Client,
    end: End,
    confirm: Option<EnvironmentName>,
) -> Result<u8, Failure> {
    let ended =
        client.call(RestrictionEnd, &EndRestriction { id: end.id, reason: end.reason, confirm }).await?;
    if global.json {
        print::json(&ended)?;
    } else {
        say!("the {} of {} has ended", ended.kind, ended.what());
    }
    Ok(exit::SUCCEEDED)
}

async fn list(global: &Global, client: &Client, kind: RestrictionKind) -> Result<u8, Failure> {
    let request =
        ListRestrictions { project: global.project.clone(), environment: global.environment.clone() };
    let mut page = client.call(RestrictionList, &request).await?;
    page.restrictions.retain(|one| one.kind == kind);
    if global.json {
        print::json(&page)?;
        return Ok(exit::SUCCEEDED);
    }
    if page.restrictions.is_empty() {
        let how = match kind {
            RestrictionKind::Lock => "`lockstep lock take --for 1h --reason …` makes one",
            RestrictionKind::Hold => "a version is held when its failure took a release back",
            RestrictionKind::Freeze => "`lockstep freeze add --for 2h --reason …` makes one",
        };
        say!("There is no {kind}: {how}.");
        return Ok(exit::SUCCEEDED);
    }
    let row = |one: &Restriction| {
        let who = one.deployment.map(|id| format!("deployment {id}"));
        let who = who.or_else(|| one.owner.as_ref().map(ToString::to_string));
        [
            one.id.map_or_else(|| "manifest".to_owned(), |id| id.to_string()),
            one.what(),
            who.unwrap_or_else(|| "the manifest".to_owned()),
            if one.since <= SystemClock.now() { print::ago(one.since) } else { print::ahead(one.since) },
            one.until.map_or_else(|| "when ended".to_owned(), print::ahead),
            one.reason.clone(),
        ]
    };
    let rows: Vec<[String; 6]> = page.restrictions.iter().map(row).collect();
    print::table(["NUMBER", "WHAT", "BY", "SINCE", "ENDS", "WHY"], &rows);
    Ok(exit::SUCCEEDED)
}
