//! Sign-ins that are on their way to the identity provider. The browser keeps them, sealed: whoever begins many
//! fills nothing here and keeps nobody else out.

use super::Identities;
use crate::secret;
use lockstep_model::{Digest, Timestamp};
use lockstep_secrets::Key;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// How long somebody may take at the provider.
pub(super) const AWAY_MS: u64 = 10 * 60 * 1_000;
/// What it is sealed for.
const PLACE: &str = "a sign-in that is on its way to the identity provider";
/// Sign-ins that have come back, of the last minutes; of more, those that end first are forgotten. The
/// provider takes each code once in any case.
const BACK_MAX: usize = 10_000;

/// A sign-in that went to the provider.
#[derive(Debug, Serialize, Deserialize)]
pub struct OnTheWay {
    state: String,
    /// What the identity token must repeat.
    pub(super) nonce: String,
    /// What proves that whoever comes back is who went.
    pub(super) verifier: String,
    /// Where it goes afterwards.
    pub(super) next: String,
    expires_at: Timestamp,
}

/// Seals sign-ins, and knows which have come back.
pub(super) struct Ways {
    key: Key,
    back: Mutex<BTreeMap<Digest, Timestamp>>,
}

impl Ways {
    pub(super) fn new(key: Key) -> Self {
        Self { key, back: Mutex::default() }
    }

    /// One that begins now: its state, and what it is.
    pub(super) fn begin(next: &str, now: Timestamp) -> (String, OnTheWay) {
        let state = secret::random();
        let way = OnTheWay {
            state: state.clone(),
            nonce: secret::random(),
            verifier: secret::random(),
            next: next.to_owned(),
            expires_at: now.plus_ms(AWAY_MS),
        };
        (state, way)
    }

    pub(super) fn seal(&self, way: &OnTheWay) -> String {
        let text = serde_json::to_vec(way).expect("texts and a number are JSON");
        self.key.seal(PLACE, &text)
    }

    /// What was sealed here, when it is of this state and not too old.
    fn open(&self, sealed: &str, state: &str, now: Timestamp) -> Option<OnTheWay> {
        let plain = self.key.open(PLACE, sealed).ok()?;
        let way: OnTheWay = serde_json::from_slice(&plain).ok()?;
        (now < way.expires_at && secret::same(&way.state, state)).then_some(way)
    }

    /// Notes that one has come back; false = it had before.
    pub(super) fn comes_back(&self, way: &OnTheWay, now: Timestamp) -> bool {
        let mut back = self.back.lock().unwrap_or_else(PoisonError::into_inner);
        if back.len() >= BACK_MAX {
            back.retain(|_, expires_at| now < *expires_at);
        }
        if back.len() >= BACK_MAX {
            let first =
                back.iter().min_by_key(|(_, expires_at)| **expires_at).map(|(state, _)| state.clone());
            first.map(|state| back.remove(&state));
        }
        back.insert(secret::digest(&way.state), way.expires_at).is_none()
    }
}

impl Identities {
    /// Seals sign-ins under a key that is kept, so that they come back also after a restart.
    #[must_use]
    pub fn with_sign_in_key(mut self, key: Key) -> Self {
        self.ways = Ways::new(key);
        self
    }

    /// What a browser kept of a sign-in that comes back with `state`; none = it did not begin there, or too
    /// long ago.
    pub fn oidc_begun(&self, kept: &str, state: &str) -> Option<OnTheWay> {
        self.ways.open(kept, state, self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_comes_back_once_in_time_and_with_its_state() {
        let (ways, now) = (Ways::new(Key::random()), Timestamp(5));
        let (state, way) = Ways::begin("/deployments", now);
        let kept = ways.seal(&way);
        assert!(kept.len() < 4_000 && !kept.contains(&way.verifier));
        let opened = ways.open(&kept, &state, now).expect("its own");
        assert_eq!((&opened.nonce, &opened.next), (&way.nonce, &way.next));
        assert!(ways.open(&kept, "another", now).is_none());
        assert!(ways.open(&kept, &state, now.plus_ms(AWAY_MS)).is_none());
        assert!(Ways::new(Key::random()).open(&kept, &state, now).is_none(), "sealed elsewhere");
        let mut forged = kept.clone();
        forged.replace_range(60..61, if &kept[60..61] == "A" { "B" } else { "A" });
        assert!(ways.open(&forged, &state, now).is_none());
        assert!(ways.comes_back(&opened, now) && !ways.comes_back(&opened, now));
    }

    #[test]
    fn whoever_begins_many_keeps_nobody_out_and_the_longest_address_fits_into_a_cookie() {
        let (ways, now) = (Ways::new(Key::random()), Timestamp(5));
        let (state, way) = Ways::begin(&"/".repeat(2_000), now);
        let kept = ways.seal(&way);
        assert!(kept.len() < 3_900, "{}", kept.len());
        for _ in 0..BACK_MAX + 5 {
            assert!(ways.comes_back(&Ways::begin("/", now).1, now));
        }
        assert!(ways.back.lock().expect("whole").len() <= BACK_MAX);
        let own = ways.open(&kept, &state, now).expect("its own");
        assert!(ways.comes_back(&own, now));
    }
}
