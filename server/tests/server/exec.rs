//! Scripts that know nothing of Lockstep under `lockstep exec`, with a service whose answer tells what
//! they did, and a server that hears of it.

use crate::support::{Lockstep, PATIENCE, make_token, text};
use lockstep_model::{
    access::Role,
    script::{ScriptPage, ScriptRun, ScriptState, ScriptStepState},
};
use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Instant,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lockstep");
const SECRET: &str = "hunter2-hunter2";

/// As the first user's script is: it refuses what it does not know, asks when it is not forced, and its
/// exit code says little.
const SCRIPT: &str = r#"#!/bin/sh
force= dry=
while [ $# -gt 0 ]; do
    case $1 in
        --force) force=1 ;;
        --dry-run) dry=1 ;;
        --project | --region | --port) shift ;;
        *) echo "[ERROR] Unknown option: $1"; exit 1 ;;
    esac
    shift
done
echo begun >> begun
printf '\033[0;34m[INFO]\033[0m Checking secrets...\n'
printf '\033[0;32m[SUCCESS]\033[0m Secrets are there\n'
[ -n "$dry" ] && exit 0
if [ -z "$force" ]; then read -r answer || exit 1; fi
echo "[INFO] Deploying with $API_TOKEN"
[ -n "$WAIT_FOR" ] && while [ ! -e "$WAIT_FOR" ]; do echo "waiting"; sleep 0.05; done
[ -n "$LEAVE" ] && { (trap '' TERM; exec setsid sleep 1000) & echo $! > left; trap '' TERM; wait; }
printf '{"status":"healthy","version":"%s"}' "$TO" > answer.new && mv answer.new answer
[ -n "$CODE" ] && { echo "[ERROR] describe failed" >&2; exit "$CODE"; }
echo "[SUCCESS] Deployed"
"#;

/// A server, a service that is deployed by a script, and a token for CI.
struct Shop {
    server: Lockstep,
    token: String,
    monitor: String,
}

