//! Downloads of lists as CSV and JSON, to whom their pages list them, page by page, as fast as they are taken.
//! This is the one table of them: the router, the permissions and their tests read it.

mod pages;

use super::{PlainRoute, Web, export::download, guard::plain, route};
use crate::{
    identity::Sender,
    lists::{self as columns, Columns},
};
use app::{AppError, backend::Caller};
use axum::{
    Extension,
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
    routing::{MethodRouter, get},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use lockstep_model::{
    access::{ObjectKind, Permission, Scope},
    error::{ErrorBody, ErrorKind},
};
use serde::{Serialize, de::DeserializeOwned};
use std::convert::Infallible;

/// A list that is downloaded.
pub(super) struct List {
    /// As a CSV file and as JSON; see [`FORMATS`].
    pub(super) routes: [PlainRoute; 2],
    serve: fn(&'static List) -> [MethodRouter<Web>; 2],
}

/// In which a list is given.
const FORMATS: [Format; 2] = [Format::Csv, Format::Json];

#[derive(Debug, Clone, Copy)]
enum Format {
    Csv,
    Json,
}

/// Name, who may, what it is about; how its pages come, its columns, and where a page comes from.
macro_rules! lists {
    ($($name:literal $permission:ident $object:ident $how:ident($columns:ident, $page:ident);)*) => {
        pub(super) const LISTS: &[List] = &[$(List {
            routes: [
                route(concat!("/", $name, ".csv"), "GET", Permission::$permission, ObjectKind::$object),
                route(concat!("/", $name, ".json"), "GET", Permission::$permission, ObjectKind::$object),
            ],
            serve: |list| $how(list, &columns::$columns, pages::$page),
        }),*];
    };
}

lists! {
    "deployments"  View          Seen         paged(DEPLOYMENTS, deployments);
    "services"     View          Seen         whole(SERVICES, services);
    "audit"        ReadAudit     Installation paged(AUDIT, audit);
    "people"       ManageUsers   Installation whole(PEOPLE, people);
    "tokens"       SignedIn      Oneself      whole(TOKENS, tokens);
    "sessions"     SignedIn      Oneself      whole(SESSIONS, sessions);
    "secrets"      ManageSecrets Installation whole(SECRETS, secrets);
    "jobs"         ManageUsers   Installation whole(JOBS, jobs);
    "webhooks"     ManageUsers   Installation whole(WEBHOOKS, webhooks);
    "restrictions" View          Seen         whole(RESTRICTIONS, restrictions);
    "compare"      View          Seen         whole(COMPARED, compared);
    "checks"       View          Seen         whole(CHECKS, checks);
}

/// What answers the route of a list.
pub(super) fn handler(path: &str) -> Option<MethodRouter<Web>> {
    LISTS.iter().find_map(|list| {
        let place = list.routes.iter().position(|route| route.path == path)?;
        (list.serve)(list).into_iter().nth(place)
    })
}

type Refused = Box<Response>;
type Asked<Q> = Result<Query<Q>, QueryRejection>;

/// A page of a list, and where the next one begins.
struct Page<T, A> {
    rows: Vec<T>,
    next: Option<A>,
}

/// A list whose pages are read one after the other.
fn paged<Q, T, A, F>(
    list: &'static List,
    columns: &'static Columns<T>,
    page: impl Fn(Web, Caller, Q, Option<A>) -> F + Copy + Send + Sync + 'static,
) -> [MethodRouter<Web>; 2]
where
    Q: DeserializeOwned + Clone + Send + Sync + 'static,
    T: Serialize + Send + 'static,
    A: Send + 'static,
    F: Future<Output = Result<Page<T, A>, AppError>> + Send + 'static,
{
    FORMATS.map(|format| {
        get(move |State(web): State<Web>, Extension(sender): Extension<Sender>, asked: Asked<Q>| async move {
            let write = move |page: &Page<T, A>, is_first| format.write(columns, page, is_first);
            match list.begin(&web, &sender, asked, page, write).await {
                Ok(body) => list.file(format, body),
                Err(refusal) => *refusal,
            }
        })
    })
}

/// A list that is one page.
fn whole<Q, T, F>(
    list: &'static List,
    columns: &'static Columns<T>,
    rows: impl Fn(Web, Caller, Q) -> F + Copy + Send + Sync + 'static,
) -> [MethodRouter<Web>; 2]
where
    Q: DeserializeOwned + Clone + Send + Sync + 'static,
    T: Serialize + Send + 'static,
    F: Future<Output = Result<Vec<T>, AppError>> + Send + 'static,
{
    paged(list, columns, move |web, caller, asked: Q, _: Option<Infallible>| async move {
        Ok(Page { rows: rows(web, caller, asked).await?, next: None })
    })
}

impl List {
    /// All pages. What cannot even begin is an error; when a later page cannot be read, the download breaks
    /// off: a part never looks like the whole.
    async fn begin<Q, T, A, F>(
        &self,
        web: &Web,
        sender: &Sender,
        asked: Asked<Q>,
        page: impl Fn(Web, Caller, Q, Option<A>) -> F + Send + Sync + 'static,
        write: impl Fn(&Page<T, A>, bool) -> Result<String, AppError> + Copy + Send + 'static,
    ) -> Result<Body, Refused>
    where
        Q: Clone + Send + Sync + 'static,
        T: Send + 'static,
        A: Send + 'static,
        F: Future<Output = Result<Page<T, A>, AppError>> + Send + 'static,
    {
        let caller = self.admit(sender)?.clone();
        let Query(asked) = asked.map_err(|rejection| {
            Box::new(plain(&ErrorBody::new(ErrorKind::Malformed, rejection.body_text())))
        })?;
        let ticket = web.downloads.begin(&caller.user)?;
        let web = web.clone();
        let pages = stream::try_unfold(Some((None, true)), move |at| {
            let begun = at
                .map(|(after, is_first)| (page(web.clone(), caller.clone(), asked.clone(), after), is_first));
            async move {
                let Some((page, is_first)) = begun else { return Ok(None) };
                let page = page.await?;
                let text = write(&page, is_first)?;
                Ok(Some((text, page.next.map(|next| (Some(next), false)))))
            }
        });
        let mut pages = Box::pin(pages);
        let first = pages.try_next().await.map_err(|error: AppError| Box::new(plain(&error.0)))?;
        let all = stream::iter(first.map(Ok)).chain(pages);
        let all = all.inspect_err(|error| tracing::error!("a download broke off: {error}"));
        Ok(Body::from_stream(ticket.held(all)))
    }

    /// Whoever asks, when they may have the list.
    fn admit<'a>(&self, sender: &'a Sender) -> Result<&'a Caller, Refused> {
        let refuse = |body: &ErrorBody| Box::new(plain(body));
        let Some(caller) = &sender.caller else {
            let message = "sign in, or send a token: 'Authorization: Bearer ls_…'";
            return Err(refuse(&ErrorBody::new(ErrorKind::Unauthenticated, message)));
        };
        let [PlainRoute { permission, object, .. }, _] = &self.routes;
        let everything = Scope::default();
        let may = match object {
            // What they hold is left out that whoever asks does not see.
            ObjectKind::Oneself | ObjectKind::Seen => caller.rights.allows_somewhere(*permission),
            _ => caller.rights.allows_on(*permission, &everything),
        };
        if may { Ok(caller) } else { Err(refuse(&caller.forbidden(*permission, &everything).0)) }
    }

    fn file(&self, format: Format, body: Body) -> Response {
        let [csv, json] = &self.routes;
        let (route, kind) = match format {
            Format::Csv => (csv, "text/csv; charset=utf-8"),
            Format::Json => (json, "application/json"),
        };
        download(route.path.trim_start_matches('/'), kind, body)
    }
}

