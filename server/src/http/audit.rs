//! Downloads of the audit: what the page lists, all pages of it, as fast as they are taken.

use super::{Web, export::download, guard::plain};
use crate::{
    csv::{line, or_empty},
    identity::Sender,
};
use app::backend::Audit;
use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use futures_util::{TryStreamExt as _, stream};
use lockstep_model::{
    access::{Permission, Scope},
    api::{FindAudit, PAGE_ROWS_MAX},
    error::{ErrorBody, ErrorKind},
    view::AuditView,
};
use std::sync::Arc;

type Asked = Result<Query<FindAudit>, QueryRejection>;

const HEAD: [&str; 9] = ["id", "at", "user", "via", "address", "action", "target", "reason", "allowed"];

pub(super) async fn csv(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    asked: Asked,
) -> Response {
    let write = |rows: &[AuditView], is_first: bool, _| {
        let head = if is_first { line(HEAD.map(str::to_owned)) } else { String::new() };
        Ok(head + &rows.iter().map(|row| line(fields(row))).collect::<String>())
    };
    match lines(&web, &sender, asked, write) {
        Ok(body) => download("audit.csv", "text/csv; charset=utf-8", body),
        Err(refusal) => *refusal,
    }
}

pub(super) async fn json(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    asked: Asked,
) -> Response {
    let write = |rows: &[AuditView], is_first: bool, is_last: bool| {
        let items: Vec<String> = rows.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let begin = match (is_first, items.is_empty()) {
            (true, _) => "[",
            (false, true) => "",
            (false, false) => ",\n",
        };
        Ok(format!("{begin}{}{}", items.join(",\n"), if is_last { "]\n" } else { "" }))
    };
    match lines(&web, &sender, asked, write) {
        Ok(body) => download("audit.json", "application/json", body),
        Err(refusal) => *refusal,
    }
}

/// All lines, page by page. When a page cannot be read, the download breaks off: a part never looks like
/// the whole.
fn lines(
    web: &Web,
    sender: &Sender,
    asked: Asked,
    write: impl Fn(&[AuditView], bool, bool) -> anyhow::Result<String> + Clone + Send + 'static,
) -> Result<Body, Box<Response>> {
    let refuse = |body: ErrorBody| Box::new(plain(&body));
    let user = match &sender.caller {
        None => return Err(refuse(ErrorBody::new(ErrorKind::Unauthenticated, "say who you are"))),
        Some(caller) if !caller.rights.allows_on(Permission::ReadAudit, &Scope::default()) => {
            return Err(refuse(caller.forbidden(Permission::ReadAudit, &Scope::default()).0));
        }
        Some(caller) => &caller.user,
    };
    let Query(request) =
        asked.map_err(|rejection| refuse(ErrorBody::new(ErrorKind::Malformed, rejection.body_text())))?;
    let request = FindAudit { limit: PAGE_ROWS_MAX, ..request };
    let ticket = web.downloads.begin(user)?;
    let audit: Arc<dyn Audit> = web.backend.audit.clone();
    let pages = stream::try_unfold((Some(request), true), move |(request, is_first)| {
        let (audit, write) = (audit.clone(), write.clone());
        async move {
            let Some(request) = request else { return Ok(None) };
            let page = audit.audit_list(request.clone()).await?;
            let is_last = page.entries.len() < PAGE_ROWS_MAX as usize;
            let before = page.entries.last().map(|last| last.id);
            let text = write(&page.entries, is_first, is_last)?;
            let further = (!is_last).then_some(FindAudit { before, ..request });
            anyhow::Ok(Some((Bytes::from(text), (further, false))))
        }
    });
    let pages = pages.inspect_err(|error| tracing::error!("a download broke off: {error:#}"));
    Ok(Body::from_stream(ticket.held(pages)))
}

fn fields(row: &AuditView) -> Vec<String> {
    vec![
        row.id.to_string(),
        row.at.to_string(),
        row.user.to_string(),
        row.via.clone(),
        or_empty(&row.address),
        row.action.clone(),
        row.target.clone(),
        or_empty(&row.reason),
        row.allowed.to_string(),
    ]
}
