//! Start, restart and stop.

use crate::support::*;
use lockstep_gateway::{GatewayError, GatewayOptions, Limits, run};
use lockstep_model::gateway::{GatewayRequest, GatewayResponse};
use std::{os::unix::fs::PermissionsExt, time::Duration};

#[tokio::test]
async fn a_restarted_gateway_serves_the_same_routes() {
    let up = Up::start().await;
    let (listen, a, b) = (free_address().await, says("a").await, says("b").await);
    let mut named = route("b", &listen, &[("b1", b, 100)]);
    named.host = Some("b.example.com".to_owned());
    up.set(route("a", &listen, &[("a1", a, 100)])).await;
    up.set(named).await;
    let mode = |name| std::fs::metadata(up.dir.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("gateway.sock"), mode("routes.json"), mode(".")), (0o600, 0o600, 0o700));
    let up = up.restart().await;
    assert_eq!(ask(&listen, "x").await.1, "a");
    assert_eq!(ask(&listen, "b.example.com").await.1, "b");
    assert_eq!(up.state().await.routes.len(), 2);
}

#[tokio::test]
async fn a_damaged_routing_file_stops_the_start_and_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("routes.json");
    std::fs::write(&file, "{\"format\":1,\"rou").unwrap();
    let refused = run(GatewayOptions::new(dir.path())).await.unwrap_err();
    assert!(matches!(refused, GatewayError::RoutesRefused { .. }));
    assert!(refused.to_string().contains(file.to_str().unwrap()), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"format\":1,\"rou");
}

#[tokio::test]
async fn a_second_gateway_for_a_folder_is_refused() {
    let up = Up::start().await;
    let refused = within(run(GatewayOptions::new(up.dir.path()))).await.unwrap_err();
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
    up.state().await;
}

#[tokio::test]
async fn an_address_that_is_taken_at_the_start_is_opened_when_it_is_free() {
    let up = Up::start().await;
    let (first, second, web) = (free_address().await, free_address().await, says("web").await);
    up.set(route("first", &first, &[("web", web, 100)])).await;
    up.set(route("second", &second, &[("web", web, 100)])).await;
    let stopped = within(up.client.request(&GatewayRequest::Stop)).await.unwrap();
    assert_eq!(stopped, GatewayResponse::Done { drained: true });
    let holder = std::net::TcpListener::bind(&first).unwrap();
    let _task = spawn(up.dir.path(), false, Limits::default());
    until_it_answers(&up.client).await;
    assert_eq!(ask(&second, "shop").await.1, "web");
    drop(holder);
    until("the address is opened", || async { tokio::net::TcpStream::connect(&first).await.is_ok() }).await;
    assert_eq!(ask(&first, "shop").await.1, "web");
}

#[tokio::test]
async fn stopping_lets_answers_finish_within_a_bound() {
    let up = Up::with(Limits { stop_drain: Duration::from_millis(100), ..Limits::default() }).await;
    let listen = free_address().await;
    let stuck = raw_program(|mut program| async move {
        program.read_rest().await;
    })
    .await;
    up.set(route("web", &listen, &[("stuck", stuck, 100)])).await;
    let mut user = Raw::connect(&listen).await;
    user.write("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    up.until_in_flight("stuck", 1).await;
    let stopped = within(up.client.request(&GatewayRequest::Stop)).await.unwrap();
    assert_eq!(stopped, GatewayResponse::Done { drained: false });
    within(up.task).await.unwrap().unwrap();
    assert!(!up.client.path().exists());
    let unreachable = up.client.request(&GatewayRequest::State).await.unwrap_err();
    assert!(unreachable.to_string().contains("lockstep gateway --dir"), "{unreachable}");
}
