//! A long history: as many deployments as a busy team makes in years.

use lockstep_engine::{testing::Story, view};
use lockstep_model::{
    DeploymentId, Timestamp,
    deployment::{Failure, Phase},
    view::DeploymentSummary,
};
use lockstep_store::SqliteStore;
use std::{path::Path, time::Instant};

const MINUTE_MS: i64 = 60_000;

/// Fills the database of a data folder that no server uses.
pub fn fill(folder: &str, count: i64) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let began = Instant::now();
        let store = SqliteStore::open(Path::new(folder)).await?;
        let template = view::summary(DeploymentId(1), Story::chain(3).state());
        let first = 1_700_000_000_000;
        let rows: Vec<DeploymentSummary> = (1..=count)
            .map(|number| vary(&template, number, Timestamp(first + number * MINUTE_MS)))
            .collect();
        store.history_fill(&rows).await?;
        store.close().await;
        println!("{}", serde_json::json!({ "deployments": count, "seconds": began.elapsed().as_secs() }));
        Ok(())
    })
}

/// A deployment like the template, with a fate and words of its own.
fn vary(template: &DeploymentSummary, number: i64, at: Timestamp) -> DeploymentSummary {
    let mut row = template.clone();
    row.id = DeploymentId(number);
    row.phase = match number % 20 {
        0 => Phase::RolledBack,
        7 => Phase::Failed,
        13 => Phase::Cancelled,
        _ => Phase::Succeeded,
    };
    if let Ok(environment) =
        ["staging", "production", "preview"][usize::try_from(number % 3).unwrap_or(0)].parse()
    {
        row.environment = environment;
    }
    if let Ok(user) = format!("user{}", number % 40).parse() {
        row.by.user = user;
    }
    for (place, change) in row.services.iter_mut().enumerate() {
        change.to = format!("{}.{}.{place}", number / 100, number % 100).parse().ok();
    }
    row.source.commit = Some(format!("{:016x}{:024x}", number.wrapping_mul(2_654_435_761), number));
    row.reason = Some(format!("change {number} of the release train"));
    row.failure = (row.phase == Phase::RolledBack).then(|| Failure {
        step: None,
        service: None,
        version: None,
        reason: format!("error ratio {}.{} % against 0.2 %", number % 9, number % 10),
        by: None,
    });
    row.clocks.requested_at = at;
    row.clocks.started_at = Some(at);
    row.clocks.finished_at = Some(at.plus_ms(u64::try_from(number % 600).unwrap_or(0) * 1_000));
    row
}
