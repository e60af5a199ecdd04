//! One worker a deployment: it folds all waiting commands into one transaction, and has the
//! effects of that transaction performed once it is durable. A worker that lost its ownership
//! stops without another word.

use crate::{Inner, Refused, SetAside, WorkerHandle, perform::Performer};
use lockstep_engine::{
    Command, Decision, Effect, EffectKey, IllegalEvent, advance, decide,
    port::{Commit, CommitError, CommitTo, StoreError, store::AuditEntry},
    rows::rows,
};
use lockstep_model::{
    DeploymentId, Epoch, Timestamp, access::Right, deployment::Deployment, event::Envelope,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

/// Commands that wait for a worker, at most; senders wait beyond it.
const MESSAGES_MAX: usize = 1_024;
/// Commands that go into one transaction, at most.
const BATCH_MAX: usize = 256;
/// How often limits are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Waits between tries while the store does not take anything.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Something for a worker.
pub(crate) struct Message {
    pub(crate) command: Command,
    pub(crate) audit: Option<AuditEntry>,
    /// By what others have a part in it: nothing of it holds when one of them is gone.
    pub(crate) rights: Vec<Right>,
    /// Effects whose outcome this is.
    pub(crate) done: Vec<EffectKey>,
    /// Whoever waits until it is durable.
    pub(crate) reply: Option<oneshot::Sender<Result<(), Refused>>>,
}

impl Message {
    /// What came of an effect.
    pub(crate) fn outcome(command: Command, done: Vec<EffectKey>) -> Self {
        Self { command, audit: None, rights: Vec::new(), done, reply: None }
    }

    /// Something that nobody waits for.
    pub(crate) fn silent(command: Command) -> Self {
        Self::outcome(command, Vec::new())
    }
}

struct Worker {
    inner: Arc<Inner>,
    id: DeploymentId,
    epoch: Epoch,
    state: Arc<Deployment>,
    published: watch::Sender<Arc<Deployment>>,
    performer: Performer,
}

/// What a batch comes to.
struct Draft {
    state: Deployment,
    events: Vec<Envelope>,
    effects: Vec<Effect>,
    done: Vec<EffectKey>,
    audit: Vec<AuditEntry>,
    rights: Vec<Right>,
    /// What it comes from: answered when it is durable, or tried again when it cannot be stored now.
    accepted: Vec<Message>,
}

impl Draft {
    fn take(&mut self, decision: Decision, now: Timestamp) -> Result<(), IllegalEvent> {
        for event in decision.events {
            let envelope = Envelope { seq: self.state.seq.next(), at: now, event };
            advance(&mut self.state, &envelope)?;
            self.events.push(envelope);
        }
        self.effects.extend(decision.effects);
        Ok(())
    }
}

enum Next {
    GoOn,
    /// The store took nothing; the outcomes wait here.
    TryAgain(Vec<Message>),
    End,
}

/// Takes a deployment into the care of a worker of its own. `pending` are effects that were
/// written and not finished.
pub(crate) fn spawn(
    inner: &Arc<Inner>,
    id: DeploymentId,
    epoch: Epoch,
    state: Deployment,
    pending: Vec<Effect>,
) {
    let (sender, messages) = mpsc::channel(MESSAGES_MAX);
    let state = Arc::new(state);
    let (published, subscribed) = watch::channel(state.clone());
    let handle = WorkerHandle {
        project: state.plan.project.clone(),
        environment: state.plan.environment.clone(),
        messages: sender.clone(),
        state: subscribed,
    };
    let performer = Performer::new(inner.clone(), id, epoch, sender);
    inner.worker_add(id, handle);
    let worker = Worker { inner: inner.clone(), id, epoch, state, published, performer };
    inner.spawn(worker.run(messages, pending));
}

impl Worker {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>, pending: Vec<Effect>) {
        let mut lost = self.inner.lease.losses();
        self.performer.resume(&self.state, pending);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut waiting: Vec<Message> = Vec::new();
        let mut retry_in = RETRY_FIRST;
        let mut retry_at: Option<Instant> = None;
        loop {
            let retry = async {
                match retry_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let mut batch = Vec::new();
            tokio::select! {
                received = messages.recv_many(&mut batch, BATCH_MAX) => {
                    if received == 0 {
                        break;
                    }
                }
                _ = lost.changed() => {
                    let id = self.id;
                    tracing::warn!(deployment.id = %id, "deployment {id} is let go of: the lease is lost");
                    break;
                }
                _ = ticks.tick(), if retry_at.is_none() => batch.push(Message::silent(Command::Proceed)),
                () = retry => {}
            }
            waiting.append(&mut batch);
            match self.handle(std::mem::take(&mut waiting)).await {
                Next::GoOn => {
                    retry_at = None;
                    retry_in = RETRY_FIRST;
                }
                Next::TryAgain(again) => {
                    waiting = again;
                    retry_at = Some(Instant::now() + retry_in);
                    retry_in = (retry_in * 2).min(RETRY_MAX);
                }
                Next::End => break,
            }
        }
        self.performer.stop().await;
        self.inner.worker_remove(self.id);
        self.inner.queue_nudge.notify_one();
    }

    async fn handle(&mut self, batch: Vec<Message>) -> Next {
        let now = self.inner.dependencies.clock.now();
        let mut draft = match self.draft(batch, now) {
            Ok(draft) => draft,
            Err(illegal) => {
                let id = self.id;
                tracing::error!(deployment.id = %id, "deployment {id} is set aside: decided what cannot be: {illegal}");
                let set_aside = SetAside {
                    project: self.state.plan.project.clone(),
                    environment: self.state.plan.environment.clone(),
                    phase: Some(self.state.phase),
                    problem: illegal.to_string(),
                };
                self.inner.quarantine(id, set_aside);
                return Next::End;
            }
        };
        if draft.events.is_empty() && draft.done.is_empty() {
            answer(draft.accepted, || Ok(()));
            return Next::GoOn;
        }
        let finished = draft.state.phase.is_final();
        if finished {
            // Nothing of a finished deployment may act any more.
            draft.done.extend(self.performer.outstanding());
        }
        let commit = Commit {
            to: CommitTo::Existing { id: self.id, epoch: self.epoch, after_seq: self.state.seq },
            rows: rows(self.id, &draft.state, &draft.events),
            events: draft.events,
            effects: draft.effects.clone(),
            done: draft.done,
            audit: draft.audit,
            rights: draft.rights,
            idempotency: None,
        };
        match self.inner.dependencies.store.commit(&commit).await {
            Ok(committed) => {
                self.state = Arc::new(draft.state);
                self.published.send_replace(self.state.clone());
                self.inner.changed(committed.position);
                answer(draft.accepted, || Ok(()));
                if finished {
                    self.performer.stop_late(&self.state, &draft.effects);
                    self.log_end();
                    return Next::End;
                }
                self.performer.perform(&self.state, draft.effects);
                Next::GoOn
            }
            Err(error) => self.not_committed(error, draft.accepted),
        }
    }

    /// Folds commands into one transaction; refusals are answered at once.
    fn draft(&self, batch: Vec<Message>, now: Timestamp) -> Result<Draft, IllegalEvent> {
        let mut draft = Draft {
            state: (*self.state).clone(),
            events: Vec::new(),
            effects: Vec::new(),
            done: Vec::new(),
            audit: Vec::new(),
            rights: Vec::new(),
            accepted: Vec::new(),
        };
        for message in batch {
            match decide(&draft.state, message.command.clone(), now) {
                Ok(decision) => {
                    draft.take(decision, now)?;
                    draft.done.extend(message.done.iter().cloned());
                    draft.audit.extend(message.audit.clone());
                    draft.rights.extend(message.rights.iter().cloned());
                    draft.accepted.push(message);
                }
                Err(refusal) => {
                    if let Some(reply) = message.reply {
                        let _ = reply.send(Err(refusal.into()));
                    }
                }
            }
        }
        while let Ok(decision) = decide(&draft.state, Command::Proceed, now) {
            if decision.is_nothing() {
                break;
            }
            draft.take(decision, now)?;
        }
        Ok(draft)
    }

    fn not_committed(&self, error: CommitError, accepted: Vec<Message>) -> Next {
        let message = error.to_string();
        match error {
            CommitError::StaleEpoch { .. } | CommitError::SeqConflict { .. } => {
                tracing::warn!(deployment.id = %self.id, "gave up deployment {}: {message}", self.id);
                answer(accepted, || Err(Refused::Conflict(message.clone())));
                Next::End
            }
            CommitError::EnvironmentBusy { .. } | CommitError::Replayed { .. } | CommitError::KeyReused => {
                answer(accepted, || Err(Refused::Conflict(message.clone())));
                Next::GoOn
            }
            // Whose right is gone is refused; what came together with it is folded anew without it.
            CommitError::Store(StoreError::Withdrawn { right }) => {
                let is_by_it = |one: &Message| {
                    let own = one.audit.as_ref().and_then(|audit| audit.right.as_ref());
                    own == Some(&right) || one.rights.contains(&right)
                };
                let (refused, again): (Vec<_>, Vec<_>) = accepted.into_iter().partition(is_by_it);
                answer(refused, || Err(Refused::Withdrawn(message.clone())));
                Next::TryAgain(again)
            }
            CommitError::Store(error) => {
                log_store_error(self.id, &error);
                let (outcomes, others): (Vec<_>, Vec<_>) =
                    accepted.into_iter().partition(|one| one.reply.is_none() && !one.done.is_empty());
                answer(others, || Err(Refused::Unavailable(message.clone())));
                Next::TryAgain(outcomes)
            }
        }
    }

    fn log_end(&self) {
        let (id, phase) = (self.id, self.state.phase);
        let clocks = self.state.clocks;
        let duration_ms = clocks.finished_at.map_or(0, |at| at.since_ms(clocks.requested_at));
        tracing::info!(
            deployment.id = %id,
            deployment.phase = phase.word(),
            duration_ms,
            "deployment {id} ({}) {phase} after {duration_ms} ms",
            self.state.plan.environment,
        );
    }
}

/// Answers whoever waits.
fn answer(messages: Vec<Message>, with: impl Fn() -> Result<(), Refused>) {
    for reply in messages.into_iter().filter_map(|message| message.reply) {
        // Whoever has gone needs no answer.
        let _ = reply.send(with());
    }
}

fn log_store_error(id: DeploymentId, error: &StoreError) {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    tracing::error!(deployment.id = %id, "deployment {id} waits, nothing is begun: {error}{cause}");
}
