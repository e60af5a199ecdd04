//! Locks, holds and freezes: what stands in the way of deployments, made and ended here.

use super::overview::FirstFrames;
use crate::{
    api::{restriction_add, restriction_end},
    live::Live,
    session::{At, Session},
    time::{When, of_field},
    ui::{Ask, Glyph, Guarded, Icon, Nothing, PageTitle, Questions, Reason, Then, Toasts},
};
use leptos::{ev::SubmitEvent, prelude::*, task::spawn_local};
use lockstep_model::{
    access::{Permission, Scope},
    api::{AddRestriction, EndRestriction},
    live::Topic,
    restriction::{Restriction, RestrictionKind},
};

/// The page.
#[component]
pub(crate) fn RestrictionsPage() -> impl IntoView {
    view! {
        <PageTitle text="Locks, holds and freezes"/>
        <FirstFrames topics=vec![Topic::Overview] shown=|| view! { <Shown/> }/>
    }
}

#[component]
fn Shown() -> impl IntoView {
    let live = Live::here();
    let all = live.overview.restrictions;
    view! {
        <div class="head"><h1 class="text-h1 font-semibold">"Locks, holds and freezes"</h1></div>
        <p class="text-muted mb-4">"What stands in the way of deployments. Taking something back is never held up."</p>
        <section class="card mb-4" aria-labelledby="there">
            <div class="card-head"><h2 id="there" class="font-semibold">"Now and to come"</h2>
                <span class="flex gap-3 text-meta ml-auto">
                    <a class="link" href="/restrictions.csv" rel="external" download="">"CSV"</a>
                    <a class="link" href="/restrictions.json" rel="external" download="">"JSON"</a>
                </span>
            </div>
            <Show when=move || !all.with(Vec::is_empty) fallback=|| view! {
                <Nothing heading="Nothing stands in the way"><p>"A version is held by itself when its failure takes a release back."</p></Nothing>
            }>
                <div class="table-scroll">
                    <table class="table">
                        <thead><tr>
                            <th scope="col">"What"</th><th scope="col">"Where"</th><th scope="col">"Why"</th>
                            <th scope="col">"By"</th><th scope="col">"From"</th><th scope="col">"Until"</th><th scope="col"><span class="sr-only">"End"</span></th>
                        </tr></thead>
                        <tbody>{move || all.get().into_iter().map(|one| view! { <Row one/> }).collect_view()}</tbody>
                    </table>
                </div>
            </Show>
        </section>
        <Add/>
    }
}

const fn word(kind: RestrictionKind) -> &'static str {
    match kind {
        RestrictionKind::Lock => "Lock",
        RestrictionKind::Hold => "Hold",
        RestrictionKind::Freeze => "Freeze",
    }
}

#[component]
fn Row(one: Restriction) -> impl IntoView {
    let who = match (one.deployment, &one.owner) {
        (Some(id), _) => {
            view! { <a class="link" href=format!("/deployments/{id}")>{format!("deployment #{id}")}</a> }
                .into_any()
        }
        (None, Some(owner)) => owner.to_string().into_any(),
        (None, None) => "the manifest".into_any(),
    };
    view! {
        <tr>
            <th scope="row">{word(one.kind)}</th>
            <td data-label="Where" class="mono restriction-what">{one.what()}</td>
            <td data-label="Why" class="restriction-why" title=one.reason.clone()><span>{one.reason.clone()}</span></td>
            <td data-label="By">{who}</td>
            <td data-label="From"><When at=one.since/></td>
            <td data-label="Until">{match one.until {
                Some(until) => view! { <When at=until/> }.into_any(),
                None => "somebody ends it".into_any(),
            }}</td>
            <td><EndButton one/></td>
        </tr>
    }
}

