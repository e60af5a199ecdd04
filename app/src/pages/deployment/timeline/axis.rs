//! The axis: which stretch of time is on the screen. Bars are drawn in percent of a length that hardly
//! ever changes, inside one drawing that is moved and stretched: zooming and the clock write a few
//! attributes, however many bars there are.

use super::super::boxed::part;
use crate::{
    live::Live,
    prefs::{Preferences, Zone},
    query::Query,
    time::clock_time,
};
use leptos::{leptos_dom::helpers::TimeoutHandle, prelude::*};
use lockstep_model::Timestamp;
use std::time::Duration;
use wasm_bindgen::JsCast;

/// The shortest window, in milliseconds.
const WINDOW_LEAST: f64 = 20.0;
/// The closest zoom: beyond, places on the drawing are no longer exact to the pixel.
const ZOOM_MOST: f64 = 10_000.0;
/// The shortest length that is drawn.
const UNIT_LEAST: f64 = 16_000.0;
/// Room for a tick's text.
const TICK_PX: f64 = 96.0;
/// What a character of it takes at most.
const CHAR_PX: f64 = 7.0;
/// The address follows when the window has stood still for so long.
const SETTLED: Duration = Duration::from_millis(150);
const TICKS: [f64; 16] =
    [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 3e5, 9e5, 3.6e6, 1.44e7];

/// What the timeline goes by.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    /// Where it begins, by the server's clock.
    pub(super) origin: i64,
    /// How long the whole is, in milliseconds.
    pub(super) whole: Memo<f64>,
    /// The window: from, to.
    pub(super) window: Memo<(f64, f64)>,
    /// What 100 % of the drawing stand for; grows by doubling.
    pub(super) unit: Memo<f64>,
    /// How wide the tracks are; a guess until the browser has drawn them.
    pub(super) room: RwSignal<f64>,
    /// The window somebody chooses, until the address says the same.
    chosen: RwSignal<Option<String>>,
    timer: StoredValue<Option<TimeoutHandle>>,
    query: Query,
}

impl Axis {
    pub(super) fn new(origin: i64, end: impl Fn() -> i64 + Send + Sync + 'static, query: Query) -> Self {
        let whole = Memo::new(move |_| ((end() - origin) as f64 * 1.03).max(WINDOW_LEAST));
        let unit = Memo::new(move |_| unit_of(whole.get()));
        let tl = query.signal("tl");
        let chosen = RwSignal::new(None::<String>);
        let timer = StoredValue::new(None::<TimeoutHandle>);
        let window = Memo::new(move |_| read_window(&chosen.get().unwrap_or_else(|| tl.get()), whole.get()));
        Effect::new(move |_| {
            tl.track();
            // Somebody may have gone on meanwhile.
            if timer.with_value(Option::is_none) {
                chosen.set(None);
            }
        });
        on_cleanup(move || {
            if let Some(timer) = timer.try_get_value().flatten() {
                timer.clear();
            }
        });
        Self { origin, whole, window, unit, room: RwSignal::new(TICK_PX * 8.0), chosen, timer, query }
    }

    /// Where a point stands on the drawing, in percent of its length.
    pub(super) fn at(self, at: Timestamp) -> f64 {
        (at.0 - self.origin) as f64 / self.unit.get() * 100.0
    }

    /// A length on the drawing, in percent.
    pub(super) fn long(self, ms: f64) -> f64 {
        ms.max(0.0) / self.unit.get() * 100.0
    }

    /// How many pixels a length takes in the window.
    pub(super) fn px(self, ms: f64) -> f64 {
        let (from, to) = self.window.get();
        ms / (to - from).max(1.0) * self.room.get()
    }

    /// Where the drawing begins and how wide it is, in percent of the tracks.
    pub(super) fn drawing(self) -> (f64, f64) {
        let ((from, to), unit) = (self.window.get(), self.unit.get());
        let length = (to - from).max(1.0);
        (-from / length * 100.0, unit / length * 100.0)
    }

    /// Shows a stretch; the address follows.
    pub(super) fn show(self, from: f64, to: f64) {
        let text = window_text(from, to, self.whole.get_untracked());
        if let Some(timer) = self.timer.get_value() {
            timer.clear();
        }
        self.chosen.set(Some(text.clone()));
        let write = move || {
            let _ = self.timer.try_set_value(None);
            self.query.set(&[("tl", &text)]);
        };
        self.timer.set_value(set_timeout_with_handle(write, SETTLED).ok());
    }

    /// All of it.
    pub(super) fn show_all(self) {
        self.show(0.0, self.whole.get_untracked());
    }

    /// Closer or wider around a point, given as a part of the window.
    pub(super) fn zoom(self, factor: f64, around: f64) {
        let (from, to) = self.window.get_untracked();
        let middle = from + (to - from) * around;
        self.show(middle - (middle - from) * factor, middle + (to - middle) * factor);
    }

    /// Moves the window by a part of itself.
    pub(super) fn pan(self, part: f64) {
        let (from, to) = self.window.get_untracked();
        let by = (to - from) * part;
        self.show(from + by, to + by);
    }

