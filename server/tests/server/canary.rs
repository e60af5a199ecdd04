//! A release that gets its traffic in steps, in front of users who never notice.

use crate::support::{Lockstep, free_ports};
use lockstep_model::deployment::{Phase, StepState};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lockstep");
const COOKIE: &str = "shop_release";

/// One service: watched without traffic, at 10 %, and at 50 % with a check that fails the
/// second time that it looks at another version than 1.0.0 when there is a file `broken`.
fn manifest(server: &Lockstep, [port, preview]: [u16; 2]) -> String {
    let folder = server.folder.path().display();
    let smoke = format!(
        "test \"$1\" = 1.0.0 && exit 0\ncd {folder}\necho run >> runs\ntest ! -e broken || test $(wc -l < runs) -lt 2 || {{ echo no basket; exit 1; }}\n"
    );
    let smoke = server.write("smoke.sh", &smoke);
    let text = format!(
        r#"version: 1
project: shop
default_environment: staging
environments: {{staging: {{}}}}
watch: 200ms
services:
  backend:
    version: "1.0.0"
    healthcheck: {{ready: /health/ready, interval: 100ms, timeout: 2s, retries: 2, start_period: 1s}}
    verify: [{{name: smoke, command: [sh, "{smoke}", "${{VERSION}}"]}}]
    strategy:
      type: canary
      sticky: {{cookie: {COOKIE}}}
      steps:
        - {{weight: 0, bake: 2s}}
        - {{weight: 10, bake: 2s}}
        - {{weight: 50, bake: 300ms, verify: [smoke]}}
        - {{weight: 100}}
    target:
      type: process
      command: ["{PROGRAM}", demo-service, --name, backend, --version, "${{VERSION}}", --port, "${{PORT}}"]
      gateway: {{listen: "127.0.0.1:{port}", preview: "127.0.0.1:{preview}", drain_timeout: 5s}}
      stop_grace: 2s
      keep_old: 1m
"#
    );
    server.write("lockstep.yaml", &text)
}

/// The version that a user meets, and the cookie that he is given.
async fn meet(
    http: &reqwest::Client,
    port: u16,
    cookie: Option<&str>,
) -> Result<(String, Option<String>), String> {
    let mut request = http.get(format!("http://127.0.0.1:{port}/version"));
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    if !answer.status().is_success() {
        return Err(answer.status().to_string());
    }
    let given = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| text.split(';').next()).map(ToOwned::to_owned);
    let body: serde_json::Value = answer.json().await.map_err(|error| error.to_string())?;
    Ok((body["version"].as_str().unwrap_or_default().to_owned(), given))
}

/// Users who ask all the time; what they were refused.
struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    refused: Arc<Mutex<Vec<String>>>,
    users: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn on(port: u16) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let refused = Arc::new(Mutex::new(Vec::new()));
        let user = |number: usize| {
            let (stop, asked, refused) = (Arc::clone(&stop), Arc::clone(&asked), Arc::clone(&refused));
            tokio::spawn(async move {
                // Half of them keep a connection and a cookie, half are new each time.
                let http = reqwest::Client::new();
                let cookie = format!("{COOKIE}=user{number}");
                let cookie = number.is_multiple_of(2).then_some(cookie.as_str());
                while !stop.load(Ordering::Relaxed) {
                    match meet(&http, port, cookie).await {
                        Ok(_) => {
                            asked.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => refused.lock().expect("not poisoned").push(error),
                    }
                }
            })
        };
        let users = (0..4).map(user).collect();
        Self { stop, asked, refused, users }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for user in self.users {
            user.await.expect("it ended");
        }
        let refused = self.refused.lock().expect("not poisoned").clone();
        assert_eq!(refused, Vec::<String>::new(), "of {} requests", self.asked.load(Ordering::Relaxed));
        assert!(self.asked.load(Ordering::Relaxed) > 100);
    }
}

/// Waits until a watch of deployment 2 has begun, and lets nothing begin after it.
fn pause_at(server: &Lockstep, watch: &str) {
    let state = |server: &Lockstep| {
        let detail = server.detail(2);
        detail.steps.iter().find(|step| step.id.as_str() == watch).map(|step| step.state)
    };
    server.wait(watch, |server| state(server) == Some(StepState::Running));
    server.ok(&["pause", "2"]);
    server.wait("the watch to end", |server| state(server) == Some(StepState::Succeeded));
}

