//! A password that is given again: the session goes on under a new id, so that one that was seen before is
//! worth nothing afterwards. Connections that are open since before know it by the old one.

use super::{Identities, SignInError, session};
use crate::secret;
use lockstep_engine::port::StoreError;
use lockstep_model::{Digest, UserName, deployment::Actor};
use std::sync::PoisonError;

/// Renewed ids that are remembered; connections of those beyond begin anew.
const RENEWED_MAX: usize = 1_000;

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
        let key = format!("{} session {session}", session::account_key(user));
        self.known_by(Some(user), &key, password).await?;
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
        let mut known = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= RENEWED_MAX {
            known.clear();
        }
        // Whoever knew the first of several ids finds the last.
        for other in known.values_mut().filter(|other| *other == session) {
            *other = renewed.clone();
        }
        known.insert(session.clone(), renewed);
        drop(known);
        Ok(Some(id))
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
        if let Some(address) = actor.address.as_ref().and_then(|address| address.parse().ok()) {
            self.count_address(address, self.clock.now()).await?;
        }
        let key = format!("{} token {token}", session::account_key(user));
        self.known_by(Some(user), &key, password).await?;
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