    /// Ticks of the clock that are in the window: percent of the tracks, and the time.
    pub(super) fn ticks(self, zone: &Zone) -> Vec<(f64, String)> {
        let (from, to) = self.window.get();
        let most = (self.room.get() / TICK_PX).clamp(1.0, 12.0);
        let every = tick_every(to - from, most);
        // Ticks stand on whole seconds of the clock, not of the deployment.
        let shift = (self.origin as f64).rem_euclid(every);
        let first = ((from + shift) / every).ceil() * every - shift;
        (0..12)
            .map(|n| first + f64::from(n) * every)
            .take_while(|at| *at < to)
            .map(|at| {
                let when = Timestamp(self.origin + at as i64);
                let text = if every < 1_000.0 {
                    format!("{}.{:03}", clock_time(when, zone), when.0.rem_euclid(1_000))
                } else {
                    clock_time(when, zone)
                };
                let place = (at - from) / (to - from);
                // A text that would be cut off at the end is left out; its line says enough.
                let fits = (1.0 - place) * self.room.get() > text.len() as f64 * CHAR_PX;
                (place * 100.0, if fits { text } else { String::new() })
            })
            .collect()
    }
}

/// A length that holds the whole and stays when that grows a little.
fn unit_of(whole: f64) -> f64 {
    let mut unit = UNIT_LEAST;
    while unit < whole {
        unit *= 2.0;
    }
    unit
}

/// The window as it stands in addresses; empty for all.
fn window_text(from: f64, to: f64, whole: f64) -> String {
    let least = WINDOW_LEAST.max(whole / ZOOM_MOST).min(whole);
    let length = (to - from).clamp(least, whole);
    let from = from.clamp(0.0, (whole - length).max(0.0));
    let is_whole = length >= whole * 0.999;
    if is_whole { String::new() } else { format!("{from:.0}-{:.0}", from + length) }
}

fn read_window(text: &str, whole: f64) -> (f64, f64) {
    let read = || {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (from.parse::<f64>().ok()?, to.parse::<f64>().ok()?);
        let is_fit = from >= 0.0 && to.is_finite() && to - from >= WINDOW_LEAST.max(whole / ZOOM_MOST) * 0.9;
        (is_fit && from < whole).then_some((from, to))
    };
    read().unwrap_or((0.0, whole))
}

/// The interval between ticks that gives `most` of them or a few less.
fn tick_every(length: f64, most: f64) -> f64 {
    TICKS.into_iter().find(|tick| length / tick <= most).unwrap_or(1.44e7)
}

/// The ticks of the axis, as they are shown.
pub(super) fn shown_ticks(axis: Axis) -> Memo<Vec<(f64, String)>> {
    let live = Live::here();
    let prefs = Preferences::here();
    Memo::new(move |_| {
        let zone = if live.is_taken_over() { prefs.with(|prefs| prefs.zone.clone()) } else { Zone::Utc };
        axis.ticks(&zone)
    })
}

/// The times above the rows; they stay when the rows are scrolled.
#[component]
pub(super) fn AxisRow(axis: Axis, ticks: Memo<Vec<(f64, String)>>) -> impl IntoView {
    let node = NodeRef::<leptos::svg::Svg>::new();
    // The server does not know how wide it is.
    let measure = move || {
        if let Some(node) = node.get_untracked() {
            let width = node.unchecked_ref::<web_sys::Element>().get_bounding_client_rect().width();
            if width > 0.0 {
                axis.room.set(width);
            }
        }
    };
    Effect::new(move |_| {
        node.track();
        measure();
        let handle = window_event_listener(leptos::ev::resize, move |_| measure());
        on_cleanup(move || handle.remove());
    });
    let shown = move || {
        let tick = |(at, text): &(f64, String)| {
            let x = format!("{at:.3}%");
            view! { <line class="tick" x1=x.clone() x2=x.clone() y1="0" y2="26"/><text class="axis-text" x=x y="17" dx="4">{text.clone()}</text> }
        };
        ticks.with(|ticks| ticks.iter().map(tick).collect_view())
    };
    view! {
        <div class="gantt-row gantt-axis" aria-hidden="true"><span></span><svg class="track" node_ref=node>{part(shown)}</svg><span></span></div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_in_addresses_are_read_or_ignored() {
        assert_eq!(read_window("100-2500", 9_000.0), (100.0, 2_500.0));
        for wrong in ["", "x", "5", "9-3", "-1-4", "1-inf", "1-NaN", "9500-9900", "5-6"] {
            assert_eq!(read_window(wrong, 9_000.0), (0.0, 9_000.0), "{wrong}");
        }
    }

    #[test]
    fn a_window_never_leaves_the_whole_nor_gets_too_small() {
        assert_eq!(window_text(-500.0, 500.0, 9_000.0), "0-1000");
        assert_eq!(window_text(8_500.0, 9_500.0, 9_000.0), "8000-9000");
        assert_eq!(window_text(4.0, 5.0, 9_000.0), "4-24");
        assert_eq!(window_text(0.0, 1.0, 1e7), "0-1000", "closer is not exact to the pixel");
        assert_eq!(window_text(0.0, 9_000.0, 9_000.0), "", "all of it needs no word");
        assert_eq!(read_window(&window_text(4.0, 5.0, 9_000.0), 9_000.0), (4.0, 24.0));
    }

    #[test]
    fn the_drawing_stays_while_the_clock_runs() {
        let changes = (1..3_600).filter(|second| {
            unit_of(f64::from(*second) * 1_000.0) != unit_of(f64::from(second + 1) * 1_000.0)
        });
        assert!(changes.count() <= 8, "within an hour it is drawn anew a handful of times");
    }

    #[test]
    fn ticks_are_neither_many_nor_few() {
        for length in [50.0, 900.0, 12_000.0, 300_000.0, 7_200_000.0, 86_400_000.0] {
            let count = length / tick_every(length, 8.0);
            assert!((1.5..=8.0).contains(&count), "{length}: {count}");
        }
    }
}
