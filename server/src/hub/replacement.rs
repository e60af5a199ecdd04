//! One agent takes the place of another: over real sockets, as agents of another version, a second one
//! under the same name, and strangers meet the coordinator.

use super::tests::{hub, order};
use super::*;
use axum::{
    Router,
    extract::{State as Shared, ws::WebSocketUpgrade},
    http::HeaderMap,
    routing::get,
};
use futures_util::{SinkExt, StreamExt};
use lockstep_model::wire::{Exit, PROTOCOL};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

/// A wait that only ends a test that would hang.
const AT_MOST: Duration = Duration::from_secs(30);

async fn door(hub: &Hub) -> String {
    let accept = async |Shared(hub): Shared<Hub>, headers: HeaderMap, upgrade: WebSocketUpgrade| {
        hub.accept(&headers, upgrade)
    };
    let router = Router::new().route("/agent", get(accept)).with_state(hub.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("ws://{address}/agent")
}

struct Agent(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Agent {
    /// Dials and greets; what the coordinator answers.
    async fn dial(hub: &Hub, door: &str, (pid, protocol): (u32, u32), to: &str) -> (Self, CoordinatorFrame) {
        let mut request = door.into_client_request().expect("an address");
        let bearer = HeaderValue::from_str(&format!("Bearer {}", hub.token())).expect("ASCII");
        request.headers_mut().insert("authorization", bearer);
        let (socket, _) = connect_async(request).await.expect("let in");
        let mut agent = Self(socket);
        let hello = AgentFrame::Hello {
            installation: to.to_owned(),
            agent: "local".parse().expect("valid"),
            protocol,
            version: format!("{pid}.0.0"),
            pid,
        };
        agent.say(&hello).await;
        let answer = agent.hears().await.expect("an answer");
        (agent, answer)
    }

    async fn say(&mut self, frame: &AgentFrame) {
        let text = serde_json::to_string(frame).expect("JSON");
        self.0.send(Message::text(text)).await.expect("sent");
    }

    /// The next frame; none when the connection has ended.
    async fn hears(&mut self) -> Option<CoordinatorFrame> {
        loop {
            match timeout(AT_MOST, self.0.next()).await.expect("an answer or an end") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).expect("a frame")),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(_) | None => return None,
            }
        }
    }

    async fn hears_order(&mut self) -> OrderFrame {
        match self.hears().await {
            Some(CoordinatorFrame::Order(frame)) => frame,
            other => panic!("{other:?}"),
        }
    }

    async fn did(&mut self, key: &str, tail: &str) {
        let outcome = done(tail);
        self.say(&AgentFrame::Outcome { key: OrderKey(key.to_owned()), outcome }).await;
    }
}

fn done(tail: &str) -> Outcome {
    Outcome::Exited { exit: Exit::Code { code: 0 }, tail: tail.to_owned() }
}

fn ordered(hub: &Hub, key: &str) -> tokio::task::JoinHandle<Result<Outcome, HostError>> {
    let (hub, order) = (hub.clone(), order(key));
    tokio::spawn(async move { hub.order(order).await })
}

#[tokio::test]
async fn of_two_agents_the_one_that_came_last_has_the_orders_and_the_other_is_let_go() {
    let hub = hub();
    let door = door(&hub).await;
    let (mut first, welcome) = Agent::dial(&hub, &door, (1, PROTOCOL), "test").await;
    assert_eq!(welcome, CoordinatorFrame::Welcome { protocol: PROTOCOL });
    let answer = ordered(&hub, "d1/a.replace/1/deploy");
    let told = first.hears_order().await;

    let (mut second, _) = Agent::dial(&hub, &door, (2, PROTOCOL), "test").await;
    assert_eq!(second.hears_order().await, told, "the same key and epoch, so that it is done once");
    assert_eq!(first.hears().await, None, "nobody else is told anything");
    let seen = hub.connected().borrow().clone().expect("somebody is there");
    assert_eq!((seen.pid, seen.version.as_str()), (2, "2.0.0"));

    // What comes after goes to one of them, and an outcome counts once.
    second.did("d1/a.replace/1/deploy", "by the second").await;
    assert_eq!(answer.await.expect("answered").ok(), Some(done("by the second")));
    let answer = ordered(&hub, "d1/b.replace/1/deploy");
    let acknowledged = second.hears().await;
    assert!(matches!(acknowledged, Some(CoordinatorFrame::Ack { .. })), "{acknowledged:?}");
    assert_eq!(second.hears_order().await.key.0, "d1/b.replace/1/deploy");
    second.did("d1/b.replace/1/deploy", "once").await;
    second.did("d1/b.replace/1/deploy", "twice").await;
    assert_eq!(answer.await.expect("answered").ok(), Some(done("once")));
    assert_eq!(hub.connected().borrow().as_ref().map(|agent| agent.pid), Some(2));
}

#[tokio::test]
async fn an_agent_of_the_protocol_before_is_ended_without_an_order_and_the_next_one_gets_it() {
    let hub = hub();
    let door = door(&hub).await;
    let answer = ordered(&hub, "d1/a.replace/1/deploy");
    let (mut old, welcome) = Agent::dial(&hub, &door, (1, PROTOCOL - 1), "test").await;
    assert_eq!(welcome, CoordinatorFrame::Welcome { protocol: PROTOCOL - 1 }, "in its own words");
    assert_eq!(old.hears().await, Some(CoordinatorFrame::Shutdown { services: false }), "services go on");
    assert_eq!(*hub.connected().borrow(), None, "it carries out nothing");
    drop(old);
    let (mut new, _) = Agent::dial(&hub, &door, (2, PROTOCOL), "test").await;
    assert_eq!(new.hears_order().await.key.0, "d1/a.replace/1/deploy");
    new.did("d1/a.replace/1/deploy", "by the new one").await;
    assert_eq!(answer.await.expect("answered").ok(), Some(done("by the new one")));
}

#[tokio::test]
async fn strangers_are_sent_away_and_whoever_is_there_stays() {
    let hub = hub();
    let door = door(&hub).await;
    let (mut ours, _) = Agent::dial(&hub, &door, (1, PROTOCOL), "test").await;
    for (protocol, installation) in [(PROTOCOL, "another"), (PROTOCOL + 1, "test"), (PROTOCOL - 2, "test")] {
        let (mut stranger, answer) = Agent::dial(&hub, &door, (9, protocol), installation).await;
        assert!(matches!(answer, CoordinatorFrame::Rejected { .. }), "{answer:?}");
        assert_eq!(stranger.hears().await, None);
    }
    let answer = ordered(&hub, "d1/a.replace/1/deploy");
    assert_eq!(ours.hears_order().await.key.0, "d1/a.replace/1/deploy");
    ours.did("d1/a.replace/1/deploy", "ours").await;
    assert_eq!(answer.await.expect("answered").ok(), Some(done("ours")));
    assert_eq!(hub.connected().borrow().as_ref().map(|agent| agent.pid), Some(1));
}
