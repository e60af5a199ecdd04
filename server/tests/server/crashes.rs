//! kill -9 of the coordinator and of the agent at eight points of a deployment and its rollback,
//! under load: users notice nothing, it goes on by itself, and the end is the same.

use crate::support::{Lockstep, free_ports, shop};
use lockstep_model::deployment::Phase;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// The crashes happen when the journal has come so far: from the request over preflight, prepare,
/// verify, shift and watch to the failure and the undos.
const POINTS: [i64; 8] = [1, 4, 9, 14, 18, 22, 27, 31];

struct Load {
    ends: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(ports: &[u16]) -> Self {
        let (ends, asked, failed): (Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>) = Default::default();
        let tasks = ports
            .iter()
            .map(|port| {
                let (ends, asked, failed) = (ends.clone(), asked.clone(), failed.clone());
                let address = format!("http://127.0.0.1:{port}/version");
                tokio::spawn(async move {
                    let client = reqwest::Client::builder()
                        .timeout(Duration::from_secs(10))
                        .build()
                        .expect("a client");
                    while !ends.load(Ordering::Relaxed) {
                        let answer = client.get(&address).send().await;
                        let is_good = answer.is_ok_and(|answer| answer.status().is_success());
                        asked.fetch_add(1, Ordering::Relaxed);
                        failed.fetch_add(u64::from(!is_good), Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                })
            })
            .collect();
        Self { ends, asked, failed, tasks }
    }

    async fn end(self) -> (u64, u64) {
        self.ends.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("the load does not panic");
        }
        (self.asked.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

async fn survives(crash: impl Fn(&mut Lockstep)) {
    let mut server = Lockstep::start();
    let ports = free_ports::<3>();
    let file = server.write("lockstep.yaml", &shop(ports, "500ms"));
    server.ok(&["deploy", "-f", &file, "--wait"]);
    let load = Load::on(&ports);
    let mut slowest = Duration::ZERO;
    for point in POINTS {
        server.release_holds();
        let started = server.ok(&[
            "deploy",
            "--set",
            "backend=1.1.0",
            "--set",
            "web_portal=1.1.0",
            "--set",
            "frontend=broken",
            "--json",
        ]);
        let started: serde_json::Value = serde_json::from_str(&started).expect("JSON");
        let id = started["id"].as_i64().expect("a number");
        let before = server.until(id, point).await;
        crash(&mut server);
        let crashed = Instant::now();
        // Resumed when something new is in the journal.
        let after = server.events(id, before, 20_000).await.expect("an answer");
        if !after.events.is_empty() {
            slowest = slowest.max(crashed.elapsed());
        }
        server.until(id, i64::MAX).await;
        assert_eq!(server.phase(id), Phase::RolledBack, "after a crash at event {point}");
        let old = |name: &str| (name.to_owned(), "1.0.0".to_owned());
        assert_eq!(server.serves(), [old("backend"), old("frontend"), old("web_portal")], "{point}");
        for port in ports {
            let answer = server.http.get(format!("http://127.0.0.1:{port}/version")).send().await;
            let answer: serde_json::Value = answer.expect("an answer").json().await.expect("JSON");
            assert_eq!(answer["version"], "1.0.0", "after a crash at event {point}");
        }
    }
    let (asked, failed) = load.end().await;
    println!("{asked} requests, {failed} failed; slowest to go on: {} ms", slowest.as_millis());
    server.keeps_every_promise();
    assert_eq!(failed, 0, "of {asked} requests");
    assert!(asked > 500, "the load was there: {asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_coordinator_goes_on_where_it_was_and_users_notice_nothing() {
    survives(|server| {
        server.kill_server();
        server.serve();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_is_started_again_and_users_notice_nothing() {
    survives(|server| {
        assert!(server.kill_agent(), "an agent runs");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_are_forked_from_may_die_and_nothing_that_runs_does() {
    let server = Lockstep::start();
    let ports = free_ports::<3>();
    let file = server.write("lockstep.yaml", &shop(ports, "1s"));
    server.ok(&["deploy", "-f", &file, "--wait"]);
    server.kill_nursery();
    server.ok(&["deploy", "--set", "frontend=1.1.0", "--wait"]);
    let mut expected = ["1.0.0", "1.1.0", "1.0.0"].into_iter();
    for port in ports {
        let answer = server.http.get(format!("http://127.0.0.1:{port}/version")).send().await;
        let text = answer.expect("an answer").text().await.expect("text");
        assert!(text.contains(expected.next().expect("three")), "{text}");
    }
}
