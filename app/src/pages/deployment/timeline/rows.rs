//! The rows of the timeline: a name on the left, how long it took on the right, and one drawing behind
//! all of them. One row is in the order of the Tab key; arrows go on from there.

use super::{
    super::boxed::{Each, click, text, value},
    Context, ROWS_WHOLE,
    bars::Bars,
    filter::Filter,
    steps::{Steps, span},
};
use crate::{
    live::Live,
    time::duration,
    ui::{Icon, Look, progress_look, step_look},
};
use leptos::{ev, html, prelude::*};
use lockstep_model::{
    Timestamp,
    deployment::{Phase, StepState},
    view::StepView,
};
use wasm_bindgen::JsCast;

/// What a row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Row {
    /// The deployment itself, until it could begin.
    Queue,
    /// A service, by its place.
    Service(u32),
    /// A step, by its place.
    Step(u32),
}

impl Row {
    /// A number of its own.
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Queue => 0,
            Self::Service(place) => 1 + place * 2,
            Self::Step(place) => 2 + place * 2,
        }
    }

    /// The row with such a number.
    pub(super) const fn of_number(number: u32) -> Self {
        match number {
            0 => Self::Queue,
            odd if odd % 2 == 1 => Self::Service(odd / 2),
            even => Self::Step(even / 2 - 1),
        }
    }
}

/// All rows that a filter leaves.
pub(super) fn fitting(steps: &Steps, filter: Filter) -> Vec<Row> {
    let wanted = filter.service.get();
    let is_close = filter.is_close();
    let mut rows = Vec::new();
    if !is_close && wanted.is_empty() {
        rows.push(Row::Queue);
    }
    for (place, (service, places)) in (0..).zip(&steps.services) {
        if !wanted.is_empty() && service.as_str() != wanted {
            continue;
        }
        let head = rows.len();
        rows.push(Row::Service(place));
        rows.extend(
            places.iter().filter(|step| !is_close || filter.shows(steps, **step)).copied().map(Row::Step),
        );
        if rows.len() == head + 1 {
            rows.pop();
        }
    }
    rows
}

