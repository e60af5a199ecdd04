//! The store of users, sessions, tokens, one-time links and throttles. It keeps digests of
//! secrets, never secrets.

use crate::port::store::{AuditEntry, StoreError};
use async_trait::async_trait;
use lockstep_model::{
    Digest, Timestamp, UserName,
    access::{Grant, Role, Scope},
    view::TokenView,
    view::UserView,
};

/// The most grants of one user.
pub const GRANTS_MAX: usize = 200;

/// A user with what is needed to check a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The user.
    pub view: UserView,
    /// The password as an argon2id string; none = not set yet.
    pub password: Option<String>,
}

/// A session of a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Digest of its id.
    pub id: Digest,
    /// What it is ended by: that stays when its id changes, and lets nobody in.
    pub line: String,
    /// Whose it is.
    pub user: UserName,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was used last by a person.
    pub used_at: Timestamp,
    /// It ends then, used or not.
    pub expires_at: Timestamp,
    /// From where it was begun.
    pub address: Option<String>,
    /// What the program that began it calls itself.
    pub device: Option<String>,
    /// When the password was given last.
    pub confirmed_at: Timestamp,
    /// Since when it has had its id; long ago = it is to get another one.
    pub renewed_at: Timestamp,
    /// Whether it is known that its owner has got this id.
    pub is_settled: bool,
}

/// So many tokens or sessions are listed at once.
pub const LISTED_MAX: usize = 1_000;

/// What a one-time link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// Sets a password.
    SetPassword,
    /// Signs in once; the demo's.
    SignIn,
}

/// A one-time link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// Digest of its code.
    pub code: Digest,
    /// What it does.
    pub kind: LinkKind,
    /// For whom.
    pub user: UserName,
    /// Until when.
    pub expires_at: Timestamp,
    /// Who made it; none = the server itself, or it was made before that was noted.
    pub made_by: Option<UserName>,
}

/// Failed tries to sign in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throttle {
    /// Failures in a row.
    pub failures: u32,
    /// Further tries are refused until then.
    pub blocked_until: Timestamp,
}

/// Which throttles have no effect any more.
#[derive(Debug, Clone, Copy)]
pub struct Tidying {
    /// What their keys begin with.
    pub prefix: &'static str,
    /// Failures that are nothing yet.
    pub few: u32,
    /// Those with a few go when they have passed before then.
    pub few_before: Timestamp,
    /// All go when they have passed before then.
    pub all_before: Timestamp,
    /// So many stay at most: those with few failures go first, then the oldest.
    pub most: u32,
}

/// What came of a try that was about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// It is counted as failed, as the throttle says now, until it is found to be right.
    Counted(Throttle),
    /// It is not to be made before then, and not counted.
    Waits(Timestamp),
}

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The digest of its text.
    pub secret: Digest,
    /// What it is.
    pub view: TokenView,
    /// Whose it is.
    pub owner: UserView,
    /// The rule of trust that gave it; none = a person made it.
    pub rule: Option<TokenRule>,
}

/// By which rule of trust a token was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRule {
    /// Its name.
    pub name: String,
    /// Who began the job.
    pub actor: Option<String>,
}

/// What changes of a user.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserChange<'a> {
    /// Their role on everything.
    pub role: Option<Role>,
    /// Whether they may sign in.
    pub enabled: Option<bool>,
    /// Their login at GitHub; empty = none.
    pub github: Option<&'a str>,
}

/// What came of a change to users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserChanged {
    /// It is done.
    Done(UserView),
    /// There is no such user.
    NotFound,
    /// There is such a user already, or one with that login.
    Exists,
    /// It would take away the last admin who can sign in: with a password, or at an identity provider.
    LastAdmin,
    /// Nothing was given there.
    NoGrant,
    /// There are [`GRANTS_MAX`] of them already.
    TooMany,
    /// They sign in at an identity provider, and so never by a password here.
    Provided,
}

