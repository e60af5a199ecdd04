//! The typed client of the API: an endpoint's request goes out, its response or its error comes
//! back.

use super::{arguments::Global, config, error::Failure};
use crate::data_dir::DataDir;
use lockstep_model::{
    api::{Endpoint, PREFIX},
    error::{ErrorBody, ErrorKind},
    trust::TokenIssued,
};
use serde::de::DeserializeOwned;
use std::time::Duration;

const DEFAULT_URL: &str = "http://127.0.0.1:3000";
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A wait holds a request open for 25 s; a plan may look at large artifacts.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// Speaks with a server.
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
    source: Source,
}

/// From where the token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// `--token` or `LOCKSTEP_TOKEN`.
    Given,
    /// The data folder of a server that runs.
    DataFolder,
    /// `lockstep login`.
    Login,
    /// There is none.
    Nothing,
}

impl Client {
    /// The server that is named, or the one of the data folder. Its local token is sent to it alone.
    pub(super) fn new(global: &Global) -> Result<Self, Failure> {
        let local = DataDir::at(&global.data_dir).local_read().map(|local| (local.url, local.token));
        let login = || Ok(config::read()?.map(|kept| (kept.url, kept.token)));
        let (url, token, source) = chosen(global.url.as_deref(), local, login)?;
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Err(Failure::refused(format!(
                "'{url}' is no address; write it as https://deploy.example.com"
            )));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(ANSWER_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::local(format!("the HTTP client cannot be made: {error}")))?;
        let source = if global.token.is_some() { Source::Given } else { source };
        Ok(Self { http, url, token: global.token.clone().or(token), source })
    }

    /// The same with another token.
    pub(super) fn with_token(&self, token: String) -> Self {
        let Self { http, url, .. } = self;
        Self { http: http.clone(), url: url.clone(), token: Some(token), source: Source::Given }
    }

    /// From where the token is.
    pub(super) fn source(&self) -> Source {
        self.source
    }

    /// The server's address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Calls an endpoint.
    pub(super) async fn call<E: Endpoint>(&self, _: E, request: &E::Request) -> Result<E::Response, Failure> {
        let address = format!("{}{PREFIX}{}", self.url, E::PATH);
        let mut builder = self.http.post(address).json(request);
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token);
        }
        self.answer(builder).await
    }

    /// Sends a form to where nobody has to say who they are.
    pub(super) async fn form<T: DeserializeOwned>(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let builder = self.http.post(format!("{}{path}", self.url));
        let kind = "application/x-www-form-urlencoded";
        self.answer(builder.header(reqwest::header::CONTENT_TYPE, kind).body(pairs.join("&"))).await
    }

    /// Asks whether a sign-in was confirmed; the error is the word of RFC 8628.
    pub(super) async fn poll(&self, device: &str) -> Result<Result<TokenIssued, String>, Failure> {
        let kind = encoded("urn:ietf:params:oauth:grant-type:device_code");
        let body = format!("grant_type={kind}&device_code={}", encoded(device));
        let builder = self.http.post(format!("{}/oauth/token", self.url)).body(body);
        let builder = builder.header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let response = builder.send().await.map_err(|error| self.unreachable(&error))?;
        let is_given = response.status().is_success();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let unknown = || {
            Failure::unreachable(format!("{} answered something else; is it a Lockstep server?", self.url))
        };
        if is_given {
            return serde_json::from_slice(&body).map(Ok).map_err(|_| unknown());
        }
        let told: serde_json::Value = serde_json::from_slice(&body).map_err(|_| unknown())?;
        match told["error"].as_str() {
            Some(word) => Ok(Err(word.to_owned())),
            None => Err(serde_json::from_value::<ErrorBody>(told).map_or_else(|_| unknown(), Failure::from)),
        }
    }

    async fn answer<T: DeserializeOwned>(&self, builder: reqwest::RequestBuilder) -> Result<T, Failure> {
        let response = builder.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                Failure::unreachable(format!(
                    "{} answered something that this version does not understand: {error}; is it a Lockstep server of version {}?",
                    self.url,
                    env!("CARGO_PKG_VERSION")
                ))
            });
        }
        Err(serde_json::from_slice::<ErrorBody>(&body).map(|body| self.explained(body)).unwrap_or_else(
            |_| Failure::unreachable(format!("{} answered {status}; is it a Lockstep server?", self.url)),
        ))
    }

    fn explained(&self, mut body: ErrorBody) -> Failure {
        if body.kind == ErrorKind::Unauthenticated {
            body.message = match self.token {
                Some(_) => format!("{} does not accept this token; it may be revoked or too old", self.url),
                None => format!(
                    "{0} wants to know who asks: set LOCKSTEP_TOKEN, or sign in with `lockstep login {0}`, or run this on the server's machine with --data-dir; `lockstep token add NAME` makes a token",
                    self.url
                ),
            };
        }
        body.into()
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let cause = std::iter::successors(std::error::Error::source(error), |error| error.source()).last();
        let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
        Failure::unreachable(format!(
            "the server at {} cannot be reached: {cause}; start it with `lockstep serve`, or name another with --url",
            self.url
        ))
    }
}

