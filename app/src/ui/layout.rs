//! Frames around pages.

use leptos::prelude::*;

/// The mark of Lockstep: steps that move together.
#[component]
fn Mark() -> impl IntoView {
    view! {
        <svg class="mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
            <rect x="2" y="4" width="11" height="4" rx="2"/>
            <rect x="6.5" y="10" width="11" height="4" rx="2"/>
            <rect x="11" y="16" width="11" height="4" rx="2"/>
        </svg>
    }
}

/// A page with one narrow column: signing in, errors.
#[component]
pub fn Narrow(
    /// The page's heading.
    heading: &'static str,
    /// What stands below it.
    children: Children,
) -> impl IntoView {
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

/// The frame of signed-in pages.
#[component]
pub fn Frame(
    /// Who is signed in; none while that is not known yet.
    #[prop(into)]
    user: Signal<Option<String>>,
    /// The page.
    children: Children,
) -> impl IntoView {
    view! {
        <a class="skip" href="#main">"Skip to content"</a>
        <header class="bar">
            <a class="brand" href="/"><Mark/>"Lockstep"</a>
            <form method="post" action="/session/sign_out" class="ml-auto flex items-center gap-3">
                <span class="text-meta text-muted truncate max-w-[40vw]">{move || user.get().unwrap_or_default()}</span>
                <button class="btn" type="submit">"Sign out"</button>
            </form>
        </header>
        <main id="main" class="page" tabindex="-1">{children()}</main>
    }
}
