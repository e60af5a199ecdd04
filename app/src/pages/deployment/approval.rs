//! What approvals a deployment waits for: who gave theirs, what is missing, until when, and the buttons of
//! whoever may.

use super::{
    super::acts::{Act, ActButton, Doing},
    boxed::part,
    focus::keep_focus,
};
use crate::{
    api::{deployment_approve, deployment_reject},
    live::DeploymentStore,
    session::{At, Session},
    time::{As, When},
    ui::{Ask, Glyph, PasswordAgain, Reason, StepUp, Then},
};
use leptos::prelude::*;
use lockstep_model::{
    access::Permission,
    approval::{ApprovalGiven, ApprovalView, ApproveDeployment, RejectDeployment},
    deployment::Phase,
    view::{DeploymentSummary, ServiceChange},
};

fn given(reason: String) -> Option<String> {
    Some(reason).filter(|reason| !reason.is_empty())
}

fn change(change: &ServiceChange) -> String {
    let to = change.to.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
    match &change.from {
        Some(from) => format!("{} {from} → {to}", change.service),
        None => format!("{} {to}", change.service),
    }
}

fn line(one: &ApprovalGiven) -> AnyView {
    let reason = one.reason.as_ref().map(|reason| format!(": {reason}"));
    let gone = (!one.counts).then_some(" – may not approve any more, and does not count");
    view! { <li><span class="font-medium">{one.user.to_string()}</span>" approved "<When at=one.at/>{reason}{gone}</li> }.into_any()
}

/// The strip; nothing while no approval is waited for.
#[component]
pub(super) fn Approval(row: RwSignal<DeploymentSummary>, store: DeploymentStore) -> impl IntoView {
    let approval = RwSignal::from(store.approval.clone());
    let shown = move || {
        let is_queued = row.with(|row| row.phase == Phase::Queued);
        let approval = approval.get().filter(|_| is_queued)?;
        Some(view! { <Strip row approval/> })
    };
    let node = NodeRef::new();
    view! { <div class="controls" node_ref=node>{part(move || { let shown = shown(); keep_focus(node); shown })}</div> }
}

#[component]
fn Strip(row: RwSignal<DeploymentSummary>, approval: ApprovalView) -> impl IntoView {
    let (doing, session, at) = (Doing::here(), Session::here(), use_context::<At>());
    let id = row.with_untracked(|row| row.id);
    let ApprovalView { plan, count, by, until, given: all, .. } = approval.clone();
    let counted = approval.counted();
    let bar = Memo::new(move |_| {
        let who = session.get()?;
        let role = at.as_ref().and_then(|at| who.rights.role_on(&at.0));
        approval.bar(&who.user, role)
    });
    let step_up = StepUp::provide();
    // While the password is asked for nothing is on its way, and perhaps nothing will be.
    Effect::new(move |_| {
        if step_up.is_asking() {
            doing.dropped();
        }
    });
    let approve = Callback::new(move |()| {
        let now = row.get_untracked();
        let mut impact: Vec<String> = now.services.iter().map(change).collect();
        impact.push(match usize::try_from(count).unwrap_or(0).saturating_sub(counted) {
            0 | 1 => "With your approval it begins as soon as its turn has come.".to_owned(),
            left => format!("After yours it still needs {}.", left - 1),
        });
        let plan = plan.clone();
        doing.questions.ask(Ask {
            title: format!("Approve #{id} to {}", now.environment),
            impact,
            must_type: None,
            reason: Reason::Optional,
            verb: "Approve",
            is_risky: false,
            then: Then::new(move |reason: String| {
                let request = ApproveDeployment { id, plan: plan.clone(), reason: given(reason) };
                let act = Act::of("Approve…");
                if !doing.begin(&act) {
                    return;
                }
                let work = move || {
                    // Once more where the password was asked for in between.
                    let _ = doing.begin(&act);
                    deployment_approve(request.clone())
                };
                let done = move |row: DeploymentSummary| {
                    doing.accepted(&row);
                    doing.toasts.done(format!("Approved: #{} is {}", row.id, row.phase));
                };
                let failed = move |error: String| {
                    doing.refused();
                    doing.toasts.failed(error);
                };
                step_up.run(work, done, failed);
            }),
        });
    });
    let reject = Callback::new(move |()| {
        doing.questions.ask(Ask {
            title: format!("Reject #{id}"),
            impact: vec!["It ends; nothing was changed.".to_owned()],
            must_type: None,
            reason: Reason::Optional,
            verb: "Reject",
            is_risky: true,
            then: Then::new(move |reason: String| {
                let request = RejectDeployment { id, reason: given(reason) };
                doing.run(Act::of("Reject…"), "Rejected", deployment_reject(request));
            }),
        });
    });
    view! {
        <section class="card approval" aria-labelledby="approval-title">
            <div class="approval-words">
                <h2 id="approval-title" class="font-semibold">{format!("Waits for approval: {counted} of {count}")}</h2>
                <p class="text-muted">{format!("May approve: {by}. It ends without them ")}<When at=until shown=As::Absolute/>"."</p>
                <ul>{all.iter().map(line).collect_view()}</ul>
                <Suspense fallback=|| ()>
                    {move || { session.get()?; bar.get().map(|why| view! { <p class="text-meta text-muted">{why}</p> }) }}
                </Suspense>
            </div>
            <div class="approval-actions">
                <ActButton words="Approve…" going="Approving…" permission=Permission::Approve class="btn btn-primary" refusal=bar glyph=Glyph::Ok on_click=approve/>
                <ActButton words="Reject…" going="Rejecting…" permission=Permission::Approve refusal=bar glyph=Glyph::Close on_click=reject/>
            </div>
            <PasswordAgain/>
        </section>
    }
}
