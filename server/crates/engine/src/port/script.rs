//! The store of scripts that run elsewhere and report. It keeps what was reported last, and lets a
//! report that is sent twice count once.

use crate::port::store::{AuditEntry, StoreError};
use async_trait::async_trait;
use lockstep_model::{
    DeploymentId, Digest, RunId, ScriptName,
    script::{ReportScript, ScriptRun},
};

/// What came of a report.
#[derive(Debug, Clone, PartialEq)]
pub enum Reported {
    /// It is kept, or was before.
    Kept {
        /// Under which number the output of the script is kept.
        number: i64,
        /// What is known now.
        run: Box<ScriptRun>,
    },
    /// Another wrapper reports as this script of this run, or did.
    Foreign(Box<ScriptRun>),
    /// The number of the report was used for another one.
    Reused,
    /// The script has ended; nothing is reported of it any more.
    Ended(Box<ScriptRun>),
}

/// Keeps scripts.
#[async_trait]
pub trait ScriptStore: Send + Sync {
    /// Takes a report in. `run` is what is to be kept of it; its beginning is taken over from the first
    /// report. `audit` is written with the first report and with the last one.
    async fn script_report(
        &self,
        report: &ReportScript,
        body: &Digest,
        run: ScriptRun,
        audit: AuditEntry,
    ) -> Result<Reported, StoreError>;

    /// Scripts, the newest first, at most 200, with the numbers of their output.
    async fn script_list(&self, run: Option<&RunId>) -> Result<Vec<(i64, ScriptRun)>, StoreError>;

    /// The script under whose number output is kept.
    async fn script_by_number(&self, number: i64) -> Result<Option<ScriptRun>, StoreError>;

    /// A script of a run, with the number of its output; none as script = the run's first one.
    async fn script_fetch(
        &self,
        run: &RunId,
        script: Option<&ScriptName>,
    ) -> Result<Option<(i64, ScriptRun)>, StoreError>;
}

/// Where the log store keeps the output of a script: below the numbers of deployments, which begin
/// at 1.
pub const fn log_place(number: i64) -> DeploymentId {
    DeploymentId(-number)
}
