//! Manifests that are right, and every way to be wrong with the exact place.

use crate::{digest, parse, schema};
use lockstep_model::{
    EnvironmentName, ServiceName,
    manifest::{Condition, DegradedPolicy, Manifest, RollbackScope, Strategy, Target},
};
use proptest::prelude::*;

const FULL: &str = r#"version: 1
project: shop
default_environment: staging
max_parallel: 4
watch: 10s
timeouts: {deployment: 10m, step: 1m, rollback: 90s}
rollback: {scope: tied}
x-note: [anything, {goes: here}]
environments:
  staging: {}
  production: {queue: reject, timeouts: {deployment: 20m}}
services:
  db:
    target: {type: command, deploy: [./db.sh, "${VERSION}"], observe: [./db.sh, observe], workdir: /srv, timeout: 30s}
    version: "7"
  backend:
    team: platform
    depends_on: {db: {condition: started}}
    target:
      type: process
      command: ["./bin/server", "--port", "${PORT}"]
      env: {MODE: fast, EMPTY: ""}
      workdir: /srv/backend
      gateway: {listen: "127.0.0.1:4101"}
      restart: {max: 5, window: 1m, backoff: 250ms}
    artifact: {path: "dist/app-${VERSION}"}
    version: "1.0.0"
    healthcheck: {ready: /health/ready, interval: 1m30s}
    verify:
      - {name: version, http: {get: /version, json: {version: "${VERSION}"}}, timeout: 2s}
      - {name: smoke, command: ["./smoke", "${PORT}"]}
    rollback: {with: [db]}
    environments:
      production:
        target: {gateway: {listen: "127.0.0.1:4201"}}
        watch: 1m
        rollback: {auto: false}
"#;

fn service<'m>(manifest: &'m Manifest, name: &str) -> &'m lockstep_model::manifest::Service {
    &manifest.services[&name.parse::<ServiceName>().expect("valid")]
}

fn environment(name: &str) -> EnvironmentName {
    name.parse().expect("valid")
}

#[test]
fn a_full_manifest_is_read_with_defaults_and_overrides() {
    let manifest = parse("lockstep.yaml", FULL).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(manifest.project.as_str(), "shop");
    let production = &manifest.environments[&environment("production")];
    assert_eq!(production.degraded, DegradedPolicy::Block);
    assert!(production.require_rollback);
    assert_eq!((production.max_parallel, production.deployment_timeout_ms), (4, 1_200_000));
    assert_eq!(manifest.environments[&environment("staging")].degraded, DegradedPolicy::Warn);

    let backend = service(&manifest, "backend");
    assert_eq!(backend.depends_on[&"db".parse().expect("valid")], Condition::Started);
    let staging = &backend.environments[&environment("staging")];
    let production = &backend.environments[&environment("production")];
    assert_eq!((staging.watch_ms, production.watch_ms), (10_000, 60_000));
    assert_eq!(staging.step_timeout_ms, 60_000);
    assert_eq!(staging.healthcheck.as_ref().map(|h| h.interval_ms), Some(90_000));
    assert_eq!(staging.rollback.scope, RollbackScope::Tied);
    assert_eq!((staging.rollback.max_duration_ms, staging.rollback.auto), (90_000, true));
    assert!(!production.rollback.auto && production.rollback.with == staging.rollback.with);
    let listen = |spec: &lockstep_model::manifest::ServiceSpec| match &spec.target {
        Target::Process(process) => process.gateway.as_ref().map(|g| g.listen.clone()),
        Target::Command(_) => None,
    };
    assert_eq!(listen(staging).as_deref(), Some("127.0.0.1:4101"));
    assert_eq!(listen(production).as_deref(), Some("127.0.0.1:4201"));
    let db = &service(&manifest, "db").environments[&environment("staging")];
    assert_eq!(db.strategy, Strategy::Recreate);
}

