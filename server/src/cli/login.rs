//! Signing in from a terminal: a code here, a confirmation on a page, a token that is kept for its owner.

use super::{
    arguments::Global,
    client::{Client, Source},
    config::{self, Config},
    error::Failure,
    exit, hidden, print,
};
use crate::out::{complain, say};
use lockstep_model::{
    api::{Empty, RevokeToken, SessionPassword, SessionShow, TokenRevoke},
    session::ChangePassword,
    trust::DeviceStarted,
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Of what the server says, never less.
const ASKS_EVERY_MIN: Duration = Duration::from_secs(1);

pub(super) async fn login(global: &Global, url: Option<String>) -> Result<u8, Failure> {
    let mut named = global.clone();
    named.url = url.or(named.url);
    // The token that is there already is not shown to anybody.
    named.token = None;
    let client = Client::new(&named)?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let started: DeviceStarted = client.form("/oauth/device", &[("name", host.trim())]).await?;
    // To standard error: what is printed for programs is the outcome.
    complain!("Open {} in a browser where you are signed in,", started.verification_uri_complete);
    complain!("and confirm that it shows the code {}", started.user_code);
    let end = Instant::now() + Duration::from_secs(started.expires_in);
    let pause = Duration::from_secs(started.interval).max(ASKS_EVERY_MIN);
    let issued = loop {
        sleep(pause).await;
        match client.poll(&started.device_code).await {
            Ok(Ok(issued)) => break issued,
            Ok(Err(word)) if word == "authorization_pending" || word == "slow_down" => {}
            Ok(Err(word)) if word == "access_denied" => {
                return Err(Failure::refused("it was denied on the page; nothing was kept"));
            }
            Ok(Err(_)) => {
                return Err(Failure::waited_too_long("nobody confirmed the code in time; try again"));
            }
            Err(failure) if failure.is_passing() => {}
            Err(failure) => return Err(failure),
        }
        if Instant::now() > end {
            return Err(Failure::waited_too_long("nobody confirmed the code in time; try again"));
        }
    };
    let url = client.url().to_owned();
    let path = config::write(&Config { url: url.clone(), token: issued.access_token.clone() })?;
    named.url = Some(url);
    named.token = Some(issued.access_token);
    let session = Client::new(&named)?.call(SessionShow, &Empty {}).await?;
    if global.json {
        print::json(&session)?;
        return Ok(exit::SUCCEEDED);
    }
    say!("Signed in to {} as {}, {}", client.url(), session.user, session.rights);
    say!(
        "The token is kept in {} for {} days; `lockstep logout` ends it",
        path.display(),
        issued.expires_in / 86_400
    );
    Ok(exit::SUCCEEDED)
}

pub(super) async fn logout(global: &Global) -> Result<u8, Failure> {
    let Some(kept) = config::read()? else {
        say!("nobody is signed in here");
        return Ok(exit::SUCCEEDED);
    };
    let mut named = global.clone();
    named.url = Some(kept.url.clone());
    named.token = Some(kept.token.clone());
    let id = kept.token.split('_').nth(2).unwrap_or_default().to_owned();
    let revoked = Client::new(&named)?.call(TokenRevoke, &RevokeToken { id: id.clone() }).await;
    config::remove()?;
    if let Err(failure) = revoked {
        complain!("note: the token is forgotten here, and {} was not told: {}", kept.url, failure.message());
        complain!("      `lockstep token revoke {id}` ends it, if it has not ended yet");
        return Ok(failure.code());
    }
    say!("signed out of {}", kept.url);
    Ok(exit::SUCCEEDED)
}

pub(super) async fn password(global: &Global, client: &Client) -> Result<u8, Failure> {
    let session = client.call(SessionShow, &Empty {}).await?;
    let now = hidden::line(&format!("Password of {} at {}", session.user, client.url()))?;
    let new = hidden::line("New password")?;
    let again = hidden::line("The new password again")?;
    if now.is_empty() || new.is_empty() {
        return Err(Failure::refused("no password was given; nothing was changed"));
    }
    if *new != *again {
        return Err(Failure::refused("the new password was not typed the same twice; nothing was changed"));
    }
    let request = ChangePassword { password: now.as_str().to_owned(), new_password: new.as_str().to_owned() };
    let done = client.call(SessionPassword, &request).await?;
    if global.json {
        print::json(&done)?;
        return Ok(exit::SUCCEEDED);
    }
    say!("The password of {} is changed; sessions that ended: {}", session.user, done.ended);
    say!("Tokens go on, this one too: `lockstep token list` shows them");
    Ok(exit::SUCCEEDED)
}

pub(super) async fn whoami(global: &Global, client: &Client) -> Result<u8, Failure> {
    let session = client.call(SessionShow, &Empty {}).await?;
    if global.json {
        print::json(&session)?;
        return Ok(exit::SUCCEEDED);
    }
    let how = match client.source() {
        Source::Given => "by --token or LOCKSTEP_TOKEN",
        Source::DataFolder => "by the data folder of this machine's server",
        Source::Login => "by `lockstep login`",
        Source::Nothing => "by nothing",
    };
    say!("{} at {}: {} ({}, {how})", session.user, client.url(), session.rights, session.via);
    Ok(exit::SUCCEEDED)
}
