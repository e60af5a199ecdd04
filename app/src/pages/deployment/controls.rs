//! What can be done about a deployment, by its state. Each says what it will do before it does it.

use super::{
    super::acts::{Act, ActButton, Doing},
    focus::keep_focus,
    steer::{KeepButton, PauseButton, ResumeButton, StepsButton},
    takeback::{TakeBackButton, going_back},
};
use crate::{
    api::{deployment_cancel, deployment_resolve, deployment_undo_retry},
    live::DeploymentStore,
    query::Query,
    session::{At, Session},
    ui::{Ask, Dialog, Glyph, Reason, Then},
};
use leptos::prelude::*;
use lockstep_model::{
    access::Permission,
    api::{DeploymentRequest, EndDeployment, ResolveDeployment},
    deployment::{Phase, Resolution},
    view::{Asked, DeploymentSummary, ServiceProgress},
};

/// A key that makes a request act once, however often it is sent.
pub(crate) fn fresh_key() -> String {
    let part = || format!("{:08x}", (js_sys::Math::random() * 4_294_967_295.0) as u64);
    format!("web-{}{}{}", part(), part(), part())
}

/// Buttons for what can be done now.
#[component]
pub(super) fn Controls(row: RwSignal<DeploymentSummary>, store: DeploymentStore) -> impl IntoView {
    let stands =
        Memo::new(move |_| row.with(|row| (row.phase, row.asks_forward, row.asked() == Asked::Part)));
    let steps = move || store.clone();
    let node = NodeRef::new();
    let shown = move || {
        let stands = stands.get();
        keep_focus(node);
        match stands.0 {
        Phase::Queued => view! { <CancelButton row/> }.into_any(),
        Phase::Running => view! {
            <PauseButton row/><StepsButton row store=steps()/><KeepButton row/><CancelButton row/><TakeBackButton row/>
        }
        .into_any(),
        Phase::Paused => view! {
            <ResumeButton row/><StepsButton row store=steps()/><KeepButton row/><CancelButton row/><TakeBackButton row/>
        }
        .into_any(),
        // Services that go back by themselves, and do not.
        Phase::NeedsOperator if stands.2 => view! { <RetryButton row/><TakeBackButton row/><ResolveButton row/> }.into_any(),
        // One that waits for a word before it takes anything back.
        Phase::NeedsOperator if stands.1 && row.with_untracked(|row| row.restore_of.is_some()) => view! {
            <ResumeButton row/><StepsButton row store=steps()/><CancelButton row/><ResolveButton row/>
        }
        .into_any(),
        Phase::NeedsOperator if stands.1 => view! {
            <StepsButton row store=steps() is_first=true/><KeepButton row/><TakeBackButton row/><ResolveButton row/>
        }
        .into_any(),
        Phase::NeedsOperator => view! { <RetryButton row/><ResolveButton row/> }.into_any(),
        Phase::Succeeded => view! { <TakeBackButton row/> }.into_any(),
        Phase::RollingBack | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
            ().into_any()
        }
    }
    };
    view! { <div class="controls" node_ref=node>{shown}</div> }
}

/// Asks at once where the address says so (`ask=…`), as the palette does. Nothing acts without an answer,
/// so that a link which somebody else made does nothing by itself.
pub(super) fn ask_when_told(name: &'static str, doing: Doing, ask: Callback<()>) {
    let (query, session, at) = (Query::here(), Session::here(), use_context::<At>());
    Effect::new(move |_| {
        if query.get("ask") != name {
            return;
        }
        query.set(&[("ask", "")]);
        match session.refusal(Permission::Operate, at.as_ref().map(|at| &at.0)) {
            None => ask.run(()),
            Some(why) => doing.toasts.failed(why),
        }
    });
}

