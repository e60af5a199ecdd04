//! One connection of an agent: let in by the token, greeted, pinged, ended when it falls silent.

use super::{Connected, Hub};
use crate::secret;
use axum::{
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse, Response},
};
use futures_util::{SinkExt, StreamExt};
use lockstep_model::wire::{AgentFrame, CoordinatorFrame, FRAME_BYTES_MAX, PROTOCOL};
use std::time::Duration;
use tokio::time::{interval, timeout};

/// The agent counts a coordinator that is silent for 15 s as gone.
const PING_EVERY: Duration = Duration::from_secs(3);
/// An agent says something every 3 s.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// An agent that may come in.
struct Greeted {
    agent: Connected,
    protocol: u32,
}

impl Hub {
    /// Lets an agent in, when it shows the token.
    pub fn accept(&self, headers: &HeaderMap, upgrade: WebSocketUpgrade) -> Response {
        let bearer = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        if !bearer.is_some_and(|bearer| secret::same(bearer, self.token())) {
            return (StatusCode::UNAUTHORIZED, "this is the agents' door, and the token is not valid\n")
                .into_response();
        }
        let hub = self.clone();
        upgrade
            .max_message_size(FRAME_BYTES_MAX)
            .max_frame_size(FRAME_BYTES_MAX)
            .on_upgrade(move |socket| async move { hub.serve(socket).await })
    }

    async fn serve(&self, mut socket: WebSocket) {
        let agent = match self.greet(&mut socket).await {
            Ok(agent) => agent,
            Err(message) => {
                tracing::warn!("an agent was not let in: {message}");
                // It may be gone already.
                let _ = socket.send(text_of(&CoordinatorFrame::Rejected { message })).await;
                return;
            }
        };
        let Greeted { agent, protocol } = agent;
        if socket.send(text_of(&CoordinatorFrame::Welcome { protocol })).await.is_err() {
            return;
        }
        if protocol != PROTOCOL {
            tracing::info!(
                agent.pid = agent.pid,
                "agent {} speaks the protocol before this one; it is replaced, what it keeps goes on",
                agent.pid
            );
            let _ = socket.send(text_of(&CoordinatorFrame::Shutdown { services: false })).await;
            // Until it has ended: what it says meanwhile is in its ledger and is said again.
            while next(&mut socket).await.is_some() {}
            return;
        }
        tracing::info!(agent.pid = agent.pid, "agent {} connected, process {}", agent.version, agent.pid);
        let (number, mut frames) = self.0.attach(agent);
        let (mut writer, mut reader) = socket.split();
        let write = async {
            let mut ping = interval(PING_EVERY);
            loop {
                let message = tokio::select! {
                    frame = frames.recv() => match frame {
                        Some(frame) => text_of(&frame),
                        None => return,
                    },
                    _ = ping.tick() => Message::Ping(axum::body::Bytes::new()),
                };
                if writer.send(message).await.is_err() {
                    return;
                }
            }
        };
        let read = async {
            while let Some(frame) = next(&mut reader).await {
                self.0.received(frame, number).await;
            }
        };
        tokio::select! {
            () = write => {},
            () = read => {},
        }
        self.0.detach(number);
        tracing::info!("the agent's connection has ended");
    }

    async fn greet(&self, socket: &mut WebSocket) -> Result<Greeted, String> {
        let Some(AgentFrame::Hello { installation, protocol, version, pid, .. }) = next(socket).await else {
            return Err("it did not greet".to_owned());
        };
        if installation != self.installation() {
            return Err(
                "this agent belongs to another installation; stop it with `lockstep stop --all` there"
                    .to_owned(),
            );
        }
        if protocol != PROTOCOL && protocol + 1 != PROTOCOL {
            return Err(format!("the agent speaks protocol {protocol}, this coordinator {PROTOCOL}"));
        }
        Ok(Greeted { agent: Connected { pid, version }, protocol })
    }
}

fn text_of(frame: &CoordinatorFrame) -> Message {
    Message::text(serde_json::to_string(frame).expect("frames have a JSON form"))
}

/// The next frame; none when the connection has ended, fell silent or is not understood.
async fn next<S>(reader: &mut S) -> Option<AgentFrame>
where
    S: StreamExt<Item = Result<Message, axum::Error>> + Unpin,
{
    loop {
        match timeout(SILENCE_MAX, reader.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => match serde_json::from_str(&text) {
                Ok(frame) => return Some(frame),
                Err(error) => {
                    tracing::error!("a frame of the agent was not understood: {error}");
                    return None;
                }
            },
            Ok(Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_)))) => {}
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) | Err(_) => return None,
        }
    }
}
