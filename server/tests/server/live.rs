//! What open pages are told: snapshot and changes in order, resumed where they were, refused to whom
//! may not see, ended with the session; and the same by asking.

use crate::support::{Lockstep, free_ports, make_token, shop};
use futures_util::{SinkExt, StreamExt};
use lockstep_model::{
    DeploymentId,
    access::Role,
    deployment::Phase,
    live::{Patch, Place, ServerFrame, Snapshot, Topic},
    view::DeploymentDetail,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

const PATIENCE: Duration = Duration::from_secs(30);

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub async fn open(server: &Lockstep, headers: &[(&'static str, &str)]) -> Result<Socket, Error> {
    let address = format!("{}/live", server.url().replace("http", "ws"));
    let mut request = address.into_client_request().expect("an address");
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).expect("a value"));
    }
    connect_async(request).await.map(|(socket, _)| socket)
}

pub async fn say(socket: &mut Socket, frame: Value) {
    socket.send(Message::text(frame.to_string())).await.expect("sent");
}

/// The next frame that is not a sign of life; none when the socket was closed, with its code.
pub async fn hear(socket: &mut Socket) -> Result<ServerFrame, u16> {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.expect("something is said");
        match message {
            Some(Ok(Message::Text(text))) => match serde_json::from_str(&text).expect("a frame") {
                ServerFrame::Ping { .. } | ServerFrame::Hello { .. } => {}
                frame => return Ok(frame),
            },
            Some(Ok(Message::Close(Some(close)))) => return Err(close.code.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(0),
        }
    }
}

