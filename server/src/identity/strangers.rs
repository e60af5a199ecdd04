//! Strangers that guess: passwords of many accounts from one address, of one account from many addresses, and
//! tokens and signatures at the doors for programs. Admins read of it in the audit, which nobody fills:
//! a line for each address or account and window, and so many in all.

use super::Identities;
use lockstep_engine::port::store::AuditEntry;
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
const REFUSALS_WINDOW_MS: u64 = 60_000;
/// Refusals of an address within that time. More than tries of a person: addresses of CI are everybody's who
/// has a repository there, and somebody else's wrong signatures must not keep ours out too soon.
const REFUSALS_MAX: u32 = 120;

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
}

struct Refusals {
    since: Timestamp,
    count: u32,
}

impl Window {
    /// Begins anew when its time has passed. Refusals of the last minute stay: they close a door.
    fn at(&mut self, now: Timestamp) {
        if now < self.since || now.since_ms(self.since) >= WINDOW_MS {
            let mut refusals = std::mem::take(&mut self.refusals);
            refusals.retain(|_, one| now.since_ms(one.since) < REFUSALS_WINDOW_MS && now >= one.since);
            *self = Self { since: now, refusals, ..Self::default() };
        }
    }

    fn line(&mut self, target: String, said: String) -> Option<(String, String)> {
        self.lines += 1;
        (self.lines <= LINES_MAX).then_some((target, said))
    }
}

impl Strangers {
    /// Counts a try that let nobody in; what is to be told of it. Of each address and each account, once in a window.
    fn guessed(&self, address: IpAddr, account: &str, now: Timestamp) -> Vec<(String, String)> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.at(now);
        let minutes = WINDOW_MS / 60_000;
        let mut told = Vec::new();
        if window.accounts_of.len() < KEYS_MAX || window.accounts_of.contains_key(&address) {
            let accounts = window.accounts_of.entry(address).or_default();
            // Beyond that, it has been told.
            if accounts.len() < MANY && accounts.insert(account.to_owned()) && accounts.len() == MANY {
                let said = format!("tries to sign in to {MANY} accounts within {minutes} minutes");
                told.extend(window.line(format!("address {address}"), said));
            }
        }
        if window.addresses_of.len() < KEYS_MAX || window.addresses_of.contains_key(account) {
            let addresses = window.addresses_of.entry(account.to_owned()).or_default();
            if addresses.len() < MANY && addresses.insert(address) && addresses.len() == MANY {
                let said = format!("tries to sign in from {MANY} addresses within {minutes} minutes");
                told.extend(window.line(format!("user {account}"), said));
            }
        }
        told
    }

    /// How long a door is closed to an address; 0 = it is open.
    fn closed_ms(&self, door: Door, address: IpAddr, now: Timestamp) -> u64 {
        let window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match window.refusals.get(&(door, address)) {
            Some(one) if one.count >= REFUSALS_MAX && now >= one.since => {
                REFUSALS_WINDOW_MS.saturating_sub(now.since_ms(one.since))
            }
            Some(_) | None => 0,
        }
    }

    /// Counts a refusal at a door; what is to be told of it: the first within a minute, and the last.
    fn refused(&self, door: Door, address: IpAddr, why: &str, now: Timestamp) -> Option<(String, String)> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.at(now);
        if window.refusals.len() >= KEYS_MAX && !window.refusals.contains_key(&(door, address)) {
            return None;
        }
        let one = window.refusals.entry((door, address)).or_insert(Refusals { since: now, count: 0 });
        if now < one.since || now.since_ms(one.since) >= REFUSALS_WINDOW_MS {
            *one = Refusals { since: now, count: 0 };
        }
        one.count = one.count.saturating_add(1);
        let said = match one.count {
            1 => why.to_owned(),
            REFUSALS_MAX => {
                format!(
                    "{REFUSALS_MAX} refusals within a minute: closed to it until the minute is over; last: {why}"
                )
            }
            _ => return None,
        };
        window.line(format!("address {address}"), said)
    }
}

