//! Hands one request to a revision and its answer back, both streamed. Every failure becomes an
//! answer in plain text; none tells the user an address behind the gateway.

mod answers;
mod body;
mod cookies;
mod headers;
mod host;
mod tunnel;

pub(crate) use body::RequestBody;
pub(crate) use cookies::{is_own_name as is_own_cookie, value_of as cookie};
pub(crate) use host::without_port as host_without_port;

use crate::{
    gateway::Gateway,
    revision::Visit,
    sync::TallyGuard,
    table::{Admission, Endpoint, Phase},
    upstream::{Failure, Upstream, exchange},
};
use answers::Refusal;
use body::{ResponseBody, Upload};
use http::{HeaderValue, Method, StatusCode, Version, header};
use hyper::{Request, Response, body::Incoming, upgrade::OnUpgrade};
use std::{error::Error, net::IpAddr, sync::Arc, time::Instant};
use tracing::{debug, info};

/// A connection from a user.
pub(crate) struct Client {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) peer: IpAddr,
    /// Its place among the open connections.
    pub(crate) permit: Arc<TallyGuard>,
}

/// Answers `request`.
pub(crate) async fn handle(client: Arc<Client>, request: Request<Incoming>) -> Response<ResponseBody> {
    client.gateway.follow_successor().await;
    let mut response = forward(&client, request).await.unwrap_or_else(Refusal::into_response);
    match client.endpoint.phase() {
        Phase::Open => {}
        Phase::Retiring | Phase::Closing if response.status() == StatusCode::SWITCHING_PROTOCOLS => {}
        Phase::Retiring | Phase::Closing => {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
    response
}

async fn forward(client: &Client, mut request: Request<Incoming>) -> Result<Response<ResponseBody>, Refusal> {
    if request.method() == Method::CONNECT {
        return Err(Refusal::Method);
    }
    headers::check_framing(&request)?;
    let authority = host::authority(&request)?;
    let host = authority.as_ref().map(|authority| host::lookup_name(authority));
    let (mut visit, stuck) = match client.endpoint.admit(host.as_deref(), request.headers()) {
        Admission::Visit(visit, stuck) => (visit, stuck),
        Admission::Unserved => return Err(Refusal::Unserved),
        Admission::UnknownHost => return Err(Refusal::UnknownHost),
    };
    if let Some(name) = &stuck.hidden {
        cookies::strip(request.headers_mut(), name);
    }
    let switching = headers::wanted_protocol(&request)
        .map(|protocol| Switching { protocol, client: hyper::upgrade::on(&mut request) });
    let host = authority.map_or_else(|| host::of_address(visit.revision.address), Ok)?;
    let (request, upload) = outgoing(request, host, client.peer, switching.as_ref());
    let began = Instant::now();
    match exchange(&visit.revision, request, &client.gateway.limits).await {
        Ok((response, upstream)) => {
            visit.answered(began.elapsed());
            if response.status().is_server_error() {
                visit.fail();
            }
            let answer = Answer { visit, upstream, upload };
            let mut response = answer.pass_on(client, response, switching)?;
            if let Some(cookie) = stuck.given {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(failure) if failure.is_by_client() => Err(Refusal::BrokenRequest),
        Err(failure) => {
            visit.fail();
            report(&visit, &failure);
            Err(match failure {
                Failure::ConnectTimeout => Refusal::Late,
                Failure::Connect(_) => Refusal::NotAccepted,
                Failure::Exchange(_) => Refusal::BrokenAnswer,
            })
        }
    }
}

/// A protocol the user wants to change to, as `websocket`.
struct Switching {
    protocol: HeaderValue,
    client: OnUpgrade,
}

fn outgoing(
    request: Request<Incoming>,
    host: HeaderValue,
    peer: IpAddr,
    switching: Option<&Switching>,
) -> (Request<RequestBody>, Upload) {
    let (mut parts, body) = request.into_parts();
    let waits = headers::expects_continue(&parts);
    headers::prepare_request(&mut parts, host, peer, switching.map(|switching| &switching.protocol));
    let mut request = Request::new(RequestBody::empty());
    *request.method_mut() = parts.method;
    *request.uri_mut() = host::origin_form(parts.uri);
    *request.headers_mut() = parts.headers;
    let upload = body::attach(&mut request, body, waits);
    (request, upload)
}

struct Answer {
    visit: Visit,
    upstream: Upstream,
    upload: Upload,
}

impl Answer {
    fn pass_on(
        mut self,
        client: &Client,
        mut response: Response<Incoming>,
        switching: Option<Switching>,
    ) -> Result<Response<ResponseBody>, Refusal> {
        *response.version_mut() = Version::HTTP_11;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            headers::prepare_response(response.headers_mut(), None);
            return Ok(response.map(|body| ResponseBody::stream(body, self, client)));
        }
        let Some(Switching { client: on_client, protocol: _ }) = switching else {
            debug!(revision.id = %self.visit.revision.id, "{} changed the protocol unasked", self.visit.revision.id);
            self.visit.fail();
            self.upstream.cut();
            return Err(Refusal::BrokenAnswer);
        };
        let on_revision = hyper::upgrade::on(&mut response);
        let protocol = response.headers().get(header::UPGRADE).cloned();
        headers::prepare_response(response.headers_mut(), protocol.as_ref());
        tunnel::start(on_client, on_revision, self.visit, Arc::clone(&client.permit));
        Ok(response.map(|_| ResponseBody::text("")))
    }
}

fn report(visit: &Visit, failure: &Failure) {
    let id = &visit.revision.id;
    let cause = failure.source().map(ToString::to_string).unwrap_or_default();
    info!(revision.id = %id, "{id} at {} did not answer: {failure}: {cause}", visit.revision.address);
}
