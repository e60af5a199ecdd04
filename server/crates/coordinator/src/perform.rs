//! Performs the effects of one deployment, each in a task of its own, and feeds what came of them
//! back as commands. An effect may be performed again after a crash: the keys of its orders are
//! the same, so nothing is done twice.

use crate::{Inner, worker::Message};
use lockstep_engine::{
    Command, Effect, EffectKey, StepOutcome, UndoOutcome,
    port::{Job, Target},
};
use lockstep_model::{Attempt, DeploymentId, Epoch, deployment::Deployment, plan::Plan};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::timeout,
};

/// An undo gets this long beside the step's own limit: it also probes.
const UNDO_SLACK: Duration = Duration::from_secs(30);

/// Performs effects.
pub(crate) struct Performer {
    inner: Arc<Inner>,
    id: DeploymentId,
    epoch: Epoch,
    messages: mpsc::Sender<Message>,
    tasks: JoinSet<()>,
    /// Steps that are being carried out.
    running: BTreeMap<u32, AbortHandle>,
    /// Effects that were handed over and not known to be done.
    outstanding: BTreeSet<EffectKey>,
}

impl Performer {
    pub(crate) fn new(
        inner: Arc<Inner>,
        id: DeploymentId,
        epoch: Epoch,
        messages: mpsc::Sender<Message>,
    ) -> Self {
        Self {
            inner,
            id,
            epoch,
            messages,
            tasks: JoinSet::new(),
            running: BTreeMap::new(),
            outstanding: BTreeSet::new(),
        }
    }

    /// Takes up effects that were written before a crash. A step that was to be stopped is not
    /// begun again.
    pub(crate) fn resume(&mut self, state: &Deployment, pending: Vec<Effect>) {
        let stopped: BTreeSet<(u32, Attempt)> = pending
            .iter()
            .filter_map(|effect| match effect {
                Effect::StopStep { step, attempt } => Some((*step, *attempt)),
                Effect::RunStep { .. } | Effect::UndoStep { .. } => None,
            })
            .collect();
        let pending = pending
            .into_iter()
            .filter(|effect| {
                !matches!(effect, Effect::RunStep { step, attempt } if stopped.contains(&(*step, *attempt)))
            })
            .collect();
        self.perform(state, pending);
    }

    /// Begins effects. Never waits for them.
    pub(crate) fn perform(&mut self, state: &Deployment, effects: Vec<Effect>) {
        while self.tasks.try_join_next().is_some() {}
        for effect in effects {
            self.outstanding.insert(effect.key());
            match effect {
                Effect::RunStep { step, attempt } => {
                    let job = self.job(state, step, attempt);
                    let task = run(self.inner.clone(), job, self.messages.clone(), effect.key());
                    self.running.insert(step, self.tasks.spawn(task));
                }
                Effect::StopStep { step, attempt } => {
                    if let Some(task) = self.running.remove(&step) {
                        task.abort();
                    }
                    let job = self.job(state, step, attempt);
                    let done = vec![effect.key(), Effect::RunStep { step, attempt }.key()];
                    self.tasks.spawn(stop(self.inner.clone(), job, self.messages.clone(), done));
                }
                Effect::UndoStep { step, attempt } => {
                    let job = self.job(state, step, attempt);
                    self.tasks.spawn(undo(self.inner.clone(), job, self.messages.clone(), effect.key()));
                }
            }
        }
    }

    /// Effects that may still be under way.
    pub(crate) fn outstanding(&self) -> Vec<EffectKey> {
        self.outstanding.iter().cloned().collect()
    }

    /// Ends all tasks. Orders that an agent carries out are not cancelled: a finished deployment
    /// has none but late ones, and a given-up one belongs to somebody else.
    pub(crate) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    fn job(&self, state: &Deployment, step: u32, attempt: Attempt) -> Job {
        let plan: Arc<Plan> = state.plan.clone();
        let service = plan.steps[step as usize].service;
        Job {
            deployment: self.id,
            epoch: self.epoch,
            attempt,
            plan,
            step,
            checkpoint: state.checkpoints.get(&service).cloned(),
        }
    }
}

async fn run(inner: Arc<Inner>, job: Job, messages: mpsc::Sender<Message>, key: EffectKey) {
    let (step, attempt) = (job.step, job.attempt);
    let limit_ms = job.planned_step().timeout_ms;
    let target: &dyn Target = &*inner.dependencies.target;
    let host = &*inner.dependencies.host;
    let outcome = match timeout(Duration::from_millis(limit_ms), target.run(&job, host)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            host.cancel(&job.run_prefix()).await;
            let reason = format!("{} took longer than its limit of {} ms", job.planned_step().id, limit_ms);
            StepOutcome::Failed { reason, evidence: Vec::new() }
        }
    };
    let command = Command::FinishStep { step, attempt, outcome };
    // The worker is gone only when the deployment is over or no longer ours.
    let _ = messages.send(Message::outcome(command, vec![key])).await;
}

async fn stop(inner: Arc<Inner>, job: Job, messages: mpsc::Sender<Message>, done: Vec<EffectKey>) {
    inner.dependencies.host.cancel(&job.run_prefix()).await;
    let reason = "it was told to stop".to_owned();
    let outcome = StepOutcome::Unknown { reason };
    let command = Command::FinishStep { step: job.step, attempt: job.attempt, outcome };
    let _ = messages.send(Message::outcome(command, done)).await;
}

async fn undo(inner: Arc<Inner>, job: Job, messages: mpsc::Sender<Message>, key: EffectKey) {
    let (step, attempt) = (job.step, job.attempt);
    let limit = Duration::from_millis(job.planned_step().timeout_ms) + UNDO_SLACK;
    let target: &dyn Target = &*inner.dependencies.target;
    let host = &*inner.dependencies.host;
    let outcome = match timeout(limit, target.undo(&job, host)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            host.cancel(&job.undo_prefix()).await;
            let reason = format!("the undo took longer than its limit of {} s", limit.as_secs());
            UndoOutcome::Failed { reason, evidence: Vec::new() }
        }
    };
    let command = Command::FinishUndo { step, attempt, outcome };
    let _ = messages.send(Message::outcome(command, vec![key])).await;
}
