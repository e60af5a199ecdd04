//! One service of a release at a time, what is believed of a command, and how a way back is shown.

use crate::support::Lockstep;
use lockstep_model::{api::AuditPage, deployment::Phase, view::RollbackTrigger};

/// `backend` and `frontend`, which needs it; each is deployed by writing its version into a file, and is
/// well while its file `sick-…` is not there, or its version is 1. With `bad-exit` the backend's command deploys and then fails.
fn manifest(server: &Lockstep, auto: bool) -> String {
    let dir = server.folder.path().display();
    let service = |name: &str, needs: &str, more: &str| {
        format!(
            "  {name}:\n{needs}    version: \"1\"\n    verify: [{{name: well, command: [sh, -c, \"cd {dir}; ! test -e sick-{name} || grep -q 1 {name}\"]}}]\n\
             \x20   target:\n      type: command\n      deploy: [sh, -c, \"echo ${{VERSION}} > {name}{more}\"]\n\
             \x20     observe: [sh, -c, \"cat {name} 2>/dev/null || true\"]\n      undo: [sh, -c, \"echo $LOCKSTEP_CHECKPOINT_VERSION > {name}\"]\n      workdir: \"{dir}\"\n"
        )
    };
    format!(
        "version: 1\nproject: shop\ndefault_environment: staging\nenvironments: {{staging: {{}}}}\nwatch: 0s\nrollback: {{auto: {auto}}}\nservices:\n{}{}",
        service("backend", "", "; test ! -e bad-exit"),
        service("frontend", "    depends_on: [backend]\n", ""),
    )
}

fn started(auto: bool) -> Lockstep {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &manifest(&server, auto));
    server.ok(&["deploy", "-f", &file, "--wait"]);
    server
}

const SECOND: [&str; 6] = ["deploy", "--set", "backend=2", "--set", "frontend=2", "--wait"];

