//! Users, sessions, links and output: rules that two at once could break together.

use lockstep_engine::port::{
    CheckRow, IdentityStore, LogPart, LogRow, LogStore, Store, StoreError,
    identity::{LISTED_MAX, LinkKind, LinkRow, SessionRow, Throttle, UserChange, UserChanged},
    store::{AuditEntry, AuditQuery},
};
use lockstep_engine::testing::actor;
use lockstep_model::{
    DeploymentId, Digest, Timestamp, UserName,
    access::{Grant, Permission, Right, Role, Scope},
    gateway::Slot,
    health::Health,
    view::{CheckBucket, CheckView, TokenView, UserView},
    wire::OrderKey,
};
use lockstep_store::{SqliteLogStore, SqliteStore};
use tempfile::TempDir;

fn entry() -> AuditEntry {
    AuditEntry {
        at: Timestamp(1),
        actor: actor(),
        action: "/user/change".to_owned(),
        target: "test".to_owned(),
        reason: None,
        allowed: true,
        right: None,
    }
}

fn enabled(enabled: bool) -> UserChange<'static> {
    UserChange { enabled: Some(enabled), ..UserChange::default() }
}

fn role(role: Role) -> UserChange<'static> {
    UserChange { role: Some(role), ..UserChange::default() }
}

fn digest(number: u8) -> Digest {
    format!("sha256:{}", format!("{number:02x}").repeat(32)).parse().expect("valid")
}

async fn store() -> (SqliteStore, TempDir) {
    let folder = TempDir::new().expect("a folder");
    (SqliteStore::open(folder.path()).await.expect("opened"), folder)
}

async fn add(store: &SqliteStore, name: &str, role: Role) -> UserName {
    let name: UserName = name.parse().expect("valid");
    let grant = Grant { on: Scope::default(), role };
    let added = store.user_add(&name, &grant, Timestamp(1), entry()).await.expect("stored");
    assert!(matches!(added, UserChanged::Done(_)));
    name
}

#[tokio::test]
async fn of_two_admins_who_switch_each_other_off_at_once_one_stays() {
    let (store, _folder) = store().await;
    let anna = add(&store, "anna", Role::Admin).await;
    let bert = add(&store, "bert", Role::Admin).await;
    let (one, other) = tokio::join!(
        store.user_change(&anna, enabled(false), entry()),
        store.user_change(&bert, role(Role::Viewer), entry()),
    );
    let changes = [one.expect("answered"), other.expect("answered")];
    let refused = changes.iter().filter(|change| **change == UserChanged::LastAdmin).count();
    assert_eq!(refused, 1, "{changes:?}");
    let users = store.user_list().await.expect("readable");
    assert_eq!(users.iter().filter(|user| is_admin(user) && user.enabled).count(), 1);
}

/// An admin who can sign in.
async fn person(store: &SqliteStore, name: &str) -> UserName {
    let name = add(store, name, Role::Admin).await;
    store.user_set_password(&name, "$argon2id$…", entry()).await.expect("stored");
    name
}

