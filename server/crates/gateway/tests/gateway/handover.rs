//! One gateway takes the place of another.

use crate::support::*;
use hyper::{Response, StatusCode};
use lockstep_gateway::{GatewayError, GatewayOptions, Limits, run};
use lockstep_model::gateway::{GatewayRequest, GatewayResponse};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::Notify,
};

/// A user who connects again when he is told that the connection closes, and counts his requests.
async fn busy_user(listen: String, stop: Arc<AtomicBool>, sent: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        let mut user = User::connect(&listen).await;
        loop {
            let request = hyper::Request::get("/").header("host", "shop").body(Default::default()).unwrap();
            let response = user.send(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            sent.fetch_add(1, Ordering::Relaxed);
            if response.headers().contains_key("connection") || stop.load(Ordering::Relaxed) {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handover_under_load_fails_no_request() {
    let mut up = Up::start().await;
    let (listen, second, web) = (free_address().await, free_address().await, says("web").await);
    up.set(route("web", &listen, &[("web", web, 100)])).await;
    up.set(route("other", &second, &[("web", web, 100)])).await;
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let users: Vec<_> = (0..16)
        .map(|_| tokio::spawn(busy_user(listen.clone(), Arc::clone(&stop), Arc::clone(&sent))))
        .collect();
    for _ in 0..5 {
        let before = sent.load(Ordering::Relaxed);
        until("load", || async { sent.load(Ordering::Relaxed) > before + 200 }).await;
        let new = spawn(up.dir.path(), true, Limits::default());
        within(up.task).await.unwrap().unwrap();
        up.task = new;
        assert_eq!(up.state().await.routes.len(), 2);
        assert_eq!(ask(&second, "shop").await.1, "web");
    }
    let before = sent.load(Ordering::Relaxed);
    until("load", || async { sent.load(Ordering::Relaxed) > before + 200 }).await;
    stop.store(true, Ordering::Relaxed);
    for user in users {
        within(user).await.unwrap();
    }
    let locked = within(run(GatewayOptions::new(up.dir.path()))).await.unwrap_err();
    assert!(matches!(locked, GatewayError::Locked { .. }), "{locked}");
    let up = up.restart().await;
    assert_eq!(ask(&listen, "shop").await.1, "web");
    assert_eq!(up.state().await.routes.len(), 2);
}

#[tokio::test]
async fn after_a_handover_a_drain_waits_for_the_old_gateway_and_old_connections_follow_the_new_routes() {
    let up = Up::start().await;
    let (go, listen, new) = (Arc::new(Notify::new()), free_address().await, says("new").await);
    let waits = Arc::clone(&go);
    let old = program(move |_| {
        let go = Arc::clone(&waits);
        async move {
            go.notified().await;
            Response::new(full("old"))
        }
    })
    .await;
    up.set(route("web", &listen, &[("old", old, 100)])).await;
    // One request is under way at the handover, and one connection is idle.
    let mut idle = User::connect(&listen).await;
    go.notify_one();
    assert_eq!(idle.get("shop").await.unwrap().1, "old");
    let mut busy = User::connect(&listen).await;
    let answer = tokio::spawn(async move { busy.get("shop").await });
    up.until_in_flight("old", 1).await;
    let _successor = spawn(up.dir.path(), true, Limits::default());
    // The new one has counted nothing yet.
    until("the new gateway answers", || async { up.traffic("old").await.is_some_and(|t| t.requests == 0) })
        .await;
    let client = up.client.clone();
    let change = GatewayRequest::Route { route: route("web", &listen, &[("new", new, 100)]), drain: true };
    let switched = tokio::spawn(async move { client.request(&change).await });
    up.until_switched_to("new").await;
    assert_eq!(ask(&listen, "shop").await.1, "new");
    assert_eq!(idle.get("shop").await.unwrap().1, "new", "over the old gateway");
    until("the old connection ends", || async { !idle.is_connected() }).await;
    assert!(!switched.is_finished(), "a request is still under way in the old gateway");
    go.notify_one();
    assert_eq!(within(answer).await.unwrap().unwrap().1, "old");
    assert_eq!(within(switched).await.unwrap().unwrap(), GatewayResponse::Done { drained: true });
    within(up.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_handover_that_breaks_off_leaves_the_old_gateway_serving() {
    let up = Up::start().await;
    let (listen, web) = (free_address().await, says("web").await);
    up.set(route("web", &listen, &[("web", web, 100)])).await;
    let mut stream = UnixStream::connect(up.client.path()).await.unwrap();
    stream.write_all(b"{\"type\":\"handover\"}\n").await.unwrap();
    within(stream.read_exact(&mut [0; 8])).await.unwrap();
    drop(stream);
    assert_eq!(ask(&listen, "shop").await.1, "web");
    up.set(route("web", &listen, &[("web2", web, 100)])).await;
    assert_eq!(up.state().await.routes.len(), 1);
}

#[tokio::test]
async fn a_handover_without_an_old_gateway_is_an_ordinary_start() {
    let dir = tempfile::tempdir().unwrap();
    let _task = spawn(dir.path(), true, Limits::default());
    let client = lockstep_gateway::GatewayClient::new(lockstep_gateway::socket_path(dir.path()));
    until_it_answers(&client).await;
}
