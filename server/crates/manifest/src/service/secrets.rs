//! Variables whose values are secret: where each comes from. A value itself never stands in a manifest,
//! and one that does is refused without being shown.

use super::is_variable;
use crate::{
    reader::{Problems, Reader, entries, refuse},
    tree::{Node, Value},
    values::{Template, absolute, arguments, name, text},
};
use lockstep_model::secrets::{SecretSource, SecretSources};
use std::collections::BTreeMap;

/// The most variables of one service.
const VARIABLES_MAX: usize = 64;
const SHAPE: &str = "{secret: NAME}, {env: VARIABLE}, {file: /PATH} or {command: [PROGRAM, ARGUMENT]}";

pub(super) fn read(node: &Node, env: &BTreeMap<String, String>, problems: &mut Problems) -> SecretSources {
    let mut sources = SecretSources::new();
    let entries = entries(node, "secrets", problems).unwrap_or_default();
    if entries.len() > VARIABLES_MAX {
        refuse(problems, node.place, format!("a service has at most {VARIABLES_MAX} secrets"));
        return sources;
    }
    for (key, value) in entries {
        if !is_variable(key, problems) {
            continue;
        }
        if env.contains_key(&key.text) {
            let message = format!("{} stands in env, too; leave one of them out", key.text);
            refuse(problems, key.place, message);
            continue;
        }
        if let Some(source) = source(value, problems) {
            sources.insert(key.text.clone(), source);
        }
    }
    sources
}

fn source(node: &Node, problems: &mut Problems) -> Option<SecretSource> {
    // Perhaps somebody wrote the value itself: it is not repeated.
    let Value::Map(_) = &node.value else {
        let message = format!("a secret says where its value comes from and not the value: {SHAPE}");
        refuse(problems, node.place, message);
        return None;
    };
    let mut reader = Reader::new(node, "a secret", problems)?;
    let found: Vec<(&str, &Node)> = ["secret", "env", "file", "command"]
        .into_iter()
        .filter_map(|key| reader.get(key).map(|node| (key, node)))
        .collect();
    reader.finish(problems);
    let [(key, value)] = found[..] else {
        let words: Vec<&str> = found.iter().map(|(key, _)| *key).collect();
        let message = match words[..] {
            [] => format!("a secret needs one source: {SHAPE}"),
            _ => format!(
                "a secret has one source, found {}; in an environment's overrides mappings are merged key by key, so there the other one is set to null",
                words.join(" and ")
            ),
        };
        refuse(problems, node.place, message);
        return None;
    };
    match key {
        "secret" => name(value, "a secret's name", problems).map(SecretSource::Secret),
        "env" => {
            let variable = text(value, "a variable's name", problems)?;
            let is_name = variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !is_name {
                refuse(problems, value.place, "env names a variable of the server: letters, digits and '_'");
                return None;
            }
            Some(SecretSource::Env(variable.to_owned()))
        }
        "file" => absolute(value, "file", problems).map(SecretSource::File),
        _ => {
            let argv = arguments(value, "command", Template::Version, problems)?;
            if argv.iter().any(|argument| argument.contains("${")) {
                refuse(
                    problems,
                    value.place,
                    "nothing is replaced in the command of a secret: it is the same for every version",
                );
                return None;
            }
            Some(SecretSource::Command(argv))
        }
    }
}