impl Format {
    /// A page as it stands in the file.
    fn write<T: Serialize, A>(
        self,
        columns: &Columns<T>,
        page: &Page<T, A>,
        is_first: bool,
    ) -> Result<String, AppError> {
        match self {
            Self::Csv if is_first => Ok(columns.file(&page.rows)),
            Self::Csv => Ok(columns.lines(&page.rows)),
            Self::Json => json(&page.rows, is_first, page.next.is_none()).map_err(|error| {
                tracing::error!("a list could not be written: {error}");
                AppError::new(ErrorKind::Internal, "the list could not be written")
            }),
        }
    }
}

fn json<T: Serialize>(rows: &[T], is_first: bool, is_last: bool) -> Result<String, serde_json::Error> {
    let items: Vec<String> = rows.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    let begin = match (is_first, items.is_empty()) {
        (true, _) => "[",
        (false, true) => "",
        (false, false) => ",\n",
    };
    Ok(format!("{begin}{}{}", items.join(",\n"), if is_last { "]\n" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::{LISTS, json};

    #[test]
    fn every_list_is_in_the_manual() {
        let manual = include_str!("../../docs/operations.md");
        for path in LISTS.iter().map(|list| list.routes[0].path) {
            assert!(manual.contains(&format!("`{path}`")), "{path} does not stand in operations.md");
        }
    }

    #[test]
    fn pages_of_json_are_one_list() {
        for pages in [&[&[1, 2][..], &[3]][..], &[&[1], &[]], &[&[]]] {
            let last = pages.len() - 1;
            let written = pages.iter().enumerate().map(|(place, rows)| json(rows, place == 0, place == last));
            let text: String = written.collect::<Result<_, _>>().expect("numbers");
            assert_eq!(serde_json::from_str::<Vec<i32>>(&text).expect("a list"), pages.concat());
        }
    }
}
