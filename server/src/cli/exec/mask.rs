//! Secrets in what a script prints, replaced before anything is shown or sent: as they are, as base64
//! at each of its three alignments, as escaped for addresses and for JSON.

use super::Failure;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use std::collections::BTreeSet;

/// What stands in a secret's place.
const MASK: &str = "***";
/// Shorter values of variables that merely sound like secrets would mask ordinary words.
const GUESSED_CHARS_MIN: usize = 8;
/// Shorter ones cannot be masked without masking everything.
const NAMED_CHARS_MIN: usize = 4;
/// Base64 without the characters at its ends that depend on what stands beside it; shorter is chance.
const BASE64_CHARS_MIN: usize = 8;

/// Words in the names of variables that hold secrets.
const SOUNDS: &[&str] =
    &["TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "API_KEY", "ACCESS_KEY", "PRIVATE_KEY"];

/// What is masked.
#[derive(Debug, Default)]
pub(super) struct Mask {
    /// The longest first: a secret that contains another one is masked whole.
    needles: Vec<String>,
}

impl Mask {
    /// The values of the named variables, and of those whose names sound like secrets.
    pub(super) fn new(named: &[String]) -> Result<Self, Failure> {
        let mut values = Vec::new();
        for name in named {
            let value = std::env::var(name).unwrap_or_default();
            if value.chars().count() < NAMED_CHARS_MIN {
                return Err(Failure::refused(format!(
                    "--mask-env {name}: the variable is not set, or shorter than {NAMED_CHARS_MIN} characters; nothing was begun"
                )));
            }
            values.push(value);
        }
        let sounding = std::env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.to_str()?.to_ascii_uppercase(), value.to_str()?.to_owned());
            let is_secret = name.ends_with("_KEY") || SOUNDS.iter().any(|sound| name.contains(sound));
            (is_secret && value.chars().count() >= GUESSED_CHARS_MIN).then_some(value)
        });
        values.extend(sounding);
        Ok(Self::of(&values))
    }

    fn of(values: &[String]) -> Self {
        let mut needles = BTreeSet::new();
        // A value of several lines is printed line by line.
        let parts = values.iter().flat_map(|value| {
            let lines = value.lines().filter(|line| line.chars().count() >= NAMED_CHARS_MIN);
            std::iter::once(value.as_str()).chain(lines)
        });
        for part in parts {
            needles.insert(part.to_owned());
            needles.insert(url_escaped(part));
            let json = serde_json::to_string(part).unwrap_or_default();
            needles.insert(json.trim_matches('"').to_owned());
            needles.extend(base64s(part));
        }
        needles.remove("");
        let mut needles: Vec<String> = needles.into_iter().collect();
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        Self { needles }
    }

    /// A text without them.
    pub(super) fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for needle in &self.needles {
            if text.contains(needle.as_str()) {
                text = text.replace(needle.as_str(), MASK);
            }
        }
        text
    }

    /// The length of the longest, in bytes: so much of a piece is kept back for the one after it.
    pub(super) fn longest(&self) -> usize {
        self.needles.first().map_or(0, String::len)
    }
}

fn url_escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// What of the base64 of a longer text that contains this one does not depend on the rest.
fn base64s(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for before in 0..3_usize {
        let bytes = [&vec![0; before][..], text.as_bytes()].concat();
        // Six bits a character: the first ones hold bits of what stands before, the last one perhaps
        // bits of what comes after.
        let begin = (before * 8).div_ceil(6);
        let end = bytes.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            if end >= begin + BASE64_CHARS_MIN {
                found.push(encoded[begin..end].to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    const SECRET: &str = "s3cr&t \"wörd\"/42";

    fn mask() -> Mask {
        Mask::of(&[SECRET.to_owned()])
    }

    #[test]
    fn a_secret_is_masked_in_every_form_in_which_programs_print_it() {
        let json = serde_json::json!({ "password": SECRET }).to_string();
        let texts = [format!("x{SECRET}y"), json, format!("https://h/?p={}", url_escaped(SECRET))];
        for text in texts {
            let masked = mask().masked(&text);
            assert!(masked.contains(MASK) && !masked.contains("s3cr"), "{masked}");
        }
    }

    #[test]
    fn a_secret_inside_a_text_in_base64_is_masked_at_every_alignment() {
        for before in ["", "u", "us", "user:"] {
            let encoded = STANDARD.encode(format!("{before}{SECRET}:more"));
            let masked = mask().masked(&format!("Authorization: Basic {encoded}"));
            assert!(masked.contains(MASK), "{masked}");
        }
    }

    #[test]
    fn each_line_of_a_secret_with_several_is_masked() {
        let mask = Mask::of(&["-----BEGIN-----\nabcdefgh\n-----END-----".to_owned()]);
        assert_eq!(mask.masked("key: abcdefgh"), "key: ***");
    }
}
