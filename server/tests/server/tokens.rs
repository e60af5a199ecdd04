//! Tokens: what they may, where and for how long, and what nobody gets by one (D2, D3, D4).

use crate::support::Lockstep;
use lockstep_model::access::Role;
use serde_json::{Value, json};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// A server with a project in staging and production.
fn stage() -> Lockstep {
    let server = Lockstep::start();
    let file = server.write(
        "lockstep.yaml",
        "version: 1\nproject: shop\ndefault_environment: staging\nenvironments:\n  staging: {}\n  production: {}\n\
         watch: 0s\nservices:\n  web:\n    version: \"1\"\n    target:\n      type: command\n      \
         deploy: [sh, -c, \"true\"]\n      observe: [sh, -c, \"echo 1\"]\n    environments: {staging: {}, production: {}}\n",
    );
    server.ok(&["apply", &file]);
    server
}

/// A request to start that is refused for its reason's length once it is known that they may.
fn start(environment: &str) -> String {
    json!({"environment": environment, "reason": "x".repeat(1_001)}).to_string()
}

fn make(server: &Lockstep, arguments: &[&str]) -> Value {
    let made = server.ok(&[&["token", "add", "ci"], arguments, &["--json"]].concat());
    serde_json::from_str(&made).expect("JSON")
}

