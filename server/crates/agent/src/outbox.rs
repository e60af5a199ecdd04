//! Frames to the coordinator: whatever connection there is now. Nothing waits here for a
//! connection; what matters is in the ledger and in the runs' folders and is sent again.

use lockstep_model::wire::AgentFrame;
use tokio::sync::{mpsc, watch};

/// How many frames may wait for the socket; a coordinator that does not read is disconnected.
pub(crate) const FRAMES_MAX: usize = 1_024;

/// A connection, numbered; what was sent on an earlier one may be lost.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) number: u64,
    frames: mpsc::Sender<AgentFrame>,
}

impl Line {
    /// Sends a frame; false when this connection is over.
    pub(crate) async fn send(&self, frame: AgentFrame) -> bool {
        self.frames.send(frame).await.is_ok()
    }
}

/// The present connection, if any.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(watch::Sender<Option<Line>>);

impl Outbox {
    pub(crate) fn new() -> Self {
        Self(watch::channel(None).0)
    }

    /// A new connection takes over.
    pub(crate) fn connected(&self) -> mpsc::Receiver<AgentFrame> {
        let (frames, receiver) = mpsc::channel(FRAMES_MAX);
        self.0.send_modify(|line| {
            let number = line.as_ref().map_or(0, |line| line.number) + 1;
            *line = Some(Line { number, frames });
        });
        receiver
    }

    /// The present connection, once there is one with a number above `after`.
    pub(crate) async fn line(&self, after: u64) -> Line {
        let mut lines = self.0.subscribe();
        loop {
            lines.mark_unchanged();
            if let Some(line) = self.newer(after).filter(|line| !line.frames.is_closed()) {
                return line;
            }
            if lines.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The present connection, if its number is above `after`.
    pub(crate) fn newer(&self, after: u64) -> Option<Line> {
        self.0.borrow().clone().filter(|line| line.number > after)
    }

    /// Sends a frame now if there is a connection; otherwise it is dropped, and whoever needs it
    /// again asks.
    pub(crate) fn offer(&self, frame: AgentFrame) {
        let line = self.0.borrow().clone();
        if let Some(line) = line {
            let _ = line.frames.try_send(frame);
        }
    }
}
