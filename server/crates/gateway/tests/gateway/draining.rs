//! What becomes of requests whose revision loses its traffic.

use crate::support::*;
use hyper::Response;
use lockstep_model::gateway::{GatewayRequest, GatewayResponse};
use std::sync::Arc;
use tokio::{io::AsyncReadExt, sync::Notify};

const GET: &str = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";

#[tokio::test]
async fn a_drain_waits_for_the_answer_under_way() {
    let up = Up::start().await;
    let (go, listen) = (Arc::new(Notify::new()), free_address().await);
    let waits = Arc::clone(&go);
    let slow = program(move |_| {
        let go = Arc::clone(&waits);
        async move {
            go.notified().await;
            Response::new(full("slow"))
        }
    })
    .await;
    let fast = says("fast").await;
    up.set(route("web", &listen, &[("slow", slow, 100)])).await;
    let mut user = User::connect(&listen).await;
    let first = tokio::spawn(async move { (user.get("shop").await, user) });
    up.until_in_flight("slow", 1).await;
    let client = up.client.clone();
    let change = GatewayRequest::Route { route: route("web", &listen, &[("fast", fast, 100)]), drain: true };
    let switched = tokio::spawn(async move { client.request(&change).await });
    up.until_switched_to("fast").await;
    assert_eq!(ask(&listen, "shop").await.1, "fast");
    assert!(!switched.is_finished());
    let draining = up.traffic("slow").await.unwrap();
    assert_eq!((draining.weight, draining.in_flight), (0, 1));
    go.notify_one();
    let (answer, mut user) = within(first).await.unwrap();
    assert_eq!(answer.unwrap().1, "slow");
    assert_eq!(within(switched).await.unwrap().unwrap(), GatewayResponse::Done { drained: true });
    assert!(up.traffic("slow").await.is_none());
    assert_eq!(user.get("shop").await.unwrap().1, "fast", "on the same connection");
}

#[tokio::test]
async fn at_the_drain_timeout_answers_and_tunnels_are_cut() {
    let up = Up::start().await;
    let listen = free_address().await;
    let stuck = raw_program(|mut connection| async move {
        let head = connection.read_head().await;
        if head.contains("upgrade") {
            connection
                .write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
                .await;
        } else if head.contains("/begun") {
            connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n").await;
        }
        // Holds the connection until the other side closes it.
        connection.read_rest().await;
    })
    .await;
    let fresh = says("fresh").await;
    up.set(route("web", &listen, &[("stuck", stuck, 100)])).await;
    let mut silent = Raw::connect(&listen).await;
    silent.write(GET).await;
    let mut begun = Raw::connect(&listen).await;
    begun.write("GET /begun HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    begun.read_until("begun\r\n").await;
    let mut tunnel = Raw::connect(&listen).await;
    tunnel.write("GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n").await;
    assert!(tunnel.read_head().await.starts_with("HTTP/1.1 101 "));
    up.until_in_flight("stuck", 3).await;
    let mut change = route("web", &listen, &[("fresh", fresh, 100)]);
    change.drain_timeout_ms = 50;
    assert_eq!(up.route(change, true).await, GatewayResponse::Done { drained: false });
    assert!(silent.read_until("\r\n").await.starts_with("HTTP/1.1 502 "));
    let rest = begun.read_rest().await;
    assert!(!rest.contains("0\r\n\r\n"), "a torn answer must not look whole: {rest:?}");
    assert_eq!(tunnel.read_rest().await, "");
    assert!(up.traffic("stuck").await.is_none());
    assert_eq!(ask(&listen, "shop").await.1, "fresh");
}

#[tokio::test]
async fn a_revision_that_gets_its_traffic_back_is_not_cut() {
    let up = Up::start().await;
    let (go, listen) = (Arc::new(Notify::new()), free_address().await);
    let waits = Arc::clone(&go);
    let old = program(move |_| {
        let go = Arc::clone(&waits);
        async move {
            go.notified().await;
            Response::new(full("old"))
        }
    })
    .await;
    let new = says("new").await;
    up.set(route("web", &listen, &[("old", old, 100)])).await;
    let mut user = User::connect(&listen).await;
    let answer = tokio::spawn(async move { user.get("shop").await });
    up.until_in_flight("old", 1).await;
    let client = up.client.clone();
    let mut change = route("web", &listen, &[("new", new, 100)]);
    change.drain_timeout_ms = 60_000;
    let change = GatewayRequest::Route { route: change, drain: true };
    let draining = tokio::spawn(async move { client.request(&change).await });
    up.until_switched_to("new").await;
    assert_eq!(ask(&listen, "shop").await.1, "new");
    up.set(route("web", &listen, &[("old", old, 100)])).await;
    assert_eq!(within(draining).await.unwrap().unwrap(), GatewayResponse::Done { drained: true });
    go.notify_one();
    assert_eq!(within(answer).await.unwrap().unwrap().1, "old");
}

#[tokio::test]
async fn removing_a_route_closes_its_address_and_lets_answers_finish() {
    let up = Up::start().await;
    let (go, listen) = (Arc::new(Notify::new()), free_address().await);
    let waits = Arc::clone(&go);
    let slow = program(move |_| {
        let go = Arc::clone(&waits);
        async move {
            go.notified().await;
            Response::new(full("slow"))
        }
    })
    .await;
    up.set(route("web", &listen, &[("slow", slow, 100)])).await;
    let mut user = Raw::connect(&listen).await;
    user.write(GET).await;
    let mut idle = Raw::connect(&listen).await;
    up.until_in_flight("slow", 1).await;
    until("both connections", || async { up.state().await.connections == 2 }).await;
    let remove = GatewayRequest::Remove { slot: slot("web") };
    assert_eq!(up.client.request(&remove).await.unwrap(), GatewayResponse::Done { drained: false });
    std::net::TcpListener::bind(&listen).expect("the address is free");
    assert_eq!(within(idle.0.read(&mut [0; 1])).await.unwrap(), 0, "idle connections are closed");
    go.notify_one();
    let answer = user.read_rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("slow"), "{answer}");
    assert_eq!(up.client.request(&remove).await.unwrap(), GatewayResponse::Done { drained: true });
}
