//! Downloads of output as text, all of it.

use super::{Web, guard::plain, health::may_view};
use crate::identity::Sender;
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
    access::{Object, Permission},
    api::LOG_LINES_MAX,
    error::{ErrorBody, ErrorKind},
};
use std::{convert::Infallible, fmt::Write, sync::Arc};

pub(super) async fn log(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
) -> Response {
    begin(&web, &sender, &id).await.unwrap_or_else(|refusal| *refusal)
}

async fn begin(web: &Web, sender: &Sender, id: &str) -> Result<Response, Box<Response>> {
    let refuse = |body: &ErrorBody| Box::new(plain(body));
    may_view(sender)?;
    let nobody = || refuse(&ErrorBody::new(ErrorKind::Unauthenticated, "say who you are"));
    let caller = sender.caller.as_ref().ok_or_else(nobody)?;
    let none = || refuse(&ErrorBody::new(ErrorKind::NotFound, format!("there is no deployment {id}")));
    let id = DeploymentId(id.parse().map_err(|_| none())?);
    // As every other look at one: that somebody asked for what is hidden from them is noted.
    let admitted = web.backend.access.admit(caller, Permission::View, Object::Deployment(id)).await;
    admitted.map_err(|refusal| refuse(&refusal.0))?;
    let row = web.store.deployment_fetch(id).await;
    row.map_err(|error| refuse(&crate::backend::store(error).0))?.ok_or_else(none)?;
    let ticket = web.downloads.begin(&caller.user)?;
    let body = Body::from_stream(ticket.held(lines(web.logs.clone(), id)));
    Ok(download(&format!("deployment-{id}.log"), "text/plain; charset=utf-8", body))
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

pub(super) fn download(name: &str, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = body.into().into_response();
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        head.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
