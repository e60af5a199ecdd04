//! Downloads: lists as CSV and JSON, output as text. What is written is what the list that was
//! looked at shows, all pages of it.

use super::{Web, downloads::Ticket, guard::plain, health::may_view};
use crate::{
    backend::search,
    csv::{self, line, or_empty},
    identity::Sender,
};
use app::backend::Caller;
use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, TryStreamExt as _, stream};
use lockstep_engine::port::{LogPart, LogStore};
use lockstep_model::{
    DeploymentId,
    api::{LOG_LINES_MAX, ListDeployments, ListServices, PAGE_ROWS_MAX},
    error::{ErrorBody, ErrorKind},
    view::{DeploymentSummary, ServiceView},
};
use std::{convert::Infallible, fmt::Write, sync::Arc};

type Asked = Result<Query<ListDeployments>, QueryRejection>;

const DEPLOYMENT_HEAD: [&str; 15] = [
    "id",
    "project",
    "environment",
    "status",
    "services",
    "user",
    "via",
    "reason",
    "commit",
    "requested_at_ms",
    "started_at_ms",
    "detected_at_ms",
    "stable_at_ms",
    "finished_at_ms",
    "failure",
];

pub(super) async fn deployments_csv(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    asked: Asked,
) -> Response {
    let page = |rows: Vec<DeploymentSummary>, place: Place| {
        let head = if place.is_first { line(DEPLOYMENT_HEAD.map(str::to_owned)) } else { String::new() };
        Ok(head + &rows.iter().map(|row| line(deployment_fields(row))).collect::<String>())
    };
    match deployments(&web, &sender, asked, page) {
        Ok(body) => download("deployments.csv", "text/csv; charset=utf-8", body),
        Err(refusal) => *refusal,
    }
}

pub(super) async fn deployments_json(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    asked: Asked,
) -> Response {
    let page = |rows: Vec<DeploymentSummary>, place: Place| {
        let items: Vec<String> = rows.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let begin = if place.is_first {
            "["
        } else if items.is_empty() {
            ""
        } else {
            ",\n"
        };
        let end = if place.is_last { "]\n" } else { "" };
        Ok(format!("{begin}{}{end}", items.join(",\n")))
    };
    match deployments(&web, &sender, asked, page) {
        Ok(body) => download("deployments.json", "application/json", body),
        Err(refusal) => *refusal,
    }
}

/// Which services.
#[derive(serde::Deserialize)]
pub(super) struct AskedServices {
    /// Only those whose words hold this, as the list of the page.
    #[serde(default)]
    q: String,
}

pub(super) async fn services_csv(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    Query(asked): Query<AskedServices>,
) -> Response {
    match services(&web, &sender, &asked).await {
        Ok((rows, ticket)) => {
            let head = [
                "project",
                "environment",
                "service",
                "team",
                "version",
                "revision",
                "deployment",
                "since_ms",
                "health",
                "changing",
                "address",
            ];
            download(
                "services.csv",
                "text/csv; charset=utf-8",
                ticket.whole(csv::file(&head, rows.iter().map(service_fields))),
            )
        }
        Err(refusal) => *refusal,
    }
}

pub(super) async fn services_json(
    State(web): State<Web>,
    Extension(sender): Extension<Sender>,
    Query(asked): Query<AskedServices>,
) -> Response {
    match services(&web, &sender, &asked).await {
        Ok((rows, ticket)) => json("services.json", &rows, ticket),
        Err(refusal) => *refusal,
    }
}

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

/// Where a page stands in a download.
struct Place {
    is_first: bool,
    is_last: bool,
}