#[tokio::test]
async fn the_last_admin_is_a_person_who_can_sign_in_once_there_is_one() {
    let (store, _folder) = store().await;
    let viewer = Grant { on: Scope::default(), role: Role::Viewer };
    let everything = Scope::default();
    // A new installation: its first account has no password, and is all there is.
    let first = add(&store, "admin", Role::Admin).await;
    let off = store
        .user_change(&first, UserChange { enabled: Some(false), ..UserChange::default() }, entry())
        .await
        .expect("answered");
    assert_eq!(off, UserChanged::LastAdmin);
    let vera = add(&store, "vera", Role::Viewer).await;
    let done = store.user_grant(&vera, &viewer, entry()).await.expect("answered");
    assert!(matches!(done, UserChanged::Done(_)), "{done:?}");

    let anna = person(&store, "anna").await;
    // Neither the first account nor somebody who was only invited stands in for her.
    add(&store, "invited", Role::Admin).await;
    for refused in [
        store.user_change(&anna, UserChange { enabled: Some(false), ..UserChange::default() }, entry()).await,
        store
            .user_change(&anna, UserChange { role: Some(Role::Viewer), ..UserChange::default() }, entry())
            .await,
        store.user_revoke(&anna, &everything, entry()).await,
        store.user_grant(&anna, &viewer, entry()).await,
    ] {
        assert_eq!(refused.expect("answered"), UserChanged::LastAdmin);
    }
    let kept = store.user_fetch(&anna).await.expect("readable").expect("there").view;
    assert!(is_admin(&kept) && kept.enabled);
    // What has no password can go as long as she is there.
    let off = store
        .user_change(&first, UserChange { enabled: Some(false), ..UserChange::default() }, entry())
        .await
        .expect("answered");
    assert!(matches!(off, UserChanged::Done(_)), "{off:?}");

    // Two at once, in both ways.
    let bert = person(&store, "bert").await;
    let (one, other) = tokio::join!(
        store.user_change(&anna, UserChange { enabled: Some(false), ..UserChange::default() }, entry()),
        store.user_revoke(&bert, &everything, entry()),
    );
    let changes = [one.expect("answered"), other.expect("answered")];
    assert_eq!(changes.iter().filter(|one| **one == UserChanged::LastAdmin).count(), 1, "{changes:?}");
}

fn is_admin(user: &UserView) -> bool {
    user.grants.role_on(&Scope::default()) == Some(Role::Admin)
}

fn staging() -> Scope {
    Scope::of("shop".parse().expect("valid"), "staging".parse().expect("valid"))
}

#[tokio::test]
async fn of_two_admins_whose_roles_are_taken_at_once_one_stays() {
    let (store, _folder) = store().await;
    let anna = add(&store, "anna", Role::Admin).await;
    let bert = add(&store, "bert", Role::Admin).await;
    let everything = Scope::default();
    let viewer = Grant { on: Scope::default(), role: Role::Viewer };
    let (one, other) = tokio::join!(
        store.user_revoke(&anna, &everything, entry()),
        store.user_grant(&bert, &viewer, entry()),
    );
    let changes = [one.expect("answered"), other.expect("answered")];
    assert_eq!(changes.iter().filter(|one| **one == UserChanged::LastAdmin).count(), 1, "{changes:?}");
    let users = store.user_list().await.expect("readable");
    assert_eq!(users.iter().filter(|user| is_admin(user)).count(), 1);
}

#[tokio::test]
async fn roles_are_given_on_parts_replaced_and_taken_away_and_the_audit_says_from_what_to_what() {
    let (store, _folder) = store().await;
    add(&store, "root", Role::Admin).await;
    let anna = add(&store, "anna", Role::Viewer).await;
    let operator = Grant { on: staging(), role: Role::Operator };
    let deployer = Grant { on: staging(), role: Role::Deployer };
    for grant in [&operator, &deployer] {
        let changed = store.user_grant(&anna, grant, entry()).await.expect("stored");
        let UserChanged::Done(view) = changed else { panic!("{changed:?}") };
        assert_eq!(view.grants.role_on(&staging()), Some(grant.role));
    }
    let kept = store.user_fetch(&anna).await.expect("readable").expect("there").view;
    assert_eq!(kept.grants.to_string(), "viewer on everything, deployer on shop/staging");
    let lines = store.audit_find(&AuditQuery { limit: 1, ..AuditQuery::default() }).await.expect("readable");
    assert_eq!(
        lines[0].1.reason.as_deref(),
        Some(
            "before: viewer on everything, operator on shop/staging; \
             after: viewer on everything, deployer on shop/staging"
        )
    );
    let upper = Scope::of("SHOP".parse().expect("valid"), "Staging".parse().expect("valid"));
    assert!(matches!(store.user_revoke(&anna, &upper, entry()).await, Ok(UserChanged::Done(_))));
    assert_eq!(store.user_revoke(&anna, &upper, entry()).await.expect("answered"), UserChanged::NoGrant);
    let admin_of_a_part = Grant { on: staging(), role: Role::Admin };
    assert!(store.user_grant(&anna, &admin_of_a_part, entry()).await.is_err(), "the schema has none");
}

