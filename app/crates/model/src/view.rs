//! What people and programs are shown. Views are made from rows; they never decide anything.

mod audit;
pub mod comparison;
mod going_back;
mod people;
mod plan;
mod promotion;
mod service;

pub use audit::{AuditFault, AuditHead, AuditReport, AuditView, LockdownView};
pub use going_back::{RollbackServiceView, RollbackTrigger, RollbackView, StaysView};
pub use people::{TokenView, UserView};
pub use plan::{PlanView, PlannedChange, PlannedStepView};
pub use promotion::{PromotedView, PromotionView};
pub use service::{
    CheckBucket, CheckView, EnvironmentView, KnownVersion, ServiceDetail, ServiceVersions, ServiceView,
};

use crate::{
    DeploymentId, Digest, EnvironmentName, ProjectName, RevisionId, Seq, ServiceName, StepId, Timestamp,
    UserName, Version,
    access::Permission,
    approval::ApprovalView,
    deployment::{Actor, Clocks, Failure, Phase, Source, StepState, Try},
    event::Envelope,
    health::Evidence,
    pause::Pause,
    plan::{PlanWarning, StepKind, Undo},
};
use serde::{Deserialize, Serialize};

/// A deployment in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeploymentSummary {
    /// Its number.
    pub id: DeploymentId,
    /// Project.
    pub project: ProjectName,
    /// Environment.
    pub environment: EnvironmentName,
    /// Where it stands.
    pub phase: Phase,
    /// For a restore: the deployment before which things stood as they are to stand.
    pub restore_of: Option<DeploymentId>,
    /// What changes.
    pub services: Vec<ServiceChange>,
    /// Who asked.
    pub by: Actor,
    /// Why, in their words.
    pub reason: Option<String>,
    /// Where the release comes from.
    pub source: Source,
    /// Why it did not go on.
    pub failure: Option<Failure>,
    /// What an operator is needed for.
    pub operator_reason: Option<String>,
    /// An operator is asked how it goes on, before anything goes back.
    #[serde(default)]
    pub asks_forward: bool,
    /// When things happened.
    pub clocks: Clocks,
    /// Steps that are done, and all steps.
    pub progress: (u32, u32),
    /// The last event.
    pub seq: Seq,
    /// While it waits for approvals: how many there are, and how many it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvals: Option<(u32, u32)>,
    /// The pause that stands; none = it is not paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
}

/// What a deployment changes of a service, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceChange {
    /// The service.
    pub service: ServiceName,
    /// Before; none = not deployed.
    pub from: Option<Version>,
    /// After; none = not deployed.
    pub to: Option<Version>,
    /// How far it is.
    pub state: ServiceProgress,
}

/// How far a service is in a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ServiceProgress {
    /// Not begun.
    Pending,
    /// Under way.
    Running,
    /// The new version serves and is being watched.
    Watching,
    /// The new version serves and passed.
    Done,
    /// It failed.
    Failed,
    /// It is being taken back.
    TakingBack,
    /// What served before serves again, and that was probed.
    Back,
    /// It could not be taken back.
    Stuck,
    /// Its new version serves and stays, though the deployment was ended before its last step.
    Kept,
    /// It was not touched.
    Untouched,
}

/// A deployment with everything about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeploymentDetail {
    /// The head.
    pub summary: DeploymentSummary,
    /// The manifest it was planned from.
    pub manifest: Digest,
    /// The steps, in the plan's order.
    pub steps: Vec<StepView>,
    /// What served before, per changed service.
    pub checkpoints: Vec<CheckpointView>,
    /// What was said before it started.
    pub warnings: Vec<PlanWarning>,
    /// How long earlier ones took.
    pub expected: Expected,
    /// Services that need one of these and are not part of it: looked at, never changed.
    pub outside: Vec<OutsideView>,
    /// How it goes back, or went back; none while nothing was to.
    #[serde(default)]
    pub rollback: Option<RollbackView>,
    /// Why it still waits in the queue; none = it does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// What approvals it waits for; none = for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalView>,
}

/// What something would do to a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForeseenView {
    /// The deployment.
    pub id: DeploymentId,
    /// Where it stands.
    pub phase: Phase,
    /// Who may do it.
    pub permission: Permission,
    /// What it does, in the order in which it happens, one sentence each.
    pub does: Vec<String>,
}

/// An answer that an operator can give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The command, as it is typed.
    pub command: String,
    /// What it does.
    pub does: &'static str,
}

/// What an operator is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// How the release goes on; nothing has gone back yet.
    Forward(&'a Failure),
    /// Services that somebody took back by themselves and that do not come back.
    Part,
    /// All of it goes back and does not come back.
    Back,
}

impl DeploymentSummary {
    /// What it asks an operator; of no meaning when it needs none.
    pub const fn asked(&self) -> Asked<'_> {
        match (self.asks_forward, &self.failure) {
            (true, Some(failure)) => Asked::Forward(failure),
            (true, None) => Asked::Part,
            (false, _) => Asked::Back,
        }
    }

    /// Whether it succeeded without services that somebody took back, or left out, while it ran.
    pub fn is_partly_back(&self) -> bool {
        let is_out =
            |one: &ServiceChange| matches!(one.state, ServiceProgress::Back | ServiceProgress::Untouched);
        self.phase == Phase::Succeeded && self.services.iter().any(is_out)
    }

    /// Where it stands, for people.
    pub fn standing(&self) -> &'static str {
        if self.is_partly_back() { "succeeded, partly taken back" } else { self.phase.word() }
    }
}

