//! What stands in the audit: one line for each change, with what was before and after, and one for each denial of
//! somebody who is known; over all endpoints and all routes, so that none can be forgotten (abuse case G8).

use crate::{
    access::harmless,
    login::Elsewhere,
    support::{Lockstep, make_token},
};
use lockstep_model::{
    DeploymentId,
    access::Role,
    api::{ENDPOINTS, STEP_UP},
    deployment::{Phase, StepState},
};
use lockstep_store::SqliteStore;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

/// What is noted down under another name.
const NOTED_AS: [(&str, &str); 1] = [("/deployment/decide", "/deployment/reject")];

fn manifest(server: &Lockstep) -> String {
    let dir = server.folder.path().display();
    format!(
        r#"version: 1
project: shop
default_environment: staging
environments:
  staging: {{}}
  gated: {{approvals: {{count: 1}}}}
  next: {{rollback: {{required: false}}, promotion: {{from: staging, soak: 0s}}}}
watch: 0s
rollback: {{auto: false}}
services:
  web:
    version: "1"
    verify: [{{name: well, command: [sh, -c, "cd {dir}; ! test -e sick"]}}]
    target:
      type: command
      deploy: [sh, -c, "while test -e hang; do sleep 0.05; done; test ! -e broken"]
      observe: [sh, -c, "echo 1"]
      undo: [sh, -c, "test ! -e locked"]
      workdir: "{dir}"
    environments: {{staging: {{}}, gated: {{}}, next: {{}}}}
"#
    )
}

