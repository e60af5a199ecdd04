//! Scripts that run elsewhere under `lockstep exec`: their reports are checked against their bounds
//! and kept; nothing else follows from them.

use super::{Services, access::permitted, store};
use crate::secret;
use app::{AppError, backend::Caller, backend::Scripts};
use async_trait::async_trait;
use lockstep_engine::port::{LogPart, LogRow, Reported, script::log_place};
use lockstep_model::{
    Timestamp,
    access::{Permission, Scope},
    api::{LOG_LINES_MAX, LogPage},
    error::ErrorKind,
    health::Evidence,
    script::{
        LINE_BYTES_MAX, ListScripts, REPORT_LINES_MAX, ReadScript, ReportScript, SILENT_AFTER_MS, STEPS_MAX,
        ScriptPage, ScriptRun, TEXT_CHARS_MAX,
    },
    wire::OrderKey,
};

/// Characters of a wrapper's key: 256 bits in base64 have 43.
const KEY_CHARS: std::ops::RangeInclusive<usize> = 16..=128;

#[async_trait]
impl Scripts for Services {
    async fn script_report(&self, caller: &Caller, mut req: ReportScript) -> Result<ScriptRun, AppError> {
        check(&req)?;
        let scope = Scope { project: req.project.clone(), environment: req.environment.clone() };
        let caller = &permitted(caller, Permission::Deploy, scope)?;
        let body = serde_json::to_string(&req)
            .map_err(|error| AppError::new(ErrorKind::Internal, error.to_string()))?;
        let body = secret::digest(&body);
        req.seen = req.seen.map(Evidence::kept);
        let now = self.clock.now();
        let target = format!("script {} of run {}", req.script, req.run);
        let mut audit = self.entry(caller, "/script/report", target);
        audit.reason = Some(match req.reason.as_str() {
            "" => req.state.word().to_owned(),
            reason => format!("{}: {reason}", req.state.word()),
        });
        let reported =
            self.scripts.script_report(&req, &body, kept(&req, caller, now), audit).await.map_err(store)?;
        match reported {
            Reported::Kept { number, run } => {
                self.logs.log_append(&lines(number, &req, now)).await.map_err(store)?;
                Ok(seen(*run, now))
            }
            // Somebody else's, of which they may see nothing: it is not told what it is.
            Reported::Foreign(run) if !is_seen(caller, &run) => {
                Err(conflict(format!("the run '{}' is somebody else's; give each an id of its own", req.run)))
            }
            Reported::Foreign(run) => {
                let how = if run.state.is_final() { "was reported" } else { "is being reported" };
                Err(conflict(format!(
                    "{} of run {} {how} by another wrapper (of {}); give each run an id of its own, as --deployment-id=$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT",
                    run.script, run.run, run.by
                )))
            }
            Reported::Reused => Err(conflict(format!(
                "report {} of {} in run {} was another one; each report has its own number",
                req.report, req.script, req.run
            ))),
            Reported::Ended(run) => Err(conflict(format!(
                "{} of run {} has ended ({}); nothing more is reported of it",
                run.script,
                run.run,
                run.state.word()
            ))),
        }
    }

    async fn script_list(&self, caller: &Caller, req: ListScripts) -> Result<ScriptPage, AppError> {
        let now = self.clock.now();
        let scripts = self.scripts.script_list(req.run.as_ref()).await.map_err(store)?;
        let scripts = scripts.into_iter().filter(|(_, run)| is_seen(caller, run));
        Ok(ScriptPage { scripts: scripts.map(|(_, run)| seen(run, now)).collect() })
    }

    async fn script_logs(&self, caller: &Caller, req: ReadScript) -> Result<LogPage, AppError> {
        let found = self.scripts.script_fetch(&req.run, req.script.as_ref()).await.map_err(store)?;
        let Some((number, _)) = found.filter(|(_, run)| is_seen(caller, run)) else {
            let message = format!("nothing was reported under run '{}'; see `lockstep script list`", req.run);
            return Err(AppError::new(ErrorKind::NotFound, message));
        };
        let part = LogPart::After(req.after);
        self.logs.log_read(log_place(number), None, part, LOG_LINES_MAX).await.map_err(store)
    }
}

/// Whether whoever asks may see a script: it belongs to what its reports name.
fn is_seen(caller: &Caller, run: &ScriptRun) -> bool {
    let scope = Scope { project: run.project.clone(), environment: run.environment.clone() };
    caller.rights.sight().covers(&scope)
}

/// A script that runs and was not heard of is called silent when it is looked at.
fn seen(run: ScriptRun, now: Timestamp) -> ScriptRun {
    let is_silent = !run.state.is_final() && now.since_ms(run.heard_at) > SILENT_AFTER_MS;
    ScriptRun { is_silent, ..run }
}

fn conflict(message: String) -> AppError {
    AppError::new(ErrorKind::Conflict, message)
}

fn kept(req: &ReportScript, caller: &Caller, now: Timestamp) -> ScriptRun {
    ScriptRun {
        run: req.run.clone(),
        script: req.script.clone(),
        by: caller.user.clone(),
        project: req.project.clone(),
        environment: req.environment.clone(),
        service: req.service.clone(),
        state: req.state,
        is_silent: false,
        reason: req.reason.clone(),
        exit_code: req.exit_code,
        seen: req.seen.clone(),
        steps: req.steps.clone(),
        lines_lost: req.lines_lost,
        started_at: now,
        heard_at: now,
        finished_at: req.state.is_final().then_some(now),
    }
}

fn lines(number: i64, req: &ReportScript, now: Timestamp) -> Vec<LogRow> {
    let row = |(place, text): (u64, &String)| LogRow {
        deployment: log_place(number),
        step: req.script.to_string(),
        order: OrderKey(format!("script-{number}")),
        offset: i64::try_from(place).unwrap_or(i64::MAX),
        at: now,
        text: text.clone(),
    };
    (req.first_line..).zip(&req.lines).map(row).collect()
}

fn check(req: &ReportScript) -> Result<(), AppError> {
    let wrong = |message: String| Err(AppError::new(ErrorKind::Invalid, message));
    if !KEY_CHARS.contains(&req.idempotency_key.chars().count()) {
        return wrong(format!(
            "'idempotency_key' has {} to {} characters; use a random one",
            KEY_CHARS.start(),
            KEY_CHARS.end()
        ));
    }
    if req.report == 0 {
        return wrong("'report' counts from 1".to_owned());
    }
    if req.lines.len() > REPORT_LINES_MAX {
        return wrong(format!("'lines' holds {}; send at most {REPORT_LINES_MAX}", req.lines.len()));
    }
    if req.lines.iter().any(|line| line.len() > LINE_BYTES_MAX + '…'.len_utf8()) {
        return wrong(format!("a line is longer than {LINE_BYTES_MAX} bytes; cut it"));
    }
    if req.steps.len() > STEPS_MAX {
        return wrong(format!("'steps' holds {}; send at most {STEPS_MAX}", req.steps.len()));
    }
    let texts = req.steps.iter().flat_map(|step| [&step.name, &step.said]).chain([&req.reason]);
    if texts.into_iter().any(|text| text.chars().count() > TEXT_CHARS_MAX) {
        return wrong(format!("names of steps and reasons have at most {TEXT_CHARS_MAX} characters"));
    }
    Ok(())
}
