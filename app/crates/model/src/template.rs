//! `${VERSION}` and `${PORT}`: one pass over the text of the manifest, nothing nested, no
//! evaluation. `$$` is a dollar sign.

use crate::{Version, scalar::InvalidText};

/// The names that may stand in `${…}`.
pub const VARIABLES: [&str; 2] = ["VERSION", "PORT"];

/// Values for one pass.
#[derive(Debug, Clone, Copy)]
pub struct Vars<'a> {
    /// `${VERSION}`.
    pub version: &'a Version,
    /// `${PORT}`; none for a target that has no port.
    pub port: Option<u16>,
}

/// `text` with its variables replaced, once: what is put in is not read again.
///
/// # Errors
/// A variable that does not exist or has no value here, or an unclosed `${`.
pub fn render(text: &str, vars: Vars<'_>) -> Result<String, InvalidText> {
    walk(text, |name| match name {
        "VERSION" => Some(vars.version.to_string()),
        "PORT" => vars.port.map(|port| port.to_string()),
        _ => None,
    })
}

/// Checks that `text` uses only [`VARIABLES`]; `has_port` tells whether `${PORT}` has a meaning.
///
/// # Errors
/// As [`render`].
pub fn check(text: &str, has_port: bool) -> Result<(), InvalidText> {
    walk(text, |name| match name {
        "VERSION" => Some(String::new()),
        "PORT" if has_port => Some(String::new()),
        _ => None,
    })
    .map(drop)
}

/// Whether `text` uses the variable `name`.
pub fn uses(text: &str, name: &str) -> bool {
    let mut found = false;
    let walked = walk(text, |variable| {
        found |= variable == name;
        Some(String::new())
    });
    walked.is_ok() && found
}

fn walk(text: &str, mut value: impl FnMut(&str) -> Option<String>) -> Result<String, InvalidText> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| {
                InvalidText::new("text", text, "a '${' is never closed; write '$$' for a dollar sign")
            })?;
            let value = value(name).ok_or_else(|| {
                InvalidText::new(
                    "variable",
                    name,
                    "use ${VERSION}, or ${PORT} where the target has a port; write '$$' for a dollar sign",
                )
            })?;
            out.push_str(&value);
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(version: &Version) -> Vars<'_> {
        Vars { version, port: Some(8080) }
    }

    #[test]
    fn e4_variables_are_replaced_once() {
        let version: Version = "1.0.0".parse().expect("valid");
        let text = "app-${VERSION} --port ${PORT} costs $5 $${PORT}";
        assert_eq!(render(text, vars(&version)).as_deref(), Ok("app-1.0.0 --port 8080 costs $5 ${PORT}"));
    }

    #[test]
    fn an_unknown_or_open_variable_is_refused() {
        let version: Version = "1.0.0".parse().expect("valid");
        assert!(render("${HOME}", vars(&version)).is_err());
        assert!(render("${${PORT}}", vars(&version)).is_err());
        assert!(render("${PORT", vars(&version)).is_err());
        assert!(render("${PORT}", Vars { version: &version, port: None }).is_err());
    }
}
