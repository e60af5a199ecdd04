//! Where browsers reach this server, and whether a request that changes something came from our own
//! pages there.

use axum::http::{HeaderMap, Uri, header};
use std::net::{IpAddr, SocketAddr};

/// Where browsers reach this server.
#[derive(Debug, Clone)]
pub struct Origin {
    /// As `https://deploy.example.com`, without a path.
    url: String,
    host: String,
    /// Whether browsers come over HTTPS.
    pub is_https: bool,
}

/// The public address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("--public-url {0}: expected an address such as https://deploy.example.com, without a path")]
pub struct OriginError(String);

impl Origin {
    /// A server that is reached at the address it listens at.
    pub fn of_address(address: SocketAddr) -> Self {
        let host = address.to_string();
        Self { url: format!("http://{host}"), host, is_https: false }
    }

    /// A server behind a proxy, reached at `url`.
    ///
    /// # Errors
    /// [`OriginError`].
    pub fn of_url(url: &str) -> Result<Self, OriginError> {
        let refused = || OriginError(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| refused())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(refused());
        };
        let is_https = scheme == "https";
        if !(is_https || scheme == "http") || uri.path() != "/" || uri.query().is_some() {
            return Err(refused());
        }
        Ok(Self { url: format!("{scheme}://{authority}"), host: authority.to_string(), is_https })
    }

    /// Whether it is this machine, and nothing is on the way.
    pub fn is_near(&self) -> bool {
        let host = self.host.rsplit_once(':').map_or(self.host.as_str(), |(host, _)| host);
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// The address for people.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether a request names us as its host. A name that is not ours is a page elsewhere that made
    /// its name point here; a bare address cannot be.
    pub fn is_our_host(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let Some(named) = named.or_else(|| uri.authority().map(|authority| authority.as_str())) else {
            return false;
        };
        if named.eq_ignore_ascii_case(&self.host) {
            return true;
        }
        let name = named.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let name = name.map_or(named, |(name, _)| name).trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
    }

    /// Whether the browser says that the request was made by one of our own pages. One that says
    /// nothing is not believed.
    pub fn is_our_page(&self, headers: &HeaderMap) -> bool {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        match (text(header::HeaderName::from_static("sec-fetch-site")), text(header::ORIGIN)) {
            (Some(site), _) => site == "same-origin",
            (None, Some(origin)) => {
                origin == self.url
                    || origin.split_once("://").is_some_and(|(_, host)| Some(host) == text(header::HOST))
            }
            (None, None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (header::HeaderName::from_static(name), header::HeaderValue::from_static(value))
            })
            .collect()
    }

    #[test]
    fn a_page_is_ours_only_when_the_browser_says_so() {
        let origin = Origin::of_url("https://deploy.example.com").expect("valid");
        let cases: [(&[(&str, &str)], bool); 7] = [
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://deploy.example.com")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "https://deploy.example.com")], true),
            (&[("origin", "https://evil.example.com"), ("host", "deploy.example.com")], false),
            (&[], false),
        ];
        for (given, expected) in cases {
            assert_eq!(origin.is_our_page(&headers(given)), expected, "{given:?}");
        }
    }

    #[test]
    fn hosts_are_ours_by_name_or_by_bare_address() {
        let origin = Origin::of_address("127.0.0.1:3000".parse().expect("valid"));
        let uri = Uri::from_static("/");
        for (host, expected) in [
            ("127.0.0.1:3000", true),
            ("localhost:3000", true),
            ("[::1]:3000", true),
            ("10.1.2.3", true),
            ("evil.example.com:3000", false),
            ("", false),
        ] {
            assert_eq!(origin.is_our_host(&headers(&[("host", host)]), &uri), expected, "{host}");
        }
    }

    #[test]
    fn a_public_address_has_no_path() {
        assert!(Origin::of_url("https://a.example.com/x").is_err());
        assert!(Origin::of_url("ftp://a.example.com").is_err());
        assert!(Origin::of_url("a.example.com").is_err());
        assert!(Origin::of_url("https://a.example.com").expect("valid").is_https);
    }
}
