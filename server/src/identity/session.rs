//! Sessions of browsers: a random id in a cookie, its digest in the store; ended by sign-out, by
//! half an hour without a person (an admin's by a quarter), and after eight hours in any case.

use super::{Identities, Sender, Shown, Whence, caller, failures::Asked};
use crate::secret;
use app::backend::{Caller, Credential};
use lockstep_engine::port::{StoreError, identity::SessionRow};
use lockstep_model::{Digest, Timestamp, UserName, access::Role, deployment::Actor, view::UserView};
use std::net::IpAddr;

/// The cookie's name over plain HTTP on the own machine; the gateway keeps both from services.
pub const COOKIE: &str = "lockstep";
/// The cookie's name over HTTPS.
pub const COOKIE_SECURE: &str = "__Host-lockstep";
/// The cookie by which a browser is known that somebody has signed in with; it lets nobody in.
pub const KNOWN: &str = "lockstep_known";
/// The same over HTTPS.
pub const KNOWN_SECURE: &str = "__Host-lockstep_known";

/// OWASP's bounds for applications of this kind.
const IDLE_MS: u64 = 30 * 60 * 1_000;
const ADMIN_IDLE_MS: u64 = 15 * 60 * 1_000;
const ABSOLUTE_MS: u64 = 8 * 60 * 60 * 1_000;
/// Sessions of one account; the oldest ends.
const SESSIONS_MAX: u32 = 10;
/// Use is noted this often at most.
const TOUCH_EVERY_MS: u64 = 60_000;
pub(super) const COOKIE_BYTES_MAX: usize = 128;
const DEVICE_CHARS_MAX: usize = 300;
/// What the throttles of addresses begin with; they are forgotten after an hour.
const ADDRESS: &str = "address";
const FORGET_MS: u64 = 60 * 60 * 1_000;

