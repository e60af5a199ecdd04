//! The output of the steps. Earlier lines come first, then what is new; only what can be seen is in
//! the document, so that a hundred thousand lines stay light.

mod ansi;
mod lines;
mod pattern;
mod reader;
mod search;

use super::boxed::{at_times, click, flag, part, text, value};
use crate::{
    live::{Level, Live, LogStore},
    prefs::Preferences,
    ui::{AsOf, Glyph, Icon, Nothing},
};
use leptos::prelude::*;
use lines::Lines;
use lockstep_model::{DeploymentId, live::Topic};
use reader::Reader;
use search::Needle;

/// So many lines fit without scrolling.
const SHORT: usize = 17;

/// The output of a deployment.
#[component]
pub(super) fn Log(id: DeploymentId) -> impl IntoView {
    let live = Live::here();
    let is_known = Memo::new(move |_| live.knows_log(id));
    move || match is_known.get().then(|| live.log(id)).flatten() {
        Some(log) => view! { <Shown id log/> }.into_any(),
        None => {
            let refused = move || {
                live.refused.with(|refused| refused.get(&Topic::Log(id)).map(|error| error.message.clone()))
            };
            view! {
                <section class="card">
                    <Nothing heading="The output cannot be read now">
                        <p>{text(move || refused().unwrap_or_else(|| "It is asked for again, and shown here as soon as it comes.".to_owned()))}</p>
                    </Nothing>
                </section>
            }
            .into_any()
        }
    }
}

#[component]
fn Shown(id: DeploymentId, log: LogStore) -> impl IntoView {
    let prefs = Preferences::here();
    let reader = Reader::new(id, &log);
    let wrap = Memo::new(move |_| prefs.with(|prefs| prefs.wrap));
    // What comes is followed, unless somebody reads.
    Effect::new(move |before: Option<usize>| reader.came(before));
    Effect::new(move |_| {
        reader.track_choice();
        wrap.track();
        reader.forget_heights();
    });
    Effect::new(move |done: Option<Option<i64>>| reader.lead(done.flatten()));
    let is_empty = move || {
        reader.changed.track();
        reader.places.with(|places| places.is_empty())
    };
    let is_short = move || reader.places.with(|places| places.len() <= SHORT);
    let is_filtered = move || reader.log.with_value(|log| !log.is_empty());
    let none = move || {
        is_empty().then(|| {
            if is_filtered() {
                let all = move || reader.query.with(&[("stage", ""), ("service", ""), ("level", ""), ("hits", "")]);
                // A step that said nothing at all is no matter of the filter.
                let heading = match (reader.is_silent(), reader.before() > 0) {
                    (false, false) => "No line is like that",
                    (false, true) => "No line is like that among those shown",
                    (true, false) => "It has no output",
                    (true, true) => "It has no output among the lines shown",
                };
                return view! {
                    <Nothing heading><p><a class="link" href=value(all)>"Show all lines"</a></p></Nothing>
                }
                .into_any();
            }
            view! {
                <Nothing heading="No output"><p>"Steps that run commands write here; processes keep what they say when they are stopped."</p></Nothing>
            }
            .into_any()
        })
    };
    let earlier = move || {
        (reader.before() > 0).then(|| view! {
            <div class="log-more">
                {text(move || format!("{} earlier lines", reader.before()))}
                <button type="button" class="btn btn-small" disabled=flag(move || reader.busy.get()) on:click=click(move || reader.load(false))>"Load earlier"</button>
                <button type="button" class="btn btn-small" disabled=flag(move || reader.busy.get()) on:click=click(move || reader.load(true))>"Load all"</button>
            </div>
        })
    };
    let removed = move || reader.removed().map(|removed| view! { <div class="log-more">{removed}</div> });
    let jump = move || {
        (!reader.follow.get() && reader.unread.get() > 0).then(|| view! {
            <button type="button" class="btn btn-primary jump" on:click=click(move || reader.set_follow(true))>{text(move || format!("Jump to latest ({} new)", reader.unread.get()))}</button>
        })
    };
    view! {
        <section class="card" aria-labelledby="log-title">
            <Tools id reader wrap/>
            {part(earlier)}
            {part(removed)}
            {part(none)}
            <div class="log" class:log-flow=flag(move || !reader.is_virtual.get()) class:log-wrap=flag(move || wrap.get()) class:log-short=flag(is_short) hidden=flag(is_empty)
                node_ref=reader.node on:scroll=move |_| reader.scrolled() tabindex="0" role="region" aria-label="Output of the steps">
                <Lines reader/>
                {part(jump)}
            </div>
        </section>
    }
}

