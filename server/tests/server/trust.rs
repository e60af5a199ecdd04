//! Jobs of GitHub Actions without a stored secret: real tokens of an issuer on this machine, and D10.

use crate::{
    issuer::{Issuer, Key, now_s, parts},
    support::{Lockstep, PATIENCE},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{process::Command, sync::atomic::AtomicU64, sync::atomic::Ordering, time::Instant};

pub(crate) const AUDIENCE: &str = "https://deploy.example.com";
const PROGRAM: &str = env!("CARGO_BIN_EXE_lockstep");
const ACTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.github/actions/lockstep-deploy");

/// A job on main of octo/shop, as GitHub describes it; each with an id of its own.
pub(crate) fn job(issuer: &str, audience: &str) -> Value {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let now = now_s();
    json!({
        "iss": issuer, "aud": audience, "jti": format!("jti-{}", NEXT.fetch_add(1, Ordering::SeqCst)),
        "iat": now, "nbf": now, "exp": now + 300,
        "sub": "repo:octo/shop:environment:production",
        "repository": "octo/shop", "repository_id": "456789",
        "repository_owner": "octo", "repository_owner_id": "123456",
        "ref": "refs/heads/main", "ref_type": "branch", "environment": "production",
        "workflow": "deploy", "workflow_ref": "octo/shop/.github/workflows/deploy.yml@refs/heads/main",
        "job_workflow_ref": "octo/shop/.github/workflows/deploy.yml@refs/heads/main",
        "event_name": "push", "run_id": "77", "run_attempt": "1", "actor": "mona",
    })
}

fn with(mut claims: Value, changes: &[(&str, Value)]) -> Value {
    for (name, value) in changes {
        if value.is_null() {
            claims.as_object_mut().expect("an object").remove(*name);
        } else {
            claims[*name] = value.clone();
        }
    }
    claims
}

pub(crate) async fn stage() -> (Lockstep, Issuer) {
    let issuer = Issuer::start(job).await;
    let server = Lockstep::start_with(&["--plain-issuers"]);
    let file = server.write(
        "lockstep.yaml",
        "version: 1\nproject: shop\ndefault_environment: staging\nenvironments:\n  staging: {}\n  production: {}\n\
         watch: 0s\nservices:\n  web:\n    version: \"1\"\n    target:\n      type: command\n      \
         deploy: [sh, -c, \"true\"]\n      undo: [sh, -c, \"true\"]\n      observe: [sh, -c, \"echo 1\"]\n    environments: {staging: {}, production: {}}\n",
    );
    server.ok(&["apply", &file]);
    add(&server, &issuer, &[]);
    (server, issuer)
}

fn rule<'a>(issuer: &'a Issuer, more: &[&'a str]) -> Vec<&'a str> {
    let common = [
        "trust",
        "add",
        "--role",
        "deployer",
        "--project",
        "shop",
        "--env",
        "production",
        "--action",
        "deploy",
        "--issuer",
        &issuer.url,
        "--json",
    ];
    let mut all = common.to_vec();
    for (option, value) in [
        ("--repository-id", "456789"),
        ("--owner-id", "123456"),
        ("--ref", "refs/heads/main"),
        ("--job-environment", "production"),
        ("--workflow", ".github/workflows/deploy.yml"),
        ("--audience", AUDIENCE),
    ] {
        if !more.contains(&option) {
            all.extend([option, value]);
        }
    }
    all.extend(more);
    all
}

fn add(server: &Lockstep, issuer: &Issuer, more: &[&str]) {
    server.ok(&[&rule(issuer, more)[..], &["shop-production"]].concat());
}

pub(crate) async fn exchange(server: &Lockstep, token: &str) -> (u16, Value) {
    let body =
        format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={token}");
    let request = server.http.post(format!("{}/oauth/token", server.url()));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_gets_a_token_for_minutes_that_does_what_the_rule_says() {
    let (server, issuer) = stage().await;
    let (status, issued) = exchange(&server, &issuer.key().sign(&job(&issuer.url, AUDIENCE))).await;
    assert_eq!(status, 200, "{issued}");
    assert_eq!((&issued["token_type"], &issued["expires_in"]), (&json!("Bearer"), &json!(900)));
    let token = issued["access_token"].as_str().expect("a token");
    let long = "x".repeat(1_001);
    let start = |environment: &str| json!({"environment": environment, "reason": long}).to_string();
    assert_eq!(server.call("/deployment/start", Some(token), &start("production")).await.0, 422, "may");
    assert_eq!(server.call("/deployment/start", Some(token), &start("staging")).await.0, 404);
    assert_eq!(server.call("/deployment/cancel", Some(token), r#"{"id":1}"#).await.0, 403, "only to deploy");
    assert_eq!(server.call("/token/add", Some(token), r#"{"name":"x"}"#).await.0, 403);
    let audit = server.ok(&["audit", "list", "--json"]);
    for said in ["trust shop-production", "octo/shop (456789)", "by mona", "/trust/add"] {
        assert!(audit.contains(said), "{said}: {audit}");
    }
    assert!(server.ok(&["trust", "list"]).contains("ago"), "its use is kept");
    // The rule ends, and what was given by it at once.
    server.ok(&["trust", "remove", "shop-production"]);
    assert_eq!(server.call("/session/show", Some(token), "{}").await.0, 401);
    assert_eq!(exchange(&server, &issuer.key().sign(&job(&issuer.url, AUDIENCE))).await.0, 401);
    server.fails(2, &["trust", "remove", "shop-production"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_what_is_not_exactly_the_trusted_job_gets_nothing() {
    let (server, issuer) = stage().await;
    let ours = |changes: &[(&str, Value)]| issuer.key().sign(&with(job(&issuer.url, AUDIENCE), changes));
    let now = now_s();
    let foreign = Key::new("first");
    let alike = format!("{}.evil.example", issuer.url);
    let none = format!(
        "{}.",
        parts(&json!({"alg": "none", "typ": "JWT", "kid": "first"}), &job(&issuer.url, AUDIENCE))
    );
    let shared = parts(&json!({"alg": "HS256", "typ": "JWT", "kid": "first"}), &job(&issuer.url, AUDIENCE));
    let mut mac = Hmac::<Sha256>::new_from_slice(&issuer.key().public_der()).expect("any length");
    mac.update(shared.as_bytes());
    let shared = format!("{shared}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
    let right = ours(&[]);
    let (message, _) = right.rsplit_once('.').expect("three parts");
    let tampered = format!("{message}.{}", foreign.sign(&json!({})).rsplit_once('.').expect("three parts").1);
    for (what, expected, token) in [
        ("another audience", 401, ours(&[("aud", json!("https://other.example.com"))])),
        ("no audience", 401, ours(&[("aud", Value::Null)])),
        ("two audiences", 403, ours(&[("aud", json!([AUDIENCE, "https://other.example.com"]))])),
        ("a look-alike issuer", 401, issuer.key().sign(&job(&alike, AUDIENCE))),
        ("the issuer with a slash", 401, issuer.key().sign(&job(&format!("{}/", issuer.url), AUDIENCE))),
        ("somebody else's key under the same id", 401, foreign.sign(&job(&issuer.url, AUDIENCE))),
        ("a key that nobody knows", 401, Key::new("second").sign(&job(&issuer.url, AUDIENCE))),
        ("no signature", 401, none),
        ("the public key as a shared secret", 401, shared),
        ("another signature", 401, tampered),
        ("no token", 401, "nothing".to_owned()),
        ("ended", 401, ours(&[("exp", json!(now - 120))])),
        ("not begun", 401, ours(&[("nbf", json!(now + 600))])),
        ("an end that is text", 401, ours(&[("exp", json!("4102444800"))])),
        ("no end", 401, ours(&[("exp", Value::Null)])),
        ("no id of its own", 401, ours(&[("jti", Value::Null)])),
        ("an empty id of its own", 401, ours(&[("jti", json!(""))])),
        (
            "another repository of the same owner",
            403,
            ours(&[
                ("sub", json!("repo:octo/*")),
                ("repository", json!("octo/other")),
                ("repository_id", json!("456790")),
                ("workflow_ref", json!("octo/other/.github/workflows/deploy.yml@refs/heads/main")),
            ]),
        ),
        (
            "a recycled name",
            403,
            ours(&[("repository_id", json!("999")), ("repository_owner_id", json!("998"))]),
        ),
        ("a recycled owner", 403, ours(&[("repository_owner_id", json!("998"))])),
        ("a pattern as id", 403, ours(&[("repository_id", json!("*"))])),
        (
            "a pull request",
            403,
            ours(&[
                ("event_name", json!("pull_request")),
                ("ref", json!("refs/pull/1/merge")),
                ("sub", json!("repo:octo/shop:pull_request")),
            ]),
        ),
        ("a pull request onto main", 403, ours(&[("event_name", json!("pull_request_target"))])),
        ("another branch", 403, ours(&[("ref", json!("refs/heads/mainly"))])),
        ("a tag of that name", 403, ours(&[("ref", json!("refs/tags/main"))])),
        ("another environment", 403, ours(&[("environment", json!("staging"))])),
        ("an environment written otherwise", 403, ours(&[("environment", json!("Production"))])),
        ("no environment", 403, ours(&[("environment", Value::Null)])),
        (
            "another workflow",
            403,
            ours(&[("workflow_ref", json!("octo/shop/.github/workflows/test.yml@refs/heads/main"))]),
        ),
        (
            "the workflow of another branch",
            403,
            ours(&[("workflow_ref", json!("octo/shop/.github/workflows/deploy.yml@refs/heads/x"))]),
        ),
    ] {
        let (status, told) = exchange(&server, &token).await;
        assert_eq!(status, expected, "{what}: {told}");
        assert!(told["access_token"].is_null(), "{what}: {told}");
    }
    let tokens = server.ok(&["token", "list", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&tokens).expect("JSON")["tokens"], json!([]), "{tokens}");
    // Both forms of the subject.
    for sub in
        ["repo:octo/shop:environment:production", "repo:octo-123456/shop-456789:environment:production"]
    {
        let (status, told) = exchange(&server, &ours(&[("sub", json!(sub))])).await;
        assert_eq!(status, 200, "{sub}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_an_identity_token_is_exchanged_once_also_by_ten_at_a_time() {
    let (mut server, issuer) = stage().await;
    let token = issuer.key().sign(&job(&issuer.url, AUDIENCE));
    let all = futures_util::future::join_all((0..10).map(|_| exchange(&server, &token))).await;
    assert_eq!(all.iter().filter(|(status, _)| *status == 200).count(), 1, "{all:?}");
    assert!(all.iter().all(|(status, _)| matches!(status, 200 | 401)), "{all:?}");
    server.kill_server();
    server.serve();
    assert_eq!(exchange(&server, &token).await.0, 401, "a restart forgets nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_kept_and_asked_for_again_when_an_issuer_has_new_ones() {
    let (server, issuer) = stage().await;
    for _ in 0..5 {
        assert_eq!(exchange(&server, &issuer.key().sign(&job(&issuer.url, AUDIENCE))).await.0, 200);
    }
    assert_eq!(issuer.asked(), 1);
    issuer.rotate("second");
    let end = Instant::now() + PATIENCE;
    while exchange(&server, &issuer.key().sign(&job(&issuer.url, AUDIENCE))).await.0 != 200 {
        assert!(Instant::now() < end, "the new key is never asked for");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    // A key that nobody has does not make it a storm of questions.
    let (before, unknown) = (issuer.asked(), Key::new("third"));
    for _ in 0..50 {
        assert_eq!(exchange(&server, &unknown.sign(&job(&issuer.url, AUDIENCE))).await.0, 401);
    }
    assert!(issuer.asked() < before + 50, "asked {} times", issuer.asked() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_made_by_an_admin_in_full_and_never_as_a_pattern() {
    let (server, issuer) = stage().await;
    for (option, value) in [
        ("--repository-id", "*"),
        ("--repository-id", "octo/shop"),
        ("--owner-id", "octo"),
        ("--ref", "refs/heads/*"),
        ("--ref", "main"),
        ("--ref", "refs/pull/1/merge"),
        ("--job-environment", "prod*"),
        ("--job-environment", ""),
        ("--workflow", "deploy"),
        ("--audience", ""),
    ] {
        let said = server.fails(2, &[&rule(&issuer, &[option, value])[..], &["another"]].concat());
        assert!(said.contains("job."), "{option} {value}: {said}");
    }
    server.fails(2, &[&rule(&issuer, &[])[..], &["shop-production"]].concat());
    server.fails(2, &[&rule(&issuer, &["--minutes", "16"])[..], &["another"]].concat());
    let mut plain = rule(&issuer, &[]);
    let place = plain.iter().position(|word| *word == issuer.url).expect("there");
    plain[place] = "http://issuer.example.com";
    let said = server.fails(2, &[&plain[..], &["another"]].concat());
    assert!(said.contains("no https://"), "{said}");
    let listed: Value = serde_json::from_str(&server.ok(&["trust", "list", "--json"])).expect("JSON");
    assert_eq!(listed["rules"].as_array().map(Vec::len), Some(1), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deploy_step_needs_no_token_where_the_job_can_show_who_it_is() {
    let (server, issuer) = stage().await;
    server.write("output", "");
    server.write("summary", "");
    let step = |audience: &str| {
        Command::new(format!("{ACTION}/deploy.sh"))
            .current_dir(server.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs([("LOCKSTEP_PROGRAM", PROGRAM), ("GITHUB_OUTPUT", "output"), ("LOCKSTEP_TOKEN", "")])
            .env("LOCKSTEP_URL", server.url())
            .envs([("LOCKSTEP_ENVIRONMENT", "production"), ("LOCKSTEP_AUDIENCE", audience)])
            .env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/id-token?v=2", issuer.url))
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")
            .output()
            .expect("ran")
    };
    let said = step(AUDIENCE);
    let text = crate::support::text(&said);
    assert_eq!(said.status.code(), Some(0), "{text}\n{}", server.log());
    assert!(text.contains("::add-mask::ls_api_"), "{text}");
    let detail: Value = serde_json::from_str(&server.ok(&["status", "1", "--json"])).expect("JSON");
    assert!(detail.to_string().contains("shop-production run 77"), "{detail}");
    // Monitoring, too, and with another token when the first one is over.
    let look = Command::new(format!("{ACTION}/monitor.sh"))
        .current_dir(server.folder.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs([("LOCKSTEP_PROGRAM", PROGRAM), ("REPORT", "health.json"), ("MONITORING_MINUTES", "0")])
        .envs([("LOCKSTEP_ENVIRONMENT", "production"), ("LOCKSTEP_AUDIENCE", AUDIENCE)])
        .env("LOCKSTEP_URL", server.url())
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/id-token?v=2", issuer.url))
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")
        .output()
        .expect("ran");
    let text = crate::support::text(&look);
    assert!(text.contains("::add-mask::ls_api_"), "{text}");
    assert!(std::fs::exists(server.folder.path().join("health.json")).expect("looked"), "{text}");
    let over = Command::new(PROGRAM)
        .args(["health", "--env", "production", "--exchange", AUDIENCE, "--json"])
        .current_dir(server.folder.path())
        .env("LOCKSTEP_URL", server.url())
        .env("LOCKSTEP_TOKEN", "ls_api_0123456789abcdef_00ff_00000000")
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/id-token?v=2", issuer.url))
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")
        .output()
        .expect("ran");
    let text = crate::support::text(&over);
    assert!(text.contains("\"looks\": 1") && text.contains("web (production)"), "{text}");
    let said = step("https://other.example.com");
    let text = crate::support::text(&said);
    assert_eq!(said.status.code(), Some(2), "{text}");
    assert!(text.contains("this job gets none"), "{text}");
}
