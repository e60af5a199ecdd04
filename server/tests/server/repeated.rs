//! H1: a request that is sent again with its `Idempotency-Key` is done once.

use crate::support::{Lockstep, free_ports, shop};
use lockstep_model::api::PREFIX;
use serde_json::{Value, json};

async fn send(server: &Lockstep, key: &str, path: &str, body: &Value) -> (u16, bool, Value) {
    let request = reqwest::Client::new()
        .post(format!("{}{PREFIX}{path}", server.url()))
        .bearer_auth(server.token())
        .header("idempotency-key", key)
        .json(body);
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let is_replayed = headers.get("idempotency-replayed").is_some_and(|value| value == "true");
    (status, is_replayed, response.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_a_request_sent_again_with_its_key_is_done_once() {
    let server = Lockstep::start();
    let manifest = server.write("lockstep.yaml", &shop(free_ports(), "0s"));
    server.ok(&["apply", &manifest]);
    let lock = json!({"kind": "lock", "reason": "a migration", "duration_ms": 60_000});
    // Ten at once: one makes it, the others are told that it is under way, or what came of it.
    let all: Vec<_> = (0..10).map(|_| send(&server, "lock-1", "/restriction/add", &lock)).collect();
    let all = futures_util::future::join_all(all).await;
    let made: Vec<&Value> = all.iter().filter(|(status, ..)| *status == 200).map(|(.., body)| body).collect();
    assert!(!made.is_empty() && made.iter().all(|one| *one == made[0]), "{all:?}");
    assert!(all.iter().all(|(status, ..)| matches!(status, 200 | 409)), "{all:?}");
    assert_eq!(all.iter().filter(|(status, again, _)| *status == 200 && !again).count(), 1, "{all:?}");
    let (status, is_replayed, body) = send(&server, "lock-1", "/restriction/add", &lock).await;
    assert_eq!((status, is_replayed, &body), (200, true, made[0]));
    let listed = server.ok(&["lock", "list", "--json"]);
    assert_eq!(listed.matches("a migration").count(), 1, "{listed}");
    // Another request with the same key.
    let other = json!({"kind": "lock", "reason": "another one", "duration_ms": 60_000});
    let (status, _, body) = send(&server, "lock-1", "/restriction/add", &other).await;
    assert_eq!((status, body["kind"].as_str()), (409, Some("conflict")), "{body}");
    // The same key elsewhere is another one.
    let end = json!({"id": made[0]["id"], "reason": "done"});
    assert_eq!(send(&server, "lock-1", "/restriction/end", &end).await.0, 200);
    // What was refused changed nothing: the key is free again.
    let nobody = json!({"name": "anna", "role": "operator"});
    assert_eq!(send(&server, "change-1", "/user/change", &nobody).await.0, 404);
    server.ok(&["user", "add", "anna", "--role", "viewer"]);
    assert_eq!(send(&server, "change-1", "/user/change", &nobody).await.0, 200);
    assert_eq!(send(&server, "change-1", "/user/change", &nobody).await.0, 200);
    // A secret is shown once and not kept.
    let token = json!({"name": "ci", "role": "viewer"});
    let (status, _, body) = send(&server, "token-1", "/token/add", &token).await;
    assert!(status == 200 && body["secret"].is_string(), "{body}");
    let (status, _, body) = send(&server, "token-1", "/token/add", &token).await;
    assert!(status == 409 && body["message"].as_str().is_some_and(|it| it.contains("shown once")), "{body}");
    assert_eq!(server.ok(&["token", "list", "--json"]).matches("\"ci\"").count(), 1);
    // What cannot be a key.
    let long = "x".repeat(201);
    assert_eq!(send(&server, &long, "/restriction/add", &lock).await.0, 422);
    assert_eq!(send(&server, " ", "/restriction/add", &lock).await.0, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_the_header_is_the_key_of_a_deployment_and_survives_the_server() {
    let mut server = Lockstep::start();
    let manifest = server.write("lockstep.yaml", &shop(free_ports(), "0s"));
    server.ok(&["apply", &manifest]);
    let wanted = json!({"accept_no_rollback": true});
    let (status, _, first) = send(&server, "run-7", "/deployment/start", &wanted).await;
    assert_eq!(status, 200, "{first}");
    server.kill_server();
    server.serve();
    let (status, _, again) = send(&server, "run-7", "/deployment/start", &wanted).await;
    assert_eq!((status, &again["id"]), (200, &first["id"]), "{again}");
    let other = json!({"accept_no_rollback": false});
    assert_eq!(send(&server, "run-7", "/deployment/start", &other).await.0, 409);
    let two = json!({"accept_no_rollback": true, "idempotency_key": "run-8"});
    assert_eq!(send(&server, "run-7", "/deployment/start", &two).await.0, 422);
    let same = json!({"accept_no_rollback": true, "idempotency_key": "run-7"});
    let (status, _, again) = send(&server, "run-7", "/deployment/start", &same).await;
    assert_eq!((status, &again["id"]), (200, &first["id"]), "{again}");
}
