//! For measuring, a history that never happened: rows without journals. For proofs, a store that goes
//! silent at a chosen write, so that whoever uses it can be killed there. In no release.

use crate::{SqliteStore, error::failed, error::to_json, error::word, search};
use lockstep_engine::port::StoreError;
use lockstep_model::{DeploymentId, view::DeploymentSummary};
use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Mutex, PoisonError},
};
use tokio::sync::watch;

const OPERATION: &str = "filling a history";
const BATCH: usize = 1_000;

impl SqliteStore {
    /// Keeps ended deployments without journals, under their own numbers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn history_fill(&self, rows: &[DeploymentSummary]) -> Result<(), StoreError> {
        for chunk in rows.chunks(BATCH) {
            let mut transaction =
                self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(OPERATION))?;
            for row in chunk {
                sqlx::query(
                    "INSERT INTO deployment (id, project, environment, phase, epoch, owner, seq, requested_at, finished_at, summary) \
                     VALUES ($1, $2, $3, $4, 1, 'history', $5, $6, $7, $8)",
                )
                .bind(row.id.0)
                .bind(row.project.as_str())
                .bind(row.environment.as_str())
                .bind(word(&row.phase))
                .bind(row.seq.0)
                .bind(row.clocks.requested_at.0)
                .bind(row.clocks.finished_at.map(|at| at.0))
                .bind(to_json(row, OPERATION)?)
                .execute(&mut *transaction)
                .await
                .map_err(failed(OPERATION))?;
                search::write(&mut transaction, row.id, row, true).await.map_err(failed(OPERATION))?;
            }
            transaction.commit().await.map_err(failed(OPERATION))?;
        }
        Ok(())
    }
}

/// A moment among the durable writes of deployments, counted from 1 since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Just before the write: what came before it happened outside and is not written down.
    Before(u64),
    /// Just after the write: nobody was told, and nothing of what it orders has begun.
    After(u64),
    /// Just after the write with this number among those of a deployment that goes back.
    Back(u64),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number of a write"));
        match text.split_once(':') {
            Some(("before", write)) => Ok(Self::Before(number(write)?)),
            Some(("after", write)) => Ok(Self::After(number(write)?)),
            Some(("back", write)) => Ok(Self::Back(number(write)?)),
            _ => Err(format!("{text} is none of before:N, after:N and back:N")),
        }
    }
}

/// Whether and where a store goes silent. From that moment on no write returns.
#[derive(Debug)]
pub struct Death {
    moment: Mutex<Option<Moment>>,
    writes: Mutex<u64>,
    back: Mutex<u64>,
    reached: watch::Sender<bool>,
    /// Made when the moment has come, for who waits in another process.
    mark: PathBuf,
}

impl Death {
    /// At the moment that `LOCKSTEP_DIE_AT` names, as `after:7`; never without it. When it has come,
    /// the file `died` stands in the data folder.
    pub(crate) fn as_told(data_dir: &Path) -> Self {
        let moment = std::env::var("LOCKSTEP_DIE_AT").ok().and_then(|text| text.parse().ok());
        Self {
            moment: Mutex::new(moment),
            writes: Mutex::new(0),
            back: Mutex::new(0),
            reached: watch::Sender::new(false),
            mark: data_dir.join("died"),
        }
    }

    /// Goes silent at a moment, counted from now.
    pub fn at(&self, moment: Moment) {
        *self.moment.lock().unwrap_or_else(PoisonError::into_inner) = Some(moment);
        *self.writes.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }

    /// Durable writes so far.
    pub fn writes(&self) -> u64 {
        *self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when the moment has come.
    pub async fn reached(&self) {
        // The sender lives as long as this does.
        let _ = self.reached.subscribe().wait_for(|is_reached| *is_reached).await;
    }

    pub(crate) async fn before(&self) {
        self.pass(Moment::Before(self.writes() + 1)).await;
    }

    pub(crate) async fn after(&self) {
        let write = {
            let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
            *writes += 1;
            *writes
        };
        self.pass(Moment::After(write)).await;
    }

    /// After a write of a deployment that goes back.
    pub(crate) async fn after_back(&self) {
        let write = {
            let mut back = self.back.lock().unwrap_or_else(PoisonError::into_inner);
            *back += 1;
            *back
        };
        self.pass(Moment::Back(write)).await;
    }

    async fn pass(&self, here: Moment) {
        let is_now = *self.moment.lock().unwrap_or_else(PoisonError::into_inner) == Some(here);
        if is_now && !self.reached.send_replace(true) {
            let _ = std::fs::write(&self.mark, "");
        }
        if *self.reached.borrow() {
            std::future::pending::<()>().await;
        }
    }
}

impl SqliteStore {
    /// Where it goes silent.
    pub fn death(&self) -> &Death {
        &self.death
    }
}

impl SqliteStore {
    /// Puts what is sealed for one name in the place of another's, as somebody with the file could.
    pub async fn move_secret(&self, from: &str, to: &str) {
        let moved = "UPDATE secret SET (data_key, sealed) = \
                     (SELECT data_key, sealed FROM secret WHERE name = $1) WHERE name = $2";
        sqlx::query(moved).bind(from).bind(to).execute(&self.writer).await.expect("written");
    }

    /// Damages the journal of a deployment, as a newer version or a broken disk would.
    ///
    /// # Panics
    /// When it cannot be written.
    pub async fn damage(&self, id: DeploymentId) {
        sqlx::query("DROP TRIGGER event_update").execute(&self.writer).await.expect("dropped");
        let spoiled =
            "UPDATE event SET body = '{\"type\":\"of_tomorrow\"}' WHERE deployment = $1 AND seq = 2";
        sqlx::query(spoiled).bind(id.0).execute(&self.writer).await.expect("written");
        // What keeps a journal from being rewritten, as the migration has it.
        let guard = "CREATE TRIGGER event_update BEFORE UPDATE ON event \
                     BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END";
        sqlx::query(guard).execute(&self.writer).await.expect("made");
    }
}
