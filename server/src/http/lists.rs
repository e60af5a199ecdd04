//! Downloads of what the pages of people, programs, secrets and restrictions list, to whom they list it.

use super::{
    Web,
    downloads::Ticket,
    export::{download, json},
    guard::plain,
};
use crate::{identity::Sender, lists};
use app::backend::Caller;
use axum::{
    Extension,
    extract::{Query, State},
    response::Response,
};
use lockstep_model::{
    access::{Permission, Scope},
    api::ListRestrictions,
    error::{ErrorBody, ErrorKind},
    hooks::HookView,
    restriction::Restriction,
    secrets::{ListSecrets, SecretView},
    session::SessionItem,
    tokens::FindCredentials,
    trust::TrustView,
    view::{TokenView, UserView},
};

const CSV: &str = "text/csv; charset=utf-8";

/// Which rows.
#[derive(serde::Deserialize)]
pub(super) struct Asked {
    /// Only those with all of these words, as on the page.
    #[serde(default)]
    q: String,
}

impl Asked {
    fn find(&self) -> FindCredentials {
        FindCredentials { q: self.q.clone(), own: false }
    }

    fn fits(&self, words: &str) -> bool {
        let words = words.to_lowercase();
        self.q.to_lowercase().split_whitespace().all(|word| words.contains(word))
    }
}

type Refused = Box<Response>;

macro_rules! downloads {
    ($($rows:ident, $csv:ident $csv_file:literal, $json:ident $json_file:literal;)*) => {$(
        pub(super) async fn $csv(
            State(web): State<Web>,
            Extension(sender): Extension<Sender>,
            Query(asked): Query<Asked>,
        ) -> Response {
            match $rows(&web, &sender, &asked).await {
                Ok((rows, ticket)) => download($csv_file, CSV, ticket.whole(lists::$rows(&rows))),
                Err(refusal) => *refusal,
            }
        }

        pub(super) async fn $json(
            State(web): State<Web>,
            Extension(sender): Extension<Sender>,
            Query(asked): Query<Asked>,
        ) -> Response {
            match $rows(&web, &sender, &asked).await {
                Ok((rows, ticket)) => json($json_file, &rows, ticket),
                Err(refusal) => *refusal,
            }
        }
    )*};
}

downloads! {
    people, people_csv "people.csv", people_json "people.json";
    tokens, tokens_csv "tokens.csv", tokens_json "tokens.json";
    sessions, sessions_csv "sessions.csv", sessions_json "sessions.json";
    secrets, secrets_csv "secrets.csv", secrets_json "secrets.json";
    jobs, jobs_csv "jobs.csv", jobs_json "jobs.json";
    webhooks, webhooks_csv "webhooks.csv", webhooks_json "webhooks.json";
    restrictions, restrictions_csv "restrictions.csv", restrictions_json "restrictions.json";
}

async fn people(web: &Web, sender: &Sender, asked: &Asked) -> Result<(Vec<UserView>, Ticket), Refused> {
    let ticket = may(web, sender, Permission::ManageUsers)?;
    let mut rows = web.backend.people.user_list().await.map_err(refused)?.users;
    rows.retain(|user| asked.fits(&format!("{} {}", user.name, user.grants)));
    Ok((rows, ticket))
}

/// One's own; an admin's are everybody's.
async fn tokens(web: &Web, sender: &Sender, asked: &Asked) -> Result<(Vec<TokenView>, Ticket), Refused> {
    let caller = somebody(sender)?;
    let ticket = web.downloads.begin(&caller.user)?;
    let page = web.backend.people.token_list(caller, asked.find()).await;
    Ok((page.map_err(refused)?.tokens, ticket))
}

/// One's own; an admin's are everybody's.
async fn sessions(web: &Web, sender: &Sender, asked: &Asked) -> Result<(Vec<SessionItem>, Ticket), Refused> {
    let caller = somebody(sender)?;
    let ticket = web.downloads.begin(&caller.user)?;
    let page = web.backend.people.session_list(caller, asked.find()).await;
    Ok((page.map_err(refused)?.sessions, ticket))
}

/// Names and dates: no value, nor anything made from one.
async fn secrets(web: &Web, sender: &Sender, asked: &Asked) -> Result<(Vec<SecretView>, Ticket), Refused> {
    let ticket = may(web, sender, Permission::ManageSecrets)?;
    let page = web.backend.secrets.secret_list(ListSecrets::default()).await;
    let mut rows = page.map_err(refused)?.secrets;
    rows.retain(|one| {
        asked.fits(&format!("{} {} {} {}", one.project, one.environment, one.name, one.set_by))
    });
    Ok((rows, ticket))
}

async fn jobs(web: &Web, sender: &Sender, asked: &Asked) -> Result<(Vec<TrustView>, Ticket), Refused> {
    let ticket = may(web, sender, Permission::ManageUsers)?;
    let mut rows = web.backend.trust.trust_list().await.map_err(refused)?.rules;
    rows.retain(|one| asked.fits(&one.name));
    Ok((rows, ticket))
}

/// With where their secrets are, as the list tells it; never the secrets.
async fn webhooks(web: &Web, sender: &Sender, asked: &Asked) -> Result<(Vec<HookView>, Ticket), Refused> {
    let ticket = may(web, sender, Permission::ManageUsers)?;
    let mut rows = web.backend.hooks.hook_list().await.map_err(refused)?.hooks;
    rows.retain(|one| asked.fits(&one.rule.name));
    Ok((rows, ticket))
}

/// Those of what one sees.
async fn restrictions(
    web: &Web,
    sender: &Sender,
    asked: &Asked,
) -> Result<(Vec<Restriction>, Ticket), Refused> {
    let caller = somebody(sender)?;
    if !caller.rights.allows_somewhere(Permission::View) {
        return Err(Box::new(plain(&caller.forbidden(Permission::View, &Scope::default()).0)));
    }
    let ticket = web.downloads.begin(&caller.user)?;
    let page = web
        .backend
        .deployments
        .restriction_list(caller, ListRestrictions { project: None, environment: None })
        .await;
    let mut rows = page.map_err(refused)?.restrictions;
    rows.retain(|one| {
        asked.fits(&format!("{} {} {} {}", one.kind.word(), one.project, one.environment, one.reason))
    });
    Ok((rows, ticket))
}

/// A ticket for a list of the whole installation; refuses who has not what it takes.
fn may(web: &Web, sender: &Sender, needed: Permission) -> Result<Ticket, Refused> {
    let (caller, everything) = (somebody(sender)?, Scope::default());
    if !caller.rights.allows_on(needed, &everything) {
        return Err(Box::new(plain(&caller.forbidden(needed, &everything).0)));
    }
    web.downloads.begin(&caller.user)
}

fn somebody(sender: &Sender) -> Result<&Caller, Refused> {
    let nobody = || Box::new(plain(&ErrorBody::new(ErrorKind::Unauthenticated, "say who you are")));
    sender.caller.as_ref().ok_or_else(nobody)
}

fn refused(error: app::AppError) -> Refused {
    Box::new(plain(&error.0))
}
