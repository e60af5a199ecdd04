//! Frames and what stands where nothing else does.

use super::{
    boxed::part,
    shell::{Mark, title_mark},
};
use crate::{AppError, live::Live, prefs::Preferences, time::clock_time};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_location;
use lockstep_model::{Timestamp, error::ErrorKind};
use std::time::Duration;
use wasm_bindgen::JsCast;

/// Marks the document once a page answers: tests and styles can tell it from one that is still only
/// text. Said by pages, since their code may come later than that of the frame. Whoever comes from
/// another page is led to the heading.
fn mark_taken_over() {
    Effect::new(|_| {
        if let Some(root) = document().document_element() {
            if root.has_attribute("data-hydrated") {
                look_for_heading(HEADING_LOOKS);
            }
            let _ = root.set_attribute("data-hydrated", "");
        }
    });
}

const HEADING_LOOKS: u32 = 60;
const HEADING_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Gives the heading the focus where what had it is gone.
pub(crate) fn focus_heading() {
    look_for_heading(0);
}

/// Gives the heading the focus when it is there, so that those who listen hear where they are; unless
/// somebody has gone on already.
fn look_for_heading(looks: u32) {
    let look = move || {
        let here = document().active_element();
        let is_busy = here.is_some_and(|here| here.closest("main, dialog").is_ok_and(|at| at.is_some()));
        if is_busy {
            return;
        }
        match document().query_selector("main h1") {
            Ok(Some(heading)) => {
                let _ = heading.set_attribute("tabindex", "-1");
                if let Some(heading) = heading.dyn_ref::<web_sys::HtmlElement>() {
                    let _ = heading.focus();
                }
            }
            _ if looks > 0 => look_for_heading(looks - 1),
            _ => {}
        }
    };
    set_timeout(look, HEADING_LOOK_EVERY);
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
    let title = move || {
        let (mark, text) = (title_mark(live), text.get());
        // On its own page a deployment is named once.
        let mark = mark.strip_suffix(&format!("{text} – ")).unwrap_or(&mark);
        format!("{mark}{text}")
    };
    view! { <Title text=of_this_page(title)/> }
}

/// The head of a page is written after its body, by whichever thread comes to it: without its owner
/// it would read what belongs to somebody else's page, or nothing at all.
#[cfg(feature = "ssr")]
fn of_this_page(text: impl Fn() -> String) -> impl Fn() -> String {
    let page = Owner::current().map(|owner| owner.downgrade());
    move || page.as_ref().and_then(|page| page.upgrade()).map(|page| page.with(&text)).unwrap_or_default()
}

#[cfg(not(feature = "ssr"))]
fn of_this_page<F: Fn() -> String>(text: F) -> F {
    text
}

/// From when what is shown is, while nothing is heard.
#[component]
pub fn AsOf() -> impl IntoView {
    let live = Live::here();
    let prefs = Preferences::here();
    part(move || {
        live.is_stale.get().then(|| {
            let at = prefs.with(|prefs| clock_time(Timestamp(live.heard.get()), &prefs.zone));
            view! { <span class="as-of">{format!("as of {at}")}</span> }
        })
    })
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
    // Asking again helps where it is not what was asked that is wrong.
    let next = match error.0.kind {
        ErrorKind::Forbidden | ErrorKind::NotFound => None,
        ErrorKind::Invalid | ErrorKind::Malformed => {
            let here = use_location();
            let path = here.pathname.get_untracked();
            (!here.search.with_untracked(String::is_empty))
                .then_some((path, "Clear what the address asks for"))
        }
        _ => Some((String::new(), "Try again")),
    };
    let next = next.map(|(href, words)| view! { <a class="link" href=href rel="external">{words}</a> });
    view! {
        <div role="alert" class="notice">
            <p>{error.to_string()}</p>
            {incident}
            {next}
        </div>
    }
}
