//! Random secrets and their digests. A secret is shown or sent once and kept as its digest.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use lockstep_model::Digest;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// 256 random bits, fit for an address and a cookie.
pub fn random() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>())
}

/// Random bytes from the kernel.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel always has random bytes once it has started");
    bytes
}

/// The digest under which a secret is kept.
pub fn digest(secret: &str) -> Digest {
    digest_of(secret.as_bytes())
}

/// The digest of bytes.
pub fn digest_of(bytes: &[u8]) -> Digest {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").parse().expect("64 hexadecimal digits after the prefix are a digest")
}

/// Whether two secrets are the same, in a time that tells nothing about where they differ.
pub fn same(one: &str, other: &str) -> bool {
    let (one, other) = (Sha256::digest(one.as_bytes()), Sha256::digest(other.as_bytes()));
    one.ct_eq(&other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_never_the_same() {
        let (one, other) = (random(), random());
        assert_eq!(one.len(), 43);
        assert_ne!(one, other);
        assert!(same(&one, &one.clone()) && !same(&one, &other) && !same(&one, ""));
    }
}
