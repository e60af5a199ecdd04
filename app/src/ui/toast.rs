//! Short words about what was just done; errors stay until they are closed.

use super::icon::{Glyph, Icon};
use leptos::prelude::*;
use std::{sync::Arc, time::Duration};

const SHOWN: Duration = Duration::from_secs(6);
/// Whoever wants something back has to read, decide and get there.
const UNDO_SHOWN: Duration = Duration::from_secs(12);
/// Short words at a time; errors stay whatever comes after them.
const TOASTS_MAX: usize = 3;
/// Errors that nobody closes; the oldest of more is taken away.
const ERRORS_MAX: usize = 12;

/// What takes something back. Its own: the button that it was done with may be gone by then.
type Undo = Arc<dyn Fn() + Send + Sync>;

/// What is said.
#[derive(Clone)]
struct Toast {
    number: u64,
    text: String,
    is_error: bool,
    undo: Option<Undo>,
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

    /// Whether there is something to show.
    pub fn wanted(self) -> Signal<bool> {
        Signal::derive(move || !self.all.with(Vec::is_empty))
    }

    /// Says that something was done.
    pub fn done(self, text: impl Into<String>) {
        self.add(text.into(), false, None);
    }

    /// Says that something was done, and offers to undo it.
    pub fn undoable(self, text: impl Into<String>, undo: impl Fn() + Send + Sync + 'static) {
        self.add(text.into(), false, Some(Arc::new(undo)));
    }

    /// Says that something did not work.
    pub fn failed(self, text: impl Into<String>) {
        self.add(text.into(), true, None);
    }

    fn add(self, text: String, is_error: bool, undo: Option<Undo>) {
        self.said.update_value(|said| *said += 1);
        let number = self.said.get_value();
        let shown = if undo.is_some() { UNDO_SHOWN } else { SHOWN };
        self.all.update(|all| {
            all.push(Toast { number, text, is_error, undo });
            make_room(all);
        });
        if !is_error {
            set_timeout(move || self.close(number), shown);
        }
    }

    fn close(self, number: u64) {
        let _ = self.all.try_update(|all| all.retain(|toast| toast.number != number));
    }
}

/// Takes away the oldest of too many.
fn make_room(all: &mut Vec<Toast>) {
    for (is_error, max) in [(false, TOASTS_MAX), (true, ERRORS_MAX)] {
        let mut surplus = all.iter().filter(|toast| toast.is_error == is_error).count().saturating_sub(max);
        all.retain(|toast| {
            let goes = toast.is_error == is_error && surplus > 0;
            surplus -= usize::from(goes);
            !goes
        });
    }
}

/// Shows what is said; the region around it is there from the begin, for those who listen.
#[component]
pub fn ToastList() -> impl IntoView {
    let toasts = Toasts::here();
    let one = move |toast: Toast| {
        let number = toast.number;
        let text = toast.text.clone();
        let undo = toast.undo.map(|undo| view! {
            <button type="button" class="btn btn-small" on:click=move |_| { undo(); toasts.close(number); }>"Undo"</button>
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
        <For each=move || toasts.all.get() key=|toast| toast.number children=one/>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_later_takes_no_error_away() {
        let mut all = Vec::new();
        for number in 0..10 {
            all.push(Toast { number, text: String::new(), is_error: number == 1, undo: None });
            make_room(&mut all);
        }
        let numbers: Vec<u64> = all.iter().map(|toast| toast.number).collect();
        assert_eq!(numbers, [1, 7, 8, 9]);
    }

    #[test]
    fn errors_that_nobody_closes_are_bounded() {
        let mut all = Vec::new();
        for number in 0..100 {
            all.push(Toast { number, text: String::new(), is_error: true, undo: None });
            make_room(&mut all);
        }
        assert_eq!(all.len(), ERRORS_MAX);
        assert_eq!(all[0].number, 100 - ERRORS_MAX as u64);
    }
}
