//! What a program is given: its arguments and environment with the templates replaced, and of the
//! agent's own environment nothing but a short list.

use lockstep_model::{
    Version,
    scalar::InvalidText,
    template::{Vars, render},
};
use std::collections::BTreeMap;

/// Variables that are passed on. None of them holds a secret or chooses which code runs.
const PASSED: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR"];
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Arguments with their templates replaced.
pub(crate) fn arguments(argv: &[String], vars: Vars<'_>) -> Result<Vec<String>, InvalidText> {
    argv.iter().map(|argument| render(argument, vars)).collect()
}

/// The whole environment of a program.
pub(crate) fn environment(
    own: &BTreeMap<String, String>,
    version: &Version,
    port: Option<u16>,
) -> Result<BTreeMap<String, String>, InvalidText> {
    let mut env: BTreeMap<String, String> = PASSED
        .iter()
        .filter_map(|name| std::env::var(name).ok().map(|value| ((*name).to_owned(), value)))
        .collect();
    env.entry("PATH".to_owned()).or_insert_with(|| PATH_DEFAULT.to_owned());
    env.insert("LOCKSTEP_VERSION".to_owned(), version.to_string());
    if let Some(port) = port {
        env.insert("PORT".to_owned(), port.to_string());
    }
    for (name, value) in own {
        env.insert(name.clone(), render(value, Vars { version, port })?);
    }
    Ok(env)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e3_only_the_short_list_and_what_the_manifest_says_is_passed_on() {
        let version: Version = "1.0.0".parse().expect("valid");
        let own = BTreeMap::from([("URL".to_owned(), "http://127.0.0.1:${PORT}".to_owned())]);
        let env = environment(&own, &version, Some(18_001)).expect("valid");
        assert_eq!(env["URL"], "http://127.0.0.1:18001");
        assert_eq!(env["PORT"], "18001");
        let others: Vec<&String> = env
            .keys()
            .filter(|name| !PASSED.contains(&name.as_str()))
            .filter(|name| !["URL", "PORT", "LOCKSTEP_VERSION"].contains(&name.as_str()))
            .collect();
        assert!(others.is_empty(), "{others:?}");
    }
}
