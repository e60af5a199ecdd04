//! Sessions go on under new ids, so that one that was seen before is worth nothing afterwards: when the
//! password is given again, every hour, and when their owner may do more. Connections that are open since
//! before know it by the old one.

use super::{Identities, Shown, SignInError, failures::Asked, tries};
use crate::secret;
use lockstep_engine::port::{StoreError, identity::SessionRow};
use lockstep_model::{Digest, UserName, deployment::Actor};
use std::{net::IpAddr, sync::PoisonError};

/// How long a session has the same id.
const RENEW_MS: u64 = 60 * 60 * 1_000;
/// How long the id before lets in after the new one has been seen: for requests that crossed.
const GRACE_MS: u64 = 30_000;

/// Renewed ids that are remembered; connections of those beyond begin anew.
const RENEWED_MAX: usize = 10_000;

impl Identities {
    /// Takes the password of whoever is in `session`; the cookie's new value. None = it has ended.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn session_confirm(
        &self,
        actor: &Actor,
        session: &Digest,
        password: String,
    ) -> Result<Option<String>, SignInError> {
        let user: &UserName = &actor.user;
        // Tries of its own: whoever guesses elsewhere does not keep those out who are in already.
        let key = format!("{} session {session}", tries::account_key(user));
        let asked = Asked { action: "/session/confirm", name: Some(user), address: address_of(actor) };
        self.known_by(asked, &key, password).await?;
        Ok(self.session_renew(actor, session).await?)
    }

    /// Has a session go on under a new id, because whoever is in it proved just now who they are; none =
    /// it has ended.
    pub(super) async fn session_renew(
        &self,
        actor: &Actor,
        session: &Digest,
    ) -> Result<Option<String>, StoreError> {
        let id = secret::random();
        let renewed = secret::digest(&id);
        let audit = self.entry(actor, "/session/confirm", &format!("user {}", actor.user));
        if !self.store.session_confirm(session, &renewed, self.clock.now(), audit).await? {
            return Ok(None);
        }
        self.id_moved(session, renewed);
        Ok(Some(id))
    }

    /// Has a session go on under a new id when it has had its own for an hour, or since before its owner
    /// was given more. The id before lets in until the new one has been seen, and a moment longer: answers
    /// get lost on their way. That it is renewed changes nothing for anybody, so it is not audited, and what
    /// cannot be written keeps nobody from reading.
    pub(super) async fn renew_if_due(
        &self,
        row: &SessionRow,
        shown: &Digest,
        how: &Shown<'_>,
    ) -> Option<(Digest, String)> {
        let renewed = self.try_renew(row, shown, how).await;
        renewed.unwrap_or_else(|error| {
            tracing::warn!("a session of {} keeps its id for now: {error}", row.user);
            None
        })
    }

    async fn try_renew(
        &self,
        row: &SessionRow,
        shown: &Digest,
        how: &Shown<'_>,
    ) -> Result<Option<(Digest, String)>, StoreError> {
        let now = self.clock.now();
        if !row.is_settled && !how.is_open && *shown == row.id {
            self.store.session_settle(&row.id, now.plus_ms(GRACE_MS)).await?;
        }
        // Who crosses with the answer that renewed it renews it no further: its owner has the new id.
        let is_last = *shown == row.id || !row.is_settled;
        let is_due = is_last && now.since_ms(row.renewed_at) >= RENEW_MS;
        if !(is_due && how.is_person && how.may_renew) {
            return Ok(None);
        }
        let id = secret::random();
        let renewed = secret::digest(&id);
        if !self.store.session_renew(row, shown, &renewed, now).await? {
            return Ok(None);
        }
        self.id_moved(&row.id, renewed.clone());
        if *shown != row.id {
            self.id_moved(shown, renewed.clone());
        }
        Ok(Some((renewed, id)))
    }

    /// Remembers for connections that are open since before what an id has become.
    pub(super) fn id_moved(&self, before: &Digest, after: Digest) {
        let mut known = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= RENEWED_MAX {
            known.clear();
        }
        // Whoever knew the first of several ids finds the last.
        for other in known.values_mut().filter(|other| *other == before) {
            *other = after.clone();
        }
        known.insert(before.clone(), after);
    }

    /// Whether this is the password of whoever signed in with `token`, for one thing that they do now. Wrong ones
    /// are counted as when signing in: by address, and by token, so that whoever guesses elsewhere keeps nobody out.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn token_confirm(
        &self,
        actor: &Actor,
        token: &str,
        password: String,
    ) -> Result<(), SignInError> {
        let user: &UserName = &actor.user;
        if let Some(address) = address_of(actor) {
            self.count_address(address, self.clock.now()).await?;
        }
        let key = format!("{} token {token}", tries::account_key(user));
        let asked = Asked { action: "/deployment/decide", name: Some(user), address: address_of(actor) };
        self.known_by(asked, &key, password).await?;
        Ok(())
    }

    /// The id under which a session goes on, for connections that are open since before.
    pub(super) fn id_now(&self, session: Digest, is_open: bool) -> Digest {
        if !is_open {
            return session;
        }
        let known = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&session).cloned().unwrap_or(session)
    }
}

