//! Performs the effects of one deployment, each in a task of its own, and feeds what came of them
//! back as commands. An effect may be performed again after a crash: the keys of its orders are
//! the same, so nothing is done twice. An undo and another try of a step begin only when the agent
//! has confirmed that nothing of what was tried before is carried out any more.

use crate::{Inner, worker::Message};
use lockstep_engine::{
    Command, Effect, EffectKey, StepOutcome, UndoOutcome,
    port::{Host, HostCancel, Job, Stopped, Target},
};
use lockstep_model::{
    Attempt, DeploymentId, Epoch,
    closing::CloseTo,
    deployment::{Deployment, StepState},
    event::Finding,
    plan::{Plan, PlannedStep, StepKind},
};
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

/// Why something may still be carried out.
const NOT_CONFIRMED: &str = "the agent did not confirm its end; see that the agent runs and what it does";
/// An undo gets this long beside the step's own limit: it also probes.
const UNDO_SLACK: Duration = Duration::from_secs(30);
/// A step that is taken up again has this long at least: what has ended meanwhile is told at once.
const LEFT_MIN: Duration = Duration::from_secs(5);
/// A target has this long to tell what became of a step. With the time after which an agent counts as
/// lost, somebody knows within a minute.
const PROBE_LIMIT: Duration = Duration::from_secs(12);

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
                Effect::RunStep { .. }
                | Effect::ProbeStep { .. }
                | Effect::UndoStep { .. }
                | Effect::Close { .. } => None,
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
                    let left = self.left(state, step, Duration::ZERO);
                    let before = before(attempt).map(|attempt| job.run_prefix_of(attempt));
                    let before = Before { prefixes: before.into_iter().collect(), left };
                    let task = run(self.inner.clone(), job, before, self.messages.clone(), effect.key());
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
                Effect::ProbeStep { step, attempt } => {
                    let job = self.job(state, step, attempt);
                    self.tasks.spawn(probe(self.inner.clone(), job, self.messages.clone(), effect.key()));
                }
                Effect::Close { service, attempt } => self.close(state, service, attempt),
                Effect::UndoStep { step, attempt } => {
                    let job = self.job(state, step, attempt);
                    let left = self.left(state, step, UNDO_SLACK);
                    let undone = before(attempt).map(|attempt| job.undo_prefix_of(attempt));
                    let run = may_run(state, step).map(|attempt| job.run_prefix_of(attempt));
                    let before = Before { prefixes: undone.into_iter().chain(run).collect(), left };
                    let undo = undo(self.inner.clone(), job, before, self.messages.clone(), effect.key());
                    self.tasks.spawn(undo);
                }
            }
        }
    }

    /// Closes what a service has left open, once nothing of it moves any more.
    fn close(&mut self, state: &Deployment, service: u32, attempt: Attempt) {
        let of_service = |planned: &PlannedStep| planned.service == service;
        let changes = (0u32..).zip(&state.plan.steps).filter(|(_, planned)| of_service(planned));
        let last = changes.filter(|(_, planned)| planned.kind.is_change()).map(|(step, _)| step).last();
        let to = state.closing.as_ref().and_then(|closing| closing.to(service));
        let (Some(step), Some(to)) = (last, to) else { return };
        let job = self.job(state, step, attempt);
        let mut prefixes: Vec<String> =
            before(attempt).map(|attempt| job.close_prefix_of(attempt)).into_iter().collect();
        for (step, planned) in (0u32..).zip(&state.plan.steps) {
            if of_service(planned) {
                let job = self.job(state, step, attempt);
                prefixes.extend(may_run(state, step).map(|attempt| job.run_prefix_of(attempt)));
                prefixes.extend(may_be_undone(state, step).map(|attempt| job.undo_prefix_of(attempt)));
            }
        }
        let left = Duration::from_millis(job.planned_step().timeout_ms) + UNDO_SLACK;
        let effect = Effect::Close { service, attempt };
        let before = Before { prefixes, left };
        let task = close(self.inner.clone(), job, (service, to), before, self.messages.clone(), effect.key());
        self.tasks.spawn(task);
    }

    /// Effects that may still be under way.
    pub(crate) fn outstanding(&self) -> Vec<EffectKey> {
        self.outstanding.iter().cloned().collect()
    }

    /// Has steps that are left out at the very end of a deployment stopped all the same; nobody waits
    /// for it.
    pub(crate) fn stop_late(&self, state: &Deployment, effects: &[Effect]) {
        for effect in effects {
            if let Effect::StopStep { step, attempt } = effect {
                let (inner, job) = (self.inner.clone(), self.job(state, *step, *attempt));
                self.inner.spawn(async move {
                    let _ = cancel(&inner, &job, job.run_prefix()).await;
                });
            }
        }
    }

    /// Ends all tasks. Orders that an agent carries out are not cancelled: a finished deployment
    /// has none but late ones, and a given-up one belongs to somebody else.
    pub(crate) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// How long a step's last try may still take: what a coordinator before this one let it run counts.
    fn left(&self, state: &Deployment, step: u32, slack: Duration) -> Duration {
        let planned = &state.plan.steps[step as usize];
        let whole = Duration::from_millis(planned.timeout_ms) + slack;
        // It goes on from where it began, and looks a few times more: nobody looked in between.
        if planned.kind == StepKind::Watch {
            return whole;
        }
        let now = self.inner.dependencies.clock.now();
        let since = state.steps[step as usize].last().map_or(now, |last| last.started_at);
        whole.saturating_sub(Duration::from_millis(now.since_ms(since))).max(LEFT_MIN)
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
            begun_ms: state.steps[step as usize]
                .last()
                .map_or(0, |last| self.inner.dependencies.clock.now().since_ms(last.started_at)),
        }
    }
}

