//! Bodies pass through as they come.

use crate::support::*;
use http_body_util::{BodyExt, StreamBody};
use hyper::{Response, body::Frame};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

#[tokio::test]
async fn bodies_are_streamed_both_ways_with_their_trailers() {
    let up = Up::start().await;
    let listen = free_address().await;
    // Sends each piece of the request back at once, and its trailers at the end.
    let echo = program(|request| async move {
        let response = Response::builder().header("trailer", "x-sum");
        response.body(BodyExt::boxed(request.into_body())).unwrap()
    })
    .await;
    up.set(route("web", &listen, &[("echo", echo, 100)])).await;
    let mut user = Raw::connect(&listen).await;
    user.write(
        "POST / HTTP/1.1\r\nHost: shop\r\nTE: trailers\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    assert!(user.read_head().await.to_lowercase().contains("transfer-encoding: chunked"));
    for piece in ["one", "two", "six"] {
        user.write(format!("3\r\n{piece}\r\n")).await;
        assert_eq!(user.read_until(&format!("{piece}\r\n")).await, format!("3\r\n{piece}\r\n"));
    }
    user.write("0\r\nx-sum: 9\r\n\r\n").await;
    assert_eq!(user.read_until("\r\n\r\n").await, "0\r\nx-sum: 9\r\n\r\n");
    user.write("POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nok").await;
    assert!(user.read_head().await.contains("200 OK"), "the connection is kept");
    user.read_until("ok").await;
    up.until_in_flight("echo", 0).await;
    assert_eq!(up.traffic("echo").await.unwrap().requests, 2);
}

#[tokio::test]
async fn a_body_is_sent_when_the_program_asks_for_it() {
    let up = Up::start().await;
    let listen = free_address().await;
    let picky = raw_program(|mut program| async move {
        let head = program.read_head().await;
        assert!(head.to_lowercase().contains("expect: 100-continue"), "{head}");
        if head.contains("/refused") {
            program.write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await;
            assert_eq!(program.read_rest().await, "", "a body that is not wanted is not sent");
        } else {
            program.write("HTTP/1.1 100 Continue\r\n\r\n").await;
            program.read_until("body").await;
            program.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
    })
    .await;
    up.set(route("web", &listen, &[("picky", picky, 100)])).await;
    let post = |path| {
        format!("POST {path} HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    };
    let mut user = Raw::connect(&listen).await;
    user.write(post("/wanted")).await;
    assert_eq!(user.read_head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    user.write("body").await;
    assert!(user.read_head().await.starts_with("HTTP/1.1 200 OK"));
    let mut user = Raw::connect(&listen).await;
    user.write(post("/refused")).await;
    assert!(user.read_head().await.starts_with("HTTP/1.1 413 "), "without a 100 before it");
    up.until_in_flight("picky", 0).await;
}

#[tokio::test]
async fn a_program_that_does_not_know_100_continue_gets_the_body_all_the_same() {
    let up = Up::start().await;
    let listen = free_address().await;
    let plain = raw_program(|mut program| async move {
        program.read_until("body").await;
        program.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    })
    .await;
    up.set(route("web", &listen, &[("plain", plain, 100)])).await;
    let mut user = Raw::connect(&listen).await;
    user.write("POST / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n").await;
    assert_eq!(user.read_head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    user.write("body").await;
    user.read_until("ok").await;
}

#[tokio::test]
async fn http_1_0_users_get_a_body_that_ends_with_the_connection() {
    let up = Up::start().await;
    let listen = free_address().await;
    let (pieces, receiver) = mpsc::channel::<Frame<bytes::Bytes>>(1);
    let receiver = std::sync::Arc::new(std::sync::Mutex::new(Some(receiver)));
    let host_seen = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let seen = std::sync::Arc::clone(&host_seen);
    let chunked = program(move |request| {
        *seen.lock().unwrap() = format!("{:?} {:?}", request.version(), request.headers()["host"]);
        let mut receiver = receiver.lock().unwrap().take().unwrap();
        let stream =
            futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|frame| frame.map(Ok)));
        async move { Response::new(BodyExt::boxed(StreamBody::new(stream))) }
    })
    .await;
    up.set(route("web", &listen, &[("chunked", chunked, 100)])).await;
    let mut user = Raw::connect(&listen).await;
    user.write("GET / HTTP/1.0\r\n\r\n").await;
    let head = user.read_head().await.to_lowercase();
    assert!(head.starts_with("http/1.0 200") && !head.contains("transfer-encoding"), "{head}");
    pieces.send(Frame::data("first".into())).await.unwrap();
    user.read_until("first").await;
    pieces.send(Frame::data("last".into())).await.unwrap();
    drop(pieces);
    assert_eq!(user.read_rest().await, "last");
    assert_eq!(*host_seen.lock().unwrap(), format!("HTTP/1.1 \"{chunked}\""));
}

#[tokio::test]
async fn a_user_who_never_reads_blocks_neither_others_nor_memory() {
    let up = Up::start().await;
    let listen = free_address().await;
    let written = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = std::sync::Arc::clone(&written);
    let endless = raw_program(move |mut program| {
        let count = std::sync::Arc::clone(&count);
        async move {
            if program.read_head().await.contains("/small") {
                return program.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            }
            program.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
            while let Ok(bytes) = program.0.write(&[b'x'; 65536]).await {
                count.fetch_add(bytes as u64, std::sync::atomic::Ordering::SeqCst);
            }
        }
    })
    .await;
    up.set(route("web", &listen, &[("endless", endless, 100)])).await;
    let mut deaf = Raw::connect(&listen).await;
    deaf.write("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    deaf.read_head().await;
    // The program stands still once the buffers of the system on the way are full.
    let so_far = || written.load(std::sync::atomic::Ordering::SeqCst);
    let last = std::cell::Cell::new(0);
    until("the program stands still", || async {
        for _ in 0..20 {
            let mut user = Raw::connect(&listen).await;
            user.write("GET /small HTTP/1.1\r\nHost: shop\r\n\r\n").await;
            user.read_until("ok").await;
        }
        so_far() > 0 && last.replace(so_far()) == so_far()
    })
    .await;
    assert!(so_far() < 100_000_000, "{} bytes were taken for a user who reads none", so_far());
    drop(deaf);
    up.until_in_flight("endless", 0).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let up = Up::start().await;
    let listen = free_address().await;
    let torn = raw_program(|mut program| async move {
        program.read_head().await;
        program.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
    })
    .await;
    up.set(route("web", &listen, &[("torn", torn, 100)])).await;
    let mut user = Raw::connect(&listen).await;
    user.write("GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = within(user.0.read_to_end(&mut answer)).await;
    assert!(!answer.ends_with(b"0\r\n\r\n"));
    up.until_in_flight("torn", 0).await;
    assert_eq!(up.traffic("torn").await.unwrap().errors, 1);
}
