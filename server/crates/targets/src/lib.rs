//! Targets: the kinds of place a service can be deployed to. A step becomes orders for an agent
//! (start, stop, run, ask, route), and what comes back is judged here. Nothing is decided about the
//! deployment, nothing is remembered between two calls, and every order has a key that is the same
//! when a step is carried out again after a crash.
#![forbid(unsafe_code)]

mod checkpoint;
mod close;
mod command;
mod gate;
mod orders;
mod probe;
mod process;
mod traffic;

use async_trait::async_trait;
use lockstep_engine::{
    StepOutcome, UndoOutcome,
    port::{Host, Job, Observation, Target as TargetPort},
};
use lockstep_model::{
    closing::CloseTo,
    event::Finding,
    gateway::Slot,
    health::Evidence,
    manifest::{ServiceSpec, Target},
    plan::{Serving, Undo},
};
use orders::{Orders, Trouble};

/// All targets: each step goes to the kind that its service names.
#[derive(Debug, Clone, Copy, Default)]
pub struct Targets;

/// What a step found when it ended well.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) checkpoint: Option<lockstep_model::plan::Checkpoint>,
}

/// What goes into a journal.
fn kept(evidence: Vec<Evidence>) -> Vec<Evidence> {
    evidence.into_iter().map(Evidence::kept).collect()
}

#[async_trait]
impl TargetPort for Targets {
    async fn run(&self, job: &Job, host: &dyn Host) -> StepOutcome {
        let orders = Orders::of_step(job, host);
        let done = match &job.service().spec.target {
            Target::Process(process) => process::run(job, process, &orders).await,
            Target::Command(command) => command::run(job, command, &orders).await,
        };
        match done {
            Ok(Found { evidence, checkpoint }) => {
                StepOutcome::Succeeded { evidence: kept(evidence), checkpoint }
            }
            Err(Trouble::Failed { reason, evidence }) => {
                StepOutcome::Failed { reason, evidence: kept(evidence) }
            }
            Err(Trouble::Unknown { reason }) => StepOutcome::Unknown { reason },
        }
    }

    async fn probe(&self, job: &Job, host: &dyn Host) -> Finding {
        let orders = Orders::of_probe(job, host);
        let found = match &job.service().spec.target {
            Target::Process(process) => probe::process(job, process, &orders).await,
            Target::Command(_) => probe::command(job, &orders).await,
        };
        match found {
            Ok(Finding::Done { evidence }) => Finding::Done { evidence: kept(evidence) },
            Ok(found) => found,
            Err(trouble) => Finding::CannotTell { reason: trouble.into_reason() },
        }
    }

    async fn undo(&self, job: &Job, host: &dyn Host) -> UndoOutcome {
        match &job.planned_step().undo {
            Undo::Nothing => return UndoOutcome::Undone { evidence: Vec::new() },
            Undo::Impossible { why } => {
                return UndoOutcome::Failed { reason: why.clone(), evidence: Vec::new() };
            }
            Undo::StopCandidate | Undo::RouteBack | Undo::ReplaceBack | Undo::RunUndo => {}
        }
        let orders = Orders::of_undo(job, host);
        let undone = match &job.service().spec.target {
            Target::Process(process) => process::undo(job, process, &orders).await,
            Target::Command(command) => command::undo(job, command, &orders).await,
        };
        match undone {
            Ok(evidence) => UndoOutcome::Undone { evidence: kept(evidence) },
            Err(Trouble::Failed { reason, evidence }) => {
                UndoOutcome::Failed { reason, evidence: kept(evidence) }
            }
            Err(Trouble::Unknown { reason }) => UndoOutcome::Failed { reason, evidence: Vec::new() },
        }
    }

    async fn close(&self, job: &Job, to: CloseTo, host: &dyn Host) -> Result<(), String> {
        match &job.service().spec.target {
            Target::Process(process) => close::process(job, process, to, &Orders::of_close(job, host))
                .await
                .map_err(Trouble::into_reason),
            // A command keeps nothing open that Lockstep knows of.
            Target::Command(_) => Ok(()),
        }
    }

    async fn observe(
        &self,
        slot: &Slot,
        spec: &ServiceSpec,
        serving: Option<&Serving>,
        key: &str,
        host: &dyn Host,
    ) -> Result<Observation, String> {
        let orders = Orders::of_question(slot, key, host);
        let observed = match &spec.target {
            Target::Process(process) => process::observe(slot, spec, process, serving, &orders).await,
            Target::Command(command) => command::observe(spec, command, serving, &orders).await,
        };
        observed.map_err(Trouble::into_reason)
    }

    async fn bring_back(
        &self,
        slot: &Slot,
        serving: &Serving,
        key: &str,
        host: &dyn Host,
    ) -> Result<bool, String> {
        match &serving.spec.target {
            Target::Process(process) => {
                let orders = Orders::of_question(slot, key, host);
                process::bring_back(slot, serving, process, &orders).await.map_err(Trouble::into_reason)
            }
            // What a command made is not Lockstep's to keep.
            Target::Command(_) => Ok(false),
        }
    }

    async fn retire(&self, slot: &Slot, serving: &Serving, key: &str, host: &dyn Host) -> Result<(), String> {
        match &serving.spec.target {
            Target::Process(process) => {
                let orders = Orders::of_question(slot, key, host);
                process::retire(slot, serving, process, &orders).await.map_err(Trouble::into_reason)
            }
            // A command's deployment is replaced by the next one; there is nothing to end.
            Target::Command(_) => Ok(()),
        }
    }
}
