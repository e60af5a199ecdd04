//! Where somebody is in the output: which lines fit, how high they are, what is followed, searched and
//! linked.

use super::search::{Found, Needle, widened};
use crate::{
    api::deployment_logs,
    live::{Level, Live, LogStore, Places, Wanted},
    query::Query,
    ui::Toasts,
};
use leptos::{html, prelude::*, task::spawn_local};
use lockstep_model::{
    DeploymentId,
    api::{LOG_LINES_MAX, ReadLogs},
};

/// Lines of a block; heights are kept by block.
pub(super) const BLOCK: usize = 50;
/// A line's height while long lines are not broken.
const LINE_PX: f64 = 24.0;
/// Closer to the end than this counts as at the end.
const END_PX: i32 = 30;

/// What of the log is shown, and where the reader is.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    id: DeploymentId,
    toasts: Toasts,
    pub(super) query: Query,
    pub(super) log: StoredValue<LogStore>,
    /// Ticks with every change of the lines.
    pub(super) changed: RwSignal<u64>,
    pub(super) wanted: Memo<Wanted>,
    /// Places of lines that fit the filter.
    fits: Memo<Places>,
    /// Places of lines that are shown: those that fit, or hits alone, with those around them or not.
    pub(super) places: Memo<Places>,
    /// What is searched for, as it was typed and as it was read.
    pub(super) typed: Memo<String>,
    pub(super) needle: Memo<Needle>,
    /// What was found of it until now.
    pub(super) found: Memo<Found>,
    /// Whether only hits are shown, and whether lines around what is shown are.
    pub(super) is_only_hits: Memo<bool>,
    pub(super) is_around: Memo<bool>,
    /// Which of those was gone to last.
    pub(super) at_match: RwSignal<usize>,
    /// The line that the address names.
    here: Memo<Option<i64>>,
    /// The line that was gone to last.
    at: RwSignal<Option<i64>>,
    /// Heights of blocks that were measured.
    pub(super) heights: StoredValue<Vec<f64>>,
    /// Ticks when a height was measured anew.
    pub(super) measured: RwSignal<u64>,
    pub(super) node: NodeRef<html::Div>,
    scroll: RwSignal<(f64, f64)>,
    /// Whether the end stays in sight.
    pub(super) follow: RwSignal<bool>,
    /// Lines that came since somebody went back to read.
    pub(super) unread: RwSignal<usize>,
    /// Whether lines before the first are on their way.
    pub(super) busy: RwSignal<bool>,
    /// Whether only what can be seen is in the document.
    pub(super) is_virtual: Memo<bool>,
}

impl Reader {
    pub(super) fn new(id: DeploymentId, log: &LogStore) -> Self {
        let live = Live::here();
        let query = Query::here();
        let store = StoredValue::new(log.clone());
        let changed = RwSignal::from(log.changed.clone());
        let (stage, level, service) = (query.signal("stage"), query.signal("level"), query.signal("service"));
        let wanted = Memo::new(move |_| {
            let some = |text: String| Some(text).filter(|text| !text.is_empty());
            Wanted {
                service: some(service.get()),
                step: some(stage.get()),
                level: match level.get().as_str() {
                    "error" => Some(Level::Error),
                    "warning" => Some(Level::Warning),
                    _ => None,
                },
            }
        });
        let fits = Memo::new(move |_| {
            changed.track();
            store.with_value(|log| wanted.with(|wanted| log.places(wanted)))
        });
        let (typed, is_pattern) = (query.signal("log"), query.signal("re"));
        let needle = Memo::new(move |_| Needle::read(&typed.get(), !is_pattern.get().is_empty()));
        let found = searching(store, fits, needle, wanted);
        let is_only_hits = Memo::new(move |_| query.has(&["hits"]) && needle.with(Needle::is_some));
        let is_around = Memo::new(move |_| {
            query.has(&["around"]) && (is_only_hits.get() || wanted.with(|wanted| wanted.level.is_some()))
        });
        let places = Memo::new(move |_| {
            let shown = match is_only_hits.get() {
                true => fits.with(|fits| found.with(|found| fits.others(found.hits.clone()))),
                false => fits.get(),
            };
            if !is_around.get() {
                return shown;
            }
            let all = wanted.with(|wanted| Wanted { level: None, ..wanted.clone() });
            let all = store.with_value(|log| log.places(&all));
            all.others(widened(&all, &shown))
        });
        let here = Memo::new(move |_| query.get("l").parse::<i64>().ok());
        let is_reading = untrack(|| here.get().is_some() || query.get("follow") == "0");
        Self {
            id,
            toasts: Toasts::here(),
            query,
            log: store,
            changed,
            wanted,
            fits,
            places,
            typed,
            needle,
            found,
            is_only_hits,
            is_around,
            at_match: RwSignal::new(0),
            here,
            at: RwSignal::new(None),
            heights: StoredValue::new(Vec::new()),
            measured: RwSignal::new(0),
            node: NodeRef::new(),
            scroll: RwSignal::new((0.0, 600.0)),
            follow: RwSignal::new(!is_reading),
            unread: RwSignal::new(0),
            busy: RwSignal::new(false),
            is_virtual: Memo::new(move |_| live.is_taken_over()),
        }
    }

