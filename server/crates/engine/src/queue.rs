//! The queue of an environment, as a question of what waits alone: in which order its deployments
//! begin, and which of them give up their place. Looked at anew each time, so that nothing that
//! belongs to it lives in memory only.

use lockstep_model::{DeploymentId, Timestamp, manifest::QueuePolicy};

/// A deployment that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub id: DeploymentId,
    /// It restores what served before: at the head, and never superseded.
    pub restores: bool,
    /// When its commit was made, where that is known.
    pub commit_time: Option<Timestamp>,
}

/// In which order they begin: restores first, then the older commit among those that know theirs; one
/// that does not keeps the place at which it was asked for.
pub fn order(waiting: &[Waiting]) -> Vec<DeploymentId> {
    let mut line = waiting.to_vec();
    line.sort_by_key(|one| (!one.restores, one.id));
    let knows = |one: &Waiting| !one.restores && one.commit_time.is_some();
    let mut by_commit: Vec<Waiting> = line.iter().copied().filter(knows).collect();
    by_commit.sort_by_key(|one| (one.commit_time, one.id));
    let mut by_commit = by_commit.into_iter();
    line.iter()
        .map(|one| if knows(one) { by_commit.next().map_or(one.id, |next| next.id) } else { one.id })
        .collect()
}

/// Which of them give up their place, and to which: of two that know their commits the newer commit
/// stays, else the one that was asked for later. Only the policy `supersede` has any.
pub fn superseded(policy: QueuePolicy, waiting: &[Waiting]) -> Vec<(DeploymentId, DeploymentId)> {
    match policy {
        QueuePolicy::Fifo | QueuePolicy::Reject => return Vec::new(),
        QueuePolicy::Supersede => {}
    }
    let mut line: Vec<Waiting> = waiting.iter().copied().filter(|one| !one.restores).collect();
    line.sort_by_key(|one| one.id);
    let mut stays: Option<Waiting> = None;
    let mut gone = Vec::new();
    for next in line {
        let Some(before) = stays else {
            stays = Some(next);
            continue;
        };
        let is_older = next.commit_time.zip(before.commit_time).is_some_and(|(next, before)| next < before);
        if is_older {
            gone.push((next.id, before.id));
        } else {
            gone.push((before.id, next.id));
            stays = Some(next);
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: i64, commit_time: Option<i64>) -> Waiting {
        Waiting { id: DeploymentId(id), restores: false, commit_time: commit_time.map(Timestamp) }
    }

    fn restore(id: i64) -> Waiting {
        Waiting { restores: true, ..one(id, None) }
    }

    fn ids(ids: &[i64]) -> Vec<DeploymentId> {
        ids.iter().copied().map(DeploymentId).collect()
    }

    #[test]
    fn the_older_commit_begins_first_and_those_that_know_none_keep_their_place() {
        assert_eq!(order(&[one(1, None), one(2, None)]), ids(&[1, 2]));
        assert_eq!(order(&[one(1, Some(20)), one(2, Some(10))]), ids(&[2, 1]));
        assert_eq!(order(&[one(1, Some(30)), one(2, None), one(3, Some(10))]), ids(&[3, 2, 1]));
        assert_eq!(order(&[one(2, Some(5)), one(1, Some(5))]), ids(&[1, 2]), "then as they were asked for");
        assert_eq!(order(&[]), ids(&[]));
    }

    #[test]
    fn restores_stand_at_the_head_as_they_were_asked_for() {
        let waiting = [one(1, Some(1)), restore(4), restore(3), one(2, None)];
        assert_eq!(order(&waiting), ids(&[3, 4, 1, 2]));
    }

    #[test]
    fn the_newest_commit_stays_and_an_older_one_that_comes_late_goes() {
        let pairs = |waiting: &[Waiting]| {
            let gone = superseded(QueuePolicy::Supersede, waiting);
            gone.into_iter().map(|(gone, by)| (gone.0, by.0)).collect::<Vec<_>>()
        };
        assert_eq!(pairs(&[one(1, None), one(2, None), one(3, None)]), [(1, 2), (2, 3)]);
        assert_eq!(pairs(&[one(1, Some(20)), one(2, Some(10))]), [(2, 1)]);
        assert_eq!(pairs(&[one(1, Some(20)), one(2, Some(10)), one(3, Some(30))]), [(2, 1), (1, 3)]);
        assert_eq!(pairs(&[one(1, Some(20)), one(2, None)]), [(1, 2)], "what is not known is not compared");
        assert_eq!(pairs(&[one(1, Some(5)), one(2, Some(5))]), [(1, 2)], "the same commit, asked for again");
        assert_eq!(pairs(&[restore(1), one(2, None), restore(3)]), []);
    }

    #[test]
    fn only_supersede_supersedes() {
        let waiting = [one(1, None), one(2, None)];
        for policy in [QueuePolicy::Fifo, QueuePolicy::Reject] {
            assert_eq!(superseded(policy, &waiting), []);
        }
    }
}
