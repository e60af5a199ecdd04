//! Manifests that are right, and every way to be wrong with the exact place.

use crate::{digest, parse, schema};
use lockstep_model::{
    EnvironmentName, ServiceName,
    manifest::{Condition, DegradedPolicy, Manifest, RollbackScope, Sticky, Strategy, Target},
    secrets::SecretSource,
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
      secrets:
        DATABASE_URL: {secret: db-url}
        TOKEN: {env: CI_TOKEN}
        KEY: {file: /run/key.pem}
        PW: {command: [pass, show, x]}
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
        target: {gateway: {listen: "127.0.0.1:4201"}, secrets: {TOKEN: {env: null, secret: token}}}
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

#[test]
fn what_follows_on_unknown_and_the_limit_of_a_service_are_read_with_their_defaults() {
    use lockstep_model::{manifest::OnUnknown, plan::StepKind};
    let text = "version: 1\nproject: p\non_unknown: rerun\ntimeouts: {service: 3m}\nenvironments: {staging: {}, Production: {}, other: {on_unknown: ask}}\nservices:\n  s:\n    target: {type: process, command: [x]}\n    on_unknown: probe\n    environments:\n      other: {on_unknown: {shift: ask}, timeouts: {service: 1m}}\n";
    let manifest = parse("f", text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let of = |name: &str| manifest.environments[&environment(name)].on_unknown;
    // Production asks unless production itself says otherwise.
    assert_eq!(
        (of("staging"), of("Production"), of("other")),
        (Some(OnUnknown::Rerun), None, Some(OnUnknown::Ask))
    );
    let s = service(&manifest, "s");
    let staging = &s.environments[&environment("staging")];
    assert_eq!(
        (staging.on_unknown.every, staging.service_timeout_ms),
        (Some(OnUnknown::Probe), Some(180_000))
    );
    let other = &s.environments[&environment("other")];
    assert_eq!(other.service_timeout_ms, Some(60_000));
    assert_eq!(other.on_unknown.steps.get(&StepKind::Shift), Some(&OnUnknown::Ask));
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
    let promotion = |text: &str| {
        format!(
            "version: 1\nproject: p\nenvironments: {{staging: {{}}, b: {{promotion: {text}}}}}\nservices: {{}}\n"
        )
    };
    refused(&promotion("{soak: 1m}"), 3, 44, "needs 'from'");
    refused(&promotion("{from: staging}"), 3, 44, "needs 'soak'");
    refused(&promotion("{from: stagin, soak: 1m}"), 3, 51, "did you mean 'staging'?");
    refused(&promotion("{from: B, soak: 1m}"), 3, 51, "promoted to itself");
    refused(&promotion("{from: staging, soak: soon}"), 3, 66, "soon");
    refused(&promotion("{from: staging, soak: 1m, wait: 1m}"), 3, 70, "wait");
    refused("version: 1\nproject: p\npromotion: {from: a, soak: 1m}\n", 3, 1, "promotion");
    refused("version: 1\nproject: p\nenvironments: {a: {watch: 3s}}\n", 3, 19, "timeouts.deployment only");
    refused(
        "version: 1\nproject: p\nenvironments: {a: {timeouts: {service: 3s}}}\n",
        3,
        19,
        "deployment only",
    );
    refused("version: 1\nproject: p\non_unknown: aks\n", 3, 13, "did you mean 'ask'?");
    refused("version: 1\nproject: p\ntimeouts: {service: 0s}\n", 3, 21, "from 1s to 1d");
}

#[test]
fn every_refusal_in_a_service_has_its_place_and_its_advice() {
    refused_service("    team: x\n", 6, 5, "has no target");
    refused_service(&format!("{TARGET}    on_unknown: [ask]\n"), 7, 17, "on_unknown");
    refused_service(&format!("{TARGET}    on_unknown: {{shfit: ask}}\n"), 7, 18, "did you mean 'shift'?");
    refused_service(&format!("{TARGET}    on_unknown: {{shift: never}}\n"), 7, 25, "'never'");
    refused_service(&format!("{TARGET}    timeouts: {{service: soon}}\n"), 7, 25, "'soon'");
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
fn e8_circles_and_shared_addresses_are_refused_with_their_names() {
    let circle = "version: 1\nproject: p\nenvironments: {s: {}}\nservices:\n  a: {target: {type: command, deploy: [x]}, depends_on: [b]}\n  b: {target: {type: command, deploy: [x]}, depends_on: [c]}\n  c: {target: {type: command, deploy: [x]}, depends_on: [a]}\n";
    refused(circle, 7, 58, "in a circle: a -> b -> c -> a");
    let shared = "version: 1\nproject: p\nenvironments: {s: {}}\nservices:\n  a: {target: {type: process, command: [x], gateway: {listen: \"127.0.0.1:1\"}}}\n  b: {target: {type: process, command: [x], gateway: {listen: \"127.0.0.1:1\"}}}\n";
    refused(shared, 6, 15, "both listen at 127.0.0.1:1");
    let hosts = shared.replacen("127.0.0.1:1\"", "127.0.0.1:1\", host: a.example", 1);
    assert!(parse("f", &hosts).is_ok());
}

const GATEWAY: &str = "    target: {type: process, command: [run], gateway: {listen: \"127.0.0.1:1\", preview: \"127.0.0.1:2\"}}\n";

#[test]
fn a_canary_is_read_with_its_steps_and_overridden_by_a_word() {
    let text = format!(
        "{}{GATEWAY}    watch: 7s\n    verify: [{{name: smoke, http: {{get: /}}}}]\n    strategy:\n      type: canary\n      sticky: {{cookie: shop_release}}\n      steps: [{{weight: 0, verify: [smoke]}}, {{weight: 10, bake: 2m}}, {{weight: 50, verify: [smoke]}}, {{weight: 100, bake: 0s}}]\n    environments:\n      b: {{strategy: blue_green, target: {{gateway: {{listen: \"127.0.0.1:3\", preview: \"127.0.0.1:4\"}}}}}}\n",
        SERVICE.replace("{staging: {}}", "{a: {}, b: {}}")
    );
    let manifest = parse("f", &text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let web = service(&manifest, "web");
    assert_eq!(web.environments[&environment("b")].strategy, Strategy::BlueGreen);
    let Strategy::Canary(canary) = &web.environments[&environment("a")].strategy else { panic!("a canary") };
    assert_eq!(canary.sticky, Some(Sticky::Cookie("shop_release".to_owned())));
    let steps: Vec<_> = canary.steps.iter().map(|s| (s.weight, s.bake_ms, s.verify.len())).collect();
    assert_eq!(steps, [(0, 0, 1), (10, 120_000, 0), (50, 7_000, 1), (100, 0, 0)]);
    let words = serde_json::to_string(&[Strategy::BlueGreen, Strategy::Recreate]).expect("JSON");
    assert_eq!(words, r#"["blue_green","recreate"]"#, "what earlier journals hold is read");
}

#[test]
fn every_refusal_of_a_canary_has_its_place_and_its_advice() {
    let refused = |strategy: &str, column: u32, says: &str| {
        refused_service(&format!("{GATEWAY}    strategy: {strategy}\n"), 7, column, says);
    };
    refused("canary", 15, "a canary has steps");
    refused("canery", 15, "did you mean 'canary'?");
    refused("{steps: []}", 15, "needs 'type'");
    refused("{type: canary}", 15, "needs 'steps'");
    refused("{type: blue_green, steps: [{weight: 100}]}", 34, "unknown key 'steps'");
    refused("{type: canary, steps: []}", 37, "1 to 20 steps");
    let many: Vec<String> = (1..=21).map(|weight| format!("{{weight: {weight}}}")).collect();
    refused(&format!("{{type: canary, steps: [{}]}}", many.join(", ")), 37, "1 to 20 steps");
    refused("{type: canary, steps: [{bake: 1s}]}", 38, "needs 'weight'");
    refused("{type: canary, steps: [{weight: 101}]}", 47, "from 0 to 100");
    refused("{type: canary, steps: [{weight: ten}]}", 47, "found 'ten'");
    refused("{type: canary, steps: [{weight: 10}, {weight: 10}]}", 61, "10 after 10");
    refused("{type: canary, steps: [{weight: 10}, {weight: 50}]}", 52, "add {weight: 100}");
    refused("{type: canary, steps: [{weight: 100, bake: 5}]}", 58, "did you mean '5s'?");
    refused("{type: canary, steps: [{weight: 100, verify: [smoke]}]}", 61, "no check 'smoke'");
    refused("{type: canary, steps: [{weight: 1, bake: 1h}, {weight: 100, bake: 0s}]}", 15, "take 1h");
    refused("{type: canary, steps: [{weight: 100}], sticky: {}}", 62, "either cookie or header");
    refused("{type: canary, steps: [{weight: 100}], sticky: {cookie: a, header: b}}", 62, "either cookie");
    refused(
        "{type: canary, steps: [{weight: 100}], sticky: {cookie: \"a;b\"}}",
        71,
        "sticky.cookie is a name",
    );
    refused("{type: canary, steps: [{weight: 100}], sticky: {cookie: lockstep}}", 71, "Lockstep's dashboard");
}

#[test]
fn a_canary_needs_a_process_behind_the_gateway_and_a_preview_an_address_of_its_own() {
    let canary = "    strategy: {type: canary, steps: [{weight: 100}]}\n";
    refused_service(&format!("{TARGET}{canary}"), 7, 15, "add gateway:");
    let command = "    target: {type: command, deploy: [a]}\n";
    refused_service(&format!("{command}{canary}"), 7, 15, "cannot be canary");
    refused_service(&format!("{GATEWAY}    strategy: recreate\n"), 6, 13, "no revision without traffic");
    refused_service(&GATEWAY.replace(":2\"", ":1\""), 6, 87, "users come in at 127.0.0.1:1");
    refused_service(&GATEWAY.replace("127.0.0.1:2", "here"), 6, 87, "preview is an IP address");
    let taken = format!("{SERVICE}{GATEWAY}  api:\n{}", GATEWAY.replace(":1\"", ":3\""));
    refused(&taken, 8, 13, "both listen at 127.0.0.1:2");
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
fn e7_bombs_are_refused_and_bounded() {
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

#[test]
fn secrets_are_read_with_their_sources_and_overridden_in_one_environment() {
    let manifest = parse("lockstep.yaml", FULL).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let of =
        |name: &str| service(&manifest, "backend").environments[&environment(name)].target.secrets().clone();
    let staging = of("staging");
    assert_eq!(staging["DATABASE_URL"], SecretSource::Secret("db-url".parse().expect("valid")));
    assert_eq!(staging["TOKEN"], SecretSource::Env("CI_TOKEN".to_owned()));
    assert_eq!(staging["KEY"], SecretSource::File("/run/key.pem".to_owned()));
    assert_eq!(staging["PW"], SecretSource::Command(["pass", "show", "x"].map(ToOwned::to_owned).to_vec()));
    assert_eq!(of("production")["TOKEN"], SecretSource::Secret("token".parse().expect("valid")));
    assert_eq!(of("production").len(), 4);
}

#[test]
fn a_secret_without_a_source_or_with_its_value_is_refused_and_not_repeated() {
    for (wrong, expected) in [
        ("DATABASE_URL: hunter2", "says where its value comes from and not the value"),
        ("DATABASE_URL: {secret: db-url, env: X}", "one source, found secret and env"),
        ("DATABASE_URL: {}", "needs one source"),
        ("DATABASE_URL: {secrt: db-url}", "did you mean 'secret'"),
        ("DATABASE_URL: {secret: ../db}", "secret name '../db' is not valid"),
        ("DATABASE_URL: {file: run/key}", "must be absolute"),
        ("DATABASE_URL: {env: A-B}", "env names a variable of the server"),
        ("DATABASE_URL: {command: pass show x}", "command is a list of arguments"),
        ("DATABASE_URL: {command: [pass, \"${VERSION}\"]}", "nothing is replaced in the command of a secret"),
        ("LD_PRELOAD: {secret: db-url}", "LD_PRELOAD may not be set"),
        ("MODE: {secret: db-url}", "MODE stands in env, too"),
        ("A-B: {secret: db-url}", "not the name of an environment variable"),
    ] {
        let source = FULL.replace("DATABASE_URL: {secret: db-url}", wrong);
        let problems = parse("lockstep.yaml", &source).expect_err(wrong);
        let told = format!("{problems:?}");
        assert!(told.contains(expected), "{wrong}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
        assert!(problems.iter().any(|problem| problem.to_string().contains(":24:")), "{wrong}: {told}");
    }
}
