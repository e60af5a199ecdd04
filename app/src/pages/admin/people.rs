//! People and their roles: invited, given more or less, switched off.

use super::{Downloads, Roles, Search, Where, has, is_admin, links::Links, scope_of};
use crate::{
    api::{
        links::link_list, session_end_all, user_add, user_change, user_effective, user_grant, user_link,
        user_list, user_revoke,
    },
    codec::load,
    query::Query,
    session::Session,
    time::When,
    ui::{Ask, CopyButton, Failure, Glyph, Icon, Nothing, Questions, Reason, StepUp, Then},
};
use leptos::{ev::SubmitEvent, prelude::*};
use lockstep_model::{
    UserName,
    access::{Grant, Role},
    api::{
        AddUser, AskEffective, ChangeUser, EffectiveView, Empty, GrantRole, NameUser, OneTimeLink, RevokeRole,
    },
    session::EndSessions,
    view::UserView,
};

/// The list, one of them in full, and a form for another one.
#[component]
pub(super) fn People() -> impl IntoView {
    let (query, session) = (Query::here(), Session::here());
    let may = Memo::new(move |_| is_admin(session));
    let page = load(|| (), |()| user_list(Empty {}));
    let links = load(|| (), |()| link_list(Empty {}));
    let again = Callback::new(move |()| {
        page.refetch();
        links.refetch();
    });
    let link = RwSignal::new(None::<OneTimeLink>);
    let list = move |all: Vec<UserView>| {
        let (typed, chosen) = (query.get("q"), query.get("user"));
        let one = all.iter().find(|user| user.name.as_str() == chosen).cloned();
        let one = one.map(|user| view! { <Person user again link/> });
        let fits = |user: &UserView| has(&format!("{} {}", user.name, user.grants), &typed);
        let rows = all.into_iter().filter(fits).map(|user| view! { <Row user query/> }).collect::<Vec<_>>();
        let rows = if rows.is_empty() {
            view! { <Nothing heading="Nobody has these words"><p><a class="link" href=query.with(&[("q", "")])>"Show everybody"</a></p></Nothing> }.into_any()
        } else {
            view! {
                <div class="table-scroll"><table class="table">
                    <thead><tr><th scope="col">"Who"</th><th scope="col">"Roles"</th><th scope="col">"State"</th><th scope="col">"Made"</th></tr></thead>
                    <tbody>{rows}</tbody>
                </table></div>
            }
            .into_any()
        };
        view! {
            {one}
            <section class="card mb-4" aria-labelledby="people">
                <div class="card-head"><h2 id="people" class="font-semibold">"Everybody"</h2><Search query label="Search people"/><Downloads query name="people"/></div>
                {rows}
            </section>
        }
        .into_any()
    };
    view! {
        {move || link.get().map(|shown| view! { <Link shown link/> })}
        <Transition fallback=|| view! { <div class="card skeleton" aria-hidden="true"></div> }>
            {move || page.get().map(|answer| match answer {
                Ok(page) => list(page.users),
                Err(error) => view! { <Failure error/> }.into_any(),
            })}
        </Transition>
        // Who may not see people has one refusal, and no form that refuses once more.
        {move || may.get().then(|| view! { <Links page=links/><Invite again link/> })}
    }
}

/// How a user stands.
const fn state(user: &UserView) -> &'static str {
    match (user.enabled, user.is_provided, user.has_password) {
        (false, ..) => "switched off",
        (true, true, _) => "signs in at the identity provider",
        (true, false, true) => "active",
        (true, false, false) => "has not set a password yet",
    }
}

#[component]
fn Row(user: UserView, query: Query) -> impl IntoView {
    let name = user.name.to_string();
    let (roles, state, made) = (user.grants.to_string(), state(&user), user.created_at);
    let target = query.with(&[("user", &name)]);
    view! {
        <tr>
            <th scope="row"><a class="link font-medium" href=target data-entry="">{name}</a></th>
            <td data-label="Roles">{roles}</td>
            <td data-label="State">{state}</td>
            <td data-label="Made"><When at=made/></td>
        </tr>
    }
}

/// A link that somebody is to be sent; it is shown until it is put away.
#[component]
fn Link(shown: OneTimeLink, link: RwSignal<Option<OneTimeLink>>) -> impl IntoView {
    let address = format!("{}{}", window().location().origin().unwrap_or_default(), shown.path);
    view! {
        <div class="notice mb-4" role="status">
            <p class="font-medium">{format!("Send {} this link; with it they set their password:", shown.user)}</p>
            <p class="mono break-all my-2">{address.clone()}</p>
            <p class="text-meta mb-2">"It works once, until "<When at=shown.expires_at/>". Whoever opens it is "{shown.user.to_string()}": send it where only they read."</p>
            <div class="flex flex-wrap gap-2">
                <CopyButton text=address label="Copy the link"/>
                <button type="button" class="btn btn-small" on:click=move |_| link.set(None)>"It is sent"</button>
            </div>
        </div>
    }
}

