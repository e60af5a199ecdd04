//! Approvals, through the API, the commands and a restart: whose word counts and whose does not (abuse
//! cases C7, C8, C9 and H3), what ends a deployment that waits, and that nothing stands in the way back.

use crate::support::{Lockstep, make_token};
use lockstep_model::{access::Role, deployment::Phase, view::DeploymentDetail};
use serde_json::{Value, json};

/// A service whose production wants approvals.
fn manifest(approvals: &str) -> String {
    format!(
        "version: 1\nproject: shop\ndefault_environment: production\nenvironments:\n  staging: {{}}\n  \
         production: {{approvals: {approvals}}}\nwatch: 0s\nservices:\n  web:\n    version: \"1\"\n    target:\n      \
         type: command\n      deploy: [sh, -c, \"true\"]\n      undo: [sh, -c, \"true\"]\n      \
         observe: [sh, -c, \"echo 1\"]\n"
    )
}

const TWO: &str = "{count: 2, by: {role: operator, names: [quinn]}, timeout: 1h}";

/// A server whose production wants approvals, and what anna, a deployer, asked for there.
async fn asked(approvals: &str) -> (Lockstep, String) {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &manifest(approvals));
    server.ok(&["apply", &file]);
    let anna = server.sign_in("anna", Role::Deployer).await;
    start(&server, &anna, json!({})).await;
    (server, anna)
}

async fn start(server: &Lockstep, cookie: &str, body: Value) -> i64 {
    let (status, made) = server.call_as(cookie, "/deployment/start", &body.to_string()).await;
    assert_eq!(status, 200, "{made}");
    made["id"].as_i64().expect("a number")
}

fn plan(server: &Lockstep, id: i64) -> String {
    server.detail(id).approval.expect("it waits").plan.to_string()
}

async fn approve(server: &Lockstep, cookie: &str, id: i64) -> (u16, Value) {
    let body = json!({"id": id, "plan": plan(server, id)});
    server.call_as(cookie, "/deployment/approve", &body.to_string()).await
}

