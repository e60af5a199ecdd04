//! Tries to give a password, by account: each is counted before the password is looked at, so that many at the
//! same time count as many. Who gives the right one has made none.

use super::{Identities, SignInError, failures::Asked, password, session, throttle};
use crate::secret;
use lockstep_engine::port::{
    StoreError,
    identity::{Tried, UserRow},
};
use lockstep_model::UserName;

impl Identities {
    /// Whose password it is, when it is theirs and they may sign in; kept as strongly as today from then on.
    /// Wrong ones are counted under `key`, and slow further ones down.
    pub(super) async fn known_by(
        &self,
        asked: Asked<'_>,
        key: &str,
        password: String,
    ) -> Result<UserRow, SignInError> {
        let known = self.look_at(asked.name, key, password).await;
        if let Err(why @ (SignInError::Credentials | SignInError::Throttled { .. })) = &known {
            self.failed(asked, why).await?;
        }
        known
    }

    async fn look_at(
        &self,
        name: Option<&UserName>,
        key: &str,
        password: String,
    ) -> Result<UserRow, SignInError> {
        const BUSY: SignInError = SignInError::Throttled { wait_ms: 1_000 };
        // First: a try that cannot be made now is not counted.
        let place = self.passwords.place().map_err(|password::Busy| BUSY)?;
        let now = self.clock.now();
        let counted = match self.store.throttle_try(key, now, throttle::failed).await? {
            Tried::Counted(counted) => counted,
            Tried::Waits(until) => return Err(SignInError::Throttled { wait_ms: until.since_ms(now) }),
        };
        if let Some(rule) = self.tidier.due(now) {
            self.store.throttle_tidy(&rule).await?;
        }
        let row = match name {
            Some(name) => self.store.user_fetch(name).await?,
            None => None,
        };
        let kept = row.as_ref().and_then(|row| row.password.clone());
        let weak = kept.clone().filter(|kept| password::is_weak(kept)).map(|kept| (kept, password.clone()));
        let length = password.chars().count();
        let is_right = length <= *password::CHARS.end()
            && self.passwords.is_right(place, password, kept).await.map_err(|password::Busy| BUSY)?;
        match row {
            Some(row) if is_right && row.view.enabled => {
                self.store.throttle_set(key, None).await?;
                Ok(match weak {
                    None => row,
                    Some((kept, password)) => self.kept_anew(row, kept, password).await,
                })
            }
            Some(_) | None => {
                // From now on: looking at the password takes a while on a busy machine.
                let wait_ms = throttle::wait_ms(counted, now);
                if wait_ms > 0 {
                    self.store.throttle_delay(key, self.clock.now().plus_ms(wait_ms)).await?;
                }
                Err(SignInError::Credentials)
            }
        }
    }

    /// Somebody whose password is kept as strongly as today; what cannot be done now is done the next time.
    async fn kept_anew(&self, row: UserRow, kept: String, password: String) -> UserRow {
        let Ok(anew) = self.passwords.hash(password).await else { return row };
        match self.store.password_rehash(&row.view.name, &kept, &anew).await {
            Ok(()) => UserRow { password: Some(anew), ..row },
            Err(error) => {
                tracing::warn!("a password goes on being kept as it was: {error}");
                row
            }
        }
    }

    /// Under what tries to sign in as somebody are counted: browsers that they have signed in with have
    /// tries of their own. Names that cannot be are counted together.
    pub(super) async fn tries_key(
        &self,
        name: Option<&UserName>,
        known: Option<&str>,
    ) -> Result<String, StoreError> {
        let Some(name) = name else { return Ok("account -".to_owned()) };
        let account = account_key(name);
        let known = known.filter(|known| known.len() <= session::COOKIE_BYTES_MAX);
        let Some(device) = known.map(secret::digest) else { return Ok(account) };
        let is_known = self.store.device_is_known(&device, name).await?;
        Ok(if is_known { format!("{account} device {device}") } else { account })
    }
}