    /// How many lines stand before the first one here. Tracked.
    pub(super) fn before(self) -> u64 {
        self.changed.track();
        self.log.with_value(LogStore::before)
    }

    /// What is said of lines that are not kept any more. Tracked.
    pub(super) fn removed(self) -> Option<String> {
        self.changed.track();
        self.log.with_value(LogStore::removed)
    }

    /// Whether the chosen step or service has no line at all, however bad. Tracked.
    pub(super) fn is_silent(self) -> bool {
        self.changed.track();
        let all = self.wanted.with(|wanted| Wanted { level: None, ..wanted.clone() });
        self.log.with_value(|log| log.places(&all).is_empty())
    }

    /// Whether a line was linked or gone to. Tracked.
    pub(super) fn is_at(self, cursor: i64) -> bool {
        self.here.get() == Some(cursor) || self.at.get() == Some(cursor)
    }

    /// The height of a block, as it was measured or going by its lines.
    pub(super) fn height(self, block: usize) -> f64 {
        let lines =
            self.places.with_untracked(|places| places.len().saturating_sub(block * BLOCK).min(BLOCK));
        let known = self.heights.with_value(|heights| heights.get(block).copied().unwrap_or(0.0));
        if known > 0.0 { known } else { lines as f64 * LINE_PX }
    }

    /// The blocks to show, and the space before and after them. Tracked.
    pub(super) fn window(self) -> (usize, usize, f64, f64) {
        self.measured.track();
        let (top, view) = self.scroll.get();
        let blocks = self.places.with(|places| places.len().div_ceil(BLOCK));
        let (mut first, mut last, mut before, mut after) = (None, 0, 0.0, 0.0);
        let mut y = 0.0;
        for block in 0..blocks {
            let height = self.height(block);
            let is_near = y + height >= top - view * 0.5 && y <= top + view * 1.5;
            if is_near {
                first.get_or_insert(block);
                last = block + 1;
            } else if first.is_none() {
                before += height;
            } else {
                after += height;
            }
            y += height;
        }
        (first.unwrap_or(0), last, before, after)
    }

    fn to_end(self) {
        if let Some(node) = self.node.get_untracked() {
            node.set_scroll_top(node.scroll_height());
        }
    }

    /// Follows from now on, or stops to; the address says so.
    pub(super) fn set_follow(self, follow: bool) {
        if self.follow.get_untracked() != follow {
            self.follow.set(follow);
            let is_linked = self.here.get_untracked().is_some();
            match follow {
                true => self.query.set(&[("follow", ""), ("l", "")]),
                // A link to a line says it already.
                false if is_linked => {}
                false => self.query.set(&[("follow", "0")]),
            }
        }
        if follow {
            self.unread.set(0);
            self.at.set(None);
            self.to_end();
        }
    }

