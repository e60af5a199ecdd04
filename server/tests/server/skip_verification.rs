//! Deploying without verification: a right of its own, given by the manifest of an environment, and
//! recorded. Without a word there nobody has it.

use crate::support::{Lockstep, make_token};
use lockstep_model::{access::Role, deployment::Phase};
use serde_json::{Value, json};

/// A service whose check never passes.
fn manifest(environment: &str) -> String {
    format!(
        "version: 1\nproject: shop\ndefault_environment: staging\nenvironments:\n  staging: {environment}\n\
         watch: 0s\nservices:\n  web:\n    version: \"1\"\n    verify: [{{name: never, command: [sh, -c, \"false\"]}}]\n    \
         target:\n      type: command\n      deploy: [sh, -c, \"true\"]\n      undo: [sh, -c, \"true\"]\n"
    )
}

fn apply(server: &Lockstep, environment: &str) {
    server.ok(&["apply", &server.write("lockstep.yaml", &manifest(environment))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_whom_the_environment_trusts_skips_verification_and_the_audit_says_so() {
    let server = Lockstep::start();
    apply(&server, "{}");
    let said = server.fails(2, &["deploy", "--skip-verification"]);
    assert!(said.contains("nobody may skip verification in staging"), "an admin neither: {said}");
    apply(&server, "{skip_verification: {names: [anna]}}");
    let said = server.fails(2, &["deploy", "--skip-verification"]);
    assert!(said.contains("admin is admin on shop/staging") && said.contains("this is for anna"), "{said}");
    let bert = server.sign_in("bert", Role::Deployer).await;
    let anna = server.sign_in("anna", Role::Deployer).await;
    let body = json!({"skip_verification": true, "reason": "the checker is down"}).to_string();
    assert_eq!(server.call_as(&bert, "/deployment/start", &body).await.0, 403);
    let token = make_token(&server, Role::Deployer);
    assert_eq!(server.call("/deployment/start", Some(&token), &body).await.0, 403, "whose it is, is not");
    let (status, made) = server.call_as(&anna, "/deployment/start", &body).await;
    assert_eq!(status, 200, "{made}");
    server.wait("it has ended", |server| server.phase(1).is_final());
    let detail = server.detail(1);
    assert_eq!(detail.summary.phase, Phase::Succeeded);
    assert!(detail.warnings.iter().any(|one| one.message.contains("verification is left out")));
    assert!(detail.steps.iter().all(|step| step.kind.word() != "verify"));

    let audit = server.ok(&["audit", "list", "--action", "/deployment/start", "--json"]);
    let audit: Value = serde_json::from_str(&audit).expect("JSON");
    let entries = audit["entries"].as_array().expect("a list");
    let of = |user: &str, allowed: bool| {
        let is_it = |one: &&Value| one["user"] == user && one["allowed"] == allowed;
        entries.iter().filter(is_it).count()
    };
    assert_eq!((of("anna", true), of("bert", false), of("anna", false)), (1, 1, 0), "{audit}");
    assert!(audit.to_string().contains("without verification: the checker is down"), "{audit}");

    // With verification it is as strict as ever, on the way back, too.
    let said = server.fails(3, &["deploy", "--wait"]);
    assert!(said.contains("failed at verify: check 'never' failed"), "{said}");
    server.keeps_every_promise();
}
