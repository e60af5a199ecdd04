//! What a line of the audit says of before and after, field by field. Only of lines whose reason the server
//! writes by itself: what people type is shown as they typed it, whatever it looks like.

use serde_json::Value;

/// Whose lines say what was before and after.
const WRITTEN_BY_US: [&str; 12] = [
    "/user/",
    "/session/oidc",
    "/session/end",
    "/secret/",
    "/hook/",
    "/trust/",
    "/token/revoke",
    "/restriction/",
    "/lockdown/",
    "/manifest/apply",
    "/deployment/approve",
    "/deployment/reject",
];
const BEFORE: &str = "before: ";
const AFTER: &str = "after: ";
const AND_AFTER: &str = "; after: ";
/// How sides are written on which there is nothing.
const NOTHING: [&str; 3] = ["", "no role", "not set"];
const SWITCHED_OFF: &str = "switched off";
const SIGN_IN: &str = "sign-in";

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// What it is called.
    pub(super) field: String,
    /// What was; none = it was not there.
    pub(super) before: Option<String>,
    /// What is; none = it is not there any more.
    pub(super) after: Option<String>,
}

impl Change {
    /// A sign and a word for what happened to it: nobody needs colours to tell.
    pub(super) const fn word(&self) -> (&'static str, &'static str) {
        match (&self.before, &self.after) {
            (None, _) => ("+", "added"),
            (_, None) => ("−", "removed"),
            (Some(_), Some(_)) => ("±", "changed"),
        }
    }
}

/// What differs between both sides of a line; none = it says nothing of sides.
pub(super) fn changes(action: &str, reason: &str) -> Option<Vec<Change>> {
    if !WRITTEN_BY_US.iter().any(|known| action.starts_with(known)) {
        return None;
    }
    let (before, after) = sides(reason)?;
    let (mut before, mut after) = (fields(before), fields(after));
    // Whoever is not switched off may sign in; that is said only where it differs.
    let is_off = |side: &[Field]| side.iter().any(|(field, _)| field == SIGN_IN);
    if is_off(&before) != is_off(&after) && !before.is_empty() && !after.is_empty() {
        let other = if is_off(&before) { &mut after } else { &mut before };
        other.push((SIGN_IN.to_owned(), "allowed".to_owned()));
    }
    let mut all = Vec::new();
    for (field, was) in before {
        let is = after.iter().position(|(other, _)| *other == field).map(|at| after.remove(at).1);
        if is.as_ref() != Some(&was) {
            all.push(Change { field, before: Some(was), after: is });
        }
    }
    all.extend(after.into_iter().map(|(field, is)| Change { field, before: None, after: Some(is) }));
    Some(all)
}

/// Both sides as they are written; an empty one is not there.
fn sides(reason: &str) -> Option<(&str, &str)> {
    if let Some(after) = reason.strip_prefix(AFTER) {
        return Some(("", after));
    }
    let rest = reason.strip_prefix(BEFORE)?;
    let is_whole = |side: &str| !side.starts_with('{') || parsed(side).is_some();
    // A value may hold the words that stand between both.
    let mut ends = rest.match_indices(AND_AFTER).map(|(at, _)| at);
    let end = ends.find(|at| rest.get(..*at).is_some_and(is_whole));
    Some(end.and_then(|at| Some((rest.get(..at)?, rest.get(at + AND_AFTER.len()..)?))).unwrap_or((rest, "")))
}

type Field = (String, String);

fn parsed(side: &str) -> Option<Value> {
    serde_json::from_str(side).ok()
}

fn fields(side: &str) -> Vec<Field> {
    if side.starts_with('{')
        && let Some(value) = parsed(side)
    {
        let mut all = Vec::new();
        flatten("", &value, &mut all);
        return all;
    }
    side.split(", ").map(str::trim).filter(|item| !NOTHING.contains(item)).map(field).collect()
}

/// `viewer on shop` is the role there, `version 3` the version.
fn field(item: &str) -> Field {
    let (name, value) = if item == SWITCHED_OFF {
        (SIGN_IN.to_owned(), item)
    } else if let Some((role, place)) = item.split_once(" on ") {
        (format!("role on {place}"), role)
    } else {
        let (name, value) = item.split_once(' ').unwrap_or((item, ""));
        (name.to_owned(), value)
    };
    (name, value.to_owned())
}

