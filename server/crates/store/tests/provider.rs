//! People of an identity provider: what they have here by their groups goes with the groups.

use lockstep_engine::{
    port::{
        IdentityStore, OidcStore, Store, StoreError,
        identity::{LinkKind, LinkRow, SessionRow, UserChange, UserChanged},
        oidc::{Arrived, Left, Person},
        store::{AuditEntry, AuditQuery},
    },
    testing::actor,
};
use lockstep_model::{
    Digest, Timestamp, UserName,
    access::{Grant, Permission, Right, Rights, Role, Scope},
    view::TokenView,
};
use lockstep_store::SqliteStore;
use tempfile::TempDir;

fn entry() -> AuditEntry {
    AuditEntry {
        at: Timestamp(10),
        actor: actor(),
        action: "/session/oidc".to_owned(),
        target: String::new(),
        reason: None,
        allowed: true,
        right: None,
    }
}

fn digest(number: u8) -> Digest {
    format!("sha256:{}", format!("{number:02x}").repeat(32)).parse().expect("valid")
}

fn person(role: Option<Role>) -> Person {
    let grants = role.map(|role| Grant { on: Scope::default(), role }).into_iter().collect();
    Person {
        issuer: "https://id.example.com".to_owned(),
        subject: "anna".to_owned(),
        names: vec!["anna".parse().expect("valid")],
        rights: Rights(grants),
    }
}

async fn lines(store: &SqliteStore) -> usize {
    let all = AuditQuery { limit: 200, ..AuditQuery::default() };
    store.audit_find(&all).await.expect("readable").len()
}

/// Somebody with a session and a token.
async fn arrived(store: &SqliteStore, role: Role) -> UserName {
    let came = store.oidc_arrive(&person(Some(role)), entry()).await.expect("stored");
    let Arrived::As(user) = came else { panic!("{came:?}") };
    let session = SessionRow {
        id: digest(1),
        line: "00ff".to_owned(),
        user: user.name.clone(),
        created_at: Timestamp(10),
        used_at: Timestamp(10),
        expires_at: Timestamp(1_000),
        address: None,
        device: None,
        confirmed_at: Timestamp(0),
        renewed_at: Timestamp(10),
        is_settled: true,
    };
    store.session_add(&session, 10, None, entry()).await.expect("stored");
    let token = TokenView {
        id: "00ff".to_owned(),
        name: "ci".to_owned(),
        user: user.name.clone(),
        bound: Grant { on: Scope::default(), role },
        actions: Vec::new(),
        created_at: Timestamp(10),
        expires_at: Timestamp(1_000),
        last_used_at: None,
        revoked: false,
    };
    store.token_add(&token, &digest(2), entry()).await.expect("stored");
    user.name
}

#[tokio::test]
async fn whom_a_provider_knows_gets_no_password_here_and_who_waits_for_one_is_invited_again_by_a_line_of_its_own()
 {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(folder.path()).await.expect("opened");
    let viewer = Grant { on: Scope::default(), role: Role::Viewer };
    let link = |code: u8, user: &str| LinkRow {
        code: digest(code),
        kind: LinkKind::SetPassword,
        user: user.parse().expect("valid"),
        expires_at: Timestamp(1_000),
        made_by: None,
    };
    let invite = async |code: u8, user: &str, audit: AuditEntry| {
        store.user_invite(&viewer, &link(code, user), audit).await
    };
    let is_kept = async |code: u8| store.link_fetch(&digest(code)).await.expect("readable").is_some();
    arrived(&store, Role::Viewer).await;
    let before = lines(&store).await;
    assert_eq!(invite(1, "anna", entry()).await.expect("answered"), UserChanged::Provided);
    let asked = store.link_add(&link(2, "anna"), Some(entry())).await.expect("answered");
    assert_eq!(asked, UserChanged::Provided);
    assert!(!is_kept(1).await && !is_kept(2).await && lines(&store).await == before);

    assert!(matches!(invite(3, "bert", entry()).await, Ok(UserChanged::Done(_))));
    assert!(matches!(invite(4, "Bert", entry()).await, Ok(UserChanged::Done(_))));
    assert!(!is_kept(3).await && is_kept(4).await, "the earlier one has ended");
    assert_eq!(lines(&store).await, before + 2);
    // Whose right to do so is gone by then does not.
    let right = Right {
        user: "nobody".parse().expect("valid"),
        token: None,
        permission: Permission::ManageUsers,
        on: Scope::default(),
    };
    let gone = invite(5, "bert", AuditEntry { right: Some(right), ..entry() }).await;
    assert!(matches!(gone, Err(StoreError::Withdrawn { .. })), "{gone:?}");
    assert!(is_kept(4).await && !is_kept(5).await);
    let bert = "bert".parse().expect("valid");
    store
        .user_change(&bert, UserChange { enabled: Some(false), ..UserChange::default() }, entry())
        .await
        .expect("stored");
    assert_eq!(invite(6, "bert", entry()).await.expect("answered"), UserChanged::Exists, "switched off");
    store
        .user_change(&bert, UserChange { enabled: Some(true), ..UserChange::default() }, entry())
        .await
        .expect("stored");
    store.user_set_password(&bert, "$argon2id$…", entry()).await.expect("stored");
    assert_eq!(invite(7, "bert", entry()).await.expect("answered"), UserChanged::Exists, "has one");
}

