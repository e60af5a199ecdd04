//! Which values a script's output is masked of: those of variables that are named, and of those whose
//! names sound like secrets.

use super::Failure;
use lockstep_secrets::{CHARS_MIN, Mask};

/// Shorter values of variables that merely sound like secrets would mask ordinary words.
const GUESSED_CHARS_MIN: usize = 8;

/// Words in the names of variables that hold secrets.
const SOUNDS: &[&str] =
    &["TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "API_KEY", "ACCESS_KEY", "PRIVATE_KEY"];

/// Masks the values of the named variables, and of those whose names sound like secrets.
pub(super) fn of_environment(named: &[String]) -> Result<Mask, Failure> {
    let mut values = Vec::new();
    for name in named {
        let value = std::env::var(name).unwrap_or_default();
        if value.chars().count() < CHARS_MIN {
            return Err(Failure::refused(format!(
                "--mask-env {name}: the variable is not set, or shorter than {CHARS_MIN} characters; nothing was begun"
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
    Ok(Mask::of(values.iter().map(String::as_str)))
}
