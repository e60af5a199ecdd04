//! Tokens for programs: made, seen, revoked.

use super::{Downloads, Roles, Search, Where, cut, scope_of, tick};
use crate::{
    api::{token_add, token_list, token_revoke},
    codec::load,
    live::Live,
    query::Query,
    time::When,
    ui::{Ask, CopyButton, Failure, Glyph, Icon, Nothing, Questions, Reason, StepUp, Then, Tone},
};
use leptos::{ev::SubmitEvent, prelude::*};
use lockstep_model::{
    api::{AddToken, RevokeToken, TokenCreated, TokenPage},
    tokens::{ACTIONS, Action, FindCredentials},
    view::TokenView,
};

/// How long a token can hold.
const DAYS: [(u32, &str); 5] =
    [(1, "1 day"), (7, "7 days"), (30, "30 days"), (90, "90 days"), (366, "a year")];

/// Before a token ends its row says so: whoever uses it needs another one.
const NEAR_MS: i64 = 7 * 24 * 60 * 60 * 1_000;

/// The list, and a form for another one.
#[component]
pub(super) fn Tokens() -> impl IntoView {
    let (step_up, questions, query) = (StepUp::here(), Questions::here(), Query::here());
    let page = load(move || query.get("q"), |q| token_list(FindCredentials { q, own: false }));
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
    let list = move |TokenPage { tokens: all, more }| {
        if all.is_empty() {
            return view! { <Nothing heading="No token"><p>"Programs come in with one: make it below, or with "<code>"lockstep token add"</code>"."</p></Nothing> }.into_any();
        }
        let rows = all.into_iter().map(|one| view! { <Row one revoke/> }).collect_view();
        view! {
            <div class="table-scroll"><table class="table">
                <thead><tr><th scope="col">"Name"</th><th scope="col">"Whose"</th><th scope="col">"May"</th><th scope="col">"State"</th><th scope="col">"Used"</th><th scope="col">"Made"</th><th scope="col">"Ends"</th><th scope="col"><span class="sr-only">"Revoke"</span></th></tr></thead>
                <tbody>{rows}</tbody>
            </table></div>
            {cut(more)}
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
                    Ok(page) => list(page),
                    Err(error) => view! { <div class="p-4"><Failure error/></div> }.into_any(),
                })}
            </Transition>
        </section>
        <Add made=Callback::new(move |()| page.refetch())/>
    }
}

/// How a token stands that has so much time left.
fn state(revoked: bool, left_ms: i64) -> (String, Glyph, Tone) {
    let hours = left_ms / (60 * 60 * 1_000);
    match (revoked, left_ms) {
        (true, _) => ("revoked".to_owned(), Glyph::Cancelled, Tone::Idle),
        (false, ..=0) => ("expired".to_owned(), Glyph::Waiting, Tone::Idle),
        (false, NEAR_MS..) => ("valid".to_owned(), Glyph::Ok, Tone::Ok),
        _ if hours < 48 => (format!("ends in {} h", hours.max(1)), Glyph::Warn, Tone::Warn),
        _ => (format!("ends in {} days", hours / 24), Glyph::Warn, Tone::Warn),
    }
}

#[component]
fn Row(one: TokenView, revoke: Callback<TokenView>) -> impl IntoView {
    let live = Live::here();
    let label = format!("Revoke {}", one.name);
    // Until the page is taken over both sides count from when the server wrote it.
    let now = move || live.minutes.get().max(live.written);
    let (revoked, expires) = (one.revoked, one.expires_at);
    let is_over = revoked || expires.0 <= untrack(now);
    let state = move || {
        let (word, glyph, tone) = state(revoked, expires.0 - now());
        view! { <span class=tone.pill()><Icon glyph/>{word}</span> }
    };
    let (name, id, user, bound) = (one.name.clone(), one.id.clone(), one.user.to_string(), one.may());
    let created = one.created_at;
    let used = match one.last_used_at {
        Some(at) => view! { <When at=at/> }.into_any(),
        None => "never".into_any(),
    };
    view! {
        <tr>
            <th scope="row">{name}<span class="block text-meta text-muted mono">{id}</span></th>
            <td data-label="Whose">{user}</td>
            <td data-label="May">{bound}</td>
            <td data-label="State">{state}</td>
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
    let actions = RwSignal::new(Vec::<Action>::new());
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
            actions: actions.get_untracked(),
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
                actions.set(Vec::new());
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
            <form class="stack p-4" data-typed="" on:submit=submit>
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
                <fieldset class="flex flex-wrap gap-4">
                    <legend class="text-meta text-muted mb-2">"What it may change; with none chosen, all that its role may"</legend>
                    {ACTIONS.map(|one| tick(one, one.word(), actions)).into_iter().collect_view()}
                </fieldset>
                <p class="complaint" role="alert">{move || complaint.get()}</p>
                <div><button type="submit" class="btn btn-primary"><Icon glyph=Glyph::Plus/>"Make it"</button></div>
            </form>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_that_it_is_over_or_soon_will_be() {
        const HOUR: i64 = 60 * 60 * 1_000;
        for (revoked, left_ms, word) in [
            (true, 9 * 24 * HOUR, "revoked"),
            (false, 0, "expired"),
            (false, -HOUR, "expired"),
            (false, 1, "ends in 1 h"),
            (false, 30 * HOUR, "ends in 30 h"),
            (false, 75 * HOUR, "ends in 3 days"),
            (false, NEAR_MS, "valid"),
        ] {
            assert_eq!(state(revoked, left_ms).0, word, "{left_ms}");
        }
    }
}
