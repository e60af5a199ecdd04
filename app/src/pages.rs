//! Pages.

mod admin;
mod audit;
mod compare;
mod deployment;
mod history;
mod link;
mod login;
mod not_found;
mod overview;
mod restrictions;
mod service;
mod services;
mod settings;
mod start;

pub(crate) use deployment::encoded;
use leptos::prelude::*;
use leptos_router::{LazyRoute, lazy_route};

pub(crate) use not_found::NotFound;
pub(crate) use overview::OverviewPage;

// Pages whose code the browser loads when they are opened, in pieces of their own: the first load
// carries the frame and the overview only.
macro_rules! later {
    ($($page:ident = $module:ident::$view:ident;)*) => {$(
        pub(crate) struct $page;

        #[lazy_route]
        impl LazyRoute for $page {
            fn data() -> Self {
                Self
            }

            fn view(_this: Self) -> AnyView {
                view! { <$module::$view/> }.into_any()
            }
        }
    )*};
}

later! {
    Admin = admin::AdminPage;
    Audit = audit::AuditPage;
    Compare = compare::ComparePage;
    Deployment = deployment::DeploymentPage;
    History = history::HistoryPage;
    Link = link::LinkPage;
    Restrictions = restrictions::RestrictionsPage;
    Login = login::LoginPage;
    Service = service::ServicePage;
    Services = services::ServicesPage;
    Settings = settings::SettingsPage;
    Start = start::StartPage;
}