#[test]
fn a_service_with_a_target_in_one_environment_is_absent_from_the_others() {
    let text = "version: 1\nproject: p\nenvironments: {a: {}, b: }\nservices:\n  s:\n    environments:\n      b:\n        target: {type: command, deploy: [x]}\n";
    let manifest = parse("f", text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let names: Vec<&str> = service(&manifest, "s").environments.keys().map(EnvironmentName::as_str).collect();
    assert_eq!(names, ["b"]);
}

/// What is put in the place of `@` in a manifest that is right otherwise, and what must be said.
const SERVICE: &str = "version: 1\nproject: p\nenvironments: {staging: {}}\nservices:\n  web:\n";

#[track_caller]
fn refused(text: &str, line: u32, column: u32, says: &str) {
    let problems = parse("lockstep.yaml", text).expect_err("refused");
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = format!("lockstep.yaml:{line}:{column}: ");
    let is_there = all.iter().any(|problem| problem.starts_with(&expected) && problem.contains(says));
    assert!(is_there, "expected {expected}…{says}…, got {all:#?}");
}

#[track_caller]
fn refused_service(lines: &str, line: u32, column: u32, says: &str) {
    refused(&format!("{SERVICE}{lines}"), line, column, says);
}

const TARGET: &str = "    target: {type: process, command: [run]}\n";

#[test]
fn every_refusal_has_its_place_and_its_advice() {
    refused("", 1, 1, "empty");
    refused("version: [1\n", 2, 1, "not YAML");
    refused("version: 2\nproject: p\n", 1, 10, "from 1 to 1, found '2'");
    refused("project: p\n", 1, 1, "needs 'version'");
    refused("version: 1\nproject: p\nproject: q\n", 3, 1, "here twice");
    refused("version: 1\nproject: p\nProject: q\n", 3, 1, "differs only by case");
    refused("version: 1\nprojcet: p\n", 2, 1, "did you mean 'project'?");
    refused("version: 1\nproject: a b\n", 2, 10, "project name 'a b'");
    refused("version: 1\nproject: <b>\n", 2, 10, "'<b>'");
    refused("version: 1\nproject: &a p\nx: *a\n", 3, 4, "aliases");
    refused("version: !!int 1\n", 1, 10, "tags");
    refused("version: 1\n---\nversion: 1\n", 2, 1, "one document");
    refused("- a\n", 1, 1, "as a mapping, found a list");
    refused("version: 1\nproject: p\nenvironments: {}\nservices: {}\n", 3, 15, "at least one environment");
    refused("version: 1\nproject: p\nenvironments: {a: {}}\nservices: {}\n", 4, 11, "at least one service");
    refused(
        "version: 1\nproject: p\ndefault_environment: stagin\nenvironments: {staging: {}}\nservices: {}\n",
        3,
        22,
        "did you mean 'staging'?",
    );
    refused("version: 1\nproject: p\nqueue: lifo\n", 3, 8, "did you mean 'fifo'?");
    refused("version: 1\nproject: p\nmax_parallel: 0\n", 3, 15, "from 1 to 256");
    refused("version: 1\nproject: p\nwatch: 3\n", 3, 8, "did you mean '3s'?");
    refused("version: 1\nproject: p\nwatch: 3 s\n", 3, 8, "found '3 s'");
    refused("version: 1\nproject: p\ntimeouts: {step: 1ms}\n", 3, 18, "from 1s to 1d");
    refused("version: 1\nproject: p\nenvironments: {a: {watch: 3s}}\n", 3, 19, "timeouts.deployment only");
}

#[test]
fn every_refusal_in_a_service_has_its_place_and_its_advice() {
    refused_service("    team: x\n", 6, 5, "has no target");
    refused_service(&format!("{TARGET}    helthcheck: {{}}\n"), 7, 5, "did you mean 'healthcheck'?");
    refused_service("    target: {type: proces}\n", 6, 20, "did you mean 'process'?");
    refused_service("    target: {command: [a]}\n", 6, 13, "needs 'type'");
    refused_service(
        "    target: {type: process, command: run it}\n",
        6,
        38,
        "not a shell line: [\"run\", \"it\"]",
    );
    refused_service("    target: {type: process, command: []}\n", 6, 38, "1 to 256 arguments");
    refused_service("    target: {type: process, command: [\"${HOME}\"]}\n", 6, 39, "variable 'HOME'");
    refused_service("    target: {type: command, deploy: [\"${PORT}\"]}\n", 6, 38, "variable 'PORT'");
    refused_service("    target: {type: process, command: [\"${PORT\"]}\n", 6, 39, "never closed");
    refused_service("    target: {type: process, command: [a], workdir: srv}\n", 6, 52, "must be absolute");
    refused_service(
        "    target: {type: process, command: [a], workdir: /srv/../etc}\n",
        6,
        52,
        "without '..'",
    );
    refused_service(
        "    target: {type: process, command: [a], env: {LD_PRELOAD: x}}\n",
        6,
        49,
        "may not be set",
    );
    refused_service(
        "    target: {type: process, command: [a], env: {\"a b\": x}}\n",
        6,
        49,
        "'a b' is not the name",
    );
    refused_service(
        "    target: {type: process, command: [a], gateway: {listen: \"localhost:80\"}}\n",
        6,
        61,
        "IP address and a port",
    );
    refused_service(
        "    target: {type: process, command: [a], gateway: {listen: \"127.0.0.1:0\"}}\n",
        6,
        61,
        "127.0.0.1:0",
    );
    refused_service("    target: {type: process, command: [a], gateway: {}}\n", 6, 52, "needs 'listen'");
    refused_service("    target: {type: process, command: [a], undo: [b]}\n", 6, 43, "unknown key 'undo'");
    refused_service(
        "    target: {type: command, deploy: [a]}\n    strategy: blue_green\n",
        7,
        15,
        "cannot be blue_green",
    );
    refused_service(
        "    target: {type: command, deploy: [a]}\n    healthcheck: {ready: /r}\n",
        7,
        18,
        "nobody knows where to ask",
    );
    refused_service(&format!("{TARGET}    version: 1.0\n"), 7, 14, "write it in quotes, \"1.0\"");
    refused_service(&format!("{TARGET}    version: \"../x\"\n"), 7, 14, "version '../x'");
    refused_service(&format!("{TARGET}    healthcheck: {{}}\n"), 7, 18, "at least one path");
    refused_service(&format!("{TARGET}    healthcheck: {{ready: health}}\n"), 7, 26, "begins with '/'");
    refused_service(&format!("{TARGET}    healthcheck: {{ready: /r, retries: 0}}\n"), 7, 39, "from 1 to 100");
    refused_service(&format!("{TARGET}    verify: {{}}\n"), 7, 13, "as a list");
    refused_service(&format!("{TARGET}    verify: [{{name: a}}]\n"), 7, 14, "either http or command");
    refused_service(&format!("{TARGET}    verify: [{{http: {{get: /}}}}]\n"), 7, 14, "needs 'name'");
    refused_service(
        &format!("{TARGET}    verify: [{{name: a, http: {{get: x}}}}]\n"),
        7,
        36,
        "begins with '/'",
    );
    refused_service(&format!("{TARGET}    rollback: {{auto: yes}}\n"), 7, 22, "knows no yes");
    refused_service(&format!("{TARGET}    rollback: {{with: [wbe]}}\n"), 7, 23, "did you mean 'web'?");
    refused_service(&format!("{TARGET}    depends_on: [web]\n"), 7, 18, "depends on itself");
    refused_service(&format!("{TARGET}    depends_on: [api]\n"), 7, 18, "no service 'api'");
    refused_service(
        &format!("{TARGET}    depends_on: {{web2: {{condition: ready}}}}\n"),
        7,
        36,
        "started, healthy",
    );
    refused_service(
        &format!("{TARGET}    environments: {{stagin: {{}}}}\n"),
        7,
        20,
        "did you mean 'staging'?",
    );
    refused_service(
        &format!("{TARGET}    environments: {{staging: {{team: x}}}}\n"),
        7,
        30,
        "unknown key 'team'",
    );
}

#[test]
fn circles_and_shared_addresses_are_refused_with_their_names() {
    let circle = "version: 1\nproject: p\nenvironments: {s: {}}\nservices:\n  a: {target: {type: command, deploy: [x]}, depends_on: [b]}\n  b: {target: {type: command, deploy: [x]}, depends_on: [c]}\n  c: {target: {type: command, deploy: [x]}, depends_on: [a]}\n";
    refused(circle, 7, 58, "in a circle: a -> b -> c -> a");
    let shared = "version: 1\nproject: p\nenvironments: {s: {}}\nservices:\n  a: {target: {type: process, command: [x], gateway: {listen: \"127.0.0.1:1\"}}}\n  b: {target: {type: process, command: [x], gateway: {listen: \"127.0.0.1:1\"}}}\n";
    refused(shared, 6, 15, "both listen at 127.0.0.1:1");
    let hosts = shared.replacen("127.0.0.1:1\"", "127.0.0.1:1\", host: a.example", 1);
    assert!(parse("f", &hosts).is_ok());
}

fn many(count: usize) -> String {
    let mut text = "version: 1\nproject: p\nenvironments: {s: {}}\nservices:\n".to_owned();
    for number in 0..count {
        text.push_str(&format!("  s{number}: {{target: {{type: command, deploy: [x]}}}}\n"));
    }
    text
}

#[test]
fn ten_thousand_services_are_read_and_one_more_is_refused() {
    assert_eq!(parse("f", &many(10_000)).map(|m| m.services.len()).ok(), Some(10_000));
    refused(&many(10_001), 5, 3, "10001 services; at most 10000");
}

#[test]
fn bombs_are_refused_and_bounded() {
    let deep = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(parse("f", &deep).is_err());
    let large = format!("a: {}", "x".repeat(2 << 20));
    assert!(parse("f", &large).is_err_and(|problems| problems[0].message.contains("larger than")));
    let long_chain: String = many(5_000);
    assert!(parse("f", &long_chain).is_ok());
}

#[test]
fn at_most_fifty_problems_are_told() {
    let text = format!("version: 1\n{}", (0..500).map(|n| format!("k{n}: 1\n")).collect::<String>());
    assert_eq!(parse("f", &text).expect_err("refused").len(), crate::PROBLEMS_MAX);
}

#[test]
fn the_schema_describes_every_key_and_refuses_others() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    let text = schema.to_string();
    for key in ["healthcheck", "depends_on", "drain_timeout", "compatible_with_previous", "require", "x-"] {
        assert!(text.contains(key), "{key}");
    }
}

#[test]
fn a_digest_names_the_text() {
    assert_ne!(digest("a"), digest("b"));
    assert_eq!(digest("a"), digest("a"));
}

proptest! {
    /// Whatever is sent, it is read or refused; nothing panics.
    #[test]
    fn nothing_panics(text in "\\PC{0,200}") {
        let _ = parse("f", &text);
    }

    #[test]
    fn no_mutation_of_a_good_manifest_panics(at in 0usize..FULL.len(), with in "\\PC{0,3}", cut in 0usize..4) {
        let mut text = FULL.to_owned();
        if text.is_char_boundary(at) {
            let end = (at + cut).min(text.len());
            text.replace_range(at..end, &with);
            let _ = parse("f", &text);
        }
    }
}
