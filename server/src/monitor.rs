//! Looks how services are that serve: every ten seconds, and at once when something changed. It
//! judges nothing and changes nothing; what it saw is kept by the minute.

use futures_util::{StreamExt, stream};
use lockstep_coordinator::Coordinator;
use lockstep_engine::port::{CheckRow, Clock, Host, LogStore, Observation, Store, Target, store::ServingRow};
use lockstep_model::{
    Timestamp,
    gateway::Slot,
    health::{Evidence, Health},
    live::CHECKS_SHOWN,
    manifest::Target as TargetSpec,
    plan::{PlannedService, Serving},
    view::{CheckBucket, CheckView},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

const EVERY: Duration = Duration::from_secs(10);
/// Commands of the user's are started for a look; seldom is enough.
const COMMANDS_EVERY: Duration = Duration::from_secs(60);
/// Changes come in bursts; one look follows.
const SETTLE: Duration = Duration::from_millis(300);
const LOOKS_MAX: usize = 16;
/// A day, and an hour for those who look at its begin.
const CHECKS_KEPT_MS: i64 = 25 * 60 * 60 * 1_000;
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
    seen: Mutex<BTreeMap<Slot, Known>>,
    /// The last looks of the server before this one, until the first of this one.
    before: Mutex<BTreeMap<Slot, Vec<CheckView>>>,
    soon: Notify,
    looks: watch::Sender<u64>,
}

/// What is known of a slot.
struct Known {
    seen: Seen,
    at: Instant,
    checks: Vec<CheckView>,
    /// Looks that are not kept yet.
    bucket: CheckBucket,
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
    /// Where looks are kept.
    pub logs: Arc<dyn LogStore>,
    /// What tells of changes.
    pub coordinator: Coordinator,
}

impl Monitor {
    /// What was seen last of a service, when it is still the one that serves.
    pub fn seen(&self, slot: &Slot, serving: &Serving) -> Option<Evidence> {
        let all = self.lock();
        let known = all.get(slot).filter(|known| known.seen.serving == *serving);
        known.map(|known| known.seen.evidence.clone())
    }

    /// The last looks at a slot, the newest last, whatever served.
    pub fn checks(&self, slot: &Slot) -> Vec<CheckView> {
        let known = self.lock().get(slot).map(|known| known.checks.clone());
        known.or_else(|| lock(&self.0.before).get(slot).cloned()).unwrap_or_default()
    }

    /// Ticks when something was looked at.
    pub fn looks(&self) -> watch::Receiver<u64> {
        self.0.looks.subscribe()
    }

    /// All that was seen.
    pub fn all(&self) -> Vec<(Slot, Seen)> {
        let all = self.lock();
        all.iter().map(|(slot, known)| (slot.clone(), known.seen.clone())).collect()
    }

