//! What issuers say of themselves: where they are asked, and their keys. Asked over HTTPS, at most every few
//! seconds, never more than a bounded answer, never led elsewhere; kept for an hour, and for a day when an
//! issuer does not answer.

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 256 << 10;
const KEYS_MAX: usize = 100;
const KEPT: Duration = Duration::from_secs(60 * 60);
const KEPT_WITHOUT_ANSWER: Duration = Duration::from_secs(24 * 60 * 60);
/// A key that nobody knows makes an issuer be asked again, this often at most.
const ASKED_EVERY: Duration = Duration::from_secs(5);

/// Why an issuer cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// Its address is none to ask.
    #[error("'{0}' is no https:// address")]
    Address(String),
    /// It did not answer, or not with success.
    #[error("{0} did not answer")]
    Answer(String, #[source] reqwest::Error),
    /// It answered something else.
    #[error("{0} answered {1}")]
    Other(String, String),
    /// It was asked just now.
    #[error("it was asked a moment ago; try again in some seconds")]
    JustNow,
}

/// What an issuer says of itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Discovery {
    /// Who it says it is.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where people sign in.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// Where codes are exchanged.
    #[serde(default)]
    pub token_endpoint: Option<String>,
    /// What can be asked for; empty = it does not say.
    #[serde(default)]
    pub scopes_supported: Vec<String>,
}

/// An issuer with its keys.
#[derive(Debug)]
pub struct Provider {
    /// What it says of itself.
    pub discovery: Discovery,
    keys: JwkSet,
}

impl Provider {
    /// How many keys it has.
    pub fn key_count(&self) -> usize {
        self.keys.keys.len()
    }

    /// A key that signs.
    pub(super) fn key(&self, kid: &str) -> Option<&Jwk> {
        self.keys.find(kid).filter(|key| !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption)))
    }
}

#[derive(Default)]
struct Known {
    provider: Option<(Arc<Provider>, Instant)>,
    asked: Option<Instant>,
}

/// Issuers, as they were asked last.
pub struct Issuers {
    known: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Known>>>>,
    /// Whether one on this machine may be asked by plain HTTP: for tests.
    plain_loopback: bool,
}

impl Issuers {
    /// None asked yet.
    pub fn new(plain_loopback: bool) -> Self {
        Self { known: Mutex::default(), plain_loopback }
    }

    /// Whether an address can be asked.
    ///
    /// # Errors
    /// [`IssuerError::Address`].
    pub fn check(&self, address: &str) -> Result<(), IssuerError> {
        let refused = || IssuerError::Address(address.to_owned());
        let url = reqwest::Url::parse(address).map_err(|_| refused())?;
        let host = url.host_str().unwrap_or("").trim_start_matches('[').trim_end_matches(']');
        let is_here = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let is_plain = url.scheme() == "http" && is_here && self.plain_loopback;
        let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if (url.scheme() == "https" || is_plain) && is_bare { Ok(()) } else { Err(refused()) }
    }

    /// An issuer with its keys; asked again when it has no key `kid` that is known.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn provider(&self, issuer: &str, kid: Option<&str>) -> Result<Arc<Provider>, IssuerError> {
        let known = self.known_of(issuer);
        let mut known = known.lock().await;
        let kept = known.provider.clone().filter(|(_, at)| at.elapsed() < KEPT_WITHOUT_ANSWER);
        let has_key = |provider: &Provider| kid.is_none_or(|kid| provider.key(kid).is_some());
        if let Some((provider, at)) = &kept
            && at.elapsed() < KEPT
            && has_key(provider)
        {
            return Ok(provider.clone());
        }
        if known.asked.is_some_and(|at| at.elapsed() < ASKED_EVERY) {
            return kept.map(|(provider, _)| provider).ok_or(IssuerError::JustNow);
        }
        known.asked = Some(Instant::now());
        match self.ask(issuer).await {
            Ok(provider) => {
                let provider = Arc::new(provider);
                known.provider = Some((provider.clone(), Instant::now()));
                Ok(provider)
            }
            Err(error) => match kept {
                Some((provider, _)) => {
                    tracing::warn!(
                        "{issuer} was not asked for its keys: {error}; those from before are used"
                    );
                    Ok(provider)
                }
                None => Err(error),
            },
        }
    }

    /// Asks an issuer now, whatever is known of it; keys from before stay when it does not answer.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn ask_now(&self, issuer: &str) -> Result<Arc<Provider>, IssuerError> {
        let known = self.known_of(issuer);
        let mut known = known.lock().await;
        if known.asked.is_some_and(|at| at.elapsed() < ASKED_EVERY) {
            return Err(IssuerError::JustNow);
        }
        known.asked = Some(Instant::now());
        let provider = Arc::new(self.ask(issuer).await?);
        known.provider = Some((provider.clone(), Instant::now()));
        Ok(provider)
    }

    fn known_of(&self, issuer: &str) -> Arc<tokio::sync::Mutex<Known>> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(issuer.to_owned()).or_default().clone()
    }

    async fn ask(&self, issuer: &str) -> Result<Provider, IssuerError> {
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let discovery: Discovery = self.read(&address).await?;
        if discovery.issuer != issuer {
            let message = format!("as another issuer, '{}'", discovery.issuer);
            return Err(IssuerError::Other(address, message));
        }
        let keys: JwkSet = self.read(&discovery.jwks_uri).await?;
        if keys.keys.len() > KEYS_MAX {
            return Err(IssuerError::Other(discovery.jwks_uri, "too many keys".to_owned()));
        }
        Ok(Provider { discovery, keys })
    }

    async fn read<T: DeserializeOwned>(&self, address: &str) -> Result<T, IssuerError> {
        self.check(address)?;
        let failed = |error| IssuerError::Answer(address.to_owned(), error);
        let response = client().map_err(failed)?.get(address).send().await.map_err(failed)?;
        let response = response.error_for_status().map_err(failed)?;
        if !response.status().is_success() {
            return Err(IssuerError::Other(address.to_owned(), response.status().to_string()));
        }
        let body = bounded(response).await.map_err(failed)?;
        let body = body.ok_or_else(|| IssuerError::Other(address.to_owned(), "too much".to_owned()))?;
        serde_json::from_slice(&body)
            .map_err(|error| IssuerError::Other(address.to_owned(), error.to_string()))
    }
}

/// Follows nobody anywhere else, and waits for nobody for long.
pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(ANSWER_LIMIT)
        .timeout(ANSWER_LIMIT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The body of an answer; none = it is too long.
pub(crate) async fn bounded(mut response: reqwest::Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_asked_over_https_alone() {
        let issuers = Issuers::new(false);
        assert!(issuers.check("https://token.actions.githubusercontent.com").is_ok());
        for bad in [
            "http://token.actions.githubusercontent.com",
            "http://127.0.0.1:4000",
            "https://user@example.com",
            "https://user:pass@example.com",
            "https://example.com/#a",
            "file:///etc/passwd",
            "example.com",
            "",
        ] {
            assert!(issuers.check(bad).is_err(), "{bad}");
        }
        let near = Issuers::new(true);
        assert!(near.check("http://127.0.0.1:4000").is_ok() && near.check("http://[::1]:4000/a").is_ok());
        assert!(
            near.check("http://10.0.0.1:4000").is_err() && near.check("http://localhost.evil:1").is_err()
        );
    }
}
