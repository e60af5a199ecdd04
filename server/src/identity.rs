//! Who somebody is: passwords, sessions of browsers, tokens of programs, one-time links. What they
//! may do is decided elsewhere, by their roles alone.

mod confirm;
mod device;
mod exchange;
mod failures;
mod links;
mod oidc;
mod own_password;
mod password;
mod session;
#[cfg(test)]
mod stage;
mod strangers;
mod throttle;
mod token;
mod tries;
mod way;

use crate::{lockdown::Lockdown, secret};
use app::backend::{ByRule, Caller, Credential};
use failures::Failures;
use lockstep_engine::port::{Clock, IdentityStore, StoreError, store::AuditEntry};
use lockstep_model::{
    Digest, UserName,
    access::{Grant, Rights, Role, Scope},
    deployment::Actor,
};
use password::Passwords;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};
use strangers::Strangers;
use throttle::{Addresses, Tidier};
use tokio::sync::watch;

pub use device::{CONFIRM_MS, LASTS_MS as LOGIN_LASTS_MS, Polled, Waiting};
pub use exchange::ExchangeError;
pub use links::LinkError;
pub use oidc::{Going, OidcError, Provided};
pub use own_password::{ChangeError, Changed, Within};
pub use session::{
    COOKIE, COOKIE_SECURE, KNOWN, KNOWN_SECURE, SignInError, Started, is_admin, is_over, known_device,
};
pub use strangers::Door;
pub use throttle::network;
pub use token::Wanted;

/// The admin that is there from the first start; commands on the server's own machine act as it.
pub const FIRST_ADMIN: &str = "admin";

/// A password that was given within this time counts as given now. Source: the project's design, section on
/// sessions (ASVS 7.5).
const GIVEN_NOW_MS: u64 = 600_000;

/// Who sends a request.
#[derive(Debug, Clone, Default)]
pub struct Sender {
    /// Who, and what they may do; none = anonymous.
    pub caller: Option<Caller>,
    /// Their session, when they came in by its cookie: then a request that changes something must
    /// come from our own pages.
    pub session: Option<Digest>,
    /// Whether their password was given a moment ago.
    pub is_confirmed: bool,
    /// The id under which their session goes on; the answer carries it.
    pub renewed: Option<String>,
}

/// What a request shows of its sender.
#[derive(Debug, Clone, Default)]
pub struct Shown<'a> {
    /// Values of `Authorization`.
    pub authorization: Vec<&'a [u8]>,
    /// Values of `Cookie`.
    pub cookies: Vec<&'a [u8]>,
    /// The peer's address.
    pub address: Option<IpAddr>,
    /// Whether a person did something, which keeps their session alive.
    pub is_person: bool,
    /// Whether it is a connection that is open since before: it goes on when its session is renewed.
    pub is_open: bool,
    /// Whether its answer can tell the browser a new id.
    pub may_renew: bool,
}

/// From where somebody signs in.
#[derive(Debug, Clone, Default)]
pub struct Whence {
    /// The peer's address.
    pub address: Option<IpAddr>,
    /// What their program calls itself.
    pub device: Option<String>,
    /// What their browser shows of having been signed in with before.
    pub known: Option<String>,
    /// The session that their browser shows, whosesoever it is: it ends when another one begins.
    pub present: Option<Digest>,
}

/// Knows people and programs.
pub struct Identities {
    store: Arc<dyn IdentityStore>,
    clock: Arc<dyn Clock>,
    passwords: Passwords,
    addresses: Addresses,
    /// Commands that want to sign in, by address.
    commands: Addresses,
    strangers: Strangers,
    failures: Failures,
    tidier: Tidier,
    /// Sign-ins that are on their way to the identity provider.
    ways: way::Ways,
    local: String,
    withdrawals: watch::Sender<()>,
    lockdown: Lockdown,
    /// How long a password counts as given a moment ago.
    confirm_ms: u64,
    /// Whether browsers come over HTTPS, which decides by which cookies they are known.
    is_https: bool,
    /// Ids of sessions that were renewed, and what they became.
    renewed: Mutex<BTreeMap<Digest, Digest>>,
}

