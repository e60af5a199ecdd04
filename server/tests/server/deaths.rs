//! kill -9 of a real server just before or just after a durable write, at one write after the other:
//! the end is the one of the undisturbed run, and no command runs twice. `LOCKSTEP_POINTS=all` visits
//! every write, before and after.

use crate::support::{LONG_LEASE, Lockstep, PATIENCE};
use lockstep_model::deployment::{Phase, StepState};
use std::{collections::BTreeSet, time::Instant};

/// Between two points that `make test` has time for: odd, so that both sides of a write are among them.
const STRIDE_USUAL: usize = 5;
/// Fewer would be no proof: the moments would not come.
const POINTS_MIN: usize = 3;

/// Three services in a chain, whose commands write a line, durably, before they act.
const ACT: &str = r#"set -eu
cd "$1"
printf '%s %s %s %s\n' "$LOCKSTEP_DEPLOYMENT" "$LOCKSTEP_STEP" "$LOCKSTEP_ATTEMPT" "$LOCKSTEP_IDEMPOTENCY_KEY" >> effects
sync effects
printf '%s' "$3" > "$2.new"
mv "$2.new" "$2"
test "$3" != broken
"#;

fn manifest(server: &Lockstep) -> String {
    let act = server.write("act.sh", ACT);
    let folder = server.folder.path().to_str().expect("UTF-8").to_owned();
    let service = |name: &str, on: &str| {
        format!(
            "  {name}:\n{on}    version: \"1.0.0\"\n    target:\n      type: command\n\
    \x20     deploy: [sh, {act}, {folder}, {name}, \"${{VERSION}}\"]\n\
    \x20     observe: [cat, {folder}/{name}]\n\
    \x20     undo: [sh, -c, 'exec sh {act} {folder} {name} \"$LOCKSTEP_CHECKPOINT_VERSION\"']\n"
        )
    };
    let on = |name: &str| format!("    depends_on: {{{name}: {{condition: healthy}}}}\n");
    for name in ["low", "middle", "top"] {
        server.write(name, "");
    }
    let text = format!(
        "version: 1\nproject: shop\ndefault_environment: staging\nenvironments:\n  staging: {{}}\nwatch: 0s\nservices:\n{}{}{}",
        service("low", ""),
        service("middle", &on("low")),
        service("top", &on("middle")),
    );
    server.write("lockstep.yaml", &text)
}

/// How it ended, without the numbers that differ from run to run.
#[derive(Debug, PartialEq, Eq)]
struct End {
    phase: Phase,
    steps: Vec<(String, StepState)>,
    serves: Vec<(String, String)>,
    /// What the commands left behind.
    outside: [String; 3],
    /// Keys that the commands were given, without the deployment's number.
    keys: BTreeSet<String>,
}

fn end(server: &Lockstep, id: i64, at: &str) -> End {
    let detail = server.detail(id);
    let read = |name: &str| std::fs::read_to_string(server.folder.path().join(name)).expect("readable");
    let effects = read("effects");
    let ours: Vec<&str> = effects.lines().filter(|line| line.starts_with(&format!("{id} "))).collect();
    let once: BTreeSet<&str> = ours.iter().copied().collect();
    // The agent lived: what it was told once, or twice under the same key, it did once.
    assert_eq!(once.len(), ours.len(), "{at}: a command ran twice: {ours:?}");
    let keys = ours.iter().filter_map(|line| line.rsplit_once(&format!(" d{id}/")));
    End {
        phase: detail.summary.phase,
        steps: detail.steps.iter().map(|step| (step.id.to_string(), step.state)).collect(),
        serves: server.serves(),
        outside: ["low", "middle", "top"].map(read),
        keys: keys.map(|(_, key)| key.to_owned()).collect(),
    }
}

/// Asks for a release under a key of its own; no answer when the server dies before it gives one.
async fn ask(server: &Lockstep, key: &str, fails: bool) -> Option<i64> {
    let top = if fails { "broken" } else { "1.1.0" };
    let body = format!(
        r#"{{"services":{{"low":"1.1.0","middle":"1.1.0","top":"{top}"}},"accept_no_rollback":true,"idempotency_key":"{key}"}}"#
    );
    let token = server.token();
    let asked = server.call("/deployment/start", Some(&token), &body);
    tokio::select! {
        (status, answer) = asked => {
            assert_eq!(status, 200, "{answer}");
            answer["id"].as_i64()
        }
        () = died(server) => None,
    }
}

async fn died(server: &Lockstep) {
    let end = Instant::now() + PATIENCE;
    while !server.data().join("died").exists() {
        assert!(Instant::now() < end, "neither an answer nor a death");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn visit(fails: bool) {
    let all = std::env::var("LOCKSTEP_POINTS").is_ok_and(|points| points == "all");
    let mut server = Lockstep::start_with(&LONG_LEASE);
    let file = manifest(&server);
    server.ok(&["deploy", "-f", &file, "--accept-no-rollback", "--wait"]);
    let back = async |server: &Lockstep| {
        if !fails {
            server.ok(&["rollback", "--wait"]);
        }
        server.release_holds();
    };
    let id = ask(&server, "undisturbed", fails).await.expect("an answer");
    server.until(id, i64::MAX).await;
    let undisturbed = end(&server, id, "undisturbed");
    assert_eq!(undisturbed.phase, if fails { Phase::RolledBack } else { Phase::Succeeded });
    back(&server).await;
    let mut points = 0;
    for place in (1..).step_by(if all { 1 } else { STRIDE_USUAL }) {
        let moment = if place % 2 == 0 { "after" } else { "before" };
        let moment = format!("{moment}:{}", place / 2 + place % 2);
        server.kill_server();
        server.serve_with(&[("LOCKSTEP_DIE_AT", &moment)]);
        let asked = ask(&server, &moment, fails).await;
        let is_over = async {
            match asked {
                Some(id) => {
                    server.until(id, i64::MAX).await;
                }
                None => std::future::pending().await,
            }
        };
        let has_died = tokio::select! {
            () = is_over => false,
            () = died(&server) => true,
        };
        if !has_died {
            break;
        }
        server.kill_server();
        std::fs::remove_file(server.data().join("died")).expect("it was there");
        server.serve();
        let id = ask(&server, &moment, fails).await.expect("an answer");
        assert!(asked.is_none_or(|asked| asked == id), "{moment}: the same request made two deployments");
        server.until(id, i64::MAX).await;
        assert_eq!(end(&server, id, &moment), undisturbed, "killed {moment}");
        back(&server).await;
        points += 1;
    }
    server.keeps_every_promise();
    println!("{points} points of a plan that {}", if fails { "is taken back" } else { "succeeds" });
    assert!(points >= POINTS_MIN, "only {points} points");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_at_any_write_of_a_release_that_fails_takes_it_back_and_does_nothing_twice() {
    visit(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_at_any_write_of_a_release_carries_it_on_and_does_nothing_twice() {
    visit(false).await;
}
