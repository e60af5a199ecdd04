//! Probes: asking a running service how it is, and reading the answer. What is not understood is
//! `unknown` and never passes. Nothing here follows redirects, reads proxy settings, or reports
//! more of a body than an excerpt.
#![forbid(unsafe_code)]

mod dialect;
mod http;

use lockstep_model::{
    Timestamp, Version,
    health::{Evidence, Health},
    manifest::{CheckKind, HealthCheck},
    template::{Vars, render},
};
use std::time::{Duration, Instant};

pub use dialect::{Judgement, Role, judge};
pub use http::{Answer, HttpError, get};

/// Asks all paths of a health check of the service at `base` (`http://127.0.0.1:8080`): live, then
/// ready, then detail. The worst answer counts; after one that is not healthy or degraded nothing
/// more is asked.
pub async fn probe_health(base: &str, check: &HealthCheck, now: fn() -> Timestamp) -> Evidence {
    let paths = [(Role::Live, &check.live), (Role::Ready, &check.ready), (Role::Detail, &check.detail)];
    let mut worst: Option<Evidence> = None;
    for (role, path) in paths {
        let Some(path) = path else { continue };
        let evidence = ask(base, path, role, check.timeout_ms, now).await;
        let is_serving = is_serving(evidence.health);
        if worst.as_ref().is_none_or(|worst| badness(evidence.health) >= badness(worst.health)) {
            worst = Some(evidence);
        }
        if !is_serving {
            break;
        }
    }
    let unnamed = "the health check names no path; give it live, ready or detail";
    worst.unwrap_or_else(|| Evidence::new(now(), "health", base, Health::Unknown, unnamed))
}

const fn is_serving(health: Health) -> bool {
    match health {
        Health::Healthy | Health::Degraded => true,
        Health::Unhealthy | Health::Unknown => false,
    }
}

const fn badness(health: Health) -> u8 {
    match health {
        Health::Healthy => 0,
        Health::Degraded => 1,
        Health::Unknown => 2,
        Health::Unhealthy => 3,
    }
}

async fn ask(base: &str, path: &str, role: Role, timeout_ms: u64, now: fn() -> Timestamp) -> Evidence {
    let (answer, latency_ms, address) = timed_get(base, path, timeout_ms).await;
    let mut evidence = Evidence::new(now(), role.word(), address, Health::Unhealthy, "");
    evidence.latency_ms = latency_ms;
    match answer {
        Ok(answer) => {
            let judgement = judge(role, answer.status, answer.content_type.as_deref(), &answer.body);
            evidence.code = Some(i32::from(answer.status));
            evidence.hear(&String::from_utf8_lossy(&answer.body));
            evidence.health = judgement.health;
            evidence.reason = judgement.reason;
        }
        Err(error) => evidence.reason = error.to_string(),
    }
    evidence
}

async fn timed_get(base: &str, path: &str, timeout_ms: u64) -> (Result<Answer, HttpError>, u64, String) {
    let url = if path.starts_with("http://") || path.starts_with("https://") {
        path.to_owned()
    } else {
        format!("{}{path}", base.trim_end_matches('/'))
    };
    let begin = Instant::now();
    let limit = Duration::from_millis(timeout_ms);
    let answer = match tokio::time::timeout(limit, get(&url)).await {
        Ok(answer) => answer,
        Err(_) => Err(HttpError::TooSlow { timeout_ms }),
    };
    let latency_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let address = url.trim_start_matches("http://").to_owned();
    (answer, latency_ms, address)
}

/// Carries out a check of kind http against the service at `base`. `port` is what `${PORT}` means.
/// A command is not for here; it comes back as unknown.
pub async fn probe_check(
    base: &str,
    name: &str,
    kind: &CheckKind,
    timeout_ms: u64,
    version: &Version,
    port: Option<u16>,
    now: fn() -> Timestamp,
) -> Evidence {
    let mut evidence = Evidence::new(now(), name, base, Health::Unknown, "a command is not asked over HTTP");
    let CheckKind::Http { get, status, contains, json, content_type } = kind else { return evidence };
    let vars = Vars { version, port };
    let path = match render(get, vars) {
        Ok(path) => path,
        Err(problem) => {
            evidence.reason = problem.to_string();
            return evidence;
        }
    };
    let (answer, latency_ms, address) = timed_get(base, &path, timeout_ms).await;
    evidence.at = now();
    evidence.latency_ms = latency_ms;
    evidence.address = address;
    evidence.health = Health::Unhealthy;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            evidence.reason = error.to_string();
            return evidence;
        }
    };
    evidence.code = Some(i32::from(answer.status));
    let body = String::from_utf8_lossy(&answer.body);
    evidence.hear(&body);
    let expectation = Expectation { status: *status, contains, json, content_type };
    match expectation.unmet(&answer, &body, vars) {
        None => {
            evidence.health = Health::Healthy;
            evidence.reason = format!("status {status} and all that was expected");
        }
        Some(unmet) => evidence.reason = unmet,
    }
    evidence
}

struct Expectation<'a> {
    status: u16,
    contains: &'a Option<String>,
    json: &'a std::collections::BTreeMap<String, String>,
    content_type: &'a Option<String>,
}

impl Expectation<'_> {
    fn unmet(&self, answer: &Answer, body: &str, vars: Vars<'_>) -> Option<String> {
        if answer.status != self.status {
            return Some(format!("expected status {}, got {}", self.status, answer.status));
        }
        let given_type = answer.content_type.as_deref().unwrap_or("none");
        if let Some(expected) = self.content_type
            && !given_type.to_ascii_lowercase().starts_with(&expected.to_ascii_lowercase())
        {
            return Some(format!("expected content type {expected}, got {given_type}"));
        }
        if let Some(expected) = self.contains {
            let expected = render(expected, vars).unwrap_or_else(|_| expected.clone());
            if !body.contains(&expected) {
                return Some(format!("the body does not contain '{expected}'"));
            }
        }
        if self.json.is_empty() {
            return None;
        }
        let Ok(given) = serde_json::from_str::<serde_json::Value>(body) else {
            return Some("expected JSON, got something else".to_owned());
        };
        self.json.iter().find_map(|(field, expected)| {
            let expected = render(expected, vars).unwrap_or_else(|_| expected.clone());
            let value = match given.get(field) {
                None => return Some(format!("the JSON has no field '{field}'")),
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            (value != expected).then(|| format!("expected {field} = {expected}, got {value}"))
        })
    }
}
