//! The architecture's edges, as tests: who may import whom, and what must never reach the browser.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::{BTreeMap, BTreeSet};

/// Which workspace packages a package may depend on, normally or optionally.
const ALLOWED: &[(&str, &[&str])] = &[
    ("lockstep-model", &[]),
    ("lockstep-calendar", &["lockstep-model"]),
    ("lockstep-manifest", &["lockstep-calendar", "lockstep-model"]),
    ("lockstep-engine", &["lockstep-model"]),
    ("lockstep-store", &["lockstep-engine", "lockstep-model"]),
    ("lockstep-probes", &["lockstep-engine", "lockstep-model"]),
    ("lockstep-gateway", &["lockstep-engine", "lockstep-model"]),
    ("lockstep-secrets", &[]),
    ("lockstep-signature", &["lockstep-model"]),
    ("lockstep-agent", &["lockstep-engine", "lockstep-model", "lockstep-probes", "lockstep-secrets"]),
    ("lockstep-targets", &["lockstep-engine", "lockstep-model"]),
    ("lockstep-coordinator", &["lockstep-calendar", "lockstep-engine", "lockstep-model"]),
    ("app", &["lockstep-model"]),
    ("frontend", &["app"]),
];

/// Never part of the product; nothing may depend on them but tests.
const TOOLS: &[&str] = &["lockstep-testkit", "lockstep-bench", "lockstep-proof"];

/// The one package that composes all others.
const ROOT: &str = "server";

/// What must not be in the WASM, not even optionally switched on.
const NEVER_IN_WASM: &[&str] = &["tokio", "sqlx", "sqlx-core", "axum", "reqwest", "mio", "hyper"];

fn metadata(arguments: &[&str]) -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    command.other_options(arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
    command.exec().expect("cargo metadata answers")
}

fn workspace(metadata: &Metadata) -> BTreeMap<String, &Package> {
    metadata.workspace_packages().into_iter().map(|package| (package.name.to_string(), package)).collect()
}

#[test]
fn packages_import_only_what_the_architecture_allows() {
    let metadata = metadata(&["--no-deps", "--offline"]);
    let packages = workspace(&metadata);
    let mut wrong = Vec::new();
    for (name, package) in &packages {
        if name == ROOT || TOOLS.contains(&name.as_str()) {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| known == name) else {
            wrong.push(format!("{name} is not in the list of edges: say whom it may import"));
            continue;
        };
        for dependency in &package.dependencies {
            let is_normal = matches!(dependency.kind, DependencyKind::Normal | DependencyKind::Build);
            let is_ours = packages.contains_key(dependency.name.as_str());
            if is_normal && is_ours && !allowed.contains(&dependency.name.as_str()) {
                wrong.push(format!("{name} must not import {}", dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_server_names_both_the_pages_and_the_store() {
    let metadata = metadata(&["--no-deps", "--offline"]);
    for (name, package) in workspace(&metadata) {
        let names: BTreeSet<&str> = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind == DependencyKind::Normal)
            .map(|dependency| dependency.name.as_str())
            .collect();
        let both = names.contains("app") && names.contains("lockstep-store");
        assert!(!both || name == ROOT, "{name} names both app and store");
        for tool in TOOLS {
            assert!(!names.contains(tool) || TOOLS.contains(&name.as_str()), "{name} needs {tool}");
        }
    }
}

#[test]
fn nothing_of_the_server_reaches_the_wasm() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = std::process::Command::new(cargo)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["tree", "-p", "frontend", "--target", "wasm32-unknown-unknown", "-e", "normal"])
        .args(["--prefix", "none", "--format", "{p}", "--offline"])
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout).into_owned();
    let packages: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(packages.contains("app") && packages.contains("leptos"), "an unexpected tree: {tree}");
    let found: Vec<&&str> = NEVER_IN_WASM.iter().filter(|name| packages.contains(**name)).collect();
    assert!(found.is_empty(), "in the WASM: {found:?}");
}

#[test]
fn every_module_says_why_it_exists() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = std::process::Command::new("git")
        .current_dir(root)
        .args(["ls-files", "*.rs"])
        .output()
        .expect("git lists files");
    let files = String::from_utf8_lossy(&output.stdout).into_owned();
    let silent: Vec<&str> = files
        .lines()
        .filter(|file| {
            let text = std::fs::read_to_string(format!("{root}/{file}")).unwrap_or_default();
            !text.is_empty() && !text.lines().take(3).any(|line| line.starts_with("//!"))
        })
        .collect();
    assert!(silent.is_empty(), "modules without a first line '//!': {silent:?}");
}

#[test]
fn the_engine_reads_no_clock_and_does_no_io() {
    let engine = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/engine");
    let metadata = metadata(&["--no-deps", "--offline"]);
    let packages = workspace(&metadata);
    let names: BTreeSet<&str> = packages["lockstep-engine"]
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
        .map(|dependency| dependency.name.as_str())
        .collect();
    let expected = BTreeSet::from([
        "async-trait",
        "lockstep-model",
        "serde",
        "serde_json",
        "sha2",
        "strsim",
        "thiserror",
    ]);
    assert!(names.is_subset(&expected), "the engine imports {names:?}");
    for entry in walk(std::path::Path::new(engine).join("src").as_path()) {
        let text = std::fs::read_to_string(&entry).expect("readable");
        for word in
            ["SystemTime", "Instant::now", "std::fs", "std::net", "std::process", "std::env", "rand::"]
        {
            assert!(!text.contains(word), "{} uses {word}", entry.display());
        }
    }
}

#[test]
fn only_the_store_knows_sql() {
    let metadata = metadata(&["--no-deps", "--offline"]);
    for (name, package) in workspace(&metadata) {
        let knows = package
            .dependencies
            .iter()
            .any(|dependency| dependency.kind != DependencyKind::Development && dependency.name == "sqlx");
        assert!(!knows || name == "lockstep-store", "{name} knows SQL");
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}