/// What chooses lines, searches them, and how they are shown.
#[component]
fn Tools(id: DeploymentId, reader: Reader, wrap: Memo<bool>) -> impl IntoView {
    let prefs = Preferences::here();
    let query = reader.query;
    let level = query.signal("level");
    let counts = Memo::new(move |_| {
        reader.changed.track();
        reader.log.with_value(|log| (log.count(Level::Error), log.count(Level::Warning)))
    });
    let level_chip = move |key: &'static str, word: &'static str, count: Signal<usize>| {
        view! {
            <a class="chip" href=value(move || query.with(&[("level", if level.get() == key { "" } else { key })])) aria-current=at_times("true", move || level.get() == key)>
                {word}" "{text(move || count.get().to_string())}
            </a>
        }
    };
    let chosen = move |key: &'static str, all: &'static str| {
        let chosen = query.signal(key);
        part(move || {
            Some(chosen.get()).filter(|only| !only.is_empty()).map(|only| view! {
                <a class="chip" aria-current="true" href=value(move || query.with(&[(key, "")])) aria-label=format!("Show all {all}, not only {only}")>{only.clone()}" ×"</a>
            })
        })
    };
    let found = move || {
        let (count, is_done) = reader.found.with(|found| (found.hits.len(), found.is_done));
        let searched = if reader.before() > 0 { " in the lines shown" } else { "" };
        match (reader.needle.get(), count, is_done) {
            (Needle::Nothing, ..) => String::new(),
            (Needle::Bad(why), ..) => format!("Not a pattern: {why}"),
            (_, 0, true) => format!("not found{searched}"),
            (_, 0, false) => "searching…".to_owned(),
            (_, count, is_done) => {
                let more = if is_done { "" } else { ", searching…" };
                format!("{} of {count}{searched}{more}", reader.at_match.get().min(count - 1) + 1)
            }
        }
    };
    let is_bad = move || reader.needle.with(|needle| matches!(needle, Needle::Bad(_)));
    let is_pattern = query.signal("re");
    // Something that is on or off, and stands in the address.
    let switch = move |key: &'static str,
                       value_on: &'static str,
                       label: &'static str,
                       words: &'static str| {
        let now = query.signal(key);
        let target = value(move || query.with(&[(key, if now.get().is_empty() { value_on } else { "" })]));
        view! { <a class="chip" href=target aria-label=label title=label aria-current=at_times("true", move || !now.get().is_empty())>{words}</a> }
    };
    let hits = move || {
        reader.needle.with(Needle::is_some).then(|| switch("hits", "1", "Only lines with hits", "only hits"))
    };
    let around = move || {
        let is_narrow = reader.is_only_hits.get() || !level.get().is_empty();
        is_narrow.then(|| switch("around", "5", "Five lines before and after each", "± 5 lines"))
    };
    let search = move |text: &str| {
        reader.begin_search();
        query.set(&[("log", text)]);
    };
    view! {
        <div class="log-tools">
            <h2 id="log-title" class="font-semibold mr-2">"Log"</h2>
            {chosen("service", "services")}
            {chosen("stage", "steps")}
            {level_chip("error", "errors", Signal::derive(move || counts.get().0))}
            {level_chip("warning", "warnings", Signal::derive(move || counts.get().1))}
            <form method="get" role="search" aria-label="Search the log" class="filter" on:submit=move |event| { event.prevent_default(); reader.go(1); }>
                <input class="input input-small" type="search" name="log" placeholder="Search the log" aria-label="Search the log"
                    aria-invalid=at_times("true", is_bad) aria-describedby="log-found"
                    prop:value=value(move || reader.typed.get()) on:input=move |event| search(&event_target_value(&event))/>
                {untrack(|| is_pattern.get() != "").then(|| view! { <input type="hidden" name="re" value="1"/> })}
            </form>
            {switch("re", "1", "Regular expression", ".*")}
            <span id="log-found" class="text-meta text-muted" class:complaint=flag(is_bad) role="status">{text(found)}</span>
            {part(hits)}
            {part(around)}
            <AsOf/>
            <span class="flex flex-wrap gap-2 ml-auto">
                <button type="button" class="btn-icon" aria-label="Previous hit" on:click=click(move || reader.go(-1))><Icon glyph=Glyph::Left/></button>
                <button type="button" class="btn-icon" aria-label="Next hit" on:click=click(move || reader.go(1))><Icon glyph=Glyph::Right/></button>
                <button type="button" hidden data-key="e" on:click=click(move || reader.error_by(1))>"Next error"</button>
                <button type="button" hidden data-key="E" on:click=click(move || reader.error_by(-1))>"Previous error"</button>
                <button type="button" class="btn btn-small" data-key="f" aria-pressed=value(move || reader.follow.get().to_string())
                    on:click=click(move || reader.set_follow(!reader.follow.get_untracked()))>"Follow"</button>
                <button type="button" class="btn btn-small" data-key="w" aria-pressed=value(move || wrap.get().to_string())
                    on:click=click(move || prefs.change(|prefs| prefs.wrap = !prefs.wrap))>"Wrap"</button>
                <a class="btn btn-small" href=format!("/deployments/{id}/log.txt") rel="external" download="" aria-label="Download the whole log"><Icon glyph=Glyph::Download/></a>
            </span>
        </div>
    }
}
