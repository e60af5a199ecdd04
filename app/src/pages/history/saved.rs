//! Views that somebody saved under a name: addresses, kept by the browser. Each is a link, so it can be given
//! on as one.

use super::pairs;
use crate::{
    pages::encoded,
    query::Query,
    ui::{Glyph, Icon, Toasts},
};
use leptos::{ev::SubmitEvent, prelude::*};

/// Under which name the browser keeps them: a line each, the name and the query with a tab between them.
const KEY: &str = "lockstep.views";
const VIEWS_MAX: usize = 30;
const NAME_MAX: usize = 40;

type Views = Vec<(String, String)>;

fn read(text: &str) -> Views {
    let pair = |line: &str| {
        let (name, query) = line.split_once('\t')?;
        (!name.is_empty()).then(|| (name.to_owned(), query.to_owned()))
    };
    text.lines().filter_map(pair).take(VIEWS_MAX).collect()
}

fn written(views: &[(String, String)]) -> String {
    views.iter().map(|(name, query)| format!("{name}\t{query}\n")).collect()
}

/// With one more, or another query under the same name.
fn with(mut views: Views, name: &str, query: String) -> Views {
    let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(NAME_MAX).collect();
    let name = name.trim().to_owned();
    match views.iter_mut().find(|(known, _)| *known == name) {
        _ if name.is_empty() => {}
        Some(known) => known.1 = query,
        None => views.push((name, query)),
    }
    views
}

fn kept() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// The views of this browser, and a field to save another one.
#[component]
pub(super) fn SavedViews(query: Query) -> impl IntoView {
    let toasts = Toasts::here();
    let views = RwSignal::new(Views::new());
    let name = RwSignal::new(String::new());
    // Nothing of it is known to the server.
    Effect::new(move |_| {
        let text = kept().and_then(|kept| kept.get_item(KEY).ok().flatten()).unwrap_or_default();
        views.set(read(&text));
    });
    // Undoing comes from outside this page, perhaps when it was left.
    let keep = move |new: Views| {
        let is_kept = kept().is_some_and(|kept| kept.set_item(KEY, &written(&new)).is_ok());
        if !is_kept {
            toasts.failed("This browser keeps nothing for this page; copy the address instead.");
        }
        let _ = views.try_set(new);
    };
    let here = move || {
        let all = pairs(query).chain([("per", query.get("per"))]).filter(|(_, value)| !value.is_empty());
        all.map(|(name, value)| format!("{name}={}", encoded(&value))).collect::<Vec<_>>().join("&")
    };
    let save = move |event: SubmitEvent| {
        event.prevent_default();
        let now = untrack(here);
        if views.with_untracked(Vec::len) >= VIEWS_MAX {
            toasts.failed(format!("{VIEWS_MAX} views are kept; remove one first."));
        } else if !name.with_untracked(|name| name.trim().is_empty()) {
            keep(with(views.get_untracked(), &name.get_untracked(), now));
            name.set(String::new());
        }
    };
    let one = move |(name, target): (String, String)| {
        let href = format!("/deployments?{target}");
        let is_here = {
            let target = target.clone();
            move || (here() == target).then_some("true")
        };
        let label = format!("Remove the view {name}");
        let gone = name.clone();
        let remove = move |_| {
            let before = views.get_untracked();
            keep(before.iter().filter(|(known, _)| *known != gone).cloned().collect());
            toasts.undoable(format!("View {gone} removed"), move || keep(before.clone()));
        };
        view! {
            <span class="saved">
                <a class="chip" href=href aria-current=is_here>{name}</a>
                <button type="button" class="btn-icon" aria-label=label on:click=remove><Icon glyph=Glyph::Close/></button>
            </span>
        }
    };
    let is_wanted = move || views.with(|views| !views.is_empty()) || !here().is_empty();
    view! {
        <div class="card-head" hidden=move || !is_wanted()>
            <div class="chips" role="group" aria-label="Saved views">
                {move || views.get().into_iter().map(one).collect_view()}
            </div>
            <form class="flex gap-2 ml-auto" on:submit=save>
                <input class="input input-small" aria-label="Name of this view" placeholder="Name of this view" maxlength="40" autocomplete="off"
                    prop:value=move || name.get() on:input=move |event| name.set(event_target_value(&event))/>
                <button type="submit" class="btn btn-small">"Save view"</button>
            </form>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_kept_as_they_were_named() {
        let views = with(Views::new(), " failed\tin production ", "phase=failed".to_owned());
        let views = with(views, "mine", "by=anna".to_owned());
        let views = with(views, "mine", "by=bert".to_owned());
        let views = with(views, "  ", "by=nobody".to_owned());
        assert_eq!(read(&written(&views)), views);
        assert_eq!(
            views,
            [
                ("failed in production".to_owned(), "phase=failed".to_owned()),
                ("mine".to_owned(), "by=bert".to_owned())
            ]
        );
        assert!(read("no tab\n\tno name\n").is_empty());
    }
}
