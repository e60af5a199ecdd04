//! Downloads of output as text, all of it.

use super::{Web, guard::plain, health::may_view};
use crate::identity::Sender;
use app::backend::Caller;
use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, stream};
use lockstep_engine::port::{LogPart, LogStore};
use lockstep_model::{
    DeploymentId,
    api::LOG_LINES_MAX,
    error::{ErrorBody, ErrorKind},
    view::DeploymentSummary,
};
use std::{convert::Infallible, fmt::Write, sync::Arc};

pub(super) async fn log(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
) -> Response {
    if let Err(refusal) = may_view(&sender) {
        return *refusal;
    }
    let is_seen = |row: &DeploymentSummary| {
        let sight = sender.caller.as_ref().map(|caller| caller.rights.sight());
        sight.is_some_and(|sight| sight.sees(&row.project, &row.environment))
    };
    let found = match id.parse().ok().map(DeploymentId) {
        Some(id) => web.store.deployment_fetch(id).await.map(|row| row.filter(is_seen).map(|_| id)),
        None => Ok(None),
    };
    match found {
        Ok(Some(id)) => {
            let ticket = match viewer(&sender).and_then(|caller| web.downloads.begin(&caller.user)) {
                Ok(ticket) => ticket,
                Err(refusal) => return *refusal,
            };
            let name = format!("deployment-{id}.log");
            let body = Body::from_stream(ticket.held(lines(web.logs.clone(), id)));
            download(&name, "text/plain; charset=utf-8", body)
        }
        Ok(None) => plain(&ErrorBody::new(ErrorKind::NotFound, format!("there is no deployment {id}"))),
        Err(error) => plain(&crate::backend::store(error).0),
    }
}

/// All lines, page by page, as fast as they are taken.
fn lines(logs: Arc<dyn LogStore>, id: DeploymentId) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::unfold(Some(0), move |after| {
        let logs = logs.clone();
        async move {
            let after = after?;
            let page = match logs.log_read(id, None, LogPart::After(after), LOG_LINES_MAX).await {
                Ok(page) => page,
                Err(error) => {
                    let text = format!("\nthe rest could not be read: {error}\n");
                    return Some((Ok(Bytes::from(text)), None));
                }
            };
            let mut text = String::new();
            if let Some(removed) = page.removed.filter(|_| after == 0) {
                let _ = writeln!(text, "… {removed}");
            }
            for line in &page.lines {
                let _ = writeln!(text, "{} {} {}", line.at, line.step, line.text);
            }
            Some((Ok(Bytes::from(text)), page.more.then_some(page.next)))
        }
    })
}

/// Who asks, when they may see something.
fn viewer(sender: &Sender) -> Result<Caller, Box<Response>> {
    may_view(sender)?;
    let nobody = || Box::new(plain(&ErrorBody::new(ErrorKind::Unauthenticated, "say who you are")));
    sender.caller.clone().ok_or_else(nobody)
}

pub(super) fn download(name: &str, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = body.into().into_response();
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        head.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