impl Identities {
    /// Notes a try that let nobody in, and tells when somebody tries many.
    pub(super) async fn guessed(&self, address: Option<IpAddr>, account: Option<&UserName>) {
        let Some(address) = address else { return };
        // What can be nobody's name is one account more.
        let account = account.map_or_else(|| "-".to_owned(), |name| name.as_str().to_ascii_lowercase());
        for (target, said) in self.strangers.guessed(address, &account, self.clock.now()) {
            self.tell_of_stranger("/session/sign_in", target, format!("spraying suspected: {said}"), address)
                .await;
        }
    }

    /// How long a door for programs is closed to an address that was refused there too often; 0 = it is open.
    pub fn door_closed_ms(&self, door: Door, address: Option<IpAddr>) -> u64 {
        address.map_or(0, |address| self.strangers.closed_ms(door, address, self.clock.now()))
    }

    /// Notes that somebody was refused at a door for programs.
    pub async fn door_refused(&self, door: Door, address: Option<IpAddr>, why: &str) {
        let Some(address) = address else { return };
        if let Some((target, said)) = self.strangers.refused(door, address, why, self.clock.now()) {
            self.tell_of_stranger(door.path(), target, said, address).await;
        }
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
mod tests {
    use super::*;

    fn address(last: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + last).to_be_bytes())
    }

    #[test]
    fn a3_many_accounts_from_an_address_and_many_addresses_at_an_account_are_told_once_in_a_window() {
        let strangers = Strangers::default();
        let mut told = Vec::new();
        for number in 0..30 {
            told.extend(strangers.guessed(address(1), &format!("user{number}"), Timestamp(1)));
            told.extend(strangers.guessed(address(100 + number), "anna", Timestamp(1)));
        }
        let targets: Vec<&str> = told.iter().map(|(target, _)| target.as_str()).collect();
        assert_eq!(targets, ["address 10.0.0.1", "user anna"]);
        assert!(told[0].1.contains("10 accounts"), "{told:?}");
        // Somebody who has forgotten theirs is nobody to tell of.
        for _ in 0..100 {
            assert_eq!(strangers.guessed(address(2), "bert", Timestamp(2)), []);
        }
        let later = Timestamp(1).plus_ms(WINDOW_MS);
        let again: Vec<_> =
            (0..10).flat_map(|number| strangers.guessed(address(1), &format!("u{number}"), later)).collect();
        assert_eq!(again.len(), 1);
    }

    #[test]
    fn the_audit_is_not_filled_by_strangers() {
        let strangers = Strangers::default();
        let lines = (0..5_000)
            .filter_map(|number| strangers.refused(Door::Hooks, address(number), "no", Timestamp(5)))
            .count();
        assert_eq!(lines, usize::try_from(LINES_MAX).expect("fits"));
    }

    #[test]
    fn a_door_closes_to_who_is_refused_too_often_and_to_nobody_else() {
        let strangers = Strangers::default();
        let told: Vec<_> = (0..REFUSALS_MAX)
            .filter_map(|_| {
                assert_eq!(strangers.closed_ms(Door::Token, address(1), Timestamp(5)), 0);
                strangers.refused(Door::Token, address(1), "no", Timestamp(5))
            })
            .collect();
        assert_eq!(told.len(), 2, "the first and the last: {told:?}");
        assert_eq!(strangers.closed_ms(Door::Token, address(1), Timestamp(1_005)), 59_000);
        assert_eq!(strangers.closed_ms(Door::Token, address(2), Timestamp(1_005)), 0);
        assert_eq!(strangers.closed_ms(Door::Hooks, address(1), Timestamp(1_005)), 0);
        assert_eq!(strangers.closed_ms(Door::Token, address(1), Timestamp(60_005)), 0);
        assert!(
            strangers.refused(Door::Token, address(1), "no", Timestamp(60_005)).is_some(),
            "another minute"
        );
        assert_eq!(strangers.closed_ms(Door::Token, address(1), Timestamp(60_006)), 0);
    }
}