#[component]
fn EndButton(one: Restriction) -> impl IntoView {
    let session = Session::here();
    let questions = Questions::here();
    let toasts = Toasts::here();
    At::provide(&one.project, &one.environment);
    let verb = if one.kind == RestrictionKind::Hold { "Release" } else { "End" };
    let label = format!("{verb} the {} of {}", one.kind, one.what());
    let refusal = one.id.is_none().then(|| "It is a window of the manifest; it is ended there.".to_owned());
    let ask = Callback::new(move |()| {
        let Some(id) = one.id else { return };
        let me = session.get().map(|session| session.user);
        let is_foreign = one.kind == RestrictionKind::Lock && me.as_ref() != one.owner.as_ref();
        let owner = one.owner.as_ref().map_or_else(|| "somebody".to_owned(), ToString::to_string);
        let mut impact = vec![match one.kind {
            RestrictionKind::Lock => format!("Everybody who may deploy can deploy to {} again.", one.what()),
            RestrictionKind::Hold => format!("{} can be deployed again.", one.what()),
            RestrictionKind::Freeze => format!("Deployments to {} are possible again.", one.what()),
        }];
        if is_foreign {
            impact.push(format!("It is the lock of {owner}: {}. Ask them first, if you can.", one.reason));
        }
        impact.push("Deployments that wait for it begin.".to_owned());
        let confirm = is_foreign.then(|| one.environment.clone());
        questions.ask(Ask {
            title: format!("{verb} the {} of {}", one.kind, one.what()),
            impact,
            must_type: confirm.as_ref().map(ToString::to_string),
            reason: Reason::Needed,
            verb,
            is_risky: is_foreign,
            then: Then::new(move |reason: String| {
                let request = EndRestriction { id, reason, confirm: confirm.clone() };
                spawn_local(async move {
                    match restriction_end(request).await {
                        Ok(ended) => toasts.done(format!("The {} of {} has ended", ended.kind, ended.what())),
                        Err(error) => toasts.failed(error.to_string()),
                    }
                });
            }),
        });
    });
    view! {
        <Guarded permission=Permission::Operate refusal=Signal::derive(move || refusal.clone()) on_click=ask>
            <span aria-hidden="true">{verb}</span><span class="sr-only">{label}</span>
        </Guarded>
    }
}

/// Says that one was made, and offers to end it at once: it is one's own, and nothing was asked before.
fn offer_end(toasts: Toasts, made: &Restriction) {
    let text = format!("{} of {}", word(made.kind), made.what());
    let Some(id) = made.id else { return toasts.done(text) };
    toasts.undoable(text, move || {
        let reason = "made by mistake: undone at once".to_owned();
        spawn_local(async move {
            match restriction_end(EndRestriction { id, reason, confirm: None }).await {
                Ok(ended) => toasts.done(format!("The {} of {} has ended", ended.kind, ended.what())),
                Err(error) => toasts.failed(format!("It cannot be undone any more: {error}")),
            }
        });
    });
}

const HOUR_MS: u64 = 3_600_000;
const SPANS: [(u64, &str); 6] = [
    (HOUR_MS / 2, "30 minutes"),
    (HOUR_MS, "1 hour"),
    (4 * HOUR_MS, "4 hours"),
    (24 * HOUR_MS, "1 day"),
    (60 * HOUR_MS, "2½ days"),
    (168 * HOUR_MS, "7 days"),
];

fn some<T: std::str::FromStr>(text: &str, what: &str) -> Result<Option<T>, String> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("“{text}” is no {what}.")),
    }
}