fn ended(server: &Lockstep, id: i64) -> DeploymentDetail {
    server.wait("it has ended", |server| server.phase(id).is_final());
    server.detail(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_c9_only_others_count_each_once_and_a_restart_forgets_nothing() {
    let (mut server, anna) = asked(TWO).await;
    // C9: whoever the commit names is a text.
    let id = start(&server, &anna, json!({"source": {"author": "bert"}})).await;
    let bert = server.sign_in("bert", Role::Operator).await;
    let quinn = server.sign_in("quinn", Role::Viewer).await;
    let vera = server.sign_in("vera", Role::Viewer).await;
    // C7: not one's own, and no token, whoever's.
    let (status, told) = approve(&server, &anna, id).await;
    assert_eq!(status, 403, "{told}");
    let token = make_token(&server, Role::Admin);
    let body = json!({"id": id, "plan": plan(&server, id)}).to_string();
    for path in ["/deployment/approve", "/deployment/reject"] {
        let body = if path.ends_with("reject") { json!({"id": id}).to_string() } else { body.clone() };
        let (status, told) = server.call(path, Some(&token), &body).await;
        assert_eq!(status, 403, "{told}");
    }
    let (status, told) = approve(&server, &vera, id).await;
    assert_eq!(
        (status, told["message"].as_str().is_some_and(|m| m.contains("quinn"))),
        (403, true),
        "{told}"
    );
    let (status, made) = approve(&server, &bert, id).await;
    assert_eq!((status, &made["approvals"]), (200, &json!([1, 2])), "{made}");
    let (status, told) = approve(&server, &bert, id).await;
    assert_eq!(status, 409, "the same person twice: {told}");
    let said = server.ok(&["status", &id.to_string()]);
    assert!(
        said.contains("it has 1 of 2 approvals, by bert; may approve: whoever is at least operator"),
        "{said}"
    );
    assert!(said.contains("but not anna, who asked for it"), "{said}");
    let listed = server.ok(&["approve"]);
    assert!(listed.contains("shop/production") && listed.contains("1 of 2"), "{listed}");

    server.kill_server();
    server.serve();
    assert_eq!(server.phase(id), Phase::Queued);
    assert_eq!(server.detail(id).approval.map(|approval| approval.counted()), Some(1));
    let (status, made) = approve(&server, &quinn, id).await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(ended(&server, id).summary.phase, Phase::Succeeded);
    let (_, audit) = server.call_as(&bert, "/deployment/audit", &json!({"id": id}).to_string()).await;
    let entries = audit["entries"].as_array().expect("a list");
    let of = |user: &str| {
        let by = |one: &&Value| one["action"] == "/deployment/approve" && one["user"] == user;
        entries.iter().filter(by).count()
    };
    assert_eq!((of("bert"), of("quinn")), (1, 1), "{audit}");
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_an_admin_is_not_exempt_and_the_machines_owner_is_one_person() {
    let (server, _) = asked("{count: 1}").await;
    let said = server.ok(&["approve", "1", "--reason", "looked at it", "--wait"]);
    assert!(
        said.contains("approved: web 1") && said.contains("approved by admin (local): looked at it"),
        "{said}"
    );
    server.ok(&["deploy", "--accept-no-rollback"]);
    let said = server.fails(2, &["approve", "2"]);
    assert!(said.contains("admin asked for deployment 2"), "{said}");
    let chris = server.sign_in("chris", Role::Admin).await;
    let asked = start(&server, &chris, json!({})).await;
    assert_eq!(approve(&server, &chris, asked).await.0, 403, "an admin's own");
    assert_eq!(approve(&server, &chris, 2).await.0, 200);
    assert_eq!(ended(&server, 2).summary.phase, Phase::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn c8_once_the_manifest_is_another_its_approvals_are_for_nothing() {
    let (server, _) = asked(TWO).await;
    let bert = server.sign_in("bert", Role::Operator).await;
    let carla = server.sign_in("carla", Role::Operator).await;
    assert_eq!(approve(&server, &bert, 1).await.0, 200);
    let plan = plan(&server, 1);
    let other = json!({"id": 1, "plan": format!("sha256:{}", "0".repeat(64))}).to_string();
    let (status, told) = server.call_as(&carla, "/deployment/approve", &other).await;
    assert_eq!(status, 409, "another plan than the one that was looked at: {told}");
    let changed = manifest(TWO).replace("version: \"1\"", "version: \"2\"");
    let file = server.write("lockstep.yaml", &changed);
    server.ok(&["apply", &file]);
    let body = json!({"id": 1, "plan": plan}).to_string();
    let (status, told) = server.call_as(&carla, "/deployment/approve", &body).await;
    assert_eq!(status, 409, "{told}");
    let detail = ended(&server, 1);
    assert_eq!(detail.summary.phase, Phase::Cancelled);
    let why = detail.summary.failure.expect("it says why").reason;
    assert!(why.contains("the manifest was changed") && why.contains("1 of 2 approvals, by bert"), "{why}");
    assert!(detail.summary.clocks.started_at.is_none());
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_nothing_is_approved_after_its_end_nor_where_nobody_asks_for_it() {
    let (server, _) = asked(TWO).await;
    let bert = server.sign_in("bert", Role::Operator).await;
    let plan = plan(&server, 1);
    server.ok(&["cancel", "1"]);
    let body = json!({"id": 1, "plan": plan}).to_string();
    let (status, told) = server.call_as(&bert, "/deployment/approve", &body).await;
    assert_eq!(status, 409, "{told}");
    let said = server.ok(&["deploy", "--env", "staging", "--wait"]);
    assert!(!said.contains("approval"), "{said}");
    let body = json!({"id": 2, "plan": plan}).to_string();
    assert_eq!(server.call_as(&bert, "/deployment/approve", &body).await.0, 409);
    let body = json!({"id": 99, "plan": plan}).to_string();
    assert_eq!(server.call_as(&bert, "/deployment/approve", &body).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_rejected_ends_and_says_by_whom() {
    let (server, _) = asked(TWO).await;
    let bert = server.sign_in("bert", Role::Operator).await;
    let body = json!({"id": 1, "reason": "not on a Friday"}).to_string();
    let (status, made) = server.call_as(&bert, "/deployment/reject", &body).await;
    assert_eq!((status, &made["phase"]), (200, &json!("cancelled")), "{made}");
    let said = server.ok(&["status", "1"]);
    assert!(said.contains("rejected by bert: not on a Friday"), "{said}");
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_any_more_does_not_count_any_more() {
    let (server, _) = asked(TWO).await;
    let bert = server.sign_in("bert", Role::Operator).await;
    let carla = server.sign_in("carla", Role::Operator).await;
    let dora = server.sign_in("dora", Role::Operator).await;
    assert_eq!(approve(&server, &bert, 1).await.0, 200);
    server.ok(&["user", "change", "bert", "--role", "viewer"]);
    assert_eq!(approve(&server, &carla, 1).await.0, 200);
    let detail = server.detail(1);
    assert_eq!(detail.summary.phase, Phase::Queued);
    let approval = detail.approval.expect("it waits");
    assert_eq!((approval.given.len(), approval.counted()), (2, 1));
    assert!(detail.waits_for.is_some_and(|why| why.contains("bert may not approve any more")));
    assert_eq!(approve(&server, &dora, 1).await.0, 200);
    assert_eq!(ended(&server, 1).summary.phase, Phase::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_approvals_it_ends_when_the_time_is_over_and_the_way_back_needs_none() {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &manifest("{count: 1, timeout: 1s}"));
    server.ok(&["apply", &file]);
    let said = server.fails(1, &["deploy", "--wait"]);
    assert!(said.contains("not approved in time: it had 0 of 1 approvals after 1 s"), "{said}");
    assert_eq!(server.phase(1), Phase::Cancelled);
    let file = server.write("lockstep.yaml", &manifest("{count: 1}"));
    server.ok(&["apply", &file]);
    let anna = server.sign_in("anna", Role::Deployer).await;
    let id = start(&server, &anna, json!({})).await;
    server.ok(&["approve", &id.to_string(), "--wait"]);
    let said = server.ok(&["rollback", &id.to_string(), "--wait"]);
    assert!(!said.contains("approval"), "{said}");
    server.keeps_every_promise();
}
