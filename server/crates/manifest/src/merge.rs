//! An environment's overrides over what a service says for all: mappings are merged key by key,
//! lists and single values replace. Places stay, so a refusal points at the text that is wrong.

use crate::tree::{Key, Node, Value};

/// Keys of a service that an environment may override.
pub(crate) const OVERRIDABLE: &[&str] = &[
    "target",
    "artifact",
    "version",
    "healthcheck",
    "verify",
    "strategy",
    "watch",
    "timeouts",
    "rollback",
    "on_unknown",
];

/// `over` laid over `base`.
pub(crate) fn merge(base: &Node, over: &Node) -> Node {
    let (Value::Map(below), Value::Map(above)) = (&base.value, &over.value) else { return over.clone() };
    if changes_type(below, above) {
        return over.clone();
    }
    let mut merged: Vec<(Key, Node)> = below.clone();
    for (key, value) in above {
        match merged.iter_mut().find(|(known, _)| known.text == key.text) {
            Some((known, node)) => {
                *node = merge(node, value);
                *known = key.clone();
            }
            None => merged.push((key.clone(), value.clone())),
        }
    }
    Node { place: over.place, value: Value::Map(merged) }
}

/// A target of another type takes nothing over.
fn changes_type(below: &[(Key, Node)], above: &[(Key, Node)]) -> bool {
    let kind = |entries: &[(Key, Node)]| {
        entries.iter().find(|(key, _)| key.text == "type").map(|(_, node)| node.kind())
    };
    matches!((kind(below), kind(above)), (Some(below), Some(above)) if below != above)
}

/// The parts of a service's mapping that an environment may override.
pub(crate) fn overridable(service: &Node) -> Node {
    let Value::Map(entries) = &service.value else { return service.clone() };
    let kept = entries.iter().filter(|(key, _)| OVERRIDABLE.contains(&key.text.as_str())).cloned().collect();
    Node { place: service.place, value: Value::Map(kept) }
}
