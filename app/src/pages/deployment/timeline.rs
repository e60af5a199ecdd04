//! The timeline: services and their steps over time. Only the rows that can be seen are in the
//! document. The same is there as a list.

mod axis;
mod bars;
mod brush;
mod filter;
mod list;
mod rows;
mod steps;

use super::{
    Seen,
    boxed::{at_times, click, flag, part, text, value},
};
use crate::{
    live::{DeploymentStore, Live},
    prefs::Preferences,
    query::Query,
    time::duration,
    ui::{AsOf, CopyButton, Glyph, Icon, Nothing, Pill, page_address, step_look},
};
use axis::{Axis, AxisRow, shown_ticks};
use brush::Brush;
use filter::{Filter, Tools};
use leptos::{ev, html, prelude::*};
use list::List;
use lockstep_model::view::DeploymentSummary;
use rows::{Row, Rows};
use steps::Steps;

/// So many rows are shown whole; more of them scroll, and only those in sight are there.
const ROWS_WHOLE: usize = 60;
/// Rows before and after those in sight.
const OVERSCAN: usize = 12;
/// The height of a row, comfortable and compact; the style sheet says the same.
const ROW_PX: (f64, f64) = (30.0, 26.0);

/// What the parts of the timeline share.
#[derive(Clone, Copy)]
struct Context {
    axis: Axis,
    row: RwSignal<DeploymentSummary>,
    steps: StoredValue<Steps>,
    filter: Filter,
    /// Places of the steps on the critical path; none while it is not asked for.
    path: Memo<Vec<u32>>,
    /// Whether the median of earlier runs is drawn.
    compare: Memo<bool>,
    /// All rows that fit the filter.
    rows: Memo<Vec<Row>>,
    /// Those of them that are in the document.
    sight: Memo<(usize, usize)>,
    row_px: Memo<f64>,
    query: Query,
}

impl Context {
    /// The rows in the document, each with its place among all.
    fn seen(self) -> Vec<(usize, Row)> {
        let (first, last) = self.sight.get();
        self.rows.with(|rows| rows.iter().copied().enumerate().skip(first).take(last - first).collect())
    }

    /// The same as numbers; another row at a place is another number.
    fn numbers(self) -> Signal<Vec<u64>> {
        let number = |(place, row): (usize, Row)| (place as u64) << 32 | u64::from(row.number());
        Signal::derive(move || self.seen().into_iter().map(number).collect())
    }

    /// What stands for such a number.
    fn of_number(number: u64) -> (usize, Row) {
        ((number >> 32) as usize, Row::of_number(number as u32))
    }
}

/// Which rows are near what is on the screen.
fn in_sight(count: usize, row_px: f64, (top, height): (f64, f64)) -> (usize, usize) {
    if count <= ROWS_WHOLE {
        return (0, count);
    }
    // In steps, so that scrolling by a little changes nothing.
    let step = OVERSCAN / 2;
    let first = ((top / row_px) as usize / step * step).saturating_sub(OVERSCAN);
    let last = (((top + height) / row_px) as usize).div_ceil(step) * step + OVERSCAN;
    (first.min(count), last.min(count))
}

