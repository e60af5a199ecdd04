//! What a page shows stands in its address: filters, tabs, windows. Reading is tracked; writing
//! replaces the entry of the history, so that going back leaves the page.

use leptos::prelude::*;
use leptos_router::{
    NavigateOptions,
    hooks::{use_location, use_navigate, use_query_map},
    params::ParamsMap,
};

/// The query of the page's address.
#[derive(Clone, Copy)]
pub struct Query {
    map: Memo<ParamsMap>,
    path: StoredValue<String>,
    go: StoredValue<Callback<String>>,
}

impl Query {
    /// Of this page.
    pub fn here() -> Self {
        let navigate = use_navigate();
        // The page's own: while the next one is loaded, the address is that one's already.
        let path = use_location().pathname.get_untracked();
        let go = Callback::new(move |address: String| {
            let options = NavigateOptions { replace: true, scroll: false, ..NavigateOptions::default() };
            navigate(&address, options);
        });
        Self { map: use_query_map(), path: StoredValue::new(path), go: StoredValue::new(go) }
    }

    /// A value; empty when it is not there. Tracked.
    pub fn get(self, name: &str) -> String {
        self.map.with(|map| map.get(name)).unwrap_or_default()
    }

    /// A value as a signal.
    pub fn signal(self, name: &'static str) -> Memo<String> {
        Memo::new(move |_| self.get(name))
    }

    /// The address with some values changed; empty ones are left out. Tracked.
    pub fn with(self, changes: &[(&str, &str)]) -> String {
        self.map.with(|map| self.path.with_value(|path| written(path, map.clone(), changes)))
    }

    /// Changes some values.
    pub fn set(self, changes: &[(&str, &str)]) {
        let address =
            self.map.with_untracked(|map| self.path.with_value(|path| written(path, map.clone(), changes)));
        self.go.with_value(|go| go.run(address));
    }

    /// Whether any of these values is there. Tracked.
    pub fn has(self, names: &[&str]) -> bool {
        self.map.with(|map| names.iter().any(|name| map.get(name).is_some_and(|value| !value.is_empty())))
    }
}

fn written(path: &str, mut map: ParamsMap, changes: &[(&str, &str)]) -> String {
    for (name, value) in changes {
        map.remove(name);
        if !value.is_empty() {
            map.insert((*name).to_owned(), (*value).to_owned());
        }
    }
    let query = map.to_query_string();
    format!("{path}{query}")
}
