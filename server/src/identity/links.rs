//! One-time links: with one somebody sets their password, with another the demo signs in.

use super::{Identities, Started, Whence, password, tries};
use crate::secret;
use lockstep_engine::port::{
    StoreError,
    identity::{LinkKind, LinkRow},
};
use lockstep_model::{UserName, deployment::Actor};

/// Whoever gets hold of the link becomes the user: it is short, and another is made in a moment.
const SET_PASSWORD_MS: u64 = 15 * 60 * 1_000;
const SIGN_IN_MS: u64 = 30 * 60 * 1_000;

/// Why a link did not work.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It was used already, is too old, or never was.
    #[error("the link was used already or is too old")]
    Spent,
    /// The password is too short or too long.
    #[error("a password has {} to {} characters", password::CHARS.start(), password::CHARS.end())]
    Password,
    /// It is among those that are tried first.
    #[error("the password is easily guessed")]
    Guessable,
    /// Too many do the same at this moment.
    #[error("too many tries; wait a moment")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Identities {
    /// A link for a user, and its path; not kept yet.
    pub fn link_write(
        &self,
        user: &UserName,
        kind: LinkKind,
        made_by: Option<&UserName>,
    ) -> (LinkRow, String) {
        let code = secret::random();
        let (page, lasts_ms) = match kind {
            LinkKind::SetPassword => ("link", SET_PASSWORD_MS),
            LinkKind::SignIn => ("enter", SIGN_IN_MS),
        };
        let expires_at = self.clock.now().plus_ms(lasts_ms);
        let row = LinkRow {
            code: secret::digest(&code),
            kind,
            user: user.clone(),
            expires_at,
            made_by: made_by.cloned(),
        };
        (row, format!("/{page}/{code}"))
    }

    /// Signs in by a link.
    ///
    /// # Errors
    /// [`LinkError::Spent`] and store errors.
    pub async fn link_enter(&self, code: &str, whence: Whence) -> Result<Started, LinkError> {
        let row = self.link_of(code, LinkKind::SignIn).await?;
        self.link_take(code).await?;
        self.enter(&row.user, whence).await
    }

    /// Sets a password by a link, and signs in.
    ///
    /// # Errors
    /// [`LinkError`]; the link is used up only when the password was set.
    pub async fn link_set_password(
        &self,
        code: &str,
        password: String,
        whence: Whence,
    ) -> Result<Started, LinkError> {
        let row = self.link_of(code, LinkKind::SetPassword).await?;
        if !password::CHARS.contains(&password.chars().count()) {
            return Err(LinkError::Password);
        }
        if password::is_guessable(&password, row.user.as_str()) {
            return Err(LinkError::Guessable);
        }
        let hash = self.passwords.hash(password).await.map_err(|password::Busy| LinkError::Busy)?;
        let address_text = whence.address.map(|address| address.to_string());
        let actor = Actor { user: row.user.clone(), via: "link".to_owned(), address: address_text };
        let audit = self.entry(&actor, "/session/set_password", &format!("user {}", row.user));
        let set = self.store.link_set_password(&row.code, &hash, audit).await?;
        let user = set.ok_or(LinkError::Spent)?;
        // Whoever has the link is no guesser: the account is open to them again.
        self.store.throttle_set(&tries::account_key(&row.user), None).await?;
        self.withdrawn();
        Ok(self.session_start(&user, "link", whence, self.clock.now()).await?)
    }

    /// The link with this code, unless it is of another kind or too old.
    async fn link_of(&self, code: &str, kind: LinkKind) -> Result<LinkRow, LinkError> {
        let row = self.store.link_fetch(&secret::digest(code)).await?;
        row.filter(|row| row.kind == kind && self.clock.now() < row.expires_at).ok_or(LinkError::Spent)
    }

    /// Uses the link up; of two at the same time one gets it.
    async fn link_take(&self, code: &str) -> Result<(), LinkError> {
        let taken = self.store.link_take(&secret::digest(code), self.clock.now()).await?;
        taken.map(drop).ok_or(LinkError::Spent)
    }

    async fn enter(&self, user: &UserName, whence: Whence) -> Result<Started, LinkError> {
        match self.store.user_fetch(user).await? {
            Some(row) if row.view.enabled => {
                Ok(self.session_start(&row.view, "link", whence, self.clock.now()).await?)
            }
            Some(_) | None => Err(LinkError::Spent),
        }
    }
}