#[component]
fn CancelButton(row: RwSignal<DeploymentSummary>) -> impl IntoView {
    let doing = Doing::here();
    let ask = Callback::new(move |()| {
        let now = row.get_untracked();
        let id = now.id;
        let mut impact = vec!["No further step begins; those that run are stopped.".to_owned()];
        let back = going_back(&now);
        if back.is_empty() {
            impact.push("Nothing was changed yet.".to_owned());
        }
        impact.extend(back);
        doing.questions.ask(Ask {
            title: format!("Cancel deployment #{id}"),
            impact,
            must_type: None,
            reason: Reason::Optional,
            verb: "Cancel the deployment",
            is_risky: true,
            then: Then::new(move |reason: String| {
                let reason = Some(reason).filter(|reason| !reason.is_empty());
                let request = EndDeployment { id, reason, keep: false };
                doing.run(Act::of("Cancel"), "Asked to cancel", deployment_cancel(request));
            }),
        });
    });
    ask_when_told("cancel", doing, ask);
    view! {
        <ActButton words="Cancel" going="Cancelling…" permission=Permission::Operate glyph=Glyph::Close on_click=ask/>
    }
}

#[component]
fn RetryButton(row: RwSignal<DeploymentSummary>) -> impl IntoView {
    let doing = Doing::here();
    let ask = Callback::new(move |()| {
        let now = row.get_untracked();
        let id = now.id;
        let mut impact: Vec<String> = now
            .services
            .iter()
            .filter(|change| change.state == ServiceProgress::Stuck)
            .map(|change| format!("{} is taken back once more", change.service))
            .collect();
        impact.push("What is back already is left as it is.".to_owned());
        doing.questions.ask(Ask {
            title: format!("Try once more to take #{id} back"),
            impact,
            must_type: None,
            reason: Reason::Optional,
            verb: "Try again",
            is_risky: false,
            then: Then::new(move |_| {
                let again = deployment_undo_retry(DeploymentRequest { id });
                doing.run(Act::of("Try again"), "Trying again", again);
            }),
        });
    });
    ask_when_told("retry", doing, ask);
    view! {
        <ActButton words="Try again" going="Trying again…" permission=Permission::Operate class="btn btn-primary" glyph=Glyph::Back on_click=ask/>
    }
}

#[component]
fn ResolveButton(row: RwSignal<DeploymentSummary>) -> impl IntoView {
    let doing = Doing::here();
    let open = RwSignal::new(false);
    let outcomes = [
        (
            Resolution::Succeeded,
            "The new versions stay",
            "What was deployed counts as what serves.",
            "Where it has a share of the traffic it gets all of it; previews are closed.",
        ),
        (
            Resolution::RolledBack,
            "It was taken back by hand",
            "What served before counts as what serves.",
            "Where it does not have all of the traffic it gets it; previews are closed and new versions ended.",
        ),
        (
            Resolution::Failed,
            "It is left as it is",
            "Nothing is assumed; services whose state is not known are looked at.",
            "A share of the traffic goes back to what served before; previews are closed.",
        ),
    ];
    let choose = outcomes.map(|(outcome, name, what, closes)| {
        let ask = move |_| {
            let id = row.with_untracked(|row| row.id);
            open.set(false);
            doing.questions.ask(Ask {
                title: format!("Resolve #{id}: {}", name.to_lowercase()),
                impact: vec![what.to_owned(), closes.to_owned(), "Then the deployment ends.".to_owned()],
                must_type: None,
                reason: Reason::Needed,
                verb: "Resolve",
                is_risky: true,
                then: Then::new(move |reason: String| {
                    let request = ResolveDeployment { id, outcome, reason, leave: false };
                    doing.run(Act::of("Resolve…"), "Resolved", deployment_resolve(request));
                }),
            });
        };
        view! {
            <button type="button" class="option" on:click=ask>
                <span class="grid text-left py-2"><span class="font-medium">{name}</span><span class="text-meta text-muted">{what}</span></span>
            </button>
        }
    });
    let ask = Callback::new(move |()| open.set(true));
    ask_when_told("resolve", doing, ask);
    view! {
        <ActButton words="Resolve…" going="Resolving…" permission=Permission::Operate glyph=Glyph::Hand on_click=ask/>
        <Dialog open title="How did it end?"><div class="stack">{choose}</div></Dialog>
    }
}