/// The transaction in which something is written looks at the right once more.
#[tokio::test]
async fn c13_what_a_right_is_gone_for_does_not_happen() {
    let (store, _folder) = store().await;
    let root = add(&store, "root", Role::Admin).await;
    let anna = add(&store, "anna", Role::Viewer).await;
    let give = async |role| {
        let grant = Grant { on: staging(), role };
        store.user_grant(&anna, &grant, entry()).await.expect("stored")
    };
    let token = TokenView {
        id: "00ff".to_owned(),
        name: "ci".to_owned(),
        user: anna.clone(),
        bound: Grant { on: staging(), role: Role::Deployer },
        actions: Vec::new(),
        created_at: Timestamp(1),
        expires_at: Timestamp(100),
        last_used_at: None,
        revoked: false,
    };
    store.token_add(&token, &digest(7), entry()).await.expect("stored");
    let right = |token: Option<&str>| Right {
        user: anna.clone(),
        token: token.map(str::to_owned),
        permission: Permission::Deploy,
        on: staging(),
    };
    let note = async |at: i64, right: &Right| {
        let line = AuditEntry { at: Timestamp(at), right: Some(right.clone()), ..entry() };
        match store.audit_append(line).await {
            Ok(()) => true,
            Err(StoreError::Withdrawn { right: gone }) => {
                assert_eq!(*gone, *right);
                false
            }
            Err(error) => panic!("{error}"),
        }
    };
    let (person, program) = (right(None), right(Some("00ff")));
    give(Role::Deployer).await;
    assert!(note(1, &person).await && note(1, &program).await);
    assert!(!note(100, &program).await, "the token has ended");
    give(Role::Operator).await;
    assert!(!note(1, &person).await && !note(1, &program).await);
    give(Role::Deployer).await;
    store.user_change(&anna, enabled(false), entry()).await.expect("stored");
    assert!(!note(1, &person).await, "switched off");
    store.user_change(&anna, enabled(true), entry()).await.expect("stored");
    store.token_revoke("00ff", entry()).await.expect("stored");
    assert!(note(1, &person).await && !note(1, &program).await);

    // Nothing of such a transaction stays: neither the change nor its line.
    let lines = store.audit_head().await.expect("readable").expect("there").id;
    let line = AuditEntry {
        right: Some(Right { permission: Permission::ManageUsers, on: Scope::default(), ..person }),
        ..entry()
    };
    let refused = store
        .user_change(&root, UserChange { role: Some(Role::Admin), ..enabled(false) }, line.clone())
        .await;
    assert!(matches!(refused, Ok(UserChanged::LastAdmin)), "{refused:?}");
    let viewer = Grant { on: Scope::default(), role: Role::Viewer };
    add(&store, "other", Role::Admin).await;
    let refused = store.user_grant(&root, &viewer, line).await;
    assert!(matches!(refused, Err(StoreError::Withdrawn { .. })), "{refused:?}");
    assert!(is_admin(&store.user_fetch(&root).await.expect("readable").expect("there").view));
    assert_eq!(
        store.audit_head().await.expect("readable").expect("there").id,
        lines + 1,
        "only the new user's"
    );
}

#[tokio::test]
async fn names_that_differ_only_in_case_are_the_same_user() {
    let (store, _folder) = store().await;
    add(&store, "anna", Role::Viewer).await;
    let upper: UserName = "ANNA".parse().expect("valid");
    let admin = Grant { on: Scope::default(), role: Role::Admin };
    let added = store.user_add(&upper, &admin, Timestamp(1), entry()).await.expect("answered");
    assert_eq!(added, UserChanged::Exists);
    assert!(store.user_fetch(&upper).await.expect("readable").is_some());
}

