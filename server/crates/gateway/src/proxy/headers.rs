//! Headers that belong to one connection are taken off, those that tell the revision about the user
//! are set from what the gateway itself knows. What the user claims about himself is not passed on.

use super::{answers::Refusal, cookies};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Version,
    header::{self, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
};
use std::net::IpAddr;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// Of one connection (RFC 9110, 7.6.1) or between the user and a proxy (11.7). `Trailer` stays,
/// since trailers are passed on.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// About the user; only the gateway may say it.
const CLAIMS: [HeaderName; 2] = [header::FORWARDED, HeaderName::from_static("x-real-ip")];

/// Refuses transfer codings that are not understood, so that the revision sees the same body.
pub(super) fn check_framing<B>(request: &Request<B>) -> Result<(), Refusal> {
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(Refusal::Coding);
    }
    Ok(())
}

/// The protocol the user wants to change to. Never HTTP/2: within it requests would pass by the
/// gateway unseen, Lockstep's own cookie included.
pub(super) fn wanted_protocol<B>(request: &Request<B>) -> Option<HeaderValue> {
    let wants = || tokens(request.headers(), &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"));
    let protocol = request.headers().get(UPGRADE)?;
    let is_http2 =
        tokens(request.headers(), &UPGRADE).any(|token| token.to_ascii_lowercase().starts_with("h2"));
    (request.version() == Version::HTTP_11 && wants() && !is_http2).then(|| protocol.clone())
}

/// Whether the user sends his body only when asked to.
pub(super) fn expects_continue(parts: &Parts) -> bool {
    parts.version == Version::HTTP_11
        && parts
            .headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Makes the headers of a request those the revision gets.
pub(super) fn prepare_request(
    parts: &mut Parts,
    host: HeaderValue,
    peer: IpAddr,
    protocol: Option<&HeaderValue>,
) {
    let waits = expects_continue(parts);
    let headers = &mut parts.headers;
    let is_chunked = headers.contains_key(TRANSFER_ENCODING);
    let takes_trailers = tokens(headers, &TE).any(|token| token.eq_ignore_ascii_case("trailers"));
    let named = headers.contains_key(HOST).then(|| host.clone());
    remove_hop_by_hop(headers);
    CLAIMS.iter().for_each(|name| drop(headers.remove(name)));
    if is_chunked {
        // A length beside it would be read differently by others (request smuggling). The coding is
        // set by hand, since hyper takes a GET for one without a body otherwise.
        headers.remove(CONTENT_LENGTH);
        headers.insert(TRANSFER_ENCODING, CHUNKED);
    }
    if !waits {
        headers.remove(EXPECT);
    }
    let connection = match (takes_trailers, protocol.is_some()) {
        (true, true) => Some("te, upgrade"),
        (true, false) => Some("te"),
        (false, true) => Some("upgrade"),
        (false, false) => None,
    };
    if let Some(connection) = connection {
        headers.insert(CONNECTION, HeaderValue::from_static(connection));
    }
    if takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = protocol {
        headers.insert(UPGRADE, protocol.clone());
    }
    if let Ok(peer) = HeaderValue::from_str(&peer.to_string()) {
        headers.insert(FORWARDED_FOR, peer);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    match named {
        Some(named) => drop(headers.insert(FORWARDED_HOST, named)),
        None => drop(headers.remove(FORWARDED_HOST)),
    }
    headers.insert(HOST, host);
    cookies::strip_own(headers);
}

/// Makes the headers of an answer those the user gets; `protocol` is the one that was changed to.
pub(super) fn prepare_response(headers: &mut HeaderMap, protocol: Option<&HeaderValue>) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    remove_hop_by_hop(headers);
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> =
            tokens(headers, &CONNECTION).filter_map(|token| token.parse().ok()).collect();
        // Nobody may have the length of the message taken off.
        let named = named.iter().filter(|name| ![CONTENT_LENGTH, TRANSFER_ENCODING, TRAILER].contains(name));
        named.for_each(|name| drop(headers.remove(name)));
    }
    HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(name)));
}

/// The comma-separated tokens of all headers called `name`.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(headers: &[(&str, &str)]) -> HeaderMap {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let host = parts.headers.get(HOST).cloned().unwrap_or(HeaderValue::from_static("127.0.0.1:9"));
        prepare_request(&mut parts, host, "192.0.2.7".parse().unwrap(), None);
        parts.headers
    }

    #[test]
    fn headers_of_the_connection_are_taken_off() {
        let headers = prepared(&[
            ("host", "shop"),
            ("connection", "close, X-Private"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip"),
            ("upgrade", "websocket"),
            ("proxy-authorization", "Basic x"),
            ("accept", "*/*"),
        ]);
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]);
    }

    #[test]
    fn what_the_user_claims_about_himself_is_replaced() {
        let headers = prepared(&[
            ("host", "shop:8080"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "bank"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
        ]);
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["x-forwarded-host"], "shop:8080");
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert!(!headers.contains_key("forwarded") && !headers.contains_key("x-real-ip"));
        assert!(!prepared(&[("x-forwarded-host", "bank")]).contains_key("x-forwarded-host"));
    }

    #[test]
    fn trailers_stay_possible() {
        let headers = prepared(&[
            ("host", "a"),
            ("te", "trailers, deflate"),
            ("trailer", "x-sum"),
            ("transfer-encoding", "chunked"),
        ]);
        assert_eq!(headers["te"], "trailers");
        assert_eq!(headers["connection"], "te");
        assert_eq!(headers["trailer"], "x-sum");
        assert_eq!(headers["transfer-encoding"], "chunked");
    }

    #[test]
    fn only_real_upgrades_are_passed_on() {
        let wanted = |connection: &str, upgrade: &str| {
            let request = Request::builder().header("connection", connection).header("upgrade", upgrade);
            wanted_protocol(&request.body(()).unwrap())
        };
        assert_eq!(wanted("keep-alive, Upgrade", "websocket").unwrap(), "websocket");
        assert_eq!(wanted("keep-alive", "websocket"), None);
        assert_eq!(wanted("upgrade", "websocket, H2C"), None);
    }

    #[test]
    fn a_revision_never_gets_an_ambiguous_length() {
        let check = |headers: &[(&str, &str)]| {
            let mut request = Request::builder();
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            check_framing(&request.body(()).unwrap())
        };
        assert_eq!(check(&[("transfer-encoding", "Chunked")]), Ok(()));
        assert_eq!(check(&[("transfer-encoding", "gzip, chunked")]), Err(Refusal::Coding));
        assert_eq!(
            check(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]),
            Err(Refusal::Coding)
        );
        let both = prepared(&[("host", "a"), ("content-length", "3"), ("transfer-encoding", "chunked")]);
        assert!(!both.contains_key("content-length") && both["transfer-encoding"] == "chunked");
    }
}