/// One of them: what was given, what follows from it, and what can be done.
#[component]
fn Person(user: UserView, again: Callback<()>, link: RwSignal<Option<OneTimeLink>>) -> impl IntoView {
    let (step_up, questions, query) = (StepUp::here(), Questions::here(), Query::here());
    let name = user.name.clone();
    let is_enabled = user.enabled;
    let grants = user.grants.0.clone();
    let count = grants.len();
    let given = grants
        .into_iter()
        .map(|grant| view! { <Given name=name.clone() grant is_last=count == 1 again/> })
        .collect_view();
    let switch = {
        let name = name.clone();
        move |_| {
            let (name, mut impact) = (name.clone(), Vec::new());
            if is_enabled {
                impact.push("Their sessions and tokens stop working at once.".to_owned());
                impact.push("What they have started goes on.".to_owned());
            } else {
                impact.push("They sign in again with the password and the roles that they had.".to_owned());
            }
            questions.ask(Ask {
                title: format!("Switch {name} {}", if is_enabled { "off" } else { "on" }),
                impact,
                must_type: None,
                reason: Reason::Optional,
                verb: if is_enabled { "Switch off" } else { "Switch on" },
                is_risky: is_enabled,
                then: Then::new(move |_| {
                    let request = ChangeUser {
                        name: name.clone(),
                        role: None,
                        enabled: Some(!is_enabled),
                        github: None,
                    };
                    step_up.act(
                        move || user_change(request.clone()),
                        move |user| {
                            again.run(());
                            format!(
                                "{} is {}",
                                user.name,
                                if user.enabled { "switched on" } else { "switched off" }
                            )
                        },
                    );
                }),
            });
        }
    };
    let reset = {
        let name = name.clone();
        move |_| {
            let name = name.clone();
            step_up.act(
                move || user_link(NameUser { name: name.clone() }),
                move |made| {
                    again.run(());
                    let said = format!("A link for {} is made", made.user);
                    link.set(Some(made));
                    said
                },
            );
        }
    };
    let end = {
        let name = name.clone();
        move |_| {
            let name = name.clone();
            questions.ask(Ask {
                title: format!("End all sessions of {name}"),
                impact: vec!["Every browser that they are signed in with is signed out at once.".to_owned()],
                must_type: None,
                reason: Reason::Optional,
                verb: "End them",
                is_risky: false,
                then: Then::new(move |_| {
                    let user = Some(name.clone());
                    step_up.act(
                        move || session_end_all(EndSessions { user: user.clone() }),
                        |done| format!("{} sessions have ended", done.ended),
                    );
                }),
            });
        }
    };
    let audit = format!("/audit?target=user%20{name}");
    let by = format!("/audit?user={name}");
    view! {
        <section class="card mb-4" aria-labelledby="person">
            <div class="card-head">
                <h2 id="person" class="font-semibold">{name.to_string()}</h2>
                <span class="text-meta text-muted">{state(&user)}</span>
                <a class="link text-meta ml-auto" href=query.with(&[("user", "")])>"Close"</a>
            </div>
            <ul class="lines">{given}</ul>
            <Give name=name.clone() again/>
            <div class="flex flex-wrap gap-2 p-4">
                {(!user.is_provided).then(|| view! { <button type="button" class="btn" on:click=reset disabled=!is_enabled>"Make a link to set a password"</button> })}
                <button type="button" class="btn" on:click=end>"End all sessions"</button>
                <button type="button" class="btn" class:btn-risky=is_enabled on:click=switch>{if is_enabled { "Switch off…" } else { "Switch on…" }}</button>
                <a class="btn" href=by>"What they did"</a>
                <a class="btn" href=audit>"What was done to them"</a>
            </div>
        </section>
    }
}

/// A role that was given, and its end.
#[component]
fn Given(name: UserName, grant: Grant, is_last: bool, again: Callback<()>) -> impl IntoView {
    let (step_up, questions) = (StepUp::here(), Questions::here());
    let words = grant.to_string();
    let label = format!("Take away from {name}: {words}");
    let take = move |_| {
        let (name, on) = (name.clone(), grant.on.clone());
        let mut impact =
            vec![format!("{name} is no longer {grant}; open pages of theirs follow within seconds.")];
        if is_last {
            impact.push("It is their last role: they could sign in and see nothing.".to_owned());
        }
        questions.ask(Ask {
            title: format!("Take a role away from {name}"),
            impact,
            must_type: None,
            reason: Reason::Optional,
            verb: "Take it away",
            is_risky: true,
            then: Then::new(move |_| {
                let request = RevokeRole {
                    name: name.clone(),
                    project: on.project.clone(),
                    environment: on.environment.clone(),
                };
                step_up.act(
                    move || user_revoke(request.clone()),
                    move |user| {
                        again.run(());
                        format!("{} is {}", user.name, user.grants)
                    },
                );
            }),
        });
    };
    view! {
        <li class="flex items-center gap-2 px-4 py-2">
            <span class="grow">{words}</span>
            <button type="button" class="btn btn-small" aria-label=label on:click=take><Icon glyph=Glyph::Close/>"Take away"</button>
        </li>
    }
}