fn address_of(actor: &Actor) -> Option<IpAddr> {
    actor.address.as_ref().and_then(|address| address.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Sender, Started, Whence, stage::Stage};
    use lockstep_engine::port::Clock as _;
    use lockstep_model::{
        Timestamp,
        access::{Grant, Role, Scope},
    };

    const MINUTE: i64 = 60_000;

    impl Stage {
        async fn entered(&self, name: &str, role: Role) -> Started {
            let name: UserName = name.parse().expect("a name");
            let grant = Grant { on: Scope::default(), role };
            let actor = Actor { user: name.clone(), via: "test".to_owned(), address: None };
            let (store, now) = (self.identities.store(), self.clock.now());
            let audit = self.identities.entry(&actor, "/user/add", "user");
            store.user_add(&name, &grant, now, audit).await.expect("added");
            let user = store.user_fetch(&name).await.expect("readable").expect("there").view;
            self.identities.session_start(&user, "test", Whence::default(), now).await.expect("begun")
        }

        async fn sender(&self, id: &str, how: Shown<'_>) -> Sender {
            let cookie = format!("lockstep={id}");
            let shown = Shown { cookies: vec![cookie.as_bytes()], ..how };
            self.identities.sender(shown).await.expect("answered")
        }

        /// As a person's page asks.
        async fn asks(&self, id: &str) -> Sender {
            self.sender(id, Shown { is_person: true, may_renew: true, ..Shown::default() }).await
        }

        async fn is_in(&self, id: &str) -> bool {
            self.asks(id).await.caller.is_some()
        }

        /// A person who goes on for an hour.
        async fn works_an_hour(&self, id: &str) {
            for _ in 0..6 {
                self.clock.advance_ms(10 * MINUTE);
                let how = Shown { is_person: true, ..Shown::default() };
                assert!(self.sender(id, how).await.caller.is_some());
            }
        }
    }

    #[tokio::test]
    async fn a7_a_session_goes_on_under_another_id_every_hour_and_requests_that_cross_go_through() {
        let stage = Stage::new().await;
        let first = stage.entered("vera", Role::Viewer).await.id;
        assert_eq!(stage.asks(&first).await.renewed, None, "it is young");
        stage.works_an_hour(&first).await;
        let quiet = stage.sender(&first, Shown { may_renew: true, ..Shown::default() }).await;
        assert_eq!((quiet.renewed, quiet.caller.is_some()), (None, true), "nobody is there");
        let renewed = stage.asks(&first).await;
        let second = renewed.renewed.expect("another id");
        // The answer may be lost: until the new one is seen, the old one lets in; it is not renewed twice.
        let crossing = stage.asks(&first).await;
        assert_eq!((crossing.session, crossing.renewed), (renewed.session, None));
        stage.clock.advance_ms(MINUTE);
        assert!(stage.is_in(&first).await);
        assert!(stage.is_in(&second).await);
        stage.clock.advance_ms(29_000);
        assert!(stage.is_in(&first).await);
        stage.clock.advance_ms(1_000);
        assert!(!stage.is_in(&first).await && stage.is_in(&second).await);
        // A socket that was opened with the first goes on.
        let open = Shown { is_open: true, ..Shown::default() };
        assert!(stage.sender(&first, open).await.caller.is_some());
    }

    #[tokio::test]
    async fn who_never_gets_a_new_id_is_not_signed_out() {
        let stage = Stage::new().await;
        let first = stage.entered("vera", Role::Viewer).await.id;
        stage.works_an_hour(&first).await;
        let lost = stage.asks(&first).await.renewed.expect("another id");
        stage.works_an_hour(&first).await;
        let third = stage.asks(&first).await.renewed.expect("yet another");
        assert!(!stage.is_in(&lost).await, "nobody got it");
        assert!(stage.is_in(&third).await && stage.is_in(&first).await);
        stage.clock.advance_ms(30_000);
        assert!(stage.is_in(&third).await && !stage.is_in(&first).await);
    }

    #[tokio::test]
    async fn a10_an_admins_session_ends_after_a_quarter_of_an_hour_without_them() {
        let stage = Stage::new().await;
        let (admin, viewer) =
            (stage.entered("adam", Role::Admin).await, stage.entered("vera", Role::Viewer).await);
        stage.clock.advance_ms(14 * MINUTE);
        assert!(stage.is_in(&admin.id).await, "and it was used now");
        for _ in 0..14 {
            // A socket that is open says nothing of anybody being there.
            stage.clock.advance_ms(MINUTE);
            assert!(
                stage.sender(&admin.id, Shown { is_open: true, ..Shown::default() }).await.caller.is_some()
            );
        }
        stage.clock.advance_ms(MINUTE);
        assert!(!stage.is_in(&admin.id).await);
        assert!(stage.is_in(&viewer.id).await, "others have half an hour");
        stage.clock.advance_ms(30 * MINUTE);
        assert!(!stage.is_in(&viewer.id).await);
    }

    #[tokio::test]
    async fn a_password_that_is_kept_in_a_weaker_way_is_kept_as_today_once_its_owner_gives_it() {
        let stage = Stage::new().await;
        let user = stage.entered("vera", Role::Viewer).await.user;
        let store = stage.identities.store();
        let actor = Actor { user: user.clone(), via: "test".to_owned(), address: None };
        let audit = stage.identities.entry(&actor, "/session/set_password", "user");
        let weak = crate::identity::password::weak_hash("correct-horse-battery");
        store.user_set_password(&user, &weak, audit).await.expect("set");
        let kept = async || store.user_fetch(&user).await.expect("readable").and_then(|row| row.password);
        let enters = async |password: &str| {
            let password = password.to_owned();
            stage.identities.sign_in("vera", password, Whence::default()).await.is_ok()
        };
        assert!(!enters("wrong-wrong-wrong").await);
        assert_eq!(kept().await, Some(weak.clone()));
        let lines = async || store.session_list(None, stage.clock.now()).await.expect("readable").len();
        assert!(enters("correct-horse-battery").await);
        let anew = kept().await.expect("still one");
        assert!(anew != weak && !crate::identity::password::is_weak(&anew));
        assert!(enters("correct-horse-battery").await, "it is the same password");
        assert_eq!((kept().await, lines().await), (Some(anew), 2), "and no session ended by it");
    }

    #[tokio::test]
    async fn tries_that_are_counted_by_session_go_on_with_it_and_end_with_it() {
        let stage = Stage::new().await;
        let entered = stage.entered("Vera", Role::Viewer).await;
        let store = stage.identities.store();
        let key = |session: &Digest| format!("{} session {session}", tries::account_key(&entered.user));
        let first = stage.asks(&entered.id).await.session.expect("a session");
        let tries = lockstep_engine::port::identity::Throttle { failures: 3, blocked_until: Timestamp(7) };
        store.throttle_set(&key(&first), Some(tries)).await.expect("kept");
        stage.works_an_hour(&entered.id).await;
        let second = stage.asks(&entered.id).await.session.expect("a session");
        assert_eq!(store.throttle_fetch(&key(&first)).await.expect("readable").failures, 0);
        assert_eq!(store.throttle_fetch(&key(&second)).await.expect("readable").failures, 3);
        let actor = Actor { user: entered.user.clone(), via: "test".to_owned(), address: None };
        stage.identities.sign_out(&actor, &second).await.expect("ended");
        assert_eq!(store.throttle_fetch(&key(&second)).await.expect("readable").failures, 0);
    }
}