/// The rows, and the drawing behind them.
#[component]
pub(super) fn Rows(
    context: Context,
    ticks: Memo<Vec<(f64, String)>>,
    node: NodeRef<html::Div>,
) -> impl IntoView {
    let Context { rows, sight, row_px, axis, .. } = context;
    // Which row the Tab key comes to.
    let at = RwSignal::new(None::<Row>);
    let stop = Memo::new(move |_| {
        let seen = context.seen();
        let known = at.get().filter(|at| seen.iter().any(|(_, row)| row == at));
        known.or_else(|| seen.iter().map(|(_, row)| *row).find(|row| matches!(row, Row::Step(_))))
    });
    let go_to = move |place: usize| {
        let Some(node) = node.get_untracked() else { return };
        if rows.with_untracked(Vec::len) > ROWS_WHOLE {
            let (y, px) = (place as f64 * row_px.get_untracked(), row_px.get_untracked());
            let (top, room) = (f64::from(node.scroll_top()), f64::from(node.client_height()) - 2.0 * px);
            if y < top {
                node.set_scroll_top(y as i32);
            } else if y > top + room {
                node.set_scroll_top((y - room) as i32);
            }
        }
        // Scrolling has told which rows are in sight by then.
        request_animation_frame(move || {
            request_animation_frame(move || {
                let found = node.query_selector(&format!("[data-row='{place}']")).ok().flatten();
                if let Some(row) = found.and_then(|row| row.dyn_into::<web_sys::HtmlElement>().ok()) {
                    let _ = row.focus();
                }
            });
        });
    };
    let on_key = move |event: ev::KeyboardEvent| {
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        let all: Vec<usize> = rows.with_untracked(|rows| {
            let steps = rows.iter().enumerate().filter(|(_, row)| matches!(row, Row::Step(_)));
            steps.map(|(place, _)| place).collect()
        });
        let here = stop.get_untracked().and_then(|stop| {
            let place = rows.with_untracked(|rows| rows.iter().position(|row| *row == stop))?;
            all.iter().position(|one| *one == place)
        });
        let page = 10;
        let next = |here: usize| match event.key().as_str() {
            "ArrowDown" => Some(here + 1),
            "ArrowUp" => Some(here.saturating_sub(1)),
            "PageDown" => Some(here + page),
            "PageUp" => Some(here.saturating_sub(page)),
            "Home" => Some(0),
            "End" => Some(usize::MAX),
            _ => None,
        };
        match event.key().as_str() {
            "ArrowLeft" => axis.pan(-0.2),
            "ArrowRight" => axis.pan(0.2),
            _ => match here.and_then(next) {
                Some(next) if !all.is_empty() => go_to(all[next.min(all.len() - 1)]),
                Some(_) | None => return,
            },
        }
        event.prevent_default();
    };
    // Rows that come and go may take the one with the focus out of the document for a moment.
    let held = StoredValue::new(false);
    let numbers = context.numbers();
    Effect::new(move |_| {
        numbers.track();
        if held.get_value() {
            request_animation_frame(move || {
                let row = at.try_get_untracked().flatten();
                let place =
                    row.and_then(|row| rows.with_untracked(|rows| rows.iter().position(|one| *one == row)));
                if let Some((place, node)) = place.zip(node.get_untracked()) {
                    focus_again(&node, place);
                }
            });
        }
    });
    let before = move || (sight.get().0 as f64 * row_px.get()).to_string();
    let after = move || (rows.with(Vec::len).saturating_sub(sight.get().1) as f64 * row_px.get()).to_string();
    let row = Callback::new(move |number| match Context::of_number(number) {
        (_, Row::Queue) => view! { <QueueRow context/> }.into_any(),
        (_, Row::Service(service)) => view! { <ServiceRow context service/> }.into_any(),
        (place, Row::Step(step)) => view! { <StepRow context step place stop at/> }.into_any(),
    });
    view! {
        <div class="gantt-body">
            <Bars context ticks/>
            <div role="toolbar" aria-orientation="vertical" aria-label="Steps" on:keydown=on_key
                on:focusin=move |_| held.set_value(true)
                on:focusout=move |event| if event.related_target().is_some() { held.set_value(false); }>
                <svg class="gantt-space" width="1" height=value(before) aria-hidden="true"></svg>
                <Each of=numbers show=row/>
                <svg class="gantt-space" width="1" height=value(after) aria-hidden="true"></svg>
            </div>
        </div>
    }
}

/// Gives a row the focus when nothing has it, and leaves everything where it is on the screen.
fn focus_again(gantt: &web_sys::HtmlElement, place: usize) {
    let is_lost = document().active_element().is_none_or(|element| element.tag_name() == "BODY");
    let found = gantt.query_selector(&format!("[data-row='{place}']")).ok().flatten();
    let Some(row) = found.filter(|_| is_lost) else { return };
    let options = js_sys::Object::new();
    let _ = js_sys::Reflect::set(&options, &"preventScroll".into(), &true.into());
    if let Ok(focus) = js_sys::Reflect::get(&row, &"focus".into()) {
        let _ = js_sys::Function::from(focus).call1(&row, &options);
    }
}

/// How long the deployment waited for its turn.
#[component]
fn QueueRow(context: Context) -> impl IntoView {
    let live = Live::here();
    let clocks = Memo::new(move |_| context.row.with(|row| row.clocks));
    let waited = move || {
        let clocks = clocks.get();
        let until = clocks.started_at.or(clocks.finished_at);
        let until = until.unwrap_or(Timestamp(live.clock.get().max(clocks.requested_at.0)));
        duration(until.since_ms(clocks.requested_at))
    };
    let is_queued = Memo::new(move |_| context.row.with(|row| row.phase == Phase::Queued));
    view! {
        <div class="gantt-row gantt-step">
            <span>{text(move || if is_queued.get() { "waits for its turn" } else { "waited for its turn" })}</span>
            <span></span>
            <span class="mono">{text(waited)}</span>
        </div>
    }
}

/// How a service stands that does not change and is only looked at: as its steps do.
fn probed(context: Context, places: &[u32]) -> Look {
    context.steps.with_value(|steps| {
        let states = places.iter().filter_map(|place| steps.step(*place));
        let states: Vec<StepState> = states.map(|step| step.with(|step| step.state)).collect();
        let failed = states.iter().find(|state| **state == StepState::Failed);
        step_look(failed.or(states.last()).copied().unwrap_or(StepState::Skipped))
    })
}

