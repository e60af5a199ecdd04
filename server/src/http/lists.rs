//! Downloads of people, tokens and sessions: what their pages list, to whom they list it.

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
    error::{ErrorBody, ErrorKind},
    session::SessionItem,
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
}

async fn people(web: &Web, sender: &Sender, asked: &Asked) -> Result<(Vec<UserView>, Ticket), Refused> {
    const NEEDED: Permission = Permission::ManageUsers;
    let (caller, everything) = (somebody(sender)?, Scope::default());
    if !caller.rights.allows_on(NEEDED, &everything) {
        return Err(Box::new(plain(&caller.forbidden(NEEDED, &everything).0)));
    }
    let ticket = web.downloads.begin(&caller.user)?;
    let mut rows = web.backend.people.user_list().await.map_err(refused)?.users;
    rows.retain(|user| asked.fits(&format!("{} {}", user.name, user.grants)));
    Ok((rows, ticket))
}

/// One's own; an admin's are everybody's.
async fn tokens(web: &Web, sender: &Sender, asked: &Asked) -> Result<(Vec<TokenView>, Ticket), Refused> {
    let caller = somebody(sender)?;
    let ticket = web.downloads.begin(&caller.user)?;
    let mut rows = web.backend.people.token_list(caller).await.map_err(refused)?.tokens;
    rows.retain(|one| asked.fits(&format!("{} {} {} {}", one.id, one.name, one.user, one.may())));
    Ok((rows, ticket))
}

/// One's own; an admin's are everybody's.
async fn sessions(web: &Web, sender: &Sender, asked: &Asked) -> Result<(Vec<SessionItem>, Ticket), Refused> {
    let caller = somebody(sender)?;
    let ticket = web.downloads.begin(&caller.user)?;
    let mut rows = web.backend.people.session_list(caller).await.map_err(refused)?.sessions;
    rows.retain(|one| asked.fits(&format!("{} {:?} {:?}", one.user, one.device, one.address)));
    Ok((rows, ticket))
}

fn somebody(sender: &Sender) -> Result<&Caller, Refused> {
    let nobody = || Box::new(plain(&ErrorBody::new(ErrorKind::Unauthenticated, "say who you are")));
    sender.caller.as_ref().ok_or_else(nobody)
}

fn refused(error: app::AppError) -> Refused {
    Box::new(plain(&error.0))
}
