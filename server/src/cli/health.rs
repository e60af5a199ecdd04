//! `lockstep health`: looks at what serves for a while, writes down what was seen, and fails when a
//! service was not well for several looks in a row. No answer is never a good one.

use super::{arguments, arguments::Global, client::Client, error::Failure, exchange, exit};
use crate::{clock::SystemClock, out::say};
use anyhow::Context;
use clap::Args;
use lockstep_engine::port::Clock as _;
use lockstep_model::{
    Timestamp,
    api::{ListServices, ServiceList},
    health::Health,
    view::ServiceView,
};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tokio::time::{Instant, sleep};

/// What the server is called among the services.
const SERVER: &str = "the server";

/// How long and how strictly.
#[derive(Debug, Clone, Args)]
pub(super) struct HealthOptions {
    /// Look for this long, as 90s, 10m, 1h; once, without it.
    #[arg(long = "for", value_parser = arguments::duration, default_value = "0s")]
    lasts: Duration,
    /// The time between two looks.
    #[arg(long, value_parser = arguments::duration, default_value = "30s")]
    every: Duration,
    /// Fail when a service was not well for so many looks in a row.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000), default_value_t = 3)]
    threshold: u32,
    /// Write what was seen into this file, as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// In a job of GitHub Actions: when the token is over, get another one, made out for this audience; "" = for
    /// the server's address.
    #[arg(long, value_name = "AUDIENCE")]
    exchange: Option<String>,
}

/// What was seen of all looks.
#[derive(Debug, Serialize)]
struct Report {
    began_at: Timestamp,
    ended_at: Timestamp,
    looks: u32,
    threshold: u32,
    /// Whether no service was unwell for so long.
    passed: bool,
    services: BTreeMap<String, Record>,
}

/// What was seen of a service.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Record {
    healthy: u32,
    degraded: u32,
    unwell: u32,
    /// Bad looks in a row, until now.
    in_a_row: u32,
    /// The most bad looks in a row.
    in_a_row_most: u32,
    /// What the last look that was not healthy saw.
    last_trouble: Option<String>,
}

impl Record {
    /// Takes in a look; true when it changed from well to unwell or back.
    fn hear(&mut self, health: Health, sentence: String) -> bool {
        let was_well = self.in_a_row == 0;
        match health {
            Health::Healthy => self.healthy += 1,
            Health::Degraded => self.degraded += 1,
            Health::Unhealthy | Health::Unknown => self.unwell += 1,
        }
        if health != Health::Healthy {
            self.last_trouble = Some(sentence);
        }
        self.in_a_row = match health {
            Health::Healthy | Health::Degraded => 0,
            Health::Unhealthy | Health::Unknown => self.in_a_row + 1,
        };
        self.in_a_row_most = self.in_a_row_most.max(self.in_a_row);
        was_well != (self.in_a_row == 0)
    }
}

pub(super) async fn health(global: &Global, client: &Client, options: HealthOptions) -> Result<u8, Failure> {
    let began = Instant::now();
    let mut report = Report {
        began_at: SystemClock.now(),
        ended_at: SystemClock.now(),
        looks: 0,
        // A single look has no row.
        threshold: if options.lasts.is_zero() { 1 } else { options.threshold },
        passed: true,
        services: BTreeMap::new(),
    };
    let mut fresh = None;
    loop {
        let looked = look(global, fresh.as_ref().unwrap_or(client), &mut report).await;
        match (looked, &options.exchange) {
            // Once for each look: a token that is new and not accepted is a reason to end.
            (Err(failure), Some(audience)) if failure.is_unknown() => {
                let again = client.with_token(exchange::again(client, audience).await?);
                report.looks -= 1;
                look(global, &again, &mut report).await?;
                fresh = Some(again);
            }
            (looked, _) => looked?,
        }
        if began.elapsed() + options.every > options.lasts {
            break;
        }
        sleep(options.every).await;
    }
    report.ended_at = SystemClock.now();
    let unwell: Vec<&str> = report
        .services
        .iter()
        .filter(|(_, record)| record.in_a_row_most >= report.threshold)
        .map(|(name, _)| name.as_str())
        .collect();
    let said = match unwell.as_slice() {
        [] if report.services.is_empty() => "there are no services to look at".to_owned(),
        [] => format!(
            "{} of {} services were well enough in {} looks",
            report.services.len(),
            report.services.len(),
            report.looks
        ),
        names => format!("not well for {} looks in a row: {}", report.threshold, names.join(", ")),
    };
    report.passed = unwell.is_empty() && !report.services.is_empty();
    let text = serde_json::to_string_pretty(&report).map_err(|error| Failure::local(error.to_string()))?;
    if let Some(file) = &options.report {
        std::fs::write(file, format!("{text}\n")).with_context(|| format!("writing {}", file.display()))?;
    }
    say!("{}", if global.json { &text } else { &said });
    Ok(if report.passed { exit::SUCCEEDED } else { exit::NOT_SUCCEEDED })
}

async fn look(global: &Global, client: &Client, report: &mut Report) -> Result<(), Failure> {
    report.looks += 1;
    let request = ListServices { project: global.project.clone(), environment: global.environment.clone() };
    let seen = match client.call(ServiceList, &request).await {
        Ok(page) => {
            let all = page.services.iter().filter(|service| service.version.is_some()).map(judged);
            let mut all: Vec<_> = all.collect();
            if report.services.contains_key(SERVER) {
                all.push((SERVER.to_owned(), Health::Healthy, "it answers again".to_owned()));
            }
            all
        }
        Err(failure) if failure.is_passing() => {
            vec![(SERVER.to_owned(), Health::Unknown, failure.message().to_owned())]
        }
        Err(failure) => return Err(failure),
    };
    for (name, health, sentence) in seen {
        let has_changed = report.services.entry(name.clone()).or_default().hear(health, sentence.clone());
        if has_changed && !global.json {
            say!("{name}: {sentence}");
        }
    }
    Ok(())
}

fn judged(service: &ServiceView) -> (String, Health, String) {
    let name = format!("{} ({})", service.service, service.environment);
    let health = service.health.unwrap_or(Health::Unknown);
    let sentence = match &service.evidence {
        Some(evidence) => evidence.sentence(),
        None => format!("{}, not probed yet", health.word()),
    };
    (name, health, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bad_looks_in_a_row_count_and_unknown_is_bad() {
        let mut record = Record::default();
        for health in
            [Health::Unhealthy, Health::Unknown, Health::Degraded, Health::Unhealthy, Health::Healthy]
        {
            record.hear(health, health.word().to_owned());
        }
        assert_eq!((record.in_a_row, record.in_a_row_most, record.unwell), (0, 2, 3));
        assert_eq!((record.healthy, record.degraded), (1, 1));
        assert_eq!(record.last_trouble.as_deref(), Some("unhealthy"));
    }
}
