//! The audit: append-only, each line with a hash over itself and the one before it, the last one kept
//! beside them as the head. What was written before there were hashes is covered by the first one.

use crate::{
    SqliteStore,
    error::{failed, parsed},
    grants,
};
use lockstep_engine::port::{
    StoreError,
    store::{AuditEntry, AuditQuery},
};
use lockstep_model::{
    Timestamp,
    deployment::Actor,
    view::{AuditFault, AuditHead, AuditReport},
};
use sha2::{Digest as _, Sha256};
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, sqlite::SqliteRow};

const COLUMNS: &str = "SELECT id, at, actor, via, address, action, target, reason, allowed, hash FROM audit";
/// Lines that are read at a time.
const LINES: i64 = 1_000;
/// More faults than this say nothing more.
const FAULTS_MAX: usize = 100;

/// A line as it is stored: what the hash covers.
struct Line {
    id: i64,
    at: i64,
    actor: String,
    via: String,
    address: Option<String>,
    action: String,
    target: String,
    reason: Option<String>,
    allowed: bool,
    hash: Option<String>,
}

impl Line {
    fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get(0)?,
            at: row.try_get(1)?,
            actor: row.try_get(2)?,
            via: row.try_get(3)?,
            address: row.try_get(4)?,
            action: row.try_get(5)?,
            target: row.try_get(6)?,
            reason: row.try_get(7)?,
            allowed: row.try_get::<i64, _>(8)? != 0,
            hash: row.try_get(9)?,
        })
    }

    fn of(id: i64, entry: &AuditEntry) -> Self {
        Self {
            id,
            at: entry.at.0,
            actor: entry.actor.user.to_string(),
            via: entry.actor.via.clone(),
            address: entry.actor.address.clone(),
            action: entry.action.clone(),
            target: entry.target.clone(),
            reason: entry.reason.clone(),
            allowed: entry.allowed,
            hash: None,
        }
    }

    /// The hash over this line and, by that of the one before, all before it. JSON keeps fields apart
    /// whatever they hold.
    fn hash_after(&self, before: &str) -> String {
        let covered = serde_json::json!([
            before,
            self.id,
            self.at,
            self.actor,
            self.via,
            self.address,
            self.action,
            self.target,
            self.reason,
            self.allowed
        ]);
        let hex: String =
            Sha256::digest(covered.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    }
}

async fn lines_after(connection: &mut SqliteConnection, id: i64) -> Result<Vec<Line>, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
    query.push(" WHERE id > ").push_bind(id).push(" ORDER BY id LIMIT ").push_bind(LINES);
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(Line::read).collect()
}

async fn head_of(connection: &mut SqliteConnection) -> Result<Option<(i64, String)>, sqlx::Error> {
    let row = sqlx::query("SELECT id, hash FROM audit_head WHERE one = 1").fetch_optional(connection).await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// What the first line with a hash follows: all that was written before.
async fn begin(connection: &mut SqliteConnection) -> Result<(i64, String), sqlx::Error> {
    let (mut id, mut hash) = (0, String::new());
    loop {
        let lines = lines_after(connection, id).await?;
        let Some(last) = lines.last() else { return Ok((id, hash)) };
        id = last.id;
        hash = lines.iter().fold(hash, |before, line| line.hash_after(&before));
    }
}

/// Writes a line, if that by which it is done still holds. To be called within the transaction of what
/// is done: two lines never follow the same one, and what a right is gone for does not happen.
pub(crate) async fn write(connection: &mut SqliteConnection, entry: &AuditEntry) -> Result<(), StoreError> {
    if let Some(right) = &entry.right {
        grants::check(connection, right, entry.at).await?;
    }
    append(connection, entry).await.map_err(failed("writing the audit"))
}

async fn append(connection: &mut SqliteConnection, entry: &AuditEntry) -> Result<(), sqlx::Error> {
    let (last, before) = match head_of(connection).await? {
        Some(head) => head,
        None => begin(connection).await?,
    };
    let line = Line::of(last + 1, entry);
    let hash = line.hash_after(&before);
    sqlx::query(
        "INSERT INTO audit (id, at, actor, via, address, action, target, reason, allowed, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(line.id)
    .bind(line.at)
    .bind(&line.actor)
    .bind(&line.via)
    .bind(&line.address)
    .bind(&line.action)
    .bind(&line.target)
    .bind(&line.reason)
    .bind(line.allowed)
    .bind(&hash)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO audit_head (one, id, hash) VALUES (1, $1, $2) \
         ON CONFLICT (one) DO UPDATE SET id = excluded.id, hash = excluded.hash",
    )
    .bind(line.id)
    .bind(&hash)
    .execute(connection)
    .await?;
    Ok(())
}

/// What a walk along the chain finds.
struct Walk {
    lines: u64,
    id: i64,
    hash: String,
    has_hashes: bool,
    faults: Vec<AuditFault>,
}

impl Walk {
    fn fault(&mut self, id: i64, found: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(AuditFault { id, found });
        }
    }

    fn step(&mut self, line: &Line, anchor: Option<&AuditHead>) {
        let expected = line.hash_after(&self.hash);
        if line.id != self.id + 1 {
            let missing = match line.id - self.id - 1 {
                1 => format!("line {} is missing", self.id + 1),
                _ => format!("lines {} to {} are missing", self.id + 1, line.id - 1),
            };
            self.fault(line.id, missing);
        } else if line.hash.as_ref().is_some_and(|hash| *hash != expected) {
            let what = if self.has_hashes { "it or the line before it" } else { "it or a line before it" };
            self.fault(line.id, format!("its hash does not fit: {what} was changed"));
        } else if line.hash.is_none() && self.has_hashes {
            self.fault(line.id, "it has no hash, though the line before it has one".to_owned());
        }
        if let Some(anchor) = anchor.filter(|anchor| anchor.id == line.id) {
            let hash = line.hash.as_deref().unwrap_or(&expected);
            if hash != anchor.hash.as_str() {
                let found = "it is not the line that was noted down: the audit was written anew".to_owned();
                self.fault(line.id, found);
            }
        }
        self.lines += 1;
        self.id = line.id;
        self.has_hashes |= line.hash.is_some();
        // From what is stored: a fault is told once, where it is.
        self.hash = line.hash.clone().unwrap_or(expected);
    }
}

