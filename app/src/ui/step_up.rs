//! What matters most asks for the password once more: asked for in a dialog, then it is done.

use super::dialog::Dialog;
use crate::{AppError, api::session_confirm, pages::encoded, session::Session, ui::Toasts};
use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use lockstep_model::{error::ErrorKind, session::ConfirmSession};
use std::sync::Arc;

/// What is done again once the password was given.
type Again = Arc<dyn Fn() + Send + Sync>;

/// Does what may ask for the password first; in the context of pages that have such things.
#[derive(Clone, Copy)]
pub struct StepUp {
    asked: RwSignal<Option<Again>>,
    toasts: Toasts,
}

impl StepUp {
    /// Puts it into the context.
    pub fn provide() -> Self {
        let here = Self { asked: RwSignal::new(None), toasts: Toasts::here() };
        provide_context(here);
        here
    }

    /// From the context.
    pub fn here() -> Self {
        expect_context()
    }

    /// Whether the password is asked for. Tracked.
    pub fn is_asking(self) -> bool {
        self.asked.with(Option::is_some)
    }

    /// Does something and says what came of it.
    pub fn act<T, F>(
        self,
        work: impl Fn() -> F + Send + Sync + 'static,
        then: impl Fn(T) -> String + Send + Sync + 'static,
    ) where
        T: 'static,
        F: Future<Output = Result<T, AppError>> + 'static,
    {
        let toasts = self.toasts;
        self.run(work, move |done| toasts.done(then(done)), move |error| toasts.failed(error));
    }

    /// Does something; what came of it is said elsewhere.
    pub fn run<T, F>(
        self,
        work: impl Fn() -> F + Send + Sync + 'static,
        done: impl Fn(T) + Send + Sync + 'static,
        failed: impl Fn(String) + Send + Sync + 'static,
    ) where
        T: 'static,
        F: Future<Output = Result<T, AppError>> + 'static,
    {
        let asked = self.asked;
        let (done, failed) = (Arc::new(done), Arc::new(failed));
        let work = Arc::new(move || {
            let work = work();
            Box::pin(work) as std::pin::Pin<Box<dyn Future<Output = Result<T, AppError>>>>
        });
        attempt(asked, work, done, failed);
    }
}

type Work<T> = Arc<dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = Result<T, AppError>>>> + Send + Sync>;
type Done<T> = Arc<dyn Fn(T) + Send + Sync>;
type Failed = Arc<dyn Fn(String) + Send + Sync>;

fn attempt<T: 'static>(asked: RwSignal<Option<Again>>, work: Work<T>, done: Done<T>, failed: Failed) {
    spawn_local(async move {
        match work().await {
            Ok(value) => done(value),
            Err(error) if error.0.kind == ErrorKind::StepUpRequired => {
                let again = move || attempt(asked, work.clone(), done.clone(), failed.clone());
                asked.set(Some(Arc::new(again)));
            }
            Err(error) => failed(error.to_string()),
        }
    });
}

/// Asks for the password when something needs it.
#[component]
pub fn PasswordAgain() -> impl IntoView {
    let asked = StepUp::here().asked;
    let open = RwSignal::new(false);
    let (password, complaint) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (session, has_password) = (Session::here(), RwSignal::new(true));
    let is_sent = RwSignal::new(false);
    Effect::new(move |_| {
        if asked.with(Option::is_some) {
            password.set(String::new());
            complaint.set(String::new());
            // Who has none here signs in where they always do, and comes back to this page.
            has_password.set(session.get().is_none_or(|session| session.has_password));
            open.set(true);
        }
    });
    Effect::new(move |_| {
        if !open.get() {
            asked.set(None);
        }
    });
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(again) = asked.get_untracked().filter(|_| !is_sent.get_untracked()) else { return };
        is_sent.set(true);
        let given = ConfirmSession { password: password.get_untracked() };
        spawn_local(async move {
            let answer = session_confirm(given).await;
            is_sent.set(false);
            match answer {
                Ok(_) => {
                    open.set(false);
                    again();
                }
                Err(error) => complaint.set(error.to_string()),
            }
        });
    };
    let elsewhere = move |_| {
        let location = window().location();
        let here =
            format!("{}{}", location.pathname().unwrap_or_default(), location.search().unwrap_or_default());
        let _ = location.set_href(&format!("/session/oidc?again=1&next={}", encoded(&here)));
    };
    view! {
        <Dialog open title="Is it you?">
            <form method="dialog" on:submit=submit class="stack">
                <p class="text-muted">"You said so last more than 10 minutes ago, and whoever does this has to be you."</p>
                <Show
                    when=move || has_password.get()
                    fallback=move || view! {
                        <p>"Your identity provider asks you again; then you are back here and do it once more."</p>
                    }
                >
                    <label class="field">
                        <span>"Password"</span>
                        <input class="input" type="password" name="password" autocomplete="current-password" required=true maxlength="1024"
                            prop:value=move || password.get() on:input=move |event| password.set(event_target_value(&event))/>
                    </label>
                </Show>
                <p class="complaint" role="alert">{move || complaint.get()}</p>
                <div class="dialog-foot">
                    <button type="button" class="btn" on:click=move |_| open.set(false)>"Do nothing"</button>
                    <Show
                        when=move || has_password.get()
                        fallback=move || view! {
                            <button type="button" class="btn btn-primary" on:click=elsewhere>"Sign in again"</button>
                        }
                    >
                        <button type="submit" class="btn btn-primary" aria-busy=move || is_sent.get().then_some("true")>"Go on"</button>
                    </Show>
                </div>
            </form>
        </Dialog>
    }
}
