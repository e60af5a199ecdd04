//! The timeline: services and their steps over time. Bars are drawn with attributes in percent, so
//! that the server can write them and zooming changes numbers only. The same is there as a list.

use super::Seen;
use crate::{
    live::{DeploymentStore, Live},
    prefs::{Preferences, Zone},
    query::Query,
    time::{clock_time, duration},
    ui::{Glyph, Icon, Nothing, Pill, progress_look, step_look},
};
use leptos::{ev, html, prelude::*};
use lockstep_model::{
    ServiceName, StepId, Timestamp,
    deployment::{StepState, Try},
    plan::StepKind,
    view::StepView,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use wasm_bindgen::JsCast;

/// The shortest window, in milliseconds.
const WINDOW_LEAST: f64 = 20.0;
/// Room for a tick's text.
const TICK_PX: f64 = 96.0;
const TICKS: [f64; 16] =
    [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 3e5, 9e5, 3.6e6, 1.44e7];

type StepSignal = ArcRwSignal<StepView>;

/// What the timeline goes by.
#[derive(Clone, Copy)]
struct Axis {
    origin: i64,
    /// How long the whole is, in milliseconds.
    whole: Memo<f64>,
    /// The window: from, to.
    window: Memo<(f64, f64)>,
    query: Query,
}

impl Axis {
    /// Where a point stands in the window, in percent.
    fn at(self, at: Timestamp) -> f64 {
        let (from, to) = self.window.get();
        (((at.0 - self.origin) as f64 - from) / (to - from) * 100.0).clamp(-2_000.0, 2_000.0)
    }

    fn show(self, from: f64, to: f64) {
        let whole = self.whole.get_untracked();
        let length = (to - from).clamp(WINDOW_LEAST.min(whole), whole);
        let from = from.clamp(0.0, (whole - length).max(0.0));
        let is_whole = length >= whole * 0.999;
        let text = if is_whole { String::new() } else { format!("{from:.0}-{:.0}", from + length) };
        self.query.set(&[("tl", &text)]);
    }

    /// Closer or wider around a point, given as a part of the window.
    fn zoom(self, factor: f64, around: f64) {
        let (from, to) = self.window.get_untracked();
        let middle = from + (to - from) * around;
        self.show(middle - (middle - from) * factor, middle + (to - middle) * factor);
    }

    fn pan(self, part: f64) {
        let (from, to) = self.window.get_untracked();
        let by = (to - from) * part;
        self.show(from + by, to + by);
    }
}

fn read_window(text: &str, whole: f64) -> (f64, f64) {
    let read = || {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (from.parse::<f64>().ok()?, to.parse::<f64>().ok()?);
        (from >= 0.0 && to > from && to.is_finite()).then_some((from, to))
    };
    read().unwrap_or((0.0, whole))
}

/// The interval between ticks that gives `most` of them or a few less.
fn tick_every(length: f64, most: f64) -> f64 {
    TICKS.into_iter().find(|tick| length / tick <= most).unwrap_or(1.44e7)
}

fn tone_of(one: &Try) -> &'static str {
    match one.state {
        StepState::Succeeded => "ok",
        StepState::Running => "run",
        StepState::Failed | StepState::UndoFailed => "bad",
        StepState::Unknown => "warn",
        StepState::Undoing | StepState::Undone => "back",
        StepState::Pending | StepState::Skipped => "idle",
    }
}

const fn bar_class(tone: &str) -> &'static str {
    match tone.as_bytes() {
        b"ok" => "bar-ok",
        b"run" => "bar-run",
        b"bad" => "bar-bad",
        b"warn" => "bar-warn",
        b"back" => "bar-back",
        _ => "bar-idle",
    }
}

const fn text_class(tone: &str) -> &'static str {
    match tone.as_bytes() {
        b"ok" => "text-on-ok",
        b"run" => "text-on-run",
        b"back" => "text-on-back",
        _ => "text-on-bad",
    }
}

