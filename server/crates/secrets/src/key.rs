//! The key under which secrets are sealed, and its file. Sealing is XChaCha20-Poly1305 with a nonce drawn
//! anew each time and the place of what is sealed as associated data, so a ciphertext that was moved
//! somewhere else does not open there.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// Stands before the digits in a key's file, so that nobody takes it for something else.
const PREFIX: &str = "lockstep-key-1:";
/// A key's file is one line; more is not read.
const FILE_BYTES_MAX: u64 = 1_024;

/// A key of 256 random bits; forgotten from memory when it is dropped.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; KEY_BYTES]>);

/// Why something that was sealed does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Another key, another place, or a bit that was changed: these cannot be told apart.
    #[error("it was sealed with another key or for another place, or it was changed")]
    Refused,
    /// It is no sealed text at all.
    #[error("it is no sealed text")]
    Form,
}

/// Why a key's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read or written.
    #[error("the key file {} cannot be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("the key file {} may be read by others (mode {mode:04o}); `chmod 600` it, and `lockstep secret rekey` when somebody may have read it", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds no key.
    #[error("the file {} holds no key of Lockstep; put the right one back", path.display())]
    Form {
        /// Which.
        path: PathBuf,
    },
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel always has random bytes once it has started");
    bytes
}

impl Key {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(Zeroizing::new(random()))
    }

    /// The key that was kept as these bytes.
    ///
    /// # Errors
    /// [`SealError::Form`] when they are not 32.
    pub fn of(bytes: &[u8]) -> Result<Self, SealError> {
        bytes.try_into().map(|bytes| Self(Zeroizing::new(bytes))).map_err(|_| SealError::Form)
    }

    /// Its bytes, to be sealed under another key.
    pub fn bytes(&self) -> &[u8] {
        &self.0[..]
    }

    /// Tells keys apart without telling anything about them: 64 bits of a digest of 256 random ones.
    pub fn id(&self) -> String {
        let digest = Sha256::new_with_prefix(b"the id of a key of Lockstep\0").chain_update(&self.0[..]);
        digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Seals `plain` for `place`; each time with another result.
    ///
    /// # Panics
    /// Never: texts far below the 256 GiB that the cipher allows are sealed.
    pub fn seal(&self, place: &str, plain: &[u8]) -> String {
        let nonce = random::<NONCE_BYTES>();
        let payload = Payload { msg: plain, aad: place.as_bytes() };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("a text below 256 GiB can be sealed");
        URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed for `place`.
    ///
    /// # Errors
    /// [`SealError`], without a word about the text.
    pub fn open(&self, place: &str, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| SealError::Form)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Form)?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload);
        plain.map(Zeroizing::new).map_err(|_| SealError::Refused)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }

    /// The key in a file; none when there is no file.
    ///
    /// # Errors
    /// [`KeyError`], also when anybody but the owner may read the file.
    pub fn read(path: &Path) -> Result<Option<Self>, KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Open { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        let digits = text.trim().strip_prefix(PREFIX);
        let bytes = digits.and_then(|digits| URL_SAFE_NO_PAD.decode(digits).ok()).map(Zeroizing::new);
        let key = bytes.and_then(|bytes| Self::of(&bytes).ok());
        key.map(Some).ok_or_else(|| KeyError::Form { path: path.to_owned() })
    }

    /// Makes a file with this key, readable by its owner only and on the disk when this returns. One that
    /// is there already is never overwritten.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        let failed = |source| KeyError::File { path: path.to_owned(), source };
        let text = Zeroizing::new(format!("{PREFIX}{}\n", URL_SAFE_NO_PAD.encode(&self.0[..])));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(failed)?;
        sync_folder(path).map_err(failed)
    }

    /// The key in a file, which is made with a new one when it is not there.
    ///
    /// # Errors
    /// As [`Key::read`] and [`Key::write`].
    pub fn read_or_make(path: &Path) -> Result<Self, KeyError> {
        if let Some(key) = Self::read(path)? {
            return Ok(key);
        }
        let key = Self::random();
        key.write(path)?;
        Ok(key)
    }

    /// Puts the key in `from` in the place of the one in `to`.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn replace(from: &Path, to: &Path) -> Result<(), KeyError> {
        let replaced = fs::rename(from, to).and_then(|()| sync_folder(to));
        replaced.map_err(|source| KeyError::File { path: to.to_owned(), source })
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_key_at_its_place_and_nowhere_else() {
        let key = Key::random();
        let sealed = key.seal("secret/shop/staging/db/1", b"hunter2");
        assert_ne!(sealed, key.seal("secret/shop/staging/db/1", b"hunter2"), "a nonce is used once");
        let opened = key.open("secret/shop/staging/db/1", &sealed).expect("it opens");
        assert_eq!(&opened[..], b"hunter2");
        for place in ["secret/shop/staging/db/2", "secret/shop/production/db/1", ""] {
            assert_eq!(key.open(place, &sealed), Err(SealError::Refused), "{place}");
        }
        assert_eq!(Key::random().open("secret/shop/staging/db/1", &sealed), Err(SealError::Refused));
        assert_eq!(key.open("x", "short"), Err(SealError::Form));
        let mut changed = sealed.into_bytes();
        let middle = changed.len() / 2;
        changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("text");
        assert_eq!(key.open("secret/shop/staging/db/1", &changed), Err(SealError::Refused));
    }

    #[test]
    fn a_key_file_is_its_owners_alone_and_never_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secrets.key");
        assert!(Key::read(&path).expect("readable").is_none());
        let key = Key::read_or_make(&path).expect("made");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(Key::read_or_make(&path).expect("read").id(), key.id());
        assert!(matches!(Key::random().write(&path), Err(KeyError::File { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        assert!(matches!(Key::read(&path), Err(KeyError::Open { mode: 0o640, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        fs::write(&path, "something else").expect("written");
        assert!(matches!(Key::read(&path), Err(KeyError::Form { .. })));
    }

    #[test]
    fn a_key_shows_nothing_of_itself() {
        let key = Key::random();
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("Key({})", key.id()));
        assert_eq!(shown.len(), 21);
    }
}
