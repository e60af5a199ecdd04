//! The output of a deployment's steps: its end, then what comes.

use super::{Change, Changes, Look, Source};
use crate::backend::{Services, store};
use app::AppError;
use async_trait::async_trait;
use lockstep_engine::port::LogPart;
use lockstep_model::{
    DeploymentId,
    api::LogPage,
    error::ErrorKind,
    live::{LogTail, Snapshot},
};
use tokio::sync::watch;

/// Lines that a page begins with; earlier ones are asked for.
const TAIL_LINES: u32 = 500;
/// Lines of one frame.
const FRAME_LINES: u32 = 1_000;

pub(super) struct Log {
    services: Services,
    id: DeploymentId,
    tail: Option<LogTail>,
    after: i64,
    news: watch::Receiver<u64>,
}

impl Log {
    pub(super) fn new(services: Services, id: DeploymentId) -> Self {
        let news = services.lines.subscribe();
        Self { services, id, tail: None, after: 0, news }
    }
}

#[async_trait]
impl Source for Log {
    async fn look(&mut self) -> Result<Look, AppError> {
        let logs = &self.services.logs;
        let Some(tail) = &mut self.tail else {
            if self.services.store.deployment_fetch(self.id).await.map_err(store)?.is_none() {
                return Err(AppError::new(
                    ErrorKind::NotFound,
                    format!("there is no deployment {}", self.id),
                ));
            }
            let page =
                logs.log_read(self.id, None, LogPart::Before(i64::MAX), TAIL_LINES).await.map_err(store)?;
            let before = match page.lines.first() {
                Some(first) if page.more => logs.log_count(self.id, first.cursor).await.map_err(store)?,
                Some(_) | None => 0,
            };
            self.after = page.lines.last().map_or(0, |line| line.cursor);
            let tail = LogTail { lines: page.lines, before, removed: page.removed };
            self.tail = Some(tail.clone());
            return Ok(Look { whole: Snapshot::Log(tail), changes: Changes::Anew });
        };
        let mut changes = Vec::new();
        loop {
            let read = logs.log_read(self.id, None, LogPart::After(self.after), FRAME_LINES).await;
            let page = match read {
                Ok(page) => page,
                // What was read is told; the rest is read at the next look.
                Err(error) if changes.is_empty() => return Err(store(error)),
                Err(_) => LogPage { lines: Vec::new(), next: self.after, more: false, removed: None },
            };
            self.after = page.next;
            if !page.lines.is_empty() {
                tail.lines.extend(page.lines.iter().cloned());
                let surplus = tail.lines.len().saturating_sub(TAIL_LINES as usize);
                tail.lines.drain(..surplus);
                tail.before += surplus as u64;
                changes.push(Change::Lines(page.lines));
            }
            if !page.more {
                return Ok(Look { whole: Snapshot::Log(tail.clone()), changes: Changes::Since(changes) });
            }
        }
    }

    async fn news(&mut self) {
        // An error means that the server ends.
        let _ = self.news.changed().await;
    }

    fn is_over(&self) -> bool {
        false
    }
}
