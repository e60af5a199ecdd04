//! Signatures of webhooks: HMAC-SHA-256 under the rule's secret, over the raw bytes; of a generic one over the
//! time as well. Pure: hostile bytes are fed to it by themselves.
#![forbid(unsafe_code)]

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use lockstep_model::{
    Timestamp,
    hooks::{HookSender, RefusedWhy},
};
use sha2::Sha256;

/// How far a generic sender's clock may be off.
const APART_S: i64 = 5 * 60;

/// What a request shows, before its body is read.
#[derive(Debug)]
pub struct Shown {
    signature: [u8; 32],
    /// What is signed before the body.
    before: Vec<u8>,
}

impl Shown {
    /// Whether it was made over `body` by somebody who knows the secret; in a time that tells nothing.
    pub fn is_right(&self, secret: &[u8], body: &[u8]) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
        mac.update(&self.before);
        mac.update(body);
        mac.verify_slice(&self.signature).is_ok()
    }

    /// The signature as it was shown, in small letters.
    pub fn text(&self) -> String {
        self.signature.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The signature that a request shows, and of a generic one its time.
///
/// # Errors
/// What is missing or wrong, by its kind and in a sentence.
pub fn shown(headers: &HeaderMap, sender: HookSender, now: Timestamp) -> Result<Shown, (RefusedWhy, String)> {
    let text = |name: &str| {
        let mut all = headers.get_all(name).iter();
        let first = all.next().and_then(|value| value.to_str().ok());
        first.filter(|_| all.next().is_none())
    };
    let name = match sender {
        HookSender::Github => "x-hub-signature-256",
        HookSender::Generic => "x-lockstep-signature",
    };
    let signature = text(name).and_then(|text| bytes(text.strip_prefix("sha256=")?));
    let signature = signature.ok_or_else(|| {
        let message = format!("'{name}: sha256=…' is missing, or not 64 hexadecimal digits");
        (RefusedWhy::Signature, message)
    })?;
    let before = match sender {
        HookSender::Github => Vec::new(),
        HookSender::Generic => {
            let time = text("x-lockstep-timestamp").unwrap_or_default();
            let wrong = |what: &str| (RefusedWhy::Time, format!("'x-lockstep-timestamp' is {what}"));
            let seconds: i64 = time.parse().map_err(|_| wrong("missing, or no seconds since 1970"))?;
            if (now.0 / 1_000).abs_diff(seconds) > APART_S.unsigned_abs() {
                return Err(wrong("more than 5 minutes off; set the clock, and sign anew"));
            }
            format!("{time}.").into_bytes()
        }
    };
    Ok(Shown { signature, before })
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[place * 2..place * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    /// The example of GitHub's own documentation.
    #[test]
    fn githubs_example_is_right_and_anything_else_is_not() {
        let text = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let headers = |text: &'static str| -> HeaderMap {
            let name = HeaderName::from_static("x-hub-signature-256");
            [(name, HeaderValue::from_static(text))].into_iter().collect()
        };
        let read = |text| shown(&headers(text), HookSender::Github, Timestamp(0));
        let right = read(text).expect("read");
        assert!(right.is_right(b"It's a Secret to Everybody", b"Hello, World!"));
        assert!(!right.is_right(b"It's a Secret to Everybody", b"Hello, World"));
        assert!(!right.is_right(b"It's a Secret to Nobody", b"Hello, World!"));
        for bad in [
            "",
            "sha256=",
            "sha1=757107ea0eb2509fc211221cce984b8a37570b6d",
            &text[..70],
            "sha256=+57107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