/// Under what tries from unknown browsers are counted.
pub(super) fn account_key(name: &UserName) -> String {
    format!("account {}", name.as_str().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Whence, stage::Stage};
    use lockstep_engine::port::Clock as _;
    use lockstep_model::{
        access::{Grant, Role, Scope},
        deployment::Actor,
    };

    const RIGHT: &str = "vier blaue Tassen im Regen";
    const AT_ONCE: usize = 32;

    /// A server's people with `vera`, whose password is [`RIGHT`].
    async fn stage() -> Stage {
        let stage = Stage::new().await;
        let identities = &stage.identities;
        let grant = Grant { on: Scope::default(), role: Role::Viewer };
        let audit = || identities.entry(&vera(), "/user/add", "user");
        identities.store.user_add(&vera().user, &grant, stage.clock.now(), audit()).await.expect("added");
        let hash = identities.passwords.hash(RIGHT.to_owned()).await.expect("not busy");
        identities.store.user_set_password(&vera().user, &hash, audit()).await.expect("set");
        stage
    }

    fn vera() -> Actor {
        Actor { user: "vera".parse().expect("a name"), via: "test".to_owned(), address: None }
    }

    /// How many of many tries at the same time had their password looked at.
    async fn looked_at<F>(guess: impl Fn() -> F) -> usize
    where
        F: Future<Output = Result<(), SignInError>> + Send + 'static,
    {
        let all: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(guess())).collect();
        let mut looked_at = 0;
        for one in all {
            match one.await.expect("ended") {
                Err(SignInError::Credentials) => looked_at += 1,
                Err(SignInError::Throttled { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        looked_at
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a2_guesses_at_the_same_time_count_each_and_lock_no_owner_out() {
        let stage = stage().await;
        let enter = |password: &str, known: Option<String>| {
            let (identities, password) = (stage.identities.clone(), password.to_owned());
            let whence = Whence { known, ..Whence::default() };
            async move { identities.sign_in("Vera", password, whence).await }
        };
        let known = enter(RIGHT, None).await.expect("let in").known.expect("a cookie");
        let guess = || {
            let tried = enter("wrong-wrong-wrong", None);
            async { tried.await.map(drop) }
        };
        // Five are free; the sixth closes the account to unknown browsers for a second.
        assert_eq!(looked_at(guess).await, 6);
        assert!(matches!(enter(RIGHT, None).await, Err(SignInError::Throttled { wait_ms: 1_000 })));
        stage.clock.advance_ms(1_000);
        assert_eq!(looked_at(guess).await, 1);
        enter(RIGHT, Some(known)).await.expect("the owner's own browser");
        stage.clock.advance_ms(2_000);
        enter(RIGHT, None).await.expect("let in");
        let kept = stage.identities.store.throttle_fetch("account vera").await.expect("readable");
        assert_eq!(kept.failures, 0, "who is let in has made no wrong try");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a2_guesses_from_within_a_session_or_with_a_token_count_each() {
        let stage = stage().await;
        let session = secret::digest("a session");
        let confirm = || {
            let (identities, session) = (stage.identities.clone(), session.clone());
            async move {
                identities.session_confirm(&vera(), &session, "wrong-wrong-wrong".to_owned()).await.map(drop)
            }
        };
        assert_eq!(looked_at(confirm).await, 6);
        let decide = || {
            let identities = stage.identities.clone();
            async move { identities.token_confirm(&vera(), "t1", "wrong-wrong-wrong".to_owned()).await }
        };
        assert_eq!(looked_at(decide).await, 6);
        let right = stage.identities.token_confirm(&vera(), "t2", RIGHT.to_owned()).await;
        right.expect("another token has tries of its own");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn names_that_strangers_try_are_forgotten_after_a_day() {
        let stage = stage().await;
        let guess = async |name: &str| {
            let tried =
                stage.identities.sign_in(name, "wrong-wrong-wrong".to_owned(), Whence::default()).await;
            assert!(matches!(tried, Err(SignInError::Credentials)), "{tried:?}");
        };
        let failures =
            async |key: &str| stage.identities.store.throttle_fetch(key).await.expect("readable").failures;
        guess("nobody").await;
        for _ in 0..6 {
            guess("vera").await;
        }
        stage.clock.advance_ms(24 * 60 * 60 * 1_000);
        guess("somebody").await;
        assert_eq!(failures("account nobody").await, 1);
        stage.clock.advance_ms(60_000);
        guess("somebody").await;
        assert_eq!((failures("account nobody").await, failures("account vera").await), (0, 6));
        assert_eq!(failures("account somebody").await, 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn right_passwords_at_the_same_time_are_all_let_in() {
        let stage = stage().await;
        for _ in 0..3 {
            let all: Vec<_> = (0..4)
                .map(|_| {
                    let identities = stage.identities.clone();
                    tokio::spawn(async move {
                        identities.sign_in("vera", RIGHT.to_owned(), Whence::default()).await
                    })
                })
                .collect();
            for one in all {
                one.await.expect("ended").expect("let in");
            }
        }
    }
}
