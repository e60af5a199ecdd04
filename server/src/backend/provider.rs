//! The identity provider at which people sign in: what its file says, and whether it can be reached. What is
//! shared with it is never told.

use super::Services;
use crate::oidc::{IssuerError, Provider, Settings};
use app::AppError;
use lockstep_model::{
    access::{Grant, Scope},
    error::ErrorKind,
    provider::{GroupRole, ProviderCheck, ProviderPage, ProviderReport, ProviderView},
};
use std::time::Duration;

/// Each of two answers may take ten seconds; nobody waits longer than this before a page.
const CHECK_LIMIT: Duration = Duration::from_secs(15);

/// How people sign in beside by password.
#[derive(Debug, Clone)]
pub struct SignOn {
    /// Where the provider sends people back to.
    pub redirect: String,
    /// The provider, when there is one.
    pub settings: Option<Settings>,
}

pub(super) fn show(services: &Services) -> ProviderPage {
    let SignOn { redirect, settings } = &services.sign_on;
    ProviderPage { redirect: redirect.clone(), provider: settings.as_ref().map(view) }
}

fn view(settings: &Settings) -> ProviderView {
    let map = settings.map.iter().map(|one| GroupRole {
        group: one.group.clone(),
        grant: Grant {
            on: Scope { project: one.project.clone(), environment: one.environment.clone() },
            role: one.role,
        },
    });
    ProviderView {
        issuer: settings.issuer.clone(),
        client_id: settings.client_id.clone(),
        has_secret: settings.has_secret(),
        scopes: std::iter::once("openid".to_owned()).chain(settings.scopes.iter().cloned()).collect(),
        groups_claim: settings.groups_claim.clone(),
        name_claim: settings.name_claim.clone(),
        map: map.collect(),
    }
}

/// Asks the provider now.
pub(super) async fn check(services: &Services) -> Result<ProviderReport, AppError> {
    let Some(settings) = &services.sign_on.settings else {
        let message = "no identity provider is set up: start the server with --oidc FILE";
        return Err(AppError::new(ErrorKind::NotFound, message));
    };
    let asked = tokio::time::timeout(CHECK_LIMIT, services.issuers.ask_now(&settings.issuer)).await;
    let mut checks = vec![secret(settings)];
    match asked {
        Ok(Err(error @ IssuerError::JustNow)) => {
            return Err(AppError::new(ErrorKind::Throttled, error.to_string()));
        }
        Ok(Ok(provider)) => checks.extend(answered(settings, &provider, services)),
        Ok(Err(error)) => checks.push(unreachable(settings, &in_words(&error))),
        Err(_) => {
            let limit = CHECK_LIMIT.as_secs();
            checks.push(unreachable(settings, &format!("it did not answer within {limit} s")));
        }
    }
    Ok(ProviderReport { checks })
}

fn found(name: &str, is_well: bool, found: String) -> ProviderCheck {
    ProviderCheck { name: name.to_owned(), is_well, found }
}

fn secret(settings: &Settings) -> ProviderCheck {
    const NAME: &str = "Shared secret";
    match settings.secret() {
        Ok(None) => found(NAME, true, "none: this server is a public client there".to_owned()),
        Ok(Some(text)) if text.is_empty() => found(
            NAME,
            false,
            "its file is empty; write the secret that the provider gave into it".to_owned(),
        ),
        Ok(Some(_)) => found(NAME, true, "its file can be read".to_owned()),
        Err(error) => found(
            NAME,
            false,
            format!("its file cannot be read: {error}; it must be readable to this server"),
        ),
    }
}

fn unreachable(settings: &Settings, why: &str) -> ProviderCheck {
    let issuer = settings.issuer.trim_end_matches('/');
    let advice = format!(
        "{why}. From this server's machine, `curl {issuer}/.well-known/openid-configuration` must answer with JSON \
         whose issuer is written exactly as in the file"
    );
    found("Discovery document", false, advice)
}

/// With its causes: that of most failures says more than the failure.
fn in_words(error: &IssuerError) -> String {
    let chain: Vec<String> =
        std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect();
    chain.join(": ")
}

fn answered(settings: &Settings, provider: &Provider, services: &Services) -> Vec<ProviderCheck> {
    let told = &provider.discovery;
    let mut checks = vec![
        found("Discovery document", true, format!("it answered as {}", told.issuer)),
        match provider.key_count() {
            0 => found("Keys", false, "it has none, so nothing that it signs is believed".to_owned()),
            count => found("Keys", true, format!("{count} at {}", told.jwks_uri)),
        },
    ];
    for (name, address) in
        [("Sign-in page", &told.authorization_endpoint), ("Exchange of codes", &told.token_endpoint)]
    {
        checks.push(match address {
            None => found(name, false, "the provider names no address for it".to_owned()),
            Some(address) => match services.issuers.check(address) {
                Ok(()) => found(name, true, address.clone()),
                Err(error) => found(name, false, error.to_string()),
            },
        });
    }
    // Not every provider lists them, and none has to.
    if !told.scopes_supported.is_empty() {
        let unknown: Vec<&str> = settings
            .scopes
            .iter()
            .filter(|scope| !told.scopes_supported.contains(scope))
            .map(String::as_str)
            .collect();
        checks.push(if unknown.is_empty() {
            found("Scopes", true, "it knows all that are asked for".to_owned())
        } else {
            let unknown = unknown.join(", ");
            found(
                "Scopes",
                false,
                format!("it does not list {unknown}; set `scopes` in the file to what it knows"),
            )
        });
    }
    checks
}
