//! Secrets in every form in which programs print them, in pieces of every size.

use super::*;
use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;

const SECRET: &str = "s3cr&t \"wörd\"/42";

fn mask() -> Mask {
    Mask::of([SECRET])
}

#[test]
fn g1_a_secret_is_masked_raw_and_escaped_for_addresses_and_for_json() {
    let json = serde_json::json!({ "password": SECRET }).to_string();
    let in_json = serde_json::json!({ "line": json }).to_string();
    let texts = [
        format!("x{SECRET}y"),
        json,
        in_json,
        r#"{"p": "s3cr&t \"w\u00f6rd\"/42"}"#.to_owned(),
        r#"{"p": "s3cr&t \"wörd\"\/42"}"#.to_owned(),
        "https://h/?p=s3cr%26t%20%22w%C3%B6rd%22%2F42".to_owned(),
        "https://h/?p=s3cr%26t%20%22w%c3%b6rd%22/42".to_owned(),
        "p=s3cr%26t+%22w%C3%B6rd%22%2F42&q=1".to_owned(),
    ];
    for text in texts {
        let masked = mask().masked(&text);
        assert!(masked.contains(MASK) && !masked.contains("s3cr") && !masked.contains("42"), "{masked}");
    }
}

#[test]
fn g1_a_secret_in_base64_is_masked_at_every_alignment_and_broken_into_lines() {
    for before in ["", "u", "us", "user:"] {
        let encoded = STANDARD.encode(format!("{before}{SECRET}:more"));
        let masked = mask().masked(&format!("Authorization: Basic {encoded}"));
        assert!(masked.contains(MASK), "{masked}");
    }
    let long = "k".repeat(50) + "0123456789abcdefghijklmnopqrstuvwxyz" + &"v".repeat(50);
    for width in [76, 64] {
        let encoded = STANDARD.encode(format!("{long}\n"));
        let lines: Vec<&str> =
            encoded.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
        let masked = Mask::of([long.as_str()]).masked(&lines.join("\n"));
        assert!(lines.iter().filter(|line| line.len() >= 8).all(|line| !masked.contains(line)), "{masked}");
    }
}

#[test]
fn g1_each_line_of_a_secret_with_several_is_masked_also_indented() {
    let mask = Mask::of(["-----BEGIN-----\n  abcdefgh\n-----END-----\n"]);
    assert_eq!(mask.masked("key: abcdefgh\n"), "key: ***\n");
    assert_eq!(mask.masked("    -----BEGIN-----\n"), "    ***\n");
    assert_eq!(mask.masked("a -----BEGIN-----\n  abcdefgh\n-----END-----\nb"), "a ***b");
}

#[test]
fn g1_a_secret_in_two_pieces_is_masked_wherever_it_is_cut() {
    let text = format!("a {SECRET} b");
    for cut in 0..text.len() {
        let mut stream = mask().stream();
        let mut out = stream.feed(&text.as_bytes()[..cut]);
        out.extend(stream.feed(&text.as_bytes()[cut..]));
        out.extend(stream.finish());
        assert_eq!(String::from_utf8(out).expect("text"), "a *** b", "cut at {cut}");
    }
}

#[test]
fn what_cannot_become_a_secret_goes_on_at_once() {
    let mut stream = mask().stream();
    assert_eq!(stream.feed(b"progress 50 %"), b"progress 50 %");
    assert_eq!(stream.feed(b" s3cr"), b" ");
    assert_eq!(stream.feed(b"ets are good\n"), b"s3crets are good\n");
    assert_eq!(stream.finish(), b"");
}

#[test]
fn of_secrets_that_overlap_nothing_is_left() {
    let mask = Mask::of(["abcdef", "defghi", "ghijkl"]);
    assert_eq!(mask.masked("<abcdefghijkl>"), "<***>");
    assert_eq!(mask.masked("abcdefabcdef"), "******");
    let nested = Mask::of(["token", "token-and-more"]);
    assert_eq!(nested.masked("token-and-more token-and-less"), "*** ***-and-less");
}

#[test]
fn short_values_and_no_values_mask_nothing() {
    assert!(Mask::of(["abc", ""]).is_empty());
    assert_eq!(Mask::default().masked("abc"), "abc");
    assert_eq!(Mask::default().stream().feed(b"abc"), b"abc");
}

proptest! {
    /// However a text is cut, the same comes out, no secret is in it, and nothing but secrets is gone.
    #[test]
    fn pieces_make_no_difference(
        secrets in prop::collection::vec("[ab]{4,7}", 1..4),
        text in "[abc]{0,60}",
        cuts in prop::collection::vec(0..60_usize, 0..6),
    ) {
        let mask = Mask::of(secrets.iter().map(String::as_str));
        let whole = mask.masked(&text);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut stream = mask.stream();
        let mut out = Vec::new();
        for pair in cuts.windows(2) {
            out.extend(stream.feed(&text.as_bytes()[pair[0]..pair[1]]));
        }
        out.extend(stream.finish());
        prop_assert_eq!(String::from_utf8(out).expect("text"), whole.clone());
        for secret in &secrets {
            prop_assert!(!whole.contains(secret.as_str()), "{} in {}", secret, whole);
        }
        let mut rest = text.as_str();
        for part in whole.split(MASK) {
            let place = rest.find(part);
            prop_assert!(place.is_some(), "{} of {}", part, text);
            rest = &rest[place.unwrap_or(0) + part.len()..];
        }
    }
}
