//! Tokens for programs: made, seen, revoked.

use super::{Downloads, Roles, Search, Where, has, scope_of};
use crate::{
    api::{token_add, token_list, token_revoke},
    codec::load,
    query::Query,
    time::When,
    ui::{Ask, CopyButton, Failure, Glyph, Icon, Nothing, Questions, Reason, StepUp, Then},
};
use leptos::{ev::SubmitEvent, prelude::*};
use lockstep_model::{
    api::{AddToken, Empty, RevokeToken, TokenCreated},
    view::TokenView,
};

/// How long a token can hold.
const DAYS: [(u32, &str); 5] =
    [(1, "1 day"), (7, "7 days"), (30, "30 days"), (90, "90 days"), (366, "a year")];

/// The list, and a form for another one.
#[component]
pub(super) fn Tokens() -> impl IntoView {
    let (step_up, questions, query) = (StepUp::here(), Questions::here(), Query::here());
    let page = load(|| (), |()| token_list(Empty {}));
    let revoke = Callback::new(move |one: TokenView| {
        questions.ask(Ask {
            title: format!("Revoke the token {}", one.name),
            impact: vec![
                "Whatever uses it is refused from now on.".to_owned(),
                "It cannot be given back; a new one is made instead.".to_owned(),
            ],
            must_type: None,
            reason: Reason::Optional,
            verb: "Revoke it",
            is_risky: true,
            then: Then::new(move |_| {
                let id = one.id.clone();
                step_up.act(
                    move || token_revoke(RevokeToken { id: id.clone() }),
                    move |token| {
                        page.refetch();
                        format!("{} is revoked", token.name)
                    },
                );
            }),
        });
    });
    let list = move |mut all: Vec<TokenView>| {
        let typed = query.get("q");
        all.retain(|one| has(&format!("{} {} {} {}", one.id, one.name, one.user, one.may()), &typed));
        if all.is_empty() {
            return view! { <Nothing heading="No token"><p>"Programs come in with one: make it below, or with "<code>"lockstep token add"</code>"."</p></Nothing> }.into_any();
        }
        let rows = all.into_iter().map(|one| view! { <Row one revoke/> }).collect_view();
        view! {
            <div class="table-scroll"><table class="table">
                <thead><tr><th scope="col">"Name"</th><th scope="col">"Whose"</th><th scope="col">"May"</th><th scope="col">"State"</th><th scope="col">"Used"</th><th scope="col">"Made"</th><th scope="col">"Ends"</th><th scope="col"><span class="sr-only">"Revoke"</span></th></tr></thead>
                <tbody>{rows}</tbody>
            </table></div>
        }
        .into_any()
    };
    view! {
        <section class="card mb-4" aria-labelledby="tokens">
            <div class="card-head">
                <h2 id="tokens" class="font-semibold">"For programs"</h2>
                <Search query label="Search tokens"/>
                <Downloads query name="tokens"/>
            </div>
            <Transition fallback=|| view! { <div class="skeleton h-24" aria-hidden="true"></div> }>
                {move || page.get().map(|answer| match answer {
                    Ok(page) => list(page.tokens),
                    Err(error) => view! { <div class="p-4"><Failure error/></div> }.into_any(),
                })}
            </Transition>
        </section>
        <Add made=Callback::new(move |()| page.refetch())/>
    }
}

#[component]
fn Row(one: TokenView, revoke: Callback<TokenView>) -> impl IntoView {
    let label = format!("Revoke {}", one.name);
    let is_over = one.revoked;
    let (name, id, user, bound) = (one.name.clone(), one.id.clone(), one.user.to_string(), one.may());
    let (created, expires) = (one.created_at, one.expires_at);
    let used = match one.last_used_at {
        Some(at) => view! { <When at=at/> }.into_any(),
        None => "never".into_any(),
    };
    view! {
        <tr>
            <th scope="row">{name}<span class="block text-meta text-muted mono">{id}</span></th>
            <td data-label="Whose">{user}</td>
            <td data-label="May">{bound}</td>
            <td data-label="State">{if is_over { "revoked" } else { "valid" }}</td>
            <td data-label="Used">{used}</td>
            <td data-label="Made"><When at=created/></td>
            <td data-label="Ends"><When at=expires/></td>
            <td>{(!is_over).then(|| view! { <button type="button" class="btn btn-small" aria-label=label on:click=move |_| revoke.run(one.clone())><Icon glyph=Glyph::Close/>"Revoke"</button> })}</td>
        </tr>
    }
}

/// Makes one; its secret is shown here and nowhere else.
#[component]
fn Add(made: Callback<()>) -> impl IntoView {
    let (name, role, at) =
        (RwSignal::new(String::new()), RwSignal::new(String::new()), RwSignal::new(String::new()));
    let step_up = StepUp::here();
    let days = RwSignal::new(90u32);
    let complaint = RwSignal::new(String::new());
    let created = RwSignal::new(None::<TokenCreated>);
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let on = scope_of(&at.get_untracked());
        let request = AddToken {
            name: name.get_untracked().trim().to_owned(),
            role: role.get_untracked().parse().ok(),
            project: on.project,
            environment: on.environment,
            actions: Vec::new(),
            days: days.get_untracked(),
        };
        if request.name.is_empty() {
            complaint
                .set("Say what it is for: you will know it by its name when it is to be revoked.".to_owned());
            return;
        }
        step_up.run(
            move || token_add(request.clone()),
            move |token| {
                complaint.set(String::new());
                name.set(String::new());
                created.set(Some(token));
                made.run(());
            },
            move |error| complaint.set(error),
        );
    };
    let shown = move || {
        created.get().map(|one| view! {
        <div class="notice m-4" role="status">
            <p class="font-medium">{format!("The token {}. It is shown only now:", one.token.name)}</p>
            <p class="mono break-all my-2">{one.secret.clone()}</p>
            <div class="flex flex-wrap gap-2">
                <CopyButton text=one.secret.clone() label="Copy the token"/>
                <button type="button" class="btn btn-small" on:click=move |_| created.set(None)>"I have kept it"</button>
            </div>
        </div>
    })
    };
    let spans = DAYS
        .map(|(days, words)| view! { <option value=days.to_string() selected=days == 90>{words}</option> });
    view! {
        <section class="card" aria-labelledby="add-token">
            <div class="card-head"><h2 id="add-token" class="font-semibold">"Make a token"</h2></div>
            {shown}
            <form class="stack p-4" on:submit=submit>
                <p class="text-meta text-muted">"It may what you choose here, and never more than you may at the moment when it is used."</p>
                <div class="halves">
                    <label class="field"><span>"What it is for"</span>
                        <input class="input" name="token-name" maxlength="63" autocomplete="off" placeholder="ci of the shop"
                            prop:value=move || name.get() on:input=move |event| name.set(event_target_value(&event))/>
                    </label>
                    <Roles name="token-role" value=role at empty="as much as you"/>
                    <Where name="token-where" value=at/>
                    <label class="field"><span>"For"</span>
                        <select class="input" name="token-days" on:change=move |event| days.set(event_target_value(&event).parse().unwrap_or(90))>{spans}</select>
                    </label>
                </div>
                <p class="complaint" role="alert">{move || complaint.get()}</p>
                <div><button type="submit" class="btn btn-primary"><Icon glyph=Glyph::Plus/>"Make it"</button></div>
            </form>
        </section>
    }
}
