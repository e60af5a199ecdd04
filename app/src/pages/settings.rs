//! What somebody prefers, and who they are. On a phone this is "More".

mod password;

use self::password::OwnPassword;
use super::{admin::Sessions, overview::FirstFrames};
use crate::{
    live::Live,
    prefs::{Preferences, Theme, Zone, is_zone},
    session::Session,
    time::is_known_zone,
    ui::{PageTitle, PasswordAgain, StepUp},
};
use leptos::prelude::*;
use lockstep_model::{access::Permission, live::Topic};

/// The settings.
#[component]
pub(crate) fn SettingsPage() -> impl IntoView {
    StepUp::provide();
    let prefs = Preferences::here();
    let session = Session::here();
    let live = Live::here();
    let (complaint, changed) = (RwSignal::new(String::new()), RwSignal::new(0u32));
    let theme = move |theme: Theme| {
        let is_on = move || prefs.with(|prefs| prefs.theme == theme);
        view! {
            <button type="button" class="chip" aria-pressed=move || is_on().to_string() on:click=move |_| prefs.change(|prefs| prefs.theme = theme)>
                {theme.word()}
            </button>
        }
    };
    let density = move |compact: bool, word: &'static str| {
        view! {
            <button type="button" class="chip" aria-pressed=move || prefs.with(|prefs| prefs.compact == compact).to_string()
                on:click=move |_| prefs.change(|prefs| prefs.compact = compact)>{word}</button>
        }
    };
    let zone = move |zone: Zone, word: &'static str| {
        let same = zone.clone();
        view! {
            <button type="button" class="chip" aria-pressed=move || prefs.with(|prefs| prefs.zone == same).to_string()
                on:click=move |_| prefs.change(|prefs| prefs.zone = zone.clone())>{word}</button>
        }
    };
    let named = move || {
        prefs.with(|prefs| match &prefs.zone {
            Zone::Named(name) => name.clone(),
            Zone::Local | Zone::Utc => String::new(),
        })
    };
    let set_zone = move |event: leptos::ev::Event| {
        let name = event_target_value(&event);
        if name.is_empty() {
            complaint.set(String::new());
        } else if is_zone(&name) && is_known_zone(&name) {
            complaint.set(String::new());
            prefs.change(|prefs| prefs.zone = Zone::Named(name));
        } else {
            complaint.set("The browser knows no such zone; they are written as Europe/Berlin.".to_owned());
        }
    };
    let agents = move || {
        let words = move || match live.overview.figures.with(|figures| figures.agents) {
            0 => "No agent is connected.",
            _ => "The agent is connected.",
        };
        view! { <p class="text-muted text-meta">{words}</p> }
    };
    view! {
        <PageTitle text="Settings"/>
        <div class="head"><h1 class="text-h1 font-semibold">"Settings"</h1></div>
        <div class="halves">
            <section class="card" aria-labelledby="looks">
                <div class="card-head"><h2 id="looks" class="font-semibold">"Looks"</h2></div>
                <div class="stack p-4">
                    <div class="stack" role="group" aria-label="Theme">
                        <span class="text-meta font-medium">"Theme"</span>
                        <div class="chips">{Theme::ALL.map(theme)}</div>
                    </div>
                    <div class="stack" role="group" aria-label="Density">
                        <span class="text-meta font-medium">"Rows"</span>
                        <div class="chips">{density(false, "comfortable")}{density(true, "compact")}</div>
                    </div>
                    <div class="stack" role="group" aria-label="Time zone">
                        <span class="text-meta font-medium">"Times in"</span>
                        <div class="chips">{zone(Zone::Local, "local")}{zone(Zone::Utc, "UTC")}</div>
                        <label class="field">
                            <span>"Another zone"</span>
                            <input class="input" name="zone" placeholder="Europe/Berlin" autocomplete="off" prop:value=named on:change=set_zone/>
                        </label>
                        <p class="complaint" role="alert">{move || complaint.get()}</p>
                    </div>
                    <label class="check">
                        <input type="checkbox" prop:checked=move || prefs.with(|prefs| prefs.keys)
                            on:change=move |event| prefs.change(|prefs| prefs.keys = event_target_checked(&event))/>
                        <span>"Single letters are commands; "<kbd>"?"</kbd>" lists them"</span>
                    </label>
                    <p class="text-meta text-muted">"Kept in a cookie of this browser."</p>
                </div>
            </section>
            <div class="grid gap-4">
                <section class="card" aria-labelledby="account">
                    <div class="card-head"><h2 id="account" class="font-semibold">"Account"</h2></div>
                    <div class="stack p-4">
                        <Suspense fallback=|| ()>
                            {move || session.get().map(|session| view! {
                                <p>{format!("Signed in as {} ({}): {}.", session.user, session.via, session.rights)}</p>
                            })}
                        </Suspense>
                        <FirstFrames topics=vec![Topic::Overview] shown=agents/>
                        <Suspense fallback=|| ()>
                            {move || (session.get().is_some() && session.refusal(Permission::ManageUsers, None).is_none()).then(|| view! {
                                <p><a class="link" href="/admin/users">"People"</a>", "<a class="link" href="/admin/sessions">"everybody's sessions"</a>" and the "<a class="link" href="/audit">"audit"</a></p>
                            })}
                        </Suspense>
                        <p><a class="link" href="/admin/tokens">"Tokens"</a>", with which programs come in"</p>
                        <p><a class="link" href="/restrictions">"Locks, holds and freezes"</a>", what stands in the way of deployments"</p>
                        <p><a class="link" href="/docs/api" rel="external">"The API"</a>", for your own programs"</p>
                        <form method="post" action="/session/sign_out">
                            <button class="btn" type="submit">"Sign out"</button>
                        </form>
                    </div>
                </section>
                // Whether there is one is not known before the session is.
                <Suspense fallback=|| ()>
                    {move || session.get().filter(|session| session.has_password).map(|session| view! { <OwnPassword user=session.user.to_string() changed/> })}
                </Suspense>
            </div>
        </div>
        <div class="mt-4"><Sessions own=true changed/></div>
        <PasswordAgain/>
    }
}
