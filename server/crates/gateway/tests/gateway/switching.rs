//! Switches between revisions, weights and hosts.

use crate::support::*;
use hyper::StatusCode;
use lockstep_model::gateway::GatewayResponse;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_under_100_switches_with_32_kept_connections() {
    let up = Up::start().await;
    let (blue, green, listen) = (says("blue").await, says("green").await, free_address().await);
    up.set(route("web", &listen, &[("blue", blue, 100)])).await;
    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicUsize::new(0));
    let users: Vec<_> = (0..32)
        .map(|_| {
            let (listen, stop, sent) = (listen.clone(), Arc::clone(&stop), Arc::clone(&sent));
            tokio::spawn(async move {
                let mut user = User::connect(&listen).await;
                while !stop.load(Ordering::Relaxed) {
                    let (status, text) = user.get("shop").await.unwrap();
                    assert_eq!(status, StatusCode::OK);
                    assert!(text == "blue" || text == "green");
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                assert!(user.is_connected());
            })
        })
        .collect();
    for turn in 0..100 {
        let (name, address) = if turn % 2 == 0 { ("green", green) } else { ("blue", blue) };
        let done = up.route(route("web", &listen, &[(name, address, 100)]), true).await;
        assert_eq!(done, GatewayResponse::Done { drained: true });
        // Each switch meets traffic.
        let before = sent.load(Ordering::Relaxed);
        until("requests between switches", || async { sent.load(Ordering::Relaxed) > before + 32 }).await;
        let state = up.state().await;
        assert_eq!(state.routes[0].revisions.len(), 1, "after the drain only one revision is left");
    }
    assert_eq!(up.state().await.connections, 32);
    stop.store(true, Ordering::Relaxed);
    for user in users {
        user.await.unwrap();
    }
    assert_eq!(up.traffic("blue").await.unwrap().errors, 0);
}

#[tokio::test]
async fn requests_are_shared_by_weight_and_counted() {
    let up = Up::start().await;
    let (old, new, listen) = (says("old").await, says("new").await, free_address().await);
    up.set(route("web", &listen, &[("old", old, 90), ("new", new, 10)])).await;
    let mut user = User::connect(&listen).await;
    let mut news = 0;
    for _ in 0..200 {
        news += usize::from(user.get("shop").await.unwrap().1 == "new");
    }
    assert_eq!(news, 20);
    let traffic = up.traffic("old").await.unwrap();
    assert_eq!((traffic.requests, traffic.errors, traffic.in_flight, traffic.weight), (180, 0, 0, 90));
    assert!(traffic.p50_ms > 0.0 && traffic.p50_ms <= traffic.p95_ms && traffic.p95_ms <= traffic.p99_ms);
    up.set(route("web", &listen, &[("old", old, 0), ("new", new, 100)])).await;
    for _ in 0..20 {
        assert_eq!(user.get("shop").await.unwrap().1, "new");
    }
    let kept = up.traffic("old").await.unwrap();
    assert_eq!((kept.requests, kept.weight), (180, 0), "a revision at weight 0 keeps its counts");
}

#[tokio::test]
async fn an_address_is_shared_by_host_whatever_its_case_and_port() {
    let up = Up::start().await;
    let (a, b, listen) = (says("a").await, says("b").await, free_address().await);
    let mut named = route("a", &listen, &[("a1", a, 100)]);
    named.host = Some("Shop.example.com".to_owned());
    up.set(named.clone()).await;
    let (status, _) = ask(&listen, "other.example.com").await;
    assert_eq!(status, StatusCode::MISDIRECTED_REQUEST);
    up.set(route("b", &listen, &[("b1", b, 100)])).await;
    let mut user = User::connect(&listen).await;
    for (host, expected) in [("SHOP.example.COM:8080", "a"), ("shop.example.com.", "a"), ("other", "b")] {
        assert_eq!(user.get(host).await.unwrap().1, expected, "{host}");
    }
    named.host = Some("moved.example.com".to_owned());
    up.set(named).await;
    assert_eq!(user.get("shop.example.com").await.unwrap().1, "b");
    assert_eq!(user.get("moved.example.com").await.unwrap().1, "a");
}
