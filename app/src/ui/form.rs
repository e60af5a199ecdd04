//! Parts of forms.

use leptos::prelude::*;

/// A labelled text field.
#[component]
pub fn Field(
    /// Its name in the form.
    name: &'static str,
    /// What people read.
    label: &'static str,
    /// `text` or `password`.
    kind: &'static str,
    /// What password managers go by.
    autocomplete: &'static str,
) -> impl IntoView {
    view! {
        <label class="grid gap-1">
            <span class="text-meta font-medium">{label}</span>
            <input class="input" type=kind name=name autocomplete=autocomplete required=true maxlength="1024"/>
        </label>
    }
}

/// Something that went wrong, said before the form.
#[component]
pub fn Notice(
    /// The text.
    text: &'static str,
) -> impl IntoView {
    view! { <p role="alert" class="notice mb-4">{text}</p> }
}
