//! The shell steps of the workflows, against a server: what they print, put out and exit with.

use crate::{
    secrets::files,
    support::{Lockstep, free_ports, make_token, shop, text},
};
use lockstep_model::{access::Role, view::PlanView};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lockstep");
const ACTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.github/actions/lockstep-deploy");

/// Runs a step as the action does; what it put out is in `output` and `summary` of the folder.
fn step(server: &Lockstep, script: &str, role: Role, variables: &[(&str, &str)]) -> Output {
    for file in ["output", "summary"] {
        server.write(file, "");
    }
    Command::new(format!("{ACTION}/{script}"))
        .current_dir(server.folder.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs([
            ("LOCKSTEP_PROGRAM", PROGRAM),
            ("GITHUB_OUTPUT", "output"),
            ("GITHUB_STEP_SUMMARY", "summary"),
        ])
        .envs([("LOCKSTEP_URL", server.url()), ("LOCKSTEP_TOKEN", make_token(server, role))])
        .env("LOCKSTEP_ENVIRONMENT", "staging")
        .envs(variables.iter().copied())
        .output()
        .expect("ran")
}

fn read(server: &Lockstep, file: &str) -> String {
    std::fs::read_to_string(server.folder.path().join(file)).expect("written")
}

#[test]
fn the_deploy_step_puts_out_the_verdict_and_fails_with_its_text() {
    let server = Lockstep::start();
    server.ok(&["apply", &server.write("lockstep.yaml", &shop(free_ports(), "200ms"))]);
    let deploy = |more: &[(&str, &str)]| step(&server, "deploy.sh", Role::Deployer, more);

    let said = deploy(&[("LOCKSTEP_STRATEGY", "sequential"), ("GITHUB_RUN_ID", "7")]);
    assert_eq!(said.status.code(), Some(0), "{}", text(&said));
    assert!(text(&said).contains("succeeded"), "progress is in the log: {}", text(&said));
    let output = read(&server, "output");
    assert!(output.contains("deployment-id=1\n") && output.contains("verdict=succeeded\n"), "{output}");
    assert!(output.contains(&format!("deployment-url={}/deployments/1\n", server.url())), "{output}");
    assert!(read(&server, "summary").starts_with("### Deployment 1 to staging: succeeded\n"));
    // One at a time: no step that changes or proves something overlaps one of another service.
    let steps = server.detail(1).steps;
    let worked = steps.iter().filter(|step| step.kind.word() != "watch");
    let spans: Vec<_> = worked
        .filter_map(|step| Some((step.service.clone(), step.forward()?.started_at, step.finished_at()?)))
        .collect();
    for (service, began, ended) in &spans {
        let overlap = spans.iter().find(|other| other.0 != *service && other.1 < *ended && other.2 > *began);
        assert_eq!(overlap, None, "{service} {began} to {ended}");
    }

    // The step again in the same attempt of the run: the same deployment.
    let again = deploy(&[("LOCKSTEP_STRATEGY", "sequential"), ("GITHUB_RUN_ID", "7")]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert!(read(&server, "output").contains("deployment-id=1\n"));

    let services = ("LOCKSTEP_SERVICES", "backend=1.1.0, frontend=broken");
    let said = deploy(&[services, ("LOCKSTEP_STRATEGY", "coordinated")]);
    assert_eq!(said.status.code(), Some(1), "{}", text(&said));
    let error = String::from_utf8_lossy(&said.stdout).lines().last().unwrap_or_default().to_owned();
    assert!(error.starts_with("::error title=Deployment 2 (not-succeeded)::"), "{error}");
    assert!(error.contains("status 503"), "the verdict's text: {error}");
    assert!(read(&server, "output").contains("verdict=not-succeeded\n"));
}

#[test]
fn the_deploy_step_refuses_what_it_cannot_do_and_begins_nothing() {
    let server = Lockstep::start();
    server.ok(&["apply", &server.write("lockstep.yaml", &shop(free_ports(), "200ms"))]);
    let refusals = [
        (("LOCKSTEP_SKIP_VERIFICATION", "true"), "nobody may skip verification in staging"),
        (("LOCKSTEP_STRATEGY", "random"), "use coordinated, parallel or sequential"),
        (("LOCKSTEP_SERVICES", "bakend"), "did you mean 'backend'?"),
        (("LOCKSTEP_SERVICES", "--help"), "is no service"),
    ];
    for (variable, expected) in refusals {
        let said = step(&server, "deploy.sh", Role::Deployer, &[variable]);
        assert_eq!(said.status.code(), Some(2), "{variable:?}: {}", text(&said));
        let said = text(&said);
        assert!(said.starts_with("::error title=Lockstep refused::") && said.contains(expected), "{said}");
        assert_eq!(read(&server, "output"), "verdict=refused\n", "{variable:?}");
        assert!(read(&server, "summary").contains(expected), "{variable:?}");
    }
    let said = step(&server, "deploy.sh", Role::Viewer, &[]);
    assert_eq!(said.status.code(), Some(2), "{}", text(&said));
    let list: Value = serde_json::from_str(&server.ok(&["history", "--json"])).expect("JSON");
    assert_eq!(list["deployments"].as_array().map(Vec::len), Some(0), "{list}");
}

#[test]
fn without_an_order_nothing_waits_for_what_it_depends_on() {
    let server = Lockstep::start();
    server.ok(&["apply", &server.write("lockstep.yaml", &shop(free_ports(), "200ms"))]);
    let waves = |order: &str| {
        let plan = server.ok(&["plan", "--order", order, "--json"]);
        let plan: PlanView = serde_json::from_str(&plan).expect("JSON");
        plan.services.iter().map(|service| service.wave).collect::<Vec<_>>()
    };
    assert!(waves("dependencies").windows(2).any(|pair| pair[0] != pair[1]));
    assert_eq!(waves("sequential"), waves("dependencies"));
    assert!(waves("parallel").windows(2).all(|pair| pair[0] == pair[1]));
}

/// Processes of services that hang, until this goes.
struct Hung(Vec<Pid>);

impl Hung {
    fn all_of(server: &Lockstep) -> Self {
        let started = files(&server.data().join("agent/services"));
        let pids = started.into_iter().filter(|path| path.ends_with("pid.json")).map(|path| {
            let started: Value =
                serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
            Pid::from_raw(i32::try_from(started["pid"].as_i64().expect("a number")).expect("small"))
        });
        let hung = Self(pids.collect());
        assert_eq!(hung.0.len(), 3, "{:?}", hung.0);
        hung.tell(Signal::SIGSTOP);
        hung
    }

    fn tell(&self, signal: Signal) {
        for pid in &self.0 {
            kill(*pid, signal).expect("told");
        }
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.tell(Signal::SIGCONT);
    }
}

#[test]
fn the_monitoring_step_keeps_its_report_and_fails_when_the_judgement_does() {
    let server = Lockstep::start();
    server.ok(&["apply", &server.write("lockstep.yaml", &shop(free_ports(), "200ms"))]);
    server.ok(&["deploy", "--wait"]);
    server.wait("every service was looked at", |server| {
        let page: Value = serde_json::from_str(&server.ok(&["status", "--json"])).expect("JSON");
        let services = page["services"].as_array().expect("services");
        services.iter().all(|service| service["health"] == "healthy")
    });
    let once = [("MONITORING_MINUTES", "0"), ("REPORT", "health.json")];
    let said = step(&server, "monitor.sh", Role::Viewer, &once);
    assert_eq!(said.status.code(), Some(0), "{}", text(&said));
    let report: Value = serde_json::from_str(&read(&server, "health.json")).expect("JSON");
    assert_eq!((&report["passed"], &report["looks"]), (&Value::Bool(true), &Value::from(1)));
    assert_eq!(report["services"]["backend (staging)"]["healthy"], 1, "{report}");

    // What serves does not answer any more: the judgement is the job's, and the report says of what.
    let hung = Hung::all_of(&server);
    server.wait("that is seen", |server| {
        let page: Value = serde_json::from_str(&server.ok(&["status", "--json"])).expect("JSON");
        page["services"].as_array().expect("services").iter().all(|service| service["health"] == "unhealthy")
    });
    let said = step(&server, "monitor.sh", Role::Viewer, &once);
    assert_eq!(said.status.code(), Some(1), "{}", text(&said));
    let error = String::from_utf8_lossy(&said.stdout).lines().last().unwrap_or_default().to_owned();
    assert!(error.starts_with("::error title=Health of staging::not well"), "{error}");
    assert!(error.contains("backend") && read(&server, "summary").contains("not well"), "{error}");
    let report: Value = serde_json::from_str(&read(&server, "health.json")).expect("JSON");
    assert_eq!(report["passed"], false, "{report}");
    assert_eq!(report["services"]["backend (staging)"]["unwell"], 1, "{report}");
    drop(hung);

    // No answer is never a good one.
    let nobody = [once[0], once[1], ("LOCKSTEP_URL", "http://127.0.0.1:9")];
    let said = step(&server, "monitor.sh", Role::Viewer, &nobody);
    assert_eq!(said.status.code(), Some(1), "{}", text(&said));
    assert!(text(&said).contains("::error title=Health of staging::not well"), "{}", text(&said));
    let report: Value = serde_json::from_str(&read(&server, "health.json")).expect("JSON");
    assert_eq!(report["passed"], false, "{report}");
}

#[test]
fn a_download_is_executed_only_when_its_digest_is_right() {
    let server = Lockstep::start();
    let file = server.write("program", "#!/bin/sh\n");
    let download = format!("file://{file}");
    let wrong = "0".repeat(64);
    for digest in ["", wrong.as_str()] {
        let variables = [("LOCKSTEP_DOWNLOAD", download.as_str()), ("LOCKSTEP_SHA256", digest)];
        let said = step(&server, "install.sh", Role::Viewer, &variables);
        assert_eq!(said.status.code(), Some(2), "{}", text(&said));
    }
    let said = step(&server, "install.sh", Role::Viewer, &[("LOCKSTEP_PROGRAM", "no-such-program")]);
    assert_eq!(said.status.code(), Some(2), "{}", text(&said));
}
