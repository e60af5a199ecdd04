//! Webhooks that come in: D6, D7, D8, and what each event does.

use crate::support::Lockstep;
use hmac::{Hmac, KeyInit, Mac};
use lockstep_model::deployment::Phase;
use serde_json::{Value, json};
use sha2::Sha256;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

pub const SECRET: &str = "a-secret-of-thirty-two-characters";
pub const COMMIT: &str = "1111111111111111111111111111111111111111";

pub fn hex(secret: &str, message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(message);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn new_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("delivery-{}", NEXT.fetch_add(1, Ordering::SeqCst))
}

pub fn stage() -> Lockstep {
    let server = Lockstep::start();
    let dir = server.folder.path().display();
    let file = server.write(
        "lockstep.yaml",
        &format!(
            "version: 1\nproject: shop\ndefault_environment: staging\nenvironments:\n  staging: {{}}\n  production: {{}}\n\
             watch: 0s\nservices:\n  web:\n    version: \"1\"\n    target:\n      type: command\n      \
             deploy: [sh, -c, \"echo ${{VERSION}} > serves\"]\n      observe: [sh, -c, \"cat serves 2>/dev/null || true\"]\n      \
             undo: [sh, -c, \"echo $LOCKSTEP_CHECKPOINT_VERSION > serves\"]\n      workdir: \"{dir}\"\n    \
             environments: {{staging: {{}}, production: {{}}}}\n"
        ),
    );
    server.ok(&["apply", &file]);
    server
}

/// A rule for pushes to main and what fails there afterwards.
pub fn hook(server: &Lockstep, more: &[&str]) {
    let file = format!("file:{}", server.write("hook.secret", &format!("{SECRET}\n")));
    let common = ["hook", "add", "shop", "--project", "shop", "--env", "staging", "--secret", &file];
    let github = [
        "--repository-id",
        "456789",
        "--on",
        "push,workflow_run,deployment",
        "--ref",
        "refs/heads/main",
        "--workflow",
        ".github/workflows/smoke.yml",
        "--job-environment",
        "staging",
    ];
    server.ok(&[&common[..], &github, more].concat());
}

pub fn push(commit: &str) -> Value {
    json!({
        "ref": "refs/heads/main", "after": commit, "deleted": false,
        "repository": {"id": 456_789, "full_name": "octo/shop"},
        "head_commit": {"message": "A better shop\n\nmore", "author": {"username": "mona", "name": "Mona"}},
        "commits": [],
    })
}

fn run(commit: &str, conclusion: &str) -> Value {
    json!({
        "action": "completed", "repository": {"id": 456_789, "full_name": "octo/shop"},
        "workflow_run": {
            "id": 77, "head_sha": commit, "head_branch": "main", "path": ".github/workflows/smoke.yml",
            "event": "push", "conclusion": conclusion, "head_repository": {"id": 456_789},
        },
    })
}

pub fn changed(mut body: Value, pointer: &str, to: Value) -> Value {
    *body.pointer_mut(pointer).expect("there") = to;
    body
}

pub struct Sent<'a> {
    pub name: &'a str,
    pub event: &'a str,
    pub id: String,
    pub body: String,
    pub signature: Option<(&'a str, String)>,
}

impl<'a> Sent<'a> {
    pub fn right(event: &'a str, body: &Value) -> Self {
        let body = body.to_string();
        let signature = Some(("x-hub-signature-256", format!("sha256={}", hex(SECRET, body.as_bytes()))));
        Self { name: "shop", event, id: new_id(), body, signature }
    }

    pub async fn to(&self, server: &Lockstep) -> (u16, Value) {
        let mut request = server
            .http
            .post(format!("{}/hooks/{}", server.url(), self.name))
            .header("content-type", "application/json")
            .header("x-github-event", self.event)
            .header("x-github-delivery", &self.id)
            .body(self.body.clone());
        if let Some((name, value)) = &self.signature {
            request = request.header(*name, value);
        }
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
    }
}

pub fn deployments(server: &Lockstep) -> usize {
    let list: Value = serde_json::from_str(&server.ok(&["history", "--json"])).expect("JSON");
    list["deployments"].as_array().expect("a list").len()
}

/// The version that serves in staging; in production nothing does.
fn staging(server: &Lockstep) -> String {
    server
        .serves()
        .into_iter()
        .map(|(_, version)| version)
        .find(|version| !version.is_empty())
        .unwrap_or_default()
}