fn status(error: &Error) -> u16 {
    match error {
        Error::Http(answer) => answer.status().as_u16(),
        other => panic!("{other}"),
    }
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_told_from_its_snapshot_to_its_end_and_resumed_without_gap() {
    let server = Lockstep::start();
    let file = server.write("lockstep.yaml", &shop(free_ports::<3>(), "0s"));
    server.ok(&["apply", &file]);
    let token = make_token(&server, Role::Viewer);
    let headers = [("authorization", bearer(&token))];
    let headers: Vec<(&'static str, &str)> =
        headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut socket = open(&server, &headers).await.expect("let in");
    say(&mut socket, json!({"subscribe": {"topic": "deployment/1"}})).await;
    let refused = hear(&mut socket).await.expect("a frame");
    assert!(
        matches!(refused, ServerFrame::Refused { topic: Topic::Deployment(DeploymentId(1)), .. }),
        "{refused:?}"
    );
    say(&mut socket, json!({"unsubscribe": {"topic": "deployment/1"}})).await;

    server.ok(&["deploy"]);
    say(&mut socket, json!({"subscribe": {"topic": "deployment/1"}})).await;
    let mut detail: Option<DeploymentDetail> = None;
    let mut places: Vec<Place> = Vec::new();
    loop {
        match hear(&mut socket).await.expect("a frame") {
            ServerFrame::Snapshot { place, body: Snapshot::Deployment(whole), .. } => {
                detail = Some(whole);
                places.push(place);
            }
            ServerFrame::Patch { place, body: Patch::Deployment(patch), .. } => {
                detail.as_mut().expect("a snapshot comes first").apply(patch);
                places.push(place);
            }
            ServerFrame::Refused { .. } => {}
            other => panic!("{other:?}"),
        }
        if detail.as_ref().is_some_and(|detail| detail.summary.phase.is_final()) {
            break;
        }
    }
    let told = detail.expect("told");
    assert_eq!(told.summary.phase, Phase::Succeeded);
    assert_eq!(told.steps, server.detail(1).steps, "patches lead to the same as asking");
    let seqs: Vec<u64> = places.iter().map(|place| place.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "no gap, nothing twice: {seqs:?}");

    // A page that comes back hears only what it missed.
    let from = places[places.len() - 2];
    drop(socket);
    let mut socket = open(&server, &headers).await.expect("let in");
    say(&mut socket, json!({"subscribe": {"topic": "deployment/1", "from": from}})).await;
    assert!(matches!(hear(&mut socket).await, Ok(ServerFrame::Resume { place, .. }) if place == from));
    assert!(
        matches!(hear(&mut socket).await, Ok(ServerFrame::Patch { place, .. }) if place.seq == from.seq + 1)
    );
    // What another run of the server counted means nothing now.
    say(&mut socket, json!({"unsubscribe": {"topic": "deployment/1"}})).await;
    let foreign = Place { generation: from.generation + 1, seq: from.seq };
    say(&mut socket, json!({"subscribe": {"topic": "deployment/1", "from": foreign}})).await;
    assert!(matches!(hear(&mut socket).await, Ok(ServerFrame::Snapshot { .. })));

    // The same by asking.
    let asked: Value = server
        .http
        .post(format!("{}/api/v1/deployment/monitor", server.url()))
        .bearer_auth(&token)
        .json(&json!({"topics": [{"topic": "deployment/1", "from": from}, {"topic": "overview"}]}))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let frames: Vec<ServerFrame> = serde_json::from_value(asked["frames"].clone()).expect("frames");
    assert!(matches!(frames[0], ServerFrame::Patch { place, .. } if place.seq == from.seq + 1), "{frames:?}");
    let ServerFrame::Snapshot { body: Snapshot::Overview(overview), .. } = &frames[1] else {
        panic!("{frames:?}")
    };
    assert_eq!(overview.cells.len(), 3);
    assert_eq!(overview.deployments[0].summary.id, DeploymentId(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_for_those_who_may_see_and_for_our_own_pages() {
    let server = Lockstep::start();
    let anonymous = open(&server, &[]).await.expect_err("nobody is let in without a name");
    assert_eq!(status(&anonymous), 401);
    let cookie = server.sign_in("anna", Role::Viewer).await;
    let foreign = open(&server, &[("cookie", &cookie), ("origin", "https://evil.example.com")]).await;
    assert_eq!(status(&foreign.expect_err("a page elsewhere is not let in")), 403);
    let silent = open(&server, &[("cookie", &cookie)]).await;
    assert_eq!(status(&silent.expect_err("a browser says where it comes from")), 403);
    let url = server.url();
    let mut socket = open(&server, &[("cookie", &cookie), ("origin", &url)]).await.expect("let in");
    say(&mut socket, json!({"subscribe": {"topic": "overview"}})).await;
    assert!(matches!(hear(&mut socket).await, Ok(ServerFrame::Snapshot { .. })));
    // Switched off: the socket ends within five seconds, with a code that says why.
    let began = std::time::Instant::now();
    server.ok(&["user", "change", "anna", "--enabled", "false"]);
    assert_eq!(hear(&mut socket).await, Err(4401));
    println!("ended {} ms after the change", began.elapsed().as_millis());
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_a_session_that_ends_and_a_token_that_is_revoked_end_their_sockets() {
    let server = Lockstep::start();
    let (url, cookie) = (server.url(), server.sign_in("anna", Role::Viewer).await);
    let mut of_session = open(&server, &[("cookie", &cookie), ("origin", &url)]).await.expect("let in");
    let token: Value =
        serde_json::from_str(&server.ok(&["token", "add", "watcher", "--role", "viewer", "--json"]))
            .expect("JSON");
    let secret = token["secret"].as_str().expect("a secret");
    let mut of_token = open(&server, &[("authorization", &bearer(secret))]).await.expect("let in");
    for socket in [&mut of_session, &mut of_token] {
        say(socket, json!({"subscribe": {"topic": "overview"}})).await;
        assert!(matches!(hear(socket).await, Ok(ServerFrame::Snapshot { .. })));
    }
    let out =
        server.http.post(format!("{url}/session/sign_out")).header("cookie", &cookie).header("origin", &url);
    assert!(out.send().await.expect("an answer").status().as_u16() < 400);
    assert_eq!(hear(&mut of_session).await, Err(4401));
    server.ok(&["token", "revoke", token["token"]["id"].as_str().expect("an id")]);
    assert_eq!(hear(&mut of_token).await, Err(4401));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_asks_is_answered_and_made_up_deployments_take_no_room() {
    let server = Lockstep::start();
    let token = bearer(&server.token());
    let mut socket = open(&server, &[("authorization", &token)]).await.expect("let in");
    // The first two signs of life come by themselves.
    for _ in 0..4 {
        say(&mut socket, json!({"ping": {"active": true}})).await;
    }
    let mut pings = 0;
    while pings < 5 {
        let message = timeout(Duration::from_secs(5), socket.next()).await.expect("an answer comes at once");
        let Some(Ok(Message::Text(text))) = message else { panic!("{message:?}") };
        pings += usize::from(matches!(serde_json::from_str(&text), Ok(ServerFrame::Ping { .. })));
    }
    // Far more than there is room for: none of them keeps others from hearing. A socket of its own for each
    // few of them, as one that says so much at once is cut.
    for first in (1..=600).step_by(8) {
        if first % 80 == 1 {
            socket = open(&server, &[("authorization", &token)]).await.expect("let in");
        }
        let ids: Vec<i64> = (first..first + 8).collect();
        for id in &ids {
            say(&mut socket, json!({"subscribe": {"topic": format!("deployment/{id}")}})).await;
            assert!(matches!(hear(&mut socket).await, Ok(ServerFrame::Refused { .. })));
        }
        for id in &ids {
            say(&mut socket, json!({"unsubscribe": {"topic": format!("deployment/{id}")}})).await;
        }
    }
    say(&mut socket, json!({"subscribe": {"topic": "overview"}})).await;
    assert!(matches!(hear(&mut socket).await, Ok(ServerFrame::Snapshot { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_what_is_no_frame_ends_the_socket_and_nothing_else() {
    let server = Lockstep::start();
    let token = bearer(&server.token());
    for wrong in [
        "{",
        "[]",
        r#"{"subscribe":{"topic":"users"}}"#,
        r#"{"subscribe":{"topic":"overview","x":1}}"#,
        r#"{"shout":{}}"#,
    ] {
        let mut socket = open(&server, &[("authorization", &token)]).await.expect("let in");
        socket.send(Message::text(wrong)).await.expect("sent");
        assert_eq!(hear(&mut socket).await, Err(1008), "{wrong}");
    }
    let mut socket = open(&server, &[("authorization", &token)]).await.expect("let in");
    // The server may have hung up before the whole of it is written.
    let is_sent = socket.send(Message::text("x".repeat(1 << 20))).await.is_ok();
    assert!(!is_sent || hear(&mut socket).await.is_err(), "a frame of a megabyte is not read");
    let mut socket = open(&server, &[("authorization", &token)]).await.expect("let in");
    for _ in 0..1_000 {
        // The server may have hung up before the last of them.
        if socket.send(Message::text(r#"{"ping":{"active":false}}"#)).await.is_err() {
            break;
        }
    }
    let cut = hear(&mut socket).await;
    assert!(matches!(cut, Err(1008 | 0)), "a thousand frames at once: {cut:?}");
    let mut socket = open(&server, &[("authorization", &token)]).await.expect("let in");
    for id in 0..17 {
        say(&mut socket, json!({"subscribe": {"topic": format!("log/{id}")}})).await;
    }
    let mut end = hear(&mut socket).await;
    while end.is_ok() {
        end = hear(&mut socket).await;
    }
    assert_eq!(end, Err(1008), "more topics than a page has");
    let mut socket = open(&server, &[("authorization", &token)]).await.expect("let in");
    say(&mut socket, json!({"subscribe": {"topic": "overview"}})).await;
    assert!(matches!(hear(&mut socket).await, Ok(ServerFrame::Snapshot { .. })), "the others are served");
}
