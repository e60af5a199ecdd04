//! The connection to the coordinator: dialled again within a second whenever it is lost, with what
//! `connect.json` says at that moment.

use crate::{dispatch::Dispatch, outbox::Outbox};
use futures_util::{SinkExt, StreamExt};
use lockstep_model::{
    AgentName,
    wire::{AgentFrame, CoordinatorFrame, FRAME_BYTES_MAX, PROTOCOL},
};
use serde::{Deserialize, Serialize};
use std::{path::Path, time::Duration};
use tokio::time::{interval, sleep, timeout};
use tokio_tungstenite::{
    connect_async_with_config,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        http::{HeaderValue, header::AUTHORIZATION},
        protocol::WebSocketConfig,
    },
};

const PAUSE_LEAST: Duration = Duration::from_millis(50);
const PAUSE_MOST: Duration = Duration::from_millis(800);
const ALIVE_EVERY: Duration = Duration::from_secs(3);
/// A coordinator that says nothing for so long is gone; it pings every few seconds.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Where the coordinator is and who the agent is there; the content of `connect.json` in the
/// agent's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// The coordinator's socket, as `ws://127.0.0.1:3000/agent`.
    pub url: String,
    /// The secret that lets the agent in.
    pub token: String,
    /// The installation it belongs to.
    pub installation: String,
    /// Its name there.
    pub agent: AgentName,
}

/// Why the agent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    /// Whether services and gateway end too.
    pub(crate) services: bool,
}

/// Stays connected until told to end.
pub(crate) async fn stay(dir: &Path, dispatch: &Dispatch) -> Told {
    let mut pause = PAUSE_LEAST;
    let mut said = String::new();
    loop {
        match once(dir, dispatch).await {
            Ok(Some(told)) => return told,
            Ok(None) => {
                tracing::info!("the connection to the coordinator was lost");
                (pause, said) = (PAUSE_LEAST, String::new());
            }
            Err(problem) => {
                // A coordinator may be away for days: one line for each new problem is enough.
                if problem != said {
                    tracing::warn!("no connection to the coordinator, trying again: {problem}");
                    said = problem;
                }
                pause = (pause * 2).min(PAUSE_MOST);
            }
        }
        sleep(pause).await;
    }
}

async fn once(dir: &Path, dispatch: &Dispatch) -> Result<Option<Told>, String> {
    let file = dir.join("connect.json");
    let text = tokio::fs::read(&file).await.map_err(|error| format!("{}: {error}", file.display()))?;
    let connect: Connect =
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut request = connect.url.as_str().into_client_request().map_err(|error| error.to_string())?;
    let bearer =
        HeaderValue::from_str(&format!("Bearer {}", connect.token)).map_err(|error| error.to_string())?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let dialled = timeout(SILENCE_MAX, connect_async_with_config(request, Some(config), true)).await;
    let (socket, _) =
        dialled.map_err(|_| "it does not answer".to_owned())?.map_err(|error| error.to_string())?;
    let (mut writer, mut reader) = socket.split();
    let hello = AgentFrame::Hello {
        installation: connect.installation,
        agent: connect.agent,
        protocol: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
    };
    writer.send(text_of(&hello)).await.map_err(|error| error.to_string())?;
    match next(&mut reader).await? {
        Some(CoordinatorFrame::Welcome { protocol }) if protocol == PROTOCOL => {}
        Some(CoordinatorFrame::Rejected { message }) => return Err(message),
        other => return Err(format!("it does not speak protocol {PROTOCOL}: {other:?}")),
    }
    tracing::info!("connected to the coordinator at {}", connect.url);
    let outbox: &Outbox = &dispatch.outbox;
    let mut frames = outbox.connected();
    dispatch.resend();
    let write = async {
        let mut alive = interval(ALIVE_EVERY);
        loop {
            let frame = tokio::select! {
                frame = frames.recv() => frame.unwrap_or(AgentFrame::Alive),
                _ = alive.tick() => AgentFrame::Alive,
            };
            if writer.send(text_of(&frame)).await.is_err() {
                return;
            }
        }
    };
    let read = async {
        while let Ok(Some(frame)) = next(&mut reader).await {
            match frame {
                CoordinatorFrame::Order(order) => dispatch.order(order),
                CoordinatorFrame::CancelBelow { prefix, deployment, epoch } => {
                    dispatch.cancel_below(prefix, deployment, epoch);
                }
                CoordinatorFrame::Ack { key } => dispatch.acknowledged(key).await,
                CoordinatorFrame::Shutdown { services } => return Some(Told { services }),
                CoordinatorFrame::Welcome { .. } | CoordinatorFrame::Rejected { .. } => {}
            }
        }
        None
    };
    Ok(tokio::select! {
        () = write => None,
        told = read => told,
    })
}

fn text_of(frame: &AgentFrame) -> Message {
    Message::text(serde_json::to_string(frame).expect("frames have a JSON form"))
}

async fn next<S>(reader: &mut S) -> Result<Option<CoordinatorFrame>, String>
where
    S: StreamExt<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin,
{
    loop {
        let message = timeout(SILENCE_MAX, reader.next()).await.map_err(|_| "it fell silent".to_owned())?;
        match message {
            None | Some(Ok(Message::Close(_))) => return Ok(None),
            Some(Err(error)) => return Err(error.to_string()),
            Some(Ok(Message::Text(text))) => {
                return serde_json::from_str(&text).map(Some).map_err(|error| {
                    tracing::error!("a frame of the coordinator was not understood: {error}");
                    error.to_string()
                });
            }
            Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
        }
    }
}