    /// Something has happened that makes a look worth while.
    pub fn look_soon(&self) {
        self.0.soon.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Slot, Known>> {
        lock(&self.0.seen)
    }

    /// Looks for ever.
    pub async fn keep(self, eyes: Eyes) {
        let mut changes = eyes.coordinator.changes();
        let mut round: u64 = 0;
        match eyes.logs.check_last().await {
            Ok(last) => *lock(&self.0.before) = last.into_iter().collect(),
            Err(error) => tracing::warn!("the looks before this start are not shown: {error}"),
        }
        loop {
            match eyes.store.serving_list(None, None).await {
                Ok(rows) => self.look(&eyes, rows, &mut round).await,
                Err(error) => tracing::warn!("what serves could not be read, trying again: {error}"),
            }
            self.keep_looks(&eyes).await;
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
        let changing = changing(&eyes.coordinator);
        let due = serving.into_iter().filter(|(slot, serving)| self.is_due(slot, serving));
        stream::iter(due)
            .map(async |(slot, serving)| {
                let key = format!("ask/monitor/{slot}/{number}");
                let spec = serving.spec.clone();
                let asked = eyes.target.observe(&slot, &spec, Some(&serving), &key, &*eyes.host);
                let evidence = match timeout(LOOK_LIMIT, asked).await {
                    Ok(Ok(observation)) => {
                        let gave_up = observation.given_up.clone();
                        let evidence = against(&serving, observation, changing.contains(&slot));
                        match gave_up {
                            Some(what) => gave_up_on(eyes, &slot, &serving, what, evidence).await,
                            None => evidence,
                        }
                    }
                    Ok(Err(problem)) => unknown(eyes.clock.now(), problem),
                    Err(_) => unknown(eyes.clock.now(), "nobody answered how it is".to_owned()),
                };
                self.keep_seen(slot, Seen { serving, evidence });
            })
            .buffer_unordered(LOOKS_MAX)
            .collect::<Vec<()>>()
            .await;
        self.0.looks.send_modify(|number| *number += 1);
    }

    /// Full minutes go to the store; what is lost in a crash is one minute of a curve.
    async fn keep_looks(&self, eyes: &Eyes) {
        let now = eyes.clock.now();
        let minute = minute(now);
        let full: Vec<CheckRow> = self
            .lock()
            .iter_mut()
            .filter(|(_, known)| known.bucket.at != minute && known.bucket.at.0 > 0)
            .map(|(slot, known)| CheckRow {
                slot: slot.clone(),
                seen: std::mem::take(&mut known.bucket),
                last: known.checks.clone(),
            })
            .collect();
        if full.is_empty() {
            return;
        }
        if let Err(error) = eyes.logs.check_append(&full, Timestamp(now.0 - CHECKS_KEPT_MS)).await {
            tracing::warn!("looks at services were not kept: {error}");
        }
    }

    fn is_due(&self, slot: &Slot, serving: &Serving) -> bool {
        let every = match serving.spec.target {
            TargetSpec::Process(_) => Duration::ZERO,
            TargetSpec::Command(_) => COMMANDS_EVERY,
        };
        let all = self.lock();
        all.get(slot).is_none_or(|known| known.seen.serving != *serving || known.at.elapsed() >= every)
    }

    fn keep_seen(&self, slot: Slot, seen: Seen) {
        let mut all = self.lock();
        let health = seen.evidence.health;
        let check = CheckView { at: seen.evidence.at, health, latency_ms: seen.evidence.latency_ms };
        let before = all.remove(&slot);
        let kept = lock(&self.0.before).remove(&slot);
        let (mut checks, mut bucket) = match &before {
            Some(known) => (known.checks.clone(), known.bucket),
            None => (kept.unwrap_or_default(), CheckBucket::default()),
        };
        checks.push(check);
        let surplus = checks.len().saturating_sub(CHECKS_SHOWN);
        checks.drain(..surplus);
        // A minute that is over and was not kept yet takes this look, too.
        if bucket.at.0 == 0 {
            bucket.at = minute(check.at);
        }
        count(&mut bucket, check);
        all.insert(slot.clone(), Known { seen: seen.clone(), at: Instant::now(), checks, bucket });
        if before.is_some_and(|before| before.seen.evidence.health != health) {
            let sentence = seen.evidence.sentence();
            tracing::info!(service.name = %slot.service, "{slot} is {} now: {sentence}", health.word());
        }
    }

    fn forget_others(&self, serving: &[(Slot, Serving)]) {
        let known: BTreeSet<&Slot> = serving.iter().map(|(slot, _)| slot).collect();
        self.lock().retain(|slot, _| known.contains(slot));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn minute(at: Timestamp) -> Timestamp {
    Timestamp(at.0 - at.0.rem_euclid(60_000))
}

fn count(bucket: &mut CheckBucket, check: CheckView) {
    let counter = match check.health {
        Health::Healthy => &mut bucket.healthy,
        Health::Degraded => &mut bucket.degraded,
        Health::Unhealthy => &mut bucket.unhealthy,
        Health::Unknown => &mut bucket.unknown,
    };
    *counter += 1;
    bucket.latency_max_ms = bucket.latency_max_ms.max(check.latency_ms);
}

/// What was seen, held against what should serve: another one that serves is not healthy, however well
/// it is, and neither is one that has lost its traffic.
/// While a deployment changes it, two versions are not a surprise.
fn against(serving: &Serving, seen: Observation, is_changing: bool) -> Evidence {
    let Observation { revision, version, traffic, evidence, .. } = seen;
    if is_changing && revision.is_none() {
        return evidence;
    }
    let (health, reason) = match (revision, version, traffic) {
        (Some(revision), _, _) if revision != serving.revision => {
            (Health::Unhealthy, format!("{revision} has the traffic, and {} should", serving.revision))
        }
        (_, Some(version), _) if version != serving.version => {
            (Health::Unhealthy, format!("{version} serves, and {} should", serving.version))
        }
        (_, None, _) => (Health::Unhealthy, format!("nothing serves, and {} should", serving.version)),
        (_, Some(version), Some(share)) if share < 100 => {
            let health = if share == 0 { Health::Unhealthy } else { Health::Degraded };
            (health, format!("{version} has {share} % of the traffic, and should have all of it"))
        }
        (_, Some(_), _) => return evidence,
    };
    // The worse of both is said.
    if evidence.health == Health::Unhealthy && health == Health::Degraded {
        return evidence;
    }
    Evidence { health, reason, ..evidence }
}

/// A process that is not started again is not well, and whoever guards its release hears of it.
async fn gave_up_on(
    eyes: &Eyes,
    slot: &Slot,
    serving: &Serving,
    what: String,
    evidence: Evidence,
) -> Evidence {
    if let Err(refused) = eyes.coordinator.process_gave_up(slot, serving, &what).await {
        tracing::warn!(service.name = %slot.service, "{what}, and nothing could be done about it: {refused}");
    }
    Evidence { health: Health::Unhealthy, reason: what, ..evidence }
}

/// What deployments that have begun change now.
fn changing(coordinator: &Coordinator) -> BTreeSet<Slot> {
    let live = coordinator.live().into_iter().filter(|(_, state)| state.phase.is_live());
    live.flat_map(|(_, state)| {
        let plan = state.plan.clone();
        let slot = |service: &PlannedService| Slot {
            project: plan.project.clone(),
            environment: plan.environment.clone(),
            service: service.service.clone(),
        };
        plan.services.iter().filter(|service| service.is_changed()).map(slot).collect::<Vec<_>>()
    })
    .collect()
}

fn unknown(at: Timestamp, reason: String) -> Evidence {
    Evidence::new(at, "look", "", Health::Unknown, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_engine::testing::{command_spec, manifest, serving};

    #[test]
    fn what_serves_is_held_against_what_should() {
        let should = serving(&manifest(1, &[], &command_spec())).into_values().next().expect("one");
        let look = |version: Option<&str>, traffic, is_changing| {
            let mut evidence = unknown(Timestamp(1), "it answers".to_owned());
            evidence.health = Health::Healthy;
            let version = version.map(|version| version.parse().expect("valid"));
            let seen =
                Observation { at: Timestamp(1), revision: None, version, traffic, evidence, given_up: None };
            let evidence = against(&should, seen, is_changing);
            (evidence.health, evidence.reason)
        };
        let seen = |version, traffic| look(version, traffic, false);
        assert_eq!(look(Some("2.0"), None, true).0, Health::Healthy, "a deployment brings it just now");
        assert_eq!(seen(Some("0.9.0"), None), (Health::Healthy, "it answers".to_owned()));
        assert_eq!(seen(Some("0.9.0"), Some(100)).0, Health::Healthy);
        let drifted = (Health::Unhealthy, "2.0 serves, and 0.9.0 should".to_owned());
        assert_eq!(seen(Some("2.0"), Some(100)), drifted);
        assert_eq!(seen(None, None), (Health::Unhealthy, "nothing serves, and 0.9.0 should".to_owned()));
        assert_eq!(seen(Some("0.9.0"), Some(40)).0, Health::Degraded);
        assert_eq!(seen(Some("0.9.0"), Some(0)).0, Health::Unhealthy);
    }

    #[test]
    fn looks_before_a_restart_go_on_in_those_after_it() {
        let serving = serving(&manifest(1, &[], &command_spec())).into_values().next().expect("one");
        let slot = Slot {
            project: "shop".parse().expect("valid"),
            environment: "demo".parse().expect("valid"),
            service: "web".parse().expect("valid"),
        };
        let monitor = Monitor::default();
        let check = |at| CheckView { at: Timestamp(at), health: Health::Healthy, latency_ms: 1 };
        let kept = (1..=CHECKS_SHOWN as i64).map(check).collect();
        lock(&monitor.0.before).insert(slot.clone(), kept);
        assert_eq!(monitor.checks(&slot).len(), CHECKS_SHOWN, "before anything was looked at");
        let evidence = unknown(Timestamp(99), "nobody answered".to_owned());
        monitor.keep_seen(slot.clone(), Seen { serving, evidence });
        let times: Vec<i64> = monitor.checks(&slot).iter().map(|check| check.at.0).collect();
        assert_eq!((times.len(), times[0], times[CHECKS_SHOWN - 1]), (CHECKS_SHOWN, 2, 99));
    }
}