/// Text as it stands in a form or an address.
pub(super) fn encoded(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            value.push_str(&format!("%{byte:02X}"));
        }
    }
    value
}

fn trimmed(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// An address, and the token that is for the server there alone.
type Known = (String, String);

/// Which server is meant, and what is known of it: in the data folder, else by `login`, which is only looked at
/// when the data folder does not say it.
fn chosen(
    named: Option<&str>,
    local: Option<Known>,
    login: impl FnOnce() -> Result<Option<Known>, Failure>,
) -> Result<(String, Option<String>, Source), Failure> {
    let is_meant = |(url, _): &Known| named.is_none_or(|named| trimmed(named) == trimmed(url));
    if let Some((url, token)) = local.filter(is_meant) {
        return Ok((url, Some(token), Source::DataFolder));
    }
    if let Some((url, token)) = login()?.filter(is_meant) {
        return Ok((url, Some(token), Source::Login));
    }
    Ok((trimmed(named.unwrap_or(DEFAULT_URL)).to_owned(), None, Source::Nothing))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "http://127.0.0.1:3000";
    const THERE: &str = "https://deploy.example.com";

    #[test]
    fn a_token_goes_to_its_server_alone_also_where_another_one_runs_on_this_machine() {
        let known = |url: &str, token: &str| Some((url.to_owned(), token.to_owned()));
        let (here, there) = (known(HERE, "of here"), known(THERE, "of there"));
        let slash = format!("{THERE}/");
        for (named, local, login, expected) in [
            (None, &here, &there, (HERE, Some("of here"), Source::DataFolder)),
            (Some(HERE), &here, &there, (HERE, Some("of here"), Source::DataFolder)),
            (Some(THERE), &here, &there, (THERE, Some("of there"), Source::Login)),
            (Some(slash.as_str()), &here, &there, (THERE, Some("of there"), Source::Login)),
            (None, &None, &there, (THERE, Some("of there"), Source::Login)),
            (
                Some("https://evil.example.com"),
                &here,
                &there,
                ("https://evil.example.com", None, Source::Nothing),
            ),
            (Some(THERE), &here, &None, (THERE, None, Source::Nothing)),
            (None, &None, &None, (DEFAULT_URL, None, Source::Nothing)),
        ] {
            let found = chosen(named, local.clone(), || Ok(login.clone()));
            let Ok((url, token, source)) = found else { panic!("{named:?}: refused") };
            assert_eq!((url.as_str(), token.as_deref(), source), expected, "{named:?}");
        }
        // A file of `login` that cannot be used is in nobody's way who does not need it.
        let broken = || Err(Failure::refused("it is open to others".to_owned()));
        assert!(chosen(None, here.clone(), broken).is_ok());
        assert!(chosen(Some(THERE), here, broken).is_err());
    }
}
