//! What can be done about a deployment, by its state. Each says what it will do before it does it.

use crate::{
    AppError,
    api::{deployment_cancel, deployment_resolve, deployment_rollback, deployment_undo_retry},
    live::Live,
    ui::{Ask, Dialog, Glyph, Guarded, Icon, Questions, Reason, Toasts},
};
use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_navigate;
use lockstep_model::{
    access::Permission,
    api::{DeploymentRequest, EndDeployment, ResolveDeployment, RollbackDeployment},
    deployment::{Phase, Resolution},
    view::{DeploymentSummary, ServiceChange, ServiceProgress},
};

/// A key that makes a request act once, however often it is sent.
pub(crate) fn fresh_key() -> String {
    let part = || format!("{:08x}", (js_sys::Math::random() * 4_294_967_295.0) as u64);
    format!("web-{}{}{}", part(), part(), part())
}

/// What goes back, a line each.
fn going_back(row: &DeploymentSummary) -> Vec<String> {
    let touched = |change: &&ServiceChange| {
        !matches!(change.state, ServiceProgress::Pending | ServiceProgress::Untouched | ServiceProgress::Back)
    };
    let line = |change: &ServiceChange| match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{}: {to} → {from}", change.service),
        (None, _) => format!("{}: ended; nothing served before", change.service),
        (Some(from), None) => format!("{}: {from} serves again", change.service),
    };
    row.services.iter().filter(touched).map(line).collect()
}

#[derive(Clone, Copy)]
struct Doing {
    toasts: Toasts,
    questions: Questions,
}

impl Doing {
    fn here() -> Self {
        Self { toasts: Toasts::here(), questions: Questions::here() }
    }

    /// Says that it is asked for, then what came of it.
    fn run<F>(self, what: &'static str, work: F)
    where
        F: Future<Output = Result<DeploymentSummary, AppError>> + 'static,
    {
        spawn_local(async move {
            match work.await {
                Ok(row) => self.toasts.done(format!("{what}: #{} is {}", row.id, row.phase)),
                Err(error) => self.toasts.failed(error.to_string()),
            }
        });
    }
}

/// Buttons for what can be done now.
#[component]
pub(super) fn Controls(row: RwSignal<DeploymentSummary>) -> impl IntoView {
    let phase = Memo::new(move |_| row.with(|row| row.phase));
    move || match phase.get() {
        Phase::Queued => view! { <CancelButton row/> }.into_any(),
        Phase::Running => view! { <CancelButton row/><TakeBackButton row/> }.into_any(),
        Phase::NeedsOperator => view! { <RetryButton row/><ResolveButton row/> }.into_any(),
        Phase::Succeeded => view! { <TakeBackButton row/> }.into_any(),
        Phase::RollingBack | Phase::RolledBack | Phase::Failed | Phase::Cancelled | Phase::Superseded => {
            ().into_any()
        }
    }
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
            then: Callback::new(move |reason: String| {
                let reason = Some(reason).filter(|reason| !reason.is_empty());
                doing.run("Asked to cancel", deployment_cancel(EndDeployment { id, reason }));
            }),
        });
    });
    view! {
        <Guarded permission=Permission::Operate on_click=ask><Icon glyph=Glyph::Close/>"Cancel"</Guarded>
    }
}

#[component]
fn TakeBackButton(row: RwSignal<DeploymentSummary>) -> impl IntoView {
    let doing = Doing::here();
    let navigate = use_navigate();
    let ask = Callback::new(move |()| {
        let now = row.get_untracked();
        let navigate = navigate.clone();
        doing.questions.ask(take_back(&now, None, doing, move |path| navigate(path, Default::default())));
    });
    view! {
        <Guarded permission=Permission::Operate class="btn btn-risky" on_click=ask><Icon glyph=Glyph::Back/>"Take back"</Guarded>
    }
}

