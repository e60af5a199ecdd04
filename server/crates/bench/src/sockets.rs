//! Many listeners at once: how long after it happened each of them heard of it.

use futures_util::{SinkExt, StreamExt};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

/// Sockets that are opened at a time.
const OPENING: usize = 64;

/// Opens so many sockets, listens to a topic for a while, and prints how old news were when they came.
/// Says `ready` once all listen.
pub fn listen(url: &str, token: &str, count: usize, topic: &str, seconds: u64) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let ages = Arc::new(Mutex::new(Vec::<i64>::new()));
        let gate = Arc::new(tokio::sync::Semaphore::new(OPENING));
        let ready = Arc::new(tokio::sync::Barrier::new(count + 1));
        let end = Instant::now() + Duration::from_secs(seconds + 60);
        let tasks: Vec<_> = (0..count)
            .map(|_| {
                let (url, token, topic) = (url.to_owned(), token.to_owned(), topic.to_owned());
                let (ages, gate, ready) = (ages.clone(), gate.clone(), ready.clone());
                tokio::spawn(async move {
                    let permit = gate.acquire().await?;
                    let mut request = url.into_client_request()?;
                    let bearer = HeaderValue::from_str(&format!("Bearer {token}"))?;
                    request.headers_mut().insert("authorization", bearer);
                    let (mut socket, _) = connect_async(request).await?;
                    socket
                        .send(Message::text(format!("{{\"subscribe\":{{\"topic\":\"{topic}\"}}}}")))
                        .await?;
                    drop(permit);
                    let mut is_begun = false;
                    while let Ok(Some(frame)) = timeout_at(end, socket.next()).await {
                        let Message::Text(text) = frame? else { continue };
                        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
                        if text.starts_with("{\"snapshot\"") && !is_begun {
                            is_begun = true;
                            ready.wait().await;
                        } else if text.starts_with("{\"patch\"")
                            && let Some(at) = newest(&text)
                        {
                            let age = i64::try_from(now)? - at;
                            ages.lock().unwrap_or_else(PoisonError::into_inner).push(age);
                        }
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        ready.wait().await;
        println!("ready");
        sleep(Duration::from_secs(seconds)).await;
        for task in &tasks {
            task.abort();
        }
        let mut ages = ages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ages.sort_unstable();
        let at = |percent: usize| ages.get((ages.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let (p50, p95, p99) = (at(50), at(95), at(99));
        println!(
            "{}",
            serde_json::json!({ "frames": ages.len(), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99 })
        );
        Ok(())
    })
}

/// The newest time at which a step began or ended, in a patch of a deployment.
fn newest(text: &str) -> Option<i64> {
    let times = |name: &str| -> Option<i64> {
        text.match_indices(name)
            .filter_map(|(at, _)| {
                let digits: String =
                    text[at + name.len()..].chars().take_while(char::is_ascii_digit).collect();
                digits.parse().ok()
            })
            .max()
    };
    times("\"started_at\":").max(times("\"finished_at\":"))
}