    /// What came is followed, unless somebody reads; how many lines there are now.
    pub(super) fn came(self, before: Option<usize>) -> usize {
        let count = self.fits.with(|fits| fits.len());
        self.is_virtual.track();
        if self.follow.get_untracked() {
            // Once when the lines are there, once more when their heights are known.
            request_animation_frame(move || {
                self.to_end();
                request_animation_frame(move || self.to_end());
            });
        } else if let Some(before) = before {
            self.unread.update(|unread| *unread += count.saturating_sub(before));
        }
        count
    }

    /// What decides which lines are shown, beside what comes. Tracked.
    pub(super) fn track_choice(self) {
        self.wanted.track();
        self.is_around.track();
        if self.is_only_hits.get() {
            self.needle.track();
        }
    }

    /// Other lines, other heights.
    pub(super) fn forget_heights(self) {
        self.heights.set_value(Vec::new());
        self.measured.update(|tick| *tick += 1);
    }

    /// Somebody has scrolled, or the page has.
    pub(super) fn scrolled(self) {
        let Some(node) = self.node.get_untracked() else { return };
        let at_end = node.scroll_height() - node.scroll_top() - node.client_height() <= END_PX;
        let (was, _) = self.scroll.get_untracked();
        let top = f64::from(node.scroll_top());
        self.scroll.set((top, f64::from(node.client_height())));
        if at_end {
            self.unread.set(0);
        } else if top < was {
            // Only who goes back reads; lines that turn out higher than thought move nobody.
            self.set_follow(false);
        }
    }

    /// Brings the output itself onto the screen, unless it is there.
    fn come(self) {
        let Some(node) = self.node.get_untracked() else { return };
        let rect = node.get_bounding_client_rect();
        let middle = rect.top() + rect.height() / 2.0;
        let height = window().inner_height().ok().and_then(|height| height.as_f64()).unwrap_or(0.0);
        if !(0.0..height).contains(&middle) {
            node.scroll_into_view_with_bool(false);
        }
    }

    /// Brings a line into view; none when the filter leaves it out.
    fn to(self, place: u32) -> Option<()> {
        let shown = self.places.with_untracked(|places| places.binary_search(&place).ok())?;
        let block = shown / BLOCK;
        let y: f64 = (0..block).map(|block| self.height(block)).sum();
        let lines = self.places.with_untracked(|places| (places.len() - block * BLOCK).clamp(1, BLOCK));
        let inside = (shown % BLOCK) as f64 * self.height(block) / lines as f64;
        let node = self.node.get_untracked()?;
        self.set_follow(false);
        let middle = f64::from(node.client_height()) / 2.0;
        node.set_scroll_top((y + inside - middle).max(0.0) as i32);
        self.at.set(self.log.with_value(|log| log.line(place)).map(|line| line.cursor));
        Some(())
    }

    /// The place of the line in the middle of what can be seen.
    fn middle(self) -> u32 {
        let (top, view) = self.scroll.get_untracked();
        let (mut block, mut y) = (0, top + view / 2.0);
        let count = self.places.with_untracked(|places| places.len());
        while block * BLOCK < count && y >= self.height(block) {
            y -= self.height(block);
            block += 1;
        }
        let lines = count.saturating_sub(block * BLOCK).clamp(1, BLOCK);
        let inside = (y / self.height(block).max(1.0) * lines as f64) as usize;
        self.places.with_untracked(|places| {
            places.get(block * BLOCK + inside).or(places.last()).copied().unwrap_or(0)
        })
    }

    /// Another text is searched for; the next hit is the first one.
    pub(super) fn begin_search(self) {
        self.at_match.set(0);
        self.at.set(None);
    }

    /// To the next hit of the search, or one before.
    pub(super) fn go(self, by: i64) {
        let count = self.found.with_untracked(|found| found.hits.len()) as i64;
        if count == 0 {
            return;
        }
        // The first time it is the first one.
        let from =
            self.at_match.get_untracked() as i64 - i64::from(self.at.get_untracked().is_none() && by > 0);
        let next = (from + by).rem_euclid(count) as usize;
        self.at_match.set(next);
        self.to(self.found.with_untracked(|found| found.hits[next]));
    }

