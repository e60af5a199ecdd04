//! A server with a data folder of its own, started and ended by the test.

use lockstep_model::{
    access::Role,
    api::*,
    deployment::Phase,
    view::{DeploymentDetail, EventsView},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    fs::File,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_lockstep");
/// Generous: these tests wait for conditions, and never judge by time.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// A lease that a busy machine does not take: for tests that are about something else.
pub const LONG_LEASE: [&str; 2] = ["--lease-ms", "120000"];

pub struct Lockstep {
    pub folder: TempDir,
    server: Option<Child>,
    address: String,
    /// More arguments of `serve`.
    more: Vec<String>,
    pub http: reqwest::Client,
}

impl Lockstep {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(more: &[&str]) -> Self {
        // The second call finds it there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = TempDir::new().expect("a folder");
        let more = more.iter().map(ToString::to_string).collect();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client");
        let mut started = Self { folder, server: None, address: "127.0.0.1:0".to_owned(), more, http };
        started.serve();
        // After a kill it comes back where agents and commands look for it.
        started.address = started.url().trim_start_matches("http://").to_owned();
        started
    }

    pub fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server, and waits until commands find it.
    pub fn serve(&mut self) {
        self.serve_with(&[]);
    }

    /// The same with variables of its own.
    pub fn serve_with(&mut self, variables: &[(&str, &str)]) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("serve.log"))
            .expect("a log");
        // The shell lets a write past a limit be an error instead of the server's end.
        let child = Command::new("sh")
            .args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#, PROGRAM, "serve", "--addr", &self.address])
            .arg("--data-dir")
            .arg(self.data())
            .args(&self.more)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("started");
        let pid = child.id();
        self.server = Some(child);
        self.wait("the server says how it is reached", |server| {
            server.local().is_some_and(|local| local["pid"] == pid)
        });
    }

    pub fn local(&self) -> Option<Value> {
        serde_json::from_slice(&std::fs::read(self.data().join("local.json")).ok()?).ok()
    }

    pub fn url(&self) -> String {
        self.local().expect("running")["url"].as_str().expect("text").to_owned()
    }

    pub fn token(&self) -> String {
        self.local().expect("running")["token"].as_str().expect("text").to_owned()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("serve.log")).unwrap_or_default()
    }

    pub fn kill_server(&mut self) {
        let mut server = self.server.take().expect("running");
        server.kill().expect("killed");
        server.wait().expect("reaped");
    }

    /// Kills the agent; false when none runs at this moment.
    pub fn kill_agent(&self) -> bool {
        match lockstep_agent::running(&self.data().join("agent")).expect("readable") {
            Some(pid) => kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok(),
            None => false,
        }
    }

    /// Kills the process from which the agent's holds are forked.
    pub fn kill_nursery(&self) {
        let agent = lockstep_agent::running(&self.data().join("agent")).expect("readable").expect("it runs");
        let children = format!("/proc/{agent}/task");
        let threads = std::fs::read_dir(children).expect("readable");
        let children = threads.flat_map(|thread| {
            let list = std::fs::read_to_string(thread.expect("readable").path().join("children"));
            list.unwrap_or_default().split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>()
        });
        let nursery = children
            .filter(|pid| {
                let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.trim_end_matches('\0').ends_with("\0hold")
            })
            .map(|pid| pid.parse().expect("a number"))
            .next()
            .expect("it runs");
        kill(Pid::from_raw(nursery), Signal::SIGKILL).expect("killed");
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM)
            .args(arguments)
            .env_clear()
            .env("LOCKSTEP_DATA_DIR", self.data())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("ran")
    }

    /// Runs a command that must succeed, and returns what it printed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {text}\n{}", self.log());
        text
    }

    /// Runs a command that must fail with `code`, and returns what it said.
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}\n{}", self.log());
        text
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Versions that serve, by service.
    pub fn serves(&self) -> Vec<(String, String)> {
        let page: ServicePage = serde_json::from_str(&self.ok(&["status", "--json"])).expect("JSON");
        page.services
            .into_iter()
            .map(|service| {
                (service.service.to_string(), service.version.map(|v| v.to_string()).unwrap_or_default())
            })
            .collect()
    }

    /// A version that took a release back is held; here it is broken on purpose, again.
    pub fn release_holds(&self) {
        let held: Value = serde_json::from_str(&self.ok(&["hold", "list", "--json"])).expect("JSON");
        for hold in held["restrictions"].as_array().expect("a list") {
            self.ok(&["hold", "release", &hold["id"].to_string(), "--reason", "broken on purpose"]);
        }
    }

    /// Events after a place in a journal; waits for one. None when the server has no answer.
    pub async fn events(&self, id: i64, after: i64, wait_ms: u64) -> Option<EventsView> {
        let body = format!(r#"{{"id":{id},"after":{after},"wait_ms":{wait_ms}}}"#);
        let (status, view) = self.call("/deployment/wait", Some(&self.token()), &body).await;
        (status == 200).then(|| serde_json::from_value(view).expect("events"))
    }

    /// Waits until a journal has come to `point`, or the deployment has ended.
    pub async fn until(&self, id: i64, point: i64) -> i64 {
        let end = Instant::now() + PATIENCE;
        let mut last = 0;
        while last < point {
            let view = self.events(id, last, 1_000).await.expect("an answer");
            last = view.seq.0;
            if view.phase.is_final() {
                break;
            }
            assert!(Instant::now() < end, "deployment {id} stands at {last}");
        }
        last
    }

    /// Whatever happened, the history keeps every promise.
    pub fn keeps_every_promise(&self) {
        self.ok(&["history", "verify", "--limit", "1000"]);
    }

    pub fn detail(&self, id: i64) -> DeploymentDetail {
        serde_json::from_str(&self.ok(&["status", &id.to_string(), "--json"])).expect("JSON")
    }

    pub fn phase(&self, id: i64) -> Phase {
        self.detail(id).summary.phase
    }

    pub fn wait(&self, what: &str, mut is_met: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_met(self) {
            assert!(Instant::now() < end, "waited in vain until {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Calls an endpoint with a token as it is; none = anonymous.
    pub async fn call(&self, path: &str, token: Option<&str>, body: &str) -> (u16, Value) {
        let mut request = self
            .http
            .post(format!("{}{PREFIX}{path}", self.url()))
            .header("content-type", "application/json")
            .body(body.to_owned());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }
}

impl Drop for Lockstep {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- server's log\n{}", self.log());
            let agent = std::fs::read_to_string(self.data().join("agent/agent.log")).unwrap_or_default();
            eprintln!("--- agent's log\n{agent}");
        }
        let is_running = self.server.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        if !is_running {
            self.server = None;
            // Only a server can tell an agent to end its services.
            let command = Command::new(PROGRAM)
                .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
                .arg(self.data())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            self.server = command.ok();
            let pid = self.server.as_ref().map(Child::id);
            let end = Instant::now() + PATIENCE;
            while self.local().is_none_or(|local| local["pid"].as_u64() != pid.map(u64::from))
                && Instant::now() < end
            {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.run(&["stop", "--all"]);
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
        let end = Instant::now() + Duration::from_secs(5);
        // Twice: one that is just being started has no command line for a moment.
        let mut looks = 0;
        while !std::thread::panicking() && looks < 2 {
            let left = left_behind(self.folder.path());
            looks = if left.is_empty() { looks + 1 } else { 0 };
            assert!(Instant::now() < end, "left behind: {left:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Processes that run below a folder or were told of it: services, agents and gateways that nobody
/// keeps any more.
fn left_behind(folder: &Path) -> Vec<String> {
    let name = folder.to_str().expect("UTF-8");
    let processes = std::fs::read_dir("/proc").expect("readable").flatten();
    let command = |process: &std::fs::DirEntry| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    };
    let ours = processes.filter(|process| {
        let cwd = std::fs::read_link(process.path().join("cwd"));
        cwd.is_ok_and(|cwd| cwd.starts_with(folder)) || command(process).contains(name)
    });
    ours.map(|process| format!("{} {}", process.file_name().to_string_lossy(), command(&process))).collect()
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Ports that are free at this moment, and below the range from which the kernel gives ports away.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let mut listeners = Vec::new();
    // Tests that run beside each other have neighbouring process ids.
    let mut port = 20_000 + u16::try_from(std::process::id() % 700).expect("small") * 16;
    let mut next = || loop {
        port += 1;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            listeners.push(listener);
            return port;
        }
    };
    std::array::from_fn(|_| next())
}

/// A manifest of the demo's services: `frontend` depends on `backend`, `web_portal` stands alone.
pub fn shop(ports: [u16; 3], watch: &str) -> String {
    let service = |name: &str, port: u16, more: &str| {
        format!(
            "  {name}:\n{more}    version: \"1.0.0\"\n    healthcheck: {{ready: /health/ready, interval: 100ms, timeout: 2s, retries: 2, start_period: 1s}}\n\
    \x20   target:\n      type: process\n      command: [\"{PROGRAM}\", demo-service, --name, {name}, --version, \"${{VERSION}}\", --port, \"${{PORT}}\"]\n\
    \x20     gateway: {{listen: \"127.0.0.1:{port}\", drain_timeout: 5s}}\n      stop_grace: 2s\n      keep_old: 1m\n"
        )
    };
    format!(
        "version: 1\nproject: shop\ndefault_environment: staging\nenvironments:\n  staging: {{}}\nwatch: {watch}\nservices:\n{}{}{}",
        service("backend", ports[0], ""),
        service("frontend", ports[1], "    depends_on: {backend: {condition: healthy}}\n"),
        service("web_portal", ports[2], ""),
    )
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// A token of the first admin's with a role.
pub fn make_token(server: &Lockstep, role: Role) -> String {
    let made = server.ok(&["token", "add", "matrix", "--role", role.word(), "--json"]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    made["secret"].as_str().expect("a secret").to_owned()
}

impl Lockstep {
    /// Calls an endpoint as a page of somebody who is signed in.
    pub async fn call_as(&self, cookie: &str, path: &str, body: &str) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}{PREFIX}{path}", self.url()))
            .header("content-type", "application/json")
            .header("origin", self.url())
            .header("cookie", cookie)
            .body(body.to_owned());
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    /// Makes a user who signs in in a browser; returns the cookie.
    pub async fn sign_in(&self, name: &str, role: Role) -> String {
        self.sign_in_on(name, role, &[]).await
    }

    /// The same, with the role on a part only.
    pub async fn sign_in_on(&self, name: &str, role: Role, on: &[&str]) -> String {
        let add = [&["user", "add", name, "--role", role.word(), "--json"], on].concat();
        let made: Value = serde_json::from_str(&self.ok(&add)).expect("JSON");
        let code = made["path"].as_str().expect("a path").trim_start_matches("/link/");
        let password = "correct-horse-battery";
        let answer = self
            .http
            .post(format!("{}/session/set_password", self.url()))
            .header("origin", self.url())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("code={code}&password={password}&again={password}"))
            .send()
            .await
            .expect("an answer");
        let cookie = answer.headers()["set-cookie"].to_str().expect("text");
        cookie.split(';').next().expect("a pair").to_owned()
    }
}
