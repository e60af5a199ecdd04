//! A page for addresses that lead nowhere.

use crate::ui::Narrow;
use leptos::prelude::*;
use leptos_meta::Title;

/// Says so and leads back.
#[component]
pub(crate) fn NotFound() -> impl IntoView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(http::StatusCode::NOT_FOUND);
    }
    view! {
        <Title text="Not found"/>
        <Narrow heading="There is no such page">
            <p class="text-muted">"The address leads nowhere. It may have been shortened when it was copied."</p>
            <a class="btn btn-primary mt-4" href="/" rel="external">"Go to the services"</a>
        </Narrow>
    }
}
