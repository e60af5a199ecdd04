//! Identity tokens of issuers elsewhere: whether one was made by whom it names, for whom it should be, and
//! is not too old. Keys come from the issuer itself and are kept; whom to trust with what is decided
//! elsewhere. Only issuers that an admin named are ever asked.

mod keys;
mod settings;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::de::DeserializeOwned;

pub use keys::{IssuerError, Issuers, Provider};
pub(crate) use keys::{bounded, client};
pub use settings::Settings;

/// Much larger than any that is known.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// How far clocks may be apart.
const LEEWAY_S: u64 = 30;
/// By what tokens may be signed: never by what a public key could be taken for.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// Why a token is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// It is none, or not what it should be.
    #[error("the identity token is not valid: {0}")]
    Token(String),
    /// The issuer's keys are not there.
    #[error("the keys of {issuer} cannot be had")]
    Issuer {
        /// Which.
        issuer: String,
        /// Why.
        #[source]
        source: IssuerError,
    },
}

impl Untrusted {
    pub(crate) fn token(why: impl ToString) -> Self {
        Self::Token(why.to_string())
    }
}

impl Issuers {
    /// What a token says, when `issuer` made it for one of `audiences` and it has not ended.
    ///
    /// # Errors
    /// [`Untrusted`].
    pub async fn claims<T: DeserializeOwned>(
        &self,
        issuer: &str,
        audiences: &[&str],
        token: &str,
    ) -> Result<T, Untrusted> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Untrusted::token("it is too long"));
        }
        let header = decode_header(token).map_err(Untrusted::token)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Untrusted::token("it is not signed with RS256 or ES256"));
        }
        let kid = header.kid.ok_or_else(|| Untrusted::token("it names no key"))?;
        let failed = |source| Untrusted::Issuer { issuer: issuer.to_owned(), source };
        let provider = self.provider(issuer, Some(&kid)).await.map_err(failed)?;
        let key = provider
            .key(&kid)
            .ok_or_else(|| Untrusted::token("its issuer does not have the key that it names"))?;
        let key = DecodingKey::from_jwk(key).map_err(Untrusted::token)?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[issuer]);
        validation.set_audience(audiences);
        decode(token, &key, &validation).map(|decoded| decoded.claims).map_err(Untrusted::token)
    }
}
