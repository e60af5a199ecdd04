//! Passing on what has soaked in another environment: what would go, what is left, and the button.

use super::super::acts::{Act, ActButton, Doing};
use crate::{
    api::deployment_promote,
    time::duration,
    ui::{Ask, Glyph, Reason, Then},
};
use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_navigate;
use lockstep_model::{
    EnvironmentName, ProjectName, Version,
    access::Permission,
    api::PromoteDeployment,
    view::{PromotedView, PromotionView},
};

fn line(one: &PromotedView) -> String {
    let word = |version: &Option<Version>| {
        version.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    format!("{}: {} → {}", one.service, word(&one.from), word(&one.to))
}

/// Shown where the manifest lets something pass on and something differs.
#[component]
pub(super) fn Promotion(
    project: ProjectName,
    environment: EnvironmentName,
    plan: PromotionView,
) -> impl IntoView {
    let request = PromoteDeployment {
        project: Some(project),
        from: None,
        to: Some(environment),
        services: Vec::new(),
        reason: None,
        accept_no_rollback: false,
        idempotency_key: None,
    };
    let (doing, navigate) = (Doing::here(), use_navigate());
    let title = format!("Promote from {} to {}", plan.from, plan.to);
    let refusal =
        plan.services.iter().find_map(|one| Some(format!("{}: {}", one.service, one.refusal.as_ref()?)));
    let refusal = Signal::stored(refusal);
    let rows = plan.services.iter().map(|one| view! {
        <li><span class="mono">{line(one)}</span><span class="block text-meta text-muted">{one.refusal.clone().unwrap_or_else(|| "has soaked and may go".to_owned())}</span></li>
    }).collect_view();
    let soak = match plan.soak_ms {
        0 => format!("A version goes on when it is healthy in {}.", plan.from),
        soak => format!("A version goes on after {} in {}.", duration(soak), plan.from),
    };
    let name = title.clone();
    let ask = Callback::new(move |()| {
        let mut impact: Vec<String> = plan.services.iter().map(line).collect();
        impact.push(match plan.soak_ms {
            0 => format!("Each is healthy in {}.", plan.from),
            soak => format!("Each has served in {} for {} and is healthy there.", plan.from, duration(soak)),
        });
        impact.push("When one fails, all of it is taken back.".to_owned());
        let (request, navigate, key) = (request.clone(), navigate.clone(), super::fresh_key());
        doing.questions.ask(Ask {
            title: name.clone(),
            impact,
            must_type: plan.is_guarded.then(|| plan.to.to_string()),
            reason: Reason::Optional,
            verb: "Promote",
            is_risky: false,
            then: Then::new(move |reason: String| {
                let request = PromoteDeployment {
                    reason: Some(reason).filter(|reason| !reason.is_empty()),
                    idempotency_key: Some(key.clone()),
                    ..request.clone()
                };
                let navigate = navigate.clone();
                if !doing.begin(&Act::of("Promote…")) {
                    return;
                }
                spawn_local(async move {
                    match deployment_promote(request).await {
                        Ok(row) => {
                            doing.accepted(&row);
                            doing.toasts.done(format!("Deployment #{} is {}", row.id, row.phase));
                            navigate(&format!("/deployments/{}", row.id), Default::default());
                        }
                        Err(error) => {
                            doing.refused();
                            doing.toasts.failed(error.to_string());
                        }
                    }
                });
            }),
        });
    });
    view! {
        <section class="card mb-4" aria-labelledby="promote">
            <div class="card-head">
                <h2 id="promote" class="font-semibold">{title}</h2>
                <span class="text-meta text-muted">{soak}</span>
                <span class="ml-auto"><ActButton words="Promote…" going="Promoting…" permission=Permission::Deploy refusal class="btn btn-primary" glyph=Glyph::Deployments on_click=ask/></span>
            </div>
            <ul class="impact m-4">{rows}</ul>
        </section>
    }
}
