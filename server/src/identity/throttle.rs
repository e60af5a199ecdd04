//! Throttles of tries to sign in: per account, kept over restarts, and per address.

use lockstep_engine::port::identity::Throttle;
use lockstep_model::Timestamp;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// Failures that cost nothing.
const FREE: u32 = 5;
const FIRST_MS: u64 = 1_000;
const MOST_MS: u64 = 15 * 60 * 1_000;
const ADDRESS_TRIES_MAX: u32 = 20;
const ADDRESS_WINDOW_MS: u64 = 60_000;
/// Addresses that are remembered; beyond it those whose window has passed are forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// The throttle after one more failure: from the sixth on, 1 s, doubling up to 15 minutes.
pub(super) fn failed(before: Throttle, now: Timestamp) -> Throttle {
    let failures = before.failures.saturating_add(1);
    let beyond = failures.saturating_sub(FREE);
    let wait_ms = match beyond {
        0 => 0,
        beyond => FIRST_MS.saturating_mul(1 << (beyond - 1).min(20)).min(MOST_MS),
    };
    Throttle { failures, blocked_until: now.plus_ms(wait_ms) }
}

/// How long until the throttle lets another try pass; 0 = now.
pub(super) fn wait_ms(throttle: Throttle, now: Timestamp) -> u64 {
    throttle.blocked_until.since_ms(now)
}

/// Tries by address within the last minute.
#[derive(Default)]
pub(super) struct Addresses(Mutex<HashMap<IpAddr, (Timestamp, u32)>>);

impl Addresses {
    /// Counts a try; the time to wait when it is one too many.
    pub(super) fn try_from(&self, address: IpAddr, now: Timestamp) -> Result<(), u64> {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= ADDRESSES_MAX {
            tries.retain(|_, (since, _)| now.since_ms(*since) < ADDRESS_WINDOW_MS);
        }
        let (since, count) = tries.entry(address).or_insert((now, 0));
        // A clock that went back begins a new window as well.
        if now.since_ms(*since) >= ADDRESS_WINDOW_MS || now < *since {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        if *count > ADDRESS_TRIES_MAX {
            return Err(ADDRESS_WINDOW_MS - now.since_ms(*since));
        }
        Ok(())
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
    fn an_address_has_twenty_tries_a_minute() {
        let addresses = Addresses::default();
        let (one, other) = ("10.0.0.1".parse().expect("valid"), "10.0.0.2".parse().expect("valid"));
        for _ in 0..20 {
            assert_eq!(addresses.try_from(one, Timestamp(5)), Ok(()));
        }
        assert_eq!(addresses.try_from(one, Timestamp(1_005)), Err(59_000));
        assert_eq!(addresses.try_from(other, Timestamp(1_005)), Ok(()));
        assert_eq!(addresses.try_from(one, Timestamp(60_005)), Ok(()));
    }
}
