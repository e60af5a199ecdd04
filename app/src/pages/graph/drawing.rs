//! The drawing: boxes that are links, and lines from what is needed to what needs it.

use super::{Seen, fails};
use crate::ui::boxed::{at_times, click, part, text, value};
use crate::ui::{Glyph, Icon};
use leptos::{
    ev::{MouseEvent, WheelEvent},
    html,
    prelude::*,
};
use leptos_router::hooks::use_navigate;
use lockstep_model::graph::{NODE_HEIGHT, NODE_WIDTH};
use std::time::Duration;

/// Room around it.
const MARGIN: f64 = 12.0;
const ZOOM_MIN: f64 = 0.2;
const ZOOM_MAX: f64 = 3.0;
/// The address is written when nothing was changed for so long.
const SETTLED: Duration = Duration::from_millis(250);
/// Longer names are cut; they are whole below the drawing.
const NAME_MAX: usize = 20;

/// Left, top, width and height of what is shown.
fn window(seen: Seen) -> (f64, f64, f64, f64) {
    seen.graph.with_value(|graph| {
        seen.nodes.with(|all| {
            let shown = graph.nodes.iter().zip(all).filter(|(_, node)| node.is_shown).map(|(place, _)| place);
            let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
            for place in shown {
                (left, top) = (left.min(place.x), top.min(place.y));
                (right, bottom) = (right.max(place.x + NODE_WIDTH), bottom.max(place.y + NODE_HEIGHT));
            }
            let (left, top) = (left.min(right), top.min(bottom));
            let side = |from: u32, to: u32| f64::from(to - from) + 2.0 * MARGIN;
            (f64::from(left) - MARGIN, f64::from(top) - MARGIN, side(left, right), side(top, bottom))
        })
    })
}

#[component]
pub(super) fn Drawing(seen: Seen) -> impl IntoView {
    // In percent in the address, which follows when the wheel rests.
    let said = seen.query.signal("zoom");
    let chosen = RwSignal::new(None::<f64>);
    let zoom = Memo::new(move |_| {
        let said = || said.with(|said| said.parse().map_or(1.0, |percent: f64| percent / 100.0));
        chosen.get().unwrap_or_else(said).clamp(ZOOM_MIN, ZOOM_MAX)
    });
    let timer = StoredValue::new(None::<TimeoutHandle>);
    let stop = move || {
        let _ = timer.try_update_value(|timer| timer.take().map(|timer| timer.clear()));
    };
    on_cleanup(stop);
    Effect::new(move |_| {
        said.track();
        // Somebody may have gone on meanwhile.
        if timer.with_value(Option::is_none) {
            chosen.set(None);
        }
    });
    let set = move |wanted: f64| {
        let percent = (wanted.clamp(ZOOM_MIN, ZOOM_MAX) * 100.0).round();
        chosen.set(Some(percent / 100.0));
        stop();
        let write = move || {
            let percent = if percent == 100.0 { String::new() } else { percent.to_string() };
            let _ = timer.try_set_value(None);
            seen.query.set(&[("zoom", &percent)]);
        };
        timer.set_value(set_timeout_with_handle(write, SETTLED).ok());
    };
    let node = NodeRef::<html::Div>::new();
    let window = Memo::new(move |_| window(seen));
    let change = move |by: f64| set(zoom.get_untracked() * by);
    let fit = move || {
        let Some(node) = node.get_untracked() else { return };
        let (.., width, height) = window.get_untracked();
        let wanted = (f64::from(node.client_width()) / width).min(f64::from(node.client_height()) / height);
        set(wanted.min(1.0));
    };
    let on_wheel = move |event: WheelEvent| {
        if event.ctrl_key() {
            event.prevent_default();
            change(if event.delta_y() > 0.0 { 0.9 } else { 1.0 / 0.9 });
        }
    };
    let navigate = use_navigate();
    let go = Callback::new(move |address: String| navigate(&address, Default::default()));
    let (nodes, edges) = seen.graph.with_value(|graph| (0..graph.nodes.len(), graph.edges.clone()));
    let lines = edges.into_iter().map(|(from, to)| line(seen, from as usize, to as usize)).collect_view();
    let boxes = nodes.map(|place| shown(seen, place, go)).collect_view();
    view! {
        <div class="graph-part">
            <div class="graph-tools" role="group" aria-label="Zoom">
                <button type="button" class="btn btn-small" aria-label="Smaller" data-key="-" on:click=click(move || change(0.8))><Icon glyph=Glyph::Minus/></button>
                <button type="button" class="btn btn-small" aria-label="Larger" data-key="+" on:click=click(move || change(1.25))><Icon glyph=Glyph::Plus/></button>
                <button type="button" class="btn btn-small" data-key="0" on:click=click(fit)><Icon glyph=Glyph::Fit/>"All"</button>
            </div>
            <div class="graph" node_ref=node on:wheel=on_wheel tabindex="0" role="region" aria-label="Drawing; the table below says the same">
                <svg width=value(move || (window.get().2 * zoom.get()).round().to_string())
                    height=value(move || (window.get().3 * zoom.get()).round().to_string())
                    viewBox=value(move || {
                        let (left, top, width, height) = window.get();
                        format!("{left} {top} {width} {height}")
                    })>
                    <defs>
                        <marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" class="edge-tip"/></marker>
                    </defs>
                    {lines}
                    {boxes}
                </svg>
            </div>
        </div>
    }
}