/// The timeline of a deployment.
#[component]
pub(super) fn Timeline(store: DeploymentStore) -> impl IntoView {
    let live = Live::here();
    let query = Query::here();
    let prefs = Preferences::here();
    let row = RwSignal::from(store.summary.clone());
    let steps = StoredValue::new(Steps::new(store.steps.get_untracked()));
    let clocks = Memo::new(move |_| row.with(|row| row.clocks));
    let origin = clocks.get_untracked().requested_at.0;
    // The server has no clock for the page: there it ends with what happened last.
    let last = move || {
        steps.with_value(|steps| {
            let ends = steps.all.iter().filter_map(|step| {
                step.with_untracked(|step| {
                    step.tries.iter().map(|one| one.finished_at.unwrap_or(one.started_at).0).max()
                })
            });
            ends.max().unwrap_or(origin)
        })
    };
    let end = move || match (clocks.get().finished_at, live.clock.get()) {
        (Some(at), _) => at.0,
        (None, 0) => last(),
        (None, now) => now,
    };
    let axis = Axis::new(origin, end, query);
    let filter = Filter::new(query);
    let is_critical = query.signal("path");
    let path = Memo::new(move |_| {
        // It is known when steps end, and each step that ends changes the head.
        row.track();
        if is_critical.get() == "critical" { steps.with_value(Steps::critical) } else { Vec::new() }
    });
    let compared = query.signal("compare");
    let rows = Memo::new(move |_| steps.with_value(|steps| rows::fitting(steps, filter)));
    let row_px = Memo::new(move |_| prefs.with(|prefs| if prefs.compact { ROW_PX.1 } else { ROW_PX.0 }));
    let scroll = RwSignal::new((0.0, 640.0));
    let sight = Memo::new(move |_| in_sight(rows.with(Vec::len), row_px.get(), scroll.get()));
    let context = Context {
        axis,
        row,
        steps,
        filter,
        path,
        compare: Memo::new(move |_| compared.get() == "median"),
        rows,
        sight,
        row_px,
        query,
    };
    let is_list = Memo::new(move |_| query.get("view") == "list");
    let node = NodeRef::<html::Div>::new();
    let on_wheel = move |event: ev::WheelEvent| {
        if !event.ctrl_key() {
            return;
        }
        event.prevent_default();
        let around = node.get_untracked().map_or(0.5, |node| part_of(&node, f64::from(event.client_x())));
        axis.zoom(if event.delta_y() < 0.0 { 0.7 } else { 1.0 / 0.7 }, around);
    };
    let on_scroll = move |_| {
        if let Some(node) = node.get_untracked() {
            scroll.set((f64::from(node.scroll_top()), f64::from(node.client_height())));
        }
    };
    Effect::new(move |_| {
        if node.get().is_some() {
            on_scroll(());
        }
    });
    let ticks = shown_ticks(axis);
    let body = move || {
        if is_list.get() {
            return view! { <List context/> }.into_any();
        }
        view! {
            <Brush context/>
            <div class="gantt" class:gantt-long=flag(move || rows.with(|rows| rows.len() > ROWS_WHOLE)) class:has-path=flag(move || path.with(|path| !path.is_empty())) node_ref=node
                on:wheel=on_wheel on:scroll=move |_| on_scroll(())>
                <AxisRow axis ticks/>
                <Rows context ticks node/>
            </div>
            {part(move || rows.with(Vec::is_empty).then(|| view! {
                <Nothing heading="No step is like that">
                    <p><a class="link" href=value(move || query.with(&filter::CLEARED))>"Show all steps"</a></p>
                </Nothing>
            }))}
            <Chosen context/>
            <Legend context/>
        }
        .into_any()
    };
    let expected = store.rest.expected;
    let usual =
        expected.duration_ms.map(|ms| format!("usually {} ({} earlier)", duration(ms), expected.deployments));
    let switch = move |name: &'static str, on: &'static str, words: &'static str, title: &'static str| {
        let is_on = Memo::new(move |_| query.get(name) == on);
        view! {
            <a class="btn btn-small" title=title aria-current=at_times("true", move || is_on.get())
                href=value(move || query.with(&[(name, if is_on.get() { "" } else { on })]))>{words}</a>
        }
    };
    view! {
        <section class="card mb-4" aria-labelledby="timeline-title">
            <div class="card-head">
                <h2 id="timeline-title" class="font-semibold">"Timeline"</h2>
                <Tools context/>
                <span class="text-meta text-muted">{usual}</span>
                <AsOf/>
                <div class="flex flex-wrap gap-2 ml-auto">
                    {switch("compare", "median", "Compare", "Outlines show the median of earlier deployments")}
                    {switch("path", "critical", "Critical path", "Steps that decided how long it took")}
                    <button type="button" class="btn btn-small" aria-label="Earlier" data-key="ArrowLeft" on:click=click(move || axis.pan(-0.2))><Icon glyph=Glyph::Left/></button>
                    <button type="button" class="btn btn-small" aria-label="Later" data-key="ArrowRight" on:click=click(move || axis.pan(0.2))><Icon glyph=Glyph::Right/></button>
                    <button type="button" class="btn btn-small" aria-label="Wider" data-key="-" on:click=click(move || axis.zoom(2.0, 0.5))><Icon glyph=Glyph::Minus/></button>
                    <button type="button" class="btn btn-small" aria-label="Closer" data-key="+" on:click=click(move || axis.zoom(0.5, 0.5))><Icon glyph=Glyph::Plus/></button>
                    <button type="button" class="btn btn-small" data-key="0" on:click=click(move || axis.show_all())><Icon glyph=Glyph::Fit/>"All"</button>
                    <a class="btn btn-small" href=value(move || query.with(&[("view", if is_list.get() { "" } else { "list" })]))>
                        {text(move || if is_list.get() { "As bars" } else { "As list" })}
                    </a>
                </div>
            </div>
            {part(body)}
        </section>
    }
}

/// Where a pointer stands on the tracks, from 0 to 1.
fn part_of(gantt: &web_sys::HtmlElement, client_x: f64) -> f64 {
    let track = gantt.query_selector(".track").ok().flatten();
    let rect =
        track.map_or_else(|| gantt.get_bounding_client_rect(), |track| track.get_bounding_client_rect());
    ((client_x - rect.left()) / rect.width().max(1.0)).clamp(0.0, 1.0)
}