/// How many of 300 new users meet a version, and the cookie of one who does.
async fn share_of(server: &Lockstep, port: u16, version: &str) -> (usize, Option<String>) {
    let (mut count, mut one) = (0, None);
    for _ in 0..300 {
        let (met, given) = meet(&server.http, port, None).await.expect("an answer");
        if met == version {
            count += 1;
            one = given;
        }
    }
    (count, one)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_moves_the_traffic_in_steps_and_no_request_fails() {
    let server = Lockstep::start();
    let [port, preview] = free_ports();
    let file = manifest(&server, [port, preview]);
    server.ok(&["deploy", "-f", &file, "--wait"]);
    let said = server.ok(&["status", "1"]);
    assert!(said.contains("all the traffic at once"), "the first has nothing to share with: {said}");
    let load = Load::on(port);
    let said = server.ok(&["plan", "--set", "backend=2.0.0"]);
    assert!(
        said.contains("backend.shift-10") && said.contains(&format!("http://127.0.0.1:{preview}")),
        "{said}"
    );
    server.ok(&["deploy", "--set", "backend=2.0.0"]);

    pause_at(&server, "backend.watch-0");
    assert_eq!(meet(&server.http, preview, None).await.expect("seen").0, "2.0.0");
    assert_eq!(share_of(&server, port, "2.0.0").await, (0, None), "only the preview shows it");
    let said = server.ok(&["gateway", "show"]);
    assert!(said.contains("(preview)"), "{said}");
    server.ok(&["resume", "2"]);

    pause_at(&server, "backend.watch-10");
    let (share, cookie) = share_of(&server, port, "2.0.0").await;
    // Six standard deviations of 300 independent draws at 10 %.
    assert!(share.abs_diff(30) < 32 && share > 0, "{share} of 300 at 10 %");
    let cookie = cookie.expect("he was given one");
    for _ in 0..20 {
        let met = meet(&server.http, port, Some(&cookie)).await.expect("an answer");
        assert_eq!(met, ("2.0.0".to_owned(), None), "he stays with it");
    }
    assert_eq!(server.serves(), [("backend".to_owned(), "1.0.0".to_owned())], "a share is not all");
    server.wait("the share to be seen", |server| {
        server.ok(&["status", "--json"]).contains("has 90 % of the traffic")
    });
    server.ok(&["resume", "2"]);

    server.ok(&["watch", "2"]);
    load.end().await;
    assert_eq!(share_of(&server, port, "2.0.0").await.0, 300);
    assert_eq!(server.serves(), [("backend".to_owned(), "2.0.0".to_owned())]);
    assert!(meet(&server.http, preview, None).await.is_err(), "it is seen where the users come in");
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_breaks_at_half_takes_everybody_back_and_no_request_fails() {
    let server = Lockstep::start();
    let [port, preview] = free_ports();
    let file = manifest(&server, [port, preview]);
    server.ok(&["deploy", "-f", &file, "--wait"]);
    let load = Load::on(port);
    server.write("broken", "");
    server.ok(&["deploy", "--set", "backend=2.0.0"]);
    pause_at(&server, "backend.watch-10");
    let cookie = share_of(&server, port, "2.0.0").await.1.expect("somebody met it");
    server.ok(&["resume", "2"]);
    let said = server.fails(1, &["watch", "2"]);
    assert!(said.contains("check 'smoke' failed") && said.contains("no basket"), "{said}");
    assert!(said.contains("verify 50 %"), "{said}");
    load.end().await;
    let detail = server.detail(2);
    assert_eq!(detail.summary.phase, Phase::RolledBack);
    let undone = |id: &str| detail.steps.iter().find(|step| step.id.as_str() == id).map(|step| step.state);
    for step in ["backend.shift-50", "backend.shift-10", "backend.prepare"] {
        assert_eq!(undone(step), Some(StepState::Undone), "{step}");
    }
    assert_eq!(undone("backend.shift"), Some(StepState::Skipped));
    assert_eq!(share_of(&server, port, "1.0.0").await.0, 300);
    let met = meet(&server.http, port, Some(&cookie)).await.expect("an answer");
    assert_eq!(met.0, "1.0.0", "who met the new one is back, too");
    assert_eq!(server.serves(), [("backend".to_owned(), "1.0.0".to_owned())]);
    assert!(meet(&server.http, preview, None).await.is_err(), "what was taken back is not to be seen");
    server.keeps_every_promise();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_word_in_the_middle_of_a_canary_closes_what_is_open_and_no_request_fails() {
    let server = Lockstep::start();
    let [port, preview] = free_ports();
    let file = manifest(&server, [port, preview]);
    let text = std::fs::read_to_string(&file).expect("written");
    let asks = text.replace("    strategy:\n", "    rollback: {auto: false}\n    strategy:\n");
    let file = server.write("lockstep.yaml", &asks);
    server.ok(&["deploy", "-f", &file, "--wait"]);
    let load = Load::on(port);
    for (number, outcome, phase, serves) in [
        ("2", "failed", Phase::Failed, "1.0.0"),
        ("3", "rolled-back", Phase::RolledBack, "1.0.0"),
        ("4", "succeeded", Phase::Succeeded, "4.0.0"),
    ] {
        server.write("broken", "");
        std::fs::remove_file(server.folder.path().join("runs")).ok();
        let said = server.fails(3, &["deploy", "--set", &format!("backend={number}.0.0"), "--wait"]);
        assert!(said.contains("needs an operator"), "{said}");
        assert!(meet(&server.http, preview, None).await.is_ok(), "the preview is open");
        let said = server.ok(&["resolve", number, "--outcome", outcome, "--dry-run"]);
        assert!(said.contains("preview"), "{said}");
        server.ok(&["resolve", number, "--outcome", outcome, "--reason", "seen by hand"]);
        assert_eq!(server.phase(number.parse().expect("a number")), phase);
        assert_eq!(share_of(&server, port, serves).await.0, 300, "{outcome}: nobody has a share beside it");
        assert_eq!(server.serves(), [("backend".to_owned(), serves.to_owned())]);
        assert!(meet(&server.http, preview, None).await.is_err(), "{outcome}: the preview is closed");
    }
    load.end().await;
    server.keeps_every_promise();
}
