//! The forms in which programs print a secret: as it is, line by line, as base64, escaped for addresses
//! and for JSON. What is not here is not masked, and said so in `server/docs/secrets.md`.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use std::collections::BTreeSet;

/// Shorter texts are not masked: that would mask everything.
pub const CHARS_MIN: usize = 4;
/// Base64 without the characters at its ends that depend on what stands beside it; shorter is chance.
const BASE64_CHARS_MIN: usize = 8;
/// Where `base64`, PEM files and mails break lines.
const BASE64_LINES: [usize; 2] = [76, 64];

/// Every form of a value that is looked for.
pub(crate) fn of(value: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    // A value of several lines is printed line by line, and perhaps indented.
    let lines = value.lines().map(str::trim).chain([value, value.trim()]);
    for part in lines.filter(|part| part.chars().count() >= CHARS_MIN) {
        forms.insert(part.to_owned());
        forms.extend(url_escaped(part));
        forms.extend(json_escaped(part));
        forms.extend(base64s(part));
    }
    forms.extend(base64_lines(value));
    forms
}

/// As the usual functions do it: everything but letters, digits and `-_.~`; as JavaScript, which leaves
/// `!'()*`; as Python, which leaves `/`; as forms, where a space is `+`. Hexadecimal digits in both cases.
fn url_escaped(text: &str) -> Vec<String> {
    let mut escaped = Vec::new();
    for kept in ["", "!'()*", "/", "+"] {
        for upper in [true, false] {
            let escape = |byte: u8| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    char::from(byte).to_string()
                }
                b' ' if kept == "+" => "+".to_owned(),
                b'+' if kept == "+" => if upper { "%2B" } else { "%2b" }.to_owned(),
                _ if kept != "+" && kept.as_bytes().contains(&byte) => char::from(byte).to_string(),
                _ if upper => format!("%{byte:02X}"),
                _ => format!("%{byte:02x}"),
            };
            escaped.push(text.bytes().map(escape).collect());
        }
    }
    escaped
}

/// As a JSON text: with other alphabets as they are or as `\u` and four digits, with `/` as it is or as
/// `\/`; and such a text within another one, as in a log of lines that are JSON.
fn json_escaped(text: &str) -> Vec<String> {
    let plain = inner(text);
    let mut ascii = String::new();
    for c in plain.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    let mut escaped = vec![inner(&plain), inner(&ascii)];
    for form in [plain, ascii] {
        escaped.push(form.replace('/', "\\/"));
        escaped.push(form);
    }
    escaped
}

fn inner(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&quoted).to_owned()
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

/// The lines of the base64 of the value alone, where that is broken into lines.
fn base64_lines(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    for text in [value.to_owned(), format!("{value}\n")] {
        let encoded = STANDARD.encode(text);
        for width in BASE64_LINES {
            if encoded.len() > width {
                let lines = encoded.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line));
                found.extend(
                    lines.filter(|line| line.len() >= BASE64_CHARS_MIN).map(|line| line.into_owned()),
                );
            }
        }
    }
    found
}
