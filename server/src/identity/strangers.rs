//! Strangers that guess: passwords of many accounts from one address, of one account from many addresses, and
//! tokens and signatures at the doors for programs. Admins read of it in the audit, which nobody fills:
//! a line for each address or account and window, and so many in all. What is counted is written down, so that
//! a restart forgets nothing; how much that may be is bounded as well.

use super::{Identities, network};
use lockstep_engine::port::{StoreError, identity::Throttle, store::AuditEntry};
use lockstep_model::{Timestamp, UserName, deployment::Actor};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// Guesses are looked at together within this time; then all are forgotten.
const WINDOW_MS: u64 = 10 * 60 * 1_000;
/// So many accounts from one address, or addresses at one account, are no forgotten password.
const MANY: usize = 10;
/// What is remembered within a window; whoever comes after that is not counted.
const KEYS_MAX: usize = 10_000;
/// Lines in the audit within a window, whatever happens.
const LINES_MAX: u32 = 50;
/// Writes to the database within a window, whatever happens; what is counted beyond that is only remembered. Each
/// leaves one row at most, and rows of a window are removed when another begins.
const WRITES_MAX: u32 = 2_000;
const REFUSALS_WINDOW_MS: u64 = 60_000;
/// Refusals of an address within that time. More than tries of a person: addresses of CI are everybody's who
/// has a repository there, and somebody else's wrong signatures must not keep ours out too soon.
const REFUSALS_MAX: u32 = 120;
/// What keys of throttles begin with: `guess 10.0.0.1 anna` and `door hooks 10.0.0.1`.
const GUESS: &str = "guess";
const DOOR: &str = "door";

/// Doors for programs, where a stranger tries what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// `/oauth/token`.
    Token,
    /// `/hooks/…`.
    Hooks,
    /// Back from the identity provider.
    SignOn,
}

impl Door {
    const fn path(self) -> &'static str {
        match self {
            Self::Token => "/oauth/token",
            Self::Hooks => "/hooks",
            Self::SignOn => "/session/oidc/back",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Hooks => "hooks",
            Self::SignOn => "sign_on",
        }
    }
}

/// A network as people write it.
fn shown(whose: IpAddr) -> String {
    match whose {
        IpAddr::V6(ip) if !ip.is_loopback() => format!("{ip}/64"),
        ip => ip.to_string(),
    }
}

/// What was guessed within the window.
#[derive(Default)]
pub(super) struct Strangers(Mutex<Window>);

#[derive(Default)]
struct Window {
    since: Timestamp,
    accounts_of: BTreeMap<IpAddr, BTreeSet<String>>,
    addresses_of: BTreeMap<String, BTreeSet<IpAddr>>,
    refusals: BTreeMap<(Door, IpAddr), Refusals>,
    lines: u32,
    writes: u32,
}

struct Refusals {
    since: Timestamp,
    count: u32,
}

/// What follows from something that was counted.
#[derive(Debug, Default, PartialEq)]
struct Noted {
    /// Whether what was written down in the window before is to be removed.
    is_new_window: bool,
    /// What is written down, and under which key.
    kept: Option<(String, Throttle)>,
    /// What admins are told: of whom or what, and which.
    told: Vec<(String, String)>,
}

impl Window {
    /// Begins anew when its time has passed; whether it did. Refusals of the last minute stay: they close a door.
    fn at(&mut self, now: Timestamp) -> bool {
        let is_over = now < self.since || now.since_ms(self.since) >= WINDOW_MS;
        if is_over {
            let mut refusals = std::mem::take(&mut self.refusals);
            refusals.retain(|_, one| now.since_ms(one.since) < REFUSALS_WINDOW_MS && now >= one.since);
            *self = Self { since: now, refusals, ..Self::default() };
        }
        is_over
    }

    fn line(&mut self, target: String, said: String) -> Option<(String, String)> {
        self.lines += 1;
        (self.lines <= LINES_MAX).then_some((target, said))
    }

