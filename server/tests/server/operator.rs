//! What people do when a deployment does not end by itself: pause, resume, skip, retry, cancel, keep,
//! take back, retry an undo, resolve.

use crate::support::{Lockstep, free_ports, make_token, shop};
use lockstep_model::{
    DeploymentId,
    access::Role,
    deployment::{Phase, StepState},
};
use lockstep_store::SqliteStore;
use serde_json::{Value, json};

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
    let answer = outside[0].evidence.as_ref().map(|evidence| evidence.answer.as_str());
    assert!(answer.is_some_and(|answer| !answer.is_empty()), "the last look holds the answer: {outside:?}");
}

/// `first` is deployed at once; `second`'s deploy command hangs while `hang` is there and fails while
/// `broken` is.
fn steered(server: &Lockstep, auto: bool) -> String {
    let dir = server.folder.path().display();
    format!(
        r#"version: 1
project: shop
default_environment: staging
environments: {{staging: {{}}}}
watch: 0s
rollback: {{auto: {auto}}}
services:
  first:
    version: "1"
    target:
      type: command
      deploy: ["sh", "-c", "echo ${{VERSION}} > first"]
      undo: ["sh", "-c", "echo $LOCKSTEP_CHECKPOINT_VERSION > first"]
      workdir: "{dir}"
  second:
    depends_on: [first]
    version: "1"
    target:
      type: command
      deploy: ["sh", "-c", "echo try >> tries; while test -e hang; do sleep 0.05; done; test ! -e broken"]
      undo: ["true"]
      workdir: "{dir}"
"#
    )
}

fn first(server: &Lockstep) -> String {
    std::fs::read_to_string(server.folder.path().join("first")).expect("deployed").trim().to_owned()
}

