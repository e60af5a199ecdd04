//! How the overview is laid out: matrix or list, and in which order. All of it stands in the address; as it
//! is without, what needs somebody comes first.

use crate::{
    query::Query,
    ui::State,
    ui::boxed::{at_times, value},
};
use leptos::prelude::*;
use lockstep_model::Timestamp;

/// What an address calls a choice, what people read, and to what it belongs.
const CHOICES: [(&str, &str, &str); 5] = [
    ("view", "", "Matrix"),
    ("view", "list", "List"),
    ("sort", "", "Failing first"),
    ("sort", "name", "Name"),
    ("sort", "since", "Last changed"),
];

/// What the address says of it.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Arranged {
    /// A row for each service in each environment.
    pub(super) is_list: bool,
    pub(super) sort: String,
}

impl Arranged {
    /// As the address says. Tracked.
    pub(super) fn of(query: Query) -> Self {
        Self { is_list: query.get("view") == "list", sort: query.get("sort") }
    }

    /// Lower ones come first; those of the same rank by name.
    pub(super) fn rank(&self, state: State, since: Option<Timestamp>) -> i64 {
        match self.sort.as_str() {
            "name" => 0,
            "since" => since.map_or(i64::MAX, |at| -at.0),
            _ => state as i64,
        }
    }
}

/// A link that is on or not.
pub(super) fn chip(
    word: String,
    target: impl Fn() -> String + Send + 'static,
    is_on: impl Fn() -> bool + Send + 'static,
) -> AnyView {
    view! { <a class="chip" href=value(target) aria-current=at_times("true", is_on)>{word}</a> }.into_any()
}

/// The choices, as links with what they are about beside them.
#[component]
pub(super) fn Arrange(query: Query) -> impl IntoView {
    let choices = move |wanted: &'static str, label: &'static str| {
        let ours = CHOICES.iter().filter(move |(name, ..)| *name == wanted);
        let all = ours.map(|(name, key, word)| {
            // Whatever is not known is as if nothing was said.
            let is_on = move || {
                let now = query.get(name);
                let is_known = CHOICES.iter().any(|(other, known, _)| other == name && *known == now);
                now == *key || (key.is_empty() && !is_known)
            };
            chip((*word).to_owned(), move || query.with(&[(name, key)]), is_on)
        });
        let all: Vec<AnyView> = all.collect();
        view! { <div class="chips" role="group" aria-label=label><span class="chips-name" aria-hidden="true">{label}</span>{all}</div> }
    };
    view! {
        <details class="sheet">
            <summary class="chip">"Arrange"</summary>
            <div class="sheet-body">{choices("view", "View")}{choices("sort", "Order")}</div>
        </details>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_last_comes_first_and_what_never_did_last() {
        let by = |sort: &str| Arranged { sort: sort.to_owned(), ..Arranged::default() };
        let rank = |sort: &str, at: Option<i64>| by(sort).rank(State::Healthy, at.map(Timestamp));
        assert!(rank("since", Some(2)) < rank("since", Some(1)));
        assert!(rank("since", Some(1)) < rank("since", None));
        assert_eq!(rank("name", Some(1)), rank("name", None));
        assert!(by("").rank(State::Unhealthy, None) < by("").rank(State::Degraded, None));
    }
}
