//! Whose word an environment wants before a release begins there, and whom it trusts with what.

use crate::{
    reader::{Problems, Reader, refuse},
    tree::Node,
    values::{choice, duration_ms, list, name, number},
};
use lockstep_model::{
    UserName,
    access::Role,
    approval::{Approvals, Trusted},
};

const ROLES: &[(&str, Role)] = &[
    ("viewer", Role::Viewer),
    ("operator", Role::Operator),
    ("deployer", Role::Deployer),
    ("admin", Role::Admin),
];
/// More people than this are no control any more.
const COUNT_MAX: u64 = 20;
/// As in other deployers, so that nobody is asked about yesterday's wish.
const TIMEOUT_MS_DEFAULT: u64 = 6 * 3_600_000;
const TIMEOUT_MS_MAX: u64 = 30 * 86_400_000;

/// `approvals: {count: 2, by: {role: operator, names: [carla]}, timeout: 4h}`
pub(crate) fn approvals(node: &Node, problems: &mut Problems) -> Option<Approvals> {
    let mut reader = Reader::new(node, "approvals", problems)?;
    let count_node = reader.required("count", problems);
    let by_node = reader.get("by");
    let timeout = reader.get("timeout");
    reader.finish(problems);
    let count = count_node.and_then(|node| number(node, "approvals.count", 1..=COUNT_MAX, problems));
    let by = match by_node {
        Some(node) => trusted(node, "approvals.by", problems),
        None => Some(Trusted { role: Some(Role::Operator), names: Vec::new() }),
    };
    let timeout_ms = match timeout {
        Some(node) => duration_ms(node, "approvals.timeout", 1_000..=TIMEOUT_MS_MAX, problems),
        None => Some(TIMEOUT_MS_DEFAULT),
    };
    let (count, by) = (u32::try_from(count?).ok()?, by?);
    let named = u32::try_from(by.names.len()).unwrap_or(u32::MAX);
    if by.role.is_none() && named < count {
        let message = format!(
            "approvals.count is {count}, but only {named} people may approve ({by}); name more in approvals.by.names, or a role"
        );
        refuse(problems, node.place, message);
        return None;
    }
    Some(Approvals { count, by, timeout_ms: timeout_ms? })
}

/// `{role: deployer, names: [carla]}`: whoever is at least that there, and those who are named.
pub(crate) fn trusted(node: &Node, what: &'static str, problems: &mut Problems) -> Option<Trusted> {
    let mut reader = Reader::new(node, what, problems)?;
    let role_node = reader.get("role");
    let names_node = reader.get("names");
    reader.finish(problems);
    let role = role_node.and_then(|node| choice(node, &format!("{what}.role"), ROLES, problems));
    let mut names: Vec<UserName> = Vec::new();
    for item in names_node.map(|node| list(node, &format!("{what}.names"), problems)).unwrap_or_default() {
        let Some(one) = name::<UserName>(item, &format!("{what}.names"), problems) else { continue };
        if names.contains(&one) {
            refuse(problems, item.place, format!("{one} is named twice in {what}.names"));
        } else {
            names.push(one);
        }
    }
    if role_node.is_none() && names_node.is_none() {
        refuse(problems, node.place, format!("{what} names nobody; write role: operator, or names: [anna]"));
        return None;
    }
    Some(Trusted { role, names })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;
    use lockstep_model::manifest::Manifest;

    fn read(approvals: &str) -> Result<Manifest, String> {
        let text = format!(
            "version: 1\nproject: shop\nenvironments:\n  production:\n    approvals: {approvals}\nservices:\n  \
             web: {{target: {{type: command, deploy: [deploy]}}, version: \"1\"}}\n"
        );
        parse("lockstep.yaml", &text)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    fn found(approvals: &str) -> Approvals {
        let manifest = read(approvals).expect("right");
        manifest.environments.into_values().next().and_then(|one| one.approvals).expect("declared")
    }

    #[test]
    fn who_approves_is_read_with_its_defaults() {
        let whole = found("{count: 2, by: {role: deployer, names: [carla, dora]}, timeout: 4h}");
        assert_eq!((whole.count, whole.timeout_ms, whole.by.role), (2, 14_400_000, Some(Role::Deployer)));
        assert_eq!(whole.by.names.len(), 2);
        let short = found("{count: 1}");
        assert_eq!((short.timeout_ms, short.by.role), (21_600_000, Some(Role::Operator)));
        assert_eq!(found("{count: 1, by: {names: [carla]}}").by.role, None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (wrong, says) in [
            ("{by: {role: admin}}", "5:16: approvals needs 'count'"),
            ("{count: 0}", "5:24: approvals.count is a number from 1 to 20"),
            ("{count: 1, by: {role: boss}}", "5:38: approvals.by.role is one of viewer, operator"),
            ("{count: 1, by: {roles: [admin]}}", "did you mean 'role'?"),
            ("{count: 1, by: {}}", "approvals.by names nobody"),
            ("{count: 1, by: {names: [carla, Carla]}}", "Carla is named twice"),
            ("{count: 2, by: {names: [carla]}}", "only 1 people may approve (carla)"),
            ("{count: 1, timeout: 4}", "did you mean '4s'?"),
            ("{count: 1, timeout: 60d}", "approvals.timeout is from 1s to 30d"),
            ("2", "expected approvals as a mapping"),
        ] {
            let said = read(wrong).expect_err(wrong);
            assert!(said.contains(says), "{wrong}: {said}");
        }
    }
}
