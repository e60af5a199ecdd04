//! What stands in two places is the same.

use std::collections::BTreeMap;

fn read(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(path).expect("readable")
}

/// The keys below the heading that Leptos and cargo-leptos read.
fn section(text: &str) -> BTreeMap<String, String> {
    let (_, rest) = text.split_once("[[workspace.metadata.leptos]]\n").expect("the heading is there");
    rest.lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

#[test]
fn the_server_and_cargo_leptos_agree_about_the_site() {
    let (server, build) = (section(&read("Leptos.toml")), section(&read("Cargo.toml")));
    for (key, value) in &server {
        // Says how the server runs, not how the site is built.
        if key == "env" {
            continue;
        }
        assert_eq!(build.get(key), Some(value), "{key} in Leptos.toml and Cargo.toml");
    }
    assert!(server.len() > 3, "{server:?}");
}

/// Every name below a "properties" of a JSON Schema.
fn properties(schema: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(object) => {
            if let Some(serde_json::Value::Object(own)) = object.get("properties") {
                found.extend(own.keys().cloned());
            }
            object.values().for_each(|value| properties(value, found));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| properties(value, found)),
        _ => {}
    }
}

#[test]
fn every_key_of_a_manifest_is_documented() {
    let mut keys = std::collections::BTreeSet::new();
    properties(&lockstep_manifest::schema(), &mut keys);
    assert!(keys.len() > 40, "{keys:?}");
    let text = read("server/docs/manifest.md");
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: std::collections::BTreeSet<&str> = text.split(|c| !is_word(c)).collect();
    let missing: Vec<_> = keys.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "not in server/docs/manifest.md: {missing:?}");
}
