//! Short words about what was just done; errors stay until they are closed.

use super::icon::{Glyph, Icon};
use leptos::prelude::*;
use std::time::Duration;

const SHOWN: Duration = Duration::from_secs(6);
const TOASTS_MAX: usize = 3;

/// What is said.
#[derive(Debug, Clone)]
struct Toast {
    number: u64,
    text: String,
    is_error: bool,
    undo: Option<Callback<()>>,
}

/// What is said at the moment; in the context of all.
#[derive(Debug, Clone, Copy)]
pub struct Toasts {
    all: RwSignal<Vec<Toast>>,
    said: StoredValue<u64>,
}

impl Toasts {
    /// Puts it into the context.
    pub fn provide() {
        provide_context(Self { all: RwSignal::new(Vec::new()), said: StoredValue::new(0) });
    }

    /// From the context.
    pub fn here() -> Self {
        expect_context()
    }

    /// Says that something was done.
    pub fn done(self, text: impl Into<String>) {
        self.add(text.into(), false, None);
    }

    /// Says that something was done, and offers to undo it.
    pub fn undoable(self, text: impl Into<String>, undo: impl Fn() + Send + Sync + 'static) {
        self.add(text.into(), false, Some(Callback::new(move |()| undo())));
    }

    /// Says that something did not work.
    pub fn failed(self, text: impl Into<String>) {
        self.add(text.into(), true, None);
    }

    fn add(self, text: String, is_error: bool, undo: Option<Callback<()>>) {
        self.said.update_value(|said| *said += 1);
        let number = self.said.get_value();
        self.all.update(|all| {
            all.push(Toast { number, text, is_error, undo });
            let surplus = all.len().saturating_sub(TOASTS_MAX);
            all.drain(..surplus);
        });
        if !is_error {
            set_timeout(move || self.close(number), SHOWN);
        }
    }

    fn close(self, number: u64) {
        let _ = self.all.try_update(|all| all.retain(|toast| toast.number != number));
    }
}

/// Shows what is said.
#[component]
pub fn ToastList() -> impl IntoView {
    let toasts = Toasts::here();
    let one = move |toast: Toast| {
        let number = toast.number;
        let text = toast.text.clone();
        let undo = toast.undo.map(|undo| view! {
            <button type="button" class="btn btn-small" on:click=move |_| { undo.run(()); toasts.close(number); }>"Undo"</button>
        });
        let copy =
            toast.is_error.then(|| view! { <super::CopyButton text=text.clone() label="Copy details"/> });
        view! {
            <div class="toast" class:toast-bad=toast.is_error>
                <Icon glyph=if toast.is_error { Glyph::Bad } else { Glyph::Ok }/>
                <p class="grow break-words">{text}</p>
                {undo}
                {copy}
                <button type="button" class="btn-icon" aria-label="Close" on:click=move |_| toasts.close(number)>
                    <Icon glyph=Glyph::Close/>
                </button>
            </div>
        }
    };
    view! {
        <div class="toasts" role="status" aria-live="polite">
            <For each=move || toasts.all.get() key=|toast| toast.number children=one/>
        </div>
    }
}