/// What is known of the step that somebody chose: every try, with what was seen.
#[component]
fn Chosen(context: Context) -> impl IntoView {
    let stage = context.query.signal("stage");
    let chosen = Memo::new(move |_| {
        let stage = stage.get();
        context.steps.with_value(|steps| {
            let is_it = |step: &steps::StepSignal| step.with_untracked(|step| step.id.to_string() == stage);
            steps.all.iter().position(is_it)
        })
    });
    let details = move || {
        let place = u32::try_from(chosen.get()?).ok()?;
        let step = context.steps.with_value(|steps| steps.step(place).cloned())?;
        let (id, state, tries) = step.with(|step| (step.id.to_string(), step.state, step.tries.clone()));
        let one = |one: lockstep_model::deployment::Try| {
            let what = if one.is_undo { "going back" } else { "going forward" };
            view! {
                <div>
                    <p class="flex flex-wrap items-center gap-2 text-meta text-muted"><Pill look=step_look(one.state)/>{format!("{what}, attempt {}", one.attempt)}</p>
                    {one.reason.map(|reason| view! { <p class="break-words">{reason}</p> })}
                    {one.evidence.into_iter().map(|evidence| view! { <Seen evidence/> }).collect_view()}
                </div>
            }
        };
        let none = tries.is_empty().then(|| view! { <p class="text-muted">"It has not begun."</p> });
        Some(view! {
            <section class="chosen" aria-label=format!("Step {id}")>
                <p class="flex flex-wrap items-center gap-2">
                    <span class="mono font-semibold">{id.clone()}</span><Pill look=step_look(state)/>
                    <CopyButton text=Signal::derive(page_address) label="Copy the link to this step"/>
                    <a class="btn-icon ml-auto" aria-label=format!("Close {id}") href=context.query.with(&[("stage", "")])><Icon glyph=Glyph::Close/></a>
                </p>
                {none}
                {tries.into_iter().rev().map(one).collect_view()}
            </section>
        })
    };
    view! { <div id="chosen-step">{part(details)}</div> }
}

#[component]
fn Legend(context: Context) -> impl IntoView {
    let bar = |class: &'static str| view! { <svg width="16" height="10" aria-hidden="true"><rect class=class width="16" height="10" rx="2"/></svg> };
    view! {
        <svg width="0" height="0" aria-hidden="true" class="absolute">
            <defs><pattern id="wait" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="2" height="6" class="bar-wait"/></pattern></defs>
        </svg>
        <p class="legend">
            <span>{bar("bar-ok")}"done"</span><span>{bar("bar-run")}"running"</span><span>{bar("bar-bad")}"failed"</span><span>{bar("bar-back")}"taken back"</span>
            <span><svg width="16" height="10" aria-hidden="true"><rect fill="url(#wait)" width="16" height="10"/></svg>"waiting"</span>
            <span><svg width="12" height="12" viewBox="-7 -7 14 14" aria-hidden="true"><path class="bar-ok" d="M0 -6 6 0 0 6 -6 0Z"/></svg>"gate"</span>
            <span><svg width="12" height="12" viewBox="-7 -7 14 14" aria-hidden="true"><path class="bar-idle" d="M-5 -5h10v10h-10Z"/></svg>"checkpoint"</span>
            {part(move || context.path.with(|path| !path.is_empty()).then(|| view! { <span>"pale: decided nothing about the time"</span> }))}
            {part(move || context.compare.get().then(|| view! { <span>{bar("bar-median")}"usually (median)"</span> }))}
            <span class="ml-auto">"Ctrl + wheel, "<kbd>"+"</kbd>" "<kbd>"−"</kbd>" "<kbd>"0"</kbd>" zoom; arrows move"</span>
        </p>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_sight_is_not_there() {
        assert_eq!(in_sight(40, 30.0, (0.0, 640.0)), (0, 40), "a few rows are there whole");
        assert_eq!(in_sight(5_000, 30.0, (0.0, 640.0)), (0, 36));
        let (first, last) = in_sight(5_000, 30.0, (60_000.0, 640.0));
        assert!(first <= 2_000 - OVERSCAN / 2 && last >= 2_022 + OVERSCAN / 2, "{first} to {last}");
        assert!(last - first < 64, "whatever there is, as many rows: {}", last - first);
        assert_eq!(in_sight(5_000, 30.0, (149_400.0, 640.0)).1, 5_000);
        assert_eq!(
            in_sight(5_000, 30.0, (1e9, 640.0)),
            (5_000, 5_000),
            "scrolled past the end, as by a filter"
        );
    }
}
