//! Whose work a deployment is that a rule asked for (abuse case C7): whoever pushed does not approve it, whoever
//! made the rule may.

use crate::{
    hooks::{self, COMMIT, Sent},
    support::Lockstep,
    trust::{AUDIENCE, exchange, job, stage},
};
use lockstep_model::access::Role;
use serde_json::{Value, json};

fn manifest(environment: &str) -> String {
    let all = "version: 1\nproject: shop\ndefault_environment: staging\nenvironments:\n  staging: {}\n  production: {}\n\
         watch: 0s\nservices:\n  web:\n    version: \"1\"\n    target:\n      type: command\n      \
         deploy: [sh, -c, \"true\"]\n      undo: [sh, -c, \"true\"]\n      observe: [sh, -c, \"echo 1\"]\n    \
         environments: {staging: {}, production: {}}\n";
    all.replace(
        &format!("  {environment}: {{}}\n"),
        &format!("  {environment}: {{approvals: {{count: 2}}}}\n"),
    )
}

async fn approve(server: &Lockstep, cookie: &str, id: i64) -> (u16, Value) {
    let plan = server.detail(id).approval.expect("it waits").plan;
    let body = json!({"id": id, "plan": plan}).to_string();
    server.call_as(cookie, "/deployment/approve", &body).await
}

fn waits(server: &Lockstep, id: i64) -> String {
    server.wait("it says for what it waits", |server| server.detail(id).waits_for.is_some());
    server.detail(id).waits_for.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_who_pushed_and_who_wrote_it_do_not_approve_and_who_made_the_webhook_may() {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &manifest("staging"));
    server.ok(&["apply", &file]);
    hooks::hook(&server, &[]);
    let bert = server.sign_in("bert", Role::Operator).await;
    let mona = server.sign_in("Mona", Role::Operator).await;
    let carla = server.sign_in("carla", Role::Operator).await;
    let said = server.ok(&["user", "change", "bert", "--github", "octo-bert"]);
    assert!(said.contains("octo-bert at GitHub") && !said.contains("ended"), "{said}");
    server.fails(2, &["user", "change", "carla", "--github", "Octo-Bert"]);
    server.fails(2, &["user", "change", "carla", "--github", "@carla"]);
    let mut body = hooks::push(COMMIT);
    body["sender"] = json!({"login": "Octo-Bert"});
    let (status, told) = Sent::right("push", &body).to(&server).await;
    assert_eq!(status, 200, "{told}");
    let said = waits(&server, 1);
    for part in ["bert", "Mona", "but not ", ", whose work it is (webhook shop)"] {
        assert!(said.contains(part), "{said}");
    }
    for cookie in [&bert, &mona] {
        let (status, told) = approve(&server, cookie, 1).await;
        assert_eq!(status, 403, "{told}");
        assert!(told["message"].as_str().is_some_and(|text| text.contains("is the work of")), "{told}");
    }
    // The machine's owner made the webhook.
    server.ok(&["approve", "1"]);
    assert_eq!(approve(&server, &carla, 1).await.0, 200);
    server.wait("it has ended", |server| server.phase(1).is_final());
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn c7_who_began_the_job_does_not_approve_and_an_author_without_an_account_is_told() {
    let (server, issuer) = stage().await;
    let file = server.write("lockstep.yaml", &manifest("production"));
    server.ok(&["apply", &file]);
    let deploy = async || {
        let (status, issued) = exchange(&server, &issuer.key().sign(&job(&issuer.url, AUDIENCE))).await;
        assert_eq!(status, 200, "{issued}");
        let body = json!({"environment": "production", "source": {"author": "Nobody <no@example.com>"}});
        let token = issued["access_token"].as_str().expect("a token");
        let (status, made) = server.call("/deployment/start", Some(token), &body.to_string()).await;
        assert_eq!(status, 200, "{made}");
        made["id"].as_i64().expect("a number")
    };
    let id = deploy().await;
    let said = waits(&server, id);
    assert!(said.contains("trust shop-production names mona, Nobody <no@example.com>"), "{said}");
    assert!(said.contains("nobody is left out") && said.contains("--github LOGIN"), "{said}");
    server.ok(&["cancel", &id.to_string()]);
    let anna = server.sign_in("anna", Role::Operator).await;
    server.ok(&["user", "change", "anna", "--github", "mona"]);
    let id = deploy().await;
    let (status, told) = approve(&server, &anna, id).await;
    assert_eq!(status, 403, "{told}");
    server.ok(&["approve", &id.to_string()]);
    server.keeps_every_promise();
}
