//! What of the heads passes through.

use crate::support::*;
use http_body_util::Full;
use hyper::{Request, Response};

#[tokio::test]
async fn a_program_sees_the_user_and_not_the_session_of_the_dashboard() {
    let up = Up::start().await;
    let listen = free_address().await;
    let mirror = program(|request| async move {
        let mut lines: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        let response =
            Response::builder().header("connection", "x-hop").header("x-hop", "1").header("x-end", "2");
        response.body(full(format!("{} {}\n{}", request.method(), request.uri(), lines.join("\n")))).unwrap()
    })
    .await;
    up.set(route("web", &listen, &[("mirror", mirror, 100)])).await;
    let mut user = User::connect(&listen).await;
    let request = Request::get("/a%20b?q=1")
        .header("host", "shop:8080")
        .header("cookie", "theme=dark; lockstep=secret; __Host-lockstep=secret; cart=7")
        .header("x-forwarded-for", "10.0.0.1")
        .header("connection", "x-secret")
        .header("x-secret", "1")
        .body(Full::default())
        .unwrap();
    let response = user.send(request).await.unwrap();
    assert_eq!(
        response.body(),
        "GET /a%20b?q=1\ncookie: theme=dark; cart=7\nhost: shop:8080\nx-forwarded-for: 127.0.0.1\n\
         x-forwarded-host: shop:8080\nx-forwarded-proto: http"
    );
    assert!(!response.headers().contains_key("x-hop") && response.headers()["x-end"] == "2");
}

#[tokio::test]
async fn head_and_empty_answers_keep_the_connection() {
    let up = Up::start().await;
    let listen = free_address().await;
    let program = program(|request| async move {
        match request.uri().path() {
            "/none" => Response::builder().status(204).body(full("")).unwrap(),
            "/same" => Response::builder().status(304).header("etag", "\"1\"").body(full("")).unwrap(),
            _ => Response::new(full("twelve bytes")),
        }
    })
    .await;
    up.set(route("web", &listen, &[("program", program, 100)])).await;
    let mut user = Raw::connect(&listen).await;
    user.write("HEAD / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    assert!(user.read_head().await.contains("content-length: 12"));
    user.write("GET /none HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    assert!(user.read_head().await.starts_with("HTTP/1.1 204 "));
    user.write("GET /same HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    assert!(user.read_head().await.starts_with("HTTP/1.1 304 "));
    user.write("GET http://shop/ HTTP/1.1\r\nHost: elsewhere\r\n\r\n").await;
    user.read_until("twelve bytes").await;
}
