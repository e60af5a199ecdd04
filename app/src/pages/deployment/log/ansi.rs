//! Colours of terminals: what programs write for a terminal becomes spans with classes, and text that
//! could harm a reader becomes text that cannot.

use super::search::Needle;
use leptos::prelude::*;

/// A stretch of text with one look.
#[derive(Debug, PartialEq, Eq)]
struct Span {
    text: String,
    class: String,
}

/// What holds for the text that follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Look {
    is_bold: bool,
    is_dim: bool,
    colour: &'static str,
}

const COLOURS: [&str; 8] =
    ["ansi-dim", "ansi-red", "ansi-green", "ansi-yellow", "ansi-blue", "ansi-magenta", "ansi-cyan", ""];

impl Look {
    fn class(self) -> String {
        let colour = if self.colour.is_empty() && self.is_dim { "ansi-dim" } else { self.colour };
        match (self.is_bold, colour) {
            (false, colour) => colour.to_owned(),
            (true, "") => "ansi-1".to_owned(),
            (true, colour) => format!("ansi-1 {colour}"),
        }
    }

    /// Takes the codes of one sequence up (`1;38;5;31`). Codes of backgrounds and the rest are read to
    /// their end and change nothing: the page keeps its own grounds, on which its colours can be read.
    fn apply(&mut self, codes: &str) {
        let mut codes = codes.split(';');
        while let Some(code) = codes.next() {
            // The newer way of writing keeps a colour in one code: `38:5:31`, `38:2::255:0:0`.
            let mut inner = code.split(':');
            let number = number(inner.next());
            match number {
                0 => *self = Self::default(),
                1 => self.is_bold = true,
                2 => self.is_dim = true,
                22 => (self.is_bold, self.is_dim) = (false, false),
                30..=37 => self.colour = COLOURS[usize::from(number - 30)],
                90..=97 => self.colour = COLOURS[usize::from(number - 90)],
                39 => self.colour = "",
                // Foreground, background and underline in more colours than eight.
                38 | 48 | 58 => {
                    let colour = match inner.next() {
                        Some(way) => {
                            let more: Vec<&str> = inner.collect();
                            // A colour space may stand before the three parts.
                            let parts = more.get(more.len().saturating_sub(3)..).unwrap_or_default();
                            match way {
                                "5" => more.first().map(|code| of_256(self::number(Some(code)))),
                                "2" => of_parts(parts.iter().copied()),
                                _ => None,
                            }
                        }
                        None => match codes.next() {
                            Some("5") => codes.next().map(|code| of_256(self::number(Some(code)))),
                            Some("2") => of_parts(codes.by_ref().take(3)),
                            _ => None,
                        },
                    };
                    if number == 38 {
                        self.colour = colour.unwrap_or(self.colour);
                    }
                }
                _ => {}
            }
        }
    }
}

/// A code that is left out means 0; one that is no code means nothing.
fn number(code: Option<&str>) -> u8 {
    match code {
        None | Some("") => 0,
        Some(code) => code.parse().unwrap_or(u8::MAX),
    }
}

fn of_parts<'a>(parts: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    let parts: Vec<u8> = parts.map(|part| number(Some(part))).collect();
    let [red, green, blue] = parts[..] else { return None };
    Some(of_rgb(red, green, blue))
}

/// One of the 256: the eight, the eight bright ones, a cube of six by six by six, greys.
fn of_256(code: u8) -> &'static str {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    match code {
        0..=7 => COLOURS[usize::from(code)],
        8..=15 => COLOURS[usize::from(code - 8)],
        16..=231 => {
            let place = usize::from(code - 16);
            of_rgb(LEVELS[place / 36], LEVELS[place / 6 % 6], LEVELS[place % 6])
        }
        232..=255 => of_rgb(8 + (code - 232) * 10, 8 + (code - 232) * 10, 8 + (code - 232) * 10),
    }
}

/// The nearest of the page's own colours, by hue: those can be read on both grounds.
fn of_rgb(red: u8, green: u8, blue: u8) -> &'static str {
    let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
    if most - least < 48 {
        return if most < 176 { "ansi-dim" } else { "" };
    }
    // What takes part in the hue: more than half the way from the least to the most.
    let has = |part: u8| part - least > (most - least) / 2;
    match (has(red), has(green), has(blue)) {
        (true, false, false) => "ansi-red",
        (false, true, false) => "ansi-green",
        (true, true, _) => "ansi-yellow",
        (false, false, true) => "ansi-blue",
        (true, false, true) => "ansi-magenta",
        (false, true, true) => "ansi-cyan",
        (false, false, false) => "",
    }
}

