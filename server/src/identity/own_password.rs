//! Somebody changes their own password: they give the one of now, as when a session is confirmed, and whoever
//! else is in as them is out.

use super::{Identities, SignInError, failures::Asked, password, tries};
use crate::secret;
use lockstep_engine::port::{StoreError, store::AuditEntry};
use lockstep_model::Digest;

/// In what somebody is who changes it.
#[derive(Debug, Clone, Copy)]
pub enum Within<'a> {
    /// A session of a browser, which goes on under another id.
    Session(&'a Digest),
    /// The token of `lockstep login`.
    Token(&'a str),
}

/// A password that was changed.
#[derive(Debug)]
pub struct Changed {
    /// Sessions that have ended.
    pub ended: u64,
    /// The id under which the session goes on from which it was done. Kept nowhere.
    pub renewed: Option<String>,
}

/// Why it was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The new one is too short or too long.
    #[error("a password has {} to {} characters", password::CHARS.start(), password::CHARS.end())]
    Length,
    /// It is among those that are tried first.
    #[error("the new password is easily guessed; take words that do not belong together")]
    Guessable,
    /// It is the one of now.
    #[error("the new password is the one of now")]
    Same,
    /// It was changed by somebody else meanwhile.
    #[error("the password was changed at this moment, or the account was switched off; sign in again")]
    Crossed,
    /// Too many do the same at this moment.
    #[error("too many tries; wait a moment")]
    Busy,
    /// The one of now was not given.
    #[error(transparent)]
    Now(#[from] SignInError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Identities {
    /// Changes the password of whoever `audit` says does it. Wrong ones are counted as when a session or an
    /// approval is confirmed.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing was changed then.
    pub async fn password_change(
        &self,
        within: Within<'_>,
        now: String,
        new: String,
        audit: AuditEntry,
    ) -> Result<Changed, ChangeError> {
        let user = audit.actor.user.clone();
        if !password::CHARS.contains(&new.chars().count()) {
            return Err(ChangeError::Length);
        }
        if password::is_guessable(&new, user.as_str()) {
            return Err(ChangeError::Guessable);
        }
        let is_same = secret::same(&now, &new);
        let address = audit.actor.address.as_ref().and_then(|text| text.parse().ok());
        let key = match within {
            Within::Session(session) => format!("{} session {session}", tries::account_key(&user)),
            Within::Token(token) => {
                if let Some(address) = address {
                    self.count_address(address, self.clock.now()).await?;
                }
                format!("{} token {token}", tries::account_key(&user))
            }
        };
        let asked = Asked { action: "/session/password", name: Some(&user), address };
        let row = self.known_by(asked, &key, now).await?;
        // Only whoever knows the one of now is told.
        if is_same {
            return Err(ChangeError::Same);
        }
        let before = row.password.ok_or(ChangeError::Crossed)?;
        let hash = self.passwords.hash(new).await.map_err(|password::Busy| ChangeError::Busy)?;
        let id = secret::random();
        let renewed = secret::digest(&id);
        let session = match within {
            Within::Session(session) => Some(session),
            Within::Token(_) => None,
        };
        let kept = session.map(|session| (session, &renewed));
        let ended = self.store.password_change(&user, &before, &hash, kept, audit).await?;
        let ended = ended.ok_or(ChangeError::Crossed)?;
        if let Some(session) = session {
            self.id_moved(session, renewed.clone());
        }
        self.withdrawn();
        Ok(Changed { ended, renewed: session.map(|_| id) })
    }
}
