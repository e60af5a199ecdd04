//! Masking: whatever contains a secret in one of its forms goes on with `***` in its place. Of forms that
//! overlap, all of what any of them covers is masked. A stream is masked whatever its pieces are: what
//! may be the beginning of a secret waits for the next piece.

use crate::forms;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::{collections::BTreeSet, fmt, ops::Range, sync::Arc};

pub use crate::forms::CHARS_MIN;

/// What stands in a secret's place.
pub const MASK: &str = "***";

/// What is masked. Cheap to clone; shows nothing of itself.
#[derive(Clone, Default)]
pub struct Mask(Option<Arc<Needles>>);

struct Needles {
    /// The longest first.
    all: Vec<Needle>,
    finder: AhoCorasick,
}

struct Needle {
    bytes: Vec<u8>,
    /// Of each place: how long the longest beginning is that ends there, the whole excepted.
    borders: Vec<u32>,
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask({} forms)", self.0.as_ref().map_or(0, |needles| needles.all.len()))
    }
}

impl Mask {
    /// Masks these values in all their forms. Values below [`CHARS_MIN`] characters are not masked.
    pub fn of<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let all: BTreeSet<String> = values.into_iter().flat_map(forms::of).collect();
        let mut all: Vec<Needle> = all.into_iter().map(|form| Needle::of(form.into_bytes())).collect();
        all.sort_by_key(|needle| std::cmp::Reverse(needle.bytes.len()));
        // Overlapping matches need the standard kind; the contiguous one is small.
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(all.iter().map(|needle| &needle.bytes));
        match finder {
            Ok(finder) if !all.is_empty() => Self(Some(Arc::new(Needles { all, finder }))),
            _ => Self(None),
        }
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// A whole text without them.
    pub fn masked(&self, text: &str) -> String {
        let mut stream = self.stream();
        let mut bytes = stream.feed(text.as_bytes());
        bytes.extend(stream.finish());
        // Secrets and their forms are whole characters, so what is left is, too.
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// The length of the longest form, in bytes: so much of a piece is kept back for the one after it.
    pub fn longest(&self) -> usize {
        self.0.as_ref().map_or(0, |needles| needles.all[0].bytes.len())
    }

    /// Masks what comes in pieces.
    pub fn stream(&self) -> Stream {
        Stream { mask: self.clone(), waiting: Vec::new(), covered: 0 }
    }
}

impl Needle {
    fn of(bytes: Vec<u8>) -> Self {
        let mut borders = vec![0_u32; bytes.len()];
        let mut length = 0;
        for place in 1..bytes.len() {
            while length > 0 && bytes[place] != bytes[length] {
                length = borders[length - 1] as usize;
            }
            length += usize::from(bytes[place] == bytes[length]);
            borders[place] = u32::try_from(length).unwrap_or(u32::MAX);
        }
        Self { bytes, borders }
    }

    /// How much of the end of `text` is a beginning of this, the whole excepted.
    fn begun(&self, text: &[u8]) -> usize {
        let end = &text[text.len() - text.len().min(self.bytes.len() - 1)..];
        let mut length = 0;
        for byte in end {
            while length > 0 && *byte != self.bytes[length] {
                length = self.borders[length - 1] as usize;
            }
            length += usize::from(*byte == self.bytes[length]);
        }
        length
    }
}

impl Needles {
    /// What is covered, in order; spans that overlap are one.
    fn spans(&self, text: &[u8], covered: usize) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> =
            self.finder.find_overlapping_iter(text).map(|found| found.range()).collect();
        found.push(0..covered);
        found.sort_by_key(|span| (span.start, span.end));
        let mut spans: Vec<Range<usize>> = Vec::new();
        for span in found {
            match spans.last_mut() {
                Some(last) if span.start < last.end => last.end = last.end.max(span.end),
                _ => spans.push(span),
            }
        }
        spans
    }

    /// How much of the end of `text` may be the beginning of one.
    fn begun(&self, text: &[u8]) -> usize {
        let mut most = 0;
        for needle in &self.all {
            if needle.bytes.len() > most + 1 {
                most = most.max(needle.begun(text));
            }
        }
        most
    }
}

/// A stream that is being masked.
#[derive(Debug)]
pub struct Stream {
    mask: Mask,
    /// What may be the beginning of a secret; shorter than the longest form.
    waiting: Vec<u8>,
    /// So much of it belongs to one whose mask has been written.
    covered: usize,
}

impl Stream {
    /// The next piece: comes back with what can go on, which may be of the pieces before.
    pub fn feed(&mut self, piece: &[u8]) -> Vec<u8> {
        let Some(needles) = self.mask.0.clone() else { return piece.to_vec() };
        self.waiting.extend_from_slice(piece);
        let end = self.waiting.len() - needles.begun(&self.waiting);
        self.take(&needles, end)
    }

    /// The end: what still waited.
    pub fn finish(&mut self) -> Vec<u8> {
        let Some(needles) = self.mask.0.clone() else { return Vec::new() };
        self.take(&needles, self.waiting.len())
    }

    /// What stands before `end`, masked. A secret that begins before it and ends after it is known
    /// already, for what may still become one begins at `end`.
    fn take(&mut self, needles: &Needles, end: usize) -> Vec<u8> {
        let mut taken = Vec::with_capacity(end);
        let (mut at, mut covered) = (0, 0);
        for (place, span) in needles.spans(&self.waiting, self.covered).into_iter().enumerate() {
            if span.start >= end && place > 0 {
                break;
            }
            taken.extend_from_slice(&self.waiting[at..span.start]);
            // The first begins where the mask of the one before was written, if there was one.
            let is_written = place == 0 && self.covered > 0;
            if !is_written && !span.is_empty() && span.start < end {
                taken.extend_from_slice(MASK.as_bytes());
            }
            at = span.end.min(end).max(span.start);
            covered = span.end.saturating_sub(end);
        }
        if at < end {
            taken.extend_from_slice(&self.waiting[at..end]);
        }
        self.waiting.drain(..end);
        self.covered = covered;
        taken
    }
}

#[cfg(test)]
mod tests;
