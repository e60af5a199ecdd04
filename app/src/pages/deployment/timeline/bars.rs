//! The drawing behind the rows. What has ended is drawn once; what runs or waits has an end that moves;
//! zooming moves and stretches the whole.

use super::{
    super::boxed::{Each, flag, part, value},
    Context,
    rows::Row,
    steps::{Wait, bar_class, is_gate, result_of, tone_of},
};
use crate::live::Live;
use leptos::prelude::*;
use lockstep_model::{
    Timestamp,
    deployment::{Phase, StepState, Try},
    plan::StepKind,
    view::StepView,
};

/// A letter's width in a bar, and the room beside the text.
const LETTER_PX: f64 = 6.2;
const BESIDE_PX: f64 = 10.0;
/// A longer text is cut when there is room for so much of it.
const CUT_PX: f64 = 64.0;

const fn text_class(tone: &str) -> &'static str {
    match tone.as_bytes() {
        b"ok" => "text-on-ok",
        b"run" => "text-on-run",
        b"back" => "text-on-back",
        b"wait" => "text-on-wait",
        _ => "text-on-bad",
    }
}

/// All bars of the rows in sight.
#[component]
pub(super) fn Bars(context: Context, ticks: Memo<Vec<(f64, String)>>) -> impl IntoView {
    let Context { axis, rows, row_px, .. } = context;
    let height = move || (rows.with(Vec::len) as f64 * row_px.get()).to_string();
    let lines = move || {
        let line = |(at, _): &(f64, String)| {
            let x = format!("{at:.3}%");
            view! { <line class="tick" x1=x.clone() x2=x y1="0" y2="100%"/> }
        };
        ticks.with(|ticks| ticks.iter().map(line).collect_view())
    };
    let drawing = Memo::new(move |_| axis.drawing());
    let row = Callback::new(move |number| {
        let (place, row) = Context::of_number(number);
        let y = move || format!("translate(0 {})", place as f64 * row_px.get());
        let bars = match row {
            Row::Queue => view! { <QueueBar context/> }.into_any(),
            Row::Service(_) => ().into_any(),
            Row::Step(step) => view! { <StepBars context step/> }.into_any(),
        };
        view! { <g transform=value(y)>{bars}</g> }.into_any()
    });
    view! {
        <svg class="gantt-bars" height=value(height) aria-hidden="true">
            {part(lines)}
            <svg class="gantt-drawing" x=value(move || format!("{:.4}%", drawing.get().0)) y="0" width=value(move || format!("{:.4}%", drawing.get().1)) height=value(height) overflow="visible">
                <Each of=context.numbers() show=row/>
            </svg>
        </svg>
    }
}

/// How long a stretch is, in milliseconds; without an end it goes on with the clock.
fn length(from: Timestamp, until: Option<Timestamp>) -> Signal<f64> {
    let live = Live::here();
    let until_now = move |until: Option<Timestamp>| until.map_or_else(|| live.clock.get(), |until| until.0);
    Signal::derive(move || (until_now(until) - from.0).max(0) as f64)
}

/// A bar with its text, which is there when there is room for it.
#[component]
fn Bar(
    context: Context,
    from: Timestamp,
    until: Option<Timestamp>,
    words: String,
    fill: AnyView,
    class: &'static str,
) -> impl IntoView {
    let axis = context.axis;
    let ms = length(from, until);
    let need = words.chars().count() as f64 * LETTER_PX + BESIDE_PX;
    let fits = Memo::new(move |_| axis.px(ms.get()) >= need.min(CUT_PX));
    let text = move || fits.get().then(|| view! { <text class=class x="5" y="13">{words.clone()}</text> });
    view! {
        <svg x=value(move || format!("{:.4}%", axis.at(from))) y="4" width=value(move || format!("max(3px, {:.4}%)", axis.long(ms.get()))) height="18" overflow="hidden">
            {fill}{part(text)}
        </svg>
    }
}

#[component]
fn WaitBar(context: Context, wait: Wait) -> impl IntoView {
    let words = wait.words();
    let fill =
        view! { <rect class="bar-waits" fill="url(#wait)" y="3" width="100%" height="12"/> }.into_any();
    view! { <Bar context from=wait.from until=wait.until words fill class="text-on-wait"/> }
}