/// The values of an object under their names; what is empty is not there.
fn flatten(name: &str, value: &Value, all: &mut Vec<Field>) {
    match value {
        Value::Null => {}
        Value::Object(parts) => {
            for (key, part) in parts {
                let inner = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(&inner, part, all);
            }
        }
        Value::Array(parts) if parts.is_empty() => {}
        Value::Array(parts) => {
            let words: Vec<String> = parts.iter().map(plain).collect();
            all.push((name.to_owned(), words.join(", ")));
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => all.push((name.to_owned(), plain(value))),
    }
}

/// Text as it is, everything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(action: &str, reason: &str) -> Vec<String> {
        let all = changes(action, reason).expect("it has sides");
        let line = |one: &Change| {
            let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
            format!("{} {}: {} -> {}", one.word().1, one.field, side(&one.before), side(&one.after))
        };
        all.iter().map(line).collect()
    }

    #[test]
    fn roles_are_told_place_by_place_and_what_stays_is_left_out() {
        let reason = "before: viewer on everything, operator on shop; after: deployer on everything, operator on shop, viewer on web/live";
        assert_eq!(
            said("/user/grant", reason),
            ["changed role on everything: viewer -> deployer", "added role on web/live: nothing -> viewer"]
        );
        let reason = "before: viewer on everything; after: no role";
        assert_eq!(said("/user/revoke", reason), ["removed role on everything: viewer -> nothing"]);
        assert_eq!(
            said("/user/add", "after: admin on everything"),
            ["added role on everything: nothing -> admin"]
        );
    }

    #[test]
    fn switching_off_is_a_change_of_signing_in() {
        let reason = "before: viewer on everything; after: viewer on everything, switched off";
        assert_eq!(said("/user/change", reason), ["changed sign-in: allowed -> switched off"]);
        let reason = "before: viewer on everything, switched off; after: viewer on everything";
        assert_eq!(said("/user/change", reason), ["changed sign-in: switched off -> allowed"]);
        let both = "before: viewer on shop, switched off; after: viewer on shop, switched off";
        assert_eq!(said("/user/change", both), [""; 0]);
    }

    #[test]
    fn a_secret_changes_its_version_and_a_key_its_name() {
        let set = "/secret/set";
        assert_eq!(said(set, "before: not set; after: version 1"), ["added version: nothing -> 1"]);
        assert_eq!(said(set, "before: version 1; after: version 2"), ["changed version: 1 -> 2"]);
        let removed = said("/secret/remove", "before: version 2; after: not set");
        assert_eq!(removed, ["removed version: 2 -> nothing"]);
        assert_eq!(said("/secret/rekey", "before: key ab; after: key cd"), ["changed key: ab -> cd"]);
    }

    #[test]
    fn objects_are_told_by_their_names_down_to_their_values() {
        let reason = r#"after: {"name":"main","events":["push","deployment"],"services":[],"workflow":null,"job":{"ref":"a; after: b"}}"#;
        assert_eq!(
            said("/hook/add", reason),
            [
                "added events: nothing -> push, deployment",
                "added job.ref: nothing -> a; after: b",
                "added name: nothing -> main",
            ]
        );
        let both = r#"before: {"ref":"a; after: b","days":1}; after: {"ref":"a; after: b","days":2}"#;
        assert_eq!(said("/trust/add", both), ["changed days: 1 -> 2"]);
        let gone = r#"before: {"ref":"a; after: b"}"#;
        assert_eq!(said("/hook/remove", gone), ["removed ref: a; after: b -> nothing"]);
    }

    #[test]
    fn what_was_typed_stands_within_a_field_and_makes_no_sides() {
        let typed = r#"before: {"is":"lock of web","reason":"x"}; after: {"is":"lock of web","reason":"x","ended":"x; after: {}"}"#;
        assert_eq!(said("/restriction/end", typed), ["added ended: nothing -> x; after: {}"]);
        let digest = "before: digest sha256:aa; after: digest sha256:bb";
        assert_eq!(said("/manifest/apply", digest), ["changed digest: sha256:aa -> sha256:bb"]);
        assert_eq!(said("/session/end_all", "before: sessions 3"), ["removed sessions: 3 -> nothing"]);
        let approved = r#"before: {"approved_by":[]}; after: {"approved_by":["bert"]}"#;
        assert_eq!(said("/deployment/approve", approved), ["added approved_by: nothing -> bert"]);
    }

    #[test]
    fn what_people_type_is_never_taken_for_sides() {
        assert_eq!(changes("/deployment/start", "before: x 1; after: x 2"), None);
        assert_eq!(changes("/user/grant", "for the weekend"), None);
    }

    #[test]
    fn whatever_stands_there_is_read_without_a_fault() {
        for reason in
            ["before: ", "after: ", "before: ; after: ", "before: {; after: {", "before: ä; after: ö, , x"]
        {
            changes("/user/add", reason).expect("it has sides");
        }
    }
}