/// A session that has begun.
#[derive(Debug, Clone)]
pub struct Started {
    /// The cookie's value; kept nowhere.
    pub id: String,
    /// Whose it is.
    pub user: UserName,
    /// What the browser is known by from now on; none = it is already. Kept nowhere.
    pub known: Option<String>,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Name or password is wrong; which of both is not told.
    #[error("name or password is wrong")]
    Credentials,
    /// Too many tries.
    #[error("too many tries; wait {} s", wait_ms.div_ceil(1000))]
    Throttled {
        /// How long to wait.
        wait_ms: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Identities {
    /// Signs somebody in by their password.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        name: &str,
        password: String,
        whence: Whence,
    ) -> Result<Started, SignInError> {
        let now = self.clock.now();
        if let Some(address) = whence.address {
            self.count_address(address, now).await?;
        }
        let name: Option<UserName> = name.trim().parse().ok();
        let key = self.tries_key(name.as_ref(), whence.known.as_deref()).await?;
        let asked = Asked { action: "/session/sign_in", name: name.as_ref(), address: whence.address };
        let row = match self.known_by(asked, &key, password).await {
            // Also a try that an account waits for: whoever guesses from many places meets it.
            Err(error @ (SignInError::Credentials | SignInError::Throttled { .. })) => {
                self.guessed(whence.address, name.as_ref()).await;
                return Err(error);
            }
            known => known?,
        };
        Ok(self.session_start(&row.view, "browser", whence, self.clock.now()).await?)
    }

    /// Counts a try of an address, and writes it down.
    pub(super) async fn count_address(&self, address: IpAddr, now: Timestamp) -> Result<(), SignInError> {
        let key = format!("{ADDRESS} {address}");
        if !self.addresses.knows(address) {
            self.store.throttle_forget(ADDRESS, Timestamp(now.0.saturating_sub_unsigned(FORGET_MS))).await?;
            let kept = self.store.throttle_fetch(&key).await?;
            if kept.failures > 0 {
                self.addresses.remember(address, kept);
            }
        }
        let (kept, outcome) = self.addresses.try_from(address, now);
        if kept.is_some() {
            self.store.throttle_set(&key, kept).await?;
        }
        outcome.map_err(|wait_ms| SignInError::Throttled { wait_ms })
    }

    /// Begins a session, always under a new id. `proven_at`: when its owner proved last who they are.
    pub(super) async fn session_start(
        &self,
        user: &UserView,
        via: &str,
        whence: Whence,
        proven_at: Timestamp,
    ) -> Result<Started, StoreError> {
        let id = secret::random();
        let now = self.clock.now();
        let line = secret::bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let row = SessionRow {
            id: secret::digest(&id),
            line,
            user: user.name.clone(),
            created_at: now,
            used_at: now,
            expires_at: now.plus_ms(ABSOLUTE_MS),
            address: whence.address.map(|address| address.to_string()),
            device: whence.device.map(|device| shortened(&device)),
            confirmed_at: proven_at,
            renewed_at: now,
            is_settled: true,
        };
        let known = match whence.known {
            Some(known) if self.store.device_is_known(&secret::digest(&known), &user.name).await? => None,
            Some(_) | None => {
                let known = secret::random();
                self.store.device_add(&secret::digest(&known), &user.name, now).await?;
                Some(known)
            }
        };
        let address = row.address.clone();
        let actor = Actor { user: user.name.clone(), via: via.to_owned(), address };
        let audit = self.entry(&actor, "/session/sign_in", &format!("user {}", user.name));
        self.store.session_add(&row, SESSIONS_MAX, whence.present.as_ref(), audit).await?;
        // That of before has ended, and the oldest of too many.
        self.withdrawn();
        Ok(Started { id, user: user.name.clone(), known })
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sign_out(&self, actor: &Actor, session: &Digest) -> Result<(), StoreError> {
        let audit = self.entry(actor, "/session/sign_out", &format!("user {}", actor.user));
        // A request that crossed may have had it go on under another id.
        if !self.store.session_end(session, audit.clone()).await? {
            let now = self.id_now(session.clone(), true);
            self.store.session_end(&now, audit).await?;
        }
        self.withdrawn();
        Ok(())
    }

    pub(super) async fn by_cookie(&self, shown: &Shown<'_>) -> Result<Sender, StoreError> {
        let Some(id) = session_id(&shown.cookies, self.is_https) else { return Ok(Sender::default()) };
        let now = self.clock.now();
        let digest = self.id_now(secret::digest(id), shown.is_open);
        let Some((row, user)) = self.store.session_fetch(&digest, now).await? else {
            return Ok(Sender::default());
        };
        if is_over(&row, is_admin(&user), now) || !user.enabled {
            return Ok(Sender::default());
        }
        if shown.is_person && now.since_ms(row.used_at) >= TOUCH_EVERY_MS {
            self.store.session_touch(&row.id, now).await?;
        }
        let renewed = self.renew_if_due(&row, &digest, shown).await;
        let (digest, renewed) = renewed.map_or((row.id, None), |(digest, id)| (digest, Some(id)));
        let credential = Credential::Session(digest.clone());
        let caller = caller(user.name, user.grants, credential, "browser".to_owned(), shown.address);
        let caller = Caller { has_password: user.has_password, ..caller };
        let is_confirmed = now.since_ms(row.confirmed_at) < self.confirm_ms;
        Ok(Sender { caller: Some(caller), session: Some(digest), is_confirmed, renewed })
    }
}

/// Whether somebody has a role that looks after the server: their sessions end sooner.
pub fn is_admin(user: &UserView) -> bool {
    user.grants.strongest() == Some(Role::Admin)
}

/// Whether a session lets nobody in any more.
pub fn is_over(row: &SessionRow, is_admin: bool, now: Timestamp) -> bool {
    let idle_ms = if is_admin { ADMIN_IDLE_MS } else { IDLE_MS };
    now >= row.expires_at || now.since_ms(row.used_at) >= idle_ms
}

/// What a program calls itself, as far as it is kept.
fn shortened(device: &str) -> String {
    device.chars().filter(|char| !char.is_control()).take(DEVICE_CHARS_MAX).collect()
}

/// What the browser is known by, when exactly one such cookie was sent.
pub fn known_device<'a>(cookies: &[&'a [u8]], is_https: bool) -> Option<&'a str> {
    only_cookie(cookies, if is_https { KNOWN_SECURE } else { KNOWN })
}

/// The session's id, when exactly one plausible one was sent.
fn session_id<'a>(cookies: &[&'a [u8]], is_https: bool) -> Option<&'a str> {
    only_cookie(cookies, if is_https { COOKIE_SECURE } else { COOKIE })
}

