//! What must survive the agent's own end: the highest epoch of each deployment, what was cancelled,
//! and the outcome of every order that changed something. Appended and synced, many entries with one sync, before
//! anybody hears of them.

use crate::{AgentError, folder, lock};
use lockstep_model::{
    DeploymentId, Epoch,
    wire::{OrderKey, Outcome},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Outcomes that the coordinator has are kept for repeated keys, so many.
const ACKNOWLEDGED_MAX: usize = 50_000;
/// Cancelled prefixes are kept for orders that come late, so many.
const CANCELLED_MAX: usize = 50_000;
/// How many entries may wait for the next sync.
const QUEUE_MAX: usize = 4_096;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Entry {
    Epoch { deployment: DeploymentId, epoch: Epoch },
    Done { key: OrderKey, outcome: Outcome },
    Acknowledged { key: OrderKey },
    CancelledBelow { prefix: String },
}

#[derive(Debug, Default)]
struct Known {
    /// What is durable.
    epochs: HashMap<DeploymentId, Epoch>,
    /// What was seen, on its way to the disk perhaps: from now on a lower one is refused.
    seen: HashMap<DeploymentId, Epoch>,
    cancelled: HashSet<String>,
    cancelled_in_order: VecDeque<String>,
    done: HashMap<OrderKey, Outcome>,
    acknowledged: VecDeque<OrderKey>,
    unacknowledged: Vec<OrderKey>,
}

impl Known {
    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Epoch { deployment, epoch } => {
                for epochs in [&mut self.epochs, &mut self.seen] {
                    let known = epochs.entry(deployment).or_default();
                    *known = epoch.max(*known);
                }
            }
            Entry::Done { key, outcome } => {
                if self.done.insert(key.clone(), outcome).is_none() {
                    self.unacknowledged.push(key);
                }
            }
            Entry::CancelledBelow { prefix } => {
                if self.cancelled.insert(prefix.clone()) {
                    self.cancelled_in_order.push_back(prefix);
                }
                while self.cancelled_in_order.len() > CANCELLED_MAX {
                    if let Some(oldest) = self.cancelled_in_order.pop_front() {
                        self.cancelled.remove(&oldest);
                    }
                }
            }
            Entry::Acknowledged { key } => {
                if let Some(place) = self.unacknowledged.iter().position(|known| *known == key) {
                    self.unacknowledged.swap_remove(place);
                    self.acknowledged.push_back(key);
                }
                while self.acknowledged.len() > ACKNOWLEDGED_MAX {
                    if let Some(oldest) = self.acknowledged.pop_front() {
                        self.done.remove(&oldest);
                    }
                }
            }
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let epochs = self
            .epochs
            .iter()
            .map(|(deployment, epoch)| Entry::Epoch { deployment: *deployment, epoch: *epoch });
        let keys = self.acknowledged.iter().chain(&self.unacknowledged);
        let done = keys.filter_map(|key| {
            self.done.get(key).map(|outcome| Entry::Done { key: key.clone(), outcome: outcome.clone() })
        });
        let acknowledged = self.acknowledged.iter().map(|key| Entry::Acknowledged { key: key.clone() });
        let cancelled =
            self.cancelled_in_order.iter().map(|prefix| Entry::CancelledBelow { prefix: prefix.clone() });
        epochs.chain(done).chain(acknowledged).chain(cancelled).collect()
    }
}

type Waiting = (Vec<u8>, oneshot::Sender<()>);

/// The ledger. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    known: Arc<Mutex<Known>>,
    writer: mpsc::Sender<Waiting>,
}

