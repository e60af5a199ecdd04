//! What a probe found. Unknown is a state of its own and never passes for healthy.

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest excerpt of a body that is kept as evidence, in characters.
pub const EXCERPT_CHARS_MAX: usize = 400;

/// The longest answer that the last look at a service holds, in bytes.
pub const ANSWER_BYTES_MAX: usize = 4_096;

/// How a service is, as far as its answers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Health {
    /// Says that it is healthy, in a form that is understood.
    Healthy,
    /// Serves, with something missing.
    Degraded,
    /// Says that it is not healthy, or cannot be reached.
    Unhealthy,
    /// Answered in a form that is not understood, or was not asked.
    Unknown,
}

impl Health {
    /// The word shown to people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }
}

/// What a gate or a watch saw when it last looked; enough to see why it decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// When the answer came.
    pub at: Timestamp,
    /// What was asked, for people: `ready`, `live`, `detail`, or a check's name.
    pub check: String,
    /// Where it was asked: the resolved address and path, or the command's name.
    pub address: String,
    /// HTTP status, or a command's exit code; none when nothing answered.
    pub code: Option<i32>,
    /// The beginning of the answer, control characters replaced.
    pub excerpt: String,
    /// The answer with its lines, up to a bound: only in the last look at what serves, never in a
    /// journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// How long the answer took.
    pub latency_ms: u64,
    /// The judgement.
    pub health: Health,
    /// Why, in one sentence.
    pub reason: String,
}

impl Evidence {
    /// A judgement; what was answered is not heard yet.
    pub fn new(
        at: Timestamp,
        check: &str,
        address: impl Into<String>,
        health: Health,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            at,
            check: check.to_owned(),
            address: address.into(),
            code: None,
            excerpt: String::new(),
            answer: String::new(),
            latency_ms: 0,
            health,
            reason: reason.into(),
        }
    }

    /// Takes in what was answered.
    pub fn hear(&mut self, body: &str) {
        self.excerpt = excerpt(body);
        self.answer = answer(body);
    }

    /// What a journal keeps of it.
    #[must_use]
    pub fn kept(mut self) -> Self {
        self.answer = String::new();
        self
    }

    /// `healthy: 200 from 127.0.0.1:4101/health/ready: ready is true`
    pub fn sentence(&self) -> String {
        let code = self.code.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
        let mut text =
            format!("{} {}: {code} from {}: {}", self.check, self.health.word(), self.address, self.reason);
        if !self.excerpt.is_empty() && self.health != Health::Healthy {
            text.push_str("; it said: ");
            text.push_str(&self.excerpt);
        }
        text
    }
}

/// The beginning of `body`, fit to be shown: control characters become spaces.
pub fn excerpt(body: &str) -> String {
    let mut chars = body.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut text: String = chars.by_ref().take(EXCERPT_CHARS_MAX).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}

/// As much of `body` as a look holds: its lines are kept, other control characters become spaces.
fn answer(body: &str) -> String {
    let body = body.trim_end();
    let end = body.floor_char_boundary(ANSWER_BYTES_MAX);
    let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c };
    let mut text: String = body[..end].replace("\r\n", "\n").chars().map(shown).collect();
    if end < body.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_its_lines_and_has_an_end_and_a_journal_keeps_only_an_excerpt() {
        let mut evidence = Evidence::new(Timestamp(1), "ready", "127.0.0.1:1/", Health::Healthy, "");
        evidence.hear("{\r\n\t\"ready\": \u{1b}true\n}\n");
        assert_eq!(evidence.answer, "{\n\t\"ready\":  true\n}");
        assert_eq!(evidence.excerpt, "{  \t\"ready\":  true }".replace('\t', " "));
        evidence.hear(&"é".repeat(ANSWER_BYTES_MAX));
        assert!(
            evidence.answer.ends_with("é…") && evidence.answer.len() <= ANSWER_BYTES_MAX + '…'.len_utf8()
        );
        let written = serde_json::to_string(&evidence.kept()).expect("JSON");
        assert!(!written.contains("answer"), "{written}");
    }
}