/// What an operator can answer to deployment `id`, when one is needed.
pub fn answers(id: DeploymentId, asked: Asked<'_>, is_restore: bool) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut add = |command: String, does| answers.push(Answer { command, does });
    if asked == Asked::Part {
        add(
            format!("lockstep undo-retry {id}"),
            "tries again what could not be taken back; then the others go on",
        );
    }
    if let Asked::Back = asked {
        add(format!("lockstep undo-retry {id}"), "tries again what could not be taken back");
    } else {
        let step = match asked {
            Asked::Forward(failure) => failure.step.as_ref(),
            Asked::Part | Asked::Back => None,
        };
        if let Some(step) = step {
            add(format!("lockstep retry {id} {step}"), "carries the step out again, from its beginning");
            let kind = step.as_str().rsplit_once('.').map(|(_, kind)| kind);
            if [StepKind::Precondition, StepKind::Verify, StepKind::Watch]
                .iter()
                .any(|only_looks| kind == Some(only_looks.word()))
            {
                add(format!("lockstep skip {id} {step} --reason …"), "goes on without that look");
            }
        }
        if is_restore {
            if step.is_none() {
                add(format!("lockstep resume {id}"), "begins: what served before serves again");
            }
            add(format!("lockstep cancel {id}"), "ends it; nothing more is restored");
        } else {
            if let Asked::Forward(Failure { service: Some(service), .. }) = asked {
                add(
                    format!("lockstep rollback {id} --service {service}"),
                    "takes back that service and what needs it; the release goes on with the others",
                );
            }
            add(format!("lockstep rollback {id}"), "takes back all that this release changed, and probes it");
            add(
                format!("lockstep cancel {id} --keep"),
                "ends it; services whose new version has all the traffic keep it, the others go back",
            );
        }
    }
    add(
        format!("lockstep resolve {id} --outcome … --reason …"),
        "says how it ended, after you have set it right by hand; changes nothing outside",
    );
    answers
}

/// How long earlier deployments of the environment took that succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Expected {
    /// The median, from the start to the end.
    pub duration_ms: Option<u64>,
    /// Of how many.
    pub deployments: u32,
}

/// A service that needs what a deployment changes and is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutsideView {
    /// The service.
    pub service: ServiceName,
    /// How it was seen last; none = not yet.
    pub evidence: Option<Evidence>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepView {
    /// Its id.
    pub id: StepId,
    /// Its service.
    pub service: ServiceName,
    /// What it does.
    pub kind: StepKind,
    /// The share of the traffic, in hundredths, that a canary's step gives the new version or follows;
    /// none = all, or none yet.
    #[serde(default)]
    pub weight: Option<u32>,
    /// Ids of the steps before it.
    pub after: Vec<StepId>,
    /// Where it stands.
    pub state: StepState,
    /// Every try of it and of its undo, in order.
    pub tries: Vec<Try>,
    /// How long it took in earlier deployments that succeeded; none = never seen.
    pub median_ms: Option<u64>,
    /// How it is undone.
    pub undo: Undo,
}

impl StepView {
    /// The last try.
    pub fn last(&self) -> Option<&Try> {
        self.tries.last()
    }

    /// The last try that went forward.
    pub fn forward(&self) -> Option<&Try> {
        self.tries.iter().rev().find(|one| !one.is_undo)
    }

    /// When its last forward try ended.
    pub fn finished_at(&self) -> Option<Timestamp> {
        self.forward().and_then(|one| one.finished_at)
    }
}

/// What served before a deployment changed a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckpointView {
    /// The deployment before which it was taken; `rollback ID` takes this number.
    pub deployment: DeploymentId,
    /// The service.
    pub service: ServiceName,
    /// What served; none = not deployed.
    pub version: Option<Version>,
    /// In which revision.
    pub revision: Option<RevisionId>,
    /// When it was taken.
    pub at: Timestamp,
    /// When its deployment went back to it; none = it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_at: Option<Timestamp>,
}

/// How often a value occurs among the deployments that were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Facet {
    /// The value.
    pub value: String,
    /// How often.
    pub count: u64,
}

/// What could be filtered by next.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Facets {
    /// Environments.
    pub environments: Vec<Facet>,
    /// Phases.
    pub phases: Vec<Facet>,
    /// Who asked.
    pub users: Vec<Facet>,
    /// Services that are changed; one deployment counts for each of its own.
    #[serde(default)]
    pub services: Vec<Facet>,
    /// Versions that are deployed by the last 500 of them, the newest first.
    #[serde(default)]
    pub versions: Vec<Facet>,
    /// What began them.
    #[serde(default)]
    pub triggers: Vec<Facet>,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// Its place in the deployment's log; ask again with `after` set to it.
    pub cursor: i64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Which step; `service.kind`.
    pub step: String,
    /// The text without its line end.
    pub text: String,
}

/// A manifest that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ManifestView {
    /// The project.
    pub project: ProjectName,
    /// Its digest.
    pub digest: Digest,
    /// The text.
    pub source: String,
    /// Who applied it.
    pub applied_by: UserName,
    /// When.
    pub applied_at: Timestamp,
    /// Its environments.
    pub environments: Vec<EnvironmentName>,
    /// Where `deploy` without `--env` goes.
    pub default_environment: Option<EnvironmentName>,
    /// Its services.
    pub services: Vec<ServiceName>,
}

/// Events of a deployment and where it stands after them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventsView {
    /// The events, in order.
    pub events: Vec<Envelope>,
    /// Where it stands.
    pub phase: Phase,
    /// The last event there is.
    pub seq: Seq,
}
