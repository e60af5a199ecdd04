//! Keys: single letters and what they do. They can be switched off, and never act while somebody
//! types.

use super::{dialog::Dialog, shell::PAGES};
use crate::prefs::{Preferences, Theme};
use leptos::{ev, leptos_dom::helpers::window_event_listener, prelude::*};
use leptos_router::hooks::use_navigate;
use wasm_bindgen::JsCast;

/// What keys do, for the help.
const HELP: [(&str, &str); 17] = [
    ("?", "this help"),
    ("Ctrl K", "search or run a command"),
    ("/", "go to the filter of the page"),
    ("g o", "overview"),
    ("g d", "deployments"),
    ("g s", "services"),
    ("g l", "locks and freezes"),
    ("g e", "settings"),
    ("c d", "start a deployment"),
    ("c t", "theme: system, light, dark"),
    ("j k", "next and previous in a list"),
    ("[ ]", "previous and next deployment"),
    ("+ − 0", "timeline, dependencies: closer, wider, all of it"),
    ("← →", "timeline: move the window; overview: the last looks at a service"),
    ("f", "log: follow"),
    ("w", "log: break long lines"),
    ("e E", "log: next and previous error"),
];

/// Whether keys belong to what has the focus.
fn is_typing(event: &ev::KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    target.is_some_and(|element| {
        matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT")
            || element.closest("dialog[open]").ok().flatten().is_some()
    })
}

/// Clicks the first thing that a page marks for a key, if it has one.
fn press(key: &str) -> bool {
    let Ok(Some(element)) = document().query_selector(&format!("[data-key='{key}']")) else { return false };
    if let Some(element) = element.dyn_ref::<web_sys::HtmlElement>() {
        match element.tag_name().as_str() {
            "INPUT" | "SELECT" => {
                let _ = element.focus();
            }
            _ => element.click(),
        }
    }
    true
}

/// Whether nothing has the focus that could have a use for arrows.
fn is_nowhere() -> bool {
    document()
        .active_element()
        .is_none_or(|element| matches!(element.tag_name().as_str(), "BODY" | "H1" | "MAIN"))
}

/// Moves the focus among the entries of a list.
fn step(by: i32) {
    let Ok(entries) = document().query_selector_all("[data-entry]") else { return };
    let count = entries.length() as i32;
    if count == 0 {
        return;
    }
    let focused = document().active_element();
    let place = (0..count).find(|place| {
        let entry = entries.item(*place as u32);
        entry.zip(focused.as_ref()).is_some_and(|(entry, focused)| entry.is_same_node(Some(focused)))
    });
    let next = place.map_or(if by > 0 { 0 } else { count - 1 }, |place| (place + by).clamp(0, count - 1));
    if let Some(entry) =
        entries.item(next as u32).and_then(|entry| entry.dyn_into::<web_sys::HtmlElement>().ok())
    {
        let _ = entry.focus();
    }
}

/// Hears keys, and shows the help.
#[component]
pub fn Keys(
    /// Whether the palette is open.
    palette: RwSignal<bool>,
    /// Whether the help is open.
    help: RwSignal<bool>,
) -> impl IntoView {
    let prefs = Preferences::here();
    let navigate = use_navigate();
    Effect::new(move |_| {
        let navigate = navigate.clone();
        // The letter that another one is waited for after.
        let first = StoredValue::new(0);
        let handle = window_event_listener(ev::keydown, move |event| {
            let key = event.key();
            if (event.ctrl_key() || event.meta_key()) && key.eq_ignore_ascii_case("k") {
                event.prevent_default();
                palette.set(true);
                return;
            }
            // Also while their code is still on its way: what is typed then is no command.
            if palette.get_untracked() || help.get_untracked() {
                return;
            }
            let is_command = event.ctrl_key() || event.meta_key() || event.alt_key();
            if is_command || is_typing(&event) || !prefs.with(|prefs| prefs.keys) {
                return;
            }
            let before = first.get_value();
            let letter = key.as_bytes().first().copied().unwrap_or(0);
            let is_first = before == 0 && key.len() == 1 && (letter == b'g' || letter == b'c');
            first.set_value(if is_first { letter } else { 0 });
            if before == b'g' {
                if let Some((path, ..)) = PAGES.iter().find(|(.., letter)| *letter == key) {
                    event.prevent_default();
                    navigate(path, Default::default());
                }
                return;
            }
            if before == b'c' {
                match letter {
                    b'd' => navigate("/deployments/new", Default::default()),
                    b't' => prefs.change(|prefs| {
                        let place = Theme::ALL.iter().position(|theme| *theme == prefs.theme).unwrap_or(0);
                        prefs.theme = Theme::ALL[(place + 1) % Theme::ALL.len()];
                    }),
                    _ => {}
                }
                return;
            }
            let done = match key.as_str() {
                "?" => {
                    help.set(true);
                    true
                }
                "j" => {
                    step(1);
                    true
                }
                "k" => {
                    step(-1);
                    true
                }
                "/" | "[" | "]" | "+" | "-" | "0" | "f" | "w" | "e" | "E" => press(&key),
                "ArrowLeft" | "ArrowRight" => is_nowhere() && press(&key),
                "=" => press("+"),
                _ => false,
            };
            if done {
                event.prevent_default();
            }
        });
        on_cleanup(move || handle.remove());
    });
}

/// What keys do.
#[component]
pub fn Help(
    /// Whether it is open.
    open: RwSignal<bool>,
) -> impl IntoView {
    let rows = HELP.map(|(keys, what)| {
        let keys: Vec<_> = keys.split(' ').map(|key| view! { <kbd>{key.to_owned()}</kbd> }).collect();
        view! { <div class="help-row"><dt>{keys}</dt><dd>{what}</dd></div> }
    });
    view! {
        <Dialog open title="Keys">
            <dl class="help">{rows}</dl>
            <p class="text-meta text-muted">"Single keys can be switched off under Settings."</p>
        </Dialog>
    }
}
