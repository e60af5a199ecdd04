//! `lockstep login`: a command shows a code, somebody who is signed in confirms it on a page, and the command
//! fetches a token of theirs (RFC 8628). Neither code is kept, and the token is made only when it is fetched.

use super::{Identities, Wanted, throttle::network, token::described};
use crate::secret;
use app::backend::Caller;
use lockstep_engine::port::{
    DeviceStore, StoreError,
    device::{Decision, DeviceRow},
};
use lockstep_model::{
    Timestamp,
    access::{Grant, Permission, Right, Role, Scope},
    deployment::Actor,
    view::TokenView,
};
use std::net::IpAddr;

/// How long somebody has to confirm.
pub const CONFIRM_MS: u64 = 10 * 60 * 1_000;
/// How long a token lasts that a sign-in gives.
pub const LASTS_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// No vowels, so that no words come about, and nothing that looks like something else: RFC 8628, 6.1.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LETTERS_IN_CODE: usize = 8;
const NAME_CHARS_MAX: usize = 40;

/// A sign-in that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// What the command asks with.
    pub device: String,
    /// What it shows.
    pub code: String,
}

/// What a command that asks is told.
#[derive(Debug, Clone)]
pub enum Polled {
    /// Nobody has decided yet.
    Waits,
    /// Somebody said no.
    Denied,
    /// Its time is over, or it has its token.
    Gone,
    /// Its token.
    Token(Box<TokenView>, String),
}

/// A code as it is kept: letters alone, whatever stands between them.
fn kept(code: &str) -> lockstep_model::Digest {
    let letters: String = code
        .chars()
        .filter(char::is_ascii_alphabetic)
        .take(LETTERS_IN_CODE + 1)
        .collect::<String>()
        .to_uppercase();
    secret::digest(&letters)
}

fn new_code() -> String {
    let mut code = String::with_capacity(LETTERS_IN_CODE + 1);
    while code.len() < LETTERS_IN_CODE + 1 {
        if code.len() == LETTERS_IN_CODE / 2 {
            code.push('-');
        }
        // Above this, some letters would come more often than others.
        let [byte] = secret::bytes::<1>();
        if byte < 240 {
            code.push(char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
        }
    }
    code
}

impl Identities {
    /// Notes that a command wants to sign in; none = too many do.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn device_begin(
        &self,
        devices: &dyn DeviceStore,
        name: &str,
        address: Option<IpAddr>,
    ) -> Result<Option<Waiting>, StoreError> {
        let now = self.clock.now();
        if let Some(address) = address
            && self.commands.try_from(network(address), now).1.is_err()
        {
            return Ok(None);
        }
        let waiting = Waiting { device: secret::random(), code: new_code() };
        let name = name.chars().filter(|one| !one.is_control()).take(NAME_CHARS_MAX).collect();
        let row = DeviceRow {
            device: secret::digest(&waiting.device),
            code: kept(&waiting.code),
            name,
            address: address.map(|address| address.to_string()).unwrap_or_default(),
            network: address.map(|address| network(address).to_string()).unwrap_or_default(),
            expires_at: now.plus_ms(CONFIRM_MS),
            decision: Decision::Waits,
        };
        Ok(devices.device_add(&row, now).await?.then_some(waiting))
    }

    /// What waits under a code and can be confirmed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn device_shown(
        &self,
        devices: &dyn DeviceStore,
        code: &str,
    ) -> Result<Option<DeviceRow>, StoreError> {
        let row = devices.device_by_code(&kept(code)).await?;
        Ok(row.filter(|row| row.decision == Decision::Waits && self.clock.now() < row.expires_at))
    }

    /// Confirms or denies; false = nothing waits under this code any more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn device_decide(
        &self,
        devices: &dyn DeviceStore,
        caller: &Caller,
        code: &str,
        is_confirmed: bool,
    ) -> Result<bool, StoreError> {
        let Some(row) = self.device_shown(devices, code).await? else { return Ok(false) };
        let mut audit = self.entry(&caller.actor, "/session/device", &format!("user {}", caller.user));
        let word = if is_confirmed { "confirmed" } else { "denied" };
        audit.reason = Some(format!("{word} a sign-in on '{}', asked for from {}", row.name, row.address));
        devices.device_decide(&row.code, is_confirmed.then_some(&caller.user), audit).await
    }

    /// What a command that asks is told; its token, once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn device_poll(
        &self,
        devices: &dyn DeviceStore,
        device: &str,
        address: Option<IpAddr>,
    ) -> Result<Polled, StoreError> {
        let Some(row) = devices.device_fetch(&secret::digest(device)).await? else { return Ok(Polled::Gone) };
        let now: Timestamp = self.clock.now();
        let user = match row.decision {
            _ if now >= row.expires_at => return Ok(Polled::Gone),
            Decision::Waits => return Ok(Polled::Waits),
            Decision::Denied => return Ok(Polled::Denied),
            Decision::Confirmed(user) => user,
        };
        let Some(owner) = self.store.user_fetch(&user).await?.filter(|owner| owner.view.enabled) else {
            return Ok(Polled::Gone);
        };
        let everything = Scope::default();
        let role = owner.view.grants.strongest().unwrap_or(Role::Viewer);
        let bound = Grant { on: everything.clone(), role };
        let wanted =
            Wanted { name: format!("login on {}", row.name), bound, actions: Vec::new(), lasts_ms: LASTS_MS };
        let (view, text) = self.token_write(user.clone(), wanted);
        let address = address.map(|address| address.to_string());
        let actor = Actor { user: user.clone(), via: "login".to_owned(), address };
        let mut audit = self.entry(&actor, "/oauth/token", &format!("token {}", view.id));
        audit.reason = Some(described(&view));
        audit.right = Some(Right { user, token: None, permission: Permission::SignedIn, on: everything });
        match devices.device_take(&row.device, &view, &secret::digest(&text), audit).await {
            Ok(true) => Ok(Polled::Token(Box::new(view), text)),
            // Switched off between the page and now.
            Ok(false) | Err(StoreError::Withdrawn { .. }) => Ok(Polled::Gone),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_eight_letters_that_no_one_confuses_and_are_read_however_they_are_typed() {
        let code = new_code();
        assert_eq!((code.len(), code.as_bytes()[4]), (9, b'-'), "{code}");
        assert!(code.bytes().all(|byte| byte == b'-' || LETTERS.contains(&byte)), "{code}");
        assert_eq!(kept("BCDF-GHJK"), kept(" bcdf ghjk"));
        assert_ne!(kept("BCDF-GHJK"), kept("BCDF-GHJKL"));
        assert_ne!(new_code(), code);
    }
}
