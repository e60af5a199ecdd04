//! The revisions behind one route and whose turn it is: smooth weighted round robin (the algorithm
//! of nginx), so that 90:10 sends every tenth request to the second instead of ten in a row. Users
//! who are told apart have a revision of their own instead.

use super::stick::{Stick, Stuck, placed};
use crate::{revision::Revision, sync::lock};
use http::HeaderMap;
use std::sync::{Arc, Mutex, atomic::AtomicU64};

/// What one route does with a request.
pub(crate) struct Entry {
    choices: Vec<(Arc<Revision>, i64)>,
    /// How much each choice is owed.
    owed: Mutex<Vec<i64>>,
    stick: Option<Stick>,
    pub(super) unserved: Arc<AtomicU64>,
}

impl Entry {
    pub(crate) fn new(
        revisions: impl Iterator<Item = (Arc<Revision>, u32)>,
        stick: Option<Stick>,
        unserved: Arc<AtomicU64>,
    ) -> Self {
        let weighted = revisions.filter(|(_, weight)| *weight > 0);
        let choices: Vec<_> = weighted.map(|(revision, weight)| (revision, i64::from(weight))).collect();
        Self { owed: Mutex::new(vec![0; choices.len()]), choices, stick, unserved }
    }

    /// The revision for the next request, which has these headers.
    pub(crate) fn choose(&self, headers: &HeaderMap) -> Option<(&Arc<Revision>, Stuck)> {
        let (first, others) = self.choices.split_first()?;
        let hidden = self.stick.as_ref().and_then(Stick::hidden);
        if others.is_empty() {
            return Some((&first.0, Stuck { hidden, given: None }));
        }
        if let Some((user, given)) = self.stick.as_ref().and_then(|stick| stick.user(headers))
            && let Some(revision) = placed(&self.choices, &user)
        {
            return Some((revision, Stuck { hidden, given }));
        }
        Some((self.by_turns(), Stuck { hidden, given: None }))
    }

    fn by_turns(&self) -> &Arc<Revision> {
        let mut owed = lock(&self.owed);
        let mut best = 0;
        let mut total = 0;
        for (index, (_, weight)) in self.choices.iter().enumerate() {
            owed[index] += weight;
            total += weight;
            if owed[index] > owed[best] {
                best = index;
            }
        }
        owed[best] -= total;
        &self.choices[best].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_follow_the_weights_and_are_spread_out() {
        let weighted = |name: &str, weight| {
            let address = "127.0.0.1:1".parse().unwrap();
            (Arc::new(Revision::new(name.parse().unwrap(), address, weight)), weight)
        };
        let nobody = HeaderMap::new();
        let all = [weighted("a", 70), weighted("b", 30), weighted("c", 0)];
        let entry = Entry::new(all.into_iter(), None, Arc::default());
        let order: String = (0..10).map(|_| entry.choose(&nobody).unwrap().0.id.to_string()).collect();
        assert_eq!(order, "abaaabaaba");
        let none = Entry::new([weighted("c", 0)].into_iter(), None, Arc::default());
        assert!(none.choose(&nobody).is_none());
    }

    fn of(new: u32, user: &str) -> String {
        let address = "127.0.0.1:1".parse().unwrap();
        let weighted =
            |name: &str, weight| (Arc::new(Revision::new(name.parse().unwrap(), address, weight)), weight);
        let both = [weighted("old", 100 - new), weighted("new", new)];
        let stick = Stick::Header(http::HeaderName::from_static("x-user"));
        let entry = Entry::new(both.into_iter(), Some(stick), Arc::default());
        let mut headers = HeaderMap::new();
        headers.insert("x-user", user.parse().unwrap());
        entry.choose(&headers).unwrap().0.id.to_string()
    }

    #[test]
    fn who_met_the_new_revision_keeps_it_while_its_weight_grows() {
        let users: Vec<String> = (0..10_000).map(|number| format!("user-{number}")).collect();
        let mut before: Vec<bool> = vec![false; users.len()];
        for weight in [1, 10, 25, 50, 99] {
            let now: Vec<bool> = users.iter().map(|user| of(weight, user) == "new").collect();
            assert!(before.iter().zip(&now).all(|(before, now)| !before || *now));
            // Five standard deviations of 10,000 independent draws.
            let (share, expected) = (now.iter().filter(|new| **new).count(), weight as usize * 100);
            assert!(share.abs_diff(expected) < 250, "{share} of 10,000 at {weight} %");
            before = now;
        }
        assert!(users.iter().all(|user| of(100, user) == "new" && of(0, user) == "old"));
    }
}
