//! The output of the steps. Earlier lines come first, then what is new; only what can be seen is in
//! the document, so that a hundred thousand lines stay light.

use crate::{
    api::deployment_logs,
    live::{Level, Line, Live, LogStore, Places, Wanted, find, lines_of},
    prefs::{Preferences, Zone},
    query::Query,
    time::{clock_time, iso},
    ui::{Glyph, Icon, Nothing, Toasts},
};
use leptos::{html, prelude::*, task::spawn_local};
use lockstep_model::{
    DeploymentId,
    api::{LOG_LINES_MAX, ReadLogs},
};

/// Lines of a block; heights are kept by block.
const BLOCK: usize = 50;
/// A line's height while long lines are not broken.
const LINE_PX: f64 = 24.0;
/// So many lines fit without scrolling.
const SHORT: usize = 17;
/// Closer to the end than this counts as at the end.
const END_PX: i32 = 30;

/// The output of a deployment.
#[component]
pub(super) fn Log(id: DeploymentId) -> impl IntoView {
    let live = Live::here();
    match live.log(id) {
        Some(log) => view! { <Shown id log/> }.into_any(),
        None => view! { <Nothing heading="The output cannot be read now"><p>"It is tried again with the next change."</p></Nothing> }.into_any(),
    }
}

/// What of the log is shown, and where the reader is.
#[derive(Clone, Copy)]
struct Reader {
    log: StoredValue<LogStore>,
    /// Places of lines that fit the filter.
    places: Memo<Places>,
    /// Heights of blocks that were measured.
    heights: StoredValue<Vec<f64>>,
    /// Ticks when a height was measured anew.
    measured: RwSignal<u64>,
    node: NodeRef<html::Div>,
    scroll: RwSignal<(f64, f64)>,
    follow: RwSignal<bool>,
}

impl Reader {
    fn blocks(self) -> usize {
        self.places.with(|places| places.len().div_ceil(BLOCK))
    }

    fn height(self, block: usize) -> f64 {
        let lines =
            self.places.with_untracked(|places| places.len().saturating_sub(block * BLOCK).min(BLOCK));
        let known = self.heights.with_value(|heights| heights.get(block).copied().unwrap_or(0.0));
        if known > 0.0 { known } else { lines as f64 * LINE_PX }
    }