/// Restores what served before an ended deployment, also one from long ago.
#[component]
pub(super) fn RestoreButton(row: RwSignal<DeploymentSummary>) -> impl IntoView {
    let doing = Doing::here();
    let live = Live::here();
    let navigate = use_navigate();
    let refusal = Signal::derive(move || {
        let (phase, is_restore) = row.with(|row| (row.phase, row.restore_of.is_some()));
        if !phase.is_final() {
            return Some("It runs still; take it back instead.".to_owned());
        }
        is_restore.then(|| "This deployment took another one back; restore from that one.".to_owned())
    });
    let ask = Callback::new(move |()| {
        let now = row.get_untracked();
        // An environment that nothing is known of yet counts as guarded.
        let is_known = live.overview.is_known.get_untracked();
        let is_guarded = !is_known
            || live.overview.environments.with_untracked(|all| {
                all.iter()
                    .any(|one| one.project == now.project && one.name == now.environment && one.is_guarded)
            });
        let typed = is_guarded.then(|| now.environment.to_string());
        let navigate = navigate.clone();
        doing.questions.ask(take_back(&now, typed, doing, move |path| navigate(path, Default::default())));
    });
    view! {
        <Guarded permission=Permission::Operate refusal class="btn btn-risky" on_click=ask><Icon glyph=Glyph::Back/>"Restore these"</Guarded>
    }
}

fn take_back(
    row: &DeploymentSummary,
    must_type: Option<String>,
    doing: Doing,
    go: impl Fn(&str) + Clone + Send + Sync + 'static,
) -> Ask {
    let id = row.id;
    let is_live = !row.phase.is_final();
    let mut impact = going_back(row);
    if impact.is_empty() {
        impact = row
            .services
            .iter()
            .map(|change| match &change.from {
                Some(from) => format!("{}: {from} serves again", change.service),
                None => format!("{}: ended; nothing served before", change.service),
            })
            .collect();
    }
    impact.push("Dependants go back first; each service is probed before it counts as back.".to_owned());
    if !is_live {
        impact.push("This is a deployment of its own, and can be followed as one.".to_owned());
    }
    let key = fresh_key();
    Ask {
        title: format!("Take back #{id} in {}", row.environment),
        impact,
        must_type,
        reason: Reason::Optional,
        verb: "Take back",
        is_risky: true,
        then: Callback::new(move |reason: String| {
            let request = RollbackDeployment {
                id: Some(id),
                project: None,
                environment: None,
                reason: Some(reason).filter(|reason| !reason.is_empty()),
                idempotency_key: (!is_live).then(|| key.clone()),
            };
            let go = go.clone();
            spawn_local(async move {
                match deployment_rollback(request).await {
                    Ok(row) if row.id == id => doing.toasts.done(format!("#{id} is {}", row.phase)),
                    Ok(row) => {
                        doing.toasts.done(format!("#{} takes #{id} back", row.id));
                        go(&format!("/deployments/{}", row.id));
                    }
                    Err(error) => doing.toasts.failed(error.to_string()),
                }
            });
        }),
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
            then: Callback::new(move |_| {
                doing.run("Trying again", deployment_undo_retry(DeploymentRequest { id }));
            }),
        });
    });
    view! {
        <Guarded permission=Permission::Operate class="btn btn-primary" on_click=ask><Icon glyph=Glyph::Back/>"Try again"</Guarded>
    }
}

#[component]
fn ResolveButton(row: RwSignal<DeploymentSummary>) -> impl IntoView {
    let doing = Doing::here();
    let open = RwSignal::new(false);
    let outcomes = [
        (Resolution::Succeeded, "The new versions stay", "What was deployed counts as what serves."),
        (Resolution::RolledBack, "It was taken back by hand", "What served before counts as what serves."),
        (
            Resolution::Failed,
            "It is left as it is",
            "Nothing is assumed; services whose state is not known are looked at.",
        ),
    ];
    let choose = outcomes.map(|(outcome, name, what)| {
        let ask = move |_| {
            let id = row.with_untracked(|row| row.id);
            open.set(false);
            doing.questions.ask(Ask {
                title: format!("Resolve #{id}: {}", name.to_lowercase()),
                impact: vec![what.to_owned(), "Nothing is changed outside; the deployment ends.".to_owned()],
                must_type: None,
                reason: Reason::Needed,
                verb: "Resolve",
                is_risky: true,
                then: Callback::new(move |reason: String| {
                    doing.run("Resolved", deployment_resolve(ResolveDeployment { id, outcome, reason }));
                }),
            });
        };
        view! {
            <button type="button" class="option" on:click=ask>
                <span class="grid text-left py-2"><span class="font-medium">{name}</span><span class="text-meta text-muted">{what}</span></span>
            </button>
        }
    });
    view! {
        <Guarded permission=Permission::Operate on_click=Callback::new(move |()| open.set(true))><Icon glyph=Glyph::Hand/>"Resolve…"</Guarded>
        <Dialog open title="How did it end?"><div class="stack">{choose}</div></Dialog>
    }
}
