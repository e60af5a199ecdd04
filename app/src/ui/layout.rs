//! Frames and what stands where nothing else does.

use super::shell::{Mark, title_mark};
use crate::{AppError, live::Live};
use leptos::prelude::*;
use leptos_meta::Title;

/// Marks the document once a page answers: tests and styles can tell it from one that is still only
/// text. Said by pages, since their code may come later than that of the frame.
fn mark_taken_over() {
    Effect::new(|_| {
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-hydrated", "");
        }
    });
}

/// A page with one narrow column: signing in, errors.
#[component]
pub fn Narrow(
    /// The page's heading.
    heading: &'static str,
    /// What stands below it.
    children: Children,
) -> impl IntoView {
    mark_taken_over();
    view! {
        <main class="narrow">
            <div class="card p-6 sm:p-8">
                <p class="brand mb-6"><Mark/>"Lockstep"</p>
                <h1 class="text-h1 font-semibold mb-4">{heading}</h1>
                {children()}
            </div>
        </main>
    }
}

/// The title of a signed-in page; what needs somebody stands before it.
#[component]
pub fn PageTitle(
    /// The page's own name.
    #[prop(into)]
    text: Signal<String>,
) -> impl IntoView {
    let live = Live::here();
    mark_taken_over();
    view! { <Title text=move || format!("{}{}", title_mark(live), text.get())/> }
}

/// Nothing is there: why, and what to do next.
#[component]
pub fn Nothing(
    /// Why.
    heading: &'static str,
    /// What next.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="nothing">
            <p class="font-semibold">{heading}</p>
            <div class="text-muted mt-1">{children()}</div>
        </div>
    }
}

/// Something did not work.
#[component]
pub fn Failure(
    /// What.
    error: AppError,
) -> impl IntoView {
    let incident = error.0.incident.clone().map(|incident| view! {
        <p class="text-meta mt-1">"Incident "<code>{incident}</code>": the server's log says more under this number."</p>
    });
    view! {
        <div role="alert" class="notice">
            <p>{error.to_string()}</p>
            {incident}
            <a class="link" href="" rel="external">"Try again"</a>
        </div>
    }
}
