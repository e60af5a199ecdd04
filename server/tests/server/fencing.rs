//! Never twice: what was cancelled is really ended before anything goes back, whoever was killed in
//! between; and nobody else comes in while a server lives, even one that is stopped.

use crate::support::{Lockstep, text};
use lockstep_model::deployment::Phase;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Version 1 deploys at once; any other never ends, hears no SIGTERM, and has a child in a session of
/// its own that is as deaf.
const DEPLOY: &str = r#"
test "$1" = 1 && exit 0
trap '' TERM
setsid sh -c 'trap "" TERM; echo $$ > child.new; mv child.new child.pid; while :; do sleep 0.05; done' &
echo $$ > deploy.new; mv deploy.new deploy.pid
while :; do sleep 0.05; done
"#;

/// Says when something of the deploy command still runs.
const UNDO: &str = r#"
for one in deploy child; do kill -0 "$(cat $one.pid)" 2>/dev/null && echo "beside $one" >> undone; done
echo undone >> undone
"#;

fn deaf(server: &Lockstep, timeout: &str) {
    server.write("deploy.sh", DEPLOY);
    server.write("undo.sh", UNDO);
    let dir = server.folder.path().display();
    let manifest = format!(
        r#"version: 1
project: shop
environments: {{staging: {{}}}}
default_environment: staging
watch: 0s
services:
  app:
    version: "1"
    target:
      type: command
      deploy: ["sh", "deploy.sh", "${{VERSION}}"]
      undo: ["sh", "undo.sh"]
      workdir: "{dir}"
      timeout: {timeout}
"#
    );
    let file = server.write("lockstep.yaml", &manifest);
    server.ok(&["deploy", "-f", &file, "--wait"]);
}

fn pid(server: &Lockstep, name: &str) -> Option<i32> {
    let text = std::fs::read_to_string(server.folder.path().join(name)).ok()?;
    text.trim().parse().ok()
}

/// The undo ran once, and nothing of the deploy command ran beside it or runs now.
fn ended_before_it_was_undone(server: &Lockstep) {
    let undone = std::fs::read_to_string(server.folder.path().join("undone")).expect("undone");
    assert_eq!(undone, "undone\n");
    for name in ["deploy.pid", "child.pid"] {
        let pid = pid(server, name).expect("it ran");
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{name}: {pid} runs");
    }
}

/// Cancels a deployment whose command is deaf, and does something to the server or its agent at that
/// moment.
fn cancelled_while(happens: impl Fn(&mut Lockstep)) {
    let mut server = Lockstep::start();
    deaf(&server, "5m");
    server.ok(&["deploy", "--set", "app=2"]);
    server.wait("the deploy command runs", |server| {
        pid(server, "deploy.pid").is_some() && pid(server, "child.pid").is_some()
    });
    server.ok(&["cancel", "2"]);
    happens(&mut server);
    server.wait("it is cancelled", |server| server.phase(2).is_final());
    assert_eq!(server.phase(2), Phase::Cancelled);
    ended_before_it_was_undone(&server);
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_command_is_ended_with_its_whole_tree_before_it_is_undone() {
    cancelled_while(|_| {});
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_is_carried_out_by_the_server_after_the_one_that_took_it() {
    cancelled_while(|server| {
        server.kill_server();
        server.serve();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_is_carried_out_by_an_agent_that_did_not_begin_the_command() {
    cancelled_while(|server| {
        server.kill_server();
        assert!(server.kill_agent(), "an agent runs");
        server.serve();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_over_its_limit_is_ended_on_time_with_its_whole_tree() {
    let server = Lockstep::start();
    deaf(&server, "1s");
    let began = Instant::now();
    server.fails(1, &["deploy", "--set", "app=2", "--wait"]);
    let why = server.detail(2).summary.failure.expect("it failed").reason;
    assert!(why.contains("ended after the limit"), "{why}");
    // The limit, and room for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(server.phase(2), Phase::RolledBack);
    ended_before_it_was_undone(&server);
    server.keeps_every_promise();
}

/// A second server on a data folder; returns what it said when it was refused.
fn second(server: &Lockstep, data: &Path) -> String {
    let data = data.to_str().expect("UTF-8");
    let refused = server.run(&["serve", "--addr", "127.0.0.1:0", "--data-dir", data]);
    let said = text(&refused);
    assert!(!refused.status.success(), "{said}");
    said
}

/// `LOCKSTEP_TRIALS` says how often; 10 without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_is_refused_while_the_first_one_is_stopped_and_nothing_happens_twice() {
    const LEASE: Duration = Duration::from_millis(1_000);
    let trials = std::env::var("LOCKSTEP_TRIALS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let server = Lockstep::start_with(&["--lease-ms", &LEASE.as_millis().to_string()]);
    let dir = server.folder.path().display();
    let manifest = format!(
        r#"version: 1
project: shop
environments: {{staging: {{}}}}
default_environment: staging
watch: 0s
services:
  app:
    version: "1"
    target:
      type: command
      deploy: ["sh", "-c", "echo ${{VERSION}} >> effects; sleep 0.2"]
      undo: ["true"]
      workdir: "{dir}"
"#
    );
    let file = server.write("lockstep.yaml", &manifest);
    server.ok(&["deploy", "-f", &file, "--wait"]);
    let effects = || std::fs::read_to_string(server.folder.path().join("effects")).unwrap_or_default();
    // Another folder whose database is the same file.
    let beside = server.folder.path().join("beside");
    std::fs::create_dir(&beside).expect("made");
    std::os::unix::fs::symlink(server.data().join("lockstep.db"), beside.join("lockstep.db")).expect("made");
    let first = server.local().expect("running")["pid"].as_i64().expect("a number");
    let signal = |signal: Signal| {
        kill(Pid::from_raw(i32::try_from(first).expect("small")), signal).expect("it lives");
    };
    for trial in 2..trials + 2 {
        // So short a lease is lost for a moment when the machine is busy, and then nothing is begun.
        let app = format!("app={trial}");
        server.wait("a release is begun", |server| server.run(&["deploy", "--set", &app]).status.success());
        // Stopped at one point after the other of a deployment.
        std::thread::sleep(Duration::from_millis(u64::try_from(trial * 37 % 300).expect("small")));
        signal(Signal::SIGSTOP);
        let stopped = Instant::now();
        for data in [&server.data(), &beside] {
            let said = second(&server, data);
            assert!(said.contains(&format!("(process {first})")) && said.contains("lockstep stop"), "{said}");
        }
        std::thread::sleep((LEASE * 3).saturating_sub(stopped.elapsed()));
        signal(Signal::SIGCONT);
        server.wait("it goes on", |server| server.phase(trial).is_final());
        assert_eq!(server.phase(trial), Phase::Succeeded, "{trial}");
        let expected: String = (1..=trial).map(|version| format!("{version}\n")).collect();
        assert_eq!(effects(), expected);
    }
    println!("{trials} times stopped for three lease times and continued, nothing done twice");
    server.keeps_every_promise();
}
