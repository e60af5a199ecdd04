//! Lines of output in one text, so that a hundred thousand of them cost little.

use leptos::prelude::*;
use lockstep_model::{Timestamp, api::LogPage, live::LogTail, view::LogLine};

/// Where a line stands in the text, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    cursor: i64,
    at: i64,
    start: u32,
    end: u32,
    step: u16,
    level: Level,
}

/// How bad a line is, going by its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing special.
    Plain,
    /// It warns.
    Warning,
    /// It tells of an error.
    Error,
}

impl Level {
    /// Goes by the words that programs use.
    pub fn of(text: &str) -> Self {
        const ERRORS: [&str; 6] = ["ERROR", "FATAL", "PANIC", "panicked at", "error:", "Traceback"];
        const WARNINGS: [&str; 3] = ["WARN", "warning:", "DEPRECATED"];
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&ERRORS) {
            Self::Error
        } else if has(&WARNINGS) {
            Self::Warning
        } else {
            Self::Plain
        }
    }
}

/// A line as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its place in the deployment's log; stays the same for ever.
    pub cursor: i64,
    /// Its number, from 1.
    pub number: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Which step.
    pub step: String,
    /// How bad it is.
    pub level: Level,
    /// The text.
    pub text: String,
}

#[derive(Debug, Default)]
struct Lines {
    text: String,
    entries: Vec<Entry>,
    steps: Vec<String>,
    /// Lines before the first one here.
    before: u64,
    /// Said of lines that are not kept any more.
    removed: Option<String>,
    /// Rises whenever a place comes to hold another line.
    order: u64,
}

/// Places of lines, good until lines come to stand elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// As of which order of the lines.
    pub order: u64,
    lines: Vec<u32>,
}

impl Places {
    /// Other lines of the same order.
    pub fn others(&self, lines: Vec<u32>) -> Self {
        Self { order: self.order, lines }
    }
}

impl std::ops::Deref for Places {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.lines
    }
}

/// The output of a deployment.
#[derive(Debug, Clone)]
pub struct LogStore {
    lines: ArcStoredValue<Lines>,
    /// Ticks with every change.
    pub changed: ArcRwSignal<u64>,
}

impl Lines {
    fn push(&mut self, line: &LogLine) {
        let step = self.steps.iter().position(|step| *step == line.step).unwrap_or_else(|| {
            self.steps.push(line.step.clone());
            self.steps.len() - 1
        });
        // What a program wrote over on the same line is not shown.
        let shown = line.text.trim_end_matches('\r').rsplit('\r').next().unwrap_or("");
        let start = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.text.push_str(shown);
        self.entries.push(Entry {
            cursor: line.cursor,
            at: line.at.0,
            start,
            end: u32::try_from(self.text.len()).unwrap_or(u32::MAX),
            step: u16::try_from(step).unwrap_or(u16::MAX),
            level: Level::of(shown),
        });
    }

    fn text(&self, entry: &Entry) -> &str {
        self.text.get(entry.start as usize..entry.end as usize).unwrap_or("")
    }

    fn step(&self, entry: &Entry) -> &str {
        self.steps.get(usize::from(entry.step)).map_or("", String::as_str)
    }
}

/// What is looked for in lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only of this service.
    pub service: Option<String>,
    /// Only of this step.
    pub step: Option<String>,
    /// Only at least this bad.
    pub level: Option<Level>,
}

impl LogStore {
    pub(super) fn new(tail: LogTail) -> Self {
        let store = Self { lines: ArcStoredValue::new(Lines::default()), changed: ArcRwSignal::new(0) };
        store.renew(tail);
        store
    }

    /// Begins anew, unless what is here goes on where the tail ends.
    pub(super) fn renew(&self, tail: LogTail) {
        self.lines.update_value(|lines| {
            let last = lines.entries.last().map_or(0, |entry| entry.cursor);
            let joins = tail.lines.first().is_some_and(|first| first.cursor <= last);
            if joins {
                for line in tail.lines.iter().filter(|line| line.cursor > last) {
                    lines.push(line);
                }
            } else {
                *lines = Lines { before: tail.before, order: lines.order + 1, ..Lines::default() };
                for line in &tail.lines {
                    lines.push(line);
                }
            }
            lines.removed = tail.removed;
        });
        self.changed.update(|tick| *tick += 1);
    }

