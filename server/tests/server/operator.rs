//! What people do when a deployment does not end by itself: cancel, take back, retry an undo, resolve.

use crate::support::{Lockstep, free_ports, shop};
use lockstep_model::deployment::Phase;

/// `schema` is deployed by a command whose undo works only when the file `may-undo` is there; `web`
/// needs it and breaks.
fn manifest(server: &Lockstep) -> String {
    let dir = server.folder.path().display();
    format!(
        r#"version: 1
project: shop
default_environment: staging
environments: {{staging: {{}}}}
watch: 0s
services:
  schema:
    version: "1"
    target:
      type: command
      deploy: ["sh", "-c", "echo ${{VERSION}} > schema; echo migrated to ${{VERSION}}"]
      observe: ["sh", "-c", "cat schema 2>/dev/null || true"]
      undo: ["sh", "-c", "test -e may-undo || {{ echo locked; exit 7; }}; echo $LOCKSTEP_CHECKPOINT_VERSION > schema"]
      workdir: "{dir}"
  web:
    depends_on: [schema]
    version: "1"
    target: {{type: command, deploy: ["sh", "-c", "test ${{VERSION}} != broken"], undo: ["true"]}}
"#
    )
}

fn started() -> Lockstep {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &manifest(&server));
    server.ok(&["deploy", "-f", &file, "--wait"]);
    let said = server.fails(3, &["deploy", "--set", "schema=2", "--set", "web=broken", "--wait"]);
    assert!(said.contains("needs an operator") && said.contains("undo-retry"), "{said}");
    server
}

fn schema(server: &Lockstep) -> String {
    std::fs::read_to_string(server.folder.path().join("schema")).expect("deployed").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_undo_keeps_the_environment_until_it_is_tried_again() {
    let server = started();
    assert_eq!(schema(&server), "2");
    let said = server.fails(2, &["deploy", "--set", "web=3"]);
    assert!(said.contains("deployment 2") && said.contains("operator"), "{said}");
    assert_eq!(server.run(&["watch", "2"]).status.code(), Some(3));
    // Not repaired yet: the same again.
    assert_eq!(server.run(&["undo-retry", "2", "--wait"]).status.code(), Some(3));
    let logs = server.ok(&["logs", "2", "--step", "schema.replace"]);
    assert!(logs.contains("migrated to 2") && logs.contains("locked"), "{logs}");
    server.write("may-undo", "");
    server.ok(&["undo-retry", "2", "--wait"]);
    assert_eq!(server.phase(2), Phase::RolledBack);
    assert_eq!(schema(&server), "1");
    server.ok(&["deploy", "--set", "web=3", "--wait"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_says_how_it_ended_and_why() {
    let server = started();
    let said = server.fails(2, &["resolve", "2", "--outcome", "rolled-back", "--reason", ""]);
    assert!(said.contains("reason"), "{said}");
    server.write("schema", "1\n");
    server.ok(&["resolve", "2", "--outcome", "rolled-back", "--reason", "restored from the backup"]);
    assert_eq!(server.phase(2), Phase::RolledBack);
    assert!(server.serves().contains(&("schema".to_owned(), "1".to_owned())));
    server.fails(2, &["resolve", "2", "--outcome", "failed", "--reason", "again"]);
    server.ok(&["deploy", "--set", "web=3", "--wait"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_cancelled_or_taken_back_and_what_it_changed_comes_back() {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &shop(free_ports::<3>(), "30s"));
    server.ok(&["deploy", "-f", &file, "--set", "backend=1.0.0"]);
    server.wait("the first has the traffic", |server| server.serves().iter().any(|(_, v)| v == "1.0.0"));
    // A first deployment goes back to "not deployed".
    server.ok(&["cancel", "1", "--reason", "wrong one", "--wait"]);
    assert_eq!(server.phase(1), Phase::Cancelled);
    assert!(server.serves().iter().all(|(_, version)| version.is_empty()));

    let file = server.write("lockstep.yaml", &shop(free_ports::<3>(), "0s"));
    server.ok(&["deploy", "-f", &file, "--wait"]);
    let file = server.write("lockstep.yaml", &shop(free_ports::<3>(), "30s"));
    server.ok(&["deploy", "-f", &file, "--set", "web_portal=1.1.0"]);
    server.wait("it is watched", |server| {
        server.ok(&["status", "3"]).contains("web_portal.shift") && server.phase(3) == Phase::Running
    });
    server.ok(&["rollback", "3", "--reason", "it is slow", "--wait"]);
    assert_eq!(server.phase(3), Phase::RolledBack);
    assert!(server.serves().contains(&("web_portal".to_owned(), "1.0.0".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_service_that_came_back_is_looked_at_and_never_changed() {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &shop(free_ports::<3>(), "0s"));
    server.ok(&["deploy", "-f", &file, "--wait"]);
    let before = server.detail(1).summary.clocks.finished_at;
    let said = server.fails(1, &["deploy", "--set", "backend=broken", "--wait"]);
    assert!(said.contains("frontend needs this and was not changed: healthy"), "{said}");
    let outside = server.detail(2).outside;
    assert_eq!(outside.len(), 1);
    assert!(outside[0].evidence.as_ref().map(|evidence| evidence.at) > before, "{outside:?}");
}
