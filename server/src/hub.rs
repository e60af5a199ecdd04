//! The agents' side of the coordinator: orders go out over the agent's socket and their outcomes
//! come back, whatever happens to the connection in between. Knows nothing about what orders mean.

mod connection;
mod output;

use crate::secret;
use async_trait::async_trait;
use lockstep_engine::port::{Clock, Host, HostError, HostOrder, LogStore};
use lockstep_model::wire::{AgentFrame, CoordinatorFrame, OrderFrame, OrderKey, Outcome};
use output::Output;
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep, timeout},
};

/// Without a word from the agent for so long, what was ordered counts as unknown.
const LOST_AFTER: Duration = Duration::from_secs(60);
/// More orders at a time are refused.
const PENDING_MAX: usize = 20_000;
/// Frames that wait for a slow connection; beyond it the connection is given up and made anew.
const FRAMES_MAX: usize = 16_384;
/// The agent has this long to confirm that something is cancelled.
const CANCEL_LIMIT: Duration = Duration::from_secs(20);

/// An agent that is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// Its process.
    pub pid: u32,
    /// The version of its binary.
    pub version: String,
}

/// Speaks with the agent. Cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    installation: String,
    token: String,
    output: Output,
    state: Mutex<State>,
    connected: watch::Sender<Option<Connected>>,
    wanted: Notify,
    exits: Notify,
}

struct State {
    pending: BTreeMap<OrderKey, Pending>,
    link: Option<Link>,
    links: u64,
    heard: Instant,
}

struct Pending {
    frame: OrderFrame,
    since: Instant,
    answer: watch::Sender<Option<Result<Outcome, HostError>>>,
}

#[derive(Clone)]
struct Link {
    number: u64,
    frames: mpsc::Sender<CoordinatorFrame>,
}

impl Hub {
    /// A hub for the agents of an installation; output of steps goes to `logs`.
    pub fn new(installation: String, logs: Arc<dyn LogStore>, clock: Arc<dyn Clock>) -> Self {
        let hub = Self(Arc::new(Inner {
            installation,
            token: secret::random(),
            output: Output::new(logs, clock),
            state: Mutex::new(State {
                pending: BTreeMap::new(),
                link: None,
                links: 0,
                heard: Instant::now(),
            }),
            connected: watch::channel(None).0,
            wanted: Notify::new(),
            exits: Notify::new(),
        }));
        tokio::spawn(give_up_lost(Arc::downgrade(&hub.0)));
        hub
    }

    /// What lets an agent in; new at each start.
    pub fn token(&self) -> &str {
        &self.0.token
    }

    /// The installation whose agents are let in.
    pub fn installation(&self) -> &str {
        &self.0.installation
    }

    /// The agent that is connected, now and whenever that changes.
    pub fn connected(&self) -> watch::Receiver<Option<Connected>> {
        self.0.connected.subscribe()
    }

    /// Returns when an order waits for an agent that is not there.
    pub async fn wanted(&self) {
        self.0.wanted.notified().await;
    }

    /// Returns when a kept process has ended by itself.
    pub async fn exited(&self) {
        self.0.exits.notified().await;
    }

    /// Whether no order that changes something is under way.
    pub fn is_idle(&self) -> bool {
        self.0.lock().pending.is_empty()
    }

    /// Orders under way.
    pub fn pending(&self) -> usize {
        self.0.lock().pending.len()
    }

    /// Tells the agent to end, with or without all that it keeps, and waits until it is gone.
    pub async fn shutdown(&self, services: bool, limit: Duration) -> bool {
        let link = self.0.lock().link.clone();
        let Some(link) = link else { return true };
        if link.frames.send(CoordinatorFrame::Shutdown { services }).await.is_err() {
            return true;
        }
        let mut connected = self.connected();
        timeout(limit, connected.wait_for(Option::is_none)).await.is_ok()
    }
}

#[async_trait]
impl Host for Hub {
    async fn order(&self, order: HostOrder) -> Result<Outcome, HostError> {
        let HostOrder { key, deployment, epoch, order } = order;
        let frame = OrderFrame { key: key.clone(), deployment, epoch, order };
        let mut answer = match self.0.add(frame) {
            Ok(answer) => answer,
            Err(message) => return Ok(Outcome::Failed { message }),
        };
        let answered = answer.wait_for(Option::is_some).await.map(|answer| answer.clone());
        answered.ok().flatten().unwrap_or(Err(HostError::Cancelled { key }))
    }