/// What must be over before something begins, and how long it may take then.
struct Before {
    prefixes: Vec<String>,
    left: Duration,
}

/// The attempt before one, if any.
fn before(attempt: Attempt) -> Option<Attempt> {
    attempt.0.checked_sub(1).filter(|before| *before > 0).map(Attempt)
}

/// The last try of a step, unless it came to a good end: all that it ordered is answered then.
fn may_run(state: &Deployment, step: u32) -> Option<Attempt> {
    let status = state.steps.get(step as usize)?;
    let last = status.tries.iter().rev().find(|one| !one.is_undo)?;
    (last.state != StepState::Succeeded).then_some(Attempt(last.attempt))
}

/// The last try of a step's undo, unless it came to a good end.
fn may_be_undone(state: &Deployment, step: u32) -> Option<Attempt> {
    let status = state.steps.get(step as usize)?;
    let last = status.tries.iter().rev().find(|one| one.is_undo)?;
    (last.state != StepState::Undone).then_some(Attempt(last.attempt))
}

async fn cancel(inner: &Inner, job: &Job, prefix: String) -> Stopped {
    let cancel = HostCancel { prefix, deployment: job.deployment, epoch: job.epoch };
    inner.host.cancel(cancel).await
}

/// Has the agent confirm that nothing below the prefixes is carried out any more.
///
/// # Errors
/// Why nothing may begin, in one sentence.
async fn nothing_runs(inner: &Inner, job: &Job, prefixes: Vec<String>) -> Result<(), String> {
    for prefix in prefixes {
        match cancel(inner, job, prefix).await {
            Stopped::Confirmed => {}
            Stopped::Unconfirmed => {
                return Err(format!(
                    "nothing was begun, for what was tried before may still be carried out: {NOT_CONFIRMED}"
                ));
            }
        }
    }
    Ok(())
}

async fn run(inner: Arc<Inner>, job: Job, before: Before, messages: mpsc::Sender<Message>, key: EffectKey) {
    let (step, attempt) = (job.step, job.attempt);
    let limit_ms = job.planned_step().timeout_ms;
    let target: &dyn Target = &*inner.dependencies.target;
    let host: &dyn Host = &inner.host;
    let work = async { timeout(before.left, target.run(&job, host)).await };
    let outcome = match nothing_runs(&inner, &job, before.prefixes).await {
        Err(reason) => StepOutcome::NotStopped { reason },
        Ok(()) => match work.await {
            Ok(outcome) => outcome,
            Err(_) => {
                let reason = format!("{} took longer than its limit of {limit_ms} ms", job.planned_step().id);
                match cancel(&inner, &job, job.run_prefix()).await {
                    Stopped::Confirmed => StepOutcome::Failed { reason, evidence: Vec::new() },
                    Stopped::Unconfirmed => {
                        StepOutcome::NotStopped { reason: format!("{reason}, and {NOT_CONFIRMED}") }
                    }
                }
            }
        },
    };
    let command = Command::FinishStep { step, attempt, outcome };
    // The worker is gone only when the deployment is over or no longer ours.
    let _ = messages.send(Message::outcome(command, vec![key])).await;
}