/// Keeps users, sessions, tokens, links and throttles.
#[async_trait]
pub trait IdentityStore: Send + Sync {
    /// Makes a user without a password, with a first role.
    async fn user_add(
        &self,
        name: &UserName,
        grant: &Grant,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError>;

    /// The same with the link by which they set their password, in one transaction. Somebody who was invited
    /// with this role, has no password yet and may sign in is invited again.
    async fn user_invite(
        &self,
        grant: &Grant,
        link: &LinkRow,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError>;

    /// Changes the role on everything, whether they may sign in or their login at GitHub; the first two end
    /// their sessions, and who may not sign in loses their links. What was before and is after stands in the
    /// audit as the reason; so for the next two.
    async fn user_change(
        &self,
        name: &UserName,
        change: UserChange<'_>,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError>;

    /// Gives a role; what was given on exactly that part before is replaced.
    async fn user_grant(
        &self,
        name: &UserName,
        grant: &Grant,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError>;

    /// Takes away what was given on exactly this part.
    async fn user_revoke(
        &self,
        name: &UserName,
        on: &Scope,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError>;

    /// Sets a password and ends all sessions of the user.
    async fn user_set_password(
        &self,
        name: &UserName,
        password: &str,
        audit: AuditEntry,
    ) -> Result<UserChanged, StoreError>;

    /// The same by a link to set a password, which is used up by it, all in one transaction; the line of the
    /// audit is about its user. None = it was used, is too old, or its user may not sign in by a password.
    async fn link_set_password(
        &self,
        code: &Digest,
        password: &str,
        audit: AuditEntry,
    ) -> Result<Option<UserView>, StoreError>;

    /// Changes a password from `before`, and ends all sessions of the user but the one that is kept, which goes
    /// on under another id; how many have ended stands in the audit. None = it is another one by now, or they
    /// may not sign in.
    async fn password_change(
        &self,
        name: &UserName,
        before: &str,
        password: &str,
        kept: Option<(&Digest, &Digest)>,
        audit: AuditEntry,
    ) -> Result<Option<u64>, StoreError>;

    /// Keeps the same password in another way, unless it was changed since; nothing changes for anybody.
    async fn password_rehash(&self, name: &UserName, before: &str, password: &str) -> Result<(), StoreError>;

    /// A user by name.
    async fn user_fetch(&self, name: &UserName) -> Result<Option<UserRow>, StoreError>;

    /// All users, by name.
    async fn user_list(&self) -> Result<Vec<UserView>, StoreError>;

    /// Keeps a session; the oldest of a user's beyond `keep` end, and the one whose place it takes, which the
    /// audit names when it was somebody's.
    async fn session_add(
        &self,
        row: &SessionRow,
        keep: u32,
        instead_of: Option<&Digest>,
        audit: AuditEntry,
    ) -> Result<(), StoreError>;

    /// A session by the digest of its id, with its user; also by the id before it, for as long as that is
    /// let in. The row says which id it has now.
    async fn session_fetch(
        &self,
        id: &Digest,
        now: Timestamp,
    ) -> Result<Option<(SessionRow, UserView)>, StoreError>;

    /// A session goes on under another id, unless somebody else was first with that; false = they were.
    /// `shown`: the id that its owner has, which lets in until [`Self::session_settle`] says for how long.
    async fn session_renew(
        &self,
        row: &SessionRow,
        shown: &Digest,
        renewed: &Digest,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// The owner of a session has got its id: the one before it lets in until then.
    async fn session_settle(&self, id: &Digest, until: Timestamp) -> Result<(), StoreError>;

    /// Notes that a session was used.
    async fn session_touch(&self, id: &Digest, at: Timestamp) -> Result<(), StoreError>;

    /// The password was given again: the session goes on under another id. False when it has ended.
    async fn session_confirm(
        &self,
        id: &Digest,
        renewed: &Digest,
        at: Timestamp,
        audit: AuditEntry,
    ) -> Result<bool, StoreError>;

    /// Ends the session with this id, or that had it a moment ago; false = there is none, and nothing is noted.
    async fn session_end(&self, id: &Digest, audit: AuditEntry) -> Result<bool, StoreError>;

    /// The same by [`SessionRow::line`].
    async fn session_end_line(&self, line: &str, audit: AuditEntry) -> Result<bool, StoreError>;

    /// Sessions of a user, or all, that have not expired; the one used last first.
    async fn session_list(
        &self,
        user: Option<&UserName>,
        now: Timestamp,
    ) -> Result<Vec<SessionRow>, StoreError>;

    /// Ends all sessions: of a user, or of everybody; all but one, where one is named. Says how many.
    async fn session_end_all(
        &self,
        user: Option<&UserName>,
        but: Option<&Digest>,
        audit: AuditEntry,
    ) -> Result<u64, StoreError>;

    /// Notes a browser that a user has signed in with, by the digest of what its cookie holds; the oldest of
    /// too many are forgotten.
    async fn device_add(&self, id: &Digest, user: &UserName, at: Timestamp) -> Result<(), StoreError>;

    /// Whether a user has signed in with it.
    async fn device_is_known(&self, id: &Digest, user: &UserName) -> Result<bool, StoreError>;

    /// Keeps a token.
    async fn token_add(
        &self,
        token: &TokenView,
        secret: &Digest,
        audit: AuditEntry,
    ) -> Result<(), StoreError>;

    /// A token by its public part.
    async fn token_fetch(&self, id: &str) -> Result<Option<TokenRow>, StoreError>;

    /// Tokens of a user, or all, that have all of these words, in small letters: the newest first, and one
    /// more than are shown at most, so that it is known whether there are more.
    async fn token_list(&self, user: Option<&UserName>, words: &str) -> Result<Vec<TokenView>, StoreError>;

    /// Ends a token.
    async fn token_revoke(&self, id: &str, audit: AuditEntry) -> Result<Option<TokenView>, StoreError>;

    /// Notes that a token was used; at most once a minute is enough.
    async fn token_touch(&self, id: &str, at: Timestamp) -> Result<(), StoreError>;

    /// Keeps a one-time link, for somebody who may sign in; earlier ones of the same kind and user end. None
    /// to set a password for whom an identity provider knows.
    async fn link_add(&self, link: &LinkRow, audit: Option<AuditEntry>) -> Result<UserChanged, StoreError>;

    /// Looks at a link without using it up.
    async fn link_fetch(&self, code: &Digest) -> Result<Option<LinkRow>, StoreError>;

    /// Uses a link up: returns it once, to one caller, and only before it expires.
    async fn link_take(&self, code: &Digest, now: Timestamp) -> Result<Option<LinkRow>, StoreError>;

    /// Links to set a password by that work until after `now`, the one that ends first first.
    async fn link_list(&self, now: Timestamp) -> Result<Vec<LinkRow>, StoreError>;

    /// Ends a user's link to set a password by, when there is one that works.
    async fn link_revoke(
        &self,
        user: &UserName,
        now: Timestamp,
        audit: AuditEntry,
    ) -> Result<Option<LinkRow>, StoreError>;

    /// The throttle of a key such as `account anna` or `address 10.0.0.1`.
    async fn throttle_fetch(&self, key: &str) -> Result<Throttle, StoreError>;

    /// Counts a try under a key, in one step with looking whether it may be made: of many at the same time
    /// each counts, and those that are too many are not made. `failed`: the throttle after one more failure.
    async fn throttle_try(
        &self,
        key: &str,
        now: Timestamp,
        failed: fn(Throttle, Timestamp) -> Throttle,
    ) -> Result<Tried, StoreError>;

    /// Refuses further tries under a key until then, unless it is forgotten or they are refused longer.
    async fn throttle_delay(&self, key: &str, until: Timestamp) -> Result<(), StoreError>;

    /// Forgets throttles that have no effect any more.
    async fn throttle_tidy(&self, rule: &Tidying) -> Result<(), StoreError>;

    /// Sets the throttle of a key; none forgets it.
    async fn throttle_set(&self, key: &str, throttle: Option<Throttle>) -> Result<(), StoreError>;

    /// Forgets throttles whose key begins so and that have passed before then.
    async fn throttle_forget(&self, prefix: &str, before: Timestamp) -> Result<(), StoreError>;

    /// Throttles whose key begins so and that have not passed by then, at most 10,000.
    async fn throttle_list(
        &self,
        prefix: &str,
        now: Timestamp,
    ) -> Result<Vec<(String, Throttle)>, StoreError>;

    /// Notes in the audit what strangers do who are to be looked at.
    async fn stranger_note(&self, audit: AuditEntry) -> Result<(), StoreError>;

    /// The installation's own id, made at the first start.
    async fn installation_id(&self) -> Result<String, StoreError>;
}
