//! Passwords: argon2id with OWASP's parameters for this memory (m = 19 MiB, t = 2, p = 1), a few at
//! a time so that many tries at once cannot take the machine's memory.

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Characters of a password. Without a second factor NIST (SP 800-63B-4) asks for 15, and for no rules of
/// composition; the upper bound keeps hashing short.
pub(crate) const CHARS: std::ops::RangeInclusive<usize> = 15..=1_024;
/// Words that everybody tries here.
const OUR_WORDS: [&str; 3] = ["lockstep", "deployment", "rollback"];
/// Threads that hash, and so hashes at a time; fewer where there are fewer processors. Each has its memory
/// and keeps it while there is something to do: taken anew for each hash, on whichever thread, it does not
/// fit where it was before, and two hundred tries at once made 19 MiB into 800.
const HASHES_MAX: usize = 4;
/// Memory is given back when nobody has signed in for so long.
const IDLE: Duration = Duration::from_secs(10);
const WAITING_MAX: usize = 32;
/// What a hash costs today: OWASP's parameters for this memory.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// The most memory that a kept hash may ask for.
const MEMORY_KIB_MAX: u32 = 64 * 1_024;

/// Whether a password is made of what is tried first: common passwords, names and words, dates, keys
/// beside each other, repetitions, the user's own name. Long alone is not enough: `passwordpassword` is.
pub(super) fn is_guessable(password: &str, user: &str) -> bool {
    let mut own = vec![user];
    own.extend(OUR_WORDS);
    // Also without what stands between the words: that hides a repetition.
    let joined: String = password.chars().filter(|one| one.is_alphanumeric()).collect();
    [password, &joined].into_iter().any(|text| zxcvbn::zxcvbn(text, &own).score() < zxcvbn::Score::Three)
}

/// Whether a password is kept in a way that is weaker than today's: it is hashed anew when its owner gives it.
pub(super) fn is_weak(kept: &str) -> bool {
    let params = PasswordHash::new(kept).ok().and_then(|kept| Params::try_from(&kept).ok());
    params.is_some_and(|params| params.m_cost() < MEMORY_KIB || params.t_cost() < PASSES)
}

type Memory = Vec<Block>;
type Job = Box<dyn FnOnce(&mut Memory) + Send>;

/// Does the work until nobody can ask for any.
fn hash_for_ever(jobs: &Mutex<mpsc::Receiver<Job>>) {
    let mut memory = Memory::new();
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(IDLE);
        match next {
            // Whoever waits for it hears that it came to nothing; the thread goes on.
            Ok(job) => drop(catch_unwind(AssertUnwindSafe(|| job(&mut memory)))),
            Err(mpsc::RecvTimeoutError::Timeout) => memory = Memory::new(),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Hashes and checks passwords.
pub(super) struct Passwords {
    jobs: mpsc::Sender<Job>,
    waiting: Arc<Semaphore>,
    /// Checked when there is no such user, so that the answer takes as long as for one that is.
    nobody: String,
}

/// Too many wait for a hash already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Busy;

/// A place among those whose password is looked at.
pub(super) struct Place(OwnedSemaphorePermit);

impl Passwords {
    pub(super) fn new() -> Self {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let most = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..HASHES_MAX.min(most) {
            let queue = queue.clone();
            thread::spawn(move || hash_for_ever(&queue));
        }
        Self {
            jobs,
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            nobody: hash(&crate::secret::random(), &mut Memory::new()),
        }
    }

    /// The password as it is kept.
    pub(super) async fn hash(&self, password: String) -> Result<String, Busy> {
        let place = self.place()?;
        self.work(place, move |memory| hash(&password, memory)).await
    }

    /// A place for somebody; an error when there is none at this moment.
    pub(super) fn place(&self) -> Result<Place, Busy> {
        self.waiting.clone().try_acquire_owned().map(Place).map_err(|_| Busy)
    }

    /// Whether the password is the one that is kept.
    pub(super) async fn is_right(
        &self,
        place: Place,
        password: String,
        kept: Option<String>,
    ) -> Result<bool, Busy> {
        let is_somebody = kept.is_some();
        let kept = kept.unwrap_or_else(|| self.nobody.clone());
        let is_same = self.work(place, move |memory| verify(&password, &kept, memory)).await?;
        Ok(is_somebody && is_same)
    }

    async fn work<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            // An error: nobody waits any more, the request was given up.
            let _ = tell.send(work(memory));
            drop(place.0);
        });
        self.jobs.send(job).map_err(|_| Busy)?;
        told.await.map_err(|_| Busy)
    }
}

