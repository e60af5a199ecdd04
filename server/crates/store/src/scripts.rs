//! Scripts that run elsewhere and report. A report is judged and kept in one transaction.

use crate::{
    SqliteStore, audit,
    error::{failed, from_json, to_json},
};
use async_trait::async_trait;
use lockstep_engine::port::{Reported, ScriptStore, StoreError, store::AuditEntry};
use lockstep_model::{
    Digest, RunId, ScriptName,
    script::{ReportScript, ScriptRun},
};
use sqlx::{Row, sqlite::SqliteRow};

const OPERATION: &str = "a script's report";
const ROWS_MAX: i64 = 200;

#[async_trait]
impl ScriptStore for SqliteStore {
    async fn script_report(
        &self,
        report: &ReportScript,
        body: &Digest,
        mut run: ScriptRun,
        audit: AuditEntry,
    ) -> Result<Reported, StoreError> {
        let place = i64::try_from(report.report).unwrap_or(i64::MAX);
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
        let known = sqlx::query(
            "SELECT number, view, key, account, report, body, finished_at FROM script_run WHERE run = $1 AND script = $2",
        )
        .bind(report.run.as_str())
        .bind(report.script.as_str())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        if let Some(row) = &known {
            let (number, before) = read(row)?;
            let [key, account]: [String; 2] = [row.get(2), row.get(3)];
            if key != report.idempotency_key || !account.eq_ignore_ascii_case(run.by.as_str()) {
                return Ok(Reported::Foreign(Box::new(before)));
            }
            let last: i64 = row.get(4);
            if place == last && row.get::<String, _>(5) != body.as_str() {
                return Ok(Reported::Reused);
            }
            if place <= last {
                return Ok(Reported::Kept { number, run: Box::new(before) });
            }
            if row.get::<Option<i64>, _>(6).is_some() {
                return Ok(Reported::Ended(Box::new(before)));
            }
            run.started_at = before.started_at;
        }
        let number: i64 = sqlx::query_scalar(
            "INSERT INTO script_run (run, script, key, account, report, body, finished_at, view) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (run, script) DO UPDATE SET \
             report = excluded.report, body = excluded.body, finished_at = excluded.finished_at, view = excluded.view \
             RETURNING number",
        )
        .bind(report.run.as_str())
        .bind(report.script.as_str())
        .bind(&report.idempotency_key)
        .bind(run.by.as_str())
        .bind(place)
        .bind(body.as_str())
        .bind(run.finished_at.map(|at| at.0))
        .bind(to_json(&run, "a script")?)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed(OPERATION))?;
        if known.is_none() || run.state.is_final() {
            audit::write(&mut transaction, &audit).await?;
        }
        transaction.commit().await.map_err(failed(OPERATION))?;
        Ok(Reported::Kept { number, run: Box::new(run) })
    }

    async fn script_list(&self, run: Option<&RunId>) -> Result<Vec<(i64, ScriptRun)>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, view FROM script_run WHERE ($1 IS NULL OR run = $1) ORDER BY number DESC LIMIT $2",
        )
        .bind(run.map(RunId::as_str))
        .bind(ROWS_MAX)
        .fetch_all(&self.readers)
        .await
        .map_err(failed("reading scripts"))?;
        rows.iter().map(read).collect()
    }

    async fn script_by_number(&self, number: i64) -> Result<Option<ScriptRun>, StoreError> {
        let row = sqlx::query("SELECT number, view FROM script_run WHERE number = $1")
            .bind(number)
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("reading a script"))?;
        Ok(row.as_ref().map(read).transpose()?.map(|(_, run)| run))
    }

    async fn script_fetch(
        &self,
        run: &RunId,
        script: Option<&ScriptName>,
    ) -> Result<Option<(i64, ScriptRun)>, StoreError> {
        let row = sqlx::query(
            "SELECT number, view FROM script_run WHERE run = $1 AND ($2 IS NULL OR script = $2) ORDER BY number LIMIT 1",
        )
        .bind(run.as_str())
        .bind(script.map(ScriptName::as_str))
        .fetch_optional(&self.readers)
        .await
        .map_err(failed("reading a script"))?;
        row.as_ref().map(read).transpose()
    }
}

fn read(row: &SqliteRow) -> Result<(i64, ScriptRun), StoreError> {
    let number: i64 = row.get(0);
    Ok((number, from_json(row.get(1), || format!("script {number}"))?))
}
