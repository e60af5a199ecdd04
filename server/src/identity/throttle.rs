//! Throttles of tries to sign in: per account, kept over restarts, and per address.

use lockstep_engine::port::identity::{Throttle, Tidying};
use lockstep_model::Timestamp;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Failures that cost nothing.
const FREE: u32 = 5;
const FIRST_MS: u64 = 1_000;
const MOST_MS: u64 = 15 * 60 * 1_000;
/// So many failures in a row from browsers that nobody has signed in with close the account to all of
/// them (NIST SP 800-63B-4, 3.2.2): until somebody sets a new password, or a day has passed. Browsers that
/// are known are not among them: whoever guesses does not lock the owner out.
const HARD_STOP: u32 = 100;
const STOPPED_MS: u64 = 24 * 60 * 60 * 1_000;
/// A few failures are forgotten after a day without another, more of them after thirty. Names of nobody are
/// treated as those of somebody: nothing tells which they are.
const FEW_FOR_MS: u64 = 24 * 60 * 60 * 1_000;
const MANY_FOR_MS: u64 = 30 * FEW_FOR_MS;
/// What strangers can fill with names, at most.
const ACCOUNTS_MAX: u32 = 100_000;
/// How often it is looked at what has no effect any more.
const TIDY_EVERY_MS: u64 = 60_000;
const ADDRESS_TRIES_MAX: u32 = 20;
const ADDRESS_WINDOW_MS: u64 = 60_000;
/// Addresses that are remembered; beyond it those whose window has passed are forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// The network that an address stands for: an IPv6 address has as many neighbours as somebody wants.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) if !six.is_loopback() => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
        one @ (IpAddr::V4(_) | IpAddr::V6(_)) => one,
    }
}

/// The throttle after one more failure: from the sixth on, 1 s, doubling up to 15 minutes, and a day from
/// the hundredth on.
pub(super) fn failed(before: Throttle, now: Timestamp) -> Throttle {
    let failures = before.failures.saturating_add(1);
    let beyond = failures.saturating_sub(FREE);
    let wait_ms = match beyond {
        0 => 0,
        _ if failures >= HARD_STOP => STOPPED_MS,
        beyond => FIRST_MS.saturating_mul(1 << (beyond - 1).min(20)).min(MOST_MS),
    };
    Throttle { failures, blocked_until: now.plus_ms(wait_ms) }
}

/// Looks at times after what has no effect any more.
#[derive(Default)]
pub(super) struct Tidier(Mutex<Timestamp>);

impl Tidier {
    /// What is to go now; none = that was done a moment ago.
    pub(super) fn due(&self, now: Timestamp) -> Option<Tidying> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= *last && now.since_ms(*last) < TIDY_EVERY_MS {
            return None;
        }
        *last = now;
        let before = |ms| Timestamp(now.0.saturating_sub_unsigned(ms));
        Some(Tidying {
            prefix: "account ",
            few: FREE,
            few_before: before(FEW_FOR_MS),
            all_before: before(MANY_FOR_MS),
            most: ACCOUNTS_MAX,
        })
    }
}

/// How long until the throttle lets another try pass; 0 = now.
pub(super) fn wait_ms(throttle: Throttle, now: Timestamp) -> u64 {
    throttle.blocked_until.since_ms(now)
}

/// Tries by address within the last minute, written down by whoever asks: a restart forgets none.
#[derive(Default)]
pub(super) struct Addresses(Mutex<HashMap<IpAddr, Tries>>);

#[derive(Debug, Clone, Copy)]
struct Tries {
    since: Timestamp,
    count: u32,
}

impl Addresses {
    /// Whether something is remembered of an address.
    pub(super) fn knows(&self, address: IpAddr) -> bool {
        self.lock().contains_key(&address)
    }

    /// What was written down of an address, unless more is known already.
    pub(super) fn remember(&self, address: IpAddr, kept: Throttle) {
        let since = Timestamp(kept.blocked_until.0.saturating_sub_unsigned(ADDRESS_WINDOW_MS));
        self.lock().entry(address).or_insert(Tries { since, count: kept.failures });
    }

    /// Counts a try. What is to be written down of the address, where that changes, and the time to wait
    /// when it is one too many.
    pub(super) fn try_from(&self, address: IpAddr, now: Timestamp) -> (Option<Throttle>, Result<(), u64>) {
        let mut all = self.lock();
        if all.len() >= ADDRESSES_MAX {
            all.retain(|_, tries| now.since_ms(tries.since) < ADDRESS_WINDOW_MS);
        }
        let tries = all.entry(address).or_insert(Tries { since: now, count: 0 });
        // A clock that went back begins a new window as well.
        if now.since_ms(tries.since) >= ADDRESS_WINDOW_MS || now < tries.since {
            *tries = Tries { since: now, count: 0 };
        }
        tries.count = tries.count.saturating_add(1);
        let over = tries.count.saturating_sub(ADDRESS_TRIES_MAX);
        let kept = Throttle { failures: tries.count, blocked_until: tries.since.plus_ms(ADDRESS_WINDOW_MS) };
        let outcome = if over == 0 { Ok(()) } else { Err(ADDRESS_WINDOW_MS - now.since_ms(tries.since)) };
        // Somebody who goes on and on is not written about each time.
        ((over <= 1).then_some(kept), outcome)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Tries>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_are_free_then_the_wait_doubles_up_to_15_minutes() {
        let mut throttle = Throttle::default();
        let mut waits = Vec::new();
        for _ in 0..18 {
            throttle = failed(throttle, Timestamp(0));
            waits.push(wait_ms(throttle, Timestamp(0)) / 1_000);
        }
        assert_eq!(waits[..9], [0, 0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!(waits[17], 900);
        assert_eq!(wait_ms(throttle, Timestamp(901_000)), 0);
    }

    #[test]
    fn a_hundred_failures_in_a_row_close_an_account_to_unknown_browsers_for_a_day() {
        let before = Throttle { failures: 98, blocked_until: Timestamp(0) };
        let ninety_nine = failed(before, Timestamp(0));
        assert_eq!(wait_ms(ninety_nine, Timestamp(0)), MOST_MS);
        assert_eq!(wait_ms(failed(ninety_nine, Timestamp(0)), Timestamp(0)), STOPPED_MS);
    }

    #[test]
    fn neighbours_of_an_ipv6_address_are_one_network() {
        let of = |text: &str| network(text.parse().expect("valid")).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:3::1"), "2001:db8:1:3::");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!((of("192.0.2.7"), of("::1")), ("192.0.2.7".to_owned(), "::1".to_owned()));
    }

    #[test]
    fn an_address_has_twenty_tries_a_minute_and_a_restart_forgets_none() {
        let mut addresses = Addresses::default();
        let (one, other) = ("10.0.0.1".parse().expect("valid"), "10.0.0.2".parse().expect("valid"));
        let mut kept = None;
        for number in 0..20 {
            if number == 10 {
                // The server is started anew.
                addresses = Addresses::default();
                assert!(!addresses.knows(one));
                addresses.remember(one, kept.expect("written down"));
            }
            let (write, outcome) = addresses.try_from(one, Timestamp(5));
            assert_eq!(outcome, Ok(()));
            kept = write;
        }
        assert_eq!(addresses.try_from(one, Timestamp(1_005)).1, Err(59_000));
        assert_eq!(addresses.try_from(one, Timestamp(1_005)), (None, Err(59_000)), "is written down once");
        assert_eq!(addresses.try_from(other, Timestamp(1_005)).1, Ok(()));
        assert_eq!(addresses.try_from(one, Timestamp(60_005)).1, Ok(()));
    }
}