/// A line; it is heavy where a failure goes along it.
fn line(seen: Seen, from: usize, to: usize) -> AnyView {
    let path = seen.graph.with_value(|graph| {
        let (from, to) = (&graph.nodes[from], &graph.nodes[to]);
        let (x, y) = (from.x + NODE_WIDTH, from.y + NODE_HEIGHT / 2);
        let (end_x, end_y) = (to.x, to.y + NODE_HEIGHT / 2);
        let middle = u32::midpoint(x, end_x);
        format!("M{x} {y}C{middle} {y} {middle} {end_y} {end_x} {end_y}")
    });
    let is_shown = Memo::new(move |_| seen.nodes.with(|all| all[from].is_shown && all[to].is_shown));
    let class = move || if seen.is_cascade(from, to) { "edge edge-bad" } else { "edge" };
    part(move || {
        is_shown.get().then(
            || view! { <path d=path.clone() class=value(class) marker-end="url(#tip)" aria-hidden="true"/> },
        )
    })
}

/// A service; a click shows what stands around it.
fn shown(seen: Seen, place: usize, go: Callback<String>) -> AnyView {
    let name = seen.name(place);
    let (x, y) = seen.graph.with_value(|graph| (graph.nodes[place].x, graph.nodes[place].y));
    let short = match name.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.clone(),
    };
    let node = Memo::new(move |_| seen.nodes.with(|all| all[place].clone()));
    let is_shown = Memo::new(move |_| node.with(|node| node.is_shown));
    part(move || {
        is_shown.get().then(|| {
            let name = name.clone();
            let look = move || node.with(|node| node.state).look();
            let more = move || {
                node.with(|node| match node.is_cause {
                    true => format!("{} · cause", node.state.look().word),
                    false => format!("{} · {}", node.state.look().word, node.version),
                })
            };
            let class = move || match fails(node.with(|node| node.state)) {
                true => format!("node node-bad {}", look().tone.pill().trim_start_matches("pill ")),
                false => format!("node {}", look().tone.pill().trim_start_matches("pill ")),
            };
            let is_on = move || seen.query.get("focus") == name;
            let (left, top) = (x.to_string(), y.to_string());
            view! {
                // The group says that the link is one of SVG, which the router does not know.
                <g><a href=value(move || seen.around(place)) on:click=move |event: MouseEvent| {
                        if !(event.ctrl_key() || event.meta_key() || event.shift_key()) {
                            event.prevent_default();
                            go.run(seen.around(place));
                        }
                    }
                     class=value(class) aria-current=at_times("true", is_on) data-entry="">
                    <rect x=left y=top.clone() width=NODE_WIDTH.to_string() height=NODE_HEIGHT.to_string() rx="8"/>
                    <svg x=(x + 10).to_string() y=(y + 14).to_string() width="16" height="16">{part(move || view! { <Icon glyph=look().glyph/> })}</svg>
                    <text x=(x + 34).to_string() y=(y + 18).to_string() class="node-name">{short.clone()}</text>
                    <text x=(x + 34).to_string() y=(y + 34).to_string() class="node-more">{text(more)}</text>
                </a></g>
            }
        })
    })
}
