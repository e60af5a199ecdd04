//! The chain of the audit: what was edited, removed, reordered or cut off is found, where it was done.

use lockstep_engine::port::{
    Store,
    store::{AuditEntry, AuditQuery},
};
use lockstep_model::{
    Timestamp,
    deployment::Actor,
    view::{AuditHead, AuditReport},
};
use lockstep_store::SqliteStore;
use sqlx::{Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

fn entry(at: i64, target: &str) -> AuditEntry {
    AuditEntry {
        at: Timestamp(at),
        actor: Actor {
            user: "anna".parse().expect("a name"),
            via: "browser".to_owned(),
            address: Some("127.0.0.1".to_owned()),
        },
        action: "/deployment/cancel".to_owned(),
        target: target.to_owned(),
        reason: (at % 2 == 0).then(|| "it's late, \"really\"".to_owned()),
        allowed: at % 3 != 0,
        right: None,
    }
}

/// A store with lines 1 to `lines`.
async fn store(lines: i64) -> (SqliteStore, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(folder.path()).await.expect("opened");
    for at in 1..=lines {
        store.audit_append(entry(at, &format!("deployment {at}"))).await.expect("written");
    }
    (store, folder)
}

/// Somebody at the file itself, who has taken the triggers away.
async fn tamper(folder: &TempDir, change: &str) {
    let options = SqliteConnectOptions::new().filename(folder.path().join("lockstep.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.expect("connected");
    let change = format!("DROP TRIGGER audit_update; DROP TRIGGER audit_delete; {change}");
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(change))).await.expect("changed");
    connection.close().await.expect("closed");
}

async fn verify(store: &SqliteStore, anchor: Option<&AuditHead>) -> AuditReport {
    store.audit_verify(anchor).await.expect("readable")
}

fn found(report: &AuditReport) -> Vec<(i64, &str)> {
    report.faults.iter().map(|fault| (fault.id, fault.found.as_str())).collect()
}

#[tokio::test]
async fn an_audit_as_it_was_written_has_no_fault_and_its_head_moves_on() {
    let (store, _folder) = store(0).await;
    let empty = verify(&store, None).await;
    assert_eq!((empty.lines, empty.head, empty.faults.len()), (0, None, 0));
    store.audit_append(entry(1, "user anna")).await.expect("written");
    let one = verify(&store, None).await.head.expect("a line");
    for at in 2..=1_500 {
        store.audit_append(entry(at, "user anna")).await.expect("written");
    }
    let report = verify(&store, Some(&one)).await;
    assert_eq!((report.lines, found(&report)), (1_500, vec![]));
    assert_eq!(report.head, store.audit_head().await.expect("readable"));
    assert_ne!(report.head, Some(one));
}

#[tokio::test]
async fn g5_what_was_done_to_a_line_is_found_there() {
    for (change, at, words) in [
        ("UPDATE audit SET actor = 'bert' WHERE id = 4", 4, "was changed"),
        ("UPDATE audit SET reason = NULL WHERE id = 4", 4, "was changed"),
        ("UPDATE audit SET allowed = 1 - allowed WHERE id = 4", 4, "was changed"),
        ("DELETE FROM audit WHERE id = 4", 5, "line 4 is missing"),
        ("DELETE FROM audit WHERE id BETWEEN 2 AND 5", 6, "lines 2 to 5 are missing"),
        ("DELETE FROM audit WHERE id > 7", 9, "cut off"),
        ("DELETE FROM audit", 9, "cut off"),
        (
            "UPDATE audit SET id = 100 WHERE id = 4; UPDATE audit SET id = 4 WHERE id = 5; UPDATE audit SET id = 5 WHERE id = 100",
            4,
            "was changed",
        ),
        ("UPDATE audit SET hash = NULL WHERE id = 4", 4, "has no hash"),
        ("DELETE FROM audit_head", 9, "head that was kept is gone"),
        (
            "INSERT INTO audit (at, actor, via, action, target, allowed) VALUES (1, 'anna', 'x', 'x', 'x', 1)",
            10,
            "has no hash",
        ),
    ] {
        let (store, folder) = store(9).await;
        tamper(&folder, change).await;
        let report = verify(&store, None).await;
        let faults = found(&report);
        assert!(faults.iter().any(|(id, found)| *id == at && found.contains(words)), "{change}: {faults:?}");
    }
}

#[tokio::test]
async fn g5_whoever_also_sets_the_head_back_is_found_by_one_that_was_noted_down() {
    let (store, folder) = store(9).await;
    let noted = verify(&store, None).await.head.expect("a line");
    let change = "DELETE FROM audit WHERE id > 7; \
                  UPDATE audit_head SET id = 7, hash = (SELECT hash FROM audit WHERE id = 7)";
    tamper(&folder, change).await;
    assert_eq!(found(&verify(&store, None).await), vec![], "in itself it is whole");
    let report = verify(&store, Some(&noted)).await;
    assert!(found(&report).iter().any(|(id, found)| *id == 9 && found.contains("cut off")), "{report:?}");
    // Also when as many lines were written since.
    for at in 1..=5 {
        store.audit_append(entry(at, "user bert")).await.expect("written");
    }
    let report = verify(&store, Some(&noted)).await;
    assert!(
        found(&report).iter().any(|(id, found)| *id == 9 && found.contains("written anew")),
        "{report:?}"
    );
}

#[tokio::test]
async fn lines_from_before_there_were_hashes_are_covered_by_the_first_that_has_one() {
    let (store, folder) = store(0).await;
    let old =
        "INSERT INTO audit (at, actor, via, action, target, allowed) VALUES (1, 'anna', 'x', 'x', 'x', 1)";
    tamper(&folder, &format!("{old}; {old}; {old}")).await;
    assert_eq!(found(&verify(&store, None).await), vec![]);
    store.audit_append(entry(4, "user anna")).await.expect("written");
    let report = verify(&store, None).await;
    assert_eq!((report.lines, found(&report)), (4, vec![]));
    let options = SqliteConnectOptions::new().filename(folder.path().join("lockstep.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.expect("connected");
    connection.execute("UPDATE audit SET actor = 'bert' WHERE id = 2").await.expect("changed");
    let report = verify(&store, None).await;
    assert!(found(&report).iter().any(|(id, found)| *id == 4 && found.contains("changed")), "{report:?}");
}

#[tokio::test]
async fn lines_are_found_by_who_what_on_what_and_why() {
    let (store, _folder) = store(9).await;
    let find = async |query: AuditQuery| {
        let found = store.audit_find(&AuditQuery { limit: 200, ..query }).await.expect("readable");
        found.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(find(AuditQuery::default()).await, [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(find(AuditQuery { before: Some(3), ..Default::default() }).await, [2, 1]);
    assert_eq!(find(AuditQuery { only_denied: true, ..Default::default() }).await, [9, 6, 3]);
    assert_eq!(
        find(AuditQuery { words: Some("LATE, \"re".to_owned()), ..Default::default() }).await,
        [8, 6, 4, 2]
    );
    assert_eq!(find(AuditQuery { target: Some("deployment 5".to_owned()), ..Default::default() }).await, [5]);
    assert_eq!(
        find(AuditQuery { action: Some("/deployment".to_owned()), ..Default::default() }).await.len(),
        9
    );
    assert_eq!(find(AuditQuery { action: Some("/dep%".to_owned()), ..Default::default() }).await.len(), 0);
    let (since, until) = (Some(Timestamp(3)), Some(Timestamp(5)));
    assert_eq!(find(AuditQuery { since, until, ..Default::default() }).await, [4, 3]);
    assert_eq!(
        find(AuditQuery { user: Some("bert".parse().expect("a name")), ..Default::default() }).await.len(),
        0
    );
}