/// Gives a role, after showing what follows from it.
#[component]
fn Give(name: UserName, again: Callback<()>) -> impl IntoView {
    let step_up = StepUp::here();
    let (role, at) = (RwSignal::new("viewer".to_owned()), RwSignal::new(String::new()));
    let wanted = Memo::new(move |_| {
        let role: Role = role.get().parse().unwrap_or(Role::Viewer);
        Grant { on: scope_of(&at.get()), role }
    });
    let whose = name.clone();
    let shown = RwSignal::new(false);
    let foreseen = load(
        move || shown.get().then(|| wanted.get()),
        move |grant| {
            let name = whose.clone();
            async move {
                match grant {
                    None => Ok(None),
                    grant => {
                        let request = AskEffective { name: Some(name), grant, revoke: None };
                        user_effective(request).await.map(Some)
                    }
                }
            }
        },
    );
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let Grant { on, role } = wanted.get_untracked();
        let request =
            GrantRole { name: name.clone(), role, project: on.project, environment: on.environment };
        step_up.act(
            move || user_grant(request.clone()),
            move |user| {
                shown.set(false);
                again.run(());
                format!("{} is {}", user.name, user.grants)
            },
        );
    };
    view! {
        <form class="stack p-4" data-typed="" on:submit=submit>
            <div class="halves">
                <Roles name="give-role" value=role at/>
                <Where name="give-where" value=at/>
            </div>
            <div class="flex flex-wrap gap-2">
                <button type="button" class="btn" aria-expanded=move || shown.get().to_string() on:click=move |_| shown.update(|shown| *shown = !*shown)>"What would follow?"</button>
                <button type="submit" class="btn btn-primary">"Give this role"</button>
            </div>
            <Transition fallback=|| ()>
                {move || foreseen.get().map(|answer| match answer {
                    Ok(None) => ().into_any(),
                    Ok(Some(view)) => view! { <Effective view/> }.into_any(),
                    Err(error) => view! { <Failure error/> }.into_any(),
                })}
            </Transition>
        </form>
    }
}

/// What somebody may, environment by environment, before and after.
#[component]
fn Effective(view: EffectiveView) -> impl IntoView {
    if view.effective.is_empty() {
        return view! { <p class="text-meta text-muted">"There is no environment yet; it will hold for those to come."</p> }.into_any();
    }
    let word = |role: Option<Role>| role.map_or("does not see it", Role::word);
    let rows = view.effective.into_iter().map(|one| {
        let changes = one.role != one.then;
        view! {
            <tr>
                <th scope="row" class="mono">{format!("{}/{}", one.project, one.environment)}</th>
                <td data-label="Now">{word(one.role)}</td>
                <td data-label="Then" class:font-semibold=changes>{word(one.then)}{changes.then_some(" (changes)")}</td>
            </tr>
        }
    });
    view! {
        <div class="table-scroll"><table class="table">
            <thead><tr><th scope="col">"Where"</th><th scope="col">"Now"</th><th scope="col">"Then"</th></tr></thead>
            <tbody>{rows.collect_view()}</tbody>
        </table></div>
    }
    .into_any()
}

/// Makes a user, and the link with which they come in.
#[component]
fn Invite(again: Callback<()>, link: RwSignal<Option<OneTimeLink>>) -> impl IntoView {
    let (name, role, at) =
        (RwSignal::new(String::new()), RwSignal::new("viewer".to_owned()), RwSignal::new(String::new()));
    let (step_up, complaint) = (StepUp::here(), RwSignal::new(String::new()));
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let typed = name.get_untracked();
        let parsed = match typed.trim().parse::<UserName>() {
            Ok(name) => name,
            Err(error) => return complaint.set(error.to_string()),
        };
        let on = scope_of(&at.get_untracked());
        let role = role.get_untracked().parse().unwrap_or(Role::Viewer);
        let request = AddUser { name: parsed, role, project: on.project, environment: on.environment };
        step_up.run(
            move || user_add(request.clone()),
            move |made| {
                complaint.set(String::new());
                name.set(String::new());
                link.set(Some(made));
                again.run(());
            },
            move |error| complaint.set(error),
        );
    };
    view! {
        <section class="card" aria-labelledby="invite">
            <div class="card-head"><h2 id="invite" class="font-semibold">"Invite somebody"</h2></div>
            <form class="stack p-4" data-typed="" on:submit=submit>
                <div class="halves">
                    <label class="field"><span>"Name"</span>
                        <input class="input" name="invite-name" maxlength="63" autocomplete="off" autocapitalize="off" spellcheck="false" placeholder="anna"
                            prop:value=move || name.get() on:input=move |event| name.set(event_target_value(&event))/>
                    </label>
                    <Roles name="invite-role" value=role at/>
                    <Where name="invite-where" value=at/>
                </div>
                <p class="complaint" role="alert">{move || complaint.get()}</p>
                <div><button type="submit" class="btn btn-primary"><Icon glyph=Glyph::Plus/>"Invite"</button></div>
            </form>
        </section>
    }
}
