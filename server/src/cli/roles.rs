//! Roles: given, taken away, and what follows from them, environment by environment.

use super::{arguments::Global, client::Client, error::Failure, exit, print};
use crate::out::say;
use clap::Args;
use lockstep_model::{
    UserName,
    access::{Grant, Role, Scope},
    api::{AskEffective, EffectiveView, GrantRole, RevokeRole, UserEffective, UserGrant, UserRevoke},
    view::UserView,
};

pub(super) const GRANT_HELP: &str = "\
Examples:
  lockstep user grant anna viewer                             sees everything
  lockstep user grant anna deployer --project shop --env staging
  lockstep user grant anna operator --project shop            in every environment of shop
  lockstep user grant anna operator --env staging             in every project's staging
  lockstep user grant anna deployer --project shop --env production --dry-run

viewer sees; operator also pauses, cancels and takes back; deployer also starts deployments; admin also
applies manifests and manages people, and is always admin of everything. Where several roles hold, the
strongest counts, so a role on a part never takes away what is given on the whole. It holds from the next
click on; nobody has to sign in again.";

pub(super) const SHOW_HELP: &str = "\
Examples:
  lockstep user show                     what you may yourself
  lockstep user show anna                what anna may, environment by environment
  lockstep user grant anna deployer --env production --dry-run      what she could do then";

/// A role to give.
#[derive(Debug, Args)]
pub(super) struct GrantOptions {
    /// To whom.
    name: UserName,
    /// Which: viewer, operator, deployer or admin.
    role: Role,
    /// Only show what would follow, environment by environment.
    #[arg(long)]
    dry_run: bool,
}

/// A role to take away.
#[derive(Debug, Args)]
pub(super) struct RevokeOptions {
    /// From whom.
    name: UserName,
    /// Only show what would follow, environment by environment.
    #[arg(long)]
    dry_run: bool,
}

/// Where, as --project and --env say.
fn scope(global: &Global) -> Scope {
    Scope { project: global.project.clone(), environment: global.environment.clone() }
}

pub(super) async fn grant(global: &Global, client: &Client, options: GrantOptions) -> Result<u8, Failure> {
    let GrantOptions { name, role, dry_run } = options;
    let Scope { project, environment } = scope(global);
    if dry_run {
        let grant = Grant { on: scope(global), role };
        let ask = AskEffective { name: Some(name), grant: Some(grant), revoke: None };
        return effective(global, client, ask).await;
    }
    let request = GrantRole { name, role, project, environment };
    said(global, &client.call(UserGrant, &request).await?)
}

pub(super) async fn revoke(global: &Global, client: &Client, options: RevokeOptions) -> Result<u8, Failure> {
    let RevokeOptions { name, dry_run } = options;
    let Scope { project, environment } = scope(global);
    if dry_run {
        let ask = AskEffective { name: Some(name), grant: None, revoke: Some(scope(global)) };
        return effective(global, client, ask).await;
    }
    let request = RevokeRole { name, project, environment };
    said(global, &client.call(UserRevoke, &request).await?)
}

pub(super) async fn show(global: &Global, client: &Client, name: Option<UserName>) -> Result<u8, Failure> {
    effective(global, client, AskEffective { name, grant: None, revoke: None }).await
}

fn said(global: &Global, user: &UserView) -> Result<u8, Failure> {
    if global.json {
        print::json(user)?;
        return Ok(exit::SUCCEEDED);
    }
    say!("{} is {}", user.name, user.grants);
    Ok(exit::SUCCEEDED)
}

async fn effective(global: &Global, client: &Client, ask: AskEffective) -> Result<u8, Failure> {
    let view = client.call(UserEffective, &ask).await?;
    if global.json {
        print::json(&view)?;
        return Ok(exit::SUCCEEDED);
    }
    let EffectiveView { user, enabled, grants, then, effective } = view;
    let off = if enabled { "" } else { "; they are switched off and may nothing at all" };
    say!("{user} is {grants}{off}");
    if let Some(then) = &then {
        say!("and would be {then}");
    }
    if effective.is_empty() {
        say!("There is no environment yet: `lockstep apply` brings the first.");
        return Ok(exit::SUCCEEDED);
    }
    let word = |role: Option<Role>| role.map_or("does not see it", Role::word).to_owned();
    let places = effective.iter().map(|one| [one.project.to_string(), one.environment.to_string()]);
    if then.is_none() {
        let rows: Vec<[String; 3]> = places
            .zip(&effective)
            .map(|([project, environment], one)| [project, environment, word(one.role)])
            .collect();
        print::table(["PROJECT", "ENVIRONMENT", "ROLE"], &rows);
        return Ok(exit::SUCCEEDED);
    }
    let rows: Vec<[String; 4]> = places
        .zip(&effective)
        .map(|([project, environment], one)| {
            let then = if one.role == one.then { "the same".to_owned() } else { word(one.then) };
            [project, environment, word(one.role), then]
        })
        .collect();
    print::table(["PROJECT", "ENVIRONMENT", "NOW", "THEN"], &rows);
    Ok(exit::SUCCEEDED)
}
