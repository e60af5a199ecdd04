//! A job elsewhere shows who it is and gets a token for some minutes: no secret is stored anywhere. What its
//! identity token says is compared with a rule claim by claim, in full.

use super::{Identities, Wanted, token::described};
use crate::{
    oidc::{Issuers, Untrusted},
    secret,
};
use lockstep_engine::port::{
    StoreError, TrustStore,
    trust::{Exchanged, SeenToken},
};
use lockstep_model::{
    Timestamp,
    access::{Permission, Right},
    deployment::Actor,
    trust::{TrustView, TrustedJob},
    view::TokenView,
};
use serde::Deserialize;
use std::net::IpAddr;

/// Ids of identity tokens are UUIDs.
const JTI_CHARS_MAX: usize = 200;
/// A job's token is remembered for longer than it could be shown again.
const REMEMBERED_MS: u64 = 5 * 60 * 1_000;
const NAME_CHARS_MAX: usize = 63;

/// What a job's identity token says. `sub` is there and not looked at: it holds names, or names and ids,
/// or what an organisation made of it.
#[derive(Debug, Deserialize)]
struct JobClaims {
    iss: String,
    aud: Audience,
    exp: u64,
    jti: String,
    repository: String,
    repository_id: String,
    repository_owner_id: String,
    #[serde(rename = "ref")]
    git_ref: String,
    #[serde(default)]
    environment: String,
    workflow_ref: String,
    event_name: String,
    #[serde(default)]
    run_id: String,
    #[serde(default)]
    actor: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Why no token was given.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The identity token is not believed.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// It was used already.
    #[error("this identity token was used before; ask for a new one")]
    Replayed,
    /// It is believed, and no rule is about it.
    #[error("{0}")]
    NoRule(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobClaims {
    /// Whether it is the job that a rule is about.
    fn is(&self, job: &TrustedJob) -> bool {
        let audience = match &self.aud {
            Audience::One(one) => Some(one),
            Audience::Several(several) => several.first().filter(|_| several.len() == 1),
        };
        self.iss == job.issuer
            && audience == Some(&job.audience)
            && self.repository_id == job.repository_id
            && self.repository_owner_id == job.repository_owner_id
            && self.git_ref == job.git_ref
            && self.environment == job.environment
            && self.workflow_ref == format!("{}/{}@{}", self.repository, job.workflow, job.git_ref)
    }

    /// A change that somebody proposes runs what they wrote.
    fn is_proposed(&self) -> bool {
        self.event_name.starts_with("pull_request") || self.git_ref.starts_with("refs/pull/")
    }

    fn said(&self) -> String {
        format!(
            "repository {} ({}), owner {}, ref {}, environment '{}', workflow {}",
            self.repository,
            self.repository_id,
            self.repository_owner_id,
            self.git_ref,
            self.environment,
            self.workflow_ref
        )
    }
}

/// Who made a token, as it says itself: good for nothing but to know whose keys to ask for.
#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

impl Identities {
    /// A token for a job that shows its identity token.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub async fn exchange(
        &self,
        issuers: &Issuers,
        trust: &dyn TrustStore,
        token: &str,
        address: Option<IpAddr>,
    ) -> Result<(TokenView, String), ExchangeError> {
        let Issuer { iss } =
            jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(Untrusted::token)?;
        let mut rules = trust.trust_list().await?;
        rules.retain(|rule| rule.job.issuer == iss);
        if rules.is_empty() {
            return Err(Untrusted::token("nobody here trusts its issuer").into());
        }
        let audiences: Vec<&str> = rules.iter().map(|rule| rule.job.audience.as_str()).collect();
        let claims: JobClaims = issuers.claims(&iss, &audiences, token).await?;
        if claims.jti.is_empty() || claims.jti.len() > JTI_CHARS_MAX {
            return Err(Untrusted::token("it has no id of its own").into());
        }
        if claims.is_proposed() {
            let message = format!("a job of a pull request gets no token: {}", claims.said());
            return Err(ExchangeError::NoRule(message));
        }
        let Some(rule) = rules.into_iter().find(|rule| claims.is(&rule.job)) else {
            let message = format!("no rule of trust is about this job: {}", claims.said());
            return Err(ExchangeError::NoRule(message));
        };
        self.give(trust, rule, &claims, address).await
    }

    async fn give(
        &self,
        trust: &dyn TrustStore,
        rule: TrustView,
        claims: &JobClaims,
        address: Option<IpAddr>,
    ) -> Result<(TokenView, String), ExchangeError> {
        let owner = self.store.user_fetch(&rule.made_by).await?.filter(|owner| owner.view.enabled);
        let has_role = owner.is_some_and(|owner| owner.view.grants.within(&rule.bound).strongest().is_some());
        if !has_role {
            let message =
                format!("{}, who made the rule {}, may not do this any more", rule.made_by, rule.name);
            return Err(ExchangeError::NoRule(message));
        }
        let name = format!("{} run {}", rule.name, claims.run_id).chars().take(NAME_CHARS_MAX).collect();
        let (bound, actions) = (rule.bound.clone(), rule.actions.clone());
        let lasts_ms = u64::from(rule.minutes) * 60_000;
        let (view, text) =
            self.token_write(rule.made_by.clone(), Wanted { name, bound: bound.clone(), actions, lasts_ms });
        let expires_at = Timestamp(i64::try_from(claims.exp.saturating_mul(1_000)).unwrap_or(i64::MAX));
        let seen = SeenToken {
            issuer: claims.iss.clone(),
            jti: claims.jti.clone(),
            actor: claims.actor.clone(),
            expires_at: expires_at.plus_ms(REMEMBERED_MS),
        };
        let address = address.map(|address| address.to_string());
        let actor = Actor { user: rule.made_by.clone(), via: format!("trust {}", rule.name), address };
        let mut audit = self.entry(&actor, "/oauth/token", &format!("token {}", view.id));
        audit.reason = Some(format!("{}; {}, by {}", described(&view), claims.said(), claims.actor));
        // Whoever made the rule may still sign in when the token is kept.
        audit.right =
            Some(Right { user: rule.made_by, token: None, permission: Permission::SignedIn, on: bound.on });
        match trust.trust_exchange(&rule.name, &seen, &view, &secret::digest(&text), audit).await? {
            Exchanged::Kept => Ok((view, text)),
            Exchanged::Replayed => Err(ExchangeError::Replayed),
            Exchanged::NoRule => Err(ExchangeError::NoRule(format!("the rule {} was ended", rule.name))),
        }
    }
}
