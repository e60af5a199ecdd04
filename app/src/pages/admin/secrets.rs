//! Secrets of environments: set, replaced and removed. No value is ever shown: the server tells none.

use super::{Downloads, Search, first_place, has, places, scope_of};
use crate::{
    api::{secret_list, secret_remove, secret_set},
    codec::load,
    live::Live,
    query::Query,
    time::When,
    ui::{Ask, Failure, Glyph, Icon, Nothing, Questions, Reason, StepUp, Then, Toasts},
};
use leptos::{ev::SubmitEvent, prelude::*};
use lockstep_model::{
    SecretName,
    secrets::{ListSecrets, RemoveSecret, SecretView, SetSecret},
};

/// The list, and a form for another one.
#[component]
pub(super) fn Secrets() -> impl IntoView {
    let (step_up, questions, query) = (StepUp::here(), Questions::here(), Query::here());
    let page = load(|| (), |()| secret_list(ListSecrets::default()));
    let name = RwSignal::new(String::new());
    let place = RwSignal::new(String::new());
    let replace = Callback::new(move |one: SecretView| {
        place.set(format!("{}/{}", one.project, one.environment));
        name.set(one.name.to_string());
    });
    let remove = Callback::new(move |one: SecretView| {
        questions.ask(Ask {
            title: format!("Remove the secret {}", one.name),
            impact: vec![
                format!("It is gone from {} / {}; nobody can bring it back.", one.project, one.environment),
                "What runs keeps the value that it was started with; what names it is not deployed any more."
                    .to_owned(),
            ],
            must_type: Some(one.name.to_string()),
            reason: Reason::Optional,
            verb: "Remove it",
            is_risky: true,
            then: Then::new(move |_| {
                let request = RemoveSecret {
                    project: Some(one.project.clone()),
                    environment: Some(one.environment.clone()),
                    name: one.name.clone(),
                };
                step_up.act(
                    move || secret_remove(request.clone()),
                    move |gone| {
                        page.refetch();
                        format!("{} is removed", gone.name)
                    },
                );
            }),
        });
    });
    let list = move |mut all: Vec<SecretView>| {
        let typed = query.get("q");
        all.retain(|one| {
            has(&format!("{} {} {} {}", one.project, one.environment, one.name, one.set_by), &typed)
        });
        if all.is_empty() {
            return view! { <Nothing heading="No secret"><p>"Set one below, and name it in the manifest: "<code>"secrets: {DATABASE_URL: {secret: database-url}}"</code></p></Nothing> }.into_any();
        }
        let rows = all.into_iter().map(|one| view! { <Row one replace remove/> }).collect_view();
        view! {
            <div class="table-scroll"><table class="table">
                <thead><tr><th scope="col">"Name"</th><th scope="col">"Where"</th><th scope="col">"Set"</th><th scope="col">"By"</th><th scope="col">"When"</th><th scope="col"><span class="sr-only">"Change"</span></th></tr></thead>
                <tbody>{rows}</tbody>
            </table></div>
        }
        .into_any()
    };
    view! {
        <section class="card mb-4" aria-labelledby="secrets">
            <div class="card-head"><h2 id="secrets" class="font-semibold">"For what is deployed"</h2><Search query label="Search secrets"/><Downloads query name="secrets"/></div>
            <Transition fallback=|| view! { <div class="skeleton h-24" aria-hidden="true"></div> }>
                {move || page.get().map(|answer| match answer {
                    Ok(page) => list(page.secrets),
                    Err(error) => view! { <div class="p-4"><Failure error/></div> }.into_any(),
                })}
            </Transition>
        </section>
        <Set name place done=Callback::new(move |()| page.refetch())/>
    }
}

#[component]
fn Row(one: SecretView, replace: Callback<SecretView>, remove: Callback<SecretView>) -> impl IntoView {
    let name = one.name.to_string();
    let place = format!("{} / {}", one.project, one.environment);
    let times = match one.version {
        1 => "once".to_owned(),
        more => format!("{more} times"),
    };
    let (by, at, other) = (one.set_by.to_string(), one.set_at, one.clone());
    view! {
        <tr>
            <th scope="row" class="mono">{name.clone()}</th>
            <td data-label="Where">{place}</td>
            <td data-label="Set">{times}</td>
            <td data-label="By">{by}</td>
            <td data-label="When"><When at=at/></td>
            <td><span class="flex gap-2">
                <button type="button" class="btn btn-small" aria-label=format!("Replace {name}") on:click=move |_| replace.run(other.clone())>"Replace"</button>
                <button type="button" class="btn btn-small" aria-label=format!("Remove {name}") on:click=move |_| remove.run(one.clone())><Icon glyph=Glyph::Close/>"Remove"</button>
            </span></td>
        </tr>
    }
}

/// Sets one; what was typed is forgotten at once.
#[component]
fn Set(name: RwSignal<String>, place: RwSignal<String>, done: Callback<()>) -> impl IntoView {
    let (live, step_up, toasts) = (Live::here(), StepUp::here(), Toasts::here());
    let (value, complaint) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let places = places(place);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let chosen = Some(place.get_untracked()).filter(|place| !place.is_empty());
        let chosen = chosen.unwrap_or_else(|| first_place(live));
        let on = scope_of(&chosen);
        if on.environment.is_none() {
            return complaint.set("There is no environment yet: apply a manifest first.".to_owned());
        }
        let parsed = match name.get_untracked().trim().parse::<SecretName>() {
            Ok(name) => name,
            Err(error) => return complaint.set(error.to_string()),
        };
        let request = SetSecret {
            project: on.project,
            environment: on.environment,
            name: parsed,
            value: value.get_untracked().into(),
        };
        step_up.run(
            move || secret_set(request.clone()),
            move |set| {
                value.set(String::new());
                name.set(String::new());
                complaint.set(String::new());
                done.run(());
                toasts.done(format!("{} is set", set.name));
            },
            move |error| complaint.set(error),
        );
    };
    view! {
        <section class="card" aria-labelledby="set-secret">
            <div class="card-head"><h2 id="set-secret" class="font-semibold">"Set a secret"</h2></div>
            <form class="stack p-4" data-typed="" on:submit=submit>
                <p class="text-meta text-muted">"Nobody reads it here again, admins neither. It becomes a variable of what is deployed from the next deployment on, and is masked in its output. A value of several lines is set with "<code>"lockstep secret set NAME < FILE"</code>"."</p>
                <div class="halves">
                    <label class="field"><span>"Where"</span>
                        <select class="input" name="secret-where" on:change=move |event| place.set(event_target_value(&event))>{places}</select>
                    </label>
                    <label class="field"><span>"Name"</span>
                        <input class="input mono" name="secret-name" maxlength="63" autocomplete="off" autocapitalize="off" spellcheck="false" placeholder="database-url"
                            prop:value=move || name.get() on:input=move |event| name.set(event_target_value(&event))/>
                    </label>
                    <label class="field"><span>"Value"</span>
                        <input class="input mono" type="password" name="secret-value" autocomplete="new-password" maxlength="16384"
                            prop:value=move || value.get() on:input=move |event| value.set(event_target_value(&event))/>
                    </label>
                </div>
                <p class="complaint" role="alert">{move || complaint.get()}</p>
                <div><button type="submit" class="btn btn-primary">"Set it"</button></div>
            </form>
        </section>
    }
}
