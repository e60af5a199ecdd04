//! Buttons that copy.

use super::{
    icon::{Glyph, Icon},
    toast::Toasts,
};
use leptos::prelude::*;

/// Copies a text.
#[component]
pub fn CopyButton(
    /// The text.
    #[prop(into)]
    text: Signal<String>,
    /// What it does, for the button.
    label: &'static str,
    /// Whether the label is shown, too.
    #[prop(optional)]
    wide: bool,
) -> impl IntoView {
    let toasts = Toasts::here();
    let copy = move |_| {
        copy_text(toasts, &text.get_untracked());
    };
    view! {
        <button type="button" class=if wide { "btn" } else { "btn-icon" } aria-label=(!wide).then_some(label) title=label on:click=copy>
            <Icon glyph=if wide { Glyph::Link } else { Glyph::Copy }/>
            {wide.then_some(label)}
        </button>
    }
}

/// Copies a text and says so.
pub fn copy_text(toasts: Toasts, text: &str) {
    // Pages that are not reached over HTTPS or the own machine have no clipboard.
    let clipboard = js_sys::Reflect::get(&window().navigator(), &"clipboard".into());
    if clipboard.is_ok_and(|clipboard| !clipboard.is_undefined()) {
        let _ = window().navigator().clipboard().write_text(text);
        toasts.done("Copied");
    } else {
        toasts.failed(format!("The browser gives no access to the clipboard here. The text: {text}"));
    }
}

/// The address of this page, whole.
pub fn page_address() -> String {
    window().location().href().unwrap_or_default()
}