    fn kept(&mut self, key: String, failures: u32, until: Timestamp) -> Option<(String, Throttle)> {
        self.writes = self.writes.saturating_add(1);
        (self.writes <= WRITES_MAX).then_some((key, Throttle { failures, blocked_until: until }))
    }

    /// Adds a try; whether it was the one that makes many of an address's accounts, or of an account's addresses.
    /// None = it is known, or there is no room.
    fn add(&mut self, whose: IpAddr, account: &str) -> Option<(bool, bool)> {
        let (mut is_new, mut are_many) = (false, (false, false));
        if self.accounts_of.len() < KEYS_MAX || self.accounts_of.contains_key(&whose) {
            let accounts = self.accounts_of.entry(whose).or_default();
            // Beyond that, it has been told.
            if accounts.len() < MANY && accounts.insert(account.to_owned()) {
                (is_new, are_many.0) = (true, accounts.len() == MANY);
            }
        }
        if self.addresses_of.len() < KEYS_MAX || self.addresses_of.contains_key(account) {
            let addresses = self.addresses_of.entry(account.to_owned()).or_default();
            if addresses.len() < MANY && addresses.insert(whose) {
                (is_new, are_many.1) = (true, addresses.len() == MANY);
            }
        }
        is_new.then_some(are_many)
    }
}

impl Strangers {
    /// What was written down before the server was started.
    fn remember(&self, rows: Vec<(String, Throttle)>, now: Timestamp) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = |kept: Throttle, lasts_ms: u64| {
            let since = Timestamp(kept.blocked_until.0.saturating_sub_unsigned(lasts_ms));
            // A clock that went back knows nothing of then.
            (since <= now && now < kept.blocked_until).then_some(since)
        };
        for (key, kept) in rows {
            let mut words = key.split(' ');
            let (Some(kind), Some(first), Some(second)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            window.writes = window.writes.saturating_add(1);
            if kind == GUESS
                && let (Some(since), Ok(whose)) = (begun(kept, WINDOW_MS), first.parse())
            {
                window.since = window.since.max(since);
                window.add(whose, second);
            } else if kind == DOOR
                && let (Some(since), Ok(whose)) = (begun(kept, REFUSALS_WINDOW_MS), second.parse())
                && let Some(door) =
                    [Door::Token, Door::Hooks, Door::SignOn].into_iter().find(|door| door.word() == first)
            {
                window.refusals.insert((door, whose), Refusals { since, count: kept.failures });
            }
        }
    }

    /// Counts a try that let nobody in. Of each address and each account is told once in a window.
    fn guessed(&self, whose: IpAddr, account: &str, now: Timestamp) -> Noted {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut noted = Noted { is_new_window: window.at(now), ..Noted::default() };
        let Some((of_accounts, of_addresses)) = window.add(whose, account) else { return noted };
        let until = window.since.plus_ms(WINDOW_MS);
        noted.kept = window.kept(format!("{GUESS} {whose} {account}"), 1, until);
        let minutes = WINDOW_MS / 60_000;
        if of_accounts {
            let said = format!("tries to sign in to {MANY} accounts within {minutes} minutes");
            noted.told.extend(window.line(format!("address {}", shown(whose)), said));
        }
        if of_addresses {
            let said = format!("tries to sign in from {MANY} addresses within {minutes} minutes");
            noted.told.extend(window.line(format!("user {account}"), said));
        }
        noted
    }

    /// How long a door is closed to an address; 0 = it is open.
    fn closed_ms(&self, door: Door, whose: IpAddr, now: Timestamp) -> u64 {
        let window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match window.refusals.get(&(door, whose)) {
            Some(one) if one.count >= REFUSALS_MAX && now >= one.since => {
                REFUSALS_WINDOW_MS.saturating_sub(now.since_ms(one.since))
            }
            Some(_) | None => 0,
        }
    }

