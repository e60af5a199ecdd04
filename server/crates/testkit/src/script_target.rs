//! A target that does as the test says. It keeps a ledger of what it was asked, so that a test can
//! see what was done twice.

use async_trait::async_trait;
use lockstep_engine::{
    StepOutcome, UndoOutcome,
    port::{Host, Job, Observation, Target},
};
use lockstep_model::{
    closing::CloseTo,
    event::Finding,
    gateway::Slot,
    manifest::ServiceSpec,
    plan::{Checkpoint, Serving, StepKind},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What a step or an undo does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Ends well.
    Succeed,
    /// Fails.
    Fail,
    /// Never ends by itself.
    Hang,
    /// Its outcome is lost; a target that is asked about a step cannot tell.
    Lose,
}

/// Does as the test says; everything else ends well.
#[derive(Debug, Default)]
pub struct ScriptTarget {
    acts: Mutex<BTreeMap<String, Act>>,
    ledger: Mutex<Vec<String>>,
}

impl ScriptTarget {
    /// Says what `name` does: a step id such as `s0001.shift`, `undo s0001.shift`, or `probe s0001.shift`
    /// (done, not done, no answer, cannot tell).
    pub fn act(&self, name: &str, act: Act) {
        locked(&self.acts).insert(name.to_owned(), act);
    }

    /// What was asked, in order: order prefixes, each as often as it was asked.
    pub fn ledger(&self) -> Vec<String> {
        locked(&self.ledger).clone()
    }

    async fn perform(&self, name: String, prefix: String) -> Act {
        locked(&self.ledger).push(prefix);
        let act = locked(&self.acts).get(&name).copied().unwrap_or(Act::Succeed);
        if act == Act::Hang {
            std::future::pending::<()>().await;
        }
        act
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Target for ScriptTarget {
    async fn run(&self, job: &Job, _host: &dyn Host) -> StepOutcome {
        let act = self.perform(job.planned_step().id.to_string(), job.run_prefix()).await;
        let reason = "as the test says".to_owned();
        match act {
            Act::Fail => return StepOutcome::Failed { reason, evidence: Vec::new() },
            Act::Lose => return StepOutcome::Unknown { reason },
            Act::Succeed | Act::Hang => {}
        }
        let checkpoint = (job.planned_step().kind == StepKind::Preflight)
            .then(|| Checkpoint { serving: job.service().from.clone() });
        StepOutcome::Succeeded { evidence: Vec::new(), checkpoint }
    }

    async fn probe(&self, job: &Job, _host: &dyn Host) -> Finding {
        let reason = "as the test says".to_owned();
        match self.perform(format!("probe {}", job.planned_step().id), job.probe_prefix()).await {
            Act::Succeed => Finding::Done { evidence: Vec::new() },
            Act::Fail => Finding::NotDone { reason },
            Act::Hang | Act::Lose => Finding::CannotTell { reason },
        }
    }

    async fn undo(&self, job: &Job, _host: &dyn Host) -> UndoOutcome {
        let name = format!("undo {}", job.planned_step().id);
        if matches!(self.perform(name, job.undo_prefix()).await, Act::Fail | Act::Lose) {
            return UndoOutcome::Failed { reason: "as the test says".to_owned(), evidence: Vec::new() };
        }
        UndoOutcome::Undone { evidence: Vec::new() }
    }

    async fn close(&self, job: &Job, _to: CloseTo, _host: &dyn Host) -> Result<(), String> {
        let name = format!("close {}", job.service().service);
        match self.perform(name, job.close_prefix()).await {
            Act::Fail | Act::Lose => Err("as the test says".to_owned()),
            Act::Succeed | Act::Hang => Ok(()),
        }
    }

    async fn observe(
        &self,
        slot: &Slot,
        _spec: &ServiceSpec,
        _serving: Option<&Serving>,
        _key: &str,
        _host: &dyn Host,
    ) -> Result<Observation, String> {
        Err(format!("{slot} cannot be observed in this test"))
    }

    async fn bring_back(
        &self,
        _slot: &Slot,
        _serving: &Serving,
        _key: &str,
        _host: &dyn Host,
    ) -> Result<bool, String> {
        Ok(false)
    }

    async fn retire(
        &self,
        _slot: &Slot,
        serving: &Serving,
        _key: &str,
        _host: &dyn Host,
    ) -> Result<(), String> {
        locked(&self.ledger).push(format!("retire {}", serving.revision));
        Ok(())
    }
}