    /// Adds lines at the end; those that are there already are left out.
    pub(super) fn append(&self, new: Vec<LogLine>) {
        self.lines.update_value(|lines| {
            let last = lines.entries.last().map_or(i64::MIN, |entry| entry.cursor);
            for line in new.iter().filter(|line| line.cursor > last) {
                lines.push(line);
            }
        });
        self.changed.update(|tick| *tick += 1);
    }

    /// Adds earlier lines at the begin.
    pub fn prepend(&self, earlier: &LogPage) {
        self.lines.update_value(|lines| {
            let first = lines.entries.first().map_or(i64::MAX, |entry| entry.cursor);
            let mut whole = Lines { order: lines.order + 1, ..Lines::default() };
            for line in earlier.lines.iter().filter(|line| line.cursor < first) {
                whole.push(line);
            }
            whole.removed.clone_from(&earlier.removed);
            whole.before =
                if earlier.more { lines.before.saturating_sub(whole.entries.len() as u64) } else { 0 };
            for entry in &lines.entries {
                whole.push(&LogLine {
                    cursor: entry.cursor,
                    at: Timestamp(entry.at),
                    step: lines.step(entry).to_owned(),
                    text: lines.text(entry).to_owned(),
                });
            }
            *lines = whole;
        });
        self.changed.update(|tick| *tick += 1);
    }

    /// How many lines stand before the first one here.
    pub fn before(&self) -> u64 {
        self.lines.try_with_value(|lines| lines.before).unwrap_or(0)
    }

    /// What is said of lines that are not kept any more, once all that are kept are here.
    pub fn removed(&self) -> Option<String> {
        let said = |lines: &Lines| lines.removed.clone().filter(|_| lines.before == 0);
        self.lines.try_with_value(said).flatten()
    }

    /// The cursor of the first line here.
    pub fn first(&self) -> Option<i64> {
        self.lines.try_with_value(|lines| lines.entries.first().map(|entry| entry.cursor)).flatten()
    }

    /// Places of lines that are wanted.
    pub fn places(&self, wanted: &Wanted) -> Places {
        self.lines
            .try_with_value(|lines| {
                let fits = |entry: &Entry| {
                    let step = lines.step(entry);
                    let service = step.split('.').next();
                    wanted.level.is_none_or(|level| entry.level >= level)
                        && wanted.step.as_deref().is_none_or(|wanted| wanted == step)
                        && wanted.service.as_deref().is_none_or(|wanted| Some(wanted) == service)
                };
                let fitting = (0..).zip(&lines.entries).filter(|(_, entry)| fits(entry));
                Places { order: lines.order, lines: fitting.map(|(place, _)| place).collect() }
            })
            .unwrap_or_default()
    }

    /// Which of these places have a text or a step that fits.
    pub fn matches(&self, places: &[u32], fits: &dyn Fn(&str) -> bool) -> Vec<u32> {
        self.lines
            .try_with_value(|lines| {
                let holds = |place: u32| {
                    let entry = lines.entries.get(place as usize);
                    entry.is_some_and(|entry| fits(lines.text(entry)) || fits(lines.step(entry)))
                };
                places.iter().copied().filter(|place| holds(*place)).collect()
            })
            .unwrap_or_default()
    }

    /// How many lines are at least so bad.
    pub fn count(&self, level: Level) -> usize {
        let count = |lines: &Lines| lines.entries.iter().filter(|entry| entry.level >= level).count();
        self.lines.try_with_value(count).unwrap_or(0)
    }

    /// How many lines are here.
    pub fn len(&self) -> usize {
        self.lines.try_with_value(|lines| lines.entries.len()).unwrap_or(0)
    }

    /// Whether no line is here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The line at a place.
    pub fn line(&self, place: u32) -> Option<Line> {
        self.lines
            .try_with_value(|lines| {
                let entry = lines.entries.get(place as usize)?;
                Some(Line {
                    cursor: entry.cursor,
                    number: lines.before + u64::from(place) + 1,
                    at: Timestamp(entry.at),
                    step: lines.step(entry).to_owned(),
                    level: entry.level,
                    text: lines.text(entry).to_owned(),
                })
            })
            .flatten()
    }

    /// The place of the line with a cursor, or of the next one.
    pub fn place_of(&self, cursor: i64) -> Option<u32> {
        self.lines
            .try_with_value(|lines| {
                let place = lines.entries.partition_point(|entry| entry.cursor < cursor);
                (place < lines.entries.len()).then(|| u32::try_from(place).unwrap_or(u32::MAX))
            })
            .flatten()
    }

