//! Looks how services are that serve: every ten seconds, and at once when something changed. What it
//! saw is kept in memory only; it judges nothing and changes nothing.

use futures_util::{StreamExt, stream};
use lockstep_coordinator::Coordinator;
use lockstep_engine::port::{Clock, Host, Store, Target, store::ServingRow};
use lockstep_model::{
    Timestamp,
    gateway::Slot,
    health::{Evidence, Health},
    manifest::Target as TargetSpec,
    plan::Serving,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

const EVERY: Duration = Duration::from_secs(10);
/// Commands of the user's are started for a look; seldom is enough.
const COMMANDS_EVERY: Duration = Duration::from_secs(60);
/// Changes come in bursts; one look follows.
const SETTLE: Duration = Duration::from_millis(300);
const LOOKS_MAX: usize = 16;
const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// What was seen of a service.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Of what.
    pub serving: Serving,
    /// What was seen.
    pub evidence: Evidence,
}

/// Looks after services. Cheap to clone.
#[derive(Clone, Default)]
pub struct Monitor(Arc<Inner>);

#[derive(Default)]
struct Inner {
    seen: Mutex<BTreeMap<Slot, (Seen, Instant)>>,
    soon: Notify,
}

/// What the monitor looks through.
#[derive(Clone)]
pub struct Eyes {
    /// What serves.
    pub store: Arc<dyn Store>,
    /// How it is asked.
    pub target: Arc<dyn Target>,
    /// Through whom.
    pub host: Arc<dyn Host>,
    /// When.
    pub clock: Arc<dyn Clock>,
    /// What tells of changes.
    pub coordinator: Coordinator,
}

impl Monitor {
    /// What was seen last of a service, when it is still the one that serves.
    pub fn seen(&self, slot: &Slot, serving: &Serving) -> Option<Evidence> {
        let all = self.lock();
        all.get(slot).filter(|(seen, _)| seen.serving == *serving).map(|(seen, _)| seen.evidence.clone())
    }

    /// All that was seen.
    pub fn all(&self) -> Vec<(Slot, Seen)> {
        let all = self.lock();
        all.iter().map(|(slot, (seen, _))| (slot.clone(), seen.clone())).collect()
    }

    /// Something has happened that makes a look worth while.
    pub fn look_soon(&self) {
        self.0.soon.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Slot, (Seen, Instant)>> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for ever.
    pub async fn keep(self, eyes: Eyes) {
        let mut changes = eyes.coordinator.changes();
        let mut round: u64 = 0;
        loop {
            match eyes.store.serving_list(None, None).await {
                Ok(rows) => self.look(&eyes, rows, &mut round).await,
                Err(error) => tracing::warn!("what serves could not be read, trying again: {error}"),
            }
            changes.mark_unchanged();
            tokio::select! {
                () = sleep(EVERY) => {},
                _ = changes.changed() => sleep(SETTLE).await,
                () = self.0.soon.notified() => {},
            }
        }
    }

    async fn look(&self, eyes: &Eyes, rows: Vec<ServingRow>, round: &mut u64) {
        let serving: Vec<(Slot, Serving)> =
            rows.into_iter().filter_map(|row| Some((row.slot, row.serving?))).collect();
        self.forget_others(&serving);
        *round += 1;
        let number = *round;
        let due = serving.into_iter().filter(|(slot, serving)| self.is_due(slot, serving));
        stream::iter(due)
            .map(async |(slot, serving)| {
                let key = format!("ask/monitor/{slot}/{number}");
                let spec = serving.spec.clone();
                let asked = eyes.target.observe(&slot, &spec, Some(&serving), &key, &*eyes.host);
                let evidence = match timeout(LOOK_LIMIT, asked).await {
                    Ok(Ok(observation)) => of_revision(observation.evidence, &serving, observation.revision),
                    Ok(Err(problem)) => unknown(eyes.clock.now(), problem),
                    Err(_) => unknown(eyes.clock.now(), "nobody answered how it is".to_owned()),
                };
                self.keep_seen(slot, Seen { serving, evidence });
            })
            .buffer_unordered(LOOKS_MAX)
            .collect::<Vec<()>>()
            .await;
    }

    fn is_due(&self, slot: &Slot, serving: &Serving) -> bool {
        let every = match serving.spec.target {
            TargetSpec::Process(_) => Duration::ZERO,
            TargetSpec::Command(_) => COMMANDS_EVERY,
        };
        let all = self.lock();
        all.get(slot).is_none_or(|(seen, at)| seen.serving != *serving || at.elapsed() >= every)
    }

    fn keep_seen(&self, slot: Slot, seen: Seen) {
        let mut all = self.lock();
        let before = all.insert(slot.clone(), (seen.clone(), Instant::now()));
        let health = seen.evidence.health;
        if before.is_some_and(|(before, _)| before.evidence.health != health) {
            let sentence = seen.evidence.sentence();
            tracing::info!(service.name = %slot.service, "{slot} is {} now: {sentence}", health.word());
        }
    }

    fn forget_others(&self, serving: &[(Slot, Serving)]) {
        let known: BTreeSet<&Slot> = serving.iter().map(|(slot, _)| slot).collect();
        self.lock().retain(|slot, _| known.contains(slot));
    }
}

/// Traffic that goes elsewhere than it should is not healthy, however well the other one is.
fn of_revision(evidence: Evidence, serving: &Serving, seen: Option<lockstep_model::RevisionId>) -> Evidence {
    match seen {
        Some(seen) if seen != serving.revision => Evidence {
            health: Health::Unhealthy,
            reason: format!("{seen} has the traffic, and {} should", serving.revision),
            ..evidence
        },
        Some(_) | None => evidence,
    }
}

fn unknown(at: Timestamp, reason: String) -> Evidence {
    Evidence {
        at,
        check: "look".to_owned(),
        address: String::new(),
        code: None,
        excerpt: String::new(),
        latency_ms: 0,
        health: Health::Unknown,
        reason,
    }
}
