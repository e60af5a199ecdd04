//! Dialogs: the browser's own, so that focus stays inside, goes back afterwards, and Escape closes.

use super::{
    icon::{Glyph, Icon},
    layout::focus_heading,
};
use leptos::{ev::SubmitEvent, html, prelude::*};
use std::{fmt, sync::Arc};
use wasm_bindgen::JsCast;

/// Marks what had the focus when a dialog was opened.
const OPENER: &str = "data-opener";

/// A dialog that is open while `open` says so.
#[component]
pub fn Dialog(
    /// Whether it is open; it says so itself when it is closed.
    open: RwSignal<bool>,
    /// Its heading.
    #[prop(into)]
    title: Signal<String>,
    /// Further classes.
    #[prop(optional)]
    class: &'static str,
    /// What stands in it.
    children: Children,
) -> impl IntoView {
    let node = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        let Some(dialog) = node.get() else { return };
        // An error means that it is as it should be.
        let _ = match (open.get(), dialog.open()) {
            (true, false) => {
                if let Some(opener) = document().active_element() {
                    let _ = opener.set_attribute(OPENER, "");
                }
                let shown = dialog.show_modal();
                focus_first(&dialog);
                shown
            }
            (false, true) => {
                dialog.close();
                Ok(())
            }
            _ => Ok(()),
        };
    });
    view! {
        <dialog node_ref=node class=format!("dialog {class}") aria-label=move || title.get()
            // The browser tells of it later; by then somebody may have opened it again.
            on:close=move |_| {
                if !node.get_untracked().is_some_and(|dialog| dialog.open()) { open.set(false); }
                // What was pressed may be gone meanwhile.
                match document().query_selector("[data-opener]") {
                    Ok(Some(opener)) => drop(opener.remove_attribute(OPENER)),
                    _ => focus_heading(),
                }
            }
            // A click beside it closes it.
            on:click=move |event| {
                let is_beside = node.get_untracked().is_some_and(|dialog| {
                    event.target().is_some_and(|target| js_sys::Object::is(target.as_ref(), &dialog))
                });
                if is_beside { open.set(false); }
            }>
            <div class="dialog-body">
                <div class="dialog-head">
                    <h2 class="text-card font-semibold" tabindex="-1">{move || title.get()}</h2>
                    <button type="button" class="btn-icon" aria-label="Close" on:click=move |_| open.set(false)>
                        <Icon glyph=Glyph::Close/>
                    </button>
                </div>
                {children()}
            </div>
        </dialog>
    }
}

/// What has the focus in a dialog that opens: what says so, else the first field, else the heading; never
/// what closes it, nor a button that acts.
fn focus_first(dialog: &web_sys::HtmlDialogElement) {
    for wanted in ["[autofocus]", "input, select, textarea", "h2"] {
        let found = dialog.query_selector(wanted).ok().flatten();
        if let Some(found) = found.and_then(|found| found.dyn_into::<web_sys::HtmlElement>().ok()) {
            let _ = found.focus();
            return;
        }
    }
}

/// A question before something is done.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is about to be done.
    pub title: String,
    /// What that means, a line each.
    pub impact: Vec<String>,
    /// What has to be typed before; none = nothing.
    pub must_type: Option<String>,
    /// Whether a reason is asked for.
    pub reason: Reason,
    /// The word on the button.
    pub verb: &'static str,
    /// Whether the button is to look dangerous.
    pub is_risky: bool,
    /// What is done, with the reason.
    pub then: Then,
}

/// What is done after a question. It outlives what asked: a list may be drawn anew, a dialog closed,
/// while somebody types.
#[derive(Clone)]
pub struct Then(Arc<dyn Fn(String) + Send + Sync>);

impl Then {
    /// With the reason that was given.
    pub fn new(act: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(act))
    }
}

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Then")
    }
}

/// Whether a reason is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It may be left out.
    Optional,
    /// It has to be given.
    Needed,
}

