//! Tries that let nobody in. Each is a line of the log; of each account they make one line of the audit in ten
//! minutes, so that strangers do not fill it.

use super::{Identities, SignInError};
use lockstep_engine::port::store::AuditEntry;
use lockstep_model::{Timestamp, UserName, deployment::Actor};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Tries within this time are one line.
const WINDOW_MS: u64 = 10 * 60 * 1_000;
/// Accounts with a line of their own in a window; those beyond share one.
const ACCOUNTS_MAX: usize = 50;
/// Addresses of an account that are told apart.
const ADDRESSES_MAX: usize = 1_000;
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Where a password was given, and by whom it is said to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The endpoint.
    pub(super) action: &'static str,
    /// None = nobody can be called so.
    pub(super) name: Option<&'a UserName>,
    pub(super) address: Option<IpAddr>,
}

/// What has failed since the window began.
#[derive(Default)]
pub(super) struct Failures(Mutex<Window>);

#[derive(Default)]
struct Window {
    since: Timestamp,
    accounts: BTreeMap<String, Tally>,
}

#[derive(Default)]
struct Tally {
    tries: u64,
    addresses: BTreeSet<IpAddr>,
}

impl Failures {
    /// Counts a try for an account; none = for a name that nobody has. What is to be told of the window before.
    fn count(&self, account: Option<&str>, address: Option<IpAddr>, now: Timestamp) -> Vec<(String, String)> {
        let told = self.over(now, false);
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.accounts.is_empty() {
            window.since = now;
        }
        let own = account.map(|account| format!("user {account}"));
        let own = own.unwrap_or_else(|| "names that nobody has".to_owned());
        let has_room = window.accounts.len() < ACCOUNTS_MAX || window.accounts.contains_key(&own);
        let key = if has_room { own } else { "further accounts".to_owned() };
        let tally = window.accounts.entry(key).or_default();
        tally.tries += 1;
        if tally.addresses.len() < ADDRESSES_MAX {
            tally.addresses.extend(address);
        }
        told
    }

    /// What is to be told of a window that is over; each window once. `is_end`: of any.
    fn over(&self, now: Timestamp, is_end: bool) -> Vec<(String, String)> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = now < window.since || now.since_ms(window.since) >= WINDOW_MS;
        if !(is_over || is_end) {
            return Vec::new();
        }
        let Window { since, accounts } = std::mem::take(&mut *window);
        let line = |(target, tally): (String, Tally)| {
            let (tries, many) = (tally.tries, tally.addresses.len());
            let least = if many < ADDRESSES_MAX { "" } else { "at least " };
            let said = format!(
                "{tries} failed {} for {target} from {least}{many} {} since {}",
                if tries == 1 { "try to sign in" } else { "tries to sign in" },
                if many == 1 { "address" } else { "addresses" },
                app::time::iso(since),
            );
            (target, said)
        };
        accounts.into_iter().map(line).collect()
    }
}

impl Identities {
    /// Notes that somebody was not let in.
    pub(super) async fn failed(&self, asked: Asked<'_>, why: &SignInError) -> Result<(), SignInError> {
        // What can be nobody's name may be a password in the wrong field: it is not repeated.
        let name = asked.name.map_or("-", UserName::as_str);
        let address = asked.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        tracing::warn!(
            action = asked.action,
            user.name = name,
            client.address = address,
            "no sign-in: {why}"
        );
        let account = match asked.name {
            Some(name) => self.store.user_fetch(name).await?.map(|row| row.view.name),
            None => None,
        };
        let account = account.as_ref().map(UserName::as_str);
        let told = self.failures.count(account, asked.address, self.clock.now());
        self.note_failures(told).await;
        Ok(())
    }

    /// Writes down what failed, each time its window is over.
    pub async fn keep_failures(self: Arc<Self>) {
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            self.tell_failures(false).await;
        }
    }

    /// Writes down what failed in a window that is over; at the server's end, in any.
    pub async fn tell_failures(&self, is_end: bool) {
        let told = self.failures.over(self.clock.now(), is_end);
        self.note_failures(told).await;
    }

    async fn note_failures(&self, told: Vec<(String, String)>) {
        let system: UserName = "system".parse().expect("a plain word is a name");
        let actor = Actor { user: system, via: "system".to_owned(), address: None };
        for (target, said) in told {
            let entry = self.entry(&actor, "/session/sign_in", &target);
            let audit = AuditEntry { reason: Some(said), allowed: false, ..entry };
            if let Err(error) = self.store.stranger_note(audit).await {
                tracing::error!("failed tries to sign in were not recorded: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u32) -> Option<IpAddr> {
        Some(IpAddr::from((0x0a00_0000 + last).to_be_bytes()))
    }

    #[test]
    fn failed_tries_of_an_account_are_one_line_of_a_window() {
        let failures = Failures::default();
        let begun = Timestamp(1_000_000_000_000);
        for number in 0..7 {
            let none = failures.count(Some("anna"), address(number % 3), begun.plus_ms(u64::from(number)));
            assert_eq!(none, []);
        }
        failures.count(None, address(9), begun.plus_ms(5));
        assert_eq!(failures.over(begun.plus_ms(WINDOW_MS - 1), false), []);
        let told = failures.over(begun.plus_ms(WINDOW_MS), false);
        let said: Vec<&str> = told.iter().map(|(_, said)| said.as_str()).collect();
        let since = app::time::iso(begun);
        assert_eq!(
            said,
            [
                format!("1 failed try to sign in for names that nobody has from 1 address since {since}"),
                format!("7 failed tries to sign in for user anna from 3 addresses since {since}"),
            ]
        );
        assert_eq!(failures.over(begun.plus_ms(2 * WINDOW_MS), false), [], "told once");
    }

    #[test]
    fn the_audit_is_not_filled_by_who_tries_many_accounts_from_many_addresses() {
        let failures = Failures::default();
        for number in 0..5_000 {
            failures.count(Some(&format!("user{number}")), address(number), Timestamp(5));
            failures.count(None, address(number), Timestamp(5));
        }
        let told = failures.over(Timestamp(6), true);
        assert_eq!(told.len(), ACCOUNTS_MAX + 1);
        assert!(told.iter().any(|(_, said)| said.contains("for names that nobody has from at least 1000")));
    }
}
