//! Sessions are ended also when they get another id at that moment; a link sets a password or is not used up.

use lockstep_engine::{
    port::{
        IdentityStore, Store,
        identity::{LinkKind, LinkRow, SessionRow, UserChange, UserChanged},
        store::AuditEntry,
    },
    testing::actor,
};
use lockstep_model::{
    Digest, Timestamp, UserName,
    access::{Grant, Role, Scope},
};
use lockstep_store::SqliteStore;
use tempfile::TempDir;

fn entry() -> AuditEntry {
    AuditEntry {
        at: Timestamp(10),
        actor: actor(),
        action: "/session/end".to_owned(),
        target: "test".to_owned(),
        reason: None,
        allowed: true,
        right: None,
    }
}

fn digest(number: u8) -> Digest {
    format!("sha256:{}", format!("{number:02x}").repeat(32)).parse().expect("valid")
}

struct World {
    store: SqliteStore,
    anna: UserName,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = SqliteStore::open(folder.path()).await.expect("opened");
        let anna: UserName = "anna".parse().expect("valid");
        let viewer = Grant { on: Scope::default(), role: Role::Viewer };
        let added = store.user_add(&anna, &viewer, Timestamp(1), entry()).await.expect("stored");
        assert!(matches!(added, UserChanged::Done(_)));
        Self { store, anna, _folder: folder }
    }

    async fn session(&self, number: u8) -> SessionRow {
        let row = SessionRow {
            id: digest(number),
            line: format!("line {number}"),
            user: self.anna.clone(),
            created_at: Timestamp(10),
            used_at: Timestamp(10),
            expires_at: Timestamp(1_000),
            address: None,
            device: None,
            confirmed_at: Timestamp(10),
            renewed_at: Timestamp(10),
            is_settled: true,
        };
        self.store.session_add(&row, 10, None, entry()).await.expect("stored");
        row
    }

    async fn link(&self, number: u8) {
        let link = LinkRow {
            code: digest(number),
            kind: LinkKind::SetPassword,
            user: self.anna.clone(),
            expires_at: Timestamp(100),
            made_by: None,
        };
        let kept = self.store.link_add(&link, Some(entry())).await.expect("stored");
        assert!(matches!(kept, UserChanged::Done(_)), "{kept:?}");
    }

    async fn sets(&self, number: u8, at: i64) -> bool {
        let audit = AuditEntry { at: Timestamp(at), ..entry() };
        self.store.link_set_password(&digest(number), "$argon2id$…", audit).await.expect("answered").is_some()
    }

    async fn lines(&self) -> i64 {
        self.store.audit_head().await.expect("readable").map_or(0, |head| head.id)
    }

    async fn is_there(&self, number: u8) -> bool {
        self.store.session_fetch(&digest(number), Timestamp(20)).await.expect("readable").is_some()
    }
}

#[tokio::test]
async fn a_session_that_got_another_id_since_it_was_listed_is_ended_all_the_same() {
    let world = World::new().await;
    let store = &world.store;
    world.session(1).await;
    let listed = store.session_list(None, Timestamp(20)).await.expect("readable").remove(0);
    assert!(store.session_renew(&listed, &digest(1), &digest(2), Timestamp(20)).await.expect("stored"));
    let before = world.lines().await;
    assert!(store.session_end_line(&listed.line, entry()).await.expect("stored"));
    assert!(!world.is_there(1).await && !world.is_there(2).await);
    assert_eq!(world.lines().await, before + 1);
    // What is not there was not ended, and nothing says so.
    assert!(!store.session_end_line(&listed.line, entry()).await.expect("answered"));
    assert!(!store.session_end(&digest(2), entry()).await.expect("answered"));
    assert_eq!(world.lines().await, before + 1);
    // Who signs out with the id that it had a moment ago.
    let row = world.session(3).await;
    assert!(store.session_renew(&row, &digest(3), &digest(4), Timestamp(20)).await.expect("stored"));
    assert!(store.session_end(&digest(3), entry()).await.expect("stored"));
    assert!(!world.is_there(4).await);
    // And who signs in with it.
    let row = world.session(5).await;
    assert!(store.session_renew(&row, &digest(5), &digest(6), Timestamp(20)).await.expect("stored"));
    let next = SessionRow { id: digest(7), line: "line 7".to_owned(), ..row };
    store.session_add(&next, 10, Some(&digest(5)), entry()).await.expect("stored");
    assert!(!world.is_there(6).await && world.is_there(7).await);
}

#[tokio::test]
async fn a15_a_link_sets_the_password_of_who_may_sign_in_once_and_is_used_up_by_nothing_else() {
    let world = World::new().await;
    world.link(1).await;
    world.session(9).await;
    assert!(!world.sets(1, 100).await, "too late");
    let before = world.lines().await;
    let (one, other) = tokio::join!(world.sets(1, 50), world.sets(1, 50));
    assert!(one != other, "of two one gets it");
    assert!(!world.is_there(9).await, "all sessions have ended");
    assert_eq!(world.lines().await, before + 1);
    let user = world.store.user_fetch(&world.anna).await.expect("readable").expect("there");
    assert_eq!(user.password.as_deref(), Some("$argon2id$…"));
    // One from before somebody was switched off does nothing, neither then nor later.
    world.link(2).await;
    world
        .store
        .user_change(&world.anna, UserChange { enabled: Some(false), ..UserChange::default() }, entry())
        .await
        .expect("stored");
    assert!(!world.sets(2, 50).await);
    world
        .store
        .user_change(&world.anna, UserChange { enabled: Some(true), ..UserChange::default() }, entry())
        .await
        .expect("stored");
    assert!(!world.sets(2, 50).await);
    // One to sign in sets no password.
    let link = LinkRow {
        code: digest(3),
        kind: LinkKind::SignIn,
        user: world.anna.clone(),
        expires_at: Timestamp(100),
        made_by: None,
    };
    world.store.link_add(&link, None).await.expect("stored");
    assert!(!world.sets(3, 50).await);
    assert!(world.store.link_take(&digest(3), Timestamp(50)).await.expect("answered").is_some());
}
