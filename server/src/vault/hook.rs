//! What a webhook is signed with: a rule says where it is, and never holds it. It is looked up at each
//! delivery, so a secret that is set anew is the webhook's from then on.

use super::{Place, Vault, VaultError, sources};
use lockstep_model::{
    hooks::HookRule,
    secrets::{SecretSource, SecretText},
};

/// A shorter secret can be tried out; it counts as none.
pub(crate) const SECRET_CHARS_MIN: usize = 16;
/// Variables that hold secrets of webhooks, and nothing else of the server's.
pub(crate) const VARIABLES: &str = "LOCKSTEP_HOOK_";
const TEXT_CHARS_MAX: usize = 500;

/// The place that a rule names; none = it names none where secrets of webhooks are.
pub(crate) fn source(place: &str) -> Option<SecretSource> {
    match place.split_once(':').filter(|_| place.len() <= TEXT_CHARS_MAX)? {
        ("secret", name) => name.parse().ok().map(SecretSource::Secret),
        ("env", name) if name.starts_with(VARIABLES) => Some(SecretSource::Env(name.to_owned())),
        ("file", path) if path.starts_with('/') => Some(SecretSource::File(path.to_owned())),
        _ => None,
    }
}

impl Vault {
    /// The secret that a rule names, one of its own environment when it is kept here; none = it is not set.
    ///
    /// # Errors
    /// When the store fails, or it cannot be opened.
    pub(crate) async fn of_hook(&self, rule: &HookRule) -> Result<Option<SecretText>, VaultError> {
        let found = match source(&rule.secret) {
            Some(SecretSource::Secret(name)) => {
                let (project, environment) = (rule.project.clone(), rule.environment.clone());
                self.secret(&Place { project, environment, name }).await?
            }
            Some(SecretSource::Env(name)) => sources::env(&name).ok(),
            Some(SecretSource::File(path)) => sources::file(&path).await.ok(),
            Some(SecretSource::Command(_)) | None => None,
        };
        let text =
            found.map(|text| SecretText::from(text.reveal().trim_end_matches(['\r', '\n']).to_owned()));
        Ok(text.filter(|text| text.reveal().len() >= SECRET_CHARS_MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::source;

    #[test]
    fn secrets_of_webhooks_are_where_nothing_else_is() {
        for bad in ["", "PATH", "env:PATH", "env:HOME", "file:relative", "vault:x", "secret:", "secret:../x"]
        {
            assert_eq!(source(bad), None, "{bad}");
        }
        for good in ["secret:hook-key", "env:LOCKSTEP_HOOK_SHOP", "file:/etc/lockstep/shop.secret"] {
            assert!(source(good).is_some(), "{good}");
        }
    }
}