    /// The blocks to show, and the space before and after them.
    fn window(self) -> (usize, usize, f64, f64) {
        self.measured.track();
        let (top, view) = self.scroll.get();
        let blocks = self.blocks();
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

    /// Brings the line at a place among those shown into view.
    fn to(self, shown: usize) {
        let block = shown / BLOCK;
        let y: f64 = (0..block).map(|block| self.height(block)).sum();
        let inside = (shown % BLOCK) as f64 * LINE_PX;
        if let Some(node) = self.node.get_untracked() {
            self.follow.set(false);
            let middle = f64::from(node.client_height()) / 2.0;
            node.set_scroll_top((y + inside - middle).max(0.0) as i32);
        }
    }
}

#[component]
fn Shown(id: DeploymentId, log: LogStore) -> impl IntoView {
    let live = Live::here();
    let query = Query::here();
    let prefs = Preferences::here();
    let toasts = Toasts::here();
    let store = StoredValue::new(log.clone());
    let changed = RwSignal::from(log.changed.clone());
    let stage = query.signal("stage");
    let level = query.signal("level");
    let here = Memo::new(move |_| query.get("l").parse::<i64>().ok());
    let needle = query.signal("log");
    let wrap = Memo::new(move |_| prefs.with(|prefs| prefs.wrap));
    let wanted = Memo::new(move |_| Wanted {
        service: None,
        step: Some(stage.get()).filter(|stage| !stage.is_empty()),
        level: match level.get().as_str() {
            "error" => Some(Level::Error),
            "warning" => Some(Level::Warning),
            _ => None,
        },
    });
    let places = Memo::new(move |_| {
        changed.track();
        store.with_value(|log| wanted.with(|wanted| log.places(wanted)))
    });
    let matches = Memo::new(move |_| {
        changed.track();
        let needle = needle.get();
        store.with_value(|log| places.with(|places| log.matches(places, &needle)))
    });
    let at_match = RwSignal::new(0usize);
    let reader = Reader {
        log: store,
        places,
        heights: StoredValue::new(Vec::new()),
        measured: RwSignal::new(0),
        node: NodeRef::new(),
        scroll: RwSignal::new((0.0, 600.0)),
        follow: RwSignal::new(here.get_untracked().is_none()),
    };
    let unread = RwSignal::new(0usize);
    let is_virtual = Memo::new(move |_| live.is_taken_over());
    let busy = RwSignal::new(false);

    // What comes is followed, unless somebody reads.
    Effect::new(move |before: Option<usize>| {
        let count = places.with(|places| places.len());
        is_virtual.track();
        if reader.follow.get_untracked() {
            // Once when the lines are there, once more when their heights are known.
            request_animation_frame(move || {
                reader.to_end();
                request_animation_frame(move || reader.to_end());
            });
        } else if let Some(before) = before {
            unread.update(|unread| *unread += count.saturating_sub(before));
        }
        count
    });
    // Other lines, other heights.
    Effect::new(move |_| {
        wanted.track();
        wrap.track();
        reader.heights.set_value(Vec::new());
        reader.measured.update(|tick| *tick += 1);
    });
    let load = move |all: bool| {
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        spawn_local(async move {
            while let Some(first) = store.try_with_value(LogStore::first).flatten() {
                let request =
                    ReadLogs { id, step: None, after: 0, before: Some(first), limit: LOG_LINES_MAX };
                match deployment_logs(request).await {
                    Ok(page) => {
                        let more = page.more;
                        let height =
                            reader.node.get_untracked().map(|node| (node.scroll_top(), node.scroll_height()));
                        let _ = store.try_with_value(|log| log.prepend(&page.lines, more));
                        reader.heights.set_value(Vec::new());
                        // The reader stays at the same line.
                        if let Some((top, height)) = height {
                            request_animation_frame(move || {
                                if let Some(node) = reader.node.get_untracked() {
                                    node.set_scroll_top(top + node.scroll_height() - height);
                                }
                            });
                        }
                        let reached = here.try_get_untracked().flatten().is_some_and(|cursor| {
                            store
                                .try_with_value(LogStore::first)
                                .flatten()
                                .is_some_and(|first| first <= cursor)
                        });
                        if !more || (!all && (reached || here.try_get_untracked().flatten().is_none())) {
                            break;
                        }
                    }
                    Err(error) => {
                        toasts.failed(error.to_string());
                        break;
                    }
                }
            }
            let _ = busy.try_set(false);
        });
    };
    // An address that names a line leads to it, also when it is far back.
    Effect::new(move |done: Option<Option<i64>>| {
        let cursor = here.get();
        changed.track();
        if cursor.is_none() || done.flatten() == cursor || !is_virtual.get() {
            return cursor.filter(|_| done.flatten() == cursor);
        }
        let wanted = cursor?;
        let first = store.with_value(LogStore::first)?;
        if wanted < first && store.with_value(LogStore::before) > 0 {
            load(false);
            return None;
        }
        let place = store.with_value(|log| log.place_of(wanted))?;
        let shown = places.with_untracked(|places| places.binary_search(&place).ok())?;
        request_animation_frame(move || {
            reader.come();
            reader.to(shown);
        });
        cursor
    });
    let go = move |by: i64| {
        let count = matches.with_untracked(Vec::len) as i64;
        if count == 0 {
            return;
        }
        let next = (at_match.get_untracked() as i64 + by).rem_euclid(count) as usize;
        at_match.set(next);
        let place = matches.with_untracked(|matches| matches[next]);
        if let Ok(shown) = places.with_untracked(|places| places.binary_search(&place)) {
            reader.to(shown);
        }
    };
    let error_by = move |by: i64| {
        let errors = store
            .with_value(|log| log.places(&Wanted { level: Some(Level::Error), ..wanted.get_untracked() }));
        let (top, _) = reader.scroll.get_untracked();
        let current = ((top + 200.0) / LINE_PX) as usize;
        let current = places.with_untracked(|places| places.get(current).copied().unwrap_or(0));
        let found = if by > 0 {
            errors.iter().find(|place| **place > current)
        } else {
            errors.iter().rev().find(|place| **place < current)
        };
        if let Some(shown) =
            found.and_then(|place| places.with_untracked(|places| places.binary_search(place).ok()))
        {
            reader.to(shown);
        }
    };
    let on_scroll = move |_| {
        let Some(node) = reader.node.get_untracked() else { return };
        let at_end = node.scroll_height() - node.scroll_top() - node.client_height() <= END_PX;
        let (was, _) = reader.scroll.get_untracked();
        let top = f64::from(node.scroll_top());
        reader.scroll.set((top, f64::from(node.client_height())));
        if at_end {
            unread.set(0);
        } else if top < was {
            // Only who goes back reads; lines that turn out higher than thought move nobody.
            reader.follow.set(false);
        }
    };
    let follow = move || {
        unread.set(0);
        reader.follow.set(true);
        reader.to_end();
    };
    let before = move || {
        changed.track();
        store.with_value(LogStore::before)
    };
    let counts = move || {
        changed.track();
        store.with_value(|log| (log.count(Level::Error), log.count(Level::Warning)))
    };
    let level_chip = move |key: &'static str, word: &'static str, count: Signal<usize>| {
        view! {
            <a class="chip" href=move || query.with(&[("level", if level.get() == key { "" } else { key })]) aria-current=move || (level.get() == key).then_some("true")>
                {word}" "{move || count.get()}
            </a>
        }
    };
    let found = move || {
        let count = matches.with(Vec::len);
        let searched = if before() > 0 { " in the lines shown" } else { "" };
        if needle.with(String::is_empty) {
            String::new()
        } else if count == 0 {
            format!("not found{searched}")
        } else {
            format!("{} of {count}{searched}", at_match.get().min(count - 1) + 1)
        }
    };
    let zone =
        Memo::new(
            move |_| if live.is_taken_over() { prefs.with(|prefs| prefs.zone.clone()) } else { Zone::Utc },
        );
    let line = move |line: Line| view! { <LineShown id line needle here zone query/> };
    let lines = move || {
        if !is_virtual.get() {
            let all = store.with_value(lines_of);
            return view! { <div>{all.into_iter().map(line).collect_view()}</div> }.into_any();
        }
        view! { <Blocks reader line=Callback::new(move |one| line(one).into_any())/> }.into_any()
    };
    let is_empty = move || {
        changed.track();
        places.with(|places| places.is_empty())
    };
    view! {
        <section class="card" aria-labelledby="log-title">
            <div class="log-tools">
                <h2 id="log-title" class="font-semibold mr-2">"Log"</h2>
                {move || Some(stage.get()).filter(|stage| !stage.is_empty()).map(|stage| view! {
                    <a class="chip" aria-current="true" href=move || query.with(&[("stage", "")]) aria-label=format!("Show all steps, not only {stage}")>{stage.clone()}" ×"</a>
                })}
                {level_chip("error", "errors", Signal::derive(move || counts().0))}
                {level_chip("warning", "warnings", Signal::derive(move || counts().1))}
                <form method="get" role="search" aria-label="Search the log" class="filter" on:submit=move |event| { event.prevent_default(); go(1); }>
                    <input class="input input-small" type="search" name="log" placeholder="Search the log" aria-label="Search the log"
                        prop:value=move || needle.get() on:input=move |event| { at_match.set(0); query.set(&[("log", &event_target_value(&event))]); }/>
                </form>
                <span class="text-meta text-muted" role="status">{found}</span>
                <span class="flex gap-2 ml-auto">
                    <button type="button" class="btn-icon" aria-label="Previous hit" on:click=move |_| go(-1)><Icon glyph=Glyph::Left/></button>
                    <button type="button" class="btn-icon" aria-label="Next hit" on:click=move |_| go(1)><Icon glyph=Glyph::Right/></button>
                    <button type="button" hidden data-key="e" on:click=move |_| error_by(1)>"Next error"</button>
                    <button type="button" hidden data-key="E" on:click=move |_| error_by(-1)>"Previous error"</button>
                    <button type="button" class="btn btn-small" data-key="f" aria-pressed=move || reader.follow.get().to_string()
                        on:click=move |_| if reader.follow.get_untracked() { reader.follow.set(false) } else { follow() }>"Follow"</button>
                    <button type="button" class="btn btn-small" data-key="w" aria-pressed=move || wrap.get().to_string()
                        on:click=move |_| prefs.change(|prefs| prefs.wrap = !prefs.wrap)>"Wrap"</button>
                    <a class="btn btn-small" href=format!("/deployments/{id}/log.txt") rel="external" download="" aria-label="Download the whole log"><Icon glyph=Glyph::Download/></a>
                </span>
            </div>
            {move || (before() > 0).then(|| view! {
                <div class="log-more">
                    {move || format!("{} earlier lines", before())}
                    <button type="button" class="btn btn-small" disabled=move || busy.get() on:click=move |_| load(false)>"Load earlier"</button>
                    <button type="button" class="btn btn-small" disabled=move || busy.get() on:click=move |_| load(true)>"Load all"</button>
                </div>
            })}
            {move || is_empty().then(|| view! {
                <Nothing heading="No output"><p>"Steps that run commands write here; processes keep what they say when they are stopped."</p></Nothing>
            })}
            <div class="log" class:log-flow=move || !is_virtual.get() class:log-wrap=move || wrap.get() class:log-short=move || places.with(|places| places.len() <= SHORT) hidden=is_empty
                node_ref=reader.node on:scroll=on_scroll tabindex="0" role="region" aria-label="Output of the steps">
                {lines}
                {move || (!reader.follow.get() && unread.get() > 0).then(|| view! {
                    <button type="button" class="btn btn-primary jump" on:click=move |_| follow()>{move || format!("Jump to latest ({} new)", unread.get())}</button>
                })}
            </div>
        </section>
    }
}

/// The blocks that can be seen, and space for the others.
#[component]
fn Blocks(reader: Reader, line: Callback<Line, AnyView>) -> impl IntoView {
    let window = Memo::new(move |_| reader.window());
    let space = |height: Signal<f64>| view! { <div aria-hidden="true" style:height=move || format!("{}px", height.get())></div> };
    let block = move |block: usize| {
        let node = NodeRef::<html::Div>::new();
        let places = Memo::new(move |_| {
            reader.places.with(|places| {
                places
                    .iter()
                    .skip(block * BLOCK)
                    .take(BLOCK)
                    .map(|place| (places.order, *place))
                    .collect::<Vec<_>>()
            })
        });
        // What a block really takes is known when it is there.
        Effect::new(move |_| {
            places.track();
            reader.measured.track();
            let Some(node) = node.get() else { return };
            let height = f64::from(node.offset_height());
            let is_new = height > 0.0 && (reader.height(block) - height).abs() > 0.5;
            if is_new {
                reader.heights.update_value(|heights| {
                    if heights.len() <= block {
                        heights.resize(block + 1, 0.0);
                    }
                    heights[block] = height;
                });
                reader.measured.update(|tick| *tick += 1);
            }
        });
        view! {
            <div node_ref=node>
                <For each=move || places.get() key=|key| *key let((_, place))>
                    {reader.log.with_value(|log| log.line(place)).map(|one| line.run(one))}
                </For>
            </div>
        }
    };
    view! {
        {space(Signal::derive(move || window.get().2))}
        <For each=move || { let (first, last, ..) = window.get(); first..last } key=|block| *block children=block/>
        {space(Signal::derive(move || window.get().3))}
    }
}

#[component]
fn LineShown(
    id: DeploymentId,
    line: Line,
    needle: Memo<String>,
    here: Memo<Option<i64>>,
    zone: Memo<Zone>,
    query: Query,
) -> impl IntoView {
    let cursor = line.cursor;
    let class = match line.level {
        Level::Error => "log-line log-error",
        Level::Warning => "log-line log-warning",
        Level::Plain => "log-line",
    };
    let at = line.at;
    let text = StoredValue::new(line.text);
    let _ = id;
    view! {
        <div class=class class:log-here=move || here.get() == Some(cursor)>
            <a href=move || query.with(&[("l", &cursor.to_string())]) aria-label=format!("Link to line {}", line.number)>{line.number}</a>
            <time datetime=iso(at)>{move || zone.with(|zone| clock_time(at, zone))}</time>
            <i>{line.step}</i>
            <span>{move || text.with_value(|text| parts(text, &needle.get()))}</span>
        </div>
    }
}

/// A stretch of text with one look.
#[derive(Debug, PartialEq, Eq)]
struct Span {
    text: String,
    class: String,
}

/// Text with colours of terminals as spans; other control sequences are left out, and characters that
/// would turn the direction of the text are shown as what they are.
fn spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let (mut bold, mut colour) = (false, "");
    let mut current = String::new();
    let mut rest = text.chars().peekable();
    let mut push = |current: &mut String, bold: bool, colour: &str| {
        if !current.is_empty() {
            let class = match (bold, colour) {
                (false, "") => String::new(),
                (true, "") => "ansi-1".to_owned(),
                (false, colour) => colour.to_owned(),
                (true, colour) => format!("ansi-1 {colour}"),
            };
            spans.push(Span { text: std::mem::take(current), class });
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
                        push(&mut current, bold, colour);
                        for code in codes.split(';') {
                            match code.parse().unwrap_or(0) {
                                0 => (bold, colour) = (false, ""),
                                1 => bold = true,
                                2 | 30 | 37 | 90 | 97 => colour = "ansi-dim",
                                22 => bold = false,
                                31 | 91 => colour = "ansi-red",
                                32 | 92 => colour = "ansi-green",
                                33 | 93 => colour = "ansi-yellow",
                                34 | 94 => colour = "ansi-blue",
                                35 | 95 => colour = "ansi-magenta",
                                36 | 96 => colour = "ansi-cyan",
                                39 => colour = "",
                                _ => {}
                            }
                        }
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
    push(&mut current, bold, colour);
    spans
}

fn parts(text: &str, needle: &str) -> impl IntoView + use<> {
    spans(text)
        .into_iter()
        .map(|span| {
            let mut pieces = Vec::new();
            let mut rest = span.text.as_str();
            while let Some(at) = find(rest, needle) {
                let end = at + needle.len();
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
    use super::spans;

    fn shown(text: &str) -> Vec<(String, String)> {
        spans(text).into_iter().map(|span| (span.text, span.class)).collect()
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
    fn text_cannot_turn_around_or_ring() {
        let text: String = spans("a\u{202e}b\u{7}c\td").into_iter().map(|span| span.text).collect();
        assert_eq!(text, "a<U+202E>b\u{fffd}c\td");
    }
}