#[component]
fn ServiceRow(context: Context, service: u32) -> impl IntoView {
    let live = Live::here();
    let (name, places) = context
        .steps
        .with_value(|steps| steps.services.get(service as usize).cloned())
        .map_or_else(|| (None, Vec::new()), |(name, places)| (Some(name), places));
    let words = name.as_ref().map(ToString::to_string);
    let own = places.clone();
    let look = Memo::new(move |_| {
        context.row.with(|row| {
            let change = row.services.iter().find(|change| Some(&change.service) == name.as_ref());
            change.map_or_else(|| probed(context, &own), |change| progress_look(change.state))
        })
    });
    let tries = Memo::new(move |_| {
        context.steps.with_value(|steps| {
            let steps = places.iter().filter_map(|place| steps.step(*place));
            let tries = |step: &StepView| {
                step.tries.iter().map(|one| (one.started_at, one.finished_at)).collect::<Vec<_>>()
            };
            steps.flat_map(|step| step.with(tries)).collect::<Vec<_>>()
        })
    });
    let took = move || {
        tries.with(|tries| {
            let is_open = tries.iter().any(|(_, end)| end.is_none());
            span(tries, if is_open { live.clock.get() } else { 0 }).unwrap_or_else(|| "–".to_owned())
        })
    };
    view! {
        <div class="gantt-row gantt-service">
            <span><Icon glyph=Signal::derive(move || look.get().glyph)/>{words}</span>
            <span class="text-meta text-muted font-normal">{text(move || look.get().word)}</span>
            <span class="mono">{text(took)}</span>
        </div>
    }
}

#[component]
fn StepRow(
    context: Context,
    step: u32,
    place: usize,
    stop: Memo<Option<Row>>,
    at: RwSignal<Option<Row>>,
) -> impl IntoView {
    let live = Live::here();
    let known = context.steps.with_value(|steps| steps.step(step).cloned());
    let known = known.map(RwSignal::from)?;
    let (id, what, service) = known.with_untracked(|step| {
        (step.id.to_string(), step.kind.word_at(step.weight), step.service.to_string())
    });
    let clocks = Memo::new(move |_| context.row.with(|row| (row.clocks, row.phase)));
    let wait = Memo::new(move |_| {
        let (clocks, phase) = clocks.get();
        known.track();
        context.steps.with_value(|steps| steps.wait(step, &clocks, phase))
    });
    let took = move || {
        let last = known.with(|step| step.last().map(|one| (one.started_at, one.finished_at)));
        match (last, wait.get()) {
            (Some((start, Some(end))), _) => duration(end.since_ms(start)),
            (Some((start, None)), _) => duration(Timestamp(live.clock.get().max(start.0)).since_ms(start)),
            (None, Some(wait)) if wait.until.is_none() => {
                format!("{} …", duration(wait.ms(live.clock.get()) / 1_000 * 1_000))
            }
            (None, Some(_) | None) => "–".to_owned(),
        }
    };
    let word = move || known.with(|step| step.state.word());
    let waits =
        move || wait.get().filter(|wait| wait.until.is_none()).map(|wait| format!(", {}", wait.words()));
    let name = id.clone();
    let is_chosen = Memo::new(move |_| context.query.get("stage") == name);
    let name = id.clone();
    let choose = move || {
        context.query.set(&[("stage", if is_chosen.get_untracked() { "" } else { &name }), ("l", "")]);
    };
    let tab = move || if stop.get() == Some(Row::Step(step)) { "0" } else { "-1" };
    Some(view! {
        <button type="button" class="gantt-row gantt-step" aria-pressed=value(move || is_chosen.get().to_string()) aria-controls="chosen-step"
            tabindex=value(tab) on:click=click(choose) on:focus=move |_| at.set(Some(Row::Step(step)))
            data-entry="" data-row=place.to_string() data-step=id data-state=value(word)>
            <span><span class="sr-only">{service}" "</span>{what}<span class="sr-only">": "{text(word)}{text(waits)}</span></span>
            <span></span>
            <span class="mono">{text(took)}</span>
        </button>
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_their_numbers_belong_together() {
        for row in [Row::Queue, Row::Service(0), Row::Service(900), Row::Step(0), Row::Step(5_999)] {
            assert_eq!(Row::of_number(row.number()), row);
        }
    }
}
