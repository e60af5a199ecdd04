//! Single values: texts, numbers, durations, names, choices, lists of arguments, addresses.

use crate::{
    reader::{Problems, did_you_mean, refuse, shown},
    tree::{Node, Value},
};
use lockstep_model::{scalar::InvalidText, template};
use std::{net::SocketAddr, str::FromStr};

/// The longest single text.
const TEXT_BYTES_MAX: usize = 4_096;
/// The most arguments of a command.
const ARGUMENTS_MAX: usize = 256;

/// Which variables a text may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Template {
    /// `${VERSION}`.
    Version,
    /// `${VERSION}` and `${PORT}`.
    VersionAndPort,
}

pub(crate) fn text<'n>(node: &'n Node, what: &str, problems: &mut Problems) -> Option<&'n str> {
    match &node.value {
        Value::Scalar { text, .. } if text.len() > TEXT_BYTES_MAX => {
            refuse(problems, node.place, format!("{what} is longer than {TEXT_BYTES_MAX} bytes"));
            None
        }
        Value::Scalar { text, .. } if text.contains('\0') => {
            refuse(problems, node.place, format!("{what} holds a NUL character"));
            None
        }
        Value::Scalar { text, .. } if !text.is_empty() => Some(text),
        Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
            refuse(problems, node.place, format!("expected {what} as a text, found {}", node.kind()));
            None
        }
    }
}

pub(crate) fn name<T: FromStr<Err = InvalidText>>(
    node: &Node,
    what: &str,
    problems: &mut Problems,
) -> Option<T> {
    let text = text(node, what, problems)?;
    text.parse().map_err(|error: InvalidText| refuse(problems, node.place, error.to_string())).ok()
}

/// A version. An unquoted number such as 1.0 is refused: another reader of YAML makes 1 of it.
pub(crate) fn version(node: &Node, problems: &mut Problems) -> Option<lockstep_model::Version> {
    if let Value::Scalar { text, is_quoted: false } = &node.value
        && text.parse::<f64>().is_ok()
    {
        refuse(problems, node.place, format!("a version is a text: write it in quotes, \"{}\"", shown(text)));
        return None;
    }
    name(node, "a version", problems)
}

pub(crate) fn choice<T: Copy>(
    node: &Node,
    what: &str,
    choices: &[(&'static str, T)],
    problems: &mut Problems,
) -> Option<T> {
    let text = text(node, what, problems)?;
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Some(*value);
    }
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    let near = did_you_mean(text, words.iter().copied());
    let message = format!("{what} is one of {}; found '{}'{near}", words.join(", "), shown(text));
    refuse(problems, node.place, message);
    None
}

pub(crate) fn flag(node: &Node, what: &str, problems: &mut Problems) -> Option<bool> {
    match &node.value {
        Value::Scalar { text, is_quoted: false } if text == "true" => Some(true),
        Value::Scalar { text, is_quoted: false } if text == "false" => Some(false),
        Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
            let advice = match node.kind().to_ascii_lowercase().as_str() {
                "'yes'" | "'on'" | "'y'" | "'no'" | "'off'" | "'n'" => {
                    " (YAML 1.2 knows no yes, no, on or off)"
                }
                _ => "",
            };
            refuse(problems, node.place, format!("{what} is true or false, found {}{advice}", node.kind()));
            None
        }
    }
}

pub(crate) fn number(
    node: &Node,
    what: &str,
    range: std::ops::RangeInclusive<u64>,
    problems: &mut Problems,
) -> Option<u64> {
    let number = match &node.value {
        Value::Scalar { text, is_quoted: false } => text.parse::<u64>().ok(),
        Value::Scalar { .. } | Value::List(_) | Value::Map(_) => None,
    };
    match number {
        Some(number) if range.contains(&number) => Some(number),
        _ => {
            let (least, most) = (range.start(), range.end());
            refuse(
                problems,
                node.place,
                format!("{what} is a number from {least} to {most}, found {}", node.kind()),
            );
            None
        }
    }
}