#[tokio::test]
async fn whom_a_provider_knows_is_an_admin_who_can_sign_in() {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(folder.path()).await.expect("opened");
    let grant = Grant { on: Scope::default(), role: Role::Admin };
    let bert: UserName = "bert".parse().expect("valid");
    store.user_add(&bert, &grant, Timestamp(1), entry()).await.expect("stored");
    store.user_set_password(&bert, "$argon2id$…", entry()).await.expect("stored");
    let anna = arrived(&store, Role::Admin).await;
    let off = store
        .user_change(&bert, UserChange { enabled: Some(false), ..UserChange::default() }, entry())
        .await
        .expect("answered");
    assert!(matches!(off, UserChanged::Done(_)), "{off:?}");
    let off = store
        .user_change(&anna, UserChange { enabled: Some(false), ..UserChange::default() }, entry())
        .await
        .expect("answered");
    assert_eq!(off, UserChanged::LastAdmin);
    // Neither can groups take the last one away: they get what the groups give, and stay what nobody else is.
    let rights = async || {
        let arrived = store.oidc_arrive(&person(Some(Role::Viewer)), entry()).await.expect("answered");
        let Arrived::As(user) = arrived else { panic!("{arrived:?}") };
        user.grants
    };
    assert!(rights().await.0.contains(&grant), "nobody else is one");
    let before = lines(&store).await;
    assert!(rights().await.0.contains(&grant));
    assert_eq!(lines(&store).await, before, "nothing changed");
    // When there is another one, less is less.
    let on = UserChange { enabled: Some(true), ..UserChange::default() };
    assert!(matches!(store.user_change(&bert, on, entry()).await, Ok(UserChanged::Done(_))));
    assert_eq!(rights().await, person(Some(Role::Viewer)).rights);
    let off = UserChange { enabled: Some(false), ..UserChange::default() };
    assert_eq!(store.user_change(&bert, off, entry()).await.expect("answered"), UserChanged::LastAdmin);
}

#[tokio::test]
async fn a_last_admin_who_left_stays_one_but_does_not_stand_in_for_one_who_can_sign_in() {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(folder.path()).await.expect("opened");
    let grant = Grant { on: Scope::default(), role: Role::Admin };
    let anna = arrived(&store, Role::Admin).await;
    let gone = person(None);
    let left = async || store.oidc_leave(&gone.issuer, &gone.subject, entry()).await.expect("stored");
    assert_eq!(left().await, Left::Gone(anna.clone()));
    let rights = async || store.user_fetch(&anna).await.expect("readable").expect("there").view.grants;
    assert_eq!(rights().await.0.as_slice(), std::slice::from_ref(&grant));
    assert_eq!(
        store.session_fetch(&digest(1), Timestamp(11)).await.expect("readable"),
        None,
        "cannot come in"
    );
    assert!(store.token_fetch("00ff").await.expect("readable").expect("there").view.revoked);
    let before = lines(&store).await;
    assert_eq!(left().await, Left::Nothing, "and once is enough");
    assert_eq!(lines(&store).await, before);
    // Whoever can sign in is the last one now, and the one who left can be removed.
    let bert: UserName = "bert".parse().expect("valid");
    store.user_add(&bert, &grant, Timestamp(1), entry()).await.expect("stored");
    store.user_set_password(&bert, "$argon2id$…", entry()).await.expect("stored");
    let off = || UserChange { enabled: Some(false), ..UserChange::default() };
    assert_eq!(store.user_change(&bert, off(), entry()).await.expect("answered"), UserChanged::LastAdmin);
    assert!(matches!(left().await, Left::Gone(_)), "with another one the role goes, too");
    assert!(rights().await.0.is_empty());
    // Back in the group they count again.
    let back = store.oidc_arrive(&person(Some(Role::Admin)), entry()).await.expect("stored");
    assert!(matches!(back, Arrived::As(_)), "{back:?}");
    assert!(matches!(store.user_change(&bert, off(), entry()).await, Ok(UserChanged::Done(_))));
}

#[tokio::test]
async fn who_is_in_no_group_any_more_loses_roles_sessions_and_tokens_at_once_and_one_line_says_so() {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(folder.path()).await.expect("opened");
    let gone = person(None);
    let left = async || store.oidc_leave(&gone.issuer, &gone.subject, entry()).await.expect("stored");
    assert_eq!(left().await, Left::Unknown);
    assert_eq!(lines(&store).await, 0);
    let bert: UserName = "bert".parse().expect("valid");
    let grant = Grant { on: Scope::default(), role: Role::Admin };
    store.user_add(&bert, &grant, Timestamp(1), entry()).await.expect("stored");
    store.user_set_password(&bert, "$argon2id$…", entry()).await.expect("stored");
    let name = arrived(&store, Role::Admin).await;
    let before = lines(&store).await;
    assert_eq!(left().await, Left::Gone(name.clone()));
    assert_eq!(lines(&store).await, before + 1);
    let user = store.user_fetch(&name).await.expect("readable").expect("there").view;
    assert!(user.grants.0.is_empty() && user.enabled, "{user:?}");
    assert_eq!(store.session_fetch(&digest(1), Timestamp(11)).await.expect("readable"), None);
    let token = store.token_fetch("00ff").await.expect("readable").expect("there").view;
    assert!(token.revoked);
    let last = AuditQuery { limit: 1, ..AuditQuery::default() };
    let last = store.audit_find(&last).await.expect("readable").remove(0).1;
    assert_eq!((&last.actor.user, last.target.as_str()), (&name, "user anna"));
    assert!(
        last.reason.as_deref().is_some_and(|why| why.starts_with("before: admin on everything")),
        "{last:?}"
    );
    assert_eq!(left().await, Left::Nothing);
    assert_eq!(lines(&store).await, before + 1);
    // Back in a group they may something again; what was revoked stays so.
    let back = store.oidc_arrive(&person(Some(Role::Viewer)), entry()).await.expect("stored");
    assert!(matches!(back, Arrived::As(_)), "{back:?}");
    assert!(store.token_fetch("00ff").await.expect("readable").expect("there").view.revoked);
}