/// The one question that is open; in the context of all.
#[derive(Debug, Clone, Copy)]
pub struct Questions(RwSignal<Option<Ask>>);

impl Questions {
    /// Puts it into the context.
    pub fn provide() {
        provide_context(Self(RwSignal::new(None)));
    }

    /// From the context.
    pub fn here() -> Self {
        expect_context()
    }

    /// Whether there is one.
    pub fn wanted(self) -> Signal<bool> {
        Signal::derive(move || self.0.with(Option::is_some))
    }

    /// Asks.
    pub fn ask(self, ask: Ask) {
        self.0.set(Some(ask));
    }
}

/// Shows the question that is open.
#[component]
pub fn Question() -> impl IntoView {
    let Questions(question) = Questions::here();
    let open = RwSignal::new(false);
    let typed = RwSignal::new(String::new());
    let reason = RwSignal::new(String::new());
    let complaint = RwSignal::new(String::new());
    Effect::new(move |_| {
        if question.with(Option::is_some) {
            typed.set(String::new());
            reason.set(String::new());
            complaint.set(String::new());
            open.set(true);
        }
    });
    Effect::new(move |_| {
        if !open.get() {
            question.set(None);
        }
    });
    let title = Signal::derive(move || {
        question.with(|ask| ask.as_ref().map(|ask| ask.title.clone()).unwrap_or_default())
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        // A second press comes when the first one was heard already.
        let Some(ask) = question.get_untracked().filter(|_| open.get_untracked()) else { return };
        let given = typed.get_untracked();
        let given = given.trim();
        let wrong = match &ask.must_type {
            Some(wanted) if given.is_empty() => Some(format!("Type {wanted} to confirm.")),
            Some(wanted) if given != wanted => Some(format!("That is not {wanted}.")),
            Some(_) | None => None,
        };
        let missing = (ask.reason == Reason::Needed && reason.get_untracked().trim().is_empty())
            .then(|| "Say why; it is recorded.".to_owned());
        if let Some(text) = wrong.or(missing) {
            complaint.set(text);
            return;
        }
        open.set(false);
        (ask.then.0)(reason.get_untracked().trim().to_owned());
    };
    view! {
        <Dialog open title>
            <form method="dialog" on:submit=submit class="stack">
                {move || question.with(|ask| ask.as_ref().map(|ask| {
                    let impact = ask.impact.iter().map(|line| view! { <li>{line.clone()}</li> }).collect_view();
                    let must_type = ask.must_type.clone().map(|wanted| view! {
                        <label class="field">
                            <span>"Type "<code>{wanted}</code>" to confirm"</span>
                            <input class="input" name="typed" autocomplete="off" autocapitalize="off" spellcheck="false"
                                prop:value=move || typed.get() on:input=move |event| typed.set(event_target_value(&event))/>
                        </label>
                    });
                    let label = match ask.reason { Reason::Optional => "Why (optional, is recorded)", Reason::Needed => "Why (is recorded)" };
                    // Of what does harm and asks for no word, the key that was pressed last does nothing.
                    let is_safe = ask.is_risky && ask.must_type.is_none() && ask.reason == Reason::Optional;
                    let class = if ask.is_risky { "btn btn-risky" } else { "btn btn-primary" };
                    view! {
                        <ul class="impact">{impact}</ul>
                        {must_type}
                        <label class="field">
                            <span>{label}</span>
                            <input class="input" name="reason" maxlength="1000" autocomplete="off"
                                prop:value=move || reason.get() on:input=move |event| reason.set(event_target_value(&event))/>
                        </label>
                        <p class="complaint" role="alert">{move || complaint.get()}</p>
                        <div class="dialog-foot">
                            <button type="button" class="btn" autofocus=is_safe on:click=move |_| open.set(false)>"Do nothing"</button>
                            <button type="submit" class=class>{ask.verb}</button>
                        </div>
                    }
                }))}
            </form>
        </Dialog>
    }
}
