//! Signing in at an identity provider: authorization code with state, nonce and PKCE. Who somebody is, is
//! issuer and subject; what they may follows from their groups, anew at each sign-in.

use super::{Identities, Started, Whence, way::OnTheWay, way::Ways};
use crate::{
    oidc::{Issuers, Settings, Untrusted, bounded, client},
    secret,
};
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use lockstep_engine::port::{
    OidcStore, StoreError,
    oidc::{Arrived, Left, Person},
};
use lockstep_model::{Digest, Timestamp, UserName, deployment::Actor};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

const SUBJECT_CHARS_MAX: usize = 255;
const GROUPS_MAX: usize = 1_000;
/// Names that are tried for a new account before it gets none.
const NAMES_MAX: u32 = 20;
const NAME_CHARS_MAX: usize = 63;

/// The provider, and what is kept of its people.
pub struct Provided<'a> {
    /// As the file says.
    pub settings: &'a Settings,
    /// Whose keys are known.
    pub issuers: &'a Issuers,
    /// What is kept.
    pub store: &'a dyn OidcStore,
    /// Where the provider sends people back to.
    pub back: String,
}

/// A sign-in that goes to the provider.
#[derive(Debug)]
pub struct Going {
    /// Where to.
    pub address: String,
    /// What this browser keeps, and must show when it comes back.
    pub kept: String,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// It did not begin in this browser, took too long, or came back before.
    #[error("this sign-in did not begin here, or too long ago")]
    Foreign,
    /// The provider, or what it said.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// The provider refused.
    #[error("the provider gave no identity: {0}")]
    Provider(String),
    /// Nothing follows from their groups.
    #[error("nothing follows from the groups of {0}")]
    NoRole(String),
    /// Their account cannot be used.
    #[error("{0}")]
    Account(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

#[derive(Deserialize)]
struct PersonClaims {
    sub: String,
    #[serde(default)]
    nonce: String,
    #[serde(default)]
    azp: Option<String>,
    /// When they proved there who they are, in seconds.
    #[serde(default)]
    auth_time: Option<i64>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

fn encoded(text: &str) -> String {
    crate::http::query_component(text)
}

impl Identities {
    /// Begins a sign-in: where the browser goes, and what it must show when it comes back. `again`: the
    /// provider shall ask them once more, also when they are signed in there.
    ///
    /// # Errors
    /// [`OidcError`].
    pub async fn oidc_begin(&self, at: &Provided<'_>, next: &str, again: bool) -> Result<Going, OidcError> {
        let issuer = &at.settings.issuer;
        let failed = |source| Untrusted::Issuer { issuer: issuer.clone(), source };
        let provider = at.issuers.provider(issuer, None).await.map_err(failed)?;
        let endpoint = provider.discovery.authorization_endpoint.clone();
        let endpoint = endpoint.filter(|endpoint| at.issuers.check(endpoint).is_ok());
        let endpoint =
            endpoint.ok_or_else(|| OidcError::Provider("it has no authorization_endpoint".to_owned()))?;
        let (state, way) = Ways::begin(next, self.clock.now());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(way.verifier.as_bytes()));
        let scope = std::iter::once("openid").chain(at.settings.scopes.iter().map(String::as_str));
        let scope = scope.collect::<Vec<_>>().join(" ");
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", &at.settings.client_id),
            ("redirect_uri", &at.back),
            ("scope", &scope),
            ("state", &state),
            ("nonce", &way.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if again {
            fields.extend([("prompt", "login"), ("max_age", "0")]);
        }
        let query: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let join = if endpoint.contains('?') { '&' } else { '?' };
        Ok(Going { address: format!("{endpoint}{join}{}", query.join("&")), kept: self.ways.seal(&way) })
    }

    /// Ends a sign-in that comes back with a code: a session under a new id, and where it goes. A session
    /// of the same person in this browser goes on when the provider asked them just now.
    ///
    /// # Errors
    /// [`OidcError`].
    pub async fn oidc_finish(
        &self,
        at: &Provided<'_>,
        begun: OnTheWay,
        code: &str,
        whence: Whence,
        present: Option<(&Actor, &Digest)>,
    ) -> Result<(Started, String), OidcError> {
        if !self.ways.comes_back(&begun, self.clock.now()) {
            return Err(OidcError::Foreign);
        }
        let token = fetch(at, code, &begun.verifier).await?;
        let settings = at.settings;
        let claims: PersonClaims =
            at.issuers.claims(&settings.issuer, &[&settings.client_id], &token).await?;
        let is_ours = claims.azp.as_ref().is_none_or(|party| *party == settings.client_id);
        if !is_ours || begun.nonce.is_empty() || !secret::same(&claims.nonce, &begun.nonce) {
            return Err(Untrusted::token("it was made for another sign-in").into());
        }
        let person = person(settings, &claims)?;
        let address = whence.address.map(|address| address.to_string());
        let actor = Actor { user: super::first_admin(), via: "oidc".to_owned(), address };
        let audit = self.entry(&actor, "/session/oidc", "");
        if person.rights.0.is_empty() {
            // Who had something here by their groups has nothing of it any more, also where they do not
            // sign in: in sessions and tokens of before.
            if let Left::Gone(name) = at.store.oidc_leave(&person.issuer, &person.subject, audit).await? {
                tracing::warn!(user.name = %name, "{name} is in no group any more that gives a role");
                self.withdrawn();
            }
            return Err(OidcError::NoRole(person.subject));
        }
        let user = match at.store.oidc_arrive(&person, audit).await? {
            Arrived::As(user) => user,
            Arrived::Disabled(name) => return Err(OidcError::Account(format!("{name} is switched off"))),
            Arrived::NoName => {
                return Err(OidcError::Account("no name is free for a new account".to_owned()));
            }
        };
        // What their groups do not say any more is gone from open pages, too.
        self.withdrawn();
        // Being signed in there since the morning proves nothing about who sits here now.
        let now = self.clock.now();
        let proven_at = claims.auth_time.map_or(0, |seconds| seconds.saturating_mul(1_000).min(now.0));
        let proven_at = Timestamp(proven_at);
        if let Some((actor, session)) = present
            && actor.user == user.name
            && now.since_ms(proven_at) < self.confirm_ms
            && let Some(id) = self.session_renew(actor, session).await?
        {
            return Ok((Started { id, user: user.name, known: None }, begun.next));
        }
        Ok((self.session_start(&user, "oidc", whence, proven_at).await?, begun.next))
    }
}

/// Who somebody is and what they may, as the provider says; with no group that is known here, nothing.
fn person(settings: &Settings, claims: &PersonClaims) -> Result<Person, OidcError> {
    let subject = claims.sub.clone();
    if subject.is_empty() || subject.len() > SUBJECT_CHARS_MAX {
        return Err(Untrusted::token("its subject is empty or too long").into());
    }
    let groups: Vec<String> = match claims.more.get(&settings.groups_claim) {
        Some(Value::Array(all)) => {
            all.iter().filter_map(Value::as_str).take(GROUPS_MAX).map(ToOwned::to_owned).collect()
        }
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    };
    let rights = settings.rights(&groups);
    let told = claims.more.get(&settings.name_claim).and_then(Value::as_str).unwrap_or(&subject);
    let names = names(told);
    Ok(Person { issuer: settings.issuer.clone(), subject, names, rights })
}

/// Names for a new account: as the provider calls them, then with a number.
fn names(told: &str) -> Vec<UserName> {
    let local = told.split('@').next().unwrap_or("");
    let mut plain: String = local
        .chars()
        .map(|one| if one.is_ascii_alphanumeric() || one == '_' { one } else { '-' })
        .skip_while(|one| !one.is_ascii_alphanumeric())
        .take(NAME_CHARS_MAX - 3)
        .collect();
    if plain.is_empty() {
        plain = "user".to_owned();
    }
    let numbered = (2..NAMES_MAX).map(|number| format!("{plain}-{number}"));
    std::iter::once(plain.clone()).chain(numbered).filter_map(|name| name.parse().ok()).collect()
}

/// The identity token for a code.
async fn fetch(at: &Provided<'_>, code: &str, verifier: &str) -> Result<String, OidcError> {
    let settings = at.settings;
    let failed = |source| Untrusted::Issuer { issuer: settings.issuer.clone(), source };
    let provider = at.issuers.provider(&settings.issuer, None).await.map_err(failed)?;
    let endpoint = provider.discovery.token_endpoint.clone();
    let endpoint = endpoint.filter(|endpoint| at.issuers.check(endpoint).is_ok());
    let endpoint = endpoint.ok_or_else(|| OidcError::Provider("it has no token_endpoint".to_owned()))?;
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &at.back),
        ("code_verifier", verifier),
    ];
    let shared =
        settings.secret().map_err(|error| OidcError::Provider(format!("client_secret_file: {error}")))?;
    if shared.is_none() {
        fields.push(("client_id", &settings.client_id));
    }
    let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let unreachable = |error: reqwest::Error| OidcError::Provider(error.without_url().to_string());
    let mut request = client().map_err(unreachable)?.post(endpoint).body(body.join("&"));
    request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json");
    if let Some(shared) = shared {
        // RFC 6749, 2.3.1: both are encoded first.
        let pair = format!("{}:{}", encoded(&settings.client_id), encoded(&shared));
        request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
    }
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let body = bounded(response).await.map_err(unreachable)?.unwrap_or_default();
    if !status.is_success() {
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        let why = told["error"].as_str().unwrap_or("nothing more");
        return Err(OidcError::Provider(format!("{status}, {why}")));
    }
    let tokens: Tokens = serde_json::from_slice(&body)
        .map_err(|_| OidcError::Provider("its answer holds no identity token".to_owned()))?;
    Ok(tokens.id_token)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_name_is_made_of_what_the_provider_says_and_never_of_anything_else() {
        let first = |told: &str| names(told).first().map(ToString::to_string).unwrap_or_default();
        assert_eq!(first("anna"), "anna");
        assert_eq!(first("anna.smith@example.com"), "anna-smith");
        assert_eq!(first("../../etc"), "etc");
        assert_eq!(first("<b>"), "b-");
        assert_eq!(first("漢字"), "user");
        assert_eq!(names("anna").get(1).map(ToString::to_string).as_deref(), Some("anna-2"));
        assert!(names(&"x".repeat(500)).len() > 10);
    }
}
