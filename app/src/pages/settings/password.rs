//! Changes one's own password, where there is one: whoever signs in at a provider changes it there.

use crate::{AppError, api::session_password, ui::Toasts};
use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use lockstep_model::{error::ErrorKind, session::ChangePassword};

/// Beside what a complaint stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Now,
    New,
    Again,
    Form,
}

fn place(error: &AppError) -> Place {
    match error.0.kind {
        ErrorKind::Invalid if error.0.field.as_deref() == Some("password") => Place::Now,
        ErrorKind::Invalid => Place::New,
        ErrorKind::Throttled => Place::Now,
        _ => Place::Form,
    }
}

/// The form; `changed` counts, as sessions end with it.
#[component]
pub(super) fn OwnPassword(user: String, changed: RwSignal<u32>) -> impl IntoView {
    let toasts = Toasts::here();
    let (now, new, again) =
        (RwSignal::new(String::new()), RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (complaint, busy) = (RwSignal::new(None::<(Place, String)>), RwSignal::new(false));
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        if busy.get_untracked() {
            return;
        }
        let request = ChangePassword { password: now.get_untracked(), new_password: new.get_untracked() };
        if request.new_password != again.get_untracked() {
            return complaint.set(Some((Place::Again, "The two are not the same.".to_owned())));
        }
        busy.set(true);
        spawn_local(async move {
            match session_password(request).await {
                Ok(done) => {
                    complaint.set(None);
                    for typed in [now, new, again] {
                        typed.set(String::new());
                    }
                    changed.update(|count| *count += 1);
                    toasts.done(said(done.ended));
                }
                Err(error) => complaint.set(Some((place(&error), error.to_string()))),
            }
            busy.set(false);
        });
    };
    let told = move |at: Place| {
        complaint.with(|found| {
            found.as_ref().filter(|(place, _)| *place == at).map(|(_, text)| text.clone()).unwrap_or_default()
        })
    };
    let field = move |at: Place,
                      name: &'static str,
                      label: &'static str,
                      kind: &'static str,
                      typed: RwSignal<String>| {
        let (id, least) = (format!("{name}-said"), (at != Place::Now).then_some("15"));
        view! {
            <label class="field">
                <span>{label}</span>
                <input class="input" type="password" name=name autocomplete=kind required=true minlength=least maxlength="1024"
                    aria-describedby=id.clone() aria-invalid=move || (!told(at).is_empty()).then_some("true")
                    prop:value=move || typed.get() on:input=move |event| typed.set(event_target_value(&event))/>
            </label>
            <p id=id class="complaint" role="alert">{move || told(at)}</p>
        }
    };
    view! {
        <section class="card" aria-labelledby="password">
            <div class="card-head"><h2 id="password" class="font-semibold">"Password"</h2></div>
            // Without scripts it goes nowhere, and into no address.
            <form class="grid p-4" method="post" data-typed="" on:submit=submit>
                <p class="text-meta text-muted mb-4">"15 characters or more; four or five words that have nothing to do with each other are good. You stay signed in here; all of your other sessions end."</p>
                <input type="text" name="username" autocomplete="username" value=user hidden=true readonly=true/>
                {field(Place::Now, "password-now", "The password of now", "current-password", now)}
                {field(Place::New, "password-new", "The new one, 15 characters or more", "new-password", new)}
                {field(Place::Again, "password-again", "The new one again", "new-password", again)}
                <p class="complaint" role="alert">{move || told(Place::Form)}</p>
                <div><button type="submit" class="btn btn-primary" disabled=move || busy.get()>"Change the password"</button></div>
            </form>
        </section>
    }
}

fn said(ended: u64) -> String {
    match ended {
        0 => "Your password is changed".to_owned(),
        1 => "Your password is changed; your other session has ended".to_owned(),
        _ => format!("Your password is changed; your {ended} other sessions have ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_model::error::ErrorBody;

    #[test]
    fn a_complaint_stands_beside_what_it_is_about() {
        let at = |kind, message: &str| place(&AppError::new(kind, message));
        let wrong = ErrorBody::new(ErrorKind::Invalid, "it is not your password of now");
        assert_eq!(place(&AppError(wrong.of_field("password"))), Place::Now);
        assert_eq!(at(ErrorKind::Invalid, "the new password is the one of now"), Place::New);
        assert_eq!(at(ErrorKind::Throttled, "too many tries; wait a moment"), Place::Now);
        assert_eq!(at(ErrorKind::Conflict, "the password was changed at this moment"), Place::Form);
    }
}