impl Identities {
    /// Over a store; makes the first admin when there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(
        store: Arc<dyn IdentityStore>,
        clock: Arc<dyn Clock>,
        lockdown: Lockdown,
        confirm_ms: Option<u64>,
    ) -> Result<Self, StoreError> {
        let identities = Self {
            store,
            clock,
            passwords: Passwords::new(),
            addresses: Addresses::default(),
            commands: Addresses::default(),
            strangers: Strangers::default(),
            failures: Failures::default(),
            tidier: Tidier::default(),
            ways: way::Ways::new(lockstep_secrets::Key::random()),
            local: secret::random(),
            withdrawals: watch::Sender::new(()),
            lockdown,
            confirm_ms: confirm_ms.unwrap_or(GIVEN_NOW_MS),
            is_https: false,
            renewed: Mutex::default(),
        };
        let admin = first_admin();
        let actor = Actor { user: admin.clone(), via: "system".to_owned(), address: None };
        let audit = identities.entry(&actor, "system/first_start", &format!("user {admin}"));
        let grant = Grant { on: Scope::default(), role: Role::Admin };
        identities.strangers_remember().await?;
        identities.store.user_add(&admin, &grant, identities.clock.now(), audit).await?;
        Ok(identities)
    }

    /// For a server that browsers reach over HTTPS: only cookies that no other host can set are taken.
    #[must_use]
    pub fn over_https(self, is_https: bool) -> Self {
        Self { is_https, ..self }
    }

    /// What lets commands on this machine in, until the server ends.
    pub fn local_token(&self) -> &str {
        &self.local
    }

    /// Whether only commands on this machine are let in.
    pub fn lockdown(&self) -> &Lockdown {
        &self.lockdown
    }

    /// Tells whenever somebody may do less than before.
    pub fn withdrawals(&self) -> watch::Receiver<()> {
        self.withdrawals.subscribe()
    }

    /// Says that somebody may do less than before: whoever listens to us is looked up again.
    pub fn withdrawn(&self) {
        self.withdrawals.send_replace(());
    }

    /// The store behind it.
    pub fn store(&self) -> &dyn IdentityStore {
        &*self.store
    }

    /// Finds out who sends a request. Whatever is not valid makes nobody, never an error of ours.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sender(&self, shown: Shown<'_>) -> Result<Sender, StoreError> {
        match shown.authorization.as_slice() {
            [] if self.lockdown.now().is_some() => Ok(Sender::default()),
            [] => self.by_cookie(&shown).await,
            // A bearer token makes the cookie ignored, also one that is not valid.
            [only] => Ok(Sender { caller: self.by_bearer(only, shown.address).await?, ..Sender::default() }),
            _ => Ok(Sender::default()),
        }
    }

    async fn by_bearer(
        &self,
        authorization: &[u8],
        address: Option<IpAddr>,
    ) -> Result<Option<Caller>, StoreError> {
        let Some(bearer) =
            std::str::from_utf8(authorization).ok().and_then(|text| text.strip_prefix("Bearer "))
        else {
            return Ok(None);
        };
        if secret::same(bearer, &self.local) {
            return Ok(Some(caller(
                first_admin(),
                Rights::everywhere(Role::Admin),
                Credential::Local,
                "local".to_owned(),
                address,
            )));
        }
        if self.lockdown.now().is_some() {
            return Ok(None);
        }
        self.by_token(bearer, address).await
    }

    /// Somebody in whose name a rule of theirs acts, as far as it reaches; none = they may not sign in.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn on_behalf(
        &self,
        user: &UserName,
        bound: &Grant,
        via: String,
        address: Option<IpAddr>,
    ) -> Result<Option<Caller>, StoreError> {
        let row = self.store.user_fetch(user).await?.filter(|row| row.view.enabled);
        Ok(row.map(|row| {
            let rights = row.view.grants.within(bound);
            let rule = Some(ByRule { name: via.clone(), named: Vec::new() });
            Caller { rule, ..caller(row.view.name, rights, Credential::Rule, via, address) }
        }))
    }

    pub(crate) fn entry(&self, actor: &Actor, action: &str, target: &str) -> AuditEntry {
        AuditEntry {
            at: self.clock.now(),
            actor: actor.clone(),
            action: action.to_owned(),
            target: target.to_owned(),
            reason: None,
            allowed: true,
            right: None,
        }
    }
}

/// The first admin's name.
pub fn first_admin() -> UserName {
    FIRST_ADMIN.parse().expect("a plain word is a name")
}

fn caller(
    user: UserName,
    rights: Rights,
    credential: Credential,
    via: String,
    address: Option<IpAddr>,
) -> Caller {
    let address = address.map(|address| address.to_string());
    let actor = Actor { user: user.clone(), via, address };
    // Until it is known what they are about to do, they do nothing by any right.
    Caller {
        user,
        rights,
        credential,
        actions: Vec::new(),
        right: None,
        has_password: false,
        rule: None,
        actor,
    }
}
