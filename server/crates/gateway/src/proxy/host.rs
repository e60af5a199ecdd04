//! Which host a request is for, and the form of its target that a revision gets.

use super::answers::Refusal;
use http::{HeaderValue, Request, Uri, Version, header, uri::PathAndQuery};
use std::{borrow::Cow, net::SocketAddr};

/// The authority a request names: of its target when that is absolute, else of its `Host`
/// (RFC 9112, 3.2). None only with HTTP/1.0.
pub(super) fn authority<B>(request: &Request<B>) -> Result<Option<HeaderValue>, Refusal> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::Malformed("The request names more than one host.\n"));
    }
    if let Some(authority) = request.uri().authority() {
        let without_user = authority.as_str().rsplit('@').next().unwrap_or_default();
        let value = HeaderValue::from_str(without_user);
        return value.map(Some).map_err(|_| Refusal::Malformed("The target of the request is not valid.\n"));
    }
    match host {
        Some(host) if is_host(host.as_bytes()) => Ok(Some(host.clone())),
        Some(_) => Err(Refusal::Malformed("The host of the request is not valid.\n")),
        None if request.version() == Version::HTTP_10 => Ok(None),
        None => Err(Refusal::Malformed("The request names no host.\n")),
    }
}

fn is_host(host: &[u8]) -> bool {
    let known = |b: &u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(b);
    host.iter().all(known)
}

/// The host of `authority` as routes are looked up by: lower case, without port.
pub(super) fn lookup_name(authority: &HeaderValue) -> Cow<'_, str> {
    let host = without_port(authority.to_str().unwrap_or_default());
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// `shop.example.com` of `shop.example.com.:8080`.
pub(crate) fn without_port(authority: &str) -> &str {
    let host = match authority.rfind(':') {
        // The colons of an IPv6 address stand within brackets.
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        Some(_) | None => authority,
    };
    host.strip_suffix('.').unwrap_or(host)
}

/// What a request without host gets as its host.
pub(super) fn of_address(address: SocketAddr) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(&address.to_string()).map_err(|_| Refusal::BrokenAnswer)
}

/// Path and query of a target.
pub(super) fn origin_form(uri: Uri) -> Uri {
    match uri.into_parts().path_and_query {
        Some(path) => Uri::from(path),
        None => Uri::from(PathAndQuery::from_static("/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_and_the_final_dot_are_no_part_of_a_host() {
        let cases = [
            ("shop.example.com", "shop.example.com"),
            ("shop.example.com:8080", "shop.example.com"),
            ("shop.example.com.:8080", "shop.example.com"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ];
        for (given, expected) in cases {
            assert_eq!(without_port(given), expected);
        }
    }

    #[test]
    fn an_absolute_target_wins_over_the_host_and_becomes_a_path() {
        let request =
            Request::builder().uri("http://me@A.example:8?q=1").header("host", "b").body(()).unwrap();
        let authority = authority(&request).unwrap().unwrap();
        assert_eq!(lookup_name(&authority), "a.example");
        assert_eq!(origin_form(request.into_parts().0.uri).to_string(), "/?q=1");
    }

    #[test]
    fn hosts_that_are_missing_doubled_or_malformed_are_refused() {
        let request = |version, hosts: &[&str]| {
            let mut request = Request::builder().version(version).uri("/");
            for host in hosts {
                request = request.header("host", *host);
            }
            authority(&request.body(()).unwrap())
        };
        assert!(request(Version::HTTP_11, &[]).is_err());
        assert!(request(Version::HTTP_11, &["a", "b"]).is_err());
        assert!(request(Version::HTTP_11, &["a b"]).is_err());
        assert!(request(Version::HTTP_11, &["a/b"]).is_err());
        assert_eq!(request(Version::HTTP_10, &[]), Ok(None));
        assert!(request(Version::HTTP_11, &["a:80"]).is_ok());
    }
}
