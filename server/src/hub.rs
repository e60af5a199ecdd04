//! The agents' side of the coordinator: orders go out over the agent's socket and their outcomes
//! come back, whatever happens to the connection in between. Knows nothing about what orders mean.

mod cancels;
mod connection;
mod output;
#[cfg(test)]
mod replacement;
#[cfg(test)]
mod tests;

use crate::secret;
use async_trait::async_trait;
use cancels::Cancels;
use lockstep_engine::port::{Clock, Host, HostCancel, HostError, HostOrder, LogStore, Stopped};
use lockstep_model::{
    Epoch,
    wire::{AgentFrame, CoordinatorFrame, OrderFrame, OrderKey, Outcome},
};
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

/// Without a word from the agent for so long, what was ordered counts as unknown: with the second in
/// which it is noticed well under the minute in which an operator hears of it.
const LOST_AFTER: Duration = Duration::from_secs(45);
/// More orders at a time are refused.
const PENDING_MAX: usize = 20_000;
/// Frames that wait for a slow connection; beyond it the connection is given up and made anew.
const FRAMES_MAX: usize = 16_384;

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
    cancels: Cancels,
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
                cancels: Cancels::default(),
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
        let state = self.0.lock();
        state.pending.is_empty() && !state.cancels.is_waited_for()
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

    async fn cancel(&self, cancel: HostCancel) -> Stopped {
        let mut answer = self.0.cancel(cancel);
        let answered = answer.wait_for(Option::is_some).await.map(|answer| *answer);
        answered.ok().flatten().unwrap_or(Stopped::Unconfirmed)
    }

    /// What it carries has its values already.
    async fn secrets_try(
        &self,
        _: &lockstep_model::gateway::Slot,
        _: &lockstep_model::secrets::SecretSources,
    ) -> Result<(), String> {
        Ok(())
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
        if let Some(pending) = state.pending.get_mut(&frame.key) {
            let answer = pending.answer.subscribe();
            if frame.epoch > pending.frame.epoch {
                // Taken up again by a later owner: the agent is to hear of it.
                pending.frame = frame.clone();
                state.send(CoordinatorFrame::Order(frame));
            }
            return Ok(answer);
        }
        if state.cancels.is_below(&frame.key) {
            let error = HostError::Cancelled { key: frame.key };
            return Ok(watch::channel(Some(Err(error))).1);
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

    /// Takes a cancel up, or joins the one of the same prefix. The agent is asked whether or not this
    /// hub knows of orders below it: one before this may have given them.
    fn cancel(&self, cancel: HostCancel) -> watch::Receiver<Option<Stopped>> {
        let mut state = self.lock();
        let answer = state.cancels.add(cancel.clone(), Instant::now());
        state.send(frame_of(cancel));
        if state.link.is_none() {
            self.wanted.notify_one();
        }
        answer
    }

    /// The agent's word on a cancel: what was ordered below it will have no other outcome.
    fn cancelled(&self, prefix: &str, stale: Option<Epoch>) {
        let mut state = self.lock();
        if let Some(seen) = stale {
            tracing::warn!("the agent stopped nothing below {prefix}: another coordinator has epoch {seen}");
        }
        state.cancels.answered(prefix, stale.is_none());
        let from = Bound::Included(OrderKey(prefix.to_owned()));
        let below: Vec<OrderKey> = state
            .pending
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| stale.is_none() && key.0.starts_with(prefix))
            .map(|(key, _)| key.clone())
            .collect();
        for key in below {
            if let Some(pending) = state.pending.remove(&key) {
                pending.answer.send_replace(Some(Err(HostError::Cancelled { key })));
            }
        }
    }

    /// A new connection: it takes the place of the one before, and gets all that waits, what was
    /// cancelled before what was ordered.
    fn attach(&self, agent: Connected) -> (u64, mpsc::Receiver<CoordinatorFrame>) {
        let (frames, receiver) = mpsc::channel(FRAMES_MAX + PENDING_MAX + cancels::CANCELS_MAX);
        let mut state = self.lock();
        state.links += 1;
        let number = state.links;
        state.link = Some(Link { number, frames });
        state.heard = Instant::now();
        for cancel in state.cancels.all() {
            state.send(frame_of(cancel));
        }
        let waiting: Vec<OrderFrame> = state
            .pending
            .iter()
            .filter(|(key, _)| !state.cancels.is_below(key))
            .map(|(_, pending)| pending.frame.clone())
            .collect();
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
            AgentFrame::CancelledBelow { prefix, stale } => self.cancelled(&prefix, stale),
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
                // It may be carried out all the same: it is ended when its agent is back.
                if let Some(cancel) = cancel_of(&pending.frame) {
                    state.cancels.remember(cancel, now);
                }
                pending.answer.send_replace(Some(Err(HostError::Lost { key, silent_ms })));
            }
        }
        state.cancels.give_up(now, now.duration_since(heard) >= LOST_AFTER);
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

/// What ends a change that nobody waits for any more, with all else of its attempt.
fn cancel_of(frame: &OrderFrame) -> Option<HostCancel> {
    let deployment = frame.deployment.filter(|_| frame.order.is_change())?;
    let (attempt, _) = frame.key.0.rsplit_once('/')?;
    Some(HostCancel { prefix: format!("{attempt}/"), deployment, epoch: frame.epoch })
}

fn frame_of(cancel: HostCancel) -> CoordinatorFrame {
    let HostCancel { prefix, deployment, epoch } = cancel;
    CoordinatorFrame::CancelBelow { prefix, deployment, epoch }
}

async fn give_up_lost(inner: std::sync::Weak<Inner>) {
    loop {
        sleep(Duration::from_secs(1)).await;
        let Some(inner) = inner.upgrade() else { return };
        inner.give_up_lost();
    }
}
