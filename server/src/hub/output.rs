//! Output of commands, from pieces as they arrive to lines as they are kept. An order's outcome is
//! acknowledged to the agent only when its lines are kept, so that an agent sends again what a
//! crash lost here; a line that arrives twice is kept once.

use lockstep_engine::port::{Clock, LogRow, LogStore};
use lockstep_model::{
    DeploymentId,
    wire::{CoordinatorFrame, OrderKey},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

/// Pieces that wait to be kept; beyond it the agent's connection is read no further.
const PIECES_MAX: usize = 1_024;
/// A line that is longer is cut into several.
const LINE_BYTES_MAX: usize = 8_192;
/// Lines that are kept at a time.
const BATCH_MAX: usize = 500;
/// How often keeping is tried on a full disk before lines are dropped.
const TRIES_MAX: u32 = 5;

enum Piece {
    Text { key: OrderKey, offset: u64, text: String },
    End { key: OrderKey, ack: Option<mpsc::Sender<CoordinatorFrame>> },
}

/// Keeps output.
pub(super) struct Output {
    pieces: mpsc::Sender<Piece>,
}

impl Output {
    pub(super) fn new(logs: Arc<dyn LogStore>, clock: Arc<dyn Clock>) -> Self {
        let (pieces, receiver) = mpsc::channel(PIECES_MAX);
        tokio::spawn(keep(receiver, logs, clock));
        Self { pieces }
    }

    pub(super) async fn text(&self, key: OrderKey, offset: u64, text: String) {
        // The keeper ends only with the process.
        let _ = self.pieces.send(Piece::Text { key, offset, text }).await;
    }

    /// The order has ended: what is left of its output is kept, then `ack` is told.
    pub(super) async fn end(&self, key: OrderKey, ack: Option<mpsc::Sender<CoordinatorFrame>>) {
        let _ = self.pieces.send(Piece::End { key, ack }).await;
    }
}

async fn keep(mut pieces: mpsc::Receiver<Piece>, logs: Arc<dyn LogStore>, clock: Arc<dyn Clock>) {
    let mut open: HashMap<OrderKey, Lines> = HashMap::new();
    let mut batch = Vec::new();
    while pieces.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let mut rows = Vec::new();
        let mut acks = Vec::new();
        for piece in batch.drain(..) {
            match piece {
                Piece::Text { key, offset, text } => {
                    let lines = open.entry(key.clone()).or_default();
                    lines.add(offset, &text, |offset, text| rows.extend(row(&key, offset, text, &*clock)));
                }
                Piece::End { key, ack } => {
                    if let Some(lines) = open.remove(&key) {
                        lines.end(|offset, text| rows.extend(row(&key, offset, text, &*clock)));
                    }
                    acks.extend(ack.map(|ack| (ack, key)));
                }
            }
        }
        if append(&*logs, &rows).await {
            for (ack, key) in acks {
                // A connection that is gone is made anew, and the outcome comes again.
                let _ = timeout(Duration::from_secs(1), ack.send(CoordinatorFrame::Ack { key })).await;
            }
        }
    }
}

async fn append(logs: &dyn LogStore, rows: &[LogRow]) -> bool {
    let mut tries = 0;
    for batch in rows.chunks(BATCH_MAX) {
        while let Err(error) = logs.log_append(batch).await {
            tries += 1;
            if tries >= TRIES_MAX {
                tracing::error!("{} lines of output were not kept: {error}", batch.len());
                return false;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
    true
}

fn row(key: &OrderKey, offset: u64, text: &str, clock: &dyn Clock) -> Option<LogRow> {
    let (deployment, step) = place(key)?;
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    Some(LogRow { deployment, step, order: key.clone(), offset, at: clock.now(), text: text.to_owned() })
}

/// Whose output it is: `d12/backend.prepare/1/start` and `d12/undo/backend.prepare/1/stop`.
fn place(key: &OrderKey) -> Option<(DeploymentId, String)> {
    let mut parts = key.0.split('/');
    let deployment = parts.next()?.strip_prefix('d')?.parse().ok()?;
    let step = parts.next().filter(|part| *part != "undo").or_else(|| parts.next())?;
    Some((deployment, step.to_owned()))
}

/// Pieces of one order's output on their way to lines.
#[derive(Default)]
struct Lines {
    /// Begin of a line whose end has not come yet, and its place.
    begun: String,
    begun_at: u64,
    next: u64,
}

impl Lines {
    fn add(&mut self, offset: u64, text: &str, mut line: impl FnMut(u64, &str)) {
        if offset != self.next {
            // Sent again from the beginning; lines that are kept already are kept once.
            self.begun.clear();
        }
        let mut at = offset;
        for part in text.split_inclusive('\n') {
            if self.begun.is_empty() {
                self.begun_at = at;
            }
            self.begun.push_str(part);
            at += part.len() as u64;
            if part.ends_with('\n') || self.begun.len() >= LINE_BYTES_MAX {
                line(self.begun_at, self.begun.trim_end_matches(['\n', '\r']));
                self.begun.clear();
            }
        }
        self.next = at;
    }

    fn end(self, mut line: impl FnMut(u64, &str)) {
        if !self.begun.is_empty() {
            line(self.begun_at, &self.begun);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d16_an_orders_key_tells_deployment_and_step() {
        let place = |key: &str| place(&OrderKey(key.to_owned()));
        assert_eq!(place("d12/backend.prepare/1/start"), Some((DeploymentId(12), "backend.prepare".into())));
        assert_eq!(place("d3/undo/web.shift/2/route"), Some((DeploymentId(3), "web.shift".into())));
        assert_eq!(place("ask/c1/digest/4"), None);
    }

    #[test]
    fn pieces_become_lines_and_what_comes_again_has_the_same_place() {
        let mut lines = Lines::default();
        let mut kept = Vec::new();
        let mut keep = |offset, text: &str| kept.push((offset, text.to_owned()));
        lines.add(0, "one\ntw", &mut keep);
        lines.add(6, "o\r\nthr", &mut keep);
        lines.add(0, "one\ntwo\r\n", &mut keep);
        lines.add(9, "three", &mut keep);
        lines.end(&mut keep);
        let expected = [(0, "one"), (4, "two"), (0, "one"), (4, "two"), (9, "three")];
        assert_eq!(kept, expected.map(|(offset, text)| (offset, text.to_owned())));
    }

    #[test]
    fn f9_output_without_an_end_of_line_is_cut_into_lines_and_takes_no_room() {
        let mut lines = Lines::default();
        let piece = "x".repeat(1_000);
        let (mut count, mut longest) = (0, 0);
        for number in 0..100_000 {
            lines.add(number * 1_000, &piece, |_, text| {
                count += 1;
                longest = longest.max(text.len());
            });
            assert!(lines.begun.capacity() <= 4 * LINE_BYTES_MAX);
        }
        assert!(longest < LINE_BYTES_MAX + piece.len(), "{longest}");
        assert!(count >= 100_000 * 1_000 / (LINE_BYTES_MAX + 1_000), "{count}");
    }
}
