//! Nobody knows how a step ended: the hold of its command is killed while it deploys. What is true is
//! asked of the target, or of an operator, and nothing is done twice without anybody's word.

use crate::support::Lockstep;
use lockstep_model::deployment::{Phase, StepState};

/// A command that deploys, takes a while as such do and, while the file `lose` is there, kills what
/// supervises it.
fn manifest(server: &Lockstep) -> String {
    let dir = server.folder.path().display();
    format!(
        r#"version: 1
project: shop
default_environment: staging
environments: {{staging: {{}}, careful: {{on_unknown: ask}}}}
watch: 0s
services:
  schema:
    version: "1"
    target:
      type: command
      deploy: ["sh", "-c", "echo ${{VERSION}} >> tries; echo ${{VERSION}} > schema; if test -e lose; then sleep 0.5; kill -9 $PPID; fi"]
      observe: ["sh", "-c", "cat schema 2>/dev/null || true"]
      undo: ["sh", "-c", "echo $LOCKSTEP_CHECKPOINT_VERSION > schema"]
      workdir: "{dir}"
    environments: {{careful: {{timeouts: {{service: 5m}}}}}}
"#
    )
}

fn started() -> Lockstep {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &manifest(&server));
    server.ok(&["deploy", "-f", &file, "--wait"]);
    server.write("lose", "");
    server
}

fn lines(server: &Lockstep, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(server.folder.path().join(name)).expect("written");
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_says_it_is_done_is_believed_and_nothing_is_done_twice() {
    let server = started();
    let said = server.ok(&["deploy", "--set", "schema=2", "--wait"]);
    assert!(said.contains("is not known") && said.contains("was done, says its target"), "{said}");
    assert_eq!(lines(&server, "tries"), ["1", "2"]);
    assert!(server.serves().contains(&("schema".to_owned(), "2".to_owned())));
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_asked_what_is_open_and_told_what_each_answer_does() {
    let server = started();
    let said = server.fails(3, &["deploy", "--env", "careful", "--set", "schema=2", "--wait"]);
    let shown = server.ok(&["status", "2"]);
    for text in [&said, &shown] {
        for part in [
            "schema.replace was begun (attempt 1) and nobody knows how it ended",
            "schema 2 may serve",
            "lockstep retry 2 schema.replace  carries the step out again",
            "lockstep rollback 2  takes back all",
            "lockstep resolve 2",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("lockstep skip"), "a change cannot be left out: {text}");
    }
    assert_eq!(lines(&server, "tries"), ["1", "2"], "nothing is done before the answer");
    assert_eq!(server.run(&["watch", "2"]).status.code(), Some(3));
    std::fs::remove_file(server.folder.path().join("lose")).expect("there");
    server.ok(&["retry", "2", "schema.replace", "--wait"]);
    assert_eq!(server.phase(2), Phase::Succeeded);
    let step = server.detail(2).steps.into_iter().find(|step| step.id.as_str() == "schema.replace");
    let tries: Vec<StepState> = step.expect("it has one").tries.iter().map(|one| one.state).collect();
    assert_eq!(tries, [StepState::Unknown, StepState::Succeeded]);
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_change_is_taken_back_when_an_operator_says_so() {
    let server = started();
    server.fails(3, &["deploy", "--env", "careful", "--set", "schema=2", "--wait"]);
    std::fs::remove_file(server.folder.path().join("lose")).expect("there");
    server.ok(&["rollback", "2", "--wait"]);
    assert_eq!(server.phase(2), Phase::RolledBack);
    assert_eq!(lines(&server, "schema"), ["1"]);
    // Nothing is known against the version.
    server.ok(&["deploy", "--env", "careful", "--set", "schema=2", "--wait"]);
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_says_what_for_and_an_older_commit_gives_up_its_place() {
    let server = Lockstep::start();
    let dir = server.folder.path().display().to_string();
    let file = server.write(
        "lockstep.yaml",
        &format!(
            r#"version: 1
project: shop
default_environment: staging
environments: {{staging: {{queue: supersede}}}}
services:
  slow:
    version: "1"
    target:
      type: command
      deploy: ["sh", "-c", "while test -e hang; do sleep 0.05; done"]
      undo: ["true"]
      workdir: "{dir}"
"#
        ),
    );
    server.write("hang", "");
    server.ok(&["deploy", "-f", &file]);
    server.wait("the first runs", |server| server.phase(1) == Phase::Running);
    server.ok(&["deploy", "--set", "slow=3", "--commit-time", "2000"]);
    let said = server.fails(1, &["deploy", "--set", "slow=2", "--commit-time", "1000", "--wait"]);
    assert!(said.contains("gave its place in the queue to deployment 2, which is newer"), "{said}");
    let shown = server.ok(&["status", "2"]);
    assert!(shown.contains("it waits: deployment 1 is live here (running)"), "{shown}");
    std::fs::remove_file(server.folder.path().join("hang")).expect("there");
    server.wait("the newer one ends", |server| server.phase(2) == Phase::Succeeded);
}
