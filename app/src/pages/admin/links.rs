//! Links to set a password by that are open: seen, never shown again, and withdrawn.

use crate::{
    api::links::link_revoke,
    codec::Loaded,
    time::When,
    ui::{Ask, Failure, Glyph, Icon, Questions, Reason, StepUp, Then},
};
use leptos::prelude::*;
use lockstep_model::{
    api::NameUser,
    links::{LinkPage, LinkView},
};

/// The list; nothing while none is open.
#[component]
pub(super) fn Links(page: Loaded<LinkPage>) -> impl IntoView {
    let list = move |all: Vec<LinkView>| {
        if all.is_empty() {
            return ().into_any();
        }
        let all = all.into_iter().map(|one| view! { <Row one page/> }).collect_view();
        view! {
            <section class="card mb-4" aria-labelledby="links">
                <div class="card-head"><h2 id="links" class="font-semibold">"Invitations and links that are open"</h2></div>
                <div class="table-scroll"><table class="table">
                    <thead><tr><th scope="col">"For"</th><th scope="col">"What"</th><th scope="col">"By"</th><th scope="col">"Ends"</th><th scope="col"><span class="sr-only">"Withdraw"</span></th></tr></thead>
                    <tbody>{all}</tbody>
                </table></div>
            </section>
        }
        .into_any()
    };
    view! {
        <Transition fallback=|| ()>
            {move || page.get().map(|answer| match answer {
                Ok(page) => list(page.links),
                Err(error) => view! { <Failure error/> }.into_any(),
            })}
        </Transition>
    }
}

#[component]
fn Row(one: LinkView, page: Loaded<LinkPage>) -> impl IntoView {
    let (step_up, questions) = (StepUp::here(), Questions::here());
    let name = one.user.clone();
    let withdraw = move |_| {
        let name = name.clone();
        questions.ask(Ask {
            title: format!("Withdraw the link for {name}"),
            impact: vec![
                "Whoever has it sets no password by it any more; another one can be made.".to_owned(),
            ],
            must_type: None,
            reason: Reason::Optional,
            verb: "Withdraw it",
            is_risky: false,
            then: Then::new(move |_| {
                let name = name.clone();
                step_up.act(
                    move || link_revoke(NameUser { name: name.clone() }),
                    move |link| {
                        page.refetch();
                        format!("The link for {} is withdrawn", link.user)
                    },
                );
            }),
        });
    };
    let label = format!("Withdraw the link for {}", one.user);
    let what = if one.is_invitation { "invitation" } else { "to set a new password" };
    let by = one.made_by.map(|by| by.to_string());
    view! {
        <tr>
            <th scope="row">{one.user.to_string()}</th>
            <td data-label="What">{what}</td>
            <td data-label="By">{by}</td>
            <td data-label="Ends"><When at=one.expires_at/></td>
            <td><button type="button" class="btn btn-small" aria-label=label on:click=withdraw><Icon glyph=Glyph::Close/>"Withdraw"</button></td>
        </tr>
    }
}
