//! Bad requests, bad orders and missing programs.

use crate::support::*;
use hyper::StatusCode;
use lockstep_gateway::Limits;
use lockstep_model::gateway::{GatewayRequest, GatewayResponse};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream},
};

#[tokio::test]
async fn a_route_without_revisions_is_503_with_a_time_to_retry() {
    let up = Up::start().await;
    let listen = free_address().await;
    up.set(route("web", &listen, &[])).await;
    let mut user = Raw::connect(&listen).await;
    user.write("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    let head = user.read_head().await.to_lowercase();
    assert!(head.starts_with("http/1.1 503 ") && head.contains("retry-after: 5"), "{head}");
    assert!(head.contains("content-type: text/plain"), "{head}");
    assert!(user.read_until("\n").await.contains("Nothing serves this address"));
    assert_eq!(up.state().await.routes[0].unserved, 1);
}

#[tokio::test]
async fn a_revision_that_accepts_no_connection_is_502_and_counted() {
    let up = Up::start().await;
    let (listen, nobody) = (free_address().await, free_address().await);
    up.set(route("web", &listen, &[("gone", nobody.parse().unwrap(), 100)])).await;
    let (status, text) = ask(&listen, "shop").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(!text.contains("127.0.0.1"), "{text}");
    let traffic = up.traffic("gone").await.unwrap();
    assert_eq!((traffic.requests, traffic.errors), (1, 1));
}

#[tokio::test]
async fn answers_from_500_are_errors_and_others_are_not() {
    let up = Up::start().await;
    let listen = free_address().await;
    let moody = program(|request| async move {
        let status: u16 = request.headers()["host"].to_str().unwrap().parse().unwrap();
        hyper::Response::builder().status(status).body(full("")).unwrap()
    })
    .await;
    up.set(route("web", &listen, &[("moody", moody, 100)])).await;
    let mut user = User::connect(&listen).await;
    for status in ["200", "404", "500", "429", "503"] {
        assert_eq!(user.get(status).await.unwrap().0.as_str(), status);
    }
    let traffic = up.traffic("moody").await.unwrap();
    assert_eq!((traffic.requests, traffic.errors), (5, 2));
}

#[tokio::test]
async fn a_taken_port_is_refused_and_nothing_changes() {
    let up = Up::start().await;
    let (listen, web) = (free_address().await, says("web").await);
    up.set(route("web", &listen, &[("web", web, 100)])).await;
    let routes = std::fs::read_to_string(up.dir.path().join("routes.json")).unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    for service in ["web", "other"] {
        let GatewayResponse::Refused { message } =
            up.route(route(service, &taken, &[("web", web, 100)]), true).await
        else {
            panic!("it was not refused");
        };
        assert!(message.contains(&format!("shop/staging/{service}")), "{message}");
        assert!(message.contains(&format!("{taken} is taken by another program")), "{message}");
    }
    let refused = up.route(route("web", &taken, &[]), true).await;
    assert!(matches!(refused, GatewayResponse::Refused { .. }), "it would move what is routed: {refused:?}");
    // Taking the traffic from what never got any changes nothing, and is done.
    up.set(route("other", &taken, &[])).await;
    assert_eq!(std::fs::read_to_string(up.dir.path().join("routes.json")).unwrap(), routes);
    assert_eq!(up.state().await.routes.len(), 1);
    assert_eq!(ask(&listen, "shop").await.1, "web");
    drop(holder);
    up.set(route("other", &taken, &[("web", web, 100)])).await;
    assert_eq!(ask(&taken, "shop").await.1, "web");
}

#[tokio::test]
async fn routes_that_cannot_be_written_are_refused_and_not_followed() {
    let up = Up::start().await;
    let (listen, web) = (free_address().await, says("web").await);
    // A folder in the way of the file, which also stops root.
    std::fs::create_dir(up.dir.path().join("routes.json.new")).unwrap();
    let GatewayResponse::Refused { message } =
        up.route(route("web", &listen, &[("web", web, 100)]), false).await
    else {
        panic!("it was not refused");
    };
    assert!(message.contains("routes.json"), "{message}");
    assert!(up.state().await.routes.is_empty());
    std::net::TcpListener::bind(&listen).expect("the address was closed again");
}

#[tokio::test]
async fn a_slow_head_is_cut_and_a_large_one_refused() {
    let limits = Limits {
        header_timeout: Duration::from_millis(100),
        header_bytes_max: 16 * 1024,
        ..Limits::default()
    };
    let up = Up::with(limits).await;
    let (listen, web) = (free_address().await, says("web").await);
    up.set(route("web", &listen, &[("web", web, 100)])).await;
    let mut slow = Raw::connect(&listen).await;
    slow.write("GET / HTTP/1.1\r\nHost: sh").await;
    slow.read_rest().await;
    let mut large = Raw::connect(&listen).await;
    let head = format!("GET / HTTP/1.1\r\nHost: shop\r\nx-large: {}\r\n\r\n", "x".repeat(32 * 1024));
    // The answer may come before all of it is written.
    let _ = large.0.write_all(head.as_bytes()).await;
    assert!(large.read_until("\r\n").await.starts_with("HTTP/1.1 431 "));
    until("both are gone", || async { up.state().await.connections == 0 }).await;
    assert!(up.traffic("web").await.unwrap().requests == 0);
}

#[tokio::test]
async fn malformed_requests_do_not_reach_the_revision() {
    let up = Up::start().await;
    let (listen, web) = (free_address().await, says("web").await);
    up.set(route("web", &listen, &[("web", web, 100)])).await;
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "400"),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
        ("\x16\x03\x01\x02\x00\x01\r\n\r\n", "400"),
    ];
    for (request, status) in cases {
        let mut user = Raw::connect(&listen).await;
        user.write(request).await;
        let line = user.read_until("\r\n").await;
        assert!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {line}");
    }
    assert_eq!(up.traffic("web").await.unwrap().requests, 0);
}