/// The value of a cookie, when exactly one of this name was sent and it is plausible. Over HTTPS the name
/// begins with `__Host-`: a host beside this one can set every other, and so plant a session or, with a second
/// one, hide the right one.
fn only_cookie<'a>(cookies: &[&'a [u8]], name: &str) -> Option<&'a str> {
    let mut found = cookies
        .iter()
        .filter_map(|value| std::str::from_utf8(value).ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    let only = found.next()?;
    let is_plausible = found.next().is_none() && !only.is_empty() && only.len() <= COOKIE_BYTES_MAX;
    is_plausible.then_some(only)
}

#[cfg(test)]
mod tests {
    use super::{ADMIN_IDLE_MS, IDLE_MS, is_over, known_device, session_id};
    use lockstep_engine::port::identity::SessionRow;
    use lockstep_model::Timestamp;

    #[test]
    fn a_session_needs_exactly_one_plausible_cookie() {
        let long = format!("lockstep={}", "x".repeat(4_096));
        let cases: [(&[&str], Option<&str>); 6] = [
            (&["a=1; lockstep=abc; b=2"], Some("abc")),
            (&["lockstep=abc; lockstep=abd"], None),
            (&["lockstep=abc", "lockstep=abd"], None),
            (&["lockstep="], None),
            (&[&long], None),
            (&["xlockstep=abc"], None),
        ];
        for (cookies, expected) in cases {
            let plain: Vec<&[u8]> = cookies.iter().map(|cookie| cookie.as_bytes()).collect();
            assert_eq!(session_id(&plain, false), expected, "{cookies:?}");
            let safe = cookies.iter().map(|cookie| cookie.replace("lockstep=", "__Host-lockstep="));
            let safe: Vec<String> = safe.collect();
            let safe: Vec<&[u8]> = safe.iter().map(|cookie| cookie.as_bytes()).collect();
            assert_eq!(session_id(&safe, true), expected, "{cookies:?}");
        }
    }

    #[test]
    fn a7_over_https_a_cookie_that_another_host_can_set_neither_plants_a_session_nor_hides_one() {
        let ids = |cookies: &str| {
            let cookies = [cookies.as_bytes()];
            [session_id(&cookies, true), session_id(&cookies, false)].map(|id| id.map(str::to_owned))
        };
        let some = |id: &str| Some(id.to_owned());
        assert_eq!(ids("lockstep=planted"), [None, some("planted")]);
        assert_eq!(ids("__Host-lockstep=own; lockstep=planted"), [some("own"), some("planted")]);
        assert_eq!(ids("__Host-lockstep=own"), [some("own"), None]);
        let known = |cookies: &'static str| known_device(&[cookies.as_bytes()], true);
        assert_eq!(known("lockstep_known=planted"), None);
        assert_eq!(known("lockstep_known=planted; __Host-lockstep_known=own"), Some("own"));
    }

    #[test]
    fn a10_half_an_hour_or_an_admins_quarter_without_a_person_or_eight_hours_in_all_end_a_session() {
        let begun = Timestamp(1_000_000);
        let row = SessionRow {
            id: crate::secret::digest("x"),
            line: "00ff".to_owned(),
            user: "anna".parse().expect("valid"),
            created_at: begun,
            used_at: begun,
            expires_at: begun.plus_ms(super::ABSOLUTE_MS),
            address: None,
            confirmed_at: begun,
            device: None,
            renewed_at: begun,
            is_settled: true,
        };
        for (is_admin, idle_ms) in [(false, IDLE_MS), (true, ADMIN_IDLE_MS)] {
            assert!(!is_over(&row, is_admin, begun.plus_ms(idle_ms - 1)));
            assert!(is_over(&row, is_admin, begun.plus_ms(idle_ms)));
        }
        // Busy all the time: over all the same.
        let busy = |at: Timestamp| SessionRow { used_at: at, ..row.clone() };
        let last = begun.plus_ms(super::ABSOLUTE_MS - 1);
        assert!(!is_over(&busy(last), true, last));
        assert!(is_over(&busy(row.expires_at), true, row.expires_at));
    }
}
