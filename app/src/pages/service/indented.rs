//! What a service answered, one field a line. Goes by brackets and strings alone: what is no whole JSON,
//! such as an answer that was cut off, stays as it came.

/// Blanks for each level.
const INDENT: usize = 2;
/// Deeper than this nobody reads.
const DEPTH_MAX: usize = 64;

/// JSON with a line for each field; anything else as it is.
pub(super) fn indented(text: &str) -> String {
    let trimmed = text.trim();
    let is_open = trimmed.starts_with(['{', '[']);
    is_open.then(|| written(trimmed)).flatten().unwrap_or_else(|| text.to_owned())
}

fn written(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() * 2);
    let mut closers = Vec::new();
    let (mut is_string, mut is_escaped) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(one) = chars.next() {
        if is_string {
            out.push(one);
            is_string = is_escaped || one != '"';
            is_escaped = one == '\\' && !is_escaped;
            continue;
        }
        match one {
            // Only blanks may come after the end.
            _ if closers.is_empty() && !out.is_empty() => return None,
            '"' => {
                is_string = true;
                out.push(one);
            }
            '{' | '[' => {
                let closer = if one == '{' { '}' } else { ']' };
                out.push(one);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if chars.next_if_eq(&closer).is_some() {
                    out.push(closer);
                    continue;
                }
                closers.push(closer);
                if closers.len() > DEPTH_MAX {
                    return None;
                }
                line(&mut out, closers.len());
            }
            '}' | ']' => {
                if closers.pop() != Some(one) {
                    return None;
                }
                line(&mut out, closers.len());
                out.push(one);
            }
            ',' => {
                out.push(one);
                line(&mut out, closers.len());
            }
            ':' => out.push_str(": "),
            blank if blank.is_ascii_whitespace() => {}
            other => out.push(other),
        }
    }
    (closers.is_empty() && !is_string).then_some(out)
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', depth * INDENT));
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn json_gets_a_line_for_each_field() {
        assert_eq!(
            indented(
                r#"{"status":"ok","checks":{"db":"up","note":"a, {b}: \"c\""},"tags":[1,2.5],"none":{},"no":[ ]}"#
            ),
            r#"{
  "status": "ok",
  "checks": {
    "db": "up",
    "note": "a, {b}: \"c\""
  },
  "tags": [
    1,
    2.5
  ],
  "none": {},
  "no": []
}"#
        );
        assert_eq!(indented(" {\n\"a\" : true }\n"), "{\n  \"a\": true\n}");
    }

    #[test]
    fn anything_else_stays_as_it_came() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        for text in ["", "ok", "<b>{}</b>", "{\"a\":1", "{\"a\":\"", "[1}", "{} {}", "{\"a\":1}x", "]", &deep]
        {
            assert_eq!(indented(text), text, "{text}");
        }
    }
}