/// Text with colours of terminals as spans; other control sequences are left out, and characters that
/// would turn the direction of the text are shown as what they are.
fn spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut look = Look::default();
    let mut current = String::new();
    let mut rest = text.chars().peekable();
    let mut push = |current: &mut String, look: Look| {
        if !current.is_empty() {
            spans.push(Span { text: std::mem::take(current), class: look.class() });
        }
    };
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            match rest.next() {
                Some('[') => {
                    let mut codes = String::new();
                    let mut end = ' ';
                    for c in rest.by_ref() {
                        if ('\u{40}'..='\u{7e}').contains(&c) {
                            end = c;
                            break;
                        }
                        codes.push(c);
                    }
                    if end == 'm' {
                        push(&mut current, look);
                        look.apply(&codes);
                    }
                }
                // Operating system commands: links and titles, up to their end.
                Some(']') => {
                    while let Some(c) = rest.next() {
                        if c == '\u{7}' {
                            break;
                        }
                        if c == '\u{1b}' {
                            rest.next_if_eq(&'\\');
                            break;
                        }
                    }
                }
                Some(_) | None => {}
            }
        } else if matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}') {
            current.push_str(&format!("<U+{:04X}>", u32::from(c)));
        } else if c.is_control() && c != '\t' {
            current.push('\u{fffd}');
        } else {
            current.push(c);
        }
    }
    push(&mut current, look);
    spans
}

/// A line's text in its colours, with what was searched for marked.
pub(super) fn parts(text: &str, needle: &Needle) -> impl IntoView + use<> {
    spans(text)
        .into_iter()
        .map(|span| {
            let mut pieces = Vec::new();
            let mut rest = span.text.as_str();
            // What is found without a letter marks nothing.
            while let Some((at, end)) = needle.find(rest).filter(|(at, end)| at < end) {
                let (Some(before), Some(hit), Some(after)) =
                    (rest.get(..at), rest.get(at..end), rest.get(end..))
                else {
                    break;
                };
                pieces.push(view! { {before.to_owned()}<mark>{hit.to_owned()}</mark> }.into_any());
                rest = after;
            }
            pieces.push(rest.to_owned().into_any());
            if span.class.is_empty() {
                pieces.into_any()
            } else {
                view! { <span class=span.class>{pieces}</span> }.into_any()
            }
        })
        .collect_view()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(String, String)> {
        spans(text).into_iter().map(|span| (span.text, span.class)).collect()
    }

    fn class_after(codes: &str) -> String {
        let mut look = Look::default();
        look.apply(codes);
        look.class()
    }

    #[test]
    fn colours_become_classes_and_other_sequences_nothing() {
        assert_eq!(
            shown("\u{1b}[1;31mred\u{1b}[0m plain \u{1b}[2K\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\."),
            [("red".to_owned(), "ansi-1 ansi-red".to_owned()), (" plain link.".to_owned(), String::new())]
        );
        assert_eq!(shown("\u{1b}[31"), [], "a sequence that never ends shows nothing");
    }

    #[test]
    fn codes_inside_a_colour_are_no_codes_of_their_own() {
        for (codes, expected) in [
            ("38;5;31", "ansi-cyan"),
            ("38;5;9", "ansi-red"),
            ("38;5;196", "ansi-red"),
            ("38;5;240", "ansi-dim"),
            ("38;5;255", ""),
            ("38;2;220;40;40", "ansi-red"),
            ("38;2;0;0;31", ""),
            ("38;2;250;210;60", "ansi-yellow"),
            ("1;38;2;40;200;60;4", "ansi-1 ansi-green"),
            ("31;48;2;0;0;0", "ansi-red"),
            ("32;48;5;31", "ansi-green"),
            ("31;58;5;2", "ansi-red"),
            ("38:5:31", "ansi-cyan"),
            ("38:2::220:40:40", "ansi-red"),
            ("38:2:220:40:40", "ansi-red"),
            ("31;48:2::0:0:0", "ansi-red"),
        ] {
            let expected = if codes == "38;2;0;0;31" { "ansi-dim" } else { expected };
            assert_eq!(class_after(codes), expected, "{codes}");
        }
    }

    #[test]
    fn broken_colours_change_nothing_and_harm_nobody() {
        for codes in ["38", "38;5", "38;2;1;2", "38;9;31", "38;5;999", "38:2", "48;2", ";;;", "999"] {
            let _ = class_after(codes);
        }
        assert_eq!(class_after("31;38;2;1"), "ansi-red", "what is not whole is left out");
        assert_eq!(class_after("31;"), "", "an empty code is a reset");
    }

    #[test]
    fn text_cannot_turn_around_or_ring() {
        let text: String = spans("a\u{202e}b\u{7}c\td").into_iter().map(|span| span.text).collect();
        assert_eq!(text, "a<U+202E>b\u{fffd}c\td");
    }
}
