//! The health monitor: an address that tells how a service is and, in one field or another, which
//! version of it serves or since when.

use super::{
    Failure,
    judge::{Asked, Ended},
};
use crate::clock::SystemClock;
use lockstep_engine::port::Clock as _;
use lockstep_model::health::{Evidence, Health};
use lockstep_probes::{Role, judge};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep};

/// A service that answers more slowly does not serve.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// What is read of an answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A script that failed leaves what it did within this time, or not at all.
const FAILED_SETTLE_MAX: Duration = Duration::from_secs(10);
/// Fields that name what serves.
const MARKS: &[&str] =
    &["version", "git_sha", "gitCommit", "commit", "revision", "release", "buildVersion", "build_version"];
/// Fields with the seconds since the start.
const UPTIMES: &[&str] = &["uptime_seconds", "uptime"];
/// Values that name nothing.
const NAMELESS: &[&str] = &["", "unknown", "dev", "latest"];

/// What was seen.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// How it is.
    pub(super) evidence: Evidence,
    marks: BTreeMap<&'static str, String>,
    uptime: Option<f64>,
}

impl Seen {
    /// Whether it serves.
    pub(super) const fn serves(&self) -> bool {
        matches!(self.evidence.health, Health::Healthy | Health::Degraded)
    }

    /// Whether one of its fields names this version.
    pub(super) fn names(&self, version: &str) -> bool {
        self.marks.values().any(|mark| mark == version)
    }

    /// Whether another one serves now than this; none = nothing tells.
    pub(super) fn differs(&self, now: &Self) -> Option<bool> {
        let marks = self.marks.iter().filter_map(|(field, mark)| now.marks.get(field).map(|now| now != mark));
        // Some services never change their version: one that was started anew is another one.
        let is_younger = self.uptime.zip(now.uptime).map(|(before, now)| now < before);
        marks.chain(is_younger).reduce(|one, other| one || other)
    }

    /// In one sentence.
    pub(super) fn sentence(&self) -> String {
        let mut parts: Vec<String> =
            self.marks.iter().map(|(field, mark)| format!("{field} {mark}")).collect();
        parts.extend(self.uptime.map(|seconds| format!("up for {seconds:.0} s")));
        let told = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        format!("{}, {}{told}", self.evidence.health.word(), self.evidence.reason)
    }

    fn read(evidence: Evidence, body: &[u8]) -> Self {
        let value = serde_json::from_slice::<Value>(body).unwrap_or(Value::Null);
        let text = |field: &'static str| {
            let text = match value.get(field)? {
                Value::String(text) => text.trim().chars().take(100).collect::<String>(),
                Value::Number(number) => number.to_string(),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
            };
            (!NAMELESS.contains(&text.as_str())).then_some((field, text))
        };
        Self {
            evidence,
            marks: MARKS.iter().filter_map(|field| text(field)).collect(),
            uptime: UPTIMES.iter().find_map(|field| value.get(field)?.as_f64()),
        }
    }

    /// As a service would tell it.
    #[cfg(test)]
    pub(super) fn told(version: Option<&str>, uptime: Option<f64>, health: Health) -> Self {
        let body = serde_json::json!({"version": version, "uptime_seconds": uptime}).to_string();
        let evidence = Evidence::new(lockstep_model::Timestamp(1), "monitor", "", health, "");
        Self::read(evidence, body.as_bytes())
    }
}

/// Asks one address.
#[derive(Debug, Clone)]
pub(super) struct Monitor {
    http: reqwest::Client,
    url: reqwest::Url,
}

impl Monitor {
    /// Over an address.
    pub(super) fn new(url: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::refused(format!(
                "--health-monitor '{url}' is no address; write it as https://backend.example.com/health"
            ))
        };
        let url: reqwest::Url = url.parse().map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        let http = reqwest::Client::builder()
            .timeout(ANSWER_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            // Each look shall reach what serves now.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::local(format!("the HTTP client cannot be made: {error}")))?;
        Ok(Self { http, url })
    }

    /// Looks once.
    pub(super) async fn look(&self) -> Seen {
        let begin = Instant::now();
        let (answer, body) = match self.ask().await {
            Ok((status, kind, body)) => {
                let judgement = judge(self.role(), status, kind.as_deref(), &body);
                ((Some(i32::from(status)), judgement.health, judgement.reason), body)
            }
            Err(error) => ((None, Health::Unhealthy, error), Vec::new()),
        };
        let (code, health, reason) = answer;
        // Without a query: some put a key there.
        let address = format!("{}{}", self.url.host_str().unwrap_or_default(), self.url.path());
        let mut evidence = Evidence::new(SystemClock.now(), "monitor", address, health, reason);
        evidence.code = code;
        evidence.latency_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        Seen::read(evidence, &body)
    }

    async fn ask(&self) -> Result<(u16, Option<String>, Vec<u8>), String> {
        let plain = |error: reqwest::Error| {
            let cause =
                std::iter::successors(std::error::Error::source(&error), |error| error.source()).last();
            let cause = cause.map(ToString::to_string);
            cause.unwrap_or_else(|| error.without_url().to_string())
        };
        let mut answer = self.http.get(self.url.clone()).send().await.map_err(plain)?;
        let kind =
            answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).map(ToOwned::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(plain)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(format!("its answer is larger than {ANSWER_BYTES_MAX} bytes"));
            }
        }
        Ok((answer.status().as_u16(), kind, body))
    }

    fn role(&self) -> Role {
        match self.url.path().rsplit('/').next() {
            Some(path) if path.contains("live") => Role::Live,
            Some(path) if path.contains("ready") => Role::Ready,
            _ => Role::Detail,
        }
    }

    /// Looks until it is proven that the script deployed, or the time for it is over.
    pub(super) async fn settle(&self, asked: &Asked<'_>, ended: &Ended, limit: Duration) -> Seen {
        let limit = if ended.is_well() { limit } else { limit.min(FAILED_SETTLE_MAX) };
        let end = Instant::now() + limit;
        loop {
            let seen = self.look().await;
            let is_accepted =
                asked.accept_unproven && ended.is_well() && asked.expect.is_none() && seen.serves();
            if asked.is_proven(&seen)
                || is_accepted
                || Instant::now() >= end
                || matches!(ended, Ended::NotStarted(_))
            {
                return seen;
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
