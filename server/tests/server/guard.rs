//! What happens when a process ends again and again after its release has succeeded: taken back while
//! the release is young, asked about later, and always said.

use crate::support::Lockstep;
use lockstep_model::{deployment::Phase, view::DeploymentSummary};

/// `api` runs until a file with the name of its version appears, and then ends at every start; `web`
/// is released with it.
fn manifest(server: &Lockstep, guard: &str) -> String {
    let folder = server.folder.path().display();
    let program = format!("while test ! -e {folder}/broken-${{VERSION}}; do sleep 0.05; done; exit 3");
    format!(
        "version: 1\nproject: shop\ndefault_environment: staging\nenvironments: {{staging: {{}}}}\nwatch: 0s\n\
rollback: {{guard: {guard}}}\nservices:\n  api:\n    target:\n      type: process\n      command: [\"sh\", \"-c\", \"{program}\"]\n\
\x20     restart: {{max: 1, window: 1m, backoff: 10ms}}\n      keep_old: 0s\n  web:\n    depends_on: [api]\n\
\x20   target: {{type: command, deploy: [\"true\"], undo: [\"true\"]}}\n"
    )
}

fn released(guard: &str) -> Lockstep {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &manifest(&server, guard));
    let set = |version: &str| [format!("api={version}"), format!("web={version}")];
    for (version, more) in [("1", vec!["-f", file.as_str()]), ("2", Vec::new())] {
        let [api, web] = set(version);
        let mut arguments = vec!["deploy", "--set", &api, "--set", &web, "--wait"];
        arguments.extend(more);
        server.ok(&arguments);
    }
    server
}

fn history(server: &Lockstep) -> Vec<DeploymentSummary> {
    let page: lockstep_model::api::DeploymentPage =
        serde_json::from_str(&server.ok(&["history", "--json"])).expect("JSON");
    page.deployments
}

#[tokio::test(flavor = "multi_thread")]
async fn a_young_release_comes_back_when_its_process_used_its_restarts_up() {
    let server = released("10m");
    server.write("broken-2", "");
    server.wait("the release was taken back", |server| {
        history(server).first().is_some_and(|row| row.restore_of.is_some() && row.phase == Phase::Succeeded)
    });
    let all = [("api".to_owned(), "1".to_owned()), ("web".to_owned(), "1".to_owned())];
    assert_eq!(server.serves(), all, "its sibling came back, too");
    let detail = server.detail(3);
    let reason = detail.summary.reason.expect("a reason");
    assert!(reason.contains("api 2 ended by itself") && reason.contains("restart budget of 1"), "{reason}");
    let held = server.ok(&["hold", "list"]);
    assert!(held.contains("api 2") && !held.contains("web"), "{held}");
    // Acted on once, whatever is seen afterwards.
    server.ok(&["deploy", "--set", "web=3", "--wait"]);
    assert_eq!(history(&server).len(), 4);
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_release_stays_until_somebody_has_decided() {
    let server = released("0s");
    server.write("broken-2", "");
    server.wait("somebody is asked", |server| {
        history(server).first().is_some_and(|row| row.phase == Phase::NeedsOperator)
    });
    let said = server.ok(&["status", "3"]);
    assert!(said.contains("restart budget") && said.contains("resume"), "{said}");
    assert_eq!(server.serves()[1].1, "2", "nothing went back by itself");
    // It keeps the environment closed until then, and says so.
    server.fails(2, &["deploy", "--set", "web=3"]);
    server.ok(&["cancel", "3", "--wait"]);
    assert_eq!(server.phase(3), Phase::Cancelled);
    assert_eq!(server.serves()[1].1, "2");
    server.ok(&["deploy", "--set", "api=3", "--set", "web=3", "--wait"]);
    assert_eq!(history(&server).len(), 4, "it is asked once");
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_has_it_taken_back_with_one_word() {
    let server = released("0s");
    server.write("broken-2", "");
    server.wait("somebody is asked", |server| {
        history(server).first().is_some_and(|row| row.phase == Phase::NeedsOperator)
    });
    server.ok(&["resume", "3", "--wait"]);
    let all = [("api".to_owned(), "1".to_owned()), ("web".to_owned(), "1".to_owned())];
    assert_eq!(server.serves(), all);
    server.keeps_every_promise();
}
