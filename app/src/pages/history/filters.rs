//! What a list of deployments is narrowed to: chosen, seen, and taken away one by one.

use super::{FILTERS, RANGES, SORTS};
use crate::{
    query::Query,
    time::{iso, of_field, read_iso, to_field},
    ui::{Glyph, Icon},
};
use leptos::prelude::*;
use std::time::Duration;

/// A range with a begin and an end of its own.
const CUSTOM: &str = "custom";
/// The list is asked again when nothing was typed for so long.
const SEARCH_AFTER: Duration = Duration::from_millis(250);

/// Everything to choose from, and what was chosen.
#[component]
pub(super) fn Filters(query: Query) -> impl IntoView {
    let is_filtered = move || query.has(&FILTERS);
    let toasts = crate::ui::Toasts::here();
    let clear = move |event: leptos::ev::MouseEvent| {
        event.prevent_default();
        let before: Vec<(&str, String)> = FILTERS.into_iter().map(|name| (name, query.get(name))).collect();
        let none: Vec<(&str, &str)> = FILTERS.into_iter().chain(["cursor"]).map(|name| (name, "")).collect();
        query.set(&none);
        toasts.undoable("Filters cleared", move || {
            let again: Vec<(&str, &str)> =
                before.iter().map(|(name, value)| (*name, value.as_str())).collect();
            query.set(&again);
        });
    };
    let select =
        move |name: &'static str, label: &'static str, options: Vec<(&'static str, &'static str)>| {
            let options = options
                .into_iter()
                .map(|(key, word)| {
                    view! {
                        <option value=key selected=move || query.get(name) == key>{word}</option>
                    }
                })
                .collect_view();
            view! {
                <select class="input input-small w-auto" name=name aria-label=label on:change=move |event| {
                    let value = event_target_value(&event);
                    query.set(&[(name, &value), ("cursor", "")]);
                    if name == "range" && value != CUSTOM { query.set(&[("from", ""), ("to", "")]); }
                }>{options}</select>
            }
        };
    let ranges = std::iter::once(("", "any time"))
        .chain(RANGES.iter().map(|(key, word, _)| (*key, *word)))
        .chain([(CUSTOM, "between…")])
        .collect();
    let timer = StoredValue::new(None::<TimeoutHandle>);
    let stop = move || {
        let _ = timer.try_update_value(|timer| timer.take().map(|timer| timer.clear()));
    };
    on_cleanup(stop);
    let search = move |event: leptos::ev::Event| {
        stop();
        let typed = event_target_value(&event);
        let look = move || query.set(&[("q", &typed), ("cursor", "")]);
        timer.set_value(set_timeout_with_handle(look, SEARCH_AFTER).ok());
    };
    // Without scripts the form is sent: what was chosen besides goes with it. Nothing of it is in the way
    // of scripts, which never send it.
    let named = |name: &&str| !["q", "range"].contains(name) && !query.get(name).is_empty();
    let chosen = untrack(|| {
        let names = FILTERS.into_iter().filter(named);
        names.map(|name| view! { <input type="hidden" name=name value=query.get(name)/> }).collect_view()
    });
    let sorts = SORTS.iter().map(|(key, _, word)| (*key, *word)).collect();
    view! {
        <form method="get" role="search" class="card-head" on:submit=|event| event.prevent_default()>
            <input class="input input-small flex-1 min-w-48" type="search" name="q" placeholder="Words, or status:failed env:production service:backend version:1.2.0 trigger:token by:anna"
                aria-label="Search deployments" data-key="/" value=query.get("q") prop:value=move || query.get("q")
                on:input=search/>
            {chosen}
            {select("range", "Time", ranges)}
            {select("sort", "Order", sorts)}
            <noscript><button class="btn" type="submit">"Search"</button></noscript>
            {move || is_filtered().then(|| view! { <a class="link text-meta" href="/deployments" on:click=clear>"Clear filters"</a> })}
        </form>
        <Between query/>
        <Active query/>
    }
}

/// A filter in words.
fn words(name: &str, value: &str) -> String {
    let label = match name {
        "q" => return format!("“{value}”"),
        "range" => {
            return RANGES
                .iter()
                .find(|(key, ..)| *key == value)
                .map_or(value, |(_, word, _)| word)
                .to_owned();
        }
        "phase" => "status",
        "by" => "user",
        "to" => "until",
        other => other,
    };
    let value = if name == "phase" { value.replace('_', " ") } else { value.to_owned() };
    format!("{label}: {value}")
}

/// What the list is narrowed to; each goes away by itself.
#[component]
fn Active(query: Query) -> impl IntoView {
    move || {
        let all = FILTERS.into_iter().map(|name| (name, query.get(name)));
        let all = all.filter(|(_, value)| !value.is_empty() && value != CUSTOM);
        let chips: Vec<_> = all.map(|(name, value)| {
            let words = words(name, &value);
            let label = format!("Remove the filter {words}");
            view! { <a class="chip" aria-current="true" href=query.with(&[(name, ""), ("cursor", "")]) aria-label=label>{words}<Icon glyph=Glyph::Close/></a> }
        }).collect();
        (!chips.is_empty()).then(|| view! { <div class="card-head"><div class="chips" role="group" aria-label="Active filters">{chips}</div></div> })
    }
}

/// A begin and an end, in the browser's time; the address holds them in UTC.
#[component]
fn Between(query: Query) -> impl IntoView {
    let field = move |name: &'static str, label: &'static str| {
        let shown = move || read_iso(&query.get(name)).map(to_field).unwrap_or_default();
        let set = move |event: leptos::ev::Event| {
            let at = of_field(&event_target_value(&event)).map(iso).unwrap_or_default();
            query.set(&[(name, &at), ("cursor", "")]);
        };
        view! { <label class="field"><span>{label}</span><input class="input input-small" type="datetime-local" prop:value=shown on:change=set/></label> }
    };
    let is_shown = Memo::new(move |_| query.get("range") == CUSTOM || query.has(&["from", "to"]));
    move || {
        is_shown
            .get()
            .then(|| view! { <div class="card-head">{field("from", "From")}{field("to", "Until")}</div> })
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn every_filter_has_words() {
        assert_eq!(words("phase", "rolled_back"), "status: rolled back");
        assert_eq!(words("range", "24h"), "last day");
        assert_eq!(words("service", "backend"), "service: backend");
        assert_eq!(words("q", "pool timed"), "“pool timed”");
    }
}
