//! Pages.

mod acts;
mod admin;
mod audit;
mod compare;
mod deployment;
mod graph;
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

use crate::piece::piece;
pub(crate) use deployment::encoded;
use leptos::prelude::*;
use leptos_router::LazyRoute;

pub(crate) use not_found::NotFound;
pub(crate) use overview::OverviewPage;

// Pages whose code the browser loads when they are opened: the first load carries the frame and the
// overview only. Those that people open one after the other come in one piece.
macro_rules! later {
    ($($piece:ident { $($page:ident = $module:ident::$view:ident;)* })*) => {$($(
        pub(crate) struct $page;

        // Named like the component that it shows.
        #[expect(non_snake_case)]
        const _: () = {
            piece!($piece, load: fn $view() {
                view! { <$module::$view/> }.into_any()
            });

            impl LazyRoute for $page {
                fn data() -> Self {
                    Self
                }

                async fn view(_this: Self) -> AnyView {
                    $view().await
                }

                async fn preload() {
                    #[cfg(feature = "hydrate")]
                    load().await;
                }
            }
        };
    )*)*};
}

later! {
    lists {
        History = history::HistoryPage;
        Compare = compare::ComparePage;
    }
    services {
        Service = service::ServicePage;
        Services = services::ServicesPage;
        Restrictions = restrictions::RestrictionsPage;
    }
    graph {
        Graph = graph::GraphPage;
    }
    plans {
        Start = start::StartPage;
    }
    people {
        Users = admin::UsersPage;
        Tokens = admin::TokensPage;
        Programs = admin::ProgramsPage;
        NoPart = admin::NoPartPage;
    }
    records {
        Secrets = admin::SecretsPage;
        Sessions = admin::SessionsPage;
        SignIn = admin::SignInPage;
        Audit = audit::AuditPage;
        Settings = settings::SettingsPage;
    }
    door {
        Login = login::LoginPage;
        Link = link::LinkPage;
    }
}

pub(crate) struct Deployment;

impl LazyRoute for Deployment {
    fn data() -> Self {
        Self
    }

    async fn view(_this: Self) -> AnyView {
        deployment_page().await
    }

    // The view has to be there at once after this, with the tab that the address asks for.
    async fn preload() {
        #[cfg(feature = "hydrate")]
        futures_util::join!(load_deployment(), deployment::load_tab());
    }
}

piece!(deployment, load_deployment: fn deployment_page() {
    view! { <deployment::DeploymentPage/> }.into_any()
});