impl Ledger {
    /// Reads the ledger, writes it anew without what is not needed, and keeps it open. A last line
    /// that was cut off by a crash was never answered for, and is left out.
    pub(crate) fn open(path: &Path) -> Result<Self, AgentError> {
        let failed = |source| AgentError::Folder { path: path.to_owned(), source };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        let mut known = Known::default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines().filter(|line| !line.is_empty()) {
            let entry = serde_json::from_str(line)
                .map_err(|source| AgentError::Damaged { path: path.to_owned(), source })?;
            known.apply(entry);
        }
        let compact: Vec<u8> = known.entries().iter().flat_map(to_line).collect();
        folder::replace(path, &compact, true).map_err(failed)?;
        let file = OpenOptions::new().append(true).mode(0o600).open(path).map_err(failed)?;
        let (writer, queue) = mpsc::channel(QUEUE_MAX);
        let path = path.to_owned();
        std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write_all(file, &path, queue))
            .map_err(failed)?;
        Ok(Self { known: Arc::new(Mutex::new(known)), writer })
    }

    /// The outcome of an order that was carried out.
    pub(crate) fn outcome(&self, key: &OrderKey) -> Option<Outcome> {
        lock(&self.known).done.get(key).cloned()
    }

    /// Outcomes that the coordinator may not have.
    pub(crate) fn unacknowledged(&self) -> Vec<(OrderKey, Outcome)> {
        let known = lock(&self.known);
        let with_outcome = |key: &OrderKey| Some((key.clone(), known.done.get(key)?.clone()));
        known.unacknowledged.iter().filter_map(with_outcome).collect()
    }

    /// Sees an epoch: from now on lower ones are refused. True when it is durable already; the
    /// highest that was seen when it is lower.
    pub(crate) fn see(&self, deployment: DeploymentId, epoch: Epoch) -> Result<bool, Epoch> {
        let mut known = lock(&self.known);
        let is_durable = known.epochs.get(&deployment).is_some_and(|durable| *durable >= epoch);
        let seen = known.seen.entry(deployment).or_default();
        if epoch < *seen {
            return Err(*seen);
        }
        *seen = epoch;
        Ok(is_durable || epoch == Epoch(0))
    }

    /// Lets an epoch in, and returns when that is durable; the highest that was seen when it is lower,
    /// also when a higher one came meanwhile.
    pub(crate) async fn admit(&self, deployment: DeploymentId, epoch: Epoch) -> Result<(), Epoch> {
        while !self.see(deployment, epoch)? {
            self.append(Entry::Epoch { deployment, epoch }).await;
        }
        Ok(())
    }

    /// Refuses orders below a prefix from now on; durable after [`Ledger::cancelled_below`].
    pub(crate) fn refuse_below(&self, prefix: &str) {
        lock(&self.known).apply(Entry::CancelledBelow { prefix: prefix.to_owned() });
    }

    /// Keeps that everything below a prefix is cancelled; durable when this returns.
    pub(crate) async fn cancelled_below(&self, prefix: String) {
        self.append(Entry::CancelledBelow { prefix }).await;
    }

    /// Whether an order is below something that was cancelled.
    pub(crate) fn is_cancelled(&self, key: &OrderKey) -> bool {
        let known = lock(&self.known);
        key.0.match_indices('/').any(|(place, _)| known.cancelled.contains(&key.0[..=place]))
    }

    /// Keeps an outcome; durable when this returns.
    pub(crate) async fn done(&self, key: OrderKey, outcome: Outcome) {
        self.append(Entry::Done { key, outcome }).await;
    }

    /// Notes that the coordinator has an outcome. Need not be durable: it would be sent again.
    pub(crate) async fn acknowledged(&self, key: OrderKey) {
        let entry = Entry::Acknowledged { key };
        let line = to_line(&entry);
        lock(&self.known).apply(entry);
        let _ = self.writer.send((line, oneshot::channel().0)).await;
    }

    async fn append(&self, entry: Entry) {
        let (synced, wait) = oneshot::channel();
        let line = to_line(&entry);
        if self.writer.send((line, synced)).await.is_ok() {
            let _ = wait.await;
        }
        lock(&self.known).apply(entry);
    }
}

fn to_line(entry: &Entry) -> Vec<u8> {
    let mut line = serde_json::to_vec(entry).expect("plain values have a JSON form");
    line.push(b'\n');
    line
}

