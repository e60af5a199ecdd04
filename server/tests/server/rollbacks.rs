//! Rollbacks that are interrupted: the coordinator or the agent is killed at a moment of the rollback
//! that a seed chooses. Each is stable within the promise. `LOCKSTEP_ROLLBACKS` says how many.

use crate::support::{LONG_LEASE, Lockstep, free_ports, shop};
use lockstep_model::{deployment::Phase, event::Event};

/// What is promised from the detection on.
const PROMISE_MS: u64 = 120_000;
/// What `make test` has time for.
const USUAL: u64 = 10;
/// Events between the failure and the end, about.
const EVENTS: u64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_is_interrupted_is_stable_within_its_promise() {
    let count = std::env::var("LOCKSTEP_ROLLBACKS").ok().and_then(|text| text.parse().ok()).unwrap_or(USUAL);
    let mut server = Lockstep::start_with(&LONG_LEASE);
    let ports = free_ports::<3>();
    let file = server.write("lockstep.yaml", &shop(ports, "100ms"));
    server.ok(&["deploy", "-f", &file, "--wait"]);
    let mut took = Vec::new();
    for seed in 0..count {
        let mut random = fastrand::Rng::with_seed(seed);
        server.release_holds();
        let versions = ["backend=1.1.0", "web_portal=1.1.0", "frontend=broken"];
        let mut command = vec!["deploy", "--json"];
        for version in &versions {
            command.extend(["--set", version]);
        }
        let started: serde_json::Value = serde_json::from_str(&server.ok(&command)).expect("JSON");
        let id = started["id"].as_i64().expect("a number");
        let detected = detection(&server, id).await;
        server.until(id, detected + i64::try_from(random.u64(0..EVENTS)).expect("few")).await;
        let who = if random.bool() { "coordinator" } else { "agent" };
        if who == "coordinator" {
            server.kill_server();
            server.serve();
        } else {
            // None at this moment is a moment too.
            server.kill_agent();
        }
        server.until(id, i64::MAX).await;
        let detail = server.detail(id);
        let at = format!("seed {seed}, killed: {who}");
        assert_eq!(detail.summary.phase, Phase::RolledBack, "{at}");
        let clocks = detail.summary.clocks;
        let (detected, stable) = (clocks.detected_at.expect("detected"), clocks.stable_at.expect("stable"));
        let stable_ms = stable.since_ms(detected);
        assert!(stable_ms <= PROMISE_MS, "{at}: {stable_ms} ms");
        took.push(stable_ms);
        let old = |name: &str| (name.to_owned(), "1.0.0".to_owned());
        assert_eq!(server.serves(), [old("backend"), old("frontend"), old("web_portal")], "{at}");
        for port in ports {
            let answer = server.http.get(format!("http://127.0.0.1:{port}/version")).send().await;
            let answer: serde_json::Value = answer.expect("an answer").json().await.expect("JSON");
            assert_eq!(answer["version"], "1.0.0", "{at}");
        }
    }
    server.keeps_every_promise();
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() * percent).div_ceil(100) - 1];
    println!("{count} interrupted rollbacks: p50 {} ms, p95 {} ms, p99 {} ms", at(50), at(95), at(99));
}

/// The event that began the rollback.
async fn detection(server: &Lockstep, id: i64) -> i64 {
    let mut after = 0;
    loop {
        let view = server.events(id, after, 20_000).await.expect("an answer");
        let found =
            view.events.iter().find(|envelope| matches!(envelope.event, Event::FailureDetected { .. }));
        if let Some(found) = found {
            return found.seq.0;
        }
        assert!(!view.phase.is_final(), "deployment {id} is to fail");
        after = view.seq.0;
    }
}
