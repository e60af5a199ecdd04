//! Approving and rejecting from a terminal elsewhere: with the token of `lockstep login` and the password of its
//! owner, and with nothing less.

use crate::{
    login::Elsewhere,
    support::{Lockstep, make_token, text},
};
use lockstep_model::{access::Role, deployment::Phase};
use serde_json::{Value, json};
use std::{
    io::Write,
    process::{Output, Stdio},
};

const PASSWORD: &str = "correct-horse-battery";
const MANIFEST: &str = "version: 1\nproject: shop\ndefault_environment: production\nenvironments:\n  \
    production: {approvals: {count: 1, by: {role: operator}, timeout: 1h}}\nwatch: 0s\nservices:\n  web:\n    \
    version: \"1\"\n    target:\n      type: command\n      deploy: [sh, -c, \"true\"]\n      \
    undo: [sh, -c, \"true\"]\n      observe: [sh, -c, \"echo 1\"]\n";

/// A server on which anna asked for so many releases that wait.
async fn asked(count: usize) -> Lockstep {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", MANIFEST);
    server.ok(&["apply", &file]);
    let anna = server.sign_in("anna", Role::Deployer).await;
    for _ in 0..count {
        let (status, made) = server.call_as(&anna, "/deployment/start", "{}").await;
        assert_eq!(status, 200, "{made}");
    }
    server
}

/// Runs a command elsewhere that is given this as its first line.
fn given(elsewhere: &Elsewhere<'_>, password: &str, arguments: &[&str]) -> Output {
    let mut command = elsewhere.command(arguments);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("started");
    writeln!(child.stdin.take().expect("piped"), "{password}").expect("given");
    child.wait_with_output().expect("readable")
}

fn word(server: &Lockstep, id: i64, password: &str) -> String {
    let plan = server.detail(id).approval.expect("it waits").plan.to_string();
    json!({"id": id, "word": "approve", "plan": plan, "password": password}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signed_in_approves_and_rejects_with_their_password() {
    let server = asked(2).await;
    let bert = server.sign_in("bert", Role::Operator).await;
    let elsewhere = Elsewhere::signed_in(&server, &bert).await;
    // Their token alone says whose command it is, and not that it is they who type.
    let token = elsewhere.token();
    for path in ["/deployment/approve", "/deployment/reject"] {
        let mut body: Value = serde_json::from_str(&word(&server, 1, "x")).expect("JSON");
        let fields = body.as_object_mut().expect("an object");
        fields.remove("password");
        fields.remove("word");
        if path.ends_with("reject") {
            fields.remove("plan");
        }
        assert_eq!(server.call(path, Some(&token), &body.to_string()).await.0, 403, "{path}");
    }
    let out = given(&elsewhere, "wrong-wrong-wrong", &["approve", "1"]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out));
    assert!(text(&out).contains("not your password"), "{}", text(&out));
    assert_eq!(server.phase(1), Phase::Queued);
    let out = given(&elsewhere, PASSWORD, &["approve", "1", "--reason", "looked at it"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    assert!(text(&out).contains("approved: web 1") && !text(&out).contains(PASSWORD), "{}", text(&out));
    server.wait("it has ended", |server| server.phase(1).is_final());
    assert_eq!(server.phase(1), Phase::Succeeded);
    // It counted for that one: the next asks again.
    assert_eq!(given(&elsewhere, "", &["reject", "2"]).status.code(), Some(2));
    let out = given(&elsewhere, PASSWORD, &["reject", "2"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    assert_eq!(server.phase(2), Phase::Cancelled);
    let audit = server.ok(&["audit", "list", "--user", "bert", "--json"]);
    let audit: Value = serde_json::from_str(&audit).expect("JSON");
    let of = |action: &str, allowed: bool| {
        let all = audit["entries"].as_array().expect("a list").iter();
        all.filter(|one| one["action"] == action && one["allowed"] == allowed).count()
    };
    assert_eq!((of("/deployment/approve", true), of("/deployment/reject", true)), (1, 1), "{audit}");
    assert_eq!(of("/deployment/decide", false), 1, "a wrong password is noted: {audit}");
    assert!(!audit.to_string().contains(PASSWORD));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_of_a_program_no_stranger_and_no_author_decides() {
    let server = asked(1).await;
    // A program's token, whatever it is called.
    let named = server.ok(&["token", "add", "login on laptop", "--role", "admin", "--json"]);
    let named: Value = serde_json::from_str(&named).expect("JSON");
    for token in [make_token(&server, Role::Admin), named["secret"].as_str().expect("a secret").to_owned()] {
        let (status, told) =
            server.call("/deployment/decide", Some(&token), &word(&server, 1, PASSWORD)).await;
        assert_eq!((status, &told["kind"]), (403, &json!("forbidden")), "{told}");
    }
    let chris = server.sign_in("chris", Role::Admin).await;
    let (status, told) = server.call_as(&chris, "/deployment/decide", &word(&server, 1, PASSWORD)).await;
    assert_eq!(status, 409, "a browser has its own way: {told}");
    // Whoever asked for it does not count here either.
    let anna = server.sign_in("anna2", Role::Deployer).await;
    let (status, made) = server.call_as(&anna, "/deployment/start", "{}").await;
    assert_eq!(status, 200, "{made}");
    let elsewhere = Elsewhere::signed_in(&server, &anna).await;
    let out = given(&elsewhere, PASSWORD, &["approve", "2"]);
    assert!(!out.status.success(), "{}", text(&out));
    assert_eq!(server.phase(2), Phase::Queued);
    // Guessing is slowed down, and a right password in between helps nobody.
    let token = elsewhere.token();
    let mut tries = 0;
    while server.call("/deployment/decide", Some(&token), &word(&server, 1, "wrong-wrong-wrong")).await.0
        != 429
    {
        tries += 1;
        assert!(tries < 12, "it is never closed");
    }
    let (status, told) = server.call("/deployment/decide", Some(&token), &word(&server, 1, PASSWORD)).await;
    assert_eq!(status, 429, "{told}");
    assert_eq!(server.phase(1), Phase::Queued);
    // What does not wait, or is not there, says so without a password being looked at.
    let gone = json!({"id": 999, "word": "reject", "password": "x"}).to_string();
    assert_eq!(server.call("/deployment/decide", Some(&token), &gone).await.0, 404);
}
