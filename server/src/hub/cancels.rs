//! What was cancelled and is not confirmed: remembered until the agent says so, however long it is
//! away, and told to it again on every new connection.

use lockstep_engine::port::{HostCancel, Stopped};
use lockstep_model::wire::OrderKey;
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::watch, time::Instant};

/// More are not remembered: what an agent that is away for ever has left is bounded.
pub(super) const CANCELS_MAX: usize = 20_000;
/// An agent that has been lost for long is started anew within this.
const RETURN_LIMIT: Duration = Duration::from_secs(10);
/// An agent that answers has this long: the grace of what it ends, and the end of its tree.
const CONFIRM_LIMIT: Duration = Duration::from_secs(60);

struct Cancelling {
    cancel: HostCancel,
    since: Instant,
    answer: watch::Sender<Option<Stopped>>,
}

/// Cancels by their prefix.
#[derive(Default)]
pub(super) struct Cancels(BTreeMap<String, Cancelling>);

impl Cancels {
    /// Remembers one; whoever asked for it hears what came of it.
    pub(super) fn add(&mut self, cancel: HostCancel, now: Instant) -> watch::Receiver<Option<Stopped>> {
        if let Some(known) = self.0.get_mut(&cancel.prefix) {
            known.cancel.epoch = known.cancel.epoch.max(cancel.epoch);
            if known.answer.borrow().is_some() {
                // Nobody confirmed it; somebody asks again.
                (known.since, known.answer) = (now, watch::channel(None).0);
            }
            return known.answer.subscribe();
        }
        if self.0.len() >= CANCELS_MAX {
            return watch::channel(Some(Stopped::Unconfirmed)).1;
        }
        let (answer, receiver) = watch::channel(None);
        self.0.insert(cancel.prefix.clone(), Cancelling { cancel, since: now, answer });
        receiver
    }

    /// Remembers one that nobody waits for.
    pub(super) fn remember(&mut self, cancel: HostCancel, now: Instant) {
        if self.0.len() < CANCELS_MAX && !self.0.contains_key(&cancel.prefix) {
            let answer = watch::channel(Some(Stopped::Unconfirmed)).0;
            self.0.insert(cancel.prefix.clone(), Cancelling { cancel, since: now, answer });
        }
    }

    /// The agent has answered.
    pub(super) fn answered(&mut self, prefix: &str, is_confirmed: bool) {
        if let Some(known) = self.0.remove(prefix) {
            let stopped = if is_confirmed { Stopped::Confirmed } else { Stopped::Unconfirmed };
            known.answer.send_replace(Some(stopped));
        }
    }

    /// Whoever waits too long hears that nobody confirms it. It stays remembered.
    pub(super) fn give_up(&mut self, now: Instant, is_agent_lost: bool) {
        let limit = if is_agent_lost { RETURN_LIMIT } else { CONFIRM_LIMIT };
        for known in self.0.values().filter(|known| now.duration_since(known.since) >= limit) {
            known.answer.send_if_modified(|answer| {
                let is_new = answer.is_none();
                *answer = Some(Stopped::Unconfirmed);
                is_new
            });
        }
    }

    /// All that the agent has not confirmed.
    pub(super) fn all(&self) -> Vec<HostCancel> {
        self.0.values().map(|known| known.cancel.clone()).collect()
    }

    /// Whether an order is below one of them.
    pub(super) fn is_below(&self, key: &OrderKey) -> bool {
        key.0.match_indices('/').any(|(place, _)| self.0.contains_key(&key.0[..=place]))
    }

    /// Whether anybody waits for an answer.
    pub(super) fn is_waited_for(&self) -> bool {
        self.0.values().any(|known| known.answer.borrow().is_none())
    }
}
