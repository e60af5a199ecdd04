//! Settings that stand in two places are the same.

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