/// Somebody who asks.
enum Who<'a> {
    /// The machine's owner.
    Local,
    /// Whoever has this cookie.
    Cookie(&'a str),
    /// Whoever has this token.
    Token(&'a str),
}

async fn ask(server: &Lockstep, who: &Who<'_>, path: &str, body: &Value) -> (u16, Value) {
    match who {
        Who::Local => server.call(path, Some(&server.token()), &body.to_string()).await,
        Who::Cookie(cookie) => server.call_as(cookie, path, &body.to_string()).await,
        Who::Token(token) => server.call(path, Some(token), &body.to_string()).await,
    }
}

/// The newest lines of the audit.
async fn lines(server: &Lockstep) -> Vec<Value> {
    let (status, page) = server.call("/audit/list", Some(&server.token()), r#"{"limit":200}"#).await;
    assert_eq!(status, 200, "{page}");
    page["entries"].as_array().expect("a list").clone()
}

async fn last(server: &Lockstep) -> i64 {
    lines(server).await.first().map_or(0, |line| line["id"].as_i64().expect("a number"))
}

async fn since(server: &Lockstep, id: i64) -> Vec<Value> {
    lines(server).await.into_iter().filter(|line| line["id"].as_i64() > Some(id)).collect()
}

/// Calls endpoints, and counts what each writes.
struct Story {
    server: Lockstep,
    called: BTreeSet<String>,
}

impl Story {
    /// Does something once: it is done, and it is one line.
    async fn once(&mut self, who: Who<'_>, path: &str, body: Value) -> Value {
        let before = last(&self.server).await;
        let (status, answer) = ask(&self.server, &who, path, &body).await;
        assert_eq!(status, 200, "{path} {body}: {answer}\n{}", self.server.log());
        let new = since(&self.server, before).await;
        let expected = NOTED_AS.iter().find(|(known, _)| *known == path).map_or(path, |(_, noted)| noted);
        let actions: Vec<_> = new.iter().map(|line| line["action"].as_str().expect("text")).collect();
        assert_eq!(actions, [expected], "{new:?}");
        assert_eq!(new[0]["allowed"], true, "{new:?}");
        assert!(new[0]["address"].is_string(), "{new:?}");
        self.called.insert(path.to_owned());
        answer
    }

    async fn start(&mut self) -> i64 {
        self.once(Who::Local, "/deployment/start", json!({"accept_no_rollback": true})).await["id"]
            .as_i64()
            .expect("a number")
    }

    fn until(&self, id: i64, what: &str, is_met: impl Fn(&Lockstep) -> bool) {
        self.server.wait(&format!("deployment {id} {what}"), is_met);
    }

    fn ended(&self, id: i64) {
        self.until(id, "has ended", |server| server.phase(id).is_final());
    }

    /// Until it asks; forward, or about the way back.
    fn asks(&self, id: i64, forward: bool) {
        self.until(id, "asks", |server| {
            let row = server.detail(id).summary;
            row.phase == Phase::NeedsOperator && row.asks_forward == forward
        });
    }

    fn mark(&self, file: &str) {
        self.server.write(file, "");
    }

    fn unmark(&self, file: &str) {
        fs::remove_file(self.server.folder.path().join(file)).expect("it was there");
    }

    /// What people do to what runs and to what asks.
    async fn steer(&mut self) {
        let id = self.start().await;
        self.ended(id);
        self.mark("hang");
        let id = self.start().await;
        let runs = |server: &Lockstep| {
            server
                .detail(id)
                .steps
                .iter()
                .any(|step| step.id.as_str() == "web.replace" && step.state == StepState::Running)
        };
        self.until(id, "runs", runs);
        self.once(Who::Local, "/deployment/pause", json!({"id": id, "reason": "lunch"})).await;
        self.once(Who::Local, "/deployment/resume", json!({"id": id})).await;
        self.once(Who::Local, "/deployment/step_retry", json!({"id": id, "step": "web.replace"})).await;
        self.once(Who::Local, "/deployment/cancel", json!({"id": id, "reason": "x"})).await;
        self.unmark("hang");
        self.ended(id);

        self.mark("sick");
        let id = self.start().await;
        self.asks(id, true);
        self.once(Who::Local, "/deployment/service_retry", json!({"id": id, "service": "web"})).await;
        self.asks(id, true);
        let skip = json!({"id": id, "step": "web.verify", "reason": "the check is wrong"});
        self.once(Who::Local, "/deployment/step_skip", skip).await;
        self.ended(id);
        let id = self.start().await;
        self.asks(id, true);
        let keep = json!({"id": id, "service": "web", "reason": "the check is wrong"});
        self.once(Who::Local, "/deployment/service_keep", keep).await;
        self.ended(id);

        self.mark("locked");
        // What is taken back is held, so it is a version of its own.
        let second = json!({"accept_no_rollback": true, "services": {"web": "2"}});
        let made = self.once(Who::Local, "/deployment/start", second).await;
        let id = made["id"].as_i64().expect("a number");
        self.asks(id, true);
        // What went back is looked at, too.
        self.unmark("sick");
        self.once(Who::Local, "/deployment/rollback", json!({"id": id, "reason": "x"})).await;
        self.asks(id, false);
        self.unmark("locked");
        self.once(Who::Local, "/deployment/undo_retry", json!({"id": id})).await;
        self.ended(id);
        self.mark("sick");
        let id = self.start().await;
        self.asks(id, true);
        let resolve = json!({"id": id, "outcome": "failed", "reason": "looked at it"});
        self.once(Who::Local, "/deployment/resolve", resolve).await;
        self.ended(id);
        self.unmark("sick");
    }

    /// Who decides about what waits, and what passes on.
    async fn decide(&mut self) {
        let anna = self.server.sign_in("anna", Role::Deployer).await;
        let bert = self.server.sign_in("bert", Role::Operator).await;
        let mut waits = Vec::new();
        for _ in 0..3 {
            let made =
                self.once(Who::Cookie(&anna), "/deployment/start", json!({"environment": "gated"})).await;
            waits.push(made["id"].as_i64().expect("a number"));
        }
        let plan = self.server.detail(waits[0]).approval.expect("it waits").plan;
        self.once(Who::Local, "/deployment/approve", json!({"id": waits[0], "plan": plan})).await;
        self.once(Who::Local, "/deployment/reject", json!({"id": waits[1], "reason": "x"})).await;
        let token = Elsewhere::signed_in(&self.server, &bert).await.token();
        let word = json!({"id": waits[2], "word": "reject", "password": "correct-horse-battery"});
        self.once(Who::Token(&token), "/deployment/decide", word).await;
        self.ended(waits[0]);

        let id = self.start().await;
        self.ended(id);
        self.server.wait("it may pass on", |server| {
            server.ok(&["promote", "--plan", "--to", "next"]).contains("may go")
        });
        let promoted = self.once(Who::Local, "/deployment/promote", json!({"to": "next"})).await;
        self.ended(promoted["id"].as_i64().expect("a number"));
        self.once(Who::Cookie(&bert), "/session/confirm", json!({"password": "correct-horse-battery"})).await;
        let other = json!({"password": "correct-horse-battery", "new_password": "another-horse-battery"});
        self.once(Who::Token(&token), "/session/password", other).await;
    }

    /// Locks, secrets, people, tokens, sessions, rules.
    async fn administer(&mut self) {
        let lock = json!({"kind": "lock", "reason": "quiet", "duration_ms": 60_000});
        let made = self.once(Who::Local, "/restriction/add", lock).await;
        self.once(Who::Local, "/restriction/end", json!({"id": made["id"], "reason": "over"})).await;
        self.once(Who::Local, "/secret/set", json!({"name": "a", "value": "a value of a secret"})).await;
        self.once(Who::Local, "/secret/rekey", json!({})).await;
        self.once(Who::Local, "/secret/remove", json!({"name": "a"})).await;
        self.once(Who::Local, "/user/add", json!({"name": "carla", "role": "viewer"})).await;
        self.once(Who::Local, "/user/link", json!({"name": "carla"})).await;
        self.once(Who::Local, "/link/revoke", json!({"name": "carla"})).await;
        self.once(Who::Local, "/user/grant", json!({"name": "carla", "role": "operator", "project": "shop"}))
            .await;
        self.once(Who::Local, "/user/revoke", json!({"name": "carla", "project": "shop"})).await;
        self.once(Who::Local, "/user/change", json!({"name": "carla", "github": "octo-carla"})).await;
        let made =
            self.once(Who::Local, "/token/add", json!({"name": "one", "role": "viewer", "days": 1})).await;
        self.once(Who::Local, "/token/revoke", json!({"id": made["token"]["id"]})).await;
        let (_, page) = ask(&self.server, &Who::Local, "/session/list", &json!({})).await;
        self.once(Who::Local, "/session/end", json!({"id": page["sessions"][0]["id"]})).await;
        self.once(Who::Local, "/session/end_all", json!({"user": "anna"})).await;
        let job = json!({
            "issuer": "https://token.actions.githubusercontent.com", "audience": "https://x.example.com",
            "repository_id": "1", "repository_owner_id": "2", "ref": "refs/heads/main",
            "environment": "staging", "workflow": ".github/workflows/a.yml",
        });
        self.once(Who::Local, "/trust/add", json!({"name": "one", "role": "viewer", "job": job})).await;
        self.once(Who::Local, "/trust/remove", json!({"name": "one"})).await;
        let secret =
            format!("file:{}", self.server.write("hook.secret", "a-secret-of-thirty-two-characters\n"));
        let hook = json!({
            "name": "one", "sender": "generic", "secret": secret, "project": "shop", "environment": "staging",
        });
        self.once(Who::Local, "/hook/add", hook).await;
        self.once(Who::Local, "/hook/remove", json!({"name": "one"})).await;
        let report = json!({
            "run": "1", "script": "a.sh", "idempotency_key": "0123456789abcdef", "report": 1, "state": "running",
            "project": "shop", "environment": "staging",
        });
        self.once(Who::Local, "/script/report", report).await;
        self.once(Who::Local, "/audit/accept", json!({"reason": "looked at it"})).await;
    }

    /// What is last: a deployment that cannot be read, and the server closed.
    async fn end(&mut self) {
        self.mark("sick");
        let id = self.start().await;
        self.asks(id, true);
        self.server.ok(&["stop"]);
        SqliteStore::open(&self.server.data()).await.expect("opened").damage(DeploymentId(id)).await;
        self.server.serve();
        let abandon = json!({"id": id, "reason": "broken", "confirm": "staging"});
        self.once(Who::Local, "/deployment/abandon", abandon).await;
        self.once(Who::Local, "/lockdown/begin", json!({"reason": "a token leaked"})).await;
        self.once(Who::Local, "/lockdown/end", json!({})).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_every_endpoint_that_changes_something_writes_one_line() {
    let server = Lockstep::start();
    let source = manifest(&server);
    let mut story = Story { server, called: BTreeSet::new() };
    story.once(Who::Local, "/manifest/apply", json!({"file": "lockstep.yaml", "source": source})).await;
    story.steer().await;
    story.decide().await;
    story.administer().await;
    story.end().await;
    let all: BTreeSet<_> =
        ENDPOINTS.iter().filter(|one| one.mutates).map(|one| one.path.to_owned()).collect();
    let missing: Vec<_> = all.difference(&story.called).collect();
    assert!(missing.is_empty(), "these change something, and nobody looked what they write: {missing:?}");
    let exported = story.server.ok(&["audit", "export"]);
    assert!(!exported.contains("a value of a secret"), "no secret is in it");
    story.server.ok(&["audit", "verify"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_what_was_before_and_after_is_told_of_what_is_administered() {
    let server = Lockstep::start();
    let source = manifest(&server);
    let file = server.write("lockstep.yaml", &source);
    server.ok(&["apply", &file]);
    let file = server.write("lockstep.yaml", &source.replace("version: \"1\"", "version: \"2\""));
    server.ok(&["apply", &file]);
    let anna = server.sign_in("anna", Role::Deployer).await;
    let (_, asked) = server.call_as(&anna, "/deployment/start", r#"{"environment":"gated"}"#).await;
    server.ok(&["approve", &asked["id"].to_string(), "--reason", "before: nothing; after: all"]);
    let lock = ["lock", "take", "--for", "1h", "--reason", "quiet", "--json"];
    let lock: Value = serde_json::from_str(&server.ok(&lock)).expect("JSON");
    server.ok(&["lock", "end", &lock["id"].to_string(), "--reason", "over"]);
    let made = server.ok(&["token", "add", "one", "--role", "viewer", "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    server.ok(&["token", "revoke", made["token"]["id"].as_str().expect("an id")]);
    server.ok(&["session", "end-all", "anna"]);
    server.ok(&["lockdown", "--reason", "a token leaked"]);
    server.ok(&["unlock"]);
    let all = lines(&server).await;
    let said = |action: &str| {
        let line =
            all.iter().find(|line| line["action"] == action).unwrap_or_else(|| panic!("{action}: {all:?}"));
        line["reason"].as_str().unwrap_or_default().to_owned()
    };
    let applied = said("/manifest/apply");
    assert!(
        applied.starts_with("before: digest sha256:") && applied.contains("; after: digest sha256:"),
        "{applied}"
    );
    let approved = said("/deployment/approve");
    assert!(
        approved.starts_with(r#"before: {"approved_by":[]}; after: {"approved_by":["admin"],"#),
        "{approved}"
    );
    assert!(approved.contains(r#""reason":"before: nothing; after: all""#), "{approved}");
    // Beside the deployment stands what was typed.
    let body = json!({"id": asked["id"]}).to_string();
    let (_, page) = server.call("/deployment/audit", Some(&server.token()), &body).await;
    assert_eq!(page["entries"][0]["reason"], "before: nothing; after: all", "{page}");
    let added = said("/restriction/add");
    assert!(added.starts_with("after: {") && added.contains(r#""reason":"quiet""#), "{added}");
    let ended = said("/restriction/end");
    assert!(ended.starts_with("before: {") && ended.contains(r#""ended":"over""#), "{ended}");
    let revoked = said("/token/revoke");
    assert!(revoked.contains(r#""revoked":false"#) && revoked.contains(r#""revoked":true"#), "{revoked}");
    assert_eq!(said("/session/end_all"), "before: sessions 1; after: sessions 0");
    let closed = said("/lockdown/begin");
    assert!(closed.starts_with("before: not set; after: {") && closed.contains("a token leaked"), "{closed}");
    assert!(said("/lockdown/end").starts_with("before: {"), "{}", said("/lockdown/end"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_denial_of_somebody_who_is_known_is_one_line() {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &manifest(&server));
    server.ok(&["apply", &file]);
    let on = ["--project", "shop", "--env", "staging"];
    let cookie = server.sign_in_on("vera", Role::Viewer, &on).await;
    let token = make_token(&server, Role::Viewer);
    let denied = async |before: i64, path: &str| -> usize {
        let new = since(&server, before).await;
        new.iter().filter(|line| line["action"] == path && line["allowed"] == false).count()
    };
    for endpoint in ENDPOINTS {
        let body = serde_json::from_str(harmless(endpoint.path)).expect("JSON");
        for who in [Who::Cookie(&cookie), Who::Token(&token)] {
            let before = last(&server).await;
            let (status, answer) = ask(&server, &who, endpoint.path, &body).await;
            let expected = usize::from(status == 403);
            assert_eq!(denied(before, endpoint.path).await, expected, "{}: {status} {answer}", endpoint.path);
            let is_for_people = STEP_UP.contains(&endpoint.path) && matches!(who, Who::Token(_));
            assert!(!is_for_people || status == 403, "{}: {status} {answer}", endpoint.path);
        }
    }
    let mut refused = BTreeSet::new();
    for route in server::http::PLAIN_ROUTES.iter() {
        let path = route.path.replace("{id}", "1").replace("{name}", "web").replace("{part}", "users");
        let path = path.replace("{code}", "none").replace("{build}", "none").replace("{file}", "none.js");
        if path == "/session/sign_out" {
            continue;
        }
        let method: reqwest::Method = route.method.parse().expect("a method");
        for (name, value) in [("cookie", cookie.clone()), ("authorization", format!("Bearer {token}"))] {
            let before = last(&server).await;
            let request = server.http.request(method.clone(), format!("{}{path}", server.url()));
            let request = request.header(name, value).header("origin", server.url());
            let answer = request.send().await.expect("an answer");
            let status = answer.status().as_u16();
            let expected = usize::from(status == 403);
            assert_eq!(denied(before, &path).await, expected, "{} {path} by {name}: {status}", route.method);
            if status == 403 {
                refused.insert(path.clone());
            }
        }
    }
    for path in [
        "/audit.csv",
        "/audit.json",
        "/people.csv",
        "/people.json",
        "/metrics",
        "/health/detailed",
        "/device",
        "/session/device",
        "/audit",
    ] {
        assert!(refused.contains(path), "{path} refused nobody: {refused:?}");
    }
}