/// The steps on the longest chain of waiting: from the last that ended back to the first.
fn critical(steps: &[StepView]) -> BTreeSet<StepId> {
    let by_id: HashMap<&StepId, &StepView> = steps.iter().map(|step| (&step.id, step)).collect();
    let mut path = BTreeSet::new();
    let ended = steps.iter().filter(|step| step.finished_at().is_some());
    let mut here = ended.max_by_key(|step| step.finished_at());
    while let Some(step) = here {
        path.insert(step.id.clone());
        let before = step.after.iter().filter_map(|id| by_id.get(id).copied());
        here = before.filter(|step| !path.contains(&step.id)).max_by_key(|step| step.finished_at());
    }
    path
}

/// The timeline of a deployment.
#[component]
pub(super) fn Timeline(store: DeploymentStore) -> impl IntoView {
    let live = Live::here();
    let query = Query::here();
    let row = RwSignal::from(store.summary.clone());
    let steps = RwSignal::from(store.steps.clone());
    let clocks = Memo::new(move |_| row.with(|row| row.clocks));
    let origin = clocks.get_untracked().requested_at.0;
    let last = Memo::new(move |_| {
        steps.with(|steps| {
            let ends = steps.iter().flat_map(|step| {
                step.with(|step| {
                    step.tries.iter().map(|one| one.finished_at.unwrap_or(one.started_at).0).max()
                })
            });
            ends.max().unwrap_or(origin)
        })
    });
    let whole = Memo::new(move |_| {
        let end = clocks.get().finished_at.map(|at| at.0);
        let now = if end.is_none() { live.clock.get() } else { 0 };
        ((end.unwrap_or(0).max(last.get()).max(now) - origin) as f64 * 1.03).max(WINDOW_LEAST)
    });
    let tl = query.signal("tl");
    let window = Memo::new(move |_| read_window(&tl.get(), whole.get()));
    let axis = Axis { origin, whole, window, query };
    let is_list = Memo::new(move |_| query.get("view") == "list");
    let status = query.signal("status");
    let wanted = query.signal("q");
    let compare = RwSignal::new(false);
    let show_critical = RwSignal::new(false);
    let path = Memo::new(move |_| {
        if !show_critical.get() {
            return BTreeSet::new();
        }
        critical(&steps.with(|steps| steps.iter().map(|step| step.get()).collect::<Vec<_>>()))
    });
    let expected = store.rest.expected;
    let groups = Memo::new(move |_| {
        steps.with(|steps| {
            let mut order = Vec::<ServiceName>::new();
            let mut groups = BTreeMap::<ServiceName, Vec<usize>>::new();
            for (place, step) in steps.iter().enumerate() {
                let service = step.with_untracked(|step| step.service.clone());
                if !groups.contains_key(&service) {
                    order.push(service.clone());
                }
                groups.entry(service).or_default().push(place);
            }
            order
                .into_iter()
                .map(|service| (service.clone(), groups.remove(&service).unwrap_or_default()))
                .collect::<Vec<_>>()
        })
    });
    let by_id = StoredValue::new(steps.with_untracked(|steps| {
        steps
            .iter()
            .map(|step| (step.with_untracked(|step| step.id.clone()), step.clone()))
            .collect::<HashMap<_, _>>()
    }));
    let context = Context { axis, row, steps, by_id, status, wanted, compare, path, query };
    let chips = [("", "all statuses"), ("failed", "failed"), ("changed", "back"), ("running", "running")].map(|(key, word)| view! {
        <a class="chip" href=move || query.with(&[("status", key)]) aria-current=move || (status.get() == key).then_some("true")>{word}</a>
    });
    let node = NodeRef::<html::Div>::new();
    let on_wheel = move |event: ev::WheelEvent| {
        if !event.ctrl_key() {
            return;
        }
        event.prevent_default();
        let around = node.get_untracked().map_or(0.5, |node| part_of(&node, f64::from(event.client_x())));
        axis.zoom(if event.delta_y() < 0.0 { 0.7 } else { 1.0 / 0.7 }, around);
    };
    let on_key = move |event: ev::KeyboardEvent| {
        match event.key().as_str() {
            "ArrowLeft" => axis.pan(-0.2),
            "ArrowRight" => axis.pan(0.2),
            _ => return,
        }
        event.prevent_default();
    };
    let usual =
        expected.duration_ms.map(|ms| format!("usually {} ({} earlier)", duration(ms), expected.deployments));
    let body = move || {
        if is_list.get() {
            return view! { <List context/> }.into_any();
        }
        view! {
            <Brush axis steps groups/>
            <div class="gantt" node_ref=node on:wheel=on_wheel on:keydown=on_key>
                <AxisRow axis/>
                <For each=move || groups.get() key=|(service, places)| (service.clone(), places.len()) let((service, places))>
                    <Group context service places/>
                </For>
                {move || groups.with(Vec::is_empty).then(|| view! { <Nothing heading="Nothing is to be done"><p>"The plan has no steps."</p></Nothing> })}
            </div>
            <Legend/>
        }
        .into_any()
    };
    let pressed = |signal: RwSignal<bool>| move || signal.get().to_string();
    view! {
        <section class="card mb-4" aria-labelledby="timeline-title">
            <div class="card-head">
                <h2 id="timeline-title" class="font-semibold">"Timeline"</h2>
                <div class="chips" role="group" aria-label="Show only">{chips}</div>
                <form method="get" role="search" aria-label="Filter the timeline" class="filter" on:submit=|event| event.prevent_default()>
                    <input class="input input-small" type="search" name="q" placeholder="Service or step" aria-label="Filter the timeline" data-key="/"
                        prop:value=move || wanted.get() on:input=move |event| query.set(&[("q", &event_target_value(&event))])/>
                </form>
                <span class="text-meta text-muted">{usual}</span>
                <div class="flex flex-wrap gap-2 ml-auto">
                    <button type="button" class="btn btn-small" aria-pressed=pressed(compare) on:click=move |_| compare.update(|on| *on = !*on)
                        title="Outlines show the median of earlier deployments">"Compare"</button>
                    <button type="button" class="btn btn-small" aria-pressed=pressed(show_critical) on:click=move |_| show_critical.update(|on| *on = !*on)
                        title="Steps that decided how long it took">"Critical path"</button>
                    <button type="button" class="btn btn-small" aria-label="Wider" data-key="-" on:click=move |_| axis.zoom(2.0, 0.5)><Icon glyph=Glyph::Minus/></button>
                    <button type="button" class="btn btn-small" aria-label="Closer" data-key="+" on:click=move |_| axis.zoom(0.5, 0.5)><Icon glyph=Glyph::Plus/></button>
                    <button type="button" class="btn btn-small" data-key="0" on:click=move |_| axis.show(0.0, axis.whole.get_untracked())><Icon glyph=Glyph::Fit/>"All"</button>
                    <a class="btn btn-small" href=move || query.with(&[("view", if is_list.get() { "" } else { "list" })])>
                        {move || if is_list.get() { "As bars" } else { "As list" }}
                    </a>
                </div>
            </div>
            {body}
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

/// What rows share.
#[derive(Clone, Copy)]
struct Context {
    axis: Axis,
    row: RwSignal<lockstep_model::view::DeploymentSummary>,
    steps: RwSignal<Vec<StepSignal>>,
    by_id: StoredValue<HashMap<StepId, StepSignal>>,
    status: Memo<String>,
    wanted: Memo<String>,
    compare: RwSignal<bool>,
    path: Memo<BTreeSet<StepId>>,
    query: Query,
}

impl Context {
    /// Whether a step is one of those that are shown.
    fn shows(self, step: &StepView) -> bool {
        let is_wanted = self.wanted.with(|wanted| {
            wanted.is_empty()
                || step.id.to_string().to_ascii_lowercase().contains(&wanted.to_ascii_lowercase())
        });
        let fits = self.status.with(|status| match status.as_str() {
            "failed" => step.tries.iter().any(|one| {
                matches!(one.state, StepState::Failed | StepState::Unknown | StepState::UndoFailed)
            }),
            "changed" => step.tries.iter().any(|one| one.is_undo),
            "running" => matches!(step.state, StepState::Running | StepState::Undoing),
            _ => true,
        });
        is_wanted && fits
    }

    /// When a step could have begun: when the last of those before it had ended.
    fn ready_at(self, step: &StepView) -> Option<Timestamp> {
        let before = self.by_id.with_value(|by_id| {
            step.after
                .iter()
                .filter_map(|id| by_id.get(id).and_then(|step| step.with(StepView::finished_at)))
                .max()
        });
        before.or_else(|| self.row.with_untracked(|row| row.clocks.started_at))
    }
}

#[component]
fn AxisRow(axis: Axis) -> impl IntoView {
    let live = Live::here();
    let node = NodeRef::<leptos::svg::Svg>::new();
    // The server does not know how wide it is.
    let room = RwSignal::new(TICK_PX * 8.0);
    Effect::new(move |_| {
        if let Some(node) = node.get() {
            room.set(node.unchecked_ref::<web_sys::Element>().get_bounding_client_rect().width());
        }
    });
    let prefs = Preferences::here();
    let ticks = move || {
        let (from, to) = axis.window.get();
        let most = (room.get() / TICK_PX).clamp(1.0, 12.0);
        let every = tick_every(to - from, most);
        let zone = if live.is_taken_over() { prefs.with(|prefs| prefs.zone.clone()) } else { Zone::Utc };
        // Ticks stand on whole seconds of the clock, not of the deployment.
        let shift = (axis.origin as f64).rem_euclid(every);
        let first = ((from + shift) / every).ceil() * every - shift;
        (0..12)
            .map(|n| first + f64::from(n) * every)
            .take_while(|at| *at < to)
            .map(|at| {
                let when = Timestamp(axis.origin + at as i64);
                let text = if every < 1_000.0 {
                    format!("{}.{:03}", clock_time(when, &zone), when.0.rem_euclid(1_000))
                } else {
                    clock_time(when, &zone)
                };
                let x = format!("{:.3}%", axis.at(when));
                view! { <line class="tick" x1=x.clone() x2=x.clone() y1="0" y2="26"/><text class="axis-text" x=x y="17" dx="4">{text}</text> }
            })
            .collect_view()
    };
    view! {
        <div class="gantt-row gantt-axis" aria-hidden="true"><span></span><svg class="track" node_ref=node>{ticks}</svg><span></span></div>
    }
}

/// A service and its steps.
#[component]
fn Group(context: Context, service: ServiceName, places: Vec<usize>) -> impl IntoView {
    let steps: Vec<StepSignal> = context
        .steps
        .with_untracked(|steps| places.iter().filter_map(|place| steps.get(*place).cloned()).collect());
    let look = {
        let service = service.clone();
        Memo::new(move |_| {
            context.row.with(|row| {
                let change = row.services.iter().find(|change| change.service == service);
                change.map_or_else(|| step_look(StepState::Skipped), |change| progress_look(change.state))
            })
        })
    };
    let took = {
        let steps = steps.clone();
        move || {
            let tries = |step: &StepView| {
                step.tries.iter().map(|one| (one.started_at, one.finished_at)).collect::<Vec<_>>()
            };
            let all: Vec<_> = steps.iter().flat_map(|step| step.with(tries)).collect();
            let begin = all.iter().map(|(start, _)| *start).min();
            let end = all.iter().map(|(start, end)| end.unwrap_or(*start)).max();
            begin.zip(end).map_or_else(|| "–".to_owned(), |(begin, end)| duration(end.since_ms(begin)))
        }
    };
    let is_shown = {
        let steps = steps.clone();
        move || steps.iter().any(|step| step.with(|step| context.shows(step)))
    };
    let rows = steps.into_iter().map(|step| view! { <StepRow context step/> }).collect_view();
    view! {
        <div role="group" aria-label=service.to_string() hidden=move || !is_shown()>
            <div class="gantt-row gantt-service">
                <span class="flex items-center gap-2"><Icon glyph=Signal::derive(move || look.get().glyph)/>{service.to_string()}</span>
                <span class="text-meta text-muted font-normal">{move || look.get().word}</span>
                <span class="mono">{took}</span>
            </div>
            {rows}
        </div>
    }
}

fn step_word(kind: StepKind) -> &'static str {
    kind.word()
}

#[component]
fn StepRow(context: Context, step: StepSignal) -> impl IntoView {
    let step = RwSignal::from(step);
    let (id, kind) = step.with_untracked(|step| (step.id.clone(), step.kind));
    let axis = context.axis;
    let live = Live::here();
    let end_of =
        move |one: &Try| one.finished_at.unwrap_or_else(|| Timestamp(live.clock.get().max(one.started_at.0)));
    let bars = {
        let id = id.clone();
        move || {
            step.with(|step| {
            let is_critical = context.path.with(|path| path.contains(&id));
            let waited = context.ready_at(step).zip(step.tries.first()).map(|(ready, first)| {
                let (x, end) = (axis.at(ready), axis.at(first.started_at));
                view! { <rect class="bar-wait" fill="url(#wait)" x=format!("{x:.3}%") y="7" width=format!("{:.3}%", (end - x).max(0.0)) height="12"/> }
            });
            let median = step.median_ms.filter(|_| context.compare.get()).zip(step.tries.first()).map(|(ms, first)| {
                let (x, end) = (axis.at(first.started_at), axis.at(first.started_at.plus_ms(ms)));
                view! { <rect class="bar-median" x=format!("{x:.3}%") y="2" width=format!("{:.3}%", (end - x).max(0.0)) height="22"/> }
            });
            let tries = step.tries.iter().map(|one| {
                let tone = tone_of(one);
                let (x, end) = (axis.at(one.started_at), axis.at(end_of(one)));
                let word = if one.is_undo { "back".to_owned() } else if one.attempt > 1 { format!("{} {}", kind.word(), one.attempt) } else { kind.word().to_owned() };
                let width = (end - x).max(0.0);
                let text = (width > 6.0).then(|| view! { <text class=text_class(tone) x="5" y="13">{word}</text> });
                view! {
                    <svg x=format!("{x:.3}%") y="4" width=format!("max(3px, {width:.3}%)") height="18" overflow="hidden">
                        <rect class=bar_class(tone) class:bar-critical=is_critical width="100%" height="18" rx="3"/>
                        {text}
                    </svg>
                }
            }).collect_view();
            let gates = step.tries.iter().filter(|one| is_gate(kind, one)).filter_map(|one| {
                let at = axis.at(one.finished_at?);
                Some(view! {
                    <svg x=format!("{at:.3}%") y="13" overflow="visible" width="1" height="1"><path class=format!("mark-gate {}", bar_class(tone_of(one))) d="M0 -6 6 0 0 6 -6 0Z"/></svg>
                })
            }).collect_view();
            let checkpoint = step.forward().filter(|one| kind == StepKind::Preflight && one.state == StepState::Succeeded).and_then(|one| {
                let at = axis.at(one.finished_at?);
                Some(view! { <svg x=format!("{at:.3}%") y="13" overflow="visible" width="1" height="1"><path class="mark-gate bar-idle" d="M-5 -5h10v10h-10Z"/></svg> })
            });
            (waited, median, tries, gates, checkpoint)
        })
        }
    };
    let took = move || {
        step.with(|step| {
            let one = step.last()?;
            Some(duration(end_of(one).since_ms(one.started_at)))
        })
        .unwrap_or_else(|| "–".to_owned())
    };
    let service = step.with_untracked(|step| step.service.to_string());
    let word = move || step.with(|step| step.state.word());
    let name = id.to_string();
    let is_chosen = {
        let name = name.clone();
        Memo::new(move |_| context.query.get("stage") == name)
    };
    let choose = move |_| {
        context.query.set(&[("stage", if is_chosen.get_untracked() { "" } else { &name }), ("l", "")])
    };
    let is_hidden = move || !step.with(|step| context.shows(step));
    let details = move || {
        is_chosen.get().then(|| step.with(|step| {
        let tries = step.tries.iter().rev().map(|one| {
            let what = if one.is_undo { "going back" } else { "going forward" };
            view! {
                <div>
                    <p class="flex flex-wrap items-center gap-2 text-meta text-muted"><Pill look=step_look(one.state)/>{format!("{what}, attempt {}", one.attempt)}</p>
                    {one.reason.clone().map(|reason| view! { <p class="break-words">{reason}</p> })}
                    {one.evidence.iter().cloned().map(|evidence| view! { <Seen evidence/> }).collect_view()}
                </div>
            }
        }).collect_view();
        view! { <div class="steps-list stack">{tries}</div> }
    }))
    };
    view! {
        <button type="button" class="gantt-row gantt-step" hidden=is_hidden aria-pressed=move || is_chosen.get().to_string() on:click=choose data-entry="" data-step=id.to_string() data-state=word><span><span class="sr-only">{service}" "</span>{step_word(kind)}<span class="sr-only">": "{word}</span></span>
            <svg class="track" aria-hidden="true">{bars}</svg>
            <span class="mono">{took}</span>
        </button>
        {details}
    }
}

fn is_gate(kind: StepKind, one: &Try) -> bool {
    matches!(kind, StepKind::Verify | StepKind::Watch | StepKind::Precondition)
        || one.is_undo && !one.evidence.is_empty()
}

#[component]
fn Legend() -> impl IntoView {
    let bar = |class: &'static str| view! { <svg width="16" height="10" aria-hidden="true"><rect class=class width="16" height="10" rx="2"/></svg> };
    view! {
        <svg width="0" height="0" aria-hidden="true" class="absolute">
            <defs><pattern id="wait" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="3" height="6" class="bar-wait"/></pattern></defs>
        </svg>
        <p class="legend">
            <span>{bar("bar-ok")}"done"</span><span>{bar("bar-run")}"running"</span><span>{bar("bar-bad")}"failed"</span><span>{bar("bar-back")}"taken back"</span>
            <span><svg width="16" height="10" aria-hidden="true"><rect fill="url(#wait)" width="16" height="10"/></svg>"waiting"</span>
            <span><svg width="12" height="12" viewBox="-7 -7 14 14" aria-hidden="true"><path class="bar-ok" d="M0 -6 6 0 0 6 -6 0Z"/></svg>"gate"</span>
            <span><svg width="12" height="12" viewBox="-7 -7 14 14" aria-hidden="true"><path class="bar-idle" d="M-5 -5h10v10h-10Z"/></svg>"checkpoint"</span>
            <span class="ml-auto">"Ctrl + wheel, "<kbd>"+"</kbd>" "<kbd>"−"</kbd>" "<kbd>"0"</kbd>" zoom; arrows move"</span>
        </p>
    }
}

/// Everything at a glance; drawing on it chooses the window.
#[component]
fn Brush(
    axis: Axis,
    steps: RwSignal<Vec<StepSignal>>,
    groups: Memo<Vec<(ServiceName, Vec<usize>)>>,
) -> impl IntoView {
    let live = Live::here();
    let node = NodeRef::<leptos::svg::Svg>::new();
    let begun = StoredValue::new(None::<f64>);
    let shapes = move || {
        let whole = axis.whole.get().max(1.0);
        let count = groups.with(Vec::len).max(1) as f64;
        let height = (22.0 / count).clamp(1.0, 6.0);
        let mut paths = BTreeMap::<&'static str, String>::new();
        groups.with(|groups| {
            steps.with(|steps| {
                for (line, (_, places)) in groups.iter().enumerate() {
                    let y = 4.0 + line as f64 * (22.0 / count);
                    for step in places.iter().filter_map(|place| steps.get(*place)) {
                        step.with(|step| {
                            for one in &step.tries {
                                let end = one
                                    .finished_at
                                    .map_or_else(|| live.clock.get().max(one.started_at.0), |at| at.0);
                                let x = (one.started_at.0 - axis.origin) as f64 / whole * 1_000.0;
                                let width = ((end - one.started_at.0) as f64 / whole * 1_000.0).max(1.5);
                                let path = paths.entry(bar_class(tone_of(one))).or_default();
                                path.push_str(&format!("M{x:.1} {y:.1}h{width:.1}v{height:.1}h-{width:.1}Z"));
                            }
                        });
                    }
                }
            })
        });
        paths.into_iter().map(|(class, d)| view! { <path class=class d=d/> }).collect_view()
    };
    let part = move |event: &ev::PointerEvent| {
        node.get_untracked().map_or(0.0, |node| {
            let rect = node.unchecked_ref::<web_sys::Element>().get_bounding_client_rect();
            ((f64::from(event.client_x()) - rect.left()) / rect.width().max(1.0)).clamp(0.0, 1.0)
        })
    };
    let draw = move |event: &ev::PointerEvent| {
        if let Some(begin) = begun.get_value() {
            let (here, whole) = (part(event), axis.whole.get_untracked());
            if (here - begin).abs() > 0.01 {
                axis.show(begin.min(here) * whole, begin.max(here) * whole);
            }
        }
    };
    let x = move || axis.window.get().0 / axis.whole.get().max(1.0) * 1_000.0;
    let width = move || {
        let (from, to) = axis.window.get();
        (to - from) / axis.whole.get().max(1.0) * 1_000.0
    };
    view! {
        <svg class="brush" node_ref=node viewBox="0 0 1000 30" preserveAspectRatio="none" aria-hidden="true"
            on:pointerdown=move |event| { begun.set_value(Some(part(&event))); event.prevent_default(); }
            on:pointermove=move |event| draw(&event)
            on:pointerup=move |event| { draw(&event); begun.set_value(None); }
            on:pointerleave=move |_| begun.set_value(None)
            on:dblclick=move |_| axis.show(0.0, axis.whole.get_untracked())>
            {shapes}
            <rect class="brush-window" x=move || format!("{:.1}", x()) y="1" width=move || format!("{:.1}", width()) height="28"/>
        </svg>
    }
}

/// The same as a list, for everybody who would rather read.
#[component]
fn List(context: Context) -> impl IntoView {
    let row = move |step: StepView| {
        let one = step.last().cloned();
        let waited = context
            .ready_at(&step)
            .zip(step.tries.first())
            .map(|(ready, first)| duration(first.started_at.since_ms(ready)));
        let took =
            one.as_ref().and_then(|one| one.finished_at.map(|end| duration(end.since_ms(one.started_at))));
        let begun = step
            .tries
            .first()
            .map(|one| format!("+ {}", duration(one.started_at.since_ms(Timestamp(context.axis.origin)))));
        let seen = one.as_ref().and_then(|one| {
            one.reason.clone().or_else(|| one.evidence.last().map(|evidence| evidence.reason.clone()))
        });
        view! {
            <tr>
                <th scope="row" class="mono">{step.id.to_string()}</th>
                <td data-label="State"><Pill look=step_look(step.state)/></td>
                <td data-label="Began" class="mono">{begun}</td>
                <td data-label="Waited" class="mono">{waited}</td>
                <td data-label="Took" class="mono">{took}</td>
                <td data-label="Usually" class="mono">{step.median_ms.map(duration)}</td>
                <td data-label="Seen">{seen}</td>
            </tr>
        }
    };
    let rows = move || {
        let steps = context.steps.with(|steps| steps.iter().map(|step| step.get()).collect::<Vec<_>>());
        steps.into_iter().filter(|step| context.shows(step)).map(row).collect_view()
    };
    view! {
        <div class="table-scroll">
        <table class="table">
            <caption class="sr-only">"Steps with their times"</caption>
            <thead><tr>
                <th scope="col">"Step"</th><th scope="col">"State"</th><th scope="col">"Began"</th><th scope="col">"Waited"</th>
                <th scope="col">"Took"</th><th scope="col">"Usually"</th><th scope="col">"Seen"</th>
            </tr></thead>
            <tbody>{rows}</tbody>
        </table>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_in_addresses_are_read_or_ignored() {
        assert_eq!(read_window("100-2500", 9_000.0), (100.0, 2_500.0));
        for wrong in ["", "x", "5", "9-3", "-1-4", "1-inf", "1-NaN"] {
            assert_eq!(read_window(wrong, 9_000.0), (0.0, 9_000.0), "{wrong}");
        }
    }

    #[test]
    fn ticks_are_neither_many_nor_few() {
        for length in [50.0, 900.0, 12_000.0, 300_000.0, 7_200_000.0, 86_400_000.0] {
            let count = length / tick_every(length, 8.0);
            assert!((1.5..=8.0).contains(&count), "{length}: {count}");
        }
    }
}