fn there(server: &Lockstep, service: &str) -> String {
    std::fs::read_to_string(server.folder.path().join(service)).expect("deployed").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_service_of_a_release_that_has_ended_goes_back_with_its_consequences_said_before() {
    let server = started(true);
    server.ok(&SECOND);
    let said = server.ok(&["rollback", "2", "--service", "backend", "--plan"]);
    assert!(said.contains("frontend needs backend, stays at 2 and will meet 1"), "{said}");
    assert_eq!(there(&server, "backend"), "2", "nothing was changed");
    let said = server.fails(2, &["rollback", "2", "--service", "bakend"]);
    assert!(said.contains("did you mean 'backend'") && said.contains("frontend"), "{said}");
    server.ok(&["rollback", "2", "--service", "backend", "--reason", "it leaks", "--wait"]);
    assert_eq!((there(&server, "backend"), there(&server, "frontend")), ("1".to_owned(), "2".to_owned()));
    let serves = server.serves();
    assert!(serves.contains(&("backend".to_owned(), "1".to_owned())), "{serves:?}");
    assert!(serves.contains(&("frontend".to_owned(), "2".to_owned())), "{serves:?}");

    let (_, audit) = server.call("/deployment/audit", Some(&server.token()), r#"{"id":3}"#).await;
    let audit: AuditPage = serde_json::from_value(audit).expect("entries");
    let asked = audit.entries.last().expect("who asked");
    assert_eq!((asked.action.as_str(), asked.reason.as_deref()), ("/deployment/rollback", Some("it leaks")));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_release_asks_one_service_is_tried_again_or_kept_as_it_is() {
    let server = started(false);
    server.write("sick-frontend", "");
    server.fails(3, &SECOND);
    let said = server.fails(2, &["rollback", "2", "--plan"]);
    assert!(said.contains("needs an operator"), "{said}");
    let said = server.fails(2, &["retry", "2", "--service", "fronted"]);
    assert!(said.contains("did you mean 'frontend'"), "{said}");
    let said = server.fails(2, &["retry", "2", "--service", "backend"]);
    assert!(said.contains("none of its steps failed"), "{said}");
    assert_eq!(server.run(&["retry", "2", "--service", "frontend", "--wait"]).status.code(), Some(3));
    let said = server.fails(2, &["keep", "2", "frontend", "--reason", " "]);
    assert!(said.contains("say why"), "{said}");
    server.ok(&["keep", "2", "frontend", "--reason", "the check is wrong"]);
    server.ok(&["watch", "2"]);
    assert_eq!((server.phase(2), there(&server, "frontend").as_str()), (Phase::Succeeded, "2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_service_of_a_live_release_goes_back_and_the_others_stay() {
    let server = started(false);
    server.write("sick-frontend", "");
    let said = server.fails(3, &SECOND);
    assert!(said.contains("lockstep rollback 2 --service frontend"), "it is told as an answer: {said}");
    let said = server.ok(&["rollback", "2", "--service", "frontend", "--dry-run"]);
    assert!(said.contains("frontend: 2 → 1") && said.contains("with backend"), "{said}");
    assert!(said.contains("held afterwards") && said.contains("operator, deployer, admin"), "{said}");
    assert_eq!((server.phase(2), there(&server, "frontend").as_str()), (Phase::NeedsOperator, "2"));
    server.ok(&["rollback", "2", "--service", "frontend", "--reason", "it is slow", "--wait"]);
    let said = server.fails(1, &["watch", "2"]);
    assert!(said.contains("partly taken back: without frontend"), "{said}");
    assert_eq!((there(&server, "backend"), there(&server, "frontend")), ("2".to_owned(), "1".to_owned()));
    let serves = server.serves();
    assert!(serves.contains(&("backend".to_owned(), "2".to_owned())), "{serves:?}");
    assert!(serves.contains(&("frontend".to_owned(), "1".to_owned())), "{serves:?}");
    let said = server.ok(&["status", "2"]);
    assert!(said.contains("succeeded, partly taken back"), "{said}");
    let said = server.fails(2, &["deploy", "--set", "frontend=2"]);
    assert!(said.contains("held"), "only what failed is held: {said}");
    let (_, audit) = server.call("/deployment/audit", Some(&server.token()), r#"{"id":2}"#).await;
    let audit: AuditPage = serde_json::from_value(audit).expect("entries");
    let reasons: Vec<&str> = audit.entries.iter().filter_map(|entry| entry.reason.as_deref()).collect();
    assert!(reasons.contains(&"frontend: it is slow"), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_command_would_do_is_said_before_it_is_done() {
    let server = started(false);
    server.write("sick-frontend", "");
    server.fails(3, &SECOND);
    for (command, part) in [
        (vec!["cancel", "2", "--dry-run"], "backend: 2 → 1, after frontend"),
        (vec!["rollback", "2", "--dry-run"], "frontend: 2 → 1"),
        (vec!["rollback", "2", "--service", "backend", "--dry-run"], "backend: 2 → 1, after frontend"),
        (vec!["retry", "2", "frontend.verify", "--dry-run"], "as attempt 2"),
        (vec!["retry", "2", "--service", "frontend", "--dry-run"], "as attempt 2"),
        (vec!["skip", "2", "frontend.verify", "--dry-run"], "counts as passed"),
        (vec!["keep", "2", "frontend", "--dry-run"], "counts as passed"),
        (vec!["resolve", "2", "--outcome", "failed", "--dry-run"], "ends as failed"),
    ] {
        let said = server.ok(&command);
        assert!(said.contains(part) && said.contains("Nothing was changed"), "{command:?}: {said}");
    }
    let said = server.fails(2, &["pause", "2", "--dry-run"]);
    assert!(said.contains("needs an operator"), "refused as the command itself: {said}");
    assert_eq!((server.phase(2), there(&server, "frontend").as_str()), (Phase::NeedsOperator, "2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_is_shown_with_what_began_it_and_what_was_seen() {
    let server = started(true);
    server.write("sick-frontend", "");
    server.fails(1, &SECOND);
    let detail = server.detail(2);
    let back = detail.rollback.expect("it went back");
    let RollbackTrigger::Rule { step: Some(step) } = &back.trigger else { panic!("{back:?}") };
    assert_eq!(step.as_str(), "frontend.verify");
    assert_eq!(back.max_duration_ms, Some(120_000));
    let order: Vec<&str> = back.services.iter().map(|one| one.service.as_str()).collect();
    assert_eq!(order, ["frontend", "backend"], "dependants first");
    assert_eq!(back.services[1].after[0].as_str(), "frontend");
    let versions = (back.services[0].from.as_ref(), back.services[0].to.as_ref());
    assert_eq!((versions.0.map(|v| v.as_str()), versions.1.map(|v| v.as_str())), (Some("2"), Some("1")));
    let started = detail.summary.clocks.started_at.expect("it has begun");
    for checkpoint in &detail.checkpoints {
        assert!(checkpoint.at > started && checkpoint.back_at > Some(checkpoint.at), "{checkpoint:?}");
    }
    let said = server.ok(&["status", "2"]);
    assert!(said.contains("goes back because frontend.verify failed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_deployed_and_then_failed_is_told_as_both_and_goes_back() {
    let server = started(true);
    server.write("bad-exit", "");
    let said = server.fails(1, &SECOND);
    assert!(said.contains("all the same 2 serves"), "{said}");
    assert_eq!((server.phase(2), there(&server, "backend").as_str()), (Phase::RolledBack, "1"));
    let back = server.detail(2).rollback.expect("it went back");
    assert_eq!(back.stays[0].service.as_str(), "frontend");
    assert!(back.stays[0].why.contains("had not begun"), "{back:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_should_not_serve_is_not_shown_as_healthy() {
    let mut server = started(true);
    server.wait("it is healthy", |server| server.ok(&["status"]).contains("healthy"));
    server.write("backend", "7\n");
    // A server that starts looks at everything at once.
    server.kill_server();
    server.serve();
    server.wait("the drift is seen", |server| server.ok(&["status"]).contains("7 serves, and 1 should"));
}