impl SqliteStore {
    pub(crate) async fn find_audit(&self, wanted: &AuditQuery) -> Result<Vec<(i64, AuditEntry)>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(COLUMNS);
        query.push(" WHERE 1 = 1");
        if let Some(target) = &wanted.target {
            query.push(" AND target = ").push_bind(target.clone());
        }
        if let Some(user) = &wanted.user {
            query.push(" AND actor = ").push_bind(user.as_str().to_owned());
        }
        if let Some(action) = &wanted.action {
            query.push(" AND substr(action, 1, length(").push_bind(action.clone());
            query.push(")) = ").push_bind(action.clone());
        }
        if let Some(words) = &wanted.words {
            query.push(" AND instr(lower(target || ' ' || coalesce(reason, '') || ' ' || via), lower(");
            query.push_bind(words.clone()).push(")) > 0");
        }
        if wanted.only_denied {
            query.push(" AND allowed = 0");
        }
        if let Some(since) = wanted.since {
            query.push(" AND at >= ").push_bind(since.0);
        }
        if let Some(until) = wanted.until {
            query.push(" AND at < ").push_bind(until.0);
        }
        if let Some(before) = wanted.before {
            query.push(" AND id < ").push_bind(before);
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(wanted.limit));
        const OPERATION: &str = "reading the audit";
        let rows = query.build().fetch_all(&self.readers).await.map_err(failed(OPERATION))?;
        let entry = |row: &SqliteRow| {
            let line = Line::read(row).map_err(failed(OPERATION))?;
            let entry = AuditEntry {
                at: Timestamp(line.at),
                actor: Actor { user: parsed(&line.actor, "user")?, via: line.via, address: line.address },
                action: line.action,
                target: line.target,
                reason: line.reason,
                allowed: line.allowed,
                right: None,
            };
            Ok((line.id, entry))
        };
        rows.iter().map(entry).collect()
    }

    pub(crate) async fn head_of_audit(&self) -> Result<Option<AuditHead>, StoreError> {
        const OPERATION: &str = "reading the audit's head";
        let mut connection = self.readers.acquire().await.map_err(failed(OPERATION))?;
        let head = head_of(&mut connection).await.map_err(failed(OPERATION))?;
        head.map(|(id, hash)| Ok(AuditHead { id, hash: parsed(&hash, "hash of the audit")? })).transpose()
    }

    /// Walks along the whole chain, as it stood at one moment.
    pub(crate) async fn verify_audit(&self, anchor: Option<&AuditHead>) -> Result<AuditReport, StoreError> {
        const OPERATION: &str = "verifying the audit";
        let mut snapshot = self.readers.begin().await.map_err(failed(OPERATION))?;
        let head = head_of(&mut snapshot).await.map_err(failed(OPERATION))?;
        let mut walk = Walk { lines: 0, id: 0, hash: String::new(), has_hashes: false, faults: Vec::new() };
        loop {
            let lines = lines_after(&mut snapshot, walk.id).await.map_err(failed(OPERATION))?;
            if lines.is_empty() {
                break;
            }
            for line in &lines {
                walk.step(line, anchor);
            }
        }
        let (id, hash) = (walk.id, walk.hash.clone());
        match &head {
            Some((last, _)) if id < *last => {
                walk.fault(*last, format!("the lines after {id} were cut off; {last} was the last one"));
            }
            Some((last, known)) if id > *last || hash != *known => {
                walk.fault(id, format!("it does not agree with the head that was kept (line {last})"));
            }
            None if walk.has_hashes => walk.fault(id, "the head that was kept is gone".to_owned()),
            Some(_) | None => {}
        }
        if let Some(anchor) = anchor.filter(|anchor| anchor.id > id) {
            let found = format!(
                "line {} was noted down, and the audit ends with {id}: it was cut off, or an older backup was restored",
                anchor.id
            );
            walk.fault(anchor.id, found);
        }
        let head = match walk.lines {
            0 => None,
            _ => Some(AuditHead { id, hash: parsed(&hash, "hash of the audit")? }),
        };
        Ok(AuditReport { lines: walk.lines, head, faults: walk.faults })
    }
}
