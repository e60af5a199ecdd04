//! What is searched for in the log, and what was found: a slice of time at a time, so that a hundred
//! thousand lines hold nothing up.

use super::pattern::Pattern;
use crate::live::{LogStore, Places, Wanted, find};

/// So long a slice is, and so many lines are looked at before the clock is.
const SLICE_MS: i64 = 12;
const LINES: usize = 32;
/// So much of a line is looked at with a pattern.
const TEXT_MAX: usize = 4_096;
/// So many lines before and after what is shown, when those around it are wanted.
const AROUND: usize = 5;

/// What is searched for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Needle {
    #[default]
    Nothing,
    Text(String),
    Pattern(Pattern),
    /// A pattern that cannot be read, and why not.
    Bad(String),
}

impl Needle {
    pub(super) fn read(text: &str, is_pattern: bool) -> Self {
        match (text, is_pattern) {
            ("", _) => Self::Nothing,
            (text, false) => Self::Text(text.to_owned()),
            (text, true) => Pattern::read(text).map_or_else(Self::Bad, Self::Pattern),
        }
    }

    /// Whether lines can have it.
    pub(super) const fn is_some(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Pattern(_))
    }

    /// Where it stands in a text for the first time.
    pub(super) fn find(&self, text: &str) -> Option<(usize, usize)> {
        match self {
            Self::Text(needle) => find(text, needle).map(|at| (at, at + needle.len())),
            Self::Pattern(pattern) => {
                let mut end = text.len().min(TEXT_MAX);
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                pattern.find(&text[..end])
            }
            Self::Nothing | Self::Bad(_) => None,
        }
    }
}

/// What was found until now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    needle: Needle,
    wanted: Wanted,
    order: u64,
    looked_at: usize,
    /// Places of lines that hold it.
    pub(super) hits: Vec<u32>,
    /// Whether all lines were looked at.
    pub(super) is_done: bool,
}

impl Found {
    /// Goes on where the last slice ended, as long as the same is searched for in the same lines.
    pub(super) fn after(
        before: Option<&Self>,
        (log, fits): (&LogStore, &Places),
        needle: &Needle,
        wanted: &Wanted,
    ) -> Self {
        let is_same = |found: &&Self| {
            found.needle == *needle
                && found.wanted == *wanted
                && found.order == fits.order
                && found.looked_at <= fits.len()
        };
        let mut found = before.filter(is_same).cloned().unwrap_or_else(|| Self {
            needle: needle.clone(),
            wanted: wanted.clone(),
            order: fits.order,
            ..Self::default()
        });
        found.look(log, fits);
        found
    }

    fn look(&mut self, log: &LogStore, fits: &Places) {
        if !self.needle.is_some() {
            self.is_done = true;
            return;
        }
        let until = now_ms() + SLICE_MS;
        let holds = |text: &str| self.needle.find(text).is_some();
        while self.looked_at < fits.len() && now_ms() < until {
            let end = fits.len().min(self.looked_at + LINES);
            self.hits.extend(log.matches(&fits[self.looked_at..end], &holds));
            self.looked_at = end;
        }
        self.is_done = self.looked_at == fits.len();
    }
}

/// The places and those around them, of all.
pub(super) fn widened(all: &[u32], places: &[u32]) -> Vec<u32> {
    let mut wide = Vec::new();
    let mut next = 0;
    for place in places {
        let at = all.partition_point(|one| one < place);
        let end = all.len().min(at + AROUND + 1);
        let begin = next.max(at.saturating_sub(AROUND)).min(end);
        wide.extend_from_slice(&all[begin..end]);
        next = end;
    }
    wide
}

fn now_ms() -> i64 {
    #[cfg(feature = "hydrate")]
    return js_sys::Date::now() as i64;
    #[cfg(not(feature = "hydrate"))]
    {
        use std::time::{SystemTime, UNIX_EPOCH};
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_around_come_once_and_in_order() {
        let all: Vec<u32> = (0..40).map(|place| place * 2).collect();
        assert_eq!(widened(&all, &[0]), [0, 2, 4, 6, 8, 10]);
        let near = widened(&all, &[20, 24]);
        assert_eq!((near.first(), near.last(), near.len()), (Some(&10), Some(&34), 13));
        assert_eq!(widened(&all, &[78]).len(), 6);
        assert!(widened(&all, &[]).is_empty());
        assert!(widened(&[], &[3]).is_empty());
    }

    #[test]
    fn a_needle_is_text_or_a_pattern_or_says_what_is_wrong() {
        assert_eq!(Needle::read("a.c", false).find("xabc a.c"), Some((5, 8)));
        assert_eq!(Needle::read("a.c", true).find("xabc a.c"), Some((1, 4)));
        assert!(matches!(Needle::read("(", true), Needle::Bad(_)));
        assert!(!Needle::read("", true).is_some());
        assert_eq!(Needle::read("ß$", true).find(&"ß".repeat(4_000)), Some((4_094, 4_096)));
    }
}
