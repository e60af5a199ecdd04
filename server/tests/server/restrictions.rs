//! What stands in the way of a deployment: locks, holds and freezes; and that nothing ever stands in
//! the way of taking something back.

use crate::support::Lockstep;
use lockstep_model::{access::Role, deployment::Phase};

const MANIFEST: &str = r#"version: 1
project: shop
default_environment: staging
environments: {staging: {}}
watch: 0s
services:
  api:
    version: "1"
    target: {type: command, deploy: ["true"], undo: ["true"]}
  web:
    depends_on: [api]
    version: "1"
    target: {type: command, deploy: ["sh", "-c", "test ${VERSION} != broken"], undo: ["true"]}
"#;

fn deployed() -> Lockstep {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", MANIFEST);
    server.ok(&["deploy", "-f", &file, "--wait"]);
    server
}

fn number(said: &str) -> i64 {
    let made: serde_json::Value = serde_json::from_str(said).expect("JSON");
    made["id"].as_i64().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_that_took_a_release_back_is_held_until_it_is_released() {
    let mut server = deployed();
    server.fails(1, &["deploy", "--set", "api=2", "--set", "web=broken", "--wait"]);
    let listed = server.ok(&["hold", "list"]);
    assert!(listed.contains("web broken") && listed.contains("deployment 2"), "{listed}");
    assert!(!listed.contains("api"), "siblings that went back with it are not held: {listed}");
    let said = server.fails(2, &["deploy", "--set", "web=broken"]);
    assert!(said.contains("web broken is held") && said.contains("lockstep hold release"), "{said}");
    // It outlives the server, and another version and the siblings' are free.
    server.kill_server();
    server.serve();
    server.fails(2, &["deploy", "--set", "web=broken"]);
    server.ok(&["deploy", "--set", "api=2", "--set", "web=2", "--wait"]);
    let said = server.fails(2, &["hold", "release", "1", "--reason", ""]);
    assert!(said.contains("say why"), "{said}");
    server.ok(&["hold", "release", "1", "--reason", "it was the network"]);
    server.fails(1, &["deploy", "--set", "web=broken", "--wait"]);
    server.fails(2, &["hold", "release", "1", "--reason", "again"]);
    // By hand, and only once.
    server.ok(&["hold", "add", "api", "9", "--reason", "a leak"]);
    let said = server.fails(2, &["hold", "add", "api", "9", "--reason", "a leak"]);
    assert!(said.contains("held"), "{said}");
    server.fails(2, &["deploy", "--set", "api=9"]);
    let said = server.fails(2, &["hold", "add", "apy", "9", "--reason", "a leak"]);
    assert!(said.contains("no service 'apy'"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_lets_its_owner_deploy_and_nobody_else() {
    let server = deployed();
    let bert = server.sign_in("bert", Role::Deployer).await;
    let start = r#"{"services":{"api":"3"}}"#;
    let lock = number(&server.ok(&["lock", "take", "--for", "1h", "--reason", "a migration", "--json"]));
    let (status, body) = server.call_as(&bert, "/deployment/start", start).await;
    let said = body["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(status, 409, "{body}");
    assert!(said.contains("staging is locked by") && said.contains("a migration"), "{said}");
    server.ok(&["deploy", "--set", "api=2", "--wait"]);
    // Taking back is for everybody.
    let (status, body) = server.call_as(&bert, "/deployment/rollback", r#"{"id":2}"#).await;
    assert_eq!(status, 200, "{body}");
    server.ok(&["watch", "3"]);
    // Somebody else's lock is ended only by who types the name.
    let end = |more: &str| format!(r#"{{"id":{lock},"reason":"they are asleep"{more}}}"#);
    let (status, body) = server.call_as(&bert, "/restriction/end", &end("")).await;
    assert_eq!(status, 409, "{body}");
    let (status, _) = server.call_as(&bert, "/restriction/end", &end(r#","confirm":"prod""#)).await;
    assert_eq!(status, 409);
    let (status, body) = server.call_as(&bert, "/restriction/end", &end(r#","confirm":"staging""#)).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = server.call_as(&bert, "/deployment/start", start).await;
    assert_eq!(status, 200, "{body}");
    // A lock of a service leaves the others free.
    server.ok(&["lock", "take", "--service", "web", "--for", "1h", "--reason", "mine"]);
    let (status, _) = server.call_as(&bert, "/deployment/start", r#"{"services":{"web":"3"}}"#).await;
    assert_eq!(status, 409);
    let (status, _) = server.call_as(&bert, "/deployment/start", r#"{"services":{"api":"4"}}"#).await;
    assert_eq!(status, 200);
    let said = server.fails(2, &["lock", "take", "--for", "30d", "--reason", "long"]);
    assert!(said.contains("7 days"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_holds_everybody_up_and_ends_by_itself() {
    let server = deployed();
    server.ok(&["freeze", "add", "--for", "2s", "--reason", "the weekend"]);
    let said = server.fails(2, &["deploy", "--set", "api=2"]);
    assert!(said.contains("staging is frozen") && said.contains("the weekend"), "{said}");
    server.ok(&["rollback", "1", "--wait"]);
    server.wait("the freeze to end", |server| server.run(&["deploy", "--set", "api=2"]).status.success());
    // One to come holds nobody up yet.
    server.ok(&["freeze", "add", "--in", "1h", "--for", "2h", "--reason", "later"]);
    assert!(server.ok(&["freeze", "list"]).contains("later"));
    server.ok(&["deploy", "--set", "api=3", "--set", "web=3", "--wait"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_while_it_is_held_up_lets_others_pass() {
    let server = deployed();
    let slow = MANIFEST.replace(r#"deploy: ["true"]"#, r#"deploy: ["sleep", "2"]"#);
    let file = server.write("slow.yaml", &slow);
    server.ok(&["deploy", "-f", &file, "--set", "api=2"]);
    server.ok(&["deploy", "--set", "web=5"]);
    server.ok(&["hold", "add", "web", "5", "--reason", "a leak"]);
    server.ok(&["deploy", "--set", "web=6", "--wait"]);
    assert_eq!((server.phase(3), server.phase(4)), (Phase::Queued, Phase::Succeeded));
    let listed: serde_json::Value =
        serde_json::from_str(&server.ok(&["hold", "list", "--json"])).expect("JSON");
    let hold = listed["restrictions"][0]["id"].to_string();
    server.ok(&["hold", "release", &hold, "--reason", "it was not"]);
    server.ok(&["watch", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_of_the_manifest_freezes_its_environment_and_no_other() {
    let server = deployed();
    // Opens every minute for a day: it is always open.
    let windows = "environments:\n  staging: {freeze: [{name: the weekend, cron_start: \"* * * * *\", duration: 24h, timezone: Europe/Berlin, allow: [rollback]}]}\n  other: {}\n";
    let frozen = MANIFEST.replace("environments: {staging: {}}\n", windows);
    let file = server.write("frozen.yaml", &frozen);
    let said = server.fails(2, &["deploy", "-f", &file, "--set", "api=2"]);
    assert!(said.contains("staging is frozen") && said.contains("the weekend"), "{said}");
    assert!(server.ok(&["plan", "--set", "api=2"]).contains("frozen"));
    assert!(server.ok(&["freeze", "list"]).contains("manifest"));
    server.ok(&["rollback", "1", "--wait"]);
    server.ok(&["deploy", "--env", "other", "--wait"]);
    let wrong = server.write("wrong.yaml", &frozen.replace("Europe/Berlin", "Berlin"));
    let said = server.fails(2, &["check", &wrong]);
    assert!(said.contains("wrong.yaml:5:") && said.contains("no time zone 'Berlin'"), "{said}");
}
