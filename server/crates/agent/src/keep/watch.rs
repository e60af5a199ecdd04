//! Watching a kept process: when it ends by itself it is said, and it is started again within its
//! budget.

use super::Keeper;
use crate::{
    desired::Wanted,
    lock, now,
    run_dir::{Ended, RunState},
};
use lockstep_model::{
    RevisionId,
    wire::{AgentFrame, Exit},
};
use std::time::Duration;
use tokio::time::sleep;

const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Keeper {
    /// Watches a revision until it is no longer wanted, or its budget is used up. `fresh`: the host
    /// was started anew, so that its end says nothing about it.
    pub(super) async fn watch(&self, revision: RevisionId, fresh: bool) {
        let mut fresh = fresh;
        loop {
            let Some(wanted) = self.wanted(&revision).filter(|wanted| !wanted.ending) else { return };
            let ended = match self.run_dir(&wanted).state() {
                Ok(RunState::Running { .. }) => {
                    fresh = false;
                    sleep(LOOK_EVERY).await;
                    continue;
                }
                Ok(RunState::Waiting) => match self.take_up(&wanted).await {
                    true => continue,
                    false => Ended { exit: Exit::Lost, killed: false, at: now() },
                },
                Ok(RunState::Ended(ended)) => ended,
                Err(error) => {
                    tracing::warn!("how {revision} stands cannot be read, trying again: {error}");
                    sleep(LOOK_EVERY * 10).await;
                    continue;
                }
            };
            if !self.again(&wanted, ended, fresh).await {
                return;
            }
            fresh = false;
        }
    }

    /// Has a run begun that an agent before this one prepared and perhaps launched: the same run, so
    /// that of two holds only one begins.
    async fn take_up(&self, wanted: &Wanted) -> bool {
        let revision = &wanted.spec.revision;
        let turn = self.turn(revision);
        let _one_at_a_time = turn.lock().await;
        if self.wanted(revision).is_none_or(|current| current.ending || current.run != wanted.run) {
            return true;
        }
        let Err(problem) = self.launch(wanted).await else { return true };
        tracing::error!("{revision} could not be started: {problem}");
        // Whatever was wrong, this run is over.
        !self.run_dir(wanted).give_up().unwrap_or(false)
    }

    /// Starts an ended process again if it may be; whether it is still to be watched.
    async fn again(&self, wanted: &Wanted, ended: Ended, fresh: bool) -> bool {
        let budget = wanted.spec.process.restart;
        let revision = &wanted.spec.revision;
        let window_ms = i64::try_from(budget.window_ms).unwrap_or(i64::MAX);
        let mut recent = wanted.restarted_at_ms.clone();
        recent.retain(|at| now().0.saturating_sub(*at) < window_ms);
        let restarts = fresh || recent.len() < budget.max as usize;
        if !fresh {
            let (exit, at) = (ended.exit.clone(), ended.at);
            self.0.outbox.offer(AgentFrame::Exited { revision: revision.clone(), exit, at, restarts });
            tracing::warn!("{revision} ended by itself: {}; started again: {restarts}", ended.exit);
        }
        if restarts && !fresh {
            sleep(Duration::from_millis(budget.backoff_ms)).await;
        }
        let turn = self.turn(revision);
        let _one_at_a_time = turn.lock().await;
        // Somebody may have stopped it or started it anew while this waited.
        if self.wanted(revision).is_none_or(|current| current.ending || current.run != wanted.run) {
            return false;
        }
        let mut next = wanted.clone();
        if restarts {
            next.run = self.next_run(revision).max(wanted.run + 1);
            if !fresh {
                next.restarts += 1;
                recent.push(now().0);
            }
            next.restarted_at_ms = recent;
        } else {
            next.given_up = Some(ended.exit);
        }
        if let Err(error) = lock(&self.0.desired).put(next.clone()) {
            tracing::warn!("a new start of {revision} could not be written down, trying again: {error}");
            return true;
        }
        if !restarts {
            return false;
        }
        if let Err(problem) = self.launch(&next).await {
            tracing::error!("{revision} could not be started again: {problem}");
        }
        self.run_dir(wanted).remove();
        true
    }
}
