//! Small tools shared by the parts: locks that outlive a panic elsewhere, and a count that can be
//! waited for.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Notify;

/// Locks `mutex`. What it protects is valid between any two statements, so a panic of another
/// holder does not matter.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many of something there are now.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    count: AtomicU64,
    changed: Notify,
}

impl Tally {
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    pub(crate) fn enter(self: &Arc<Self>) -> TallyGuard {
        self.add();
        TallyGuard(Arc::clone(self))
    }

    /// Enters unless there are `max` already.
    pub(crate) fn try_enter(self: &Arc<Self>, max: u64) -> Option<TallyGuard> {
        let entered = self
            .count
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| (count < max).then_some(count + 1));
        entered.is_ok().then(|| TallyGuard(Arc::clone(self)))
    }

    pub(crate) fn add(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn subtract(&self) {
        if self.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.changed.notify_waiters();
        }
    }

    /// Lets those who wait look again.
    pub(crate) fn nudge(&self) {
        self.changed.notify_waiters();
    }

    pub(crate) async fn until_zero(&self) {
        self.until(|| self.count() == 0).await;
    }

    /// Waits until `done`, looked at whenever the count reaches zero or is nudged.
    pub(crate) async fn until(&self, done: impl Fn() -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if done() {
                return;
            }
            changed.await;
        }
    }
}

/// Counts one until it is dropped.
#[derive(Debug)]
pub(crate) struct TallyGuard(Arc<Tally>);

impl Drop for TallyGuard {
    fn drop(&mut self) {
        self.0.subtract();
    }
}
