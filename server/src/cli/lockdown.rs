//! Closing the server to everybody but this machine, and opening it again.

use super::{arguments::Global, client::Client, error::Failure, exit, print};
use crate::out::say;
use lockstep_model::api::{BeginLockdown, Empty, LockdownBegin, LockdownEnd, LockdownState};

pub(super) async fn begin(global: &Global, client: &Client, reason: String) -> Result<u8, Failure> {
    let state = client.call(LockdownBegin, &BeginLockdown { reason }).await?;
    tell(global, &state)
}

pub(super) async fn end(global: &Global, client: &Client) -> Result<u8, Failure> {
    tell(global, &client.call(LockdownEnd, &Empty {}).await?)
}

fn tell(global: &Global, state: &LockdownState) -> Result<u8, Failure> {
    if global.json {
        print::json(state)?;
        return Ok(exit::SUCCEEDED);
    }
    match &state.lockdown {
        Some(_) => {
            say!(
                "The server is closed: all sessions have ended, pages and API answer commands on its own machine only."
            );
            say!(
                "Deployments, checks and rollbacks go on; status.json in the data folder says how they stand."
            );
            say!("Open it on its own machine: lockstep unlock");
        }
        None => say!("The server is open. Whoever was signed in signs in again."),
    }
    Ok(exit::SUCCEEDED)
}