fn tries(server: &Lockstep) -> usize {
    std::fs::read_to_string(server.folder.path().join("tries")).unwrap_or_default().lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_paused_and_goes_on_also_after_the_server_was_killed() {
    let mut server = Lockstep::start();
    let file = server.write("lockstep.yaml", &steered(&server, true));
    server.write("hang", "");
    server.ok(&["deploy", "-f", &file]);
    server.wait("the second to run", |server| tries(server) == 1);
    let said = server.fails(2, &["resume", "1"]);
    assert!(said.contains("not paused"), "{said}");
    server.ok(&["pause", "1", "--reason", "lunch"]);
    assert_eq!(server.phase(1), Phase::Paused);
    let said = server.fails(2, &["pause", "1"]);
    assert!(said.contains("lockstep resume"), "{said}");
    let said = server.ok(&["deploy", "--set", "first=2"]);
    assert!(said.contains("deployment 2"), "{said}");
    server.kill_server();
    server.serve();
    std::fs::remove_file(server.folder.path().join("hang")).expect("it hung");
    server.wait("what ran to end", |server| {
        server.detail(1).steps.iter().all(|step| step.state != StepState::Running)
    });
    assert_eq!((server.phase(1), server.phase(2)), (Phase::Paused, Phase::Queued));
    server.ok(&["resume", "1", "--wait"]);
    server.ok(&["watch", "2"]);
    assert_eq!((server.phase(1), first(&server).as_str()), (Phase::Succeeded, "2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_their_pause_back_ends_no_other() {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &steered(&server, true));
    server.write("hang", "");
    server.ok(&["deploy", "-f", &file]);
    server.wait("the second to run", |server| tries(server) == 1);
    let (anna, bert) =
        (server.sign_in("anna", Role::Operator).await, server.sign_in("bert", Role::Operator).await);
    let post = async |cookie: &str, path: &str, body: Value| {
        server.call_as(cookie, &format!("/deployment/{path}"), &body.to_string()).await
    };
    let (status, mine) = post(&anna, "pause", json!({"id": 1})).await;
    assert_eq!((status, &mine["paused"]["by"]["user"]), (200, &json!("anna")), "{mine}");
    let (status, said) = post(&bert, "pause", json!({"id": 1})).await;
    let text = said.to_string();
    assert!(status == 409 && text.contains("paused already by anna"), "{text}");
    assert_eq!(post(&bert, "resume", json!({"id": 1})).await.0, 200);
    // Nothing is paused: there is nothing to take back.
    let mine = json!({"id": 1, "pause": mine["paused"]["seq"]});
    let (status, said) = post(&anna, "resume", mine.clone()).await;
    assert!(status == 409 && said.to_string().contains("not paused"), "{said}");
    let (status, theirs) = post(&bert, "pause", json!({"id": 1, "reason": "the disk is full"})).await;
    assert_eq!((status, &theirs["paused"]["reason"]), (200, &json!("the disk is full")), "{theirs}");
    let (status, said) = post(&anna, "resume", mine).await;
    let text = said.to_string();
    assert_eq!(status, 409, "{text}");
    assert!(text.contains("paused anew by bert") && text.contains("ago: the disk is full"), "{text}");
    assert_eq!(server.phase(1), Phase::Paused);
    let (status, rows) = post(&anna, "audit", json!({"id": 1})).await;
    assert!(status == 200 && rows.to_string().contains("the disk is full"), "{rows}");
    let (status, on) = post(&bert, "resume", json!({"id": 1, "pause": theirs["paused"]["seq"]})).await;
    assert_eq!((status, &on["paused"]), (200, &Value::Null), "{on}");
    std::fs::remove_file(server.folder.path().join("hang")).expect("it hung");
    server.ok(&["watch", "1"]);
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_step_is_stopped_and_tried_again() {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &steered(&server, true));
    server.write("hang", "");
    server.ok(&["deploy", "-f", &file]);
    server.wait("the second to run", |server| tries(server) == 1);
    let said = server.fails(2, &["retry", "1", "second.replce"]);
    assert!(said.contains("did you mean 'second.replace'"), "{said}");
    let said = server.fails(2, &["skip", "1", "second.replace", "--reason", "x"]);
    assert!(said.contains("cannot be skipped"), "{said}");
    std::fs::remove_file(server.folder.path().join("hang")).expect("it hung");
    server.write("hang", "");
    server.ok(&["retry", "1", "second.replace"]);
    server.wait("the second try", |server| tries(server) == 2);
    std::fs::remove_file(server.folder.path().join("hang")).expect("it hung");
    server.ok(&["watch", "1"]);
    let detail = server.detail(1);
    let replaced = detail.steps.iter().find(|step| step.id.as_str() == "second.replace").expect("a step");
    assert_eq!(replaced.tries.len(), 2);
    assert_eq!(detail.summary.phase, Phase::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_rollback_is_off_a_failure_asks_and_is_steered() {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &steered(&server, false));
    server.ok(&["deploy", "-f", &file, "--wait"]);
    server.write("broken", "");
    let release = ["deploy", "--set", "first=2", "--set", "second=2", "--wait"];
    let said = server.fails(3, &release);
    assert!(said.contains("lockstep retry") && said.contains("second.replace"), "{said}");
    assert!(server.detail(2).summary.asks_forward);
    assert_eq!(first(&server), "2", "nothing went back");
    let said = server.fails(2, &["undo-retry", "2"]);
    assert!(said.contains("nothing was taken back"), "{said}");
    assert_eq!(server.run(&["retry", "2", "second.replace", "--wait"]).status.code(), Some(3));
    std::fs::remove_file(server.folder.path().join("broken")).expect("it was broken");
    server.ok(&["retry", "2", "second.replace", "--wait"]);
    assert_eq!(server.phase(2), Phase::Succeeded);

    server.write("broken", "");
    server.fails(3, &["deploy", "--set", "first=3", "--set", "second=3", "--wait"]);
    server.ok(&["cancel", "3", "--keep", "--wait"]);
    assert_eq!((server.phase(3), first(&server).as_str()), (Phase::Cancelled, "3"));
    assert!(server.serves().contains(&("first".to_owned(), "3".to_owned())));

    server.fails(3, &["deploy", "--set", "first=4", "--set", "second=4", "--wait"]);
    server.ok(&["rollback", "4", "--wait"]);
    assert_eq!((server.phase(4), first(&server).as_str()), (Phase::RolledBack, "3"));
}

async fn damage(server: &Lockstep, id: i64) {
    let store = SqliteStore::open(&server.data()).await.expect("opened");
    store.damage(DeploymentId(id)).await;
}

fn abandon(more: &[&'static str]) -> Vec<&'static str> {
    ["abandon", "2", "--reason", "the disk is broken"].into_iter().chain(more.iter().copied()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_cannot_be_read_is_given_up_by_an_admin_who_types_where() {
    let mut server = started();
    server.ok(&["stop"]);
    damage(&server, 2).await;
    server.serve();
    for said in [server.fails(2, &["deploy", "--set", "web=3"]), server.fails(1, &["status", "2"])] {
        assert!(said.contains("cannot be read") && said.contains("lockstep abandon 2"), "{said}");
    }
    let page = server.http.get(format!("{}/deployments/2", server.url()));
    let page = page.bearer_auth(make_token(&server, Role::Viewer)).send().await.expect("an answer");
    let page = page.text().await.expect("a page");
    assert!(page.contains("is set aside") && page.contains("lockstep abandon 2"), "{page}");

    let body = r#"{"id":2,"reason":"broken","confirm":"staging"}"#;
    let operator = make_token(&server, Role::Deployer);
    assert_eq!(server.call("/deployment/abandon", Some(&operator), body).await.0, 403);
    let said = server.fails(2, &abandon(&["--yes", "--env", "production"]));
    assert!(said.contains("staging"), "{said}");
    server.fails(2, &abandon(&["--yes"]));
    let said = server.ok(&abandon(&["--yes", "--env", "staging"]));
    assert!(said.contains("staging is free"), "{said}");
    server.fails(2, &abandon(&["--yes", "--env", "staging"]));
    let said = server.ok(&["audit", "list", "--action", "/deployment/abandon"]);
    assert!(said.contains("the disk is broken") && said.contains("deployment 2"), "{said}");

    // Also after a start: it has ended, and nobody knows what it left.
    server.ok(&["stop"]);
    server.serve();
    let said = server.fails(1, &["status", "2"]);
    assert!(said.contains("gave it up: the disk is broken"), "{said}");
    let said = server.ok(&["plan", "--set", "schema=3", "--set", "web=3"]);
    assert!(said.contains("since deployment 2 was given up"), "{said}");
    // Not what was recorded goes back, but what is found.
    server.write("schema", "by-hand\n");
    server.write("may-undo", "");
    server.fails(1, &["deploy", "--set", "schema=3", "--set", "web=broken", "--wait"]);
    assert_eq!(schema(&server), "by-hand");
    server.ok(&["deploy", "--set", "schema=3", "--set", "web=3", "--wait"]);
    let said = server.ok(&["plan", "--set", "schema=4", "--set", "web=4"]);
    assert!(!said.contains("was given up"), "{said}");
}