#[tokio::test]
async fn connections_above_the_bound_are_told_so_and_closed() {
    let up = Up::with(Limits { connections_max: 2, ..Limits::default() }).await;
    let (listen, web) = (free_address().await, says("web").await);
    up.set(route("web", &listen, &[("web", web, 100)])).await;
    let (mut one, mut two) = (User::connect(&listen).await, User::connect(&listen).await);
    one.get("shop").await.unwrap();
    two.get("shop").await.unwrap();
    let mut three = Raw::connect(&listen).await;
    let answer = three.read_rest().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{answer}");
    assert_eq!(one.get("shop").await.unwrap().1, "web");
    assert_eq!(up.state().await.connections_refused, 1);
    drop(two);
    until("there is room again", || async { up.state().await.connections == 1 }).await;
    assert_eq!(ask(&listen, "shop").await.1, "web");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_no_request() {
    let up = Up::start().await;
    let listen = free_address().await;
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    // Says that it keeps the connection and closes it when the second request has come.
    let rude = raw_program(move |mut program| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            program.read_head().await;
            program.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let _ = program.0.read(&mut [0; 1]).await;
        }
    })
    .await;
    up.set(route("web", &listen, &[("rude", rude, 100)])).await;
    let mut user = User::connect(&listen).await;
    for _ in 0..10 {
        assert_eq!(user.get("shop").await.unwrap(), (StatusCode::OK, "ok".to_owned()));
    }
    assert!(connections.load(Ordering::SeqCst) >= 10);
    assert_eq!(up.traffic("rude").await.unwrap().errors, 0);
}

#[tokio::test]
async fn a_request_that_may_have_been_acted_on_is_not_sent_twice() {
    let up = Up::start().await;
    let listen = free_address().await;
    let posts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&posts);
    let dying = raw_program(move |mut program| {
        let count = Arc::clone(&count);
        async move {
            program.read_head().await;
            program.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            if program.read_head().await.starts_with("POST") {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    up.set(route("web", &listen, &[("dying", dying, 100)])).await;
    let mut user = Raw::connect(&listen).await;
    user.write("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    user.read_until("ok").await;
    user.write("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n").await;
    assert!(user.read_head().await.starts_with("HTTP/1.1 502 "));
    assert_eq!(posts.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn control_requests_that_make_no_sense_are_refused() {
    let up = Up::start().await;
    for (line, reason) in [
        ("{}\n".to_owned(), "not understood"),
        ("\n".to_owned(), "not understood"),
        ("{\"type\":\"dance\"}\n".to_owned(), "dance"),
        (format!("{}\n", "x".repeat(5 * 1024 * 1024)), "bytes"),
    ] {
        let mut stream = UnixStream::connect(up.client.path()).await.unwrap();
        // The answer may come before all of it is written.
        let _ = stream.write_all(line.as_bytes()).await;
        let mut answer = vec![0; 4096];
        let length = within(stream.read(&mut answer)).await.unwrap();
        let answer: GatewayResponse = serde_json::from_slice(&answer[..length]).unwrap();
        let GatewayResponse::Refused { message } = answer else { panic!("it was not refused") };
        assert!(message.contains(reason), "{message}");
    }
    up.client.request(&GatewayRequest::Handover).await.unwrap_err();
    up.state().await;
}
