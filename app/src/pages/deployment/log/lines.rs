//! Lines in the document: blocks of them near what is on the screen, and space for all others.

use super::{
    super::boxed::{Each, flag, part, value},
    ansi::parts,
    reader::{BLOCK, Reader},
};
use crate::{
    live::{Level, Line, Live, lines_of},
    prefs::{Preferences, Zone},
    time::{clock_time, iso},
};
use leptos::{html, prelude::*};

/// All lines where nobody has taken the page over, else those near what is on the screen.
#[component]
pub(super) fn Lines(reader: Reader) -> impl IntoView {
    let live = Live::here();
    let prefs = Preferences::here();
    let zone =
        Memo::new(
            move |_| if live.is_taken_over() { prefs.with(|prefs| prefs.zone.clone()) } else { Zone::Utc },
        );
    let line = move |line: Line| view! { <LineShown reader line zone/> };
    move || {
        if !reader.is_virtual.get() {
            let all = reader.log.with_value(lines_of);
            return view! { <div>{all.into_iter().map(line).collect_view()}</div> }.into_any();
        }
        view! { <Blocks reader line=Callback::new(move |one| line(one).into_any())/> }.into_any()
    }
}

/// The blocks that can be seen, and space for the others.
#[component]
fn Blocks(reader: Reader, line: Callback<Line, AnyView>) -> impl IntoView {
    let window = Memo::new(move |_| reader.window());
    let shown = Callback::new(move |key: u64| {
        let found = reader.log.with_value(|log| log.line(key as u32));
        found.map(|one| line.run(one)).into_any()
    });
    let space = |height: Signal<f64>| view! { <div aria-hidden="true" style:height=move || format!("{}px", height.get())></div> };
    let block = Callback::new(move |block: u64| {
        let block = block as usize;
        let node = NodeRef::<html::Div>::new();
        let places = Memo::new(move |_| {
            reader.places.with(|places| {
                places
                    .iter()
                    .skip(block * BLOCK)
                    .take(BLOCK)
                    .map(|place| places.order << 32 | u64::from(*place))
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
                <Each of=places show=shown/>
            </div>
        }
        .into_any()
    });
    let blocks = Signal::derive(move || {
        let (first, last, ..) = window.get();
        (first as u64..last as u64).collect::<Vec<_>>()
    });
    view! {
        {space(Signal::derive(move || window.get().2))}
        <Each of=blocks show=block/>
        {space(Signal::derive(move || window.get().3))}
    }
}

#[component]
fn LineShown(reader: Reader, line: Line, zone: Memo<Zone>) -> impl IntoView {
    let cursor = line.cursor;
    let class = match line.level {
        Level::Error => "log-line log-error",
        Level::Warning => "log-line log-warning",
        Level::Plain => "log-line",
    };
    let at = line.at;
    let text = StoredValue::new(line.text);
    view! {
        <div class=class class:log-here=flag(move || reader.is_at(cursor))>
            <a href=value(move || reader.query.with(&[("l", &cursor.to_string()), ("follow", "")])) aria-label=format!("Link to line {}", line.number)>{line.number}</a>
            <time datetime=iso(at)>{super::super::boxed::text(move || zone.with(|zone| clock_time(at, zone)))}</time>
            <i>{line.step}</i>
            <span>{part(move || text.with_value(|text| reader.needle.with(|needle| parts(text, needle))))}</span>
        </div>
    }
}