    /// To the next error, or one before.
    pub(super) fn error_by(self, by: i64) {
        let wanted = Wanted { level: Some(Level::Error), ..self.wanted.get_untracked() };
        let errors = self.log.with_value(|log| log.places(&wanted));
        let gone_to = self.at.get_untracked().and_then(|at| self.log.with_value(|log| log.place_of(at)));
        let here = gone_to.unwrap_or_else(|| self.middle());
        let found = if by > 0 {
            errors.iter().find(|place| **place > here)
        } else {
            errors.iter().rev().find(|place| **place < here)
        };
        match found {
            Some(place) => {
                self.come();
                self.to(*place);
            }
            None => self.toasts.done(match (errors.is_empty(), by > 0) {
                (true, _) => "No line here tells of an error".to_owned(),
                (false, true) => "No error after this one".to_owned(),
                (false, false) => "No error before this one".to_owned(),
            }),
        }
    }

    /// An address that names a line leads to it, also when it is far back; what was reached is given on.
    pub(super) fn lead(self, done: Option<i64>) -> Option<i64> {
        let cursor = self.here.get();
        self.changed.track();
        if cursor.is_none() || done == cursor || !self.is_virtual.get() {
            return cursor.filter(|_| done == cursor);
        }
        let wanted = cursor?;
        let first = self.log.with_value(LogStore::first)?;
        if wanted < first && self.log.with_value(LogStore::before) > 0 {
            self.load(false);
            return None;
        }
        let place = self.log.with_value(|log| log.place_of(wanted))?;
        self.places.with_untracked(|places| places.binary_search(&place).ok())?;
        request_animation_frame(move || {
            self.come();
            self.to(place);
        });
        cursor
    }

    /// Asks for earlier lines: some, those up to the line that the address names, or all.
    pub(super) fn load(self, all: bool) {
        if self.busy.get_untracked() {
            return;
        }
        self.busy.set(true);
        spawn_local(async move {
            while let Some(first) = self.first() {
                let request =
                    ReadLogs { id: self.id, step: None, after: 0, before: Some(first), limit: LOG_LINES_MAX };
                match deployment_logs(request).await {
                    Ok(page) => {
                        let more = page.more;
                        let height =
                            self.node.get_untracked().map(|node| (node.scroll_top(), node.scroll_height()));
                        let _ = self.log.try_with_value(|log| log.prepend(&page));
                        self.heights.set_value(Vec::new());
                        // The reader stays at the same line.
                        if let Some((top, height)) = height {
                            request_animation_frame(move || {
                                if let Some(node) = self.node.get_untracked() {
                                    node.set_scroll_top(top + node.scroll_height() - height);
                                }
                            });
                        }
                        let here = self.here.try_get_untracked().flatten();
                        let reached =
                            here.is_some_and(|here| self.first().is_some_and(|first| first <= here));
                        if !more || (!all && (reached || here.is_none())) {
                            break;
                        }
                    }
                    Err(error) => {
                        self.toasts.failed(error.to_string());
                        break;
                    }
                }
            }
            let _ = self.busy.try_set(false);
        });
    }

    fn first(self) -> Option<i64> {
        self.log.try_with_value(LogStore::first).flatten()
    }
}

/// Searches on while lines are left that nobody looked at.
fn searching(
    log: StoredValue<LogStore>,
    fits: Memo<Places>,
    needle: Memo<Needle>,
    wanted: Memo<Wanted>,
) -> Memo<Found> {
    let slice = RwSignal::new(());
    Memo::new(move |before: Option<&Found>| {
        slice.track();
        let found = fits.with(|fits| {
            log.with_value(|log| {
                needle.with(|needle| wanted.with(|wanted| Found::after(before, (log, fits), needle, wanted)))
            })
        });
        if cfg!(feature = "hydrate") && !found.is_done {
            let on = move || {
                let _ = slice.try_set(());
            };
            set_timeout(on, std::time::Duration::ZERO);
        }
        found
    })
}
