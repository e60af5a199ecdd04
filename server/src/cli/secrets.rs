//! Secrets: set from standard input or a prompt, never from an argument, which every user of the machine
//! could read; listed without values.

use super::{arguments::Global, client::Client, error::Failure, exit, hidden::Hidden, print};
use crate::{out::say, progress::counted};
use clap::Subcommand;
use lockstep_model::{
    SecretName,
    api::{Empty, SecretList, SecretRekey, SecretRemove, SecretSet},
    secrets::{ListSecrets, RemoveSecret, SECRET_BYTES_MAX, SecretText, SetSecret},
};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use zeroize::Zeroizing;

const HELP: &str = "\
Examples:
  lockstep secret set db-url --env production              asks for the value, without showing it
  pass show shop/db | lockstep secret set db-url --env production
  lockstep secret set tls-key --env production < key.pem
  lockstep secret list --env production                    names, versions, who and when; never values
  lockstep secret remove db-url --env production
  lockstep secret rekey                                    a new key; every secret is sealed anew

A manifest says which variable of a service gets which secret:
  target: {type: command, deploy: [./deploy.sh], secrets: {DATABASE_URL: {secret: db-url}}}";

/// What is done with secrets.
#[derive(Debug, Subcommand)]
#[command(after_help = HELP)]
pub(super) enum SecretCommand {
    /// Set a secret; the value comes from standard input, or is asked for. One newline at its end does not
    /// count. What is deployed gets it at the next deployment.
    Set {
        /// Its name.
        name: SecretName,
    },
    /// List the secrets that are set: names, versions, who set them and when.
    List,
    /// Remove a secret; what runs keeps the value that it was started with.
    Remove {
        /// Its name.
        name: SecretName,
    },
    /// Make a new key and seal every secret anew with it.
    Rekey,
}

pub(super) async fn secret(global: &Global, client: &Client, command: SecretCommand) -> Result<u8, Failure> {
    match command {
        SecretCommand::Set { name } => set(global, client, name).await,
        SecretCommand::List => list(global, client).await,
        SecretCommand::Remove { name } => remove(global, client, name).await,
        SecretCommand::Rekey => rekey(global, client).await,
    }
}

async fn set(global: &Global, client: &Client, name: SecretName) -> Result<u8, Failure> {
    let value = value(&name)?;
    let (project, environment) = (global.project.clone(), global.environment.clone());
    let view = client.call(SecretSet, &SetSecret { project, environment, name, value }).await?;
    if global.json {
        print::json(&view)?;
        return Ok(exit::SUCCEEDED);
    }
    say!("{} is set in {}/{}, version {}", view.name, view.project, view.environment, view.version);
    Ok(exit::SUCCEEDED)
}

async fn remove(global: &Global, client: &Client, name: SecretName) -> Result<u8, Failure> {
    let (project, environment) = (global.project.clone(), global.environment.clone());
    let view = client.call(SecretRemove, &RemoveSecret { project, environment, name }).await?;
    if global.json {
        print::json(&view)?;
        return Ok(exit::SUCCEEDED);
    }
    say!("{} is removed from {}/{}", view.name, view.project, view.environment);
    Ok(exit::SUCCEEDED)
}

async fn list(global: &Global, client: &Client) -> Result<u8, Failure> {
    let (project, environment) = (global.project.clone(), global.environment.clone());
    let page = client.call(SecretList, &ListSecrets { project, environment }).await?;
    if global.json {
        print::json(&page)?;
        return Ok(exit::SUCCEEDED);
    }
    if page.secrets.is_empty() {
        say!("No secret is set; `lockstep secret --help` says how one is.");
        return Ok(exit::SUCCEEDED);
    }
    let rows: Vec<[String; 6]> = page
        .secrets
        .iter()
        .map(|one| {
            let [project, environment, name] =
                [one.project.to_string(), one.environment.to_string(), one.name.to_string()];
            [
                project,
                environment,
                name,
                one.version.to_string(),
                one.set_by.to_string(),
                print::ago(one.set_at),
            ]
        })
        .collect();
    print::table(["PROJECT", "ENVIRONMENT", "NAME", "VERSION", "SET BY", "SET"], &rows);
    Ok(exit::SUCCEEDED)
}

async fn rekey(global: &Global, client: &Client) -> Result<u8, Failure> {
    let report = client.call(SecretRekey, &Empty {}).await?;
    if global.json {
        print::json(&report)?;
        return Ok(exit::SUCCEEDED);
    }
    say!(
        "sealed {} with the new key {}; the old one opens only copies of the database from before",
        counted(report.secrets, "secret"),
        report.key
    );
    Ok(exit::SUCCEEDED)
}

fn value(name: &SecretName) -> Result<SecretText, Failure> {
    let failed = |error: io::Error| Failure::local(format!("the value cannot be read: {error}"));
    let stdin = io::stdin();
    let mut text = Zeroizing::new(String::new());
    if stdin.is_terminal() {
        let _ = write!(io::stderr(), "Value of {name} (not shown): ");
        let _hidden = Hidden::begin();
        stdin.lock().read_line(&mut text).map_err(failed)?;
    } else {
        let most = u64::try_from(SECRET_BYTES_MAX + 3).unwrap_or(u64::MAX);
        stdin.lock().take(most).read_to_string(&mut text).map_err(failed)?;
    }
    let value = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    if value.is_empty() {
        return Err(Failure::refused("the value is empty; give it on standard input, or type it when asked"));
    }
    Ok(SecretText::from(value.to_owned()))
}
