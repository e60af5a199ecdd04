//! People of an identity provider: what they have here by their groups goes with the groups.

use lockstep_engine::{
    port::{
        IdentityStore, OidcStore, Store,
        identity::SessionRow,
        oidc::{Arrived, Left, Person},
        store::{AuditEntry, AuditQuery},
    },
    testing::actor,
};
use lockstep_model::{
    Digest, Timestamp, UserName,
    access::{Grant, Rights, Role, Scope},
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
async fn who_is_in_no_group_any_more_loses_roles_sessions_and_tokens_at_once_and_one_line_says_so() {
    let folder = TempDir::new().expect("a folder");
    let store = SqliteStore::open(folder.path()).await.expect("opened");
    let gone = person(None);
    let left = async || store.oidc_leave(&gone.issuer, &gone.subject, entry()).await.expect("stored");
    assert_eq!(left().await, Left::Unknown);
    assert_eq!(lines(&store).await, 0);
    // Also the last admin: they cannot sign in any more, so the role would be nobody's.
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
