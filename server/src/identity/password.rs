//! Passwords: argon2id with OWASP's parameters for this memory (m = 19 MiB, t = 2, p = 1), a few at
//! a time so that many tries at once cannot take the machine's memory.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Characters of a password. Without a second factor NIST (SP 800-63B-4) asks for 15, and for no rules of
/// composition; the upper bound keeps hashing short.
pub(crate) const CHARS: std::ops::RangeInclusive<usize> = 15..=1_024;
/// Words that everybody tries here.
const OUR_WORDS: [&str; 3] = ["lockstep", "deployment", "rollback"];
const HASHES_MAX: usize = 4;
const WAITING_MAX: usize = 32;

/// Whether a password is made of what is tried first: common passwords, names and words, dates, keys
/// beside each other, repetitions, the user's own name. Long alone is not enough: `passwordpassword` is.
pub(super) fn is_guessable(password: &str, user: &str) -> bool {
    let mut own = vec![user];
    own.extend(OUR_WORDS);
    // Also without what stands between the words: that hides a repetition.
    let joined: String = password.chars().filter(|one| one.is_alphanumeric()).collect();
    [password, &joined].into_iter().any(|text| zxcvbn::zxcvbn(text, &own).score() < zxcvbn::Score::Three)
}

/// Hashes and checks passwords.
pub(super) struct Passwords {
    hashing: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Checked when there is no such user, so that the answer takes as long as for one that is.
    nobody: String,
}

/// Too many wait for a hash already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Busy;

impl Passwords {
    pub(super) fn new() -> Self {
        Self {
            hashing: Arc::new(Semaphore::new(HASHES_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            nobody: hash(&crate::secret::random()),
        }
    }

    /// The password as it is kept.
    pub(super) async fn hash(&self, password: String) -> Result<String, Busy> {
        self.work(move || hash(&password)).await
    }

    /// Whether the password is the one that is kept.
    pub(super) async fn is_right(&self, password: String, kept: Option<String>) -> Result<bool, Busy> {
        let is_somebody = kept.is_some();
        let kept = kept.unwrap_or_else(|| self.nobody.clone());
        let is_same = self.work(move || verify(&password, &kept)).await?;
        Ok(is_somebody && is_same)
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let waiting = self.waiting.clone().try_acquire_owned().map_err(|_| Busy)?;
        let turn = self.hashing.clone().acquire_owned().await.map_err(|_| Busy)?;
        let done = tokio::task::spawn_blocking(work).await.map_err(|_| Busy);
        drop((waiting, turn));
        done
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(19_456, 2, 1, None).expect("the parameters are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &str) -> String {
    let salt = crate::secret::bytes::<16>();
    let hash = argon2().hash_password_with_salt(password.as_bytes(), &salt);
    hash.expect("length and salt are within argon2's bounds").to_string()
}

fn verify(password: &str, kept: &str) -> bool {
    PasswordHash::new(kept).is_ok_and(|kept| argon2().verify_password(password.as_bytes(), &kept).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_first_is_refused_however_long() {
        let common = [
            "passwordpassword",
            "qwertyuiopasdfgh",
            "aaaaaaaaaaaaaaaaaaaa",
            "1234567890123456789",
            "annaannaannaanna",
            "lockstepdeployment",
            "password12345678",
            "iloveyou iloveyou",
            "lockstep-lockstep",
        ];
        let passed: Vec<_> = common.into_iter().filter(|password| !is_guessable(password, "anna")).collect();
        assert_eq!(passed, [""; 0]);
        for password in ["correct-horse-battery", "vier blaue Tassen im Regen", "8f3kq02mz91xw7ya"] {
            assert!(!is_guessable(password, "anna"), "{password}");
        }
    }

    #[tokio::test]
    async fn a_password_is_right_or_not_and_nobody_has_none() {
        let passwords = Passwords::new();
        let kept = passwords.hash("correct horse battery".to_owned()).await.expect("not busy");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        let check = async |password: &str, kept: Option<&str>| {
            passwords.is_right(password.to_owned(), kept.map(ToOwned::to_owned)).await.expect("not busy")
        };
        assert!(check("correct horse battery", Some(&kept)).await);
        assert!(!check("correct horse batterz", Some(&kept)).await);
        assert!(!check("correct horse battery", None).await);
        assert!(!check("x", Some("not a hash")).await);
    }
}