    /// Counts a refusal at a door. Told are the first within a minute, and the last.
    fn refused(&self, door: Door, whose: IpAddr, why: &str, now: Timestamp) -> Noted {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut noted = Noted { is_new_window: window.at(now), ..Noted::default() };
        if window.refusals.len() >= KEYS_MAX && !window.refusals.contains_key(&(door, whose)) {
            return noted;
        }
        let one = window.refusals.entry((door, whose)).or_insert(Refusals { since: now, count: 0 });
        if now < one.since || now.since_ms(one.since) >= REFUSALS_WINDOW_MS {
            *one = Refusals { since: now, count: 0 };
        }
        one.count = one.count.saturating_add(1);
        let (count, until) = (one.count, one.since.plus_ms(REFUSALS_WINDOW_MS));
        if count <= REFUSALS_MAX {
            noted.kept = window.kept(format!("{DOOR} {} {whose}", door.word()), count, until);
        }
        let said = match count {
            1 => why.to_owned(),
            REFUSALS_MAX => {
                format!(
                    "{REFUSALS_MAX} refusals within a minute: closed to it until the minute is over; last: {why}"
                )
            }
            _ => return noted,
        };
        noted.told.extend(window.line(format!("address {}", shown(whose)), said));
        noted
    }
}

impl Identities {
    /// Takes up what was counted before the server was started.
    pub(super) async fn strangers_remember(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        for kind in [GUESS, DOOR] {
            let rows = self.store.throttle_list(&format!("{kind} "), now).await?;
            self.strangers.remember(rows, now);
        }
        Ok(())
    }

    /// Notes a try that let nobody in, and tells when somebody tries many.
    pub(super) async fn guessed(&self, address: Option<IpAddr>, account: Option<&UserName>) {
        let Some(address) = address else { return };
        // What can be nobody's name is one account more.
        let account = account.map_or_else(|| "-".to_owned(), |name| name.as_str().to_ascii_lowercase());
        let mut noted = self.strangers.guessed(network(address), &account, self.clock.now());
        for (_, said) in &mut noted.told {
            said.insert_str(0, "spraying suspected: ");
        }
        self.noted("/session/sign_in", noted, address).await;
    }

    /// How long a door for programs is closed to an address that was refused there too often; 0 = it is open.
    pub fn door_closed_ms(&self, door: Door, address: Option<IpAddr>) -> u64 {
        address.map_or(0, |address| self.strangers.closed_ms(door, network(address), self.clock.now()))
    }

    /// Notes that somebody was refused at a door for programs.
    pub async fn door_refused(&self, door: Door, address: Option<IpAddr>, why: &str) {
        let Some(address) = address else { return };
        let noted = self.strangers.refused(door, network(address), why, self.clock.now());
        self.noted(door.path(), noted, address).await;
    }

    async fn noted(&self, action: &str, noted: Noted, address: IpAddr) {
        if let Err(error) = self.write_down(&noted).await {
            tracing::error!("what a stranger did was not written down: {error}");
        }
        for (target, said) in noted.told {
            self.tell_of_stranger(action, target, said, address).await;
        }
    }

    async fn write_down(&self, noted: &Noted) -> Result<(), StoreError> {
        if noted.is_new_window {
            for kind in [GUESS, DOOR] {
                self.store.throttle_forget(&format!("{kind} "), self.clock.now()).await?;
            }
        }
        if let Some((key, kept)) = &noted.kept {
            self.store.throttle_set(key, Some(*kept)).await?;
        }
        Ok(())
    }

    async fn tell_of_stranger(&self, action: &str, target: String, said: String, address: IpAddr) {
        tracing::warn!("{action}: {target}: {said}");
        let system = "system".parse().expect("a plain word is a name");
        let actor = Actor { user: system, via: "system".to_owned(), address: Some(address.to_string()) };
        let audit = AuditEntry { reason: Some(said), allowed: false, ..self.entry(&actor, action, &target) };
        if let Err(error) = self.store.stranger_note(audit).await {
            tracing::error!("what a stranger did was not recorded: {error}");
        }
    }
}

#[cfg(test)]
mod tests;
