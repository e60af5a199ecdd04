//! A deployment that is not there: it says so, leads to those that are, and gives way by itself once it
//! has come. Another error than that is said as it is.

use crate::{
    AppError,
    live::Live,
    ui::{Failure, Nothing},
};
use leptos::prelude::*;
use lockstep_model::{DeploymentId, error::ErrorKind, live::Topic};
use std::time::Duration;

/// How often it is looked whether it has come.
const ASK_EVERY: Duration = Duration::from_secs(3);

/// Stands where a deployment would; the page around it shows that as soon as it is known.
#[component]
pub(super) fn Missing(id: DeploymentId) -> impl IntoView {
    let live = Live::here();
    Effect::new(move |_| {
        if let Ok(asking) = set_interval_with_handle(move || live.ask_again(), ASK_EVERY) {
            on_cleanup(move || asking.clear());
        }
    });
    let refused = Memo::new(move |_| {
        let refused = live.refused.with(|refused| refused.get(&Topic::Deployment(id)).cloned());
        refused.filter(|error| error.kind != ErrorKind::NotFound)
    });
    let body = move || match refused.get() {
        Some(error) => view! {
            <Failure error=AppError(error)/>
            <p class="mt-4"><a class="link" href="/deployments">"All deployments"</a></p>
        }
        .into_any(),
        None => view! {
            <section class="card">
                <Nothing heading="There is no such deployment">
                    <p>"No deployment has this number yet. If one gets it, it is shown here by itself."</p>
                    <p class="mt-2"><a class="link" href="/deployments">"All deployments"</a></p>
                </Nothing>
            </section>
        }
        .into_any(),
    };
    view! {
        <div class="head"><h1 class="text-h1 font-semibold">{format!("Deployment #{id}")}</h1></div>
        {body}
    }
}

/// What stands in the address is no number.
#[component]
pub(super) fn NoNumber() -> impl IntoView {
    #[cfg(feature = "ssr")]
    crate::error::respond(ErrorKind::NotFound);
    view! {
        <div class="head"><h1 class="text-h1 font-semibold">"Deployment"</h1></div>
        <section class="card">
            <Nothing heading="There is no such deployment">
                <p>"Deployments have numbers; this address has none."</p>
                <p class="mt-2"><a class="link" href="/deployments">"All deployments"</a></p>
            </Nothing>
        </section>
    }
}