/// All deployments of a list, page by page, as fast as they are taken. When a page cannot be read, the
/// download breaks off: a part never looks like the whole.
fn deployments(
    web: &Web,
    sender: &Sender,
    asked: Asked,
    write: impl Fn(Vec<DeploymentSummary>, Place) -> anyhow::Result<String> + Clone + Send + 'static,
) -> Result<Body, Box<Response>> {
    let caller = viewer(sender)?;
    let Query(request) = asked
        .map_err(|rejection| Box::new(plain(&ErrorBody::new(ErrorKind::Malformed, rejection.body_text()))))?;
    let request = ListDeployments { limit: PAGE_ROWS_MAX, cursor: None, ..request };
    let mut search = search(&request, &caller).map_err(|error| Box::new(plain(&error.0)))?;
    search.count = false;
    let ticket = web.downloads.begin(&caller.user)?;
    let store = web.store.clone();
    let pages = stream::try_unfold((Some(search), true), move |(search, is_first)| {
        let (store, write, caller) = (store.clone(), write.clone(), caller.clone());
        async move {
            let Some(mut search) = search else { return Ok(None) };
            let page = store.deployment_list(&search).await?;
            let is_last = page.next.is_none();
            let further =
                ListDeployments { cursor: page.next, sort: search.sort, ..ListDeployments::default() };
            search.after = crate::backend::search(&further, &caller)?.after;
            let text = write(page.deployments, Place { is_first, is_last })?;
            anyhow::Ok(Some((Bytes::from(text), ((!is_last).then_some(search), false))))
        }
    });
    let pages = pages.inspect_err(|error| tracing::error!("a download broke off: {error:#}"));
    Ok(Body::from_stream(ticket.held(pages)))
}

/// Who asks, when they may see something.
fn viewer(sender: &Sender) -> Result<Caller, Box<Response>> {
    may_view(sender)?;
    let nobody = || Box::new(plain(&ErrorBody::new(ErrorKind::Unauthenticated, "say who you are")));
    sender.caller.clone().ok_or_else(nobody)
}

async fn services(
    web: &Web,
    sender: &Sender,
    asked: &AskedServices,
) -> Result<(Vec<ServiceView>, Ticket), Box<Response>> {
    let caller = viewer(sender)?;
    let ticket = web.downloads.begin(&caller.user)?;
    let all = ListServices { project: None, environment: None };
    let page =
        web.backend.services.service_list(&caller, all).await.map_err(|error| Box::new(plain(&error.0)))?;
    let needle = asked.q.to_ascii_lowercase();
    let rows = page.services.into_iter().filter(|service| service.words().contains(&needle)).collect();
    Ok((rows, ticket))
}

fn deployment_fields(row: &DeploymentSummary) -> Vec<String> {
    let services: Vec<String> = row
        .services
        .iter()
        .map(|change| format!("{} {} -> {}", change.service, or_empty(&change.from), or_empty(&change.to)))
        .collect();
    let clocks = &row.clocks;
    vec![
        row.id.to_string(),
        row.project.to_string(),
        row.environment.to_string(),
        row.phase.key().to_owned(),
        services.join("; "),
        row.by.user.to_string(),
        row.by.via.clone(),
        row.reason.clone().unwrap_or_default(),
        row.source.commit.clone().unwrap_or_default(),
        clocks.requested_at.to_string(),
        or_empty(&clocks.started_at),
        or_empty(&clocks.detected_at),
        or_empty(&clocks.stable_at),
        or_empty(&clocks.finished_at),
        row.failure.as_ref().map(|failure| failure.reason.clone()).unwrap_or_default(),
    ]
}

fn service_fields(row: &ServiceView) -> Vec<String> {
    vec![
        row.project.to_string(),
        row.environment.to_string(),
        row.service.to_string(),
        or_empty(&row.team),
        or_empty(&row.version),
        or_empty(&row.revision),
        or_empty(&row.deployment),
        or_empty(&row.since),
        row.health.map(|health| health.word().to_owned()).unwrap_or_default(),
        or_empty(&row.changing),
        row.address.clone().unwrap_or_default(),
    ]
}

pub(super) fn json<T: serde::Serialize>(name: &str, rows: &[T], ticket: Ticket) -> Response {
    match serde_json::to_vec(rows) {
        Ok(text) => download(name, "application/json", ticket.whole(text)),
        Err(error) => {
            tracing::error!("{name} could not be written: {error}");
            plain(&ErrorBody::new(ErrorKind::Internal, "the list could not be written"))
        }
    }
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
