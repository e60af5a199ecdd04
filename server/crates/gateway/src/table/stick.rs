//! Who stays with which revision while several have traffic. Every user has a place between 0 and
//! 1, drawn from his cookie or header; the newest revision has the places below its weight. So whoever
//! met it keeps it while its weight grows, and everybody goes back with the weight.

use crate::{proxy, revision::Revision};
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// By what users are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stick {
    /// The gateway's own cookie of this name.
    Cookie(Arc<str>),
    /// The value of this header.
    Header(HeaderName),
}

/// What follows for the request and for its answer.
#[derive(Debug, Default)]
pub(crate) struct Stuck {
    /// The gateway's own cookie, which no revision is to see.
    pub(crate) hidden: Option<Arc<str>>,
    /// The cookie that the user is given.
    pub(crate) given: Option<HeaderValue>,
}

impl Stick {
    /// The cookie that no revision is to see.
    pub(super) fn hidden(&self) -> Option<Arc<str>> {
        match self {
            Self::Cookie(name) => Some(Arc::clone(name)),
            Self::Header(_) => None,
        }
    }

    /// What tells this user from others, and the cookie that he is given when he had none; none = he
    /// cannot be told from others.
    pub(super) fn user(&self, headers: &HeaderMap) -> Option<(Vec<u8>, Option<HeaderValue>)> {
        match self {
            Self::Header(name) => headers.get(name).map(|value| (value.as_bytes().to_vec(), None)),
            Self::Cookie(name) => match proxy::cookie(headers, name) {
                Some(value) => Some((value.to_vec(), None)),
                None => {
                    let value = drawn()?;
                    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
                    Some((value.into_bytes(), Some(HeaderValue::from_str(&text).ok()?)))
                }
            },
        }
    }
}

/// A value that nobody else has; none when the system gives no randomness, so that nobody is told
/// apart for now.
fn drawn() -> Option<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).ok()?;
    Some(format!("{:016x}", u64::from_be_bytes(bytes)))
}

/// The choice that has the place of `user`. Places are drawn anew for each newest revision: the first
/// to meet a release are not always the same people.
pub(super) fn placed<'c>(choices: &'c [(Arc<Revision>, i64)], user: &[u8]) -> Option<&'c Arc<Revision>> {
    let (newest, _) = choices.last()?;
    let hash = Sha256::new().chain_update(newest.id.as_str()).chain_update([0]).chain_update(user).finalize();
    let mut high = [0; 4];
    high.copy_from_slice(&hash[..4]);
    let place = i128::from(u32::from_be_bytes(high));
    let total: i64 = choices.iter().map(|(_, weight)| weight).sum();
    let mut below = 0;
    for (revision, weight) in choices.iter().rev() {
        below += weight;
        // place / 2^32 < below / total
        if place * i128::from(total) < i128::from(below) << 32 {
            return Some(revision);
        }
    }
    None
}
