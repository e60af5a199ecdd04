//! What has soaked in staging may go to production; what has not is refused, with what is left.

use crate::support::Lockstep;
use lockstep_model::{api::AuditPage, deployment::Phase};

/// Two services, deployed by writing their version into a file of their environment.
fn manifest(server: &Lockstep, soak: &str) -> String {
    let dir = server.folder.path().display();
    let service = |name: &str, needs: &str| {
        format!(
            "  {name}:\n{needs}    version: \"1\"\n    target:\n      type: command\n      deploy: [sh, -c, \"echo ${{VERSION}} > $WHERE-{name}\"]\n\
             \x20     observe: [sh, -c, \"cat $WHERE-{name} 2>/dev/null || true\"]\n      env: {{WHERE: staging}}\n      workdir: \"{dir}\"\n\
             \x20   environments: {{production: {{target: {{env: {{WHERE: production}}}}}}}}\n"
        )
    };
    format!(
        "version: 1\nproject: shop\ndefault_environment: staging\nenvironments:\n  staging: {{}}\n\
         \x20 production: {{rollback: {{required: false}}, promotion: {{from: staging, soak: {soak}}}}}\nwatch: 0s\nservices:\n{}{}",
        service("backend", ""),
        service("frontend", "    depends_on: [backend]\n"),
    )
}

fn started(soak: &str) -> Lockstep {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &manifest(&server, soak));
    let source = ["--commit", "abc123", "--label", "ticket=OPS-1"];
    server.ok(&[&["deploy", "-f", &file, "--wait"][..], &source[..]].concat());
    server
}

fn in_production(server: &Lockstep, service: &str) -> Option<String> {
    let text = std::fs::read_to_string(server.folder.path().join(format!("production-{service}"))).ok()?;
    Some(text.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_soaked_is_refused_with_what_is_left() {
    let server = started("1h");
    server.wait("the services were looked at", |server| {
        !server.ok(&["promote", "--plan"]).contains("not looked")
    });
    let said = server.ok(&["promote", "--plan", "--to", "production"]);
    assert!(said.contains("from staging to production") && said.contains("not deployed"), "{said}");
    assert!(!said.contains("may go"), "{said}");
    let said = server.fails(2, &["promote", "--from", "staging", "--to", "production", "--wait"]);
    for part in ["backend: 1 has served in staging for", "frontend: 1 has served", "are left"] {
        assert!(said.contains(part), "{part} in: {said}");
    }
    assert_eq!(in_production(&server, "backend"), None, "nothing was changed");
    let view: serde_json::Value =
        serde_json::from_str(&server.ok(&["promote", "--plan", "--json"])).expect("JSON");
    assert!(view["services"][0]["left_ms"].as_u64().expect("a number") > 3_000_000, "{view}");

    let said = server.fails(2, &["promote", "--to", "prodction"]);
    assert!(said.contains("did you mean 'production'"), "{said}");
    let said = server.fails(2, &["promote", "--to", "staging"]);
    assert!(said.contains("environments.staging.promotion"), "{said}");
    let said = server.fails(2, &["promote", "--from", "production", "--to", "production"]);
    assert!(said.contains("from staging and not from production"), "{said}");
    let said = server.fails(2, &["promote", "--service", "bakend"]);
    assert!(said.contains("did you mean 'backend'"), "{said}");
    // Deploying by hand is a matter of roles, and stays possible.
    server.ok(&["deploy", "backend", "--env", "production", "--wait"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_soaked_goes_on_with_its_commit_and_labels() {
    let server = started("0s");
    server.wait("the services were looked at", |server| {
        !server.ok(&["promote", "--plan"]).contains("not looked")
    });
    let one = ["promote", "--service", "backend", "--reason", "soaked", "--idempotency-key", "k", "--wait"];
    server.ok(&one);
    assert_eq!(in_production(&server, "backend").as_deref(), Some("1"));
    assert_eq!(in_production(&server, "frontend"), None);
    let promoted = server.detail(2).summary;
    assert_eq!((promoted.environment.as_str(), promoted.phase), ("production", Phase::Succeeded));
    assert_eq!(promoted.source.commit.as_deref(), Some("abc123"));
    let label = |name: &str| promoted.source.labels.get(name).map(String::as_str);
    assert_eq!(label("ticket"), Some("OPS-1"));
    assert_eq!((label("promoted_from"), label("promoted_deployment")), (Some("staging"), Some("1")));
    // The same request again is the same deployment, though nothing of it differs any more.
    server.ok(&one);
    assert_eq!(server.run(&["status", "3"]).status.code(), Some(2), "there is no third");
    let said = server.fails(2, &["promote", "--service", "backend"]);
    assert!(said.contains("1 serves in production already"), "{said}");

    let (status, audit) = server.call("/deployment/audit", Some(&server.token()), r#"{"id":2}"#).await;
    let audit: AuditPage = serde_json::from_value(audit).expect("entries");
    assert_eq!(status, 200);
    let first = audit.entries.last().expect("who asked");
    assert_eq!((first.action.as_str(), first.reason.as_deref()), ("/deployment/promote", Some("soaked")));

    server.ok(&["promote", "--wait"]);
    assert_eq!(in_production(&server, "frontend").as_deref(), Some("1"));
    let said = server.fails(2, &["promote"]);
    assert!(said.contains("nothing to promote"), "{said}");
}