async fn stop(inner: Arc<Inner>, job: Job, messages: mpsc::Sender<Message>, done: Vec<EffectKey>) {
    let outcome = match cancel(&inner, &job, job.run_prefix()).await {
        Stopped::Confirmed => StepOutcome::Unknown { reason: "it was told to stop".to_owned() },
        Stopped::Unconfirmed => {
            StepOutcome::NotStopped { reason: format!("it was told to stop, and {NOT_CONFIRMED}") }
        }
    };
    let command = Command::FinishStep { step: job.step, attempt: job.attempt, outcome };
    let _ = messages.send(Message::outcome(command, done)).await;
}

/// Ends what may be left of the attempt and asks what became of it.
async fn probe(inner: Arc<Inner>, job: Job, messages: mpsc::Sender<Message>, key: EffectKey) {
    let (step, attempt) = (job.step, job.attempt);
    let target: &dyn Target = &*inner.dependencies.target;
    let host: &dyn Host = &inner.host;
    let asked = async {
        // What is found must not change afterwards.
        match cancel(&inner, &job, job.run_prefix()).await {
            Stopped::Confirmed => target.probe(&job, host).await,
            Stopped::Unconfirmed => Finding::CannotTell { reason: NOT_CONFIRMED.to_owned() },
        }
    };
    let finding = match timeout(PROBE_LIMIT, asked).await {
        Ok(finding) => finding,
        Err(_) => {
            // Nobody waits for it: an operator is to hear of the step now.
            let (late, asked) = (inner.clone(), job.clone());
            inner.spawn(async move {
                let _ = cancel(&late, &asked, asked.probe_prefix()).await;
            });
            Finding::CannotTell { reason: format!("no answer within {} s", PROBE_LIMIT.as_secs()) }
        }
    };
    let command = Command::FinishProbe { step, attempt, finding };
    let _ = messages.send(Message::outcome(command, vec![key])).await;
}

async fn close(
    inner: Arc<Inner>,
    job: Job,
    (service, to): (u32, CloseTo),
    before: Before,
    messages: mpsc::Sender<Message>,
    key: EffectKey,
) {
    let target: &dyn Target = &*inner.dependencies.target;
    let host: &dyn Host = &inner.host;
    let outcome = match nothing_runs(&inner, &job, before.prefixes).await {
        Err(reason) => Err(reason),
        Ok(()) => match timeout(before.left, target.close(&job, to, host)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("it was not closed within {} s", before.left.as_secs())),
        },
    };
    let command = Command::FinishClose { service, attempt: job.attempt, outcome };
    let _ = messages.send(Message::outcome(command, vec![key])).await;
}

async fn undo(inner: Arc<Inner>, job: Job, before: Before, messages: mpsc::Sender<Message>, key: EffectKey) {
    let (step, attempt) = (job.step, job.attempt);
    let limit = Duration::from_millis(job.planned_step().timeout_ms) + UNDO_SLACK;
    let target: &dyn Target = &*inner.dependencies.target;
    let host: &dyn Host = &inner.host;
    let work = async { timeout(before.left, target.undo(&job, host)).await };
    let outcome = match nothing_runs(&inner, &job, before.prefixes).await {
        Err(reason) => UndoOutcome::Failed { reason, evidence: Vec::new() },
        Ok(()) => match work.await {
            Ok(outcome) => outcome,
            Err(_) => {
                // What it leaves is stopped before it is tried again.
                let _ = cancel(&inner, &job, job.undo_prefix()).await;
                let reason = format!("the undo took longer than its limit of {} s", limit.as_secs());
                UndoOutcome::Failed { reason, evidence: Vec::new() }
            }
        },
    };
    let command = Command::FinishUndo { step, attempt, outcome };
    let _ = messages.send(Message::outcome(command, vec![key])).await;
}