#[tokio::test]
async fn a15_a_link_is_used_once_by_one_and_not_after_its_time() {
    let (store, _folder) = store().await;
    let user = add(&store, "anna", Role::Viewer).await;
    let link = |code| LinkRow {
        code: digest(code),
        kind: LinkKind::SetPassword,
        user: user.clone(),
        expires_at: Timestamp(100),
        made_by: Some(user.clone()),
    };
    store.link_add(&link(1), None).await.expect("stored");
    let code = digest(1);
    let (one, other) =
        tokio::join!(store.link_take(&code, Timestamp(50)), store.link_take(&code, Timestamp(50)));
    let taken = [one.expect("answered"), other.expect("answered")];
    assert_eq!(taken.iter().flatten().count(), 1);
    store.link_add(&link(2), None).await.expect("stored");
    assert_eq!(store.link_take(&digest(2), Timestamp(100)).await.expect("answered"), None);
    // A newer link of the same kind ends the one before.
    store.link_add(&link(3), None).await.expect("stored");
    store.link_add(&link(4), None).await.expect("stored");
    assert_eq!(store.link_fetch(&digest(3)).await.expect("answered"), None);
}

#[tokio::test]
async fn the_oldest_session_ends_and_a_new_password_ends_all() {
    let (store, _folder) = store().await;
    let user = add(&store, "anna", Role::Viewer).await;
    for number in 1..=4u8 {
        let row = SessionRow {
            id: digest(number),
            line: format!("line {number}"),
            user: user.clone(),
            created_at: Timestamp(i64::from(number)),
            used_at: Timestamp(i64::from(number)),
            expires_at: Timestamp(1_000),
            address: Some("10.0.0.7".to_owned()),
            device: None,
            confirmed_at: Timestamp(i64::from(number)),
            renewed_at: Timestamp(i64::from(number)),
            is_settled: true,
        };
        store.session_add(&row, 3, None, entry()).await.expect("stored");
    }
    let there =
        async |number| store.session_fetch(&digest(number), Timestamp(10)).await.expect("readable").is_some();
    assert!(!there(1).await && there(2).await && there(4).await);
    let listed = store.session_list(Some(&user), Timestamp(10)).await.expect("readable");
    let used: Vec<i64> = listed.iter().map(|row| row.used_at.0).collect();
    assert_eq!(used, [4, 3, 2]);
    assert_eq!(listed[0].address.as_deref(), Some("10.0.0.7"));
    let ended = store.session_end_all(Some(&user), Some(&digest(4)), entry()).await.expect("stored");
    assert_eq!(ended, 2);
    assert!(!there(3).await && there(4).await);
    store.user_set_password(&user, "$argon2id$…", entry()).await.expect("stored");
    assert!(!there(4).await);
}

#[tokio::test]
async fn a5_throttles_survive_a_restart() {
    let (store, folder) = store().await;
    let throttle = Throttle { failures: 6, blocked_until: Timestamp(77) };
    store.throttle_set("account anna", Some(throttle)).await.expect("stored");
    drop(store);
    let store = SqliteStore::open(folder.path()).await.expect("opened again");
    assert_eq!(store.throttle_fetch("account anna").await.expect("readable"), throttle);
    store.throttle_set("account anna", None).await.expect("stored");
    assert_eq!(store.throttle_fetch("account anna").await.expect("readable"), Throttle::default());
}

#[tokio::test]
async fn a_line_that_comes_twice_is_kept_once_and_lines_come_in_pages() {
    let folder = TempDir::new().expect("a folder");
    let logs = SqliteLogStore::open(folder.path()).await.expect("opened");
    let row = |offset: i64| LogRow {
        deployment: DeploymentId(1),
        step: "backend.prepare".to_owned(),
        order: OrderKey("d1/backend.prepare/1/start".to_owned()),
        offset,
        at: Timestamp(1),
        text: format!("line {offset}"),
    };
    let rows: Vec<LogRow> = (0..10).map(row).collect();
    logs.log_append(&rows).await.expect("kept");
    logs.log_append(&rows[5..]).await.expect("kept");
    let first = logs.log_read(DeploymentId(1), None, LogPart::After(0), 6).await.expect("readable");
    assert_eq!((first.lines.len(), first.more), (6, true));
    let rest = logs.log_read(DeploymentId(1), None, LogPart::After(first.next), 6).await.expect("readable");
    assert_eq!((rest.lines.len(), rest.more), (4, false));
    assert_eq!(rest.lines.last().map(|line| line.text.as_str()), Some("line 9"));
    let other =
        logs.log_read(DeploymentId(1), Some("web.prepare"), LogPart::After(0), 6).await.expect("readable");
    assert!(other.lines.is_empty());
    let last = logs.log_read(DeploymentId(1), None, LogPart::Before(i64::MAX), 3).await.expect("readable");
    let texts: Vec<&str> = last.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!((texts, last.more), (vec!["line 7", "line 8", "line 9"], true));
    assert_eq!(logs.log_count(DeploymentId(1), last.next).await.expect("readable"), 7);
}