fn write_all(mut file: File, path: &Path, mut queue: mpsc::Receiver<Waiting>) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while let Ok(next) = queue.try_recv() {
            batch.push(next);
        }
        let bytes: Vec<u8> = batch.iter().flat_map(|(line, _)| line.iter().copied()).collect();
        // Whoever waits must not go on without it: a full disk holds orders up, and loses none.
        while let Err(error) = append(&mut file, &bytes) {
            tracing::error!("the ledger {} cannot be written, trying again: {error}", path.display());
            std::thread::sleep(Duration::from_secs(1));
        }
        for (_, synced) in batch {
            let _ = synced.send(());
        }
    }
}

/// All of it or none: a part that was written before an error is cut off again.
fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(bytes).and_then(|()| file.sync_data()).inspect_err(|_| {
        let _ = file.set_len(before);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> OrderKey {
        OrderKey(text.to_owned())
    }

    #[tokio::test]
    async fn epochs_and_outcomes_survive_and_a_cut_line_does_not_matter() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.jsonl");
        let ledger = Ledger::open(&path).expect("opens");
        assert!(ledger.admit(DeploymentId(1), Epoch(2)).await.is_ok());
        ledger.done(key("a"), Outcome::Cancelled).await;
        ledger.done(key("b"), Outcome::Cancelled).await;
        ledger.acknowledged(key("a")).await;
        ledger.done(key("c"), Outcome::Cancelled).await;
        drop(ledger);
        let mut file = OpenOptions::new().append(true).open(&path).expect("opens");
        file.write_all(b"{\"type\":\"done\",\"key\":\"d").expect("writes");

        let again = Ledger::open(&path).expect("opens again");
        assert_eq!(again.admit(DeploymentId(1), Epoch(1)).await, Err(Epoch(2)));
        assert_eq!(again.outcome(&key("a")), Some(Outcome::Cancelled));
        assert_eq!(again.outcome(&key("d")), None);
        let open: Vec<OrderKey> = again.unacknowledged().into_iter().map(|(key, _)| key).collect();
        assert_eq!(open, [key("b"), key("c")]);
    }

    #[tokio::test]
    async fn h6_of_two_epochs_that_race_only_the_higher_one_gets_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.jsonl");
        let ledger = Ledger::open(&path).expect("opens");
        for round in 0..50 {
            let (one, lower, higher) = (DeploymentId(round), Epoch(1), Epoch(2));
            // The first half of the lower one is done before the higher one comes, its second after.
            let (first, second) = tokio::join!(ledger.admit(one, lower), ledger.admit(one, higher));
            // Unless it was in altogether before the higher one came.
            assert!(first == Err(higher) || first == Ok(()), "round {round}: {first:?}");
            assert_eq!(second, Ok(()), "round {round}");
            assert_eq!(ledger.admit(one, lower).await, Err(higher), "round {round}");
        }
        drop(ledger);
        let again = Ledger::open(&path).expect("opens again");
        assert_eq!(again.admit(DeploymentId(7), Epoch(1)).await, Err(Epoch(2)));
    }

    #[tokio::test]
    async fn what_was_cancelled_stays_so_for_the_next_agent_and_is_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.jsonl");
        let ledger = Ledger::open(&path).expect("opens");
        ledger.cancelled_below("d1/shop.replace/1/".to_owned()).await;
        drop(ledger);
        for again in 0..2 {
            let ledger = Ledger::open(&path).expect("opens again");
            assert!(ledger.is_cancelled(&key("d1/shop.replace/1/deploy")), "{again}");
            assert!(!ledger.is_cancelled(&key("d1/shop.replace/2/deploy")), "{again}");
            assert!(!ledger.is_cancelled(&key("d1/shop.replace/1")), "{again}");
            assert!(!ledger.is_cancelled(&key("d11/shop.replace/1/deploy")), "{again}");
        }
    }

    #[tokio::test]
    async fn a_ledger_that_cannot_be_read_is_refused_with_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.jsonl");
        std::fs::write(&path, "no json\n").expect("writes");
        assert!(matches!(Ledger::open(&path), Err(AgentError::Damaged { .. })));
    }
}