fn until_over(server: &Lockstep, id: i64) -> Phase {
    server.wait("the deployment has ended", |server| server.phase(id).is_final());
    server.phase(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn d6_what_is_not_signed_with_the_secret_is_401_and_without_a_secret_the_route_is_off() {
    let server = stage();
    hook(&server, &[]);
    let right = || Sent::right("push", &push(COMMIT));
    let body = push(COMMIT).to_string();
    let sha256 = |text: String| Some(("x-hub-signature-256", text));
    for (what, signature) in [
        ("unsigned", None),
        (
            "with another secret",
            sha256(format!("sha256={}", hex("another-secret-of-the-same-size!!", body.as_bytes()))),
        ),
        ("over another body", sha256(format!("sha256={}", hex(SECRET, b"{}")))),
        (
            "with SHA-1 alone",
            Some(("x-hub-signature", "sha1=757107ea0eb2509fc211221cce984b8a37570b6d".to_owned())),
        ),
        ("with SHA-1 in its place", sha256("sha1=757107ea0eb2509fc211221cce984b8a37570b6d".to_owned())),
        ("with nothing", sha256("sha256=".to_owned())),
        ("in part", sha256(format!("sha256={}", &hex(SECRET, body.as_bytes())[..32]))),
        ("without saying how", sha256(hex(SECRET, body.as_bytes()))),
    ] {
        let (status, told) = Sent { signature, ..right() }.to(&server).await;
        assert_eq!(status, 401, "{what}: {told}");
    }
    // A body of another length under a right signature of the first part, and one that is too large.
    let longer = Sent { body: format!("{body} "), ..right() };
    assert_eq!(longer.to(&server).await.0, 401);
    let huge = Sent { body: "x".repeat((1 << 20) + 1), ..right() };
    assert_eq!(huge.to(&server).await.0, 413, "before it is read");
    assert_eq!(Sent { name: "nothing", ..right() }.to(&server).await.0, 404);
    assert_eq!(deployments(&server), 0);

    // The secret is gone: the route is off, in the same words as one that never was.
    server.write("hook.secret", "");
    let (status, told) = right().to(&server).await;
    assert_eq!(status, 404, "{told}");
    server.write("hook.secret", "short");
    assert_eq!(right().to(&server).await.0, 404, "too short to be one");
    std::fs::remove_file(server.folder.path().join("hook.secret")).expect("removed");
    assert_eq!(right().to(&server).await.0, 404);
    assert!(server.ok(&["hook", "list"]).contains("not set: off"));
    assert_eq!(deployments(&server), 0);
    server.write("hook.secret", SECRET);
    assert_eq!(right().to(&server).await.0, 200, "it is read each time");
    assert_eq!(deployments(&server), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn d7_the_same_delivery_a_hundred_times_at_once_is_one_run() {
    let server = stage();
    hook(&server, &[]);
    let sent = Sent::right("push", &push(COMMIT));
    let all = futures_util::future::join_all((0..100).map(|_| sent.to(&server))).await;
    assert!(all.iter().all(|(status, _)| *status == 200), "{all:?}");
    assert_eq!(all.iter().filter(|(_, told)| told["outcome"] == "started").count(), 1, "{all:?}");
    assert_eq!(deployments(&server), 1);
    // The same id with another body is the same delivery still.
    let other = Sent { id: sent.id.clone(), ..Sent::right("push", &push(&"2".repeat(40))) };
    assert_eq!(other.to(&server).await.1["outcome"], "duplicate");
    assert_eq!(deployments(&server), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_an_old_body_under_a_new_id_starts_nothing_also_after_a_restart() {
    let mut server = stage();
    hook(&server, &[]);
    let first = Sent::right("push", &push(COMMIT));
    let (status, told) = first.to(&server).await;
    assert_eq!((status, &told["outcome"]), (200, &json!("started")), "{told}");
    until_over(&server, 1);
    for _ in 0..3 {
        let again = Sent { id: new_id(), ..Sent::right("push", &push(COMMIT)) };
        let (status, told) = again.to(&server).await;
        assert_eq!(
            (status, &told["outcome"], &told["deployment"]),
            (200, &json!("duplicate"), &json!(1)),
            "{told}"
        );
    }
    server.kill_server();
    server.serve();
    assert_eq!(Sent::right("push", &push(COMMIT)).to(&server).await.1["outcome"], "duplicate");
    // Under another name of the event it says nothing.
    let (status, told) = Sent::right("workflow_run", &push(COMMIT)).to(&server).await;
    assert_eq!(status, 422, "{told}");
    assert_eq!(deployments(&server), 1);
    assert_eq!(Sent::right("push", &push(&"2".repeat(40))).to(&server).await.1["outcome"], "started");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_deploys_its_commit_and_a_failed_watched_run_takes_it_back() {
    let server = stage();
    server.ok(&["deploy", "--accept-no-rollback", "--wait"]);
    hook(&server, &["--service", "web", "--version", "commit"]);
    let (_, told) = Sent::right("push", &push(COMMIT)).to(&server).await;
    assert_eq!(told["deployment"], 2, "{told}");
    assert_eq!(until_over(&server, 2), Phase::Succeeded, "{}", server.ok(&["status", "2"]));
    assert_eq!(staging(&server), COMMIT);
    let detail = server.detail(2).summary;
    assert_eq!(detail.source.commit.as_deref(), Some(COMMIT));
    assert_eq!((detail.source.author.as_deref(), detail.by.via.as_str()), (Some("mona"), "webhook shop"));
    assert_eq!(detail.reason.as_deref(), Some("A better shop"));
    let ignored = |event: &'static str, body: Value| {
        let server = &server;
        async move {
            let (status, told) = Sent::right(event, &body).to(server).await;
            assert_eq!((status, &told["outcome"]), (200, &json!("ignored")), "{event} {body}: {told}");
        }
    };
    for conclusion in ["success", "cancelled", "skipped", "neutral"] {
        ignored("workflow_run", run(COMMIT, conclusion)).await;
    }
    let failed = || run(COMMIT, "failure");
    for (pointer, to) in [
        ("/action", json!("requested")),
        ("/repository/id", json!(1)),
        ("/workflow_run/path", json!(".github/workflows/lint.yml")),
        ("/workflow_run/head_branch", json!("other")),
        ("/workflow_run/event", json!("pull_request")),
        ("/workflow_run/head_repository", json!({"id": 1})),
        ("/workflow_run/head_repository", Value::Null),
        ("/workflow_run/head_sha", json!("3".repeat(40))),
    ] {
        ignored("workflow_run", changed(failed(), pointer, to)).await;
    }
    let other = || push(&"4".repeat(40));
    for (pointer, to) in [
        ("/ref", json!("refs/heads/other")),
        ("/ref", json!("refs/tags/main")),
        ("/repository/id", json!(1)),
        ("/deleted", json!(true)),
        ("/after", json!("0".repeat(40))),
    ] {
        ignored("push", changed(other(), pointer, to)).await;
    }
    ignored("ping", json!({})).await;
    assert_eq!(deployments(&server), 2);
    let (status, told) = Sent::right("workflow_run", &failed()).to(&server).await;
    assert_eq!((status, &told["outcome"]), (200, &json!("taken_back")), "{told}");
    until_over(&server, 3);
    assert_eq!(staging(&server), "1");
    let (_, told) = Sent::right("workflow_run", &failed()).to(&server).await;
    assert_eq!(told["outcome"], "duplicate", "{told}");
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_of_a_commit_that_was_followed_by_another_takes_nothing_back() {
    let server = stage();
    server.ok(&["deploy", "--accept-no-rollback", "--wait"]);
    hook(&server, &["--service", "web", "--version", "commit"]);
    for (id, digit) in [(2, "1"), (3, "2")] {
        let (_, told) = Sent::right("push", &push(&digit.repeat(40))).to(&server).await;
        assert_eq!(told["deployment"], id, "{told}");
        assert_eq!(until_over(&server, id), Phase::Succeeded);
    }
    let (_, told) = Sent::right("workflow_run", &run(&"1".repeat(40), "failure")).to(&server).await;
    assert_eq!(told["outcome"], "ignored", "{told}");
    assert_eq!(staging(&server), "2".repeat(40));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_on_github_starts_one_in_its_environment_alone() {
    let server = stage();
    hook(&server, &[]);
    let told = json!({
        "action": "created", "repository": {"id": 456_789, "full_name": "octo/shop"},
        "deployment": {
            "sha": COMMIT, "ref": "main", "environment": "staging", "description": "Friday",
            "creator": {"login": "mona"},
        },
    });
    for (pointer, to) in [
        ("/action", json!("deleted")),
        ("/deployment/environment", json!("production")),
        ("/deployment/ref", json!("other")),
        ("/repository/id", json!(7)),
    ] {
        let (_, told) = Sent::right("deployment", &changed(told.clone(), pointer, to)).to(&server).await;
        assert_eq!(told["outcome"], "ignored", "{told}");
    }
    let (_, answer) = Sent::right("deployment", &told).to(&server).await;
    assert_eq!(answer["outcome"], "started", "{answer}");
    let summary = server.detail(1).summary;
    assert_eq!((summary.environment.as_str(), summary.reason.as_deref()), ("staging", Some("Friday")));
}

#[tokio::test(flavor = "multi_thread")]
async fn d8_a_generic_webhook_is_signed_with_its_time_and_five_minutes_good() {
    let server = stage();
    let file = format!("file:{}", server.write("hook.secret", SECRET));
    server.ok(&[
        "hook",
        "add",
        "nightly",
        "--sender",
        "generic",
        "--project",
        "shop",
        "--env",
        "staging",
        "--secret",
        &file,
    ]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let send = |time: u64, signed: u64, body: String| {
        let signature = hex(SECRET, format!("{signed}.{body}").as_bytes());
        let request = server.http.post(format!("{}/hooks/nightly", server.url()));
        let request = request.header("x-lockstep-timestamp", time.to_string());
        let request = request.header("x-lockstep-signature", format!("sha256={signature}")).body(body);
        async move {
            let response = request.send().await.expect("an answer");
            (response.status().as_u16(), response.json::<Value>().await.unwrap_or(Value::Null))
        }
    };
    let body = || json!({"action": "deploy", "commit": COMMIT, "reason": "every night"}).to_string();
    assert_eq!(send(now - 320, now - 320, body()).await.0, 401, "old");
    assert_eq!(send(now + 360, now + 360, body()).await.0, 401, "from the future");
    assert_eq!(send(now, now - 320, body()).await.0, 401, "signed with another time");
    assert_eq!(send(now, now, "{}".to_owned()).await.0, 422);
    assert_eq!(
        send(now, now, json!({"action": "deploy", "environment": "production"}).to_string()).await.0,
        422
    );
    assert_eq!(deployments(&server), 0);
    let (status, told) = send(now, now, body()).await;
    assert_eq!((status, &told["outcome"]), (200, &json!("started")), "{told}");
    assert_eq!(send(now, now, body()).await.1["outcome"], "duplicate");
    assert_eq!(send(now - 1, now - 1, body()).await.1["outcome"], "duplicate", "the same again");
    assert_eq!(deployments(&server), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_does_no_more_than_who_made_it_and_stands_in_the_audit() {
    let server = stage();
    hook(&server, &[]);
    for (options, expected) in [
        (vec!["--secret", "a-secret-itself"], "no secret itself"),
        (vec!["--secret", "env:PATH"], "LOCKSTEP_HOOK_"),
        (vec!["--secret", "env:LOCKSTEP_HOOK_A"], "'repository_id'"),
        (vec!["--secret", "env:LOCKSTEP_HOOK_A", "--repository-id", "octo/shop"], "is a number"),
        (vec!["--secret", "env:LOCKSTEP_HOOK_A", "--repository-id", "1"], "'events' is empty"),
        (vec!["--secret", "env:LOCKSTEP_HOOK_A", "--repository-id", "1", "--on", "push"], "'ref' is missing"),
        (
            vec![
                "--secret",
                "env:LOCKSTEP_HOOK_A",
                "--repository-id",
                "1",
                "--on",
                "push",
                "--ref",
                "refs/heads/*",
            ],
            "no pattern",
        ),
        (
            vec!["--secret", "env:LOCKSTEP_HOOK_A", "--repository-id", "1", "--on", "push", "--ref", "main"],
            "in full",
        ),
    ] {
        let add = ["hook", "add", "another", "--project", "shop", "--env", "staging"];
        let said = server.fails(2, &[&add[..], &options].concat());
        assert!(said.contains(expected), "{options:?}: {said}");
    }
    // Made by somebody who is an admin no more: what it asks for is denied, and noted.
    let third = server.sign_in("third", lockstep_model::access::Role::Admin).await;
    let file = format!("file:{}", server.folder.path().join("hook.secret").display());
    let rule = json!({
        "name": "theirs", "sender": "github", "secret": file, "events": ["push"], "repository_id": "456789",
        "ref": "refs/heads/main", "project": "shop", "environment": "staging",
    });
    let (status, told) = server.call_as(&third, "/hook/add", &rule.to_string()).await;
    assert_eq!((status, &told["has_secret"]), (200, &json!(true)), "{told}");
    // They would be the last admin who can sign in.
    server.sign_in("fourth", lockstep_model::access::Role::Admin).await;
    server.ok(&["user", "change", "third", "--role", "viewer"]);
    let (status, told) = Sent { name: "theirs", ..Sent::right("push", &push(COMMIT)) }.to(&server).await;
    assert_eq!(status, 403, "{told}");
    server.ok(&["user", "change", "third", "--enabled", "false"]);
    let (status, _) =
        Sent { name: "theirs", ..Sent::right("push", &push(&"2".repeat(40))) }.to(&server).await;
    assert_eq!(status, 403);
    assert_eq!(deployments(&server), 0);
    let audit = server.ok(&["audit", "list", "--json"]);
    for said in ["/hook/add", "/hooks/theirs", "webhook theirs"] {
        assert!(audit.contains(said), "{said}: {audit}");
    }
    assert!(!audit.contains(SECRET) && !server.ok(&["hook", "list", "--json"]).contains(SECRET));
    server.ok(&["hook", "remove", "shop"]);
    assert_eq!(Sent::right("push", &push(COMMIT)).to(&server).await.0, 404);
}
