//! Sessions of browsers: seen and ended.

use super::{Downloads, Search, cut, is_admin};
use crate::{
    api::{session_end, session_end_all, session_list},
    codec::load,
    query::Query,
    session::Session,
    time::When,
    ui::{Ask, Failure, Glyph, Icon, Nothing, Questions, Reason, StepUp, Then},
};
use leptos::prelude::*;
use lockstep_model::{
    session::{EndSession, EndSessions, SessionItem, SessionPage},
    tokens::FindCredentials,
};

/// The list: everybody's for admins, or one's own alone.
#[component]
pub(crate) fn Sessions(
    own: bool,
    /// Counts what ended some elsewhere on the page.
    #[prop(default = RwSignal::new(0))]
    changed: RwSignal<u32>,
) -> impl IntoView {
    let (session, step_up, questions, query) =
        (Session::here(), StepUp::here(), Questions::here(), Query::here());
    let asked = move || if own { String::new() } else { query.get("q") };
    let page = load(move || (asked(), changed.get()), move |(q, _)| session_list(FindCredentials { q, own }));
    let again = move || page.refetch();
    let end = Callback::new(move |one: SessionItem| {
        let title = match one.is_this {
            true => "End this session".to_owned(),
            false => format!("End a session of {}", one.user),
        };
        let device = one.device.clone().unwrap_or_else(|| "an unknown program".to_owned());
        let mut impact =
            vec![format!("{device} is signed out at once; its open pages close within seconds.")];
        if one.is_this {
            impact.push("It is the one that you look through: you will have to sign in again.".to_owned());
        }
        questions.ask(Ask {
            title,
            impact,
            must_type: None,
            reason: Reason::Optional,
            verb: "End it",
            is_risky: one.is_this,
            then: Then::new(move |_| {
                let id = one.id.clone();
                step_up.act(
                    move || session_end(EndSession { id: id.clone() }),
                    move |ended| {
                        again();
                        format!("A session of {} has ended", ended.user)
                    },
                );
            }),
        });
    });
    let others = move |_| {
        questions.ask(Ask {
            title: "End all of your other sessions".to_owned(),
            impact: vec![
                "Every other browser that you are signed in with is signed out; this one stays.".to_owned(),
            ],
            must_type: None,
            reason: Reason::Optional,
            verb: "End them",
            is_risky: false,
            then: Then::new(move |_| {
                step_up.act(
                    || session_end_all(EndSessions { user: None }),
                    move |done| {
                        again();
                        format!("{} sessions have ended", done.ended)
                    },
                );
            }),
        });
    };
    let list = move |SessionPage { sessions: all, more }| {
        if all.is_empty() {
            return view! { <Nothing heading="No session"><p>"Nobody is signed in in a browser, or nothing has these words."</p></Nothing> }.into_any();
        }
        let rows = all.into_iter().map(|one| view! { <Row one end own/> }).collect_view();
        let user = (!own).then(|| view! { <th scope="col">"Who"</th> });
        view! {
            <div class="table-scroll"><table class="table">
                <thead><tr>{user}<th scope="col">"Program"</th><th scope="col">"From"</th><th scope="col">"Begun"</th><th scope="col">"Used"</th><th scope="col">"Ends"</th><th scope="col"><span class="sr-only">"End"</span></th></tr></thead>
                <tbody>{rows}</tbody>
            </table></div>
            {cut(more)}
        }
        .into_any()
    };
    view! {
        <section class="card mb-4" aria-labelledby="sessions">
            <div class="card-head">
                <h2 id="sessions" class="font-semibold">{if own { "Your sessions" } else { "Signed in" }}</h2>
                {(!own).then(|| view! { <Search query label="Search sessions"/><Downloads query name="sessions"/> })}
                <button type="button" class="btn btn-small" class:ml-auto=own on:click=others>"End my others"</button>
            </div>
            <Transition fallback=|| view! { <div class="skeleton h-24" aria-hidden="true"></div> }>
                {move || page.get().map(|answer| match answer {
                    Ok(page) => list(page),
                    Err(error) => view! { <div class="p-4"><Failure error/></div> }.into_any(),
                })}
            </Transition>
            <p class="p-4 text-meta text-muted">{move || if own || !is_admin(session) {
                "A session ends after half an hour without you, and after eight hours in any case; the eleventh ends the oldest."
            } else {
                "All of a user's sessions are ended on their page under People."
            }}</p>
        </section>
    }
}

#[component]
fn Row(one: SessionItem, end: Callback<SessionItem>, own: bool) -> impl IntoView {
    let device = one.device.clone().unwrap_or_else(|| "unknown".to_owned());
    let label = format!("End the session of {} with {device}", one.user);
    let user = (!own).then(|| {
        let user = one.user.to_string();
        let href = format!("/admin/users?user={user}");
        view! { <th scope="row"><a class="link" href=href>{user}</a></th> }
    });
    let this = one.is_this.then(|| view! { <span class="chip ml-2">"this one"</span> });
    let address = one.address.clone();
    let (created, used, expires) = (one.created_at, one.used_at, one.expires_at);
    view! {
        <tr>
            {user}
            <td data-label="Program">{device}{this}</td>
            <td data-label="From" class="mono">{address}</td>
            <td data-label="Begun"><When at=created/></td>
            <td data-label="Used"><When at=used/></td>
            <td data-label="Ends"><When at=expires/></td>
            <td><button type="button" class="btn btn-small" aria-label=label on:click=move |_| end.run(one.clone())><Icon glyph=Glyph::Close/>"End"</button></td>
        </tr>
    }
}