/// From when the deployment was asked for until it could begin.
#[component]
fn QueueBar(context: Context) -> impl IntoView {
    let wait = Memo::new(move |_| {
        let (clocks, phase) = context.row.with(|row| (row.clocks, row.phase));
        let ended = if phase == Phase::Queued { None } else { clocks.finished_at };
        Wait { from: clocks.requested_at, until: clocks.started_at.or(ended), on: None }
    });
    part(move || view! { <WaitBar context wait=wait.get()/> })
}

#[component]
fn StepBars(context: Context, step: u32) -> impl IntoView {
    let axis = context.axis;
    let known = context.steps.with_value(|steps| steps.step(step).cloned());
    let known = known.map(RwSignal::from)?;
    let (kind, weight) = known.with_untracked(|step| (step.kind, step.weight));
    let is_critical = Memo::new(move |_| context.path.with(|path| path.binary_search(&step).is_ok()));
    let clocks = Memo::new(move |_| context.row.with(|row| (row.clocks, row.phase)));
    let wait = Memo::new(move |_| {
        let (clocks, phase) = clocks.get();
        known.track();
        context.steps.with_value(|steps| steps.wait(step, &clocks, phase))
    });
    let waits = move || wait.get().map(|wait| view! { <WaitBar context wait/> });
    let median = move || {
        let (ms, first) =
            known.with(|step| step.median_ms.zip(step.tries.first().map(|one| one.started_at)))?;
        context.compare.get().then(|| {
            let (x, width) = (format!("{:.4}%", axis.at(first)), format!("{:.4}%", axis.long(ms as f64)));
            view! { <rect class="bar-median" x=x y="2" width=width height="22"/> }
        })
    };
    let one = move |one: Try| {
        let fill = view! { <rect class=bar_class(one.state) class:bar-critical=flag(move || is_critical.get()) width="100%" height="18" rx="3"/> }.into_any();
        let class = text_class(tone_of(one.state));
        let words = match weight {
            Some(weight) if kind == StepKind::Shift && one.state == StepState::Succeeded => {
                format!("has {weight} %")
            }
            Some(_) | None => result_of(kind, &one),
        };
        view! { <Bar context from=one.started_at until=one.finished_at words fill class/> }
    };
    // Each try is drawn when it begins and when it ends; tries come at the end only.
    let tries = Signal::derive(move || {
        let number = |(place, one): (u64, &Try)| place << 8 | one.state as u64;
        known.with(|step| (0..).zip(&step.tries).map(number).collect::<Vec<_>>())
    });
    let one = Callback::new(move |number: u64| {
        let tried = known.with_untracked(|step| step.tries.get((number >> 8) as usize).cloned());
        tried.map(one).into_any()
    });
    let marks = move || known.with(|step| marks(axis, kind, step));
    Some(view! {
        {part(waits)}{part(median)}
        <Each of=tries show=one/>
        {part(marks)}
    })
}

/// Gates as diamonds, the checkpoint as a square.
fn marks(axis: super::Axis, kind: StepKind, step: &StepView) -> impl IntoView + use<> {
    let mark = move |at: Timestamp, class: String, d: &'static str| {
        view! {
            <svg x=format!("{:.4}%", axis.at(at)) y="13" overflow="visible" width="1" height="1"><path class=class d=d/></svg>
        }
    };
    let gate = |one: &Try| {
        let at = one.finished_at.filter(|_| is_gate(kind, one))?;
        Some(mark(at, format!("mark-gate {}", bar_class(one.state)), "M0 -6 6 0 0 6 -6 0Z"))
    };
    let gates = step.tries.iter().filter_map(gate).collect_view();
    let taken = step.forward().filter(|one| kind == StepKind::Preflight && one.state == StepState::Succeeded);
    let checkpoint = taken
        .and_then(|one| one.finished_at)
        .map(|at| mark(at, "mark-gate bar-idle".to_owned(), "M-5 -5h10v10h-10Z"));
    (gates, checkpoint)
}
