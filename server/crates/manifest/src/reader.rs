//! Reading a mapping key by key: every key is asked for by name, and what is left over is refused
//! with the nearest name. Duplicates and keys that differ only by case are refused too.

use crate::tree::{Found, Key, Node, Place, Value};
use std::collections::BTreeMap;

/// A mapping that is being read. `what` is its name in messages: "a service".
pub(crate) struct Reader<'n> {
    what: &'static str,
    place: Place,
    entries: BTreeMap<&'n str, (Place, &'n Node)>,
    asked: Vec<&'static str>,
}

/// Where problems go.
pub(crate) type Problems = Vec<Found>;

pub(crate) fn refuse(problems: &mut Problems, place: Place, message: impl Into<String>) {
    problems.push(Found { place, message: message.into() });
}

/// The entries of a mapping with `x-` keys left out and duplicates refused.
pub(crate) fn entries<'n>(
    node: &'n Node,
    what: &str,
    problems: &mut Problems,
) -> Option<Vec<(&'n Key, &'n Node)>> {
    let Value::Map(map) = &node.value else {
        refuse(problems, node.place, format!("expected {what} as a mapping, found {}", node.kind()));
        return None;
    };
    let mut seen: BTreeMap<String, &Key> = BTreeMap::new();
    let mut kept = Vec::with_capacity(map.len());
    for (key, value) in map {
        let folded = key.text.to_ascii_lowercase();
        match seen.get(&folded) {
            Some(first) if first.text == key.text => {
                let line = first.place.line;
                refuse(
                    problems,
                    key.place,
                    format!("'{}' is here twice; it is also in line {line}", shown(&key.text)),
                );
            }
            Some(first) => {
                let line = first.place.line;
                refuse(
                    problems,
                    key.place,
                    format!(
                        "'{}' differs only by case from '{}' in line {line}",
                        shown(&key.text),
                        shown(&first.text)
                    ),
                );
            }
            None => {
                seen.insert(folded, key);
                if !key.text.starts_with("x-") {
                    kept.push((key, value));
                }
            }
        }
    }
    Some(kept)
}

/// A text from the manifest, fit for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// `; did you mean 'x'?` when one of `known` is like `given`.
pub(crate) fn did_you_mean<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let given = given.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&given, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(2))
        .min()
        .map_or_else(String::new, |(_, name)| format!("; did you mean '{name}'?"))
}

impl<'n> Reader<'n> {
    pub(crate) fn new(node: &'n Node, what: &'static str, problems: &mut Problems) -> Option<Self> {
        let entries = entries(node, what, problems)?;
        let entries =
            entries.into_iter().map(|(key, value)| (key.text.as_str(), (key.place, value))).collect();
        Some(Self { what, place: node.place, entries, asked: Vec::new() })
    }

    pub(crate) const fn place(&self) -> Place {
        self.place
    }

    /// The value of a key; none when it is missing or has no value.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        self.asked.push(key);
        self.entries.remove(key).map(|(_, node)| node).filter(|node| !node.is_nothing())
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&mut self, key: &'static str, problems: &mut Problems) -> Option<&'n Node> {
        let value = self.get(key);
        if value.is_none() {
            refuse(problems, self.place, format!("{} needs '{key}'", self.what));
        }
        value
    }

    /// Refuses every key that nobody asked for.
    pub(crate) fn finish(self, problems: &mut Problems) {
        for (key, (place, _)) in &self.entries {
            let near = did_you_mean(key, self.asked.iter().copied());
            let known: Vec<&str> = self.asked.iter().copied().take(16).collect();
            refuse(
                problems,
                *place,
                format!("unknown key '{}'{near} Keys of {} are: {}", shown(key), self.what, known.join(", "))
                    .replace("' Keys", "'. Keys"),
            );
        }
    }
}
