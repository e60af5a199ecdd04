//! The revisions behind one route and whose turn it is: smooth weighted round robin (the algorithm
//! of nginx), so that 90:10 sends every tenth request to the second instead of ten in a row.

use crate::{revision::Revision, sync::lock};
use std::sync::{Arc, Mutex, atomic::AtomicU64};

/// What one route does with a request.
pub(crate) struct Entry {
    choices: Vec<(Arc<Revision>, i64)>,
    /// How much each choice is owed.
    owed: Mutex<Vec<i64>>,
    pub(super) unserved: Arc<AtomicU64>,
}

impl Entry {
    pub(crate) fn new(
        revisions: impl Iterator<Item = (Arc<Revision>, u32)>,
        unserved: Arc<AtomicU64>,
    ) -> Self {
        let weighted = revisions.filter(|(_, weight)| *weight > 0);
        let choices: Vec<_> = weighted.map(|(revision, weight)| (revision, i64::from(weight))).collect();
        Self { owed: Mutex::new(vec![0; choices.len()]), choices, unserved }
    }

    /// The revision for the next request.
    pub(crate) fn choose(&self) -> Option<&Arc<Revision>> {
        let (first, others) = self.choices.split_first()?;
        if others.is_empty() {
            return Some(&first.0);
        }
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
        Some(&self.choices[best].0)
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
        let entry =
            Entry::new([weighted("a", 70), weighted("b", 30), weighted("c", 0)].into_iter(), Arc::default());
        let order: String = (0..10).map(|_| entry.choose().unwrap().id.to_string()).collect();
        assert_eq!(order, "abaaabaaba");
        assert!(Entry::new([weighted("c", 0)].into_iter(), Arc::default()).choose().is_none());
    }
}
