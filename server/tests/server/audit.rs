//! The audit of the whole installation: who did what is found, and what was cut off is noticed.

use crate::support::{Lockstep, make_token};
use lockstep_model::access::Role;
use serde_json::Value;
use std::fs;

fn noted(server: &Lockstep) -> Option<Value> {
    serde_json::from_slice(&fs::read(server.data().join("audit.head")).ok()?).ok()
}

fn head(server: &Lockstep) -> Value {
    let report: Value = serde_json::from_str(&server.ok(&["audit", "verify", "--json"])).expect("JSON");
    report["head"].clone()
}

/// Until the present head stands beside the database.
fn until_noted(server: &Lockstep) -> Value {
    let head = head(server);
    server.wait("the head is noted down", |server| noted(server).as_ref() == Some(&head));
    head
}

fn restart(server: &mut Lockstep) {
    server.ok(&["stop"]);
    server.serve();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_what_is_listed_searched_and_exported() {
    let server = Lockstep::start();
    server.ok(&["user", "add", "anna", "--role", "viewer"]);
    let viewer = make_token(&server, Role::Viewer);
    let (status, _) = server.call("/user/add", Some(&viewer), r#"{"name":"eve","role":"admin"}"#).await;
    assert_eq!(status, 403);
    let (status, _) = server.call("/audit/list", Some(&viewer), "{}").await;
    assert_eq!(status, 403);
    let denied = server.ok(&["audit", "list", "--denied"]);
    assert!(denied.contains("/user/add refused") && denied.contains("/audit/list refused"), "{denied}");
    let added = server.ok(&["audit", "list", "--words", "user anna"]);
    assert!(added.contains("viewer on everything") && !added.contains("refused"), "{added}");
    let exported = server.ok(&["audit", "export"]);
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let numbers: Vec<_> = lines.iter().map(|line| line["id"].as_i64().expect("a number")).collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).rev().collect::<Vec<_>>(), "{exported}");
    assert!(!exported.contains(&viewer), "no secret is in it");
}

#[tokio::test(flavor = "multi_thread")]
async fn h6_an_older_database_that_is_put_back_is_noticed_by_the_head_that_was_noted_down() {
    let mut server = Lockstep::start();
    server.ok(&["user", "add", "anna", "--role", "viewer"]);
    let first = until_noted(&server);
    let said = server.ok(&["audit", "verify"]);
    let printed = format!("{}:{}", first["id"], first["hash"].as_str().expect("a hash"));
    assert!(said.contains("all as written") && said.contains(&printed), "{said}");
    server.ok(&["stop"]);
    let (database, backup) = (server.data().join("lockstep.db"), server.data().join("backup"));
    fs::copy(&database, &backup).expect("copied");
    server.serve();
    server.ok(&["user", "add", "bert", "--role", "admin"]);
    let second = until_noted(&server);
    assert_ne!(first, second);
    // What was printed is still there, and nothing was written anew.
    server.ok(&["audit", "verify", "--head", &printed]);
    server.ok(&["stop"]);
    fs::copy(&backup, &database).expect("put back");
    server.serve();
    let said = server.fails(1, &["audit", "verify"]);
    assert!(said.contains("an older backup was restored"), "{said}");
    server.wait("the log tells of it", |server| server.log().contains("the audit is not what was written"));
    server.ok(&["user", "add", "carl", "--role", "viewer"]);
    restart(&mut server);
    server.fails(1, &["audit", "verify"]);
    assert_eq!(noted(&server), Some(second), "it stays for whoever looks into it");
    // It takes somebody who says so, with a reason that is recorded.
    fs::remove_file(server.data().join("audit.head")).expect("removed");
    restart(&mut server);
    let said = server.fails(1, &["audit", "verify"]);
    assert!(said.contains("cannot be read") && said.contains("audit accept"), "{said}");
    server.ok(&["user", "add", "dora", "--role", "viewer"]);
    assert!(noted(&server).is_none());
    server.fails(2, &["audit", "accept", "--reason", " "]);
    let said = server.ok(&["audit", "accept", "--reason", "a backup was restored"]);
    assert!(said.contains("all as written"), "{said}");
    let kept = server.ok(&["audit", "list", "--action", "/audit/accept"]);
    assert!(kept.contains("a backup was restored"), "{kept}");
    restart(&mut server);
    server.ok(&["audit", "verify"]);
    server.ok(&["user", "add", "emil", "--role", "viewer"]);
    until_noted(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_that_cannot_be_read_is_told_and_stays() {
    let mut server = Lockstep::start();
    until_noted(&server);
    server.ok(&["stop"]);
    let file = server.data().join("audit.head");
    fs::write(&file, "{\"id\":").expect("written");
    server.serve();
    let said = server.fails(1, &["audit", "verify"]);
    assert!(said.contains("is unreadable"), "{said}");
    let said = server.fails(1, &["history", "verify"]);
    assert!(said.contains("every promise is kept") && said.contains("audit, line"), "{said}");
    server.ok(&["user", "add", "anna", "--role", "viewer"]);
    assert_eq!(fs::read_to_string(&file).expect("read"), "{\"id\":");
    server.ok(&["audit", "accept", "--reason", "the disk was full"]);
    until_noted(&server);
}