/// What argon2id makes of a password.
fn digest(password: &str, salt: &[u8], params: &Params, memory: &mut Memory) -> argon2::Result<Vec<u8>> {
    #[cfg(test)]
    tests::DIGESTS.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let mut digest = vec![0; params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)];
    memory.resize(params.block_count(), Block::default());
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut digest, memory)?;
    Ok(digest)
}

fn hash(password: &str, memory: &mut Memory) -> String {
    hash_by(password, [MEMORY_KIB, PASSES], memory)
}

fn hash_by(password: &str, [memory_kib, passes]: [u32; 2], memory: &mut Memory) -> String {
    const FITS: &str = "length, salt and parameters are within argon2's bounds";
    let params = Params::new(memory_kib, passes, 1, None).expect(FITS);
    let salt = crate::secret::bytes::<16>();
    let digest = digest(password, &salt, &params, memory).expect(FITS);
    let kept = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).expect(FITS),
        salt: Some(Salt::new(&salt).expect(FITS)),
        hash: Some(Output::new(&digest).expect(FITS)),
    };
    kept.to_string()
}

/// Compared in a time that says nothing about where they differ: outputs are.
fn verify(password: &str, kept: &str, memory: &mut Memory) -> bool {
    let Ok(kept) = PasswordHash::new(kept) else { return false };
    let (Ok(params), Some(salt), Some(hash)) = (Params::try_from(&kept), &kept.salt, &kept.hash) else {
        return false;
    };
    let is_ours = kept.algorithm == Algorithm::Argon2id.ident() && params.m_cost() <= MEMORY_KIB_MAX;
    is_ours
        && digest(password, salt, &params, memory)
            .is_ok_and(|digest| Output::new(&digest).is_ok_and(|digest| digest == *hash))
}

/// As passwords were kept once.
#[cfg(test)]
pub(super) fn weak_hash(password: &str) -> String {
    hash_by(password, [1_024, 1], &mut Memory::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// How often something was digested.
    pub(super) static DIGESTS: AtomicU64 = AtomicU64::new(0);

    #[tokio::test]
    async fn a1_for_nobody_the_same_is_computed_as_for_somebody() {
        let passwords = Passwords::new();
        let kept = hash("correct-horse-battery", &mut Memory::new());
        let parts = |kept: &str| {
            let kept = PasswordHash::new(kept).expect("a hash");
            (kept.algorithm.to_string(), kept.version, kept.params.to_string())
        };
        assert_eq!(parts(&passwords.nobody), parts(&kept), "it costs as much");
        let mut computed = Vec::new();
        for kept in [Some(kept), None] {
            let before = DIGESTS.load(Ordering::SeqCst);
            let place = passwords.place().expect("not busy");
            let is_right = passwords.is_right(place, "wrong-wrong-wrong".to_owned(), kept).await;
            assert!(is_right.is_ok_and(|is_right| !is_right));
            computed.push(DIGESTS.load(Ordering::SeqCst) - before);
        }
        assert_eq!(computed, [1, 1]);
    }

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

    #[test]
    fn what_is_kept_as_today_is_not_hashed_anew() {
        assert!(is_weak(&weak_hash("correct horse battery")));
        assert!(!is_weak(&hash("correct horse battery", &mut Memory::new())));
        assert!(!is_weak(&hash_by("correct horse battery", [20_480, 3], &mut Memory::new())), "stronger");
        assert!(!is_weak("not a hash"));
    }

    #[tokio::test]
    async fn a_password_is_right_or_not_and_nobody_has_none() {
        let passwords = Passwords::new();
        let kept = passwords.hash("correct horse battery".to_owned()).await.expect("not busy");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        let check = async |password: &str, kept: Option<&str>| {
            let place = passwords.place().expect("not busy");
            passwords
                .is_right(place, password.to_owned(), kept.map(ToOwned::to_owned))
                .await
                .expect("not busy")
        };
        assert!(check("correct horse battery", Some(&kept)).await);
        assert!(!check("correct horse batterz", Some(&kept)).await);
        assert!(!check("correct horse battery", None).await);
        assert!(!check("x", Some("not a hash")).await);
    }
}
