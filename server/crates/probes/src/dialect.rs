//! Health dialects: what an answer says, by the path that was asked. Every rule names what it
//! understood; everything else is unknown.

use lockstep_model::health::Health;
use serde_json::Value;

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Does it live?
    Live,
    /// Can it serve?
    Ready,
    /// How is it, in detail?
    Detail,
}

impl Role {
    /// The word in evidence.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Detail => "detail",
        }
    }
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// How it is.
    pub health: Health,
    /// What was understood, in one sentence.
    pub reason: String,
}

fn say(health: Health, reason: impl Into<String>) -> Judgement {
    Judgement { health, reason: reason.into() }
}

/// Words that say it is well.
const HEALTHY: &[&str] = &["healthy", "ok", "up", "running", "ready", "alive", "started", "pass"];
/// Words that say it serves with something missing.
const DEGRADED: &[&str] = &["degraded", "warning", "warn"];
/// Words that say it is not well.
const UNHEALTHY: &[&str] =
    &["unhealthy", "down", "error", "critical", "not_ready", "starting", "offline", "fail", "failed"];

fn word(text: &str) -> Option<Health> {
    let text = text.trim().to_ascii_lowercase();
    let is_in = |words: &[&str]| words.contains(&text.as_str());
    if is_in(HEALTHY) {
        Some(Health::Healthy)
    } else if is_in(DEGRADED) {
        Some(Health::Degraded)
    } else if is_in(UNHEALTHY) {
        Some(Health::Unhealthy)
    } else {
        None
    }
}

/// Reads an answer. A status from 400 is unhealthy whatever the body says, a redirect is unknown,
/// and a body that is not understood is unknown.
pub fn judge(role: Role, status: u16, content_type: Option<&str>, body: &[u8]) -> Judgement {
    if status == 429 {
        return say(Health::Unknown, "it refuses to answer so many probes (429); raise the interval");
    }
    if status == 404 || status == 405 {
        return say(
            Health::Unknown,
            format!("there is no such path (status {status}); correct it in healthcheck"),
        );
    }
    let text = String::from_utf8_lossy(body);
    if status >= 400 {
        let said = serde_json::from_slice::<Value>(body).ok().and_then(|value| status_word(&value));
        let said = said.map_or_else(String::new, |word| format!(", it says '{word}'"));
        return say(Health::Unhealthy, format!("status {status}{said}"));
    }
    if status >= 300 {
        return say(Health::Unknown, format!("it redirects (status {status}); name the final path"));
    }
    let is_html = content_type.is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
    if is_html || text.trim_start().starts_with('<') {
        return say(
            Health::Unknown,
            "a page, not a health answer; for a web page use a verify check of kind http with status and contains",
        );
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(fields)) => object(role, &Value::Object(fields)),
        Ok(Value::String(text)) => plain(&text),
        Ok(Value::Bool(true)) => say(Health::Healthy, "true"),
        Ok(Value::Bool(false)) => say(Health::Unhealthy, "false"),
        Ok(_) => say(Health::Unknown, "JSON that does not tell how it is"),
        Err(_) => plain(&text),
    }
}

fn plain(text: &str) -> Judgement {
    match word(text) {
        Some(health) => say(health, format!("it says '{}'", text.trim())),
        None if text.trim().is_empty() => {
            say(Health::Unknown, "an empty answer; for a plain status use a verify check of kind http")
        }
        None => say(Health::Unknown, "an answer that is not understood"),
    }
}

/// `status` at the top, or below `detail` as FastAPI puts it.
fn status_word(value: &Value) -> Option<String> {
    let direct = value.get("status").and_then(Value::as_str);
    let below = value.get("detail").and_then(|detail| detail.get("status")).and_then(Value::as_str);
    direct.or(below).map(ToOwned::to_owned)
}

fn object(role: Role, value: &Value) -> Judgement {
    // A boolean that answers the question itself counts most: a status word beside it may be a
    // constant.
    for (field, meaning) in [("ready", Role::Ready), ("alive", Role::Live), ("started", Role::Live)] {
        if let Some(answer) = value.get(field).and_then(Value::as_bool) {
            if !answer {
                let missing =
                    first_false(value, "dependencies_ready").or_else(|| first_false(value, "checks"));
                let missing = missing.map_or_else(String::new, |name| format!(", {name} is not"));
                return say(Health::Unhealthy, format!("{field} is false{missing}"));
            }
            // `alive: true` says nothing about readiness.
            if role == Role::Ready && meaning == Role::Live {
                return say(
                    Health::Unknown,
                    format!("{field} is true, which does not tell whether it can serve"),
                );
            }
            if let Some(name) = first_false(value, "dependencies_ready") {
                return say(Health::Degraded, format!("{field} is true, but {name} is not"));
            }
            return say(Health::Healthy, format!("{field} is true"));
        }
    }
    let Some(status) = status_word(value) else {
        return say(Health::Unknown, "JSON without status, ready, alive or started");
    };
    let Some(health) = word(&status) else {
        return say(Health::Unknown, format!("its status '{status}' is not a word that is understood"));
    };
    if health != Health::Healthy {
        return say(health, format!("its status is '{status}'{}", missing(value)));
    }
    if value.get("should_block_investigations").and_then(Value::as_bool) == Some(true) {
        return say(Health::Unhealthy, "it says that it must not be used");
    }
    let missing = missing(value);
    if missing.is_empty() {
        say(Health::Healthy, format!("its status is '{status}'"))
    } else {
        say(Health::Degraded, format!("its status is '{status}'{missing}"))
    }
}

/// The first dependency or check that is not well, as `, but redis is not`.
fn missing(value: &Value) -> String {
    let found = ["dependencies", "checks", "services"].iter().find_map(|group| first_false(value, group));
    found.map_or_else(String::new, |name| format!(", but {name} is not well"))
}

/// The name of the first value below `group` that says no: false, or a status word that is not
/// healthy; maps are looked into.
fn first_false(value: &Value, group: &str) -> Option<String> {
    fn look(name: &str, value: &Value, depth: u8) -> Option<String> {
        match value {
            Value::Bool(false) => Some(name.to_owned()),
            Value::String(text) if name == "status" => {
                word(text).filter(|health| *health != Health::Healthy).map(|_| name.to_owned())
            }
            Value::Object(fields) if depth < 4 => fields.iter().find_map(|(key, value)| {
                look(key, value, depth + 1)
                    .map(|found| if found == "status" { name.to_owned() } else { found })
            }),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => None,
        }
    }
    look(group, value.get(group)?, 0)
}
