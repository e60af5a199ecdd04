//! A job's identity token becomes a token of the server's. Nothing is stored; the token is printed and lasts
//! for minutes.

use super::{
    arguments::Global,
    client::{Client, encoded},
    error::Failure,
    exit, print,
};
use crate::out::say;
use clap::Args;
use lockstep_model::trust::TokenIssued;
use serde::Deserialize;
use std::{io::Read, path::PathBuf, time::Duration};

pub(super) const HELP: &str = "\
Examples:
  LOCKSTEP_TOKEN=$(lockstep token exchange)                 in a job of GitHub Actions
  lockstep token exchange --id-token-file token.jwt         elsewhere

An admin says once which job is trusted with what: lockstep trust add --help.";

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const KIND: &str = "urn:ietf:params:oauth:token-type:id_token";
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(super) struct ExchangeOptions {
    /// For whom the identity token is made out, as the rule says; without it, the server's address.
    #[arg(long, value_name = "TEXT")]
    audience: Option<String>,
    /// A file with the identity token; - reads standard input. Without it, GitHub is asked for one.
    #[arg(long, value_name = "FILE", conflicts_with = "audience")]
    id_token_file: Option<PathBuf>,
    /// Where GitHub gives a job its identity token.
    #[arg(long, env = "ACTIONS_ID_TOKEN_REQUEST_URL", hide = true)]
    request_url: Option<String>,
    /// With what it is asked for.
    #[arg(long, env = "ACTIONS_ID_TOKEN_REQUEST_TOKEN", hide = true, hide_env_values = true)]
    request_token: Option<String>,
}

pub(super) async fn exchange(
    global: &Global,
    client: &Client,
    options: ExchangeOptions,
) -> Result<u8, Failure> {
    let issued = issue(client, &options).await?;
    if global.json {
        print::json(&issued)?;
    } else {
        say!("{}", issued.access_token);
    }
    Ok(exit::SUCCEEDED)
}

/// Another token of a job of GitHub Actions, when it has an identity token to show; an empty audience is the
/// server's address.
pub(super) async fn again(client: &Client, audience: &str) -> Result<String, Failure> {
    let variable = |name: &str| std::env::var(name).ok();
    let options = ExchangeOptions {
        audience: Some(audience.to_owned()).filter(|audience| !audience.is_empty()),
        id_token_file: None,
        request_url: variable("ACTIONS_ID_TOKEN_REQUEST_URL"),
        request_token: variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
    };
    Ok(issue(client, &options).await?.access_token)
}

async fn issue(client: &Client, options: &ExchangeOptions) -> Result<TokenIssued, Failure> {
    let identity = match (&options.id_token_file, &options.request_url, &options.request_token) {
        (Some(file), ..) => read(file)?,
        (None, Some(url), Some(token)) => {
            let audience = options.audience.as_deref().unwrap_or(client.url());
            ask(url, token, audience).await?
        }
        (None, ..) => {
            return Err(Failure::refused(
                "this job has no identity token: on GitHub Actions give it 'permissions: {id-token: write}'; elsewhere name a file with --id-token-file",
            ));
        }
    };
    let fields = [("grant_type", GRANT), ("subject_token_type", KIND), ("subject_token", identity.trim())];
    client.form("/oauth/token", &fields).await
}

fn read(file: &PathBuf) -> Result<String, Failure> {
    let failed = |error| Failure::refused(format!("{} cannot be read: {error}", file.display()));
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(failed)
}

#[derive(Deserialize)]
struct Given {
    value: String,
}

/// Asks GitHub for the job's identity token.
async fn ask(url: &str, token: &str, audience: &str) -> Result<String, Failure> {
    let failed = |error: reqwest::Error| {
        Failure::unreachable(format!("GitHub gives this job no identity token: {}", error.without_url()))
    };
    let join = if url.contains('?') { '&' } else { '?' };
    let http = reqwest::Client::builder().timeout(ANSWER_LIMIT).build().map_err(failed)?;
    let request = http.get(format!("{url}{join}audience={}", encoded(audience))).bearer_auth(token);
    let response = request.send().await.map_err(failed)?.error_for_status().map_err(failed)?;
    let given: Given = response.json().await.map_err(failed)?;
    Ok(given.value)
}