impl Shop {
    fn start() -> Self {
        let server = Lockstep::start();
        let token = make_token(&server, Role::Deployer);
        let dir = server.folder.path().to_owned();
        let script = server.write("deploy.real.sh", SCRIPT);
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("executable");
        symlink(PROGRAM, dir.join("deploy.sh")).expect("a link");
        server.write("answer", r#"{"status":"healthy","version":"1.0.0"}"#);
        Self { server, token, monitor: serve(dir.join("answer")) }
    }

    fn dir(&self) -> &Path {
        self.server.folder.path()
    }

    /// The link, called as the plan says.
    fn deploy(&self, run: &str, more: &[&str]) -> Command {
        let mut command = Command::new(self.dir().join("deploy.sh"));
        command
            .args(["--orchestrated", &format!("--deployment-id={run}"), "--force", "--project", "shop"])
            .arg(format!("--coordination-endpoint={}", self.server.url()))
            .arg(format!("--health-monitor={}", self.monitor))
            .args(more)
            .current_dir(self.dir())
            .envs([("LOCKSTEP_TOKEN", self.token.as_str()), ("API_TOKEN", SECRET), ("TO", "1.1.0")])
            .envs([("LOCKSTEP_EXEC_SETTLE", "1s"), ("LOCKSTEP_EXEC_GRACE", "1s")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn scripts(&self) -> Vec<ScriptRun> {
        let page = self.server.ok(&["script", "list", "--json"]);
        serde_json::from_str::<ScriptPage>(&page).expect("JSON").scripts
    }

    fn begun(&self) -> usize {
        std::fs::read_to_string(self.dir().join("begun")).unwrap_or_default().lines().count()
    }
}

/// Answers every request with what stands in a file.
fn serve(file: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut asked = Vec::new();
            let mut piece = [0; 1024];
            while !asked.ends_with(b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => asked.extend_from_slice(&piece[..count]),
                }
            }
            let body = std::fs::read_to_string(&file).unwrap_or_default();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    format!("http://{address}/health/detailed")
}

#[track_caller]
fn ended(output: &Output, code: i32, last: &str) {
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{}", text(output));
    let line = out.lines().last().unwrap_or_default();
    assert!(line.starts_with("lockstep exec: ") && line.contains(last), "{line}\n{}", text(output));
}

#[test]
fn a_script_called_through_a_link_is_reported_with_its_steps_and_without_its_secrets() {
    let shop = Shop::start();
    let output = shop.deploy("ci-7", &[]).output().expect("ran");
    ended(&output, 0, "succeeded: something new serves: healthy");
    assert!(text(&output).contains("Deploying with ***"), "{}", text(&output));
    let [run] = &shop.scripts()[..] else { panic!("one script: {:?}", shop.scripts()) };
    assert_eq!(
        (run.run.as_str(), run.script.as_str(), run.state),
        ("ci-7", "deploy.sh", ScriptState::Succeeded)
    );
    assert_eq!((run.exit_code, run.is_silent, run.lines_lost), (Some(0), false, 0));
    let steps: Vec<_> = run.steps.iter().map(|step| (step.name.as_str(), step.state)).collect();
    let expected = [
        ("Checking secrets...", ScriptStepState::Succeeded),
        ("Deploying with ***", ScriptStepState::Succeeded),
    ];
    assert_eq!(steps, expected);
    let logs = shop.server.ok(&["script", "logs", "ci-7"]);
    assert_eq!(logs.lines().count(), 4, "{logs}");
    let kept = [logs, shop.server.ok(&["script", "show", "ci-7", "--json"])].concat();
    assert!(!kept.contains(SECRET) && !kept.contains('\u{1b}'), "{kept}");
}

#[test]
fn what_serves_decides_and_not_the_exit_code_of_the_script() {
    let shop = Shop::start();
    let output = shop.deploy("dry", &["--dry-run"]).output().expect("ran");
    ended(&output, 1, "failed: nothing was deployed, whatever the script says");
    let output = shop.deploy("unknown", &["--frobnicate"]).output().expect("ran");
    ended(&output, 1, "failed: what served before serves");
    let mut deploy = shop.deploy("late-failure", &[]);
    let output = deploy.envs([("CODE", "1"), ("LOCKSTEP_EXPECT_VERSION", "1.1.0")]).output().expect("ran");
    ended(&output, 0, "1.1.0 serves, although the script failed");
    let mut deploy = shop.deploy("half", &[]);
    let output = deploy.envs([("CODE", "1"), ("TO", "1.2.0")]).output().expect("ran");
    ended(&output, 3, "needs an operator: something new serves, although the script failed");
    let states: Vec<_> = shop.scripts().iter().map(|run| run.state).rev().collect();
    use ScriptState::{Failed, NeedsOperator, Succeeded};
    assert_eq!(states, [Failed, Failed, Succeeded, NeedsOperator]);
}

#[test]
fn a_server_that_is_away_while_the_script_runs_hears_of_everything_afterwards() {
    let mut shop = Shop::start();
    let mut deploy = shop.deploy("away", &[]);
    let child = deploy.env("WAIT_FOR", "go").spawn().expect("started");
    shop.server.wait("the script is known", |_| shop.begun() == 1);
    shop.server.kill_server();
    let said = said_until(child, "does not answer", || {
        shop.server.write("go", "");
        shop.server.serve();
    });
    assert_eq!(said.status.code(), Some(0), "{}", text(&said));
    let [run] = &shop.scripts()[..] else { panic!("one script") };
    assert_eq!((run.state, run.lines_lost), (ScriptState::Succeeded, 0));
    let logs = shop.server.ok(&["script", "logs", "away"]);
    let printed = String::from_utf8_lossy(&said.stdout).lines().count() - 1;
    assert_eq!(logs.lines().count(), printed, "each line once: {logs}");
    assert!(logs.ends_with("[SUCCESS] Deployed\n"), "{logs}");
}

/// Waits until a program has said something on standard error, does something, and waits for its end.
fn said_until(mut child: Child, what: &str, then: impl FnOnce()) -> Output {
    let mut errors = child.stderr.take().expect("piped");
    let mut said = Vec::new();
    let mut piece = [0; 1024];
    while !String::from_utf8_lossy(&said).contains(what) {
        let count = errors.read(&mut piece).expect("read");
        assert!(count > 0, "it ended before it said '{what}': {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&piece[..count]);
    }
    then();
    let mut output = child.wait_with_output().expect("ended");
    errors.read_to_end(&mut said).expect("read");
    output.stderr = said;
    output
}

#[test]
fn a_script_that_takes_too_long_is_ended_with_all_that_it_started() {
    let shop = Shop::start();
    let mut deploy = shop.deploy("long", &[]);
    let output = deploy.envs([("LEAVE", "1"), ("LOCKSTEP_EXEC_TIMEOUT", "1s")]).output().expect("ran");
    ended(&output, 1, "took too long and was ended with all that it had started");
    let left = std::fs::read_to_string(shop.dir().join("left")).expect("it was started");
    assert!(!Path::new(&format!("/proc/{}", left.trim())).exists(), "{left} is left");
    assert_eq!(shop.scripts()[0].state, ScriptState::Failed);
}

#[test]
fn what_cannot_be_reported_or_seen_is_refused_before_the_script_begins() {
    let shop = Shop::start();
    ended(&shop.deploy("once", &[]).output().expect("ran"), 0, "succeeded");
    let again = shop.deploy("once", &[]).output().expect("ran");
    assert_eq!(again.status.code(), Some(2), "{}", text(&again));
    assert!(text(&again).contains("by another wrapper"), "{}", text(&again));
    let viewer = make_token(&shop.server, Role::Viewer);
    let refused = shop.deploy("viewer", &[]).env("LOCKSTEP_TOKEN", viewer).output().expect("ran");
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    let mut blind = Command::new(PROGRAM);
    let blind = blind.args(["exec", "--", "./deploy.real.sh", "--force"]).current_dir(shop.dir());
    let blind = blind.output().expect("ran");
    assert_eq!(blind.status.code(), Some(2), "{}", text(&blind));
    assert_eq!(shop.begun(), 1, "only the first one began");
    let audit = shop.scripts();
    assert_eq!(audit.len(), 1);
}

#[test]
fn a_wrapper_that_is_told_to_end_ends_the_script_and_says_what_serves() {
    let shop = Shop::start();
    let child = shop.deploy("told", &[]).env("WAIT_FOR", "never").spawn().expect("started");
    shop.server.wait("the script has begun", |_| shop.begun() == 1);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("small"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("told");
    let begin = Instant::now();
    let output = child.wait_with_output().expect("ended");
    assert!(begin.elapsed() < PATIENCE);
    ended(&output, 1, "what served before serves");
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let server = Lockstep::start();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = server.ok(&["completions", shell]);
        assert!(script.contains("undo-retry") && script.contains("promote"), "{shell}");
    }
    let dir = server.folder.path().join("man");
    server.ok(&["man", dir.to_str().expect("UTF-8")]);
    let page = |name: &str| std::fs::read_to_string(dir.join(name)).expect(name);
    assert!(page("lockstep.1").contains("lockstep\\-exec"), "{}", page("lockstep.1"));
    assert!(page("lockstep-exec.1").contains("coordination\\-endpoint"));
    assert!(page("lockstep-token-add.1").contains("role"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_report_counts_once_and_nobody_else_reports_in_its_place() {
    let server = Lockstep::start();
    let token = make_token(&server, Role::Deployer);
    let report = async |number: u64, state: &str, key: &str, line: &str| {
        let body = serde_json::json!({
            "run": "r", "script": "a.sh", "idempotency_key": key, "report": number, "state": state,
            "first_line": number - 1, "lines": [line],
        });
        server.call("/script/report", Some(&token), &body.to_string()).await
    };
    let key = "0123456789abcdef";
    assert_eq!(report(1, "running", key, "one").await.0, 200);
    assert_eq!(report(1, "running", key, "one").await.0, 200, "the same again");
    assert_eq!(report(1, "running", key, "other").await.0, 409, "the same number for another one");
    assert_eq!(report(2, "running", "fedcba9876543210", "x").await.0, 409, "another wrapper");
    assert_eq!(report(3, "succeeded", key, "three").await.0, 200, "what got lost is made up for");
    assert_eq!(
        report(2, "running", key, "two").await.1["state"],
        "succeeded",
        "what comes late changes nothing"
    );
    assert_eq!(report(4, "running", key, "four").await.0, 409, "it has ended");
    let (status, answer) = server.call("/script/report", Some(&token), r#"{"run":"a/b"}"#).await;
    assert_eq!(status, 422, "{answer}");
    let (_, logs) = server.call("/script/logs", Some(&token), r#"{"run":"r"}"#).await;
    let lines: Vec<&str> =
        logs["lines"].as_array().expect("lines").iter().filter_map(|line| line["text"].as_str()).collect();
    assert_eq!(lines, ["one", "three", "two"]);
}