    async fn cancel(&self, prefix: &str) {
        let under_way = self.0.cancel(prefix);
        let all = async {
            for mut answer in under_way {
                // An error means that it is answered and forgotten.
                let _ = answer.wait_for(Option::is_some).await;
            }
        };
        let _ = timeout(CANCEL_LIMIT, all).await;
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock still holds a whole value: every section only inserts or removes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an order up, or joins the one with the same key.
    fn add(&self, frame: OrderFrame) -> Result<watch::Receiver<Option<Result<Outcome, HostError>>>, String> {
        let mut state = self.lock();
        if let Some(pending) = state.pending.get(&frame.key) {
            return Ok(pending.answer.subscribe());
        }
        if state.pending.len() >= PENDING_MAX {
            return Err(format!("{PENDING_MAX} orders are under way already; try again later"));
        }
        let (answer, receiver) = watch::channel(None);
        state.send(CoordinatorFrame::Order(frame.clone()));
        if state.link.is_none() {
            self.wanted.notify_one();
        }
        state.pending.insert(frame.key.clone(), Pending { frame, since: Instant::now(), answer });
        Ok(receiver)
    }

    fn cancel(&self, prefix: &str) -> Vec<watch::Receiver<Option<Result<Outcome, HostError>>>> {
        let mut state = self.lock();
        let from = Bound::Included(OrderKey(prefix.to_owned()));
        let found: Vec<_> = state
            .pending
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| key.0.starts_with(prefix))
            .map(|(key, pending)| (key.clone(), pending.answer.subscribe()))
            .collect();
        found
            .into_iter()
            .map(|(key, answer)| {
                state.send(CoordinatorFrame::CancelOrder { key });
                answer
            })
            .collect()
    }

    /// A new connection: it takes the place of the one before, and gets all that waits.
    fn attach(&self, agent: Connected) -> (u64, mpsc::Receiver<CoordinatorFrame>) {
        let (frames, receiver) = mpsc::channel(FRAMES_MAX + PENDING_MAX);
        let mut state = self.lock();
        state.links += 1;
        let number = state.links;
        state.link = Some(Link { number, frames });
        state.heard = Instant::now();
        let waiting: Vec<OrderFrame> = state.pending.values().map(|pending| pending.frame.clone()).collect();
        for frame in waiting {
            state.send(CoordinatorFrame::Order(frame));
        }
        drop(state);
        self.connected.send_replace(Some(agent));
        (number, receiver)
    }

    fn detach(&self, number: u64) {
        let mut state = self.lock();
        if state.link.as_ref().is_some_and(|link| link.number == number) {
            state.link = None;
            drop(state);
            self.connected.send_replace(None);
        }
    }

    fn heard(&self) {
        self.lock().heard = Instant::now();
    }

    /// What an agent says.
    async fn received(&self, frame: AgentFrame, number: u64) {
        self.heard();
        match frame {
            AgentFrame::Outcome { key, outcome } => {
                let pending = self.lock().pending.remove(&key);
                let is_change = pending.as_ref().is_none_or(|pending| pending.frame.order.is_change());
                if let Some(pending) = pending {
                    pending.answer.send_replace(Some(Ok(outcome)));
                }
                if is_change {
                    let link = self.lock().link.clone().filter(|link| link.number == number);
                    self.output.end(key, link.map(|link| link.frames)).await;
                }
            }
            AgentFrame::Output { key, offset, text } => self.output.text(key, offset, text).await,
            AgentFrame::Exited { revision, exit, restarts, .. } => {
                let then = if restarts { "it is started again" } else { "it is not started again" };
                tracing::warn!(revision.id = %revision, "{revision} has ended by itself: {exit}; {then}");
                self.exits.notify_waiters();
            }
            AgentFrame::Alive => {}
            AgentFrame::Hello { .. } => tracing::warn!("an agent greeted twice"),
        }
    }

    fn give_up_lost(&self) {
        let mut state = self.lock();
        let now = Instant::now();
        let heard = state.heard;
        let silent = |pending: &Pending| now.duration_since(heard.max(pending.since));
        let lost: Vec<OrderKey> = state
            .pending
            .iter()
            .filter(|(_, pending)| silent(pending) >= LOST_AFTER)
            .map(|(key, _)| key.clone())
            .collect();
        for key in lost {
            if let Some(pending) = state.pending.remove(&key) {
                let silent_ms = u64::try_from(silent(&pending).as_millis()).unwrap_or(u64::MAX);
                pending.answer.send_replace(Some(Err(HostError::Lost { key, silent_ms })));
            }
        }
    }
}

impl State {
    /// A frame that finds no room ends the connection; the agent dials again and gets everything
    /// anew.
    fn send(&mut self, frame: CoordinatorFrame) {
        if let Some(link) = &self.link
            && link.frames.try_send(frame).is_err()
        {
            tracing::warn!("the agent does not read; its connection is made anew");
            self.link = None;
        }
    }
}

async fn give_up_lost(inner: std::sync::Weak<Inner>) {
    loop {
        sleep(Duration::from_secs(1)).await;
        let Some(inner) = inner.upgrade() else { return };
        inner.give_up_lost();
    }
}
