//! What stands below the head of the page, in pieces of the WASM of their own: whoever looks at a plan has
//! no use for the code of the timeline. A page that the server wrote is taken over once they are there,
//! since it has to be found as it was written.

use super::{
    audit::Audit,
    checks::Checks,
    log::Log,
    plan::{Checkpoints, PlanShown},
    rollback::Rollback,
    timeline::Timeline,
};
use crate::{live::DeploymentStore, piece::piece};
use futures_util::FutureExt;
use leptos::{prelude::*, task::spawn_local};
use lockstep_model::DeploymentId;
use std::pin::Pin;

piece!(timeline, load_timeline: fn timeline(store: DeploymentStore) {
    view! { <Timeline store/> }.into_any()
});

piece!(log, load_log: fn log(id: DeploymentId) {
    view! { <Log id/> }.into_any()
});

piece!(plans, load_rest: fn rest(tab: String, id: DeploymentId, store: DeploymentStore) {
    match tab.as_str() {
        "checks" => view! { <Checks store/> }.into_any(),
        "plan" => view! { <PlanShown store/> }.into_any(),
        "checkpoints" => view! { <Checkpoints store/> }.into_any(),
        "rollback" => view! { <Rollback store/> }.into_any(),
        _ => view! { <Audit id/> }.into_any(),
    }
});

/// Whether it is the first one, which has two parts.
fn is_first(tab: &str) -> bool {
    !matches!(tab, "checks" | "plan" | "checkpoints" | "rollback" | "audit")
}

/// Comes to an end when the code for a tab is there.
fn loading(tab: &str) -> Pin<Box<dyn Future<Output = ()>>> {
    #[cfg(feature = "hydrate")]
    return if is_first(tab) {
        Box::pin(async {
            futures_util::join!(load_timeline(), load_log());
        })
    } else {
        Box::pin(load_rest())
    };
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = tab;
        Box::pin(async {})
    }
}

/// Loads what the address asks for.
#[cfg(feature = "hydrate")]
pub(crate) async fn load() {
    let search = window().location().search().unwrap_or_default();
    let tab = search.trim_start_matches('?').split('&').find_map(|one| one.strip_prefix("tab="));
    loading(tab.unwrap_or_default()).await;
}

/// What a tab shows.
#[component]
pub(super) fn Tab(tab: String, id: DeploymentId, store: DeploymentStore) -> impl IntoView {
    let has_come = RwSignal::new(false);
    move || {
        has_come.track();
        let mut loading = loading(&tab);
        if loading.as_mut().now_or_never().is_none() {
            spawn_local(async move {
                loading.await;
                let _ = has_come.try_set(true);
            });
            return view! { <div class="card skeleton" aria-hidden="true"></div> }.into_any();
        }
        let store = store.clone();
        // It is there, so none of these waits.
        if is_first(&tab) {
            (timeline(store).now_or_never(), log(id).now_or_never()).into_any()
        } else {
            rest(tab.clone(), id, store).now_or_never().into_any()
        }
    }
}
