//! Everything at a glance above the rows; drawing on it chooses the window.

use super::{
    super::boxed::{click, part, value},
    Context,
    steps::{StepSignal, bar_class},
};
use crate::live::Live;
use leptos::{ev, prelude::*};
use lockstep_model::{Timestamp, deployment::StepState};
use std::fmt::Write;
use wasm_bindgen::JsCast;

/// So many services are drawn anew when one of their steps changes.
const CHUNK: usize = 32;
/// Closer together than this part of the whole, a press is no stretch.
const STRETCH_LEAST: f64 = 0.01;

/// All looks of a bar, in the order in which they are drawn.
const LOOKS: [StepState; 6] = [
    StepState::Pending,
    StepState::Succeeded,
    StepState::Running,
    StepState::Undone,
    StepState::Unknown,
    StepState::Failed,
];

/// The strip.
#[component]
pub(super) fn Brush(context: Context) -> impl IntoView {
    let Context { axis, steps, .. } = context;
    let node = NodeRef::<leptos::svg::Svg>::new();
    let begun = StoredValue::new(None::<f64>);
    let lines: Vec<Vec<StepSignal>> = steps.with_value(|steps| {
        let of = |places: &Vec<u32>| places.iter().filter_map(|place| steps.step(*place).cloned()).collect();
        steps.services.iter().map(|(_, places)| of(places)).collect()
    });
    let height = 22.0 / lines.len().max(1) as f64;
    let chunks = lines
        .chunks(CHUNK)
        .enumerate()
        .map(|(place, lines)| {
            let first = (place * CHUNK) as f64;
            view! { <Chunk context lines=lines.to_vec() top={4.0 + first * height} height/> }
        })
        .collect_view();
    let part = move |event: &ev::PointerEvent| {
        node.get_untracked().map_or(0.0, |node| {
            let rect = node.unchecked_ref::<web_sys::Element>().get_bounding_client_rect();
            ((f64::from(event.client_x()) - rect.left()) / rect.width().max(1.0)).clamp(0.0, 1.0)
        })
    };
    let draw = move |event: &ev::PointerEvent| {
        if let Some(begin) = begun.get_value() {
            let (here, whole) = (part(event), axis.whole.get_untracked());
            if (here - begin).abs() > STRETCH_LEAST {
                axis.show(begin.min(here) * whole, begin.max(here) * whole);
            }
        }
    };
    let press = move |event: ev::PointerEvent| {
        begun.set_value(Some(part(&event)));
        // The pointer may leave the strip while it draws.
        if let Some(node) = node.get_untracked() {
            let _ = node.unchecked_ref::<web_sys::Element>().set_pointer_capture(event.pointer_id());
        }
        event.prevent_default();
    };
    let view_box = move || format!("0 0 {:.0} 30", axis.whole.get());
    let x = move || format!("{:.1}", axis.window.get().0);
    let width = move || {
        let (from, to) = axis.window.get();
        format!("{:.1}", to - from)
    };
    view! {
        <svg class="brush" node_ref=node viewBox=value(view_box) preserveAspectRatio="none" aria-hidden="true"
            on:pointerdown=press
            on:pointermove=move |event| draw(&event)
            on:pointerup=move |event| { draw(&event); begun.set_value(None); }
            on:pointercancel=move |_| begun.set_value(None)
            on:dblclick=click(move || axis.show_all())>
            {chunks}
            <rect class="brush-window" x=value(x) y="1" width=value(width) height="28"/>
        </svg>
    }
}

/// Some services. What has ended is one path for each look; what runs has an end that moves.
#[component]
fn Chunk(context: Context, lines: Vec<Vec<StepSignal>>, top: f64, height: f64) -> impl IntoView {
    let live = Live::here();
    let axis = context.axis;
    let thick = height.clamp(1.0, 6.0);
    let drawn = move || {
        // Shorter ones would not be seen.
        let least = axis.unit.get() / 800.0;
        let mut paths = LOOKS.map(|look| (bar_class(look), String::new()));
        let mut open = Vec::new();
        for (line, steps) in lines.iter().enumerate() {
            let y = top + line as f64 * height;
            for step in steps {
                step.with(|step| {
                    for one in &step.tries {
                        let (x, class) = ((one.started_at.0 - axis.origin) as f64, bar_class(one.state));
                        let Some(end) = one.finished_at else {
                            open.push((one.started_at, x, y, class));
                            continue;
                        };
                        let width = ((end.0 - one.started_at.0) as f64).max(least);
                        if let Some((_, path)) = paths.iter_mut().find(|(known, _)| *known == class) {
                            let _ = write!(path, "M{x:.0} {y:.1}h{width:.0}v{thick:.1}h-{width:.0}Z");
                        }
                    }
                });
            }
        }
        let ended = paths.into_iter().filter(|(_, path)| !path.is_empty());
        let ended = ended.map(|(class, path)| view! { <path class=class d=path/> }).collect_view();
        let runs = move |(from, x, y, class): (Timestamp, f64, f64, &'static str)| {
            let width = move || format!("{:.0}", ((live.clock.get() - from.0) as f64).max(least));
            view! { <rect class=class x=format!("{x:.0}") y=format!("{y:.1}") width=value(width) height=format!("{thick:.1}")/> }
        };
        (ended, open.into_iter().map(runs).collect_view())
    };
    view! { <g>{part(drawn)}</g> }
}
