//! WebSocket and other protocols.

use crate::support::*;
use tokio::io::AsyncWriteExt;

const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: shop\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways_until_one_side_ends() {
    let up = Up::start().await;
    let listen = free_address().await;
    let echo = raw_program(|mut program| async move {
        let head = program.read_head().await.to_lowercase();
        assert!(head.contains("connection: upgrade") && head.contains("upgrade: websocket"), "{head}");
        assert!(head.contains("sec-websocket-key: dghl"), "{head}");
        // The first bytes of the new protocol come together with the head.
        program
            .write(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
            )
            .await;
        let (mut read, mut write) = program.0.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
        write.write_all(b" bye").await.unwrap();
    })
    .await;
    up.set(route("chat", &listen, &[("echo", echo, 100)])).await;
    let mut user = Raw::connect(&listen).await;
    user.write(UPGRADE).await;
    let head = user.read_head().await.to_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("upgrade: websocket"), "{head}");
    user.read_until("hello").await;
    for turn in 0..10 {
        let said = format!("message {turn};");
        user.write(&said).await;
        assert_eq!(user.read_until(";").await, said);
    }
    assert_eq!(up.traffic("echo").await.unwrap().in_flight, 1);
    assert_eq!(up.state().await.connections, 1);
    user.0.shutdown().await.unwrap();
    assert_eq!(user.read_rest().await, " bye");
    up.until_in_flight("echo", 0).await;
    until("no connection is left", || async { up.state().await.connections == 0 }).await;
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_answer() {
    let up = Up::start().await;
    let listen = free_address().await;
    let plain = says("no").await;
    up.set(route("chat", &listen, &[("plain", plain, 100)])).await;
    let mut user = Raw::connect(&listen).await;
    user.write(UPGRADE).await;
    assert!(user.read_head().await.starts_with("HTTP/1.1 200 "));
    user.read_until("no").await;
    user.write("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    user.read_until("no").await;
}

#[tokio::test]
async fn http_2_within_http_1_is_not_passed_on() {
    let up = Up::start().await;
    let listen = free_address().await;
    let seen = program(|request| async move {
        hyper::Response::new(full(format!("upgrade {}.", request.headers().contains_key("upgrade"))))
    })
    .await;
    up.set(route("chat", &listen, &[("seen", seen, 100)])).await;
    let mut user = Raw::connect(&listen).await;
    user.write("GET / HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n").await;
    user.read_head().await;
    assert_eq!(user.read_until(".").await, "upgrade false.");
}