#[tokio::test]
async fn looks_at_a_service_are_kept_in_buckets_and_forgotten() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let logs = SqliteLogStore::open(folder.path()).await.expect("opened");
    let slot = |name: &str| Slot {
        project: "shop".parse().expect("valid"),
        environment: "staging".parse().expect("valid"),
        service: name.parse().expect("valid"),
    };
    let look = |name: &str, minute: i64, unhealthy: u32, latency_max_ms: u64| CheckRow {
        slot: slot(name),
        seen: CheckBucket {
            at: Timestamp(minute * 60_000),
            healthy: 5,
            unhealthy,
            latency_max_ms,
            ..CheckBucket::default()
        },
        last: vec![CheckView { at: Timestamp(minute), health: Health::Degraded, latency_ms: latency_max_ms }],
    };
    let rows = [look("web", 1, 0, 5), look("web", 2, 1, 90), look("web", 3, 0, 7), look("other", 2, 0, 1)];
    logs.check_append(&rows, Timestamp(0)).await.expect("kept");
    // The same minute again adds up.
    logs.check_append(&[look("web", 3, 2, 3)], Timestamp(0)).await.expect("kept");
    let read = logs.check_read(&slot("web"), Timestamp(0), 120_000).await.expect("readable");
    let told: Vec<_> = read.iter().map(|b| (b.at.0, b.healthy, b.unhealthy, b.latency_max_ms)).collect();
    assert_eq!(told, [(0, 5, 0, 5), (120_000, 15, 3, 90)]);
    let last: Vec<_> = logs.check_last().await.expect("readable");
    let last: Vec<_> =
        last.iter().map(|(slot, looks)| (slot.service.as_str(), looks[0].latency_ms)).collect();
    assert_eq!(last, [("other", 1), ("web", 3)], "the newest of each");
    logs.check_append(&[], Timestamp(120_000)).await.expect("kept");
    let left = logs.check_read(&slot("web"), Timestamp(0), 60_000).await.expect("readable");
    assert_eq!(left.len(), 2, "the first minute is forgotten");
}

#[tokio::test]
async fn tokens_are_found_by_words_and_one_more_than_are_shown_tells_that_there_are_more() {
    let (store, _folder) = store().await;
    let anna = add(&store, "anna", Role::Viewer).await;
    let token = |number: usize| TokenView {
        id: format!("{number:08x}"),
        name: format!("CI of shop {number}"),
        user: anna.clone(),
        bound: Grant { on: Scope::default(), role: Role::Deployer },
        actions: Vec::new(),
        created_at: Timestamp(1),
        expires_at: Timestamp(100),
        last_used_at: None,
        revoked: false,
    };
    for number in 0..LISTED_MAX + 5 {
        store.token_add(&token(number), &digest(7), entry()).await.expect("stored");
    }
    let found = async |words: &str| store.token_list(None, words).await.expect("listed").len();
    assert_eq!(found("").await, LISTED_MAX + 1);
    assert_eq!(found("ci deployer everything anna").await, LISTED_MAX + 1);
    assert_eq!(found("shop 1004").await, 1, "the last one as well");
    assert_eq!(found("shop %").await, 0, "words are no patterns");
}