/// A duration such as `500ms`, `3s`, `1m30s`, `2h`, `7d`, within `range_ms`.
pub(crate) fn duration_ms(
    node: &Node,
    what: &str,
    range_ms: std::ops::RangeInclusive<u64>,
    problems: &mut Problems,
) -> Option<u64> {
    let text = text(node, what, problems)?;
    let Some(duration_ms) = duration(text) else {
        let advice =
            if text.parse::<f64>().is_ok() { format!("; did you mean '{text}s'?") } else { String::new() };
        let found = shown(text);
        refuse(
            problems,
            node.place,
            format!("{what} is a duration such as 500ms, 3s, 1m30s or 2h, found '{found}'{advice}"),
        );
        return None;
    };
    if range_ms.contains(&duration_ms) {
        return Some(duration_ms);
    }
    let (least, most) = (words(*range_ms.start()), words(*range_ms.end()));
    refuse(problems, node.place, format!("{what} is from {least} to {most}, found '{}'", shown(text)));
    None
}

fn duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let value: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit_ms, length) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]
            .iter()
            .find(|(unit, _)| {
                rest.strip_prefix(unit)
                    .is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphabetic()))
            })
            .map(|(unit, ms)| (*ms, unit.len()))?;
        rest = &rest[length..];
        total = total.checked_add(value.checked_mul(unit_ms)?)?;
    }
    (!text.is_empty()).then_some(total)
}

pub(crate) fn words(duration_ms: u64) -> String {
    match duration_ms {
        0 => "0s".to_owned(),
        ms if ms % 86_400_000 == 0 => format!("{}d", ms / 86_400_000),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

pub(crate) fn list<'n>(node: &'n Node, what: &str, problems: &mut Problems) -> &'n [Node] {
    match &node.value {
        Value::List(items) => items,
        Value::Scalar { .. } | Value::Map(_) => {
            refuse(problems, node.place, format!("expected {what} as a list, found {}", node.kind()));
            &[]
        }
    }
}

/// A text in which `${…}` may stand.
pub(crate) fn templated(
    node: &Node,
    what: &str,
    allowed: Template,
    problems: &mut Problems,
) -> Option<String> {
    let text = text(node, what, problems)?;
    match template::check(text, allowed == Template::VersionAndPort) {
        Ok(()) => Some(text.to_owned()),
        Err(error) => {
            refuse(problems, node.place, error.to_string());
            None
        }
    }
}

/// Program and arguments: a list, never a shell text.
pub(crate) fn arguments(
    node: &Node,
    what: &str,
    allowed: Template,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    if let Value::Scalar { text, .. } = &node.value {
        let split: Vec<String> = text.split_whitespace().map(|word| format!("\"{}\"", shown(word))).collect();
        let message = format!("{what} is a list of arguments, not a shell line: [{}]", split.join(", "));
        refuse(problems, node.place, message);
        return None;
    }
    let items = list(node, what, problems);
    if items.is_empty() || items.len() > ARGUMENTS_MAX {
        refuse(problems, node.place, format!("{what} has 1 to {ARGUMENTS_MAX} arguments, the program first"));
        return None;
    }
    let read: Vec<String> = items
        .iter()
        .filter_map(|item| match &item.value {
            Value::Scalar { text, is_quoted: true } if text.is_empty() => Some(String::new()),
            _ => templated(item, "an argument", allowed, problems),
        })
        .collect();
    (read.len() == items.len()).then_some(read)
}

/// An address to listen at: IP and port.
pub(crate) fn listen(node: &Node, what: &str, problems: &mut Problems) -> Option<String> {
    let text = text(node, what, problems)?;
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Some(address.to_string()),
        _ => {
            let message =
                format!("{what} is an IP address and a port such as 127.0.0.1:8080, found '{}'", shown(text));
            refuse(problems, node.place, message);
            None
        }
    }
}

/// A folder on the agent's host.
pub(crate) fn absolute(node: &Node, what: &str, problems: &mut Problems) -> Option<String> {
    let path = text(node, what, problems)?;
    if path.starts_with('/') && !path.split('/').any(|part| part == "..") {
        return Some(path.to_owned());
    }
    let found = shown(path);
    refuse(
        problems,
        node.place,
        format!("{what} is a path on the agent's host and must be absolute, without '..': found '{found}'"),
    );
    None
}

/// A path of an HTTP request.
pub(crate) fn http_path(node: &Node, what: &str, problems: &mut Problems) -> Option<String> {
    let path = text(node, what, problems)?;
    if path.starts_with('/') && !path.contains(char::is_whitespace) {
        return Some(path.to_owned());
    }
    refuse(problems, node.place, format!("{what} is a path that begins with '/', found '{}'", shown(path)));
    None
}
