//! Lines of CSV files (RFC 4180) that spreadsheets take for text.

/// A line of a file.
pub(crate) fn line(fields: impl IntoIterator<Item = String>) -> String {
    let fields: Vec<String> = fields.into_iter().map(|field| quoted(&field)).collect();
    fields.join(",") + "\r\n"
}

/// What is not there is an empty field.
pub(crate) fn or_empty<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// What a spreadsheet would take for a formula is marked as text.
fn quoted(field: &str) -> String {
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let mark = if is_formula { "'" } else { "" };
    let needs_quotes = field.contains([',', '"', '\n', '\r']);
    if needs_quotes { format!("\"{mark}{}\"", field.replace('"', "\"\"")) } else { format!("{mark}{field}") }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn e12_fields_stay_fields_and_formulae_stay_text() {
        for (given, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("-1", "'-1"),
            ("@SUM(1)", "'@SUM(1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(quoted(given), expected);
        }
    }
}
