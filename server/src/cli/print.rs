//! Output: JSON for programs, aligned columns for people.

use super::error::Failure;
use crate::clock::SystemClock;
use crate::out::say;
use crate::progress::seconds;
use lockstep_engine::port::Clock as _;
use lockstep_model::{Timestamp, health::Health, view::OutsideView};
use serde::Serialize;

/// Prints a value as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::local(error.to_string()))?;
    say!("{text}");
    Ok(())
}

/// Prints a text of several lines.
pub(super) fn text(text: &str) {
    say!("{}", text.trim_end_matches("\r\n"));
}

/// Prints rows below a head, each column as wide as its widest text.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) {
    let mut widths = head.map(|text| text.chars().count());
    for row in rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    line(&head.map(ToOwned::to_owned), &widths);
    for row in rows {
        line(row, &widths);
    }
}

fn line(texts: &[String], widths: &[usize]) {
    let cells: Vec<String> =
        texts.iter().zip(widths).map(|(text, width)| format!("{text:<width$}")).collect();
    say!("{}", cells.join("  ").trim_end());
}

/// How long ago something was.
pub(super) fn ago(at: Timestamp) -> String {
    format!("{} ago", span(SystemClock.now().since_ms(at)))
}

/// In how long something is.
pub(super) fn ahead(at: Timestamp) -> String {
    format!("in {}", span(at.since_ms(SystemClock.now())))
}

fn span(duration_ms: u64) -> String {
    let seconds = duration_ms / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Between two times, when both are known.
pub(super) fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => seconds(to.since_ms(from)),
        _ => "–".to_owned(),
    }
}

/// How a service is that needs what a deployment changed and is not part of it.
pub(super) fn outside(view: &OutsideView) -> String {
    let seen = match &view.evidence {
        None => "not looked at yet".to_owned(),
        Some(evidence) if evidence.health == Health::Healthy => evidence.health.word().to_owned(),
        Some(evidence) => evidence.sentence(),
    };
    format!("{} needs this and was not changed: {seen}", view.service)
}

/// A text that may be missing.
pub(super) fn or_dash<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "–".to_owned(), ToString::to_string)
}