fn secret(made: &Value) -> &str {
    made["secret"].as_str().expect("a secret")
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_a_token_mints_no_token_neither_longer_nor_wider() {
    let server = stage();
    let narrow = make(&server, &["--role", "deployer", "--env", "staging", "--days", "1"]);
    let wide = make(&server, &["--role", "admin"]);
    for token in [secret(&narrow), secret(&wide)] {
        for body in [
            json!({"name": "longer", "role": "viewer", "days": 366}),
            json!({"name": "wider", "role": "admin"}),
            json!({"name": "the same", "role": "viewer", "days": 1}),
        ] {
            let (status, answer) = server.call("/token/add", Some(token), &body.to_string()).await;
            assert_eq!(status, 403, "{body}: {answer}");
        }
    }
    let listed: Value = serde_json::from_str(&server.ok(&["token", "list", "--json"])).expect("JSON");
    assert_eq!(listed["tokens"].as_array().expect("a list").len(), 2, "{listed}");
    let audit = server.ok(&["audit", "list", "--json"]);
    let denied = audit.matches("\"denied\"").count();
    assert!(denied >= 6, "each is noted: {audit}");
    // Nor does a person make one that is wider than they are.
    let anna = server.sign_in_on("anna", Role::Deployer, &["--project", "shop", "--env", "staging"]).await;
    for wider in [json!({"name": "a", "role": "admin"}), json!({"name": "b", "actions": ["manage"]})] {
        assert_eq!(server.call_as(&anna, "/token/add", &wider.to_string()).await.0, 403, "{wider}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_a_token_of_staging_starts_nothing_in_production_and_opens_no_route_of_browsers() {
    let server = stage();
    let staging = make(&server, &["--role", "deployer", "--project", "shop", "--env", "staging"]);
    let (status, told) = server.call("/deployment/start", Some(secret(&staging)), &start("staging")).await;
    assert_eq!(status, 422, "may, and says too much: {told}");
    let (status, told) = server.call("/deployment/start", Some(secret(&staging)), &start("production")).await;
    assert_eq!(status, 404, "{told}");
    let reader = make(&server, &["--role", "viewer"]);
    let (status, told) = server.call("/deployment/start", Some(secret(&reader)), &start("production")).await;
    assert_eq!(status, 403, "{told}");
    for path in ["/session/sign_in", "/session/sign_out", "/session/set_password"] {
        let request = server.http.post(format!("{}{path}", server.url())).bearer_auth(secret(&staging));
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").body("user=a&password=b");
        assert_eq!(request.send().await.expect("an answer").status(), 403, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b15_d4_a_token_in_an_address_is_refused_and_not_written_to_the_log() {
    let server = stage();
    let made = make(&server, &["--role", "viewer"]);
    let token = secret(&made);
    for (name, path) in [
        ("token", "/metrics"),
        ("access_token", "/deployments.json"),
        ("anything", "/health/live"),
        ("Token", "/api/v1/session/show"),
        ("x=1&auth", "/"),
    ] {
        let address = format!("{}{path}?{name}={token}", server.url());
        let answer = server.http.get(&address).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{address}");
        let with_header = server.http.get(&address).bearer_auth(token).send().await.expect("an answer");
        assert_eq!(with_header.status(), 400, "{address} although the header is right");
    }
    let said = server.log();
    assert!(!said.contains(token) && !said.contains("ls_api_"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_what_it_was_made_for_and_nothing_else_of_its_role() {
    let server = stage();
    let made = make(&server, &["--env", "staging", "--action", "deploy"]);
    assert_eq!(made["token"]["bound"]["role"], "deployer", "no larger than what it is for: {made}");
    assert_eq!(made["token"]["actions"], json!(["deploy"]));
    let token = secret(&made);
    assert_eq!(server.call("/deployment/start", Some(token), &start("staging")).await.0, 422, "may");
    assert_eq!(server.call("/deployment/list", Some(token), "{}").await.0, 200, "reads");
    for (path, body) in [
        ("/deployment/cancel", json!({"id": 1})),
        ("/deployment/rollback", json!({"environment": "staging"})),
        ("/deployment/pause", json!({"id": 1})),
        ("/restriction/add", json!({"kind": "lock", "reason": "x", "duration_ms": 60_000})),
        ("/token/revoke", json!({"id": made["token"]["id"]})),
    ] {
        let (status, told) = server.call(path, Some(token), &body.to_string()).await;
        assert_eq!(status, 403, "{path}: {told}");
        assert!(told["message"].as_str().is_some_and(|text| text.contains("for deploy")), "{told}");
    }
    let back = make(&server, &["--env", "staging", "--action", "rollback,steer"]);
    assert_eq!(back["token"]["bound"]["role"], "operator");
    assert_eq!(server.call("/deployment/start", Some(secret(&back)), &start("staging")).await.0, 403);
    assert_eq!(server.call("/deployment/cancel", Some(secret(&back)), r#"{"id":999}"#).await.0, 404, "may");
    let said = server.fails(2, &["token", "add", "x", "--role", "viewer", "--action", "deploy"]);
    assert!(said.contains("takes deployer"), "{said}");
    let listed = server.ok(&["token", "list"]);
    assert!(listed.contains("rollback,steer") && listed.contains("ends in"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_is_shown_once_kept_as_a_digest_and_its_last_use_is_kept() {
    let server = stage();
    let made = make(&server, &["--role", "viewer"]);
    let token = secret(&made).to_owned();
    let parts: Vec<&str> = token.split('_').collect();
    assert_eq!(
        (parts[0], parts[1], parts[2].len(), parts[3].len(), parts[4].len()),
        ("ls", "api", 16, 64, 8)
    );
    let view = &made["token"];
    let lasts = view["expires_at"].as_i64().expect("a time") - view["created_at"].as_i64().expect("a time");
    assert_eq!(lasts, 90 * DAY_MS, "unless told otherwise");
    for days in ["0", "367"] {
        server.fails(2, &["token", "add", "x", "--role", "viewer", "--days", days]);
    }
    make(&server, &["--role", "viewer", "--days", "366"]);
    let list = || server.ok(&["token", "list", "--json"]);
    let used = |listed: &str| -> Value {
        let listed: Value = serde_json::from_str(listed).expect("JSON");
        let all = listed["tokens"].as_array().expect("a list").clone();
        let one = all.into_iter().find(|one| one["id"] == view["id"]).expect("there");
        one["last_used_at"].clone()
    };
    assert_eq!(used(&list()), Value::Null);
    assert_eq!(server.call("/session/show", Some(&token), "{}").await.0, 200);
    assert!(used(&list()).is_i64());
    assert!(!list().contains(parts[3]), "never shown again");
    for file in std::fs::read_dir(server.data()).expect("readable").flatten() {
        let bytes = std::fs::read(file.path()).unwrap_or_default();
        let is_there = bytes.windows(parts[3].len()).any(|window| window == parts[3].as_bytes());
        assert!(!is_there, "{} holds the secret", file.path().display());
    }
    let flipped = format!("{}{}", &token[..token.len() - 1], if token.ends_with('0') { '1' } else { '0' });
    assert_eq!(server.call("/session/show", Some(&flipped), "{}").await.0, 401, "its checksum is wrong");
    server.ok(&["token", "revoke", view["id"].as_str().expect("an id")]);
    assert_eq!(server.call("/session/show", Some(&token), "{}").await.0, 401);
}