/// Makes one.
#[component]
fn Add() -> impl IntoView {
    let live = Live::here();
    let session = Session::here();
    let toasts = Toasts::here();
    let kind = RwSignal::new(RestrictionKind::Lock);
    let place = RwSignal::new(0usize);
    let service = RwSignal::new(String::new());
    let version = RwSignal::new(String::new());
    let span = RwSignal::new(1usize);
    let since = RwSignal::new(String::new());
    let reason = RwSignal::new(String::new());
    let complaint = RwSignal::new(String::new());
    let refusal = move || {
        let here = live.overview.environments.with(|all| all.get(place.get()).cloned());
        let here = here.map(|one| Scope::of(one.project, one.name));
        session.refusal(Permission::Operate, here.as_ref())
    };
    let is_hold = move || kind.get() == RestrictionKind::Hold;
    let wanted = move || -> Result<AddRestriction, String> {
        let environment =
            live.overview.environments.with_untracked(|all| all.get(place.get_untracked()).cloned());
        let environment = environment.ok_or("There is no environment yet.")?;
        let kind = kind.get_untracked();
        let is_hold = kind == RestrictionKind::Hold;
        let service = some(&service.get_untracked(), "name of a service")?;
        let version = some(&version.get_untracked(), "version")?.filter(|_| is_hold);
        if is_hold && (service.is_none() || version.is_none()) {
            return Err("Say which service and which version are held.".to_owned());
        }
        let reason = reason.get_untracked().trim().to_owned();
        if reason.is_empty() {
            return Err("Say why; everybody whom it holds up reads it.".to_owned());
        }
        Ok(AddRestriction {
            kind,
            project: Some(environment.project),
            environment: Some(environment.name),
            service,
            version,
            reason,
            since: of_field(&since.get_untracked()).filter(|_| kind == RestrictionKind::Freeze),
            duration_ms: (!is_hold).then(|| SPANS[span.get_untracked()].0),
        })
    };
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        if let Some(refusal) = refusal() {
            complaint.set(refusal);
            return;
        }
        match wanted() {
            Err(text) => complaint.set(text),
            Ok(request) => {
                complaint.set(String::new());
                spawn_local(async move {
                    match restriction_add(request).await {
                        Ok(made) => {
                            reason.set(String::new());
                            since.set(String::new());
                            offer_end(toasts, &made);
                        }
                        Err(error) => complaint.set(error.to_string()),
                    }
                });
            }
        }
    };
    let choose = move |one: RestrictionKind, what: &'static str| {
        view! {
            <button type="button" class="chip" aria-pressed=move || (kind.get() == one).to_string() title=what on:click=move |_| kind.set(one)>
                {word(one)}
            </button>
        }
    };
    let meaning = move || match kind.get() {
        RestrictionKind::Lock => "Only you deploy there until it ends.",
        RestrictionKind::Hold => "The version is not deployed until somebody releases it.",
        RestrictionKind::Freeze => "Nobody deploys there until it ends.",
    };
    let places = move || {
        live.overview
            .environments
            .get()
            .into_iter()
            .enumerate()
            .map(|(number, one)| {
                view! {
                    <option value=number.to_string()>{format!("{} / {}", one.project, one.name)}</option>
                }
            })
            .collect_view()
    };
    let number = |event: &leptos::ev::Event| event_target_value(event).parse().unwrap_or(0);
    view! {
        <section class="card" aria-labelledby="add">
            <div class="card-head"><h2 id="add" class="font-semibold">"Make one"</h2></div>
            <form class="stack p-4" on:submit=submit>
                <div class="chips" role="group" aria-label="Kind">
                    {choose(RestrictionKind::Lock, "only you deploy")}
                    {choose(RestrictionKind::Freeze, "nobody deploys")}
                    {choose(RestrictionKind::Hold, "a version is not deployed")}
                </div>
                <p class="text-meta text-muted">{meaning}</p>
                <div class="halves">
                    <label class="field"><span>"Environment"</span>
                        <select class="input" name="environment" on:change=move |event| place.set(number(&event))>{places}</select>
                    </label>
                    <label class="field"><span>{move || if is_hold() { "Service" } else { "Service (empty: all)" }}</span>
                        <input class="input mono" name="service" autocomplete="off" spellcheck="false"
                            prop:value=move || service.get() on:input=move |event| service.set(event_target_value(&event))/>
                    </label>
                    <Show when=is_hold>
                        <label class="field"><span>"Version"</span>
                            <input class="input mono" name="version" autocomplete="off" spellcheck="false"
                                prop:value=move || version.get() on:input=move |event| version.set(event_target_value(&event))/>
                        </label>
                    </Show>
                    <Show when=move || kind.get() == RestrictionKind::Freeze>
                        <label class="field"><span>"From (empty: now)"</span>
                            <input class="input" type="datetime-local" name="since"
                                prop:value=move || since.get() on:input=move |event| since.set(event_target_value(&event))/>
                        </label>
                    </Show>
                    <Show when=move || !is_hold()>
                        <label class="field"><span>"For"</span>
                            <select class="input" name="span" prop:value=move || span.get().to_string() on:change=move |event| span.set(number(&event))>
                                {SPANS.into_iter().enumerate().map(|(place, (_, words))| view! { <option value=place.to_string() selected=place == 1>{words}</option> }).collect_view()}
                            </select>
                        </label>
                    </Show>
                    <label class="field"><span>"Why (is recorded and shown)"</span>
                        <input class="input" name="reason" maxlength="1000" autocomplete="off"
                            prop:value=move || reason.get() on:input=move |event| reason.set(event_target_value(&event))/>
                    </label>
                </div>
                <p class="complaint" role="alert">{move || complaint.get()}</p>
                <div><button type="submit" class="btn btn-primary" aria-disabled=move || refusal().map(|_| "true") title=refusal><Icon glyph=Glyph::Hand/>"Make it"</button></div>
            </form>
        </section>
    }
}
