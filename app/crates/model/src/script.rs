//! A script that deploys by itself, somewhere else, under `lockstep exec`: what its wrapper reports,
//! and what is known of it. Lockstep neither starts nor ends such a script.

use crate::{
    EnvironmentName, ProjectName, RunId, ScriptName, ServiceName, Timestamp, UserName, health::Evidence,
};
use serde::{Deserialize, Serialize};

/// The most steps that are kept of a script; a script that prints more milestones is cut there.
pub const STEPS_MAX: usize = 100;
/// The most lines that one report carries.
pub const REPORT_LINES_MAX: usize = 200;
/// The longest line of output, in bytes; together with [`REPORT_LINES_MAX`] it keeps a report below
/// the largest body of a request.
pub const LINE_BYTES_MAX: usize = 2_000;
/// The longest name of a step, and the longest sentence on how it went, in characters.
pub const TEXT_CHARS_MAX: usize = 200;
/// A wrapper reports at least this often.
pub const REPORT_EVERY_MS: u64 = 10_000;
/// A wrapper that was not heard for so long is called silent.
pub const SILENT_AFTER_MS: u64 = 60_000;

/// Where a script stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ScriptState {
    /// It runs, or its outcome is being observed.
    Running,
    /// What it was to deploy serves, as was observed.
    Succeeded,
    /// It did not deploy, and what served before serves.
    Failed,
    /// It did not succeed, and what serves is not what served before, or nobody knows.
    NeedsOperator,
}

impl ScriptState {
    /// The words shown to people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::NeedsOperator => "needs an operator",
        }
    }

    /// Whether it never changes again.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Running => false,
            Self::Succeeded | Self::Failed | Self::NeedsOperator => true,
        }
    }
}

/// Where a step of a script stands, as far as its lines tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ScriptStepState {
    /// Its lines are being printed.
    Running,
    /// The script said that it is done.
    Succeeded,
    /// The script went on with the next one and said nothing of this one's end.
    Passed,
    /// The script said that it failed, or ended with an error in it.
    Failed,
}

impl ScriptStepState {
    /// The words shown to people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Passed => "passed",
            Self::Failed => "failed",
        }
    }
}

/// A step of a script: one of its milestones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScriptStep {
    /// What the script called it.
    pub name: String,
    /// Where it stands.
    pub state: ScriptStepState,
    /// The last thing that the script said of it.
    pub said: String,
    /// How often it warned.
    pub warnings: u32,
    /// When it began, by the wrapper's clock.
    pub started_at: Timestamp,
    /// When it ended, by the wrapper's clock.
    pub finished_at: Option<Timestamp>,
}

/// What a wrapper reports: all that is known, and the lines since the report before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReportScript {
    /// The run, as CI calls it. Several scripts may report under one.
    pub run: RunId,
    /// The script.
    pub script: ScriptName,
    /// A random text of the wrapper's own: two wrappers never report as one script.
    pub idempotency_key: String,
    /// The number of the report, rising from 1: one that is sent again changes nothing.
    pub report: u64,
    /// The project, when it was said; otherwise it takes a role on every project to report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    /// The environment, when it was said.
    #[serde(default)]
    pub environment: Option<EnvironmentName>,
    /// The service, when it was said.
    #[serde(default)]
    pub service: Option<ServiceName>,
    /// Where it stands.
    pub state: ScriptState,
    /// Why, in one sentence.
    #[serde(default)]
    pub reason: String,
    /// The script's exit code, when it ended by itself.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// What was seen when the health monitor was asked last.
    #[serde(default)]
    pub seen: Option<Evidence>,
    /// Its steps, all of them.
    #[serde(default)]
    pub steps: Vec<ScriptStep>,
    /// The number of the first of `lines`, from 0.
    #[serde(default)]
    pub first_line: u64,
    /// New lines of output.
    #[serde(default)]
    pub lines: Vec<String>,
    /// How many lines were dropped while the server was away.
    #[serde(default)]
    pub lines_lost: u64,
}

/// What is known of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScriptRun {
    /// The run, as CI calls it.
    pub run: RunId,
    /// The script.
    pub script: ScriptName,
    /// Whose token reported it.
    pub by: UserName,
    /// The project, when it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    /// The environment, when it was said.
    pub environment: Option<EnvironmentName>,
    /// The service, when it was said.
    pub service: Option<ServiceName>,
    /// Where it stands.
    pub state: ScriptState,
    /// Whether it runs and nothing was heard of it for a minute.
    pub is_silent: bool,
    /// Why, in one sentence.
    pub reason: String,
    /// The script's exit code, when it ended by itself.
    pub exit_code: Option<i32>,
    /// What was seen when the health monitor was asked last.
    pub seen: Option<Evidence>,
    /// Its steps.
    pub steps: Vec<ScriptStep>,
    /// How many lines were dropped while the server was away.
    pub lines_lost: u64,
    /// When the first report came.
    pub started_at: Timestamp,
    /// When the last report came.
    pub heard_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Which scripts to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListScripts {
    /// Only of this run.
    #[serde(default)]
    pub run: Option<RunId>,
}

/// Scripts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScriptPage {
    /// The newest first, at most 200.
    pub scripts: Vec<ScriptRun>,
}

/// Which output of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReadScript {
    /// The run.
    pub run: RunId,
    /// The script; none = the run's only one.
    #[serde(default)]
    pub script: Option<ScriptName>,
    /// Only after this cursor.
    #[serde(default)]
    pub after: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::BODY_BYTES_MAX;

    #[test]
    fn a_report_that_is_as_large_as_it_may_be_fits_into_a_request() {
        // JSON writes two bytes for a quote; control characters are taken out by the wrapper. A
        // character has at most four bytes.
        let lines = REPORT_LINES_MAX * (2 * LINE_BYTES_MAX + 3);
        let steps = STEPS_MAX * (2 * 4 * TEXT_CHARS_MAX + 200);
        assert!(lines + steps < BODY_BYTES_MAX, "{lines} and {steps}");
    }
}