    /// The steps that wrote something, in the order in which they began.
    pub fn steps(&self) -> Vec<String> {
        self.lines.try_with_value(|lines| lines.steps.clone()).unwrap_or_default()
    }
}

/// All lines, for a page that nobody has taken over yet.
pub fn lines_of(log: &LogStore) -> Vec<Line> {
    (0..u32::try_from(log.len()).unwrap_or(0)).filter_map(|place| log.line(place)).collect()
}

/// Where `needle` stands in `text`, ignoring the case of ASCII letters.
pub fn find(text: &str, needle: &str) -> Option<usize> {
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    if needle.is_empty() || needle.len() > text.len() {
        return None;
    }
    let first = needle[0].to_ascii_lowercase();
    (0..=text.len() - needle.len()).find(|&at| {
        text[at].to_ascii_lowercase() == first && text[at..at + needle.len()].eq_ignore_ascii_case(needle)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cursor: i64, text: &str) -> LogLine {
        LogLine { cursor, at: Timestamp(cursor), step: "backend.prepare".to_owned(), text: text.to_owned() }
    }

    fn earlier(lines: Vec<LogLine>, more: bool) -> LogPage {
        LogPage { lines, next: 0, more, removed: Some("Earlier output was removed".to_owned()) }
    }

    fn texts(log: &LogStore) -> Vec<String> {
        lines_of(log).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_join_without_gap_or_double() {
        let _owner = Owner::new();
        _owner.set();
        let log =
            LogStore::new(LogTail { lines: vec![line(5, "five"), line(6, "six")], before: 4, removed: None });
        log.append(vec![line(6, "six"), line(7, "seven")]);
        log.prepend(&earlier(vec![line(3, "three"), line(4, "four"), line(5, "five")], true));
        assert_eq!(texts(&log), ["three", "four", "five", "six", "seven"]);
        assert_eq!((log.before(), log.line(0).map(|line| line.number)), (2, Some(3)));
        log.renew(LogTail { lines: vec![line(7, "seven"), line(8, "eight")], before: 6, removed: None });
        assert_eq!(texts(&log).len(), 6, "a tail that joins adds what is new");
        log.renew(LogTail { lines: vec![line(90, "ninety")], before: 89, removed: None });
        assert_eq!(texts(&log), ["ninety"], "one that does not begins anew");
        assert_eq!(log.place_of(90), Some(0));
        assert_eq!(log.place_of(91), None);
    }

    #[test]
    fn a_place_that_holds_another_line_is_another_place() {
        let log =
            LogStore::new(LogTail { lines: vec![line(5, "five"), line(6, "six")], before: 4, removed: None });
        let all = Wanted::default();
        let first = log.places(&all);
        log.renew(LogTail {
            lines: vec![line(90, "ninety"), line(91, "ninety-one")],
            before: 89,
            removed: None,
        });
        let anew = log.places(&all);
        assert!(first != anew && first[..] == anew[..], "as many lines, and all of them others");
        log.prepend(&earlier(vec![line(89, "eighty-nine")], true));
        assert_ne!(anew.order, log.places(&all).order);
        log.append(vec![line(92, "ninety-two")]);
        assert_eq!(log.places(&all).len(), 4);
    }

    #[test]
    fn what_was_written_over_is_not_shown_and_levels_go_by_words() {
        let _owner = Owner::new();
        _owner.set();
        let lines =
            vec![line(1, "10 %\r50 %\r100 %\r"), line(2, "ERROR pool timed out"), line(3, "WARN slow")];
        let log = LogStore::new(LogTail { lines, before: 0, removed: None });
        assert_eq!(texts(&log)[0], "100 %");
        assert_eq!((log.count(Level::Error), log.count(Level::Warning)), (1, 2));
        let wanted = Wanted { level: Some(Level::Error), ..Wanted::default() };
        assert_eq!(log.places(&wanted)[..], [1]);
        let wanted = Wanted { service: Some("other".to_owned()), ..Wanted::default() };
        assert!(log.places(&wanted).is_empty());
        assert_eq!(log.matches(&[0, 1, 2], &|text| find(text, "POOL").is_some()), [1]);
    }

    #[test]
    fn a_search_ignores_case_and_keeps_to_the_text() {
        assert_eq!(find("Pool timed out", "TIMED"), Some(5));
        assert_eq!(find("ab", "abc"), None);
        assert_eq!(find("größe", "GRÖ"), None, "only ASCII letters have two cases here");
        assert_eq!(find("x", ""), None);
    }
}
